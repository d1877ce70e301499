"""No text stands on two sides, against a plain search for every text in every other."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.sentiment.dividing import FEW, PASSAGE, divided, families, normal

LARGEST = 1_000_000


def longest_holder(texts: list[str], k: int) -> int:
    """The number of the longest text that text k is a part of, by looking at all; the first of equals."""
    words = [normal(text).split() for text in texts]
    own = words[k]
    if not PASSAGE[0] <= len(own) <= PASSAGE[1]:
        return words.index(own)
    held = [
        (-len(other), j)
        for j, other in enumerate(words)
        if any(other[start : start + len(own)] == own for start in range(len(other) - len(own) + 1))
    ]
    return min(held)[1]


@given(st.lists(st.lists(st.sampled_from("abAB"), min_size=1, max_size=9).map(" ".join), max_size=12))
def test_families_are_those_of_a_plain_search(texts: list[str]) -> None:
    assert families(texts).tolist() == [longest_holder(texts, k) for k in range(len(texts))]


def test_families_of_many_words() -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["a", "b", "c"], random.integers(1, 70))) for _ in range(30)]
    texts += [" ".join(text.split()[2:9]) for text in texts]
    assert families(texts).tolist() == [longest_holder(texts, k) for k in range(len(texts))]


def five(k: int) -> str:
    """Five words that no other number has."""
    return " ".join(f"{letter}{k}" for letter in "abcde")


def table(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return str(path)


ROWS = [(five(k), "odd" if k % 2 else "even") for k in range(1000)]
PHRASES = [(" ".join(text.split()[-4:]), label) for text, label in ROWS[::3]] + ROWS + [(ROWS[5][0].upper(), "odd")]


def test_parts_have_nothing_in_common(tmp_path: Path) -> None:
    found = divided([table(tmp_path / "a.tsv", PHRASES)], largest=LARGEST)
    assert sum(found.sizes) == len(PHRASES)
    assert found.classes == ("even", "odd")
    assert found.notes == ()
    assert found.sizes[1] == pytest.approx(len(PHRASES) / 10, abs=3)
    assert found.sizes[2] == pytest.approx(len(PHRASES) / 10, abs=3)
    labels = dict(PHRASES)
    parts = [found.training, found.validation, found.test]
    for part in parts:
        assert [labels[text] for text in part.texts] == [found.classes[k] for k in part.labels]
        for other in parts:
            if part is not other:
                texts = " | ".join(map(normal, other.texts))
                assert not [text for text in part.texts if f" {normal(text)} " in f" {texts} "]
    again = divided([table(tmp_path / "a.tsv", PHRASES)], largest=LARGEST)
    assert again.test.texts == found.test.texts
    assert again.sha256 == found.sha256


def test_files_of_their_own(tmp_path: Path) -> None:
    train, middle, last = (
        table(tmp_path / f"{name}.tsv", rows)
        for name, rows in (("a", ROWS[:500]), ("b", ROWS[490:600]), ("c", ROWS[595:700]))
    )
    found = divided([train], middle, last, largest=LARGEST)
    assert found.sizes == (490, 105, 105)
    assert found.test.texts == tuple(text for text, _ in ROWS[595:700])
    assert found.notes == (
        "5 texts of the validation file are in the test file, too, and left out.",
        "10 texts of the training part are in the validation file, too, and left out.",
    )
    assert divided([train, middle], test=last, largest=LARGEST).sizes[2] == 105
    assert divided([train], middle, largest=LARGEST).sizes[1] == 110


def test_of_few_texts_the_loss_is_that_of_the_training_part(tmp_path: Path) -> None:
    few = table(tmp_path / "a.tsv", ROWS[:FEW])
    found = divided([few], largest=LARGEST)
    assert found.validation == found.training
    assert found.sizes[2] == FEW // 10
    assert "only 200 texts" in found.notes[0]
    assert divided([table(tmp_path / "b.tsv", ROWS[: FEW + 1])], largest=LARGEST).validation != found.training


def test_contrary_labels_are_told(tmp_path: Path) -> None:
    contrary = [*ROWS[:300], (ROWS[0][0].title(), "odd"), (ROWS[2][0], "even")]
    found = divided([table(tmp_path / "a.tsv", contrary)], largest=LARGEST)
    assert found.notes == ("The files give more than one label to 1 text; none of these is left out.",)


def test_wrong_lines_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    first = table(tmp_path / "a.tsv", [*ROWS[:3], ("", "odd"), ("nothing", "")])
    second = table(tmp_path / "b.tsv", [*ROWS[:3], ("one\ttwo", "odd")])
    with pytest.raises(TaskError) as caught:
        divided([first], test=second, largest=LARGEST)
    message = str(caught.value)
    for part in (first, second, "line 5", "line 6", "the text is empty", "there is no label", "3 fields instead of 2"):
        assert part in message
    found = divided([table(tmp_path / "c.tsv", [*ROWS[:50], ("", "odd")])], skip_bad=True, largest=LARGEST)
    assert "Skipped in" in found.notes[0]
    assert "line 52" in found.notes[0]


def test_labels_of_a_test_file_must_be_known(tmp_path: Path) -> None:
    train = table(tmp_path / "a.tsv", ROWS[:50])
    test = table(tmp_path / "b.tsv", [("one", "odd"), ("two", "evne")])
    with pytest.raises(TaskError, match="line 3: the label 'evne' is none of the classes even, odd"):
        divided([train], test=test, largest=LARGEST)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:9], "There are 9 texts to train on in .*; give at least 10"),
        ([("the same text again", "odd")] * 6 + [("THE same text again", "even")] * 6, "There is no text to test on"),
    ],
)
def test_too_few(tmp_path: Path, rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        divided([table(tmp_path / "a.tsv", rows)], largest=LARGEST)
