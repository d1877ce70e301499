"""Tests of the task tagging on tokens."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from gatescope.tasks import TASKS, Tagging, Task, TaskError, load
from gatescope.tasks.base.task import Predict
from gatescope.vocabulary import PADDING

Sentences = list[list[tuple[str, str]]]

ANIMALS = ("cat", "dog", "owl", "fox", "hen", "emu", "yak", "ape")


def generate(count: int, seed: int) -> Sentences:
    """Return sentences in which "saw" is a verb after an animal and a noun after "a"; some words occur once."""
    random = np.random.default_rng(seed)
    sentences: Sentences = []
    for number in range(count):
        animal, other = (ANIMALS[int(k)] for k in random.integers(0, len(ANIMALS), 2))
        rows = [("the", "DET"), (animal, "NOUN"), ("saw", "VERB"), ("a", "DET"), ("saw", "NOUN")]
        rows += [("and", "CONJ"), ("the", "DET"), (other, "NOUN")] * int(random.integers(0, 3))
        rows += [(f"Mr{seed}x{number}", "NAME")] if random.random() < 0.2 else []
        sentences.append([*rows, (".", "PUNCT")])
    return sentences


def write(folder: Path, sentences: Sentences, name: str = "train.tsv") -> Path:
    path = folder / name
    path.write_text(
        "\n".join("".join(f"{token}\t{tag}\n" for token, tag in sentence) for sentence in sentences), "utf-8"
    )
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    return {
        "paths": write(tmp_path, generate(80, 0)),
        "validation": write(tmp_path, generate(12, 1), "dev.tsv"),
        "test": write(tmp_path, generate(15, 2), "test.tsv"),
    }


def predictor(task: Tagging, choice: Any, probability: float = 0.5) -> Predict:
    """Return a predictor that gives the labels `choice(ids)` (T,) a probability, and the others the rest."""
    size = len(task.classes)

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        rows = []
        for ids in sequences:
            row = np.full((len(ids), size), math.log((1 - probability) / (size - 1)))
            row[np.arange(len(ids)), choice(ids)] = math.log(probability)
            rows.append(row)
        return rows

    return predict


def answers_of(task: Task, text: str) -> list[int]:
    """Return the targets of a text that is in the data."""
    answers = task.answers(text)
    assert answers is not None
    return answers.tolist()


def labels_by_ids(task: Tagging, sentences: Sentences) -> dict[bytes, list[int]]:
    """Return the ids of each sentence -> its labels, and 0 at the newline."""
    known = {symbol: k for k, symbol in enumerate(task.vocabulary.symbols)}
    return {
        np.array([known.get(token, len(known)) for token, _ in sentence] + [known["\n"]], np.int32).tobytes(): [
            *(task.classes.index(tag) for _, tag in sentence),
            0,
        ]
        for sentence in sentences
    }


def test_tagging_predicts_a_class_after_every_token(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    assert TASKS["tagging"] is Tagging
    assert task.classes == ("CONJ", "DET", "NAME", "NOUN", "PUNCT", "VERB")
    assert task.readout.names == task.classes
    assert (task.readout.kind, task.readout.reads) == ("classes", "every step")
    assert (task.vocabulary.unit, task.vocabulary.end) == ("token", "\n")
    counts = Counter(token for sentence in generate(80, 0) for token, _ in sentence)
    assert set(task.vocabulary.symbols) == {token for token, count in counts.items() if count > 1} | {"\n"}
    assert task.recommended.both_ways
    assert task.sizes["test"] == [15, sum(map(len, generate(15, 2)))]
    assert Tagging(files["paths"], least=1).vocabulary.size > task.vocabulary.size


def test_batches_have_every_sentence_once_with_its_labels(files: dict[str, Any]) -> None:
    task = Tagging(**files, batch=8)
    train = generate(80, 0)
    expected = Counter(tuple(tag for _, tag in sentence) for sentence in train)
    read: Counter[tuple[str, ...]] = Counter()
    for step in range(10):
        batch = task.batch(5, step)
        assert not batch.continues
        assert batch.tokens.dtype == batch.targets.dtype == np.int32
        for ids, targets, length in zip(batch.tokens, batch.targets, batch.lengths, strict=True):
            assert (targets[length - 1 :] == PADDING).all()
            assert (ids[length:] == PADDING).all()
            assert task.vocabulary.symbols[ids[length - 1]] == "\n"
            tags = tuple(task.classes[k] for k in targets[: length - 1])
            read[tags] += 1
            words = [task.vocabulary.symbols[k] if k < task.vocabulary.size else None for k in ids[: length - 1]]
            same = [sentence for sentence in train if tuple(tag for _, tag in sentence) == tags]
            assert any(
                all(w in (None, token) for w, (token, _) in zip(words, sentence, strict=True)) for sentence in same
            )
    assert read == expected, "an epoch has every sentence once"
    loaded = Tagging(**files, batch=8).batch(5, 9)
    assert (loaded.tokens == task.batch(5, 9).tokens).all()
    assert task.batch(6, 9).tokens.shape != loaded.tokens.shape or (task.batch(6, 9).tokens != loaded.tokens).any()


def test_rare_tokens_are_dropped_more_often(tmp_path: Path) -> None:
    sentences = [[("rare", "A"), ("often", "B"), ("often", "B"), ("often", "B")]] * 3 + [[("often", "B")]] * 20
    task = Tagging(write(tmp_path, sentences), test=write(tmp_path, sentences, "t.tsv"), validation=tmp_path / "t.tsv")
    epoch = -(-len(sentences) // task.recommended.batch)
    rare, often = 0, 0
    for step in range(400):
        batch = task.batch(0, step)
        unknown = batch.tokens == task.vocabulary.unknown
        rare += int((unknown & (batch.targets == task.classes.index("A"))).sum())
        often += int((unknown & (batch.targets == task.classes.index("B"))).sum())
        assert (batch.tokens[np.arange(len(batch.tokens)), batch.lengths - 1] == task.vocabulary.encode("\n")).all()
    seen = 400 / epoch
    assert rare / (3 * seen) == pytest.approx(1 / (1 + 3), abs=5 * math.sqrt(0.25 * 0.75 / (3 * seen)))
    assert often / (29 * seen) == pytest.approx(1 / (1 + 29), abs=5 * math.sqrt(0.033 / (29 * seen)))


def test_dropped_tokens_depend_on_the_seed(tmp_path: Path) -> None:
    """All sentences are equal, so two batches differ in their dropped tokens only."""
    sentences = [[(token, "AB"[token > "d"]) for token in "abcdefgh"]] * 4
    task = Tagging(write(tmp_path, sentences), test=write(tmp_path, sentences, "t.tsv"), validation=tmp_path / "t.tsv")
    batches = [task.batch(seed, 0).tokens for seed in range(5)]
    assert len({batch.shape for batch in batches}) == 1
    assert len({batch.tobytes() for batch in batches}) == 5


def test_score_of_perfect_and_wrong_predictions(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    answers = labels_by_ids(task, generate(15, 2))
    perfect = task.score(predictor(task, lambda ids: answers[ids.tobytes()]))
    assert perfect.value == 1
    assert perfect.details["macro_f1"] == 1
    assert perfect.details["confused"] == []
    wrong = task.score(predictor(task, lambda ids: (np.array(answers[ids.tobytes()]) + 1) % 6))
    assert wrong.value == 0
    assert wrong.solved is None
    counts = Counter(tag for sentence in generate(80, 0) for _, tag in sentence)
    most_frequent = counts.most_common(1)[0][0]
    expected = [tag for sentence in generate(15, 2) for _, tag in sentence]
    assert perfect.chance == pytest.approx(expected.count(most_frequent) / len(expected))
    by_token: dict[str, Counter[str]] = {}
    for token, tag in (pair for sentence in generate(80, 0) for pair in sentence):
        by_token.setdefault(token, Counter())[tag] += 1
    right = [  # an unseen token gets the most frequent label of those that occur once
        tag == (max(by_token[token], key=lambda t: by_token[token][t]) if token in by_token else "NAME")
        for sentence in generate(15, 2)
        for token, tag in sentence
        if token != "saw"  # which occurs equally often with both labels
    ]
    saws = sum(token == "saw" for sentence in generate(15, 2) for token, _ in sentence)
    assert perfect.details["baseline"] == pytest.approx((sum(right) + saws / 2) / len(expected))
    names = sum(tag == "NAME" for tag in expected)
    assert perfect.details["unknown"] == {"tokens": names, "accuracy": 1.0}
    assert f"of {len(expected)} tokens of the test part are labelled right (100.0 % of the {names} unknown ones)" in (
        perfect.text
    )


def test_measures_of_each_label_equal_scikit_learn(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    random = np.random.default_rng(4)
    answers = labels_by_ids(task, generate(15, 2))
    predictions = {
        key: np.where(random.random(len(tags)) < 0.6, tags, random.integers(0, 5, len(tags)))
        for key, tags in answers.items()
    }
    score = task.score(predictor(task, lambda ids: predictions[ids.tobytes()]))
    sequences = task.data().encoded["test"].sequences
    expected = np.concatenate([answers[ids.tobytes()][:-1] for ids in sequences])
    predicted = np.concatenate([predictions[ids.tobytes()][:-1] for ids in sequences])
    assert score.value == pytest.approx((expected == predicted).mean())
    reference: Any = precision_recall_fscore_support(expected, predicted, labels=range(6), zero_division=0)  # type: ignore[arg-type]
    precision, recall, f1, support = reference
    for k, name in enumerate(task.classes):
        measures = score.details["labels"][name]
        assert (measures["precision"] or 0, measures["recall"], measures["f1"]) == pytest.approx(
            (precision[k], recall[k], f1[k])
        )
        assert measures["support"] == support[k]
    assert score.details["macro_f1"] == pytest.approx(f1_score(expected, predicted, average="macro"))
    pairs = Counter(
        (task.classes[a], task.classes[b]) for a, b in zip(expected.tolist(), predicted.tolist(), strict=True) if a != b
    )
    assert {(a, b): n for a, b, n in score.details["confused"]}.items() <= dict(pairs).items()
    assert [n for *_, n in score.details["confused"]] == [n for _, n in pairs.most_common(10)]
    json.dumps(score.to_json(), allow_nan=False)


def test_validation_is_the_mean_loss_of_labels(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    answers = labels_by_ids(task, generate(12, 1))
    assert task.validation(predictor(task, lambda ids: answers[ids.tobytes()], 0.25)) == pytest.approx(math.log(4))
    other = task.validation(predictor(task, lambda ids: (np.array(answers[ids.tobytes()]) + 1) % 6, 0.25))
    assert other == pytest.approx(-math.log(0.75 / 5))


def test_answers_are_the_labels_of_known_sentences(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    for sentences in (generate(15, 2), generate(12, 1), generate(80, 0)):
        longest = max(sentences, key=len)
        text = " ".join(token for token, _ in longest)
        expected = [task.classes.index(tag) for _, tag in longest]
        assert answers_of(task, text) == expected
        assert answers_of(task, text + "\n") == [*expected, -1]
    assert task.answers("the cat sat") is None
    assert task.answers("") is None
    assert task.answers("\n") is None
    for text in task.examples():
        assert len(answers_of(task, text)) == len(task.vocabulary.encode(text))
    assert len(task.examples()) == len(set(task.examples())) == 4


def test_answers_prefer_the_labels_of_the_test_part(tmp_path: Path, files: dict[str, Any]) -> None:
    test = write(tmp_path, [*generate(15, 2), [("the", "DET"), ("saw", "VERB")]], "more.tsv")
    training = write(tmp_path, [*generate(80, 0), [("the", "DET"), ("saw", "NOUN")]], "other.tsv")
    task = Tagging(training, validation=files["validation"], test=test)
    assert answers_of(task, "the saw\n") == [task.classes.index("DET"), task.classes.index("VERB"), -1]
    assert any("of the test part" in note and "also in the training part" in note for note in task.notes)


def test_held_out_has_whole_sentences_of_the_test_part(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    texts = [" ".join(token for token, _ in sentence) + "\n" for sentence in generate(15, 2)]
    assert task.held_out(1) == texts[0]
    assert task.held_out(len(texts[0]) + 1) == "".join(texts[:2])
    assert task.held_out(10**6) == "".join(texts)
    assert task.vocabulary.split(task.held_out(10**6)) == texts


def test_quantities_of_tokens_by_hand(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    text = next(
        " ".join(token for token, _ in sentence) + "\n"
        for sentence in generate(80, 0)
        if sentence[-2][1] == "NAME" and len(sentence) == 7
    )
    quantities = task.quantities(text)
    saw = (
        "VERB" if quantities["usual_VERB"][2] else "NOUN"
    )  # either of two equally frequent labels may be the usual one
    tags = ["DET", "NOUN", saw, "DET", saw, "NAME", "PUNCT", None]
    for name in task.classes:
        assert quantities[f"usual_{name}"].tolist() == [tag == name for tag in tags]
    assert quantities["since_change"].tolist() == [0] * 8
    assert quantities["unknown"].tolist() == [False] * 5 + [True, False, False]
    assert quantities["ambiguity"] == pytest.approx(
        np.array([0, 0, 1, 0, 1, 0, 0, 0])
    )  # equally often a verb and a noun
    assert quantities["unusual"].tolist() == [k == (4 if saw == "VERB" else 2) for k in range(8)]
    assert {*quantities} == {*task.quantity_titles, *(f"usual_{name}" for name in task.classes)}
    other = task.quantities("the cat never a cat")  # not in the data
    assert other["usual_NOUN"].tolist() == [False, True, False, False, True]
    assert other["usual_NAME"].tolist() == [False, False, True, False, False]
    assert not other["unusual"].any()
    assert task.quantities("cat dog owl a")["since_change"].tolist() == [0, 1, 2, 0]
    assert all(values.shape == (0,) for values in task.quantities("").values())


def test_parts_have_no_sentence_in_common(tmp_path: Path) -> None:
    path = write(tmp_path, generate(300, 0))
    task = Tagging(path, parts=(0.6, 0.2, 0.2))
    raw = task.data().raw
    texts = {part: {" ".join(sentence) for sentence in data.raw} for part, data in raw.items()}
    assert not texts["training"] & texts["validation"]
    assert not texts["training"] & texts["test"]
    assert not texts["validation"] & texts["test"]
    all_sentences = Counter(" ".join(token for token, _ in sentence) for sentence in generate(300, 0))
    assert Counter(" ".join(sentence) for data in raw.values() for sentence in data.raw) == all_sentences
    distinct = len(all_sentences)
    assert len(texts["test"]) == pytest.approx(0.2 * distinct, abs=1)
    assert len(texts["training"]) == pytest.approx(0.6 * distinct, abs=1)
    assert [note for note in task.notes if note.startswith("Held out")]
    own = Tagging(path, test=write(tmp_path, generate(5, 7), "t.tsv"))
    assert own.sizes["test"][0] == 5
    assert own.sizes["training"][0] + own.sizes["validation"][0] == 300


def test_several_training_files_are_one_part(tmp_path: Path, files: dict[str, Any]) -> None:
    other = write(tmp_path, [[("zebra", "ANIMAL"), ("zebra", "ANIMAL"), (".", "PUNCT")]], "more.tsv")
    task = Tagging([files["paths"], other], validation=files["validation"], test=files["test"])
    assert task.classes == ("ANIMAL", "CONJ", "DET", "NAME", "NOUN", "PUNCT", "VERB")
    assert task.sizes["training"][0] == 81
    assert [task.classes[k] for k in answers_of(task, "zebra zebra .")] == ["ANIMAL", "ANIMAL", "PUNCT"]


def test_json_round_trip_gives_the_same_task(files: dict[str, Any]) -> None:
    task = Tagging(**files, batch=7, least=3, longest=9)
    data = json.loads(json.dumps(task.to_json(), allow_nan=False))
    loaded = load(data)
    assert isinstance(loaded, Tagging)
    assert loaded.to_json() == task.to_json()
    assert loaded.vocabulary == task.vocabulary
    assert loaded.readout == task.readout
    assert loaded.recommended == task.recommended
    assert loaded.notes == task.notes
    assert (loaded.batch(1, 2).tokens == task.batch(1, 2).tokens).all()
    assert (loaded.batch(1, 2).targets == task.batch(1, 2).targets).all()
    assert loaded.held_out(50) == task.held_out(50)


def test_run_without_its_files_can_be_opened(files: dict[str, Any]) -> None:
    task = Tagging(**files)
    data = task.to_json()
    files["test"].write_text(files["test"].read_text("utf-8") + "\nnew\tNOUN\n", "utf-8")
    changed = load(data)
    with pytest.raises(TaskError, match=r"test\.tsv: expected the data that this run was trained on.*have changed"):
        changed.held_out(10)
    files["test"].unlink()
    gone = load(data)
    assert gone.examples() == task.examples()
    assert answers_of(gone, gone.examples()[0]) == answers_of(task, task.examples()[0])
    assert gone.answers("the cat") is None
    assert gone.vocabulary == task.vocabulary
    for use in (lambda: gone.batch(0, 0), lambda: gone.quantities("the cat"), lambda: gone.score(lambda s: [])):
        with pytest.raises(TaskError, match="cannot be read again"):
            use()


@pytest.mark.parametrize("missing", ["sources", "options", "sha256", "classes", "vocabulary", "examples"])
def test_from_json_refuses_damaged_descriptions(files: dict[str, Any], missing: str) -> None:
    data = Tagging(**files).to_json()
    with pytest.raises(TaskError, match=f"expected the key '{missing}', got none"):
        load({key: value for key, value in data.items() if key != missing})
    with pytest.raises(TaskError):
        load({**data, missing: 3})
    with pytest.raises(TaskError, match="expected a description of the task 'tagging', got 'counter'"):
        Tagging.from_json({"name": "counter"})


def test_wrong_lines_of_all_files_are_listed_at_once(tmp_path: Path, files: dict[str, Any]) -> None:
    bad = tmp_path / "bad.tsv"
    bad.write_text("the\tDET\ncat\nsaw\tVERB\tx\n\n\tNOUN\na\tDET\n", "utf-8")
    test = tmp_path / "bad_test.tsv"
    test.write_text("the\tDET\ndog\t\n", "utf-8")
    with pytest.raises(TaskError) as caught:
        Tagging(bad, test=test)
    message = str(caught.value)
    for part in (
        "bad.tsv",
        "Line 2: Expected a label, got none",
        "Line 3: Expected 2 columns, got 3",
        "Line 5: Expected a token, got an empty one",
    ):
        assert part in message
    assert "bad_test.tsv" in message
    test.write_text("the\tDET\ndog\tBEAST\n", "utf-8")
    with pytest.raises(TaskError, match=r"Line 2: Expected one of the labels .*, got 'BEAST'"):
        Tagging(files["paths"], test=test)
    skipping = Tagging(
        write(tmp_path, [*generate(80, 0), [("dog", "")]], "skip.tsv"), test=files["test"], skip_bad=True
    )
    assert "skip.tsv, Line" in skipping.notes[0]


def test_files_and_settings_out_of_range_are_refused(tmp_path: Path, files: dict[str, Any]) -> None:
    def refused(match: str, *args: Any, **settings: Any) -> None:
        with pytest.raises(TaskError, match=match):
            Tagging(*args, **settings)

    path = files["paths"]
    refused("Files to train on: expected a file", None)
    refused("Files to train on: expected a file", [])
    refused("got nothing", tmp_path / "none.tsv")
    refused("at least two different labels, got only 'A'", write(tmp_path, [[("a", "A")] * 4] * 10, "one.tsv"))
    refused("expected enough data", write(tmp_path, [[("a", "A"), ("b", "B")]] * 30, "same.tsv"))
    refused("from 1 to 2, as on the first line with a token, got 3", path, token=3)
    refused("label: expected the number of a column, from 1, got 'upos'", path, label="upos")
    refused("three positive shares that sum to 1", path, parts=(0.5, 0.5, 0.5))
    refused("batch: expected an integer", path, batch=-1)
    refused("longest: expected an integer", path, longest=0)
    refused("occur 999 times or more", path, least=999)
    refused("names: expected None", path, names=["a"])
    refused("Files of labels: expected none", path, labels=path)
    refused("expected either arrays of frames only", path, test=tmp_path / "frames.npy")


def test_conllu_columns_and_pieces_of_a_long_sentence(tmp_path: Path) -> None:
    lines = [f"{k}\t{token}\t{token}\t{tag}" + "\t_" * 6 for k, (token, tag) in enumerate(generate(1, 0)[0], 1)]
    path = tmp_path / "bank.conllu"
    path.write_text("# text = of a comment\n" + "\n".join(lines) + "\n", "utf-8")
    task = Tagging(path, validation=path, test=path, token=2, label="4", least=1, longest=3)
    assert [task.classes[k] for k in answers_of(task, task.held_out(1)) if k >= 0] == [
        tag for _, tag in generate(1, 0)[0]
    ]
    count = len(generate(1, 0)[0]) + 1
    batch = task.batch(0, 0)
    assert len(batch.tokens) == -(-count // 3), "pieces of about three steps"
    assert batch.lengths.sum() == count
