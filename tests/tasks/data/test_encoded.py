"""Tests of encoded texts and their batches, against the texts one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.sentiment.encoded import POOL_BATCHES, Encoded, vocabulary_of, with_word_dropout
from gatescope.tasks.sentiment.sentiment_parts import LabelledPart

TEXTS = tuple(" ".join("abcdefg"[: 1 + k % 7]) for k in range(40))
PART = LabelledPart(TEXTS, np.arange(40) % 3)
VOCABULARY = vocabulary_of(TEXTS, "word", 1, 100)
ENCODED = Encoded.of(VOCABULARY, PART)


@given(st.lists(st.lists(st.sampled_from("abcz"), min_size=1, max_size=4).map(" ".join), max_size=9))
def test_encoded_texts_end_with_the_end_mark(texts: list[str]) -> None:
    for vocabulary in (VOCABULARY, vocabulary_of(TEXTS, "character", 1, 100), vocabulary_of(TEXTS, "token", 1, 100)):
        encoded = Encoded.of(vocabulary, LabelledPart(tuple(texts), np.zeros(len(texts), np.int64)))
        sequences = encoded.sequences() if texts else []
        expected = [vocabulary.encode(text + "\n") for text in texts]
        assert [row.tolist() for row in sequences] == [row.tolist() for row in expected]
        assert encoded.lengths.tolist() == [len(row) for row in expected]


def test_epoch_has_every_text_at_most_once() -> None:
    for number in range(3):
        rows = ENCODED.epoch(7, 0, number)
        assert [len(row) for row in rows] == [7] * 5
        drawn = np.concatenate(rows)
        assert len(set(drawn.tolist())) == 35
    assert not np.array_equal(np.concatenate(ENCODED.epoch(7, 0, 0)), np.concatenate(ENCODED.epoch(7, 0, 1)))
    assert not np.array_equal(np.concatenate(ENCODED.epoch(7, 0, 0)), np.concatenate(ENCODED.epoch(7, 1, 0)))


def test_batches_have_texts_of_similar_length() -> None:
    texts = tuple(" ".join("a" * (1 + k % 50)) for k in range(2 * POOL_BATCHES * 4))
    encoded = Encoded.of(VOCABULARY, LabelledPart(texts, np.zeros(len(texts), np.int64)))
    spread = [np.ptp(encoded.lengths[row]) for row in encoded.epoch(4, 0, 0)]
    assert max(spread) <= 3  # a pool of 256 texts has five of each of 50 lengths
    firsts = [encoded.lengths[row[0]] for row in encoded.epoch(4, 0, 0)]
    assert np.any(np.diff(firsts) < 0)  # batches are not sorted by length


def test_batch_by_hand() -> None:
    batch = ENCODED.batch(np.array([1, 0, 2]), 99)  # "a b", "a", "a b c"
    a, b, c, end = VOCABULARY.ids_of(["a", "b", "c", "\n"]).tolist()
    assert batch.tokens.tolist() == [[a, b, end, -1], [a, end, -1, -1], [a, b, c, end]]
    assert batch.targets.tolist() == [[-1, -1, 1, -1], [-1, 0, -1, -1], [-1, -1, -1, 2]]
    assert batch.lengths.tolist() == [3, 2, 4]
    cut = ENCODED.batch(np.array([1, 0, 2]), 2)
    assert cut.tokens.tolist() == [[b, end], [a, end], [c, end]]
    assert cut.targets.tolist() == [[-1, 1], [-1, 0], [-1, 2]]


def test_word_dropout_never_drops_the_end_mark() -> None:
    batch = ENCODED.batch(np.arange(40), 99)
    dropped, remaining = 0, 0
    for step in range(50):
        result = with_word_dropout(batch, VOCABULARY, 0.3, 1, step)
        changed = result.tokens != batch.tokens
        assert set(result.tokens[changed].tolist()) <= {VOCABULARY.unknown}
        dropped += int(changed.sum())
        remaining += int((~changed & (batch.tokens < VOCABULARY.size - 1)).sum())
        assert not changed[(batch.tokens == -1) | (batch.tokens == VOCABULARY.size - 1)].any()
        np.testing.assert_array_equal(result.targets, batch.targets)
    remaining -= 50 * int((batch.tokens == -1).sum())
    assert dropped / (dropped + remaining) == pytest.approx(0.3, abs=0.02)  # 4 standard deviations of 8,000 draws
    first, repeated, other = (with_word_dropout(batch, VOCABULARY, 0.3, 1, step).tokens for step in (7, 7, 8))
    np.testing.assert_array_equal(first, repeated)
    assert not np.array_equal(first, other)


def test_word_dropout_depends_on_the_seed() -> None:
    """Two trainings with different seeds drop different words at the same step."""
    batch = ENCODED.batch(np.arange(40), 99)
    tokens = [with_word_dropout(batch, VOCABULARY, 0.3, seed, 7).tokens for seed in range(5)]
    assert len({array.tobytes() for array in tokens}) == 5


def test_vocabulary_has_lower_case_words_and_unchanged_tokens() -> None:
    texts = ["It's GOOD, so-so !", "Good"]
    assert set(vocabulary_of(texts, "word", 1, 99).symbols) == {"it's", "good", ",", "so-so", "!", "\n"}
    assert set(vocabulary_of(texts, "token", 1, 99).symbols) == {"It's", "GOOD,", "so-so", "!", "Good", "\n"}
    assert set(vocabulary_of(texts, "character", 1, 99).symbols) == {*"It's GOOD, so-so !Good", "\n"}
    assert vocabulary_of(texts, "word", 2, 99).symbols == ("good", "\n")
    assert vocabulary_of(texts, "word", 1, 1).symbols == ("good", "\n")
    with pytest.raises(TaskError, match="least: expected words that occur 3 times or more"):
        vocabulary_of(texts, "word", 3, 99)
