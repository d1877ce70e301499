"""Tests of the evidence in a text, against the baseline on every beginning of the text, and plain loops."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks.measures.baselines import BagOfWords
from gatescope.tasks.sentiment.evidence import at_steps, negated, quantities
from gatescope.vocabulary import Vocabulary

TEXTS = ["a fine day", "a bad day", "not bad , not fine", "so so", "a so so day"]
BASELINES = {
    2: BagOfWords.fit(TEXTS, np.array([1, 0, 0, 1, 1]), 2),
    3: BagOfWords.fit(TEXTS, np.array([2, 0, 0, 1, 1]), 3),
}
WORDS = Vocabulary.of_words(" ".join(TEXTS).split(), "\n")
CHARACTERS = Vocabulary.of(" ".join(TEXTS) + "xyz\n", "\n")


def odds(baseline: BagOfWords, text: str, label: int) -> float:
    """Return the log-odds of a class, from its probability."""
    p = np.exp(baseline.log_probabilities([text])[0])
    return float(np.log(p[label] / np.delete(p, label).sum()))


@pytest.mark.parametrize("classes", [2, 3])
@given(words=st.lists(st.sampled_from(["a", "fine", "bad", "so", "day", "never-seen", ","]), max_size=9))
def test_log_odds_equal_the_baseline_on_every_beginning(classes: int, words: list[str]) -> None:
    baseline = BASELINES[classes]
    result = quantities(WORDS, " ".join(words) + "\n", baseline)
    steps = WORDS.encode(" ".join(words) + "\n")
    # The vocabulary and the baseline both split unknown text into words.
    beginnings = [" ".join(words[:k]) for k in range(1, len(words) + 1)] + [" ".join(words)]
    assert len(steps) == len(beginnings)
    for label in range(classes) if classes > 2 else []:
        expected = [odds(baseline, text, label) for text in beginnings]
        np.testing.assert_allclose(result[f"log_odds_{label}"], expected, atol=1e-10)
    expected = [odds(baseline, text, classes - 1) for text in beginnings]
    np.testing.assert_allclose(result["log_odds"], expected, atol=1e-10)
    alone = [odds(baseline, word, classes - 1) - odds(baseline, "", classes - 1) for word in words]
    np.testing.assert_allclose(result["word"], [*alone, alone[-1] if alone else 0.0], atol=1e-10)


def test_quantities_of_words_by_hand() -> None:
    result = quantities(WORDS, "Not what , bad\n", None)
    assert result["so_far"].tolist() == [1, 2, 3, 4, 4]
    assert result["unknown"].tolist() == [False, True, False, False, False]
    assert result["negated"].tolist() == [True, True, False, False, False]
    assert set(result) == {"so_far", "unknown", "negated"}


def test_quantities_of_characters_count_complete_words() -> None:
    result = quantities(CHARACTERS, "no, so\n", BASELINES[2])
    #                                     n  o  ,  _  s  o  end
    assert result["so_far"].tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert result["negated"].tolist() == [False, False, True, False, False, False, False]
    assert result["log_odds"][0] == pytest.approx(odds(BASELINES[2], "", 1))
    assert result["log_odds"][-1] == pytest.approx(odds(BASELINES[2], "no, so", 1))


def negations(words: list[str]) -> list[bool]:
    """Return whether a negation is open after each word, by a loop."""
    after_words, negation = [], False
    for word in words:
        if re.fullmatch(r"[.,!?;]", word):
            negation = False
        if word in ("not", "never", "isn't"):
            negation = True
        after_words.append(negation)
    return after_words


@given(st.lists(st.sampled_from(["not", "never", "isn't", "good", "nothing's", ",", ".", "!"])))
def test_negation_ends_at_the_next_punctuation_mark(words: list[str]) -> None:
    assert negated(words).tolist() == negations(words)


@given(st.text("ab ,\n"))
def test_quantities_have_a_value_for_every_step(text: str) -> None:
    for vocabulary in (WORDS, CHARACTERS, Vocabulary(("a", "b", "\n"), "\n", "token")):
        steps = len(vocabulary.encode(text))
        result = quantities(vocabulary, text, BASELINES[3])
        assert {len(values) for values in result.values()} == {steps}


def test_at_steps_repeats_values_of_words() -> None:
    (lengths,) = at_steps(CHARACTERS, "So fine\n", lambda words: [np.array([len(word) for word in words])])
    assert lengths.tolist() == [0, 0, 2, 2, 2, 2, 2, 4]
    assert [v.tolist() for v in at_steps(WORDS, "", lambda words: [np.zeros(len(words))])] == [[]]
