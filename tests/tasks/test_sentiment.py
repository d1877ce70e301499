"""Tests of the task sentiment: its files, batches and score, and that a network learns it."""

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


def oracle(task: Sentiment, wrong: Sequence[str] = (), probability: float = 0.9) -> Predict:
    """Return a predictor of the class that the grammar gives, except for some sentences that it predicts wrong."""

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        log_probs = []
        for ids in sequences:
            text = task.vocabulary.decode(ids)
            assert text.endswith("\n")
            label = claims.sentences()[text.strip()] ^ (text.strip() in wrong)
            log_probs.append(np.log([[1 - probability, probability] if label else [probability, 1 - probability]]))
        return log_probs

    return predict


def test_toy_sentences_are_divided_into_parts(toy: Sentiment) -> None:
    parts = toy.data().parts
    texts = [set(part.texts) for part in (parts.training, parts.validation, parts.test)]
    assert set().union(*texts) == set(claims.sentences())
    assert sum(map(len, texts)) == len(claims.sentences())
    assert set(toy.vocabulary.symbols) == {*claims.WORDS, "\n"}
    assert toy.readout.names == ("bad", "good")
    assert toy.readout.reads == "last step"
    assert toy.notes == []


def test_score_of_the_grammar_is_1(toy: Sentiment) -> None:
    score = toy.score(oracle(toy))
    assert (score.value, score.solved) == (1.0, True)
    assert score.details["wrong"] == []
    assert "all of the 180 test texts are classified correctly (macro F1 1.000)" in score.text
    assert toy.validation(oracle(toy)) == pytest.approx(-np.log(0.9))


def test_score_equals_scikit_learn(toy: Sentiment) -> None:
    parts = toy.data().parts
    wrong = parts.test.texts[3:60:4]
    score = toy.score(oracle(toy, wrong, 0.8))
    expected = parts.test.labels
    predicted = expected ^ np.isin(parts.test.texts, wrong)
    assert score.value == pytest.approx(1 - len(wrong) / 180)
    assert score.solved is False
    assert score.details["confusion"] == confusion_matrix(expected, predicted).tolist()
    f1 = [f1_score(expected, predicted, pos_label=k) for k in (0, 1)]
    np.testing.assert_allclose(score.details["f1"], f1, rtol=1e-12)
    assert score.details["macro_f1"] == pytest.approx(f1_score(expected, predicted, average="macro"), rel=1e-12)
    counts = CountVectorizer(token_pattern=r"\w+")
    bayes = MultinomialNB().fit(counts.fit_transform(parts.training.texts), parts.training.labels)
    assert score.details["baseline"] == bayes.score(counts.transform(parts.test.texts), expected)
    assert f"naive Bayes on their words, in any order, reaches {score.details['baseline']:.1%}" in score.text
    assert {entry["text"] for entry in score.details["wrong"]} == set(wrong)
    assert all(entry["probability"] == pytest.approx(0.8) for entry in score.details["wrong"])
    entry = score.details["wrong"][0]
    assert entry["expected"] != entry["predicted"] == claims.CLASSES[1 - claims.sentences()[entry["text"]]]
    most_frequent = np.bincount(parts.training.labels).argmax()
    assert score.chance == pytest.approx((expected == most_frequent).mean())
    json.dumps(score.to_json())


def test_answers_are_at_the_end_mark_of_known_texts(toy: Sentiment) -> None:
    answers = toy.answers("i am not very happy right now\n")
    assert answers is not None
    assert answers.tolist() == [-1] * 7 + [0]
    respaced = toy.answers("This is  good\n")
    assert respaced is not None
    assert respaced.tolist() == [-1, -1, -1, 1]
    for text in ("this is this\n", "\n", ""):
        assert toy.answers(text) is None


