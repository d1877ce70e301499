"""Tests of the toy sentences, against an independent reading by regular expressions."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks.sentiment import claims

ADJECTIVE = "(good|happy|bad|sad)"


def last_claim(sentence: str) -> int:
    """Return the last claim of a sentence, 1 good or -1 bad, by regular expressions from its end."""
    claim = re.sub(r" (right now|earlier)$", "", sentence)
    match = re.search(rf"\bnot (?:very |at all )?(?:{ADJECTIVE} or )?(?P<a>{ADJECTIVE})$", claim)
    if match:
        return -1 if match["a"] in ("good", "happy") else 1
    return 1 if claim.split()[-1] in ("good", "happy") else -1


def test_number_of_sentences_is_that_of_the_grammar() -> None:
    # 20 parts; 2 * (6 * 6 - 2 * 4 - 2 * 1) pairs of simple parts with one meaning and different adjectives;
    # 2 * 4 plain parts before the two negated adjectives of the other kind; 2 forms with 4 orders of "or".
    assert len(claims.sentences()) == (20 + 2 * (6 * 6 - 2 * 4 - 2 * 1) + 2 * 4 * 2 + 2 * 4) * 9


def test_class_of_a_sentence_is_its_last_claim() -> None:
    for sentence, label in claims.sentences().items():
        assert last_claim(sentence) == 2 * label - 1, sentence
        assert claims.memory(sentence.split())[1][-1] == 2 * label - 1, sentence


def test_all_eighteen_words_are_trained_on() -> None:
    assert len(set(claims.WORDS)) == len(claims.WORDS) == 18
    trained = [sentence for sentence in claims.sentences() if claims.part_of(sentence) == 0]
    assert {word for sentence in trained for word in sentence.split()} == set(claims.WORDS)


def test_sentences_of_tutorials_are_included() -> None:
    expected = {
        "good": 1,
        "not bad": 1,
        "i am not very happy right now": 0,
        "this is not at all sad": 1,
        "i am good not bad": 1,
        "i am bad not good": 0,
        "this was very sad earlier": 0,
        "i was not good and not happy earlier": 0,
        "i am not at all bad or sad right now": 1,
    }
    assert {text: claims.sentences()[text] for text in expected} == expected


def test_memory_word_by_word() -> None:
    negated, claimed = claims.memory(["i", "am", "not", "very", "happy", "or", "sad", "and", "good"])
    assert negated.tolist() == [0, 0, 1, 1, 0, 1, 0, 0, 0]
    assert claimed.tolist() == [0, 0, 0, 0, -1, -1, 1, 1, 1]


@given(st.lists(st.sampled_from(claims.WORDS)))
def test_memory_does_not_depend_on_later_words(words: list[str]) -> None:
    negated, claimed = claims.memory(words)
    assert negated.shape == claimed.shape == (len(words),)
    for k in range(len(words) + 1):
        before = claims.memory(words[:k])
        np.testing.assert_array_equal(before[0], negated[:k])
        np.testing.assert_array_equal(before[1], claimed[:k])
