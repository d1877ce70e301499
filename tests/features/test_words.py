"""Tests of the families words and numbers, worked by hand and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.features import Feature, annotate, choose, numbers, words
from gatescope.readout import classes
from gatescope.vocabulary import Vocabulary

TEXT = 'The cat sat . He said " no way ! " Then 12 dogs\nA-b it\'s NASA 3.5\n'
WORDS = Vocabulary.of_words(TEXT.split(), end="\n")


def words_of(text: str, vocabulary: Vocabulary = WORDS) -> dict[str, Feature]:
    count = len(vocabulary.encode(text))
    return {feature.name: feature for feature in annotate([text], [words.family(vocabulary)], [count])}


def on(feature: Feature, text: str = TEXT) -> list[str]:
    """Return the words at which a feature is on."""
    labels = WORDS.labels(text)
    return [label for label, value in zip(labels, feature.values.tolist(), strict=True) if value]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("capital", ["The", "He", "Then", "A-b", "NASA"]),
        ("capitals", ["NASA"]),
        ("digits", ["12", "3.5"]),
        ("number", ["12", "3.5"]),
        ("hyphen", ["A-b"]),
        ("apostrophe", ["it's"]),
        ("punctuation", [".", '"', "!", '"']),
        ("first", ["The", "He", "Then", "A-b"]),
        ("last", [".", '"', "dogs", "3.5"]),
    ],
)
def test_words_by_hand(name: str, expected: list[str]) -> None:
    assert on(words_of(TEXT)[f"words.{name}"]) == expected


def test_words_categories_by_hand() -> None:
    features = words_of("the dog the\n")
    names = features["words.is"].categories
    assert names == ("the", "dog")  # the most frequent first; the end mark is not a word
    assert features["words.is"].values.tolist() == [0, 1, 0, -1]
    assert features["words.before"].values.tolist() == [-1, 0, 1, 0]
    endings = words_of("walking talking king\n")["words.ending"]
    assert (endings.categories, endings.values.tolist()) == (("ing",), [0, 0, 0, -1])
    many = words_of(" ".join(f"w{k}" for k in range(60)))
    assert len(many["words.is"].categories) == 50
    assert (many["words.is"].values == -1).sum() == 10


def test_words_positions_in_sentences() -> None:
    features = words_of("a b . c d\ne\n")
    np.testing.assert_array_equal(features["words.in_sentence"].values, [0, 1, 2, 0, 1, np.nan, 0, np.nan])
    np.testing.assert_array_equal(features["words.in_sequence"].values, range(8))
    np.testing.assert_array_equal(features["words.length"].values, [1, 1, 1, 1, 1, 1, 1, 1])


def test_words_categories_are_those_of_all_texts() -> None:
    texts = ["b a\n", "b c\n"]
    (first, *_) = annotate(texts, [words.family(WORDS)], [3, 3])
    assert first.categories == ("b", "a", "c")
    assert first.values.tolist() == [0, 1, -1, 0, 2, -1]


@given(st.text("ab.!\"' \n-1", max_size=30))
@settings(max_examples=50)
def test_words_fit_any_text(text: str) -> None:
    labels = WORDS.labels(text)
    features = words_of(text)
    assert all(len(feature.values) == len(labels) for feature in features.values())
    # Every sentence has exactly one first and one last word.
    firsts = int(features["words.first"].values.sum())
    assert firsts == int(features["words.last"].values.sum())
    assert firsts == int((features["words.in_sentence"].values == 0).sum())


# --- numbers ---------------------------------------------------------------------------------------------------------

SERIES = Vocabulary(("Price (EUR)", "Step", "price_eur"), None, "number")


def test_numbers_by_hand() -> None:
    text = "1,0,0\n3,0,0\n2,0,0\n2,0,1\n5,0,0\n"
    features = {feature.name: feature for feature in annotate([text], [numbers.family(SERIES)], [5])}
    np.testing.assert_array_equal(features["numbers.step"].values, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(features["numbers.price_eur"].values, [1, 3, 2, 2, 5])
    np.testing.assert_array_equal(features["numbers.price_eur.change"].values, [np.nan, 2, -1, 0, 3])
    assert features["numbers.price_eur.rising"].values.tolist() == [False, True, False, False, True]
    assert features["numbers.price_eur.high"].values.tolist() == [False, True, False, False, True]  # 1, 2, 2, 2, 2.6
    assert features["numbers.price_eur.peak"].values.tolist() == [False, False, True, False, False]
    assert features["numbers.number_2.trough"].values.tolist() == [False] * 5
    assert features["numbers.number_2.peak"].values.tolist() == [False, False, False, False, True]
    assert "numbers.number_1" in features  # "step" is taken
    assert features["numbers.price_eur"].title == "Price (EUR)"


@given(st.lists(st.integers(-3, 3), max_size=12))
@settings(max_examples=50)
def test_numbers_equal_a_plain_loop(values: list[int]) -> None:
    vocabulary = Vocabulary(("x",), None, "number")
    text = "".join(f"{value}\n" for value in values)
    features = {f.name: f.values for f in annotate([text], [numbers.family(vocabulary)], [len(values)])}
    for t, value in enumerate(values):
        assert features["numbers.x.high"][t] == (value > sum(values[: t + 1]) / (t + 1))
        peak = t > 1 and values[t - 2] < values[t - 1] > value
        trough = t > 1 and values[t - 2] > values[t - 1] < value
        assert (features["numbers.x.peak"][t], features["numbers.x.trough"][t]) == (peak, trough)


def test_choose_for_words_numbers_and_classes() -> None:
    def names(text: str, vocabulary: Vocabulary | None = None, **settings: object) -> list[str]:
        return [family.name for family in choose(text, vocabulary=vocabulary, **settings)]  # type: ignore[arg-type]

    assert names(TEXT, WORDS) == ["words", "quotes", "english"]
    assert names("f ( x )", Vocabulary(("x",), None, "token")) == ["words", "brackets"]
    assert names("1,2,3\n", SERIES) == ["numbers"]
    assert names("1,2,3\n", SERIES, readout=classes("ab")) == ["class", "numbers"]
    assert names(TEXT)[:3] == ["character", "neighbours", "position"]
    assert "words" not in names(TEXT, Vocabulary.of(TEXT))
