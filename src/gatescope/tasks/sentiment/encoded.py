"""Texts of a class each as a network reads them: the symbols of all, and batches of texts of about the same length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from gatescope.tasks.base.task import TRAINING, Batch, TaskError, generator
from gatescope.tasks.sentiment.dividing import Labelled
from gatescope.vocabulary import PADDING, Ids, Vocabulary

END = "\n"
Units = Literal["word", "token", "character"]

POOL = 64  # batches whose texts are put in the order of their lengths together
_LOST = 2  # the stream of random numbers that says which words are not read; never that of the batches


@dataclass(frozen=True)
class Encoded:
    """The ids of some texts, one after the other, each with its end mark.

    Arguments:
        ids: of all symbols.
        starts: (N + 1,) where each text begins, and where the last one ends.
        labels: (N,) numbers of the classes.
    """

    ids: Ids
    starts: Int[np.ndarray, " N1"]
    labels: Int[np.ndarray, " N"]

    @classmethod
    def of(cls, vocabulary: Vocabulary, part: Labelled) -> Encoded:
        """What a network of this vocabulary reads of some texts."""
        pieces = [vocabulary.encode(text) for text in _joined(part.texts)]
        ids = np.concatenate([np.empty(0, np.int32), *pieces])
        ends = np.flatnonzero(ids == vocabulary.size - 1)  # the end mark is the last symbol
        return cls(ids, np.concatenate([[0], ends + 1]), part.labels)

    @property
    def lengths(self) -> Int[np.ndarray, " N"]:
        """Steps of each text."""
        return np.diff(self.starts)

    def sequences(self) -> list[Ids]:
        """The ids of each text."""
        return np.split(self.ids, self.starts[1:-1])

    def epoch(self, size: int, seed: int, number: int) -> list[NDArray[np.int64]]:
        """The texts of each batch of an epoch: drawn at random, sorted by length in pools of 64 batches.

        The few that do not fill a batch are left out; which they are differs from epoch to epoch.
        """
        random = generator(TRAINING, seed, number)
        drawn = random.permutation(len(self.labels))
        drawn = drawn[: len(drawn) // size * size]
        pools = [drawn[k : k + POOL * size] for k in range(0, len(drawn), POOL * size)]
        rows = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        return list(rows.reshape(-1, size)[random.permutation(len(rows) // size)])

    def batch(self, chosen: NDArray[np.int64], longest: int) -> Batch:
        """The last `longest` steps of some texts, side by side; what is asked for is the class at the last step."""
        length = np.minimum(self.lengths[chosen], longest)
        filled = np.arange(int(length.max())) < length[:, None]
        tokens, targets = (np.full(filled.shape, PADDING, dtype=np.int32) for _ in range(2))
        ends = self.starts[chosen + 1].tolist()
        # a mask is filled row by row
        tokens[filled] = np.concatenate([self.ids[end - n : end] for end, n in zip(ends, length.tolist(), strict=True)])
        targets[np.arange(len(chosen)), length - 1] = self.labels[chosen]
        return Batch(tokens, targets)


def with_words_lost(batch: Batch, vocabulary: Vocabulary, share: float, seed: int, step: int) -> Batch:
    """A batch of which a share of the symbols is read as unknown, drawn by the seed and the step; never the end mark.

    Source: M. Iyyer et al., Deep unordered composition rivals syntactic methods for text classification, ACL 2015,
    section 4.2 ("word dropout").
    """
    tokens = batch.tokens.copy()
    lost = generator(_LOST, seed, step).random(tokens.shape) < share
    kept = (tokens == PADDING) | (tokens == vocabulary.size - 1)  # the end mark is the last symbol
    tokens[lost & ~kept] = vocabulary.unknown
    return Batch(tokens, batch.targets)


def vocabulary_of(texts: Sequence[str], unit: Units, least: int, most: int) -> Vocabulary:
    """What stands in the texts, and the end mark as the last symbol. Words are in small letters.

    Raises: TaskError where no word occurs `least` times.
    """
    if unit == "character":
        return Vocabulary((*Vocabulary.of("".join(texts)).symbols, END), END)
    cut = Vocabulary((END,), END, unit)
    pieces = (cut.labels(text.lower() if unit == "word" else text) for text in _joined(texts))
    words = (word for piece in pieces for word in piece if word != END)
    try:
        return Vocabulary.of_words(words, END, unit=unit, least=least, most=most)
    except ValueError as error:
        raise TaskError(str(error)) from error


def _joined(texts: Sequence[str]) -> Iterator[str]:
    """A thousand texts at a time, each with its end mark."""
    for k in range(0, len(texts), 1000):
        yield "".join(text + END for text in texts[k : k + 1000])
