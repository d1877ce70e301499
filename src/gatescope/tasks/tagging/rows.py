"""The rows of batches: sequences of similar length, long ones cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from gatescope.tasks.base.task import generator
from gatescope.vocabulary import PADDING, Ids, Reading

ROWS_STREAM = 2  # of random numbers, beside those of `gatescope.tasks.base.task`
LENGTH_NOISE = 0.2  # relative; it is added before lengths are sorted, so that neighbours differ between epochs

Piece = tuple[int, slice]
"""The number of a sequence, and a slice of its steps."""


@dataclass(frozen=True)
class Rows:
    """The batches of sequences; an epoch has every step of every sequence once.

    A sequence longer than `longest` is cut into the fewest pieces that are not longer on average, all of similar
    length. Each epoch shifts the cuts by up to half a piece to either side, and draws the batches anew.

    Attributes:
        lengths: (N,) the steps of each of N sequences, at least 1.
        size: pieces in a batch; one batch of an epoch may have fewer.
        longest: the most steps of a piece, on average.
    """

    lengths: Int[np.ndarray, " N"]
    size: int
    longest: int
    _memory: dict[tuple[int, int], list[list[Piece]]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def epoch(self) -> int:
        """The number of batches in an epoch."""
        return int(-(-self._pieces.sum() // self.size))

    @property
    def _pieces(self) -> Int[np.ndarray, " N"]:
        return -(-self.lengths // self.longest)

    def batch(self, seed: int, step: int) -> list[Piece]:
        """Return the pieces of a batch; they depend on seed and step alone."""
        epoch, number = divmod(step, self.epoch)
        if (seed, epoch) not in self._memory:
            self._memory.clear()
            self._memory[seed, epoch] = self._draw_epoch(seed, epoch)
        return self._memory[seed, epoch][number]

    def _draw_epoch(self, seed: int, epoch: int) -> list[list[Piece]]:
        """Draw the batches of an epoch."""
        random = generator(ROWS_STREAM, seed, epoch)
        pieces = self._pieces
        owner = np.repeat(np.arange(len(pieces)), pieces)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        shift = np.repeat(random.uniform(-0.5, 0.5, len(pieces)), pieces)
        size = np.repeat(self.lengths / pieces, pieces)
        begin = np.where(place > 0, np.round((place + shift) * size), 0).astype(np.int64)
        last = place == np.repeat(pieces - 1, pieces)
        end = np.where(last, self.lengths[owner], np.append(begin[1:], 0))
        noise = random.uniform(1 - LENGTH_NOISE, 1 + LENGTH_NOISE, len(owner))
        order = np.argsort((end - begin) * noise, kind="stable")
        groups = [order[k : k + self.size] for k in range(0, len(order), self.size)]
        batches = [[(int(owner[k]), slice(int(begin[k]), int(end[k]))) for k in group] for group in groups]
        return [batches[k] for k in random.permutation(len(batches))]


def padded(rows: Sequence[Reading]) -> Reading:
    """Return ids (T,) as rows (B, T), padded with -1; or numbers (T, I) as rows (B, T, I), padded with NaN."""
    longest = max(map(len, rows))
    if rows[0].ndim == 2:
        numbers = np.full((len(rows), longest, rows[0].shape[1]), np.nan, dtype=np.float32)
        for row, values in zip(numbers, rows, strict=True):
            row[: len(values)] = values
        return numbers
    ids: Ids = np.full((len(rows), longest), PADDING, dtype=np.int32)
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = values
    return ids
