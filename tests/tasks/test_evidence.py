"""What the words so far say, against the baseline asked about every beginning of a text, and plain loops."""

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
    """The log-odds of a class, from its probability."""
    p = np.exp(baseline.log_probabilities([text])[0])
    return float(np.log(p[label] / np.delete(p, label).sum()))


@pytest.mark.parametrize("classes", [2, 3])
@given(words=st.lists(st.sampled_from(["a", "fine", "bad", "so", "day", "never-seen", ","]), max_size=9))
def test_log_odds_are_those_of_the_baseline_on_every_beginning(classes: int, words: list[str]) -> None:
    baseline = BASELINES[classes]
    found = quantities(WORDS, " ".join(words) + "\n", baseline)
    steps = WORDS.encode(" ".join(words) + "\n")
    # the vocabulary cuts what it does not know into words, which the baseline does as well
    beginnings = [" ".join(words[:k]) for k in range(1, len(words) + 1)] + [" ".join(words)]
    assert len(steps) == len(beginnings)
    for label in range(classes) if classes > 2 else []:
        expected = [odds(baseline, text, label) for text in beginnings]
        np.testing.assert_allclose(found[f"log_odds_{label}"], expected, atol=1e-10)
    expected = [odds(baseline, text, classes - 1) for text in beginnings]
    np.testing.assert_allclose(found["log_odds"], expected, atol=1e-10)
    alone = [odds(baseline, word, classes - 1) - odds(baseline, "", classes - 1) for word in words]
    np.testing.assert_allclose(found["word"], [*alone, alone[-1] if alone else 0.0], atol=1e-10)


def test_of_words_by_hand() -> None:
    found = quantities(WORDS, "Not what , bad\n", None)
    assert found["so_far"].tolist() == [1, 2, 3, 4, 4]
    assert found["unknown"].tolist() == [False, True, False, False, False]
    assert found["negated"].tolist() == [True, True, False, False, False]
    assert set(found) == {"so_far", "unknown", "negated"}


def test_of_characters_a_word_counts_once_the_one_behind_it_was_read() -> None:
    found = quantities(CHARACTERS, "no, so\n", BASELINES[2])
    #                                     n  o  ,  _  s  o  end
    assert found["so_far"].tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert found["negated"].tolist() == [False, False, True, False, False, False, False]
    assert found["log_odds"][0] == pytest.approx(odds(BASELINES[2], "", 1))
    assert found["log_odds"][-1] == pytest.approx(odds(BASELINES[2], "no, so", 1))


def closed(words: list[str]) -> list[bool]:
    """Whether a negation is open, word by word."""
    found, open_ = [], False
    for word in words:
        if re.fullmatch(r"[.,!?;]", word):
            open_ = False
        if word in ("not", "never", "isn't"):
            open_ = True
        found.append(open_)
    return found


@given(st.lists(st.sampled_from(["not", "never", "isn't", "good", "nothing's", ",", ".", "!"])))
def test_negation_goes_to_the_next_punctuation_mark(words: list[str]) -> None:
    assert negated(words).tolist() == closed(words)


@given(st.text("ab ,\n"))
def test_there_is_a_value_for_every_step_of_any_text(text: str) -> None:
    for vocabulary in (WORDS, CHARACTERS, Vocabulary(("a", "b", "\n"), "\n", "token")):
        steps = len(vocabulary.encode(text))
        found = quantities(vocabulary, text, BASELINES[3])
        assert {len(values) for values in found.values()} == {steps}


def test_a_function_of_words_is_taken_to_the_steps() -> None:
    (lengths,) = at_steps(CHARACTERS, "So fine\n", lambda words: [np.array([len(word) for word in words])])
    assert lengths.tolist() == [0, 0, 2, 2, 2, 2, 2, 4]
    assert [v.tolist() for v in at_steps(WORDS, "", lambda words: [np.zeros(len(words))])] == [[]]
