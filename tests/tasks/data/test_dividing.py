"""Tests of the parts of labelled texts, against a plain search for every text in every other."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.sentiment.sentiment_parts import (
    MAX_SHARED_TEXTS,
    PASSAGE_WORDS,
    longest_holders,
    normalised,
    read_parts,
)

MAX_BYTES = 1_000_000


def longest_holder(texts: list[str], k: int) -> int:
    """Return the number of the longest text that contains text k, by a plain search; the first of equal ones."""
    words = [normalised(text).split() for text in texts]
    own = words[k]
    if not PASSAGE_WORDS[0] <= len(own) <= PASSAGE_WORDS[1]:
        return words.index(own)
    holders = [
        (-len(other), j)
        for j, other in enumerate(words)
        if any(other[start : start + len(own)] == own for start in range(len(other) - len(own) + 1))
    ]
    return min(holders)[1]


@given(st.lists(st.lists(st.sampled_from("abAB"), min_size=1, max_size=9).map(" ".join), max_size=12))
def test_longest_holders_equal_a_plain_search(texts: list[str]) -> None:
    assert longest_holders(texts).tolist() == [longest_holder(texts, k) for k in range(len(texts))]


def test_longest_holders_of_long_texts() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["a", "b", "c"], random.integers(1, 70))) for _ in range(30)]
    texts += [" ".join(text.split()[2:9]) for text in texts]
    assert longest_holders(texts).tolist() == [longest_holder(texts, k) for k in range(len(texts))]


def five(k: int) -> str:
    """Return five words that no other number has."""
    return " ".join(f"{letter}{k}" for letter in "abcde")


def table(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return str(path)


ROWS = [(five(k), "odd" if k % 2 else "even") for k in range(1000)]
PHRASES = [(" ".join(text.split()[-4:]), label) for text, label in ROWS[::3]] + ROWS + [(ROWS[5][0].upper(), "odd")]


def test_parts_have_no_text_in_common(tmp_path: Path) -> None:
    parts = read_parts([table(tmp_path / "a.tsv", PHRASES)], largest=MAX_BYTES)
    assert sum(parts.sizes) == len(PHRASES)
    assert parts.classes == ("even", "odd")
    assert parts.notes == ()
    assert parts.sizes[1] == pytest.approx(len(PHRASES) / 10, abs=3)
    assert parts.sizes[2] == pytest.approx(len(PHRASES) / 10, abs=3)
    labels = dict(PHRASES)
    three = [parts.training, parts.validation, parts.test]
    for part in three:
        assert [labels[text] for text in part.texts] == [parts.classes[k] for k in part.labels]
        for other in three:
            if part is not other:
                texts = " | ".join(map(normalised, other.texts))
                assert not [text for text in part.texts if f" {normalised(text)} " in f" {texts} "]
    same = read_parts([table(tmp_path / "a.tsv", PHRASES)], largest=MAX_BYTES)
    assert same.test.texts == parts.test.texts
    assert same.sha256 == parts.sha256


def test_validation_and_test_files_are_parts(tmp_path: Path) -> None:
    train, middle, last = (
        table(tmp_path / f"{name}.tsv", rows)
        for name, rows in (("a", ROWS[:500]), ("b", ROWS[490:600]), ("c", ROWS[595:700]))
    )
    parts = read_parts([train], middle, last, largest=MAX_BYTES)
    assert parts.sizes == (490, 105, 105)
    assert parts.test.texts == tuple(text for text, _ in ROWS[595:700])
    assert parts.notes == (
        "5 texts of the validation file are also in the test file, and left out.",
        "10 texts of the training part are also in the validation file, and left out.",
    )
    assert read_parts([train, middle], test=last, largest=MAX_BYTES).sizes[2] == 105
    assert read_parts([train], middle, largest=MAX_BYTES).sizes[1] == 110


def test_few_texts_share_training_and_validation(tmp_path: Path) -> None:
    few = table(tmp_path / "a.tsv", ROWS[:MAX_SHARED_TEXTS])
    parts = read_parts([few], largest=MAX_BYTES)
    assert parts.validation == parts.training
    assert parts.sizes[2] == MAX_SHARED_TEXTS // 10
    assert "only 200 texts" in parts.notes[0]
    assert (
        read_parts([table(tmp_path / "b.tsv", ROWS[: MAX_SHARED_TEXTS + 1])], largest=MAX_BYTES).validation
        != parts.training
    )


def test_contradictory_labels_are_noted(tmp_path: Path) -> None:
    contradictory = [*ROWS[:300], (ROWS[0][0].title(), "odd"), (ROWS[2][0], "even")]
    parts = read_parts([table(tmp_path / "a.tsv", contradictory)], largest=MAX_BYTES)
    assert parts.notes == ("The files give more than one label to 1 text. All of them are used.",)


def test_wrong_lines_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    first = table(tmp_path / "a.tsv", [*ROWS[:3], ("", "odd"), ("nothing", "")])
    second = table(tmp_path / "b.tsv", [*ROWS[:3], ("one\ttwo", "odd")])
    with pytest.raises(TaskError) as caught:
        read_parts([first], test=second, largest=MAX_BYTES)
    message = str(caught.value)
    for part in (first, second, "Line 5", "Line 6", "a text, got an empty", "a label, got none", "2 fields, got 3"):
        assert part in message
    parts = read_parts([table(tmp_path / "c.tsv", [*ROWS[:50], ("", "odd")])], skip_bad=True, largest=MAX_BYTES)
    assert "Skipped in" in parts.notes[0]
    assert "Line 52" in parts.notes[0]


def test_unknown_labels_of_a_test_file_are_refused(tmp_path: Path) -> None:
    train = table(tmp_path / "a.tsv", ROWS[:50])
    test = table(tmp_path / "b.tsv", [("one", "odd"), ("two", "evne")])
    with pytest.raises(TaskError, match="Line 3, column 'label': Expected one of the labels even, odd, got 'evne'"):
        read_parts([train], test=test, largest=MAX_BYTES)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:9], "Training texts: expected at least 10, got 9 in .*"),
        (
            [("the same text again", "odd")] * 6 + [("THE same text again", "even")] * 6,
            "The test part: expected texts that are not in the training part",
        ),
    ],
)
def test_too_few_texts_are_refused(tmp_path: Path, rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read_parts([table(tmp_path / "a.tsv", rows)], largest=MAX_BYTES)