def test_quantities_of_toy_sentences_by_hand(toy: Sentiment) -> None:
    quantities = toy.quantities("i am not sad or bad right now\n")
    assert quantities["negated"].tolist() == [0, 0, 1, 0, 1, 0, 0, 0, 0]
    assert quantities["claimed"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert quantities["so_far"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert set(quantities) == set(toy.quantity_titles)
    assert all(values.shape == (0,) for values in toy.quantities("").values())


@pytest.mark.parametrize("unit", ["word", "token", "character"])
def test_batch_depends_on_seed_and_step_alone(table: Path, unit: Units) -> None:
    """A network also reads each row of a batch as it reads the row alone: padding changes nothing."""
    task = Sentiment(table, unit=unit, word_dropout=0.2)
    loaded = load(json.loads(json.dumps(task.to_json())))
    steps = [0, 30, 7]
    for seed, step in [(0, step) for step in steps] + [(1, 7)]:
        batch, same = task.batch(seed, step), loaded.batch(seed, step)
        np.testing.assert_array_equal(batch.tokens, same.tokens)
        np.testing.assert_array_equal(batch.targets, same.targets)
    assert not np.array_equal(task.batch(0, 7).tokens, task.batch(1, 7).tokens)
    network = Network(recommended_network(task, neurons=(5,), embedding=3)).eval()
    batch = next(batch for batch in map(partial(task.batch, 0), range(30)) if len(set(batch.lengths.tolist())) > 1)
    together = network(torch.from_numpy(batch.tokens).T.long(), lengths=torch.from_numpy(batch.lengths)).logits
    for row, length, logits in zip(batch.tokens, batch.lengths, together, strict=True):
        alone = network(torch.from_numpy(row[:length])[:, None].long()).logits[0]
        np.testing.assert_allclose(alone.detach(), logits.detach(), atol=1e-6)


def test_csv_tsv_and_json_lines_give_the_same_texts(tmp_path: Path, table: Path) -> None:
    lines = [json.dumps({"label": label, "text": text, "id": k}) for k, (text, label) in enumerate(ROWS)]
    (tmp_path / "claims.jsonl").write_text("\n".join(lines))
    (tmp_path / "claims.tsv").write_text("".join(f"{label}\t{text}\n" for text, label in ROWS))
    tasks = [Sentiment(path) for path in (table, tmp_path / "claims.jsonl", tmp_path / "claims.tsv")]
    for task in tasks[1:]:
        np.testing.assert_array_equal(task.data().parts.test.labels, tasks[0].data().parts.test.labels)
        assert task.data().parts.test.texts == tasks[0].data().parts.test.texts
        assert task.vocabulary == tasks[0].vocabulary


def test_wrong_rows_are_listed_all_at_once(table: Path) -> None:
    table.write_text(table.read_text() + ",good\nvery good\nvery bad,\n")
    with pytest.raises(TaskError) as caught:
        Sentiment(table)
    for line in ("Line 262, column 'text'", "Line 263: Expected 2 fields, got 1", "Line 264, column 'label'"):
        assert line in str(caught.value)
    assert "Line 263" in Sentiment(table, skip_bad=True).notes[0]


def test_batch_has_the_last_steps_of_a_long_text(table: Path) -> None:
    task = Sentiment(table, longest=2)
    batch = task.batch(0, 0)
    assert batch.tokens.shape[1] == 2
    end = task.vocabulary.size - 1
    assert (batch.tokens[:, 1] == end).all()
    assert max(map(len, task.data().test.sequences())) > 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": "t.csv"}, "Files to train on: expected at least one with .* a test file"),
        ({"batch": 0}, "batch: expected 1 or more, got 0"),
        ({"least": 0}, "least: expected 1 or more, got 0"),
        ({"word_dropout": 1.0}, "word_dropout: expected a share from 0"),
        ({"batch": 605}, "batch: expected at most the 604 training texts, got 605"),
        ({"least": 5000}, "least: expected words that occur 5000 times or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Sentiment(**settings)  # type: ignore[arg-type]


def test_json_round_trip_gives_the_same_task(table: Path) -> None:
    task = Sentiment([table], text="text", label=2, unit="character", word_dropout=0.1, batch=9)
    loaded = load(json.loads(json.dumps(task.to_json())))
    assert isinstance(loaded, Sentiment)
    assert loaded.to_json() == task.to_json()
    assert loaded.recommended == task.recommended
    assert loaded.readout == task.readout
    assert loaded.examples() == task.examples()
    assert loaded.held_out(100) == task.held_out(100)
    assert TASKS["sentiment"] is Sentiment


def test_run_without_its_files_can_be_opened(table: Path) -> None:
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
        answers, before = other.answers(text + "\n"), task.answers(text + "\n")
        assert answers is not None
        assert before is not None
        assert answers.tolist() == before.tolist()
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
def test_from_json_refuses_damaged_descriptions(toy: Sentiment, change: dict[str, object]) -> None:
    with pytest.raises(TaskError):
        Sentiment.from_json({**toy.to_json(), **change})
    data = toy.to_json()
    for key in set(data) - {"title", "question", "name", "reading"}:
        with pytest.raises(TaskError, match=f"expected the key '{key}', got none"):
            Sentiment.from_json({name: value for name, value in data.items() if name != key})


def test_examples_have_every_class_and_are_test_texts(toy: Sentiment, table: Path) -> None:
    for task in (toy, Sentiment(table)):
        parts = task.data().parts
        for example in task.examples():
            texts = example.strip().split("\n")
            assert set(texts) <= set(parts.test.texts)
            assert {claims.sentences()[text] for text in texts} == {0, 1}
        assert set(task.held_out(50).strip().split("\n")) <= set(parts.test.texts)
        assert len(task.held_out(50)) >= 50
        assert len(task.held_out(10**6).strip().split("\n")) == task.sizes[2]


def test_recommended_settings_depend_on_the_vocabulary(table: Path, tmp_path: Path) -> None:
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


def test_trained_network_predicts_the_classes_in_its_trace(run: Run) -> None:
    network, _ = run.network()
    text = "i am not sad\nthis is good not bad\nthis is bad not good\n"
    trace = record(network, text, answers=run.task().answers)
    assert trace.lengths.tolist() == [5, 6, 6]
    last = trace.lengths - 1
    rows = np.arange(3)
    assert trace.steps["target"][rows, last].tolist() == [1, 1, 0]
    assert trace.steps["top_token"][rows, last, 0].tolist() == [1, 1, 0]
    assert (np.delete(trace.steps["target"][1], 5) == -1).all()


def test_labels_find_the_claim(run: Run) -> None:
    toy_subject = subject(run, characters=1500)
    with toy_subject.trace() as trace:
        table = labels(trace, features_of(toy_subject, trace))
    assert "task.claimed" in set(table["feature"])
