"""Labelled texts, encoded as token ids, and batches of texts of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from gatescope.tasks.base.task import TRAINING, Batch, TaskError, generator
from gatescope.tasks.sentiment.sentiment_parts import LabelledPart
from gatescope.vocabulary import PADDING, Ids, Vocabulary

END = "\n"
Units = Literal["word", "token", "character"]

POOL_BATCHES = 64  # whose texts are sorted by length together
_DROPOUT_STREAM = 2  # of random numbers; the batches have another stream


@dataclass(frozen=True)
class Encoded:
    """The ids of N texts, one text after the other, each with its end mark.

    Attributes:
        ids: (T,) the ids of all texts.
        starts: (N + 1,) the first step of each text, and the end of the last.
        labels: (N,) the class of each text.
    """

    ids: Ids
    starts: Int[np.ndarray, " N1"]
    labels: Int[np.ndarray, " N"]

    @classmethod
    def of(cls, vocabulary: Vocabulary, part: LabelledPart) -> Encoded:
        """Encode texts with a vocabulary."""
        pieces = [vocabulary.encode(text) for text in _joined(part.texts)]
        ids = np.concatenate([np.empty(0, np.int32), *pieces])
        ends = np.flatnonzero(ids == vocabulary.size - 1)  # the end mark is the last symbol
        return cls(ids, np.concatenate([[0], ends + 1]), part.labels)

    @property
    def lengths(self) -> Int[np.ndarray, " N"]:
        """The steps of each text."""
        return np.diff(self.starts)

    def sequences(self) -> list[Ids]:
        """Return the ids of each text."""
        return np.split(self.ids, self.starts[1:-1])

    def epoch(self, size: int, seed: int, number: int) -> list[NDArray[np.int64]]:
        """Draw the texts of each batch of an epoch; they are sorted by length in pools of 64 batches.

        The few texts that do not fill a batch are left out, different ones in each epoch.

        Args:
            size: texts in a batch.
            seed: the seed of the training.
            number: the number of the epoch.
        """
        random = generator(TRAINING, seed, number)
        drawn = random.permutation(len(self.labels))
        drawn = drawn[: len(drawn) // size * size]
        pools = [drawn[k : k + POOL_BATCHES * size] for k in range(0, len(drawn), POOL_BATCHES * size)]
        rows = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        return list(rows.reshape(-1, size)[random.permutation(len(rows) // size)])

    def batch(self, chosen: NDArray[np.int64], longest: int) -> Batch:
        """Return the last `longest` steps of the chosen texts as rows; the target is the class at the last step."""
        length = np.minimum(self.lengths[chosen], longest)
        filled = np.arange(int(length.max())) < length[:, None]
        tokens, targets = (np.full(filled.shape, PADDING, dtype=np.int32) for _ in range(2))
        ends = self.starts[chosen + 1].tolist()
        # Boolean indexing fills row by row.
        tokens[filled] = np.concatenate([self.ids[end - n : end] for end, n in zip(ends, length.tolist(), strict=True)])
        targets[np.arange(len(chosen)), length - 1] = self.labels[chosen]
        return Batch(tokens, targets)


def with_word_dropout(batch: Batch, vocabulary: Vocabulary, share: float, seed: int, step: int) -> Batch:
    """Replace random symbols, but never the end mark, by the unknown symbol.

    Args:
        batch: the batch, which is not changed.
        vocabulary: the vocabulary of its ids.
        share: the probability to replace a symbol.
        seed: the seed of the training.
        step: the number of the batch; seed and step determine the draw.

    Source: M. Iyyer et al., Deep unordered composition rivals syntactic methods for text classification, ACL 2015,
    section 4.2 ("word dropout").
    """
    tokens = batch.tokens.copy()
    dropped = generator(_DROPOUT_STREAM, seed, step).random(tokens.shape) < share
    protected = (tokens == PADDING) | (tokens == vocabulary.size - 1)  # the end mark is the last symbol
    tokens[dropped & ~protected] = vocabulary.unknown
    return Batch(tokens, batch.targets)


def vocabulary_of(texts: Sequence[str], unit: Units, least: int, most: int) -> Vocabulary:
    """Return the vocabulary of texts, with the end mark as the last symbol. Words are in lower case.

    Args:
        texts: the training texts.
        unit: the unit of a step.
        least: how often a word must occur to be a symbol.
        most: the most words that are symbols.

    Raises:
        TaskError: no word occurs `least` times.
    """
    if unit == "character":
        return Vocabulary((*Vocabulary.of("".join(texts)).symbols, END), END)
    splitter = Vocabulary((END,), END, unit)
    pieces = (splitter.labels(text.lower() if unit == "word" else text) for text in _joined(texts))
    words = (word for piece in pieces for word in piece if word != END)
    try:
        return Vocabulary.of_words(words, END, unit=unit, least=least, most=most)
    except ValueError as error:
        raise TaskError("SENTIMENT_LEAST_TOO_LARGE", least=least) from error


def _joined(texts: Sequence[str]) -> Iterator[str]:
    """Yield a thousand texts at a time, each with its end mark."""
    for k in range(0, len(texts), 1000):
        yield "".join(text + END for text in texts[k : k + 1000])
