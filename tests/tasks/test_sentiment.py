"""The task sentiment: its files, its batches, its score, and that a network learns it."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.naive_bayes import MultinomialNB

from gatescope import Network, Run, Settings, create_run, record, train
from gatescope.studies import features_of, subject
from gatescope.studies.labels import labels
from gatescope.tasks import TASKS, Sentiment, TaskError, load
from gatescope.tasks.base.task import Predict
from gatescope.tasks.sentiment import claims
from gatescope.tasks.sentiment.encoded import Units
from gatescope.training import recommended_network

ROWS = [(text, claims.CLASSES[label]) for text, label in list(claims.sentences().items())[:260]]


@pytest.fixture(scope="module")
def toy() -> Sentiment:
    return Sentiment()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "claims.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    return path


def telling(task: Sentiment, wrong: Sequence[str] = (), sure: float = 0.9) -> Predict:
    """Tells the class of each sentence of two classes as the grammar says, but for some that it tells wrong."""

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = []
        for ids in sequences:
            text = task.vocabulary.decode(ids)
            assert text.endswith("\n")
            said = claims.sentences()[text.strip()] ^ (text.strip() in wrong)
            found.append(np.log([[1 - sure, sure] if said else [sure, 1 - sure]]))
        return found

    return predict


def test_the_toy_set_is_divided_by_the_sentences_themselves(toy: Sentiment) -> None:
    known = toy.data().divided
    parts = [set(part.texts) for part in (known.training, known.validation, known.test)]
    assert set().union(*parts) == set(claims.sentences())
    assert sum(map(len, parts)) == len(claims.sentences())
    assert set(toy.vocabulary.symbols) == {*claims.WORDS, "\n"}
    assert toy.readout.names == ("bad", "good")
    assert toy.readout.reads == "last step"
    assert toy.notes == []


def test_whoever_knows_the_grammar_is_always_right(toy: Sentiment) -> None:
    score = toy.score(telling(toy))
    assert (score.value, score.solved) == (1.0, True)
    assert score.details["wrong"] == []
    assert "every one of the 180 test texts is told right (macro F1 1.000)" in score.text
    assert toy.validation(telling(toy)) == pytest.approx(-np.log(0.9))


def test_the_score_of_mistakes_and_the_baseline(toy: Sentiment) -> None:
    known = toy.data().divided
    wrong = known.test.texts[3:60:4]
    score = toy.score(telling(toy, wrong, 0.8))
    expected = known.test.labels
    said = expected ^ np.isin(known.test.texts, wrong)
    assert score.value == pytest.approx(1 - len(wrong) / 180)
    assert score.solved is False
    assert score.details["confusion"] == confusion_matrix(expected, said).tolist()
    each = [f1_score(expected, said, pos_label=k) for k in (0, 1)]
    np.testing.assert_allclose(score.details["f1"], each, rtol=1e-12)
    assert score.details["macro_f1"] == pytest.approx(f1_score(expected, said, average="macro"), rel=1e-12)
    counts = CountVectorizer(token_pattern=r"\w+")
    bayes = MultinomialNB().fit(counts.fit_transform(known.training.texts), known.training.labels)
    assert score.details["baseline"] == bayes.score(counts.transform(known.test.texts), expected)
    assert f"{score.details['baseline']:.1%} (naive Bayes)" in score.text
    assert {entry["text"] for entry in score.details["wrong"]} == set(wrong)
    assert all(entry["probability"] == pytest.approx(0.8) for entry in score.details["wrong"])
    entry = score.details["wrong"][0]
    assert entry["expected"] != entry["predicted"] == claims.CLASSES[1 - claims.sentences()[entry["text"]]]
    often = np.bincount(known.training.labels).argmax()
    assert score.chance == pytest.approx((expected == often).mean())
    json.dumps(score.to_json())


def test_answers_are_at_the_end_mark_of_what_is_known(toy: Sentiment) -> None:
    found = toy.answers("i am not very happy right now\n")
    assert found is not None
    assert found.tolist() == [-1] * 7 + [0]
    again = toy.answers("This is  good\n")
    assert again is not None
    assert again.tolist() == [-1, -1, -1, 1]
    for text in ("this is this\n", "\n", ""):
        assert toy.answers(text) is None


def test_quantities_of_the_toy_set_are_those_of_its_grammar(toy: Sentiment) -> None:
    found = toy.quantities("i am not sad or bad right now\n")
    assert found["negated"].tolist() == [0, 0, 1, 0, 1, 0, 0, 0, 0]
    assert found["claimed"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert found["so_far"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert set(found) == set(toy.quantity_titles)
    assert all(values.shape == (0,) for values in toy.quantities("").values())


@pytest.mark.parametrize("unit", ["word", "token", "character"])
def test_a_batch_depends_on_seed_and_step_alone_and_shows_no_padding(table: Path, unit: Units) -> None:
    task = Sentiment(table, unit=unit, word_dropout=0.2)
    again = load(json.loads(json.dumps(task.to_json())))
    steps = [0, 30, 7]
    for seed, step in [(0, step) for step in steps] + [(1, 7)]:
        one, other = task.batch(seed, step), again.batch(seed, step)
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.targets, other.targets)
    assert not np.array_equal(task.batch(0, 7).tokens, task.batch(1, 7).tokens)
    network = Network(recommended_network(task, neurons=(5,), embedding=3)).eval()
    batch = next(batch for batch in map(partial(task.batch, 0), range(30)) if len(set(batch.lengths.tolist())) > 1)
    together = network(torch.from_numpy(batch.tokens).T.long(), lengths=torch.from_numpy(batch.lengths)).logits
    for row, length, logits in zip(batch.tokens, batch.lengths, together, strict=True):
        alone = network(torch.from_numpy(row[:length])[:, None].long()).logits[0]
        np.testing.assert_allclose(alone.detach(), logits.detach(), atol=1e-6)


def test_rows_of_all_formats_are_the_same(tmp_path: Path, table: Path) -> None:
    lines = [json.dumps({"label": label, "text": text, "id": k}) for k, (text, label) in enumerate(ROWS)]
    (tmp_path / "claims.jsonl").write_text("\n".join(lines))
    (tmp_path / "claims.tsv").write_text("".join(f"{label}\t{text}\n" for text, label in ROWS))
    tasks = [Sentiment(path) for path in (table, tmp_path / "claims.jsonl", tmp_path / "claims.tsv")]
    for task in tasks[1:]:
        np.testing.assert_array_equal(task.data().divided.test.labels, tasks[0].data().divided.test.labels)
        assert task.data().divided.test.texts == tasks[0].data().divided.test.texts
        assert task.vocabulary == tasks[0].vocabulary


def test_bad_rows_are_told_all_at_once(table: Path) -> None:
    table.write_text(table.read_text() + ",good\nvery good\nvery bad,\n")
    with pytest.raises(TaskError) as caught:
        Sentiment(table)
    for line in ("line 262: the text is empty", "line 263: 1 field instead of 2", "line 264: there is no label"):
        assert line in str(caught.value)
    assert "line 263" in Sentiment(table, skip_bad=True).notes[0]


def test_only_the_last_steps_of_a_long_text_are_trained_on(table: Path) -> None:
    task = Sentiment(table, longest=2)
    batch = task.batch(0, 0)
    assert batch.tokens.shape[1] == 2
    end = task.vocabulary.size - 1
    assert (batch.tokens[:, 1] == end).all()
    assert max(map(len, task.data().test.sequences())) > 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": "t.csv"}, "go with files to train on"),
        ({"batch": 0}, "batch is 1 or more"),
        ({"least": 0}, "least is 1 or more"),
        ({"word_dropout": 1.0}, "word_dropout is a share"),
        ({"batch": 605}, "there are 604 texts to train on"),
        ({"least": 5000}, "No word occurs 5000 times"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Sentiment(**settings)  # type: ignore[arg-type]


def test_kept_and_made_again(table: Path) -> None:
    task = Sentiment([table], text="text", label=2, unit="character", word_dropout=0.1, batch=9)
    again = load(json.loads(json.dumps(task.to_json())))
    assert isinstance(again, Sentiment)
    assert again.to_json() == task.to_json()
    assert again.recommended == task.recommended
    assert again.readout == task.readout
    assert again.examples() == task.examples()
    assert again.held_out(100) == task.held_out(100)
    assert TASKS["sentiment"] is Sentiment


def test_a_run_can_be_looked_at_when_its_files_are_gone(table: Path) -> None:
    task = Sentiment(table)
    data = json.loads(json.dumps(task.to_json()))
    table.write_text(table.read_text().replace("not", "never"))
    changed = load(data)
    with pytest.raises(TaskError, match=r"expected the data that this run was trained on.*have changed"):
        changed.held_out(10)
    table.unlink()
    gone = load(data)
    with pytest.raises(TaskError, match=r"cannot be read again.*expected a file, got nothing"):
        gone.batch(0, 0)
    for other in (changed, gone):
        text = other.examples()[0].split("\n")[0]
        found, before = other.answers(text + "\n"), task.answers(text + "\n")
        assert found is not None
        assert before is not None
        assert found.tolist() == before.tolist()
        assert other.answers("a text of nobody\n") is None
        assert set(other.quantities(text)) == set(task.quantities(text)) - {"log_odds", "word"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "text"},
        {"sizes": [1, 2]},
        {"classes": [1, 2]},
        {"vocabulary": None},
        {"paths": [3]},
        {"examples": [["a"]]},
        {"unit": "byte"},
        {"longest": "many"},
        {"text": 1.5},
    ],
)
def test_descriptions_that_are_none(toy: Sentiment, change: dict[str, object]) -> None:
    with pytest.raises(TaskError):
        Sentiment.from_json({**toy.to_json(), **change})
    data = toy.to_json()
    for key in set(data) - {"title", "question", "name", "reading"}:
        with pytest.raises(TaskError, match=f"expected the key '{key}', got none"):
            Sentiment.from_json({name: value for name, value in data.items() if name != key})


def test_examples_have_every_class_and_are_never_trained_on(toy: Sentiment, table: Path) -> None:
    for task in (toy, Sentiment(table)):
        known = task.data().divided
        for example in task.examples():
            texts = example.strip().split("\n")
            assert set(texts) <= set(known.test.texts)
            assert {claims.sentences()[text] for text in texts} == {0, 1}
        assert set(task.held_out(50).strip().split("\n")) <= set(known.test.texts)
        assert len(task.held_out(50)) >= 50
        assert len(task.held_out(10**6).strip().split("\n")) == task.sizes[2]


def test_settings_fit_what_is_read(table: Path, tmp_path: Path) -> None:
    assert Sentiment(table).recommended.embedding is None
    many = tmp_path / "many.csv"
    many.write_text("text,label\n" + "".join(f"word{k} word{k + 1},{k % 2}\n" for k in range(2600)))
    task = Sentiment(many)
    assert task.recommended.embedding == 128
    assert task.word_dropout > 0
    assert Sentiment(many, most=50).vocabulary.size == 51
    assert Sentiment(many, most=50).word_dropout == 0
    assert Sentiment(many, batch=8).batch(0, 0).tokens.shape[0] == 8


@pytest.fixture(scope="module")
def run(toy: Sentiment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = create_run(tmp_path_factory.mktemp("runs") / "toy", toy, None, Settings.recommended(toy, seed=0))
    outcome = train(run)
    assert outcome.reason == "solved"
    assert outcome.score is not None
    assert outcome.score.value == 1.0
    return run


def test_a_network_learns_it_and_its_trace_says_what_it_read_said_and_should_have_said(run: Run) -> None:
    network, _ = run.network()
    text = "i am not sad\nthis is good not bad\nthis is bad not good\n"
    trace = record(network, text, answers=run.task().answers)
    assert trace.lengths.tolist() == [5, 6, 6]
    last = trace.lengths - 1
    rows = np.arange(3)
    assert trace.steps["target"][rows, last].tolist() == [1, 1, 0]
    assert trace.steps["top_token"][rows, last, 0].tolist() == [1, 1, 0]
    assert (np.delete(trace.steps["target"][1], 5) == -1).all()


def test_labels_find_what_was_claimed(run: Run) -> None:
    about = subject(run, characters=1500)
    with about.trace() as trace:
        table = labels(trace, features_of(about, trace))
    assert "task.claimed" in set(table["feature"])
