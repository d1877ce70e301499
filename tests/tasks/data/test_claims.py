"""The sentences of eighteen words, against a second reading of the same English."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks.sentiment import claims

ADJECTIVE = "(good|happy|bad|sad)"


def last_claim(sentence: str) -> int:
    """What the last adjective says: 1 good, -1 bad; read from the back with patterns."""
    kept = re.sub(r" (right now|earlier)$", "", sentence)
    found = re.search(rf"\bnot (?:very |at all )?(?:{ADJECTIVE} or )?(?P<a>{ADJECTIVE})$", kept)
    if found:
        return -1 if found["a"] in ("good", "happy") else 1
    return 1 if kept.split()[-1] in ("good", "happy") else -1


def test_there_are_as_many_sentences_as_the_grammar_has() -> None:
    # 20 parts; of two simple parts that say the same of different adjectives 2 * (6 * 6 - 2 * 4 - 2 * 1);
    # 2 * 4 plain parts before the two denied adjectives of the other kind; 2 forms with 4 orders of "or"
    assert len(claims.sentences()) == (20 + 2 * (6 * 6 - 2 * 4 - 2 * 1) + 2 * 4 * 2 + 2 * 4) * 9


def test_each_sentence_says_what_its_last_claim_says() -> None:
    for sentence, label in claims.sentences().items():
        assert last_claim(sentence) == 2 * label - 1, sentence
        assert claims.memory(sentence.split())[1][-1] == 2 * label - 1, sentence


def test_the_words_are_eighteen_and_all_of_them_are_trained_on() -> None:
    assert len(set(claims.WORDS)) == len(claims.WORDS) == 18
    trained = [sentence for sentence in claims.sentences() if claims.part_of(sentence) == 0]
    assert {word for sentence in trained for word in sentence.split()} == set(claims.WORDS)


def test_what_tutorials_have_is_among_them() -> None:
    said = {
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
    assert {text: claims.sentences()[text] for text in said} == said


def test_memory_word_by_word() -> None:
    waits, said = claims.memory(["i", "am", "not", "very", "happy", "or", "sad", "and", "good"])
    assert waits.tolist() == [0, 0, 1, 1, 0, 1, 0, 0, 0]
    assert said.tolist() == [0, 0, 0, 0, -1, -1, 1, 1, 1]


@given(st.lists(st.sampled_from(claims.WORDS)))
def test_memory_of_any_words_knows_nothing_of_what_follows(words: list[str]) -> None:
    waits, said = claims.memory(words)
    assert waits.shape == said.shape == (len(words),)
    for k in range(len(words) + 1):
        before = claims.memory(words[:k])
        np.testing.assert_array_equal(before[0], waits[:k])
        np.testing.assert_array_equal(before[1], said[:k])
