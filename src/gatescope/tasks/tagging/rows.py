"""Which sequences stand side by side in a batch: some of similar length, long ones in pieces.

`N` sequence, `P` piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from gatescope.tasks.base.task import generator
from gatescope.vocabulary import PADDING, Ids, Reading

ORDER = 2  # a stream of random numbers beside those of `gatescope.tasks.base.task`
SPREAD = 0.2  # by which share lengths are changed before they are sorted, so that neighbours differ between epochs

Piece = tuple[int, slice]
"""The number of a sequence, and which of its steps."""


@dataclass(frozen=True)
class Rows:
    """Batches of sequences; an epoch has every step of every sequence once.

    A sequence longer than `longest` is cut into the fewest pieces that are not longer on average, all about as long.
    Where it is cut is drawn anew for each epoch, by up to half a piece to either side; so is what stands together.

    Arguments:
        lengths: (N,) steps of each sequence, at least 1.
        size: pieces of a batch; the last one that is filled in an epoch may have fewer.
        longest: steps of a piece, on average.
    """

    lengths: Int[np.ndarray, " N"]
    size: int
    longest: int
    _memory: dict[tuple[int, int], list[list[Piece]]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def epoch(self) -> int:
        """Batches of an epoch."""
        return int(-(-self._pieces.sum() // self.size))

    @property
    def _pieces(self) -> Int[np.ndarray, " N"]:
        return -(-self.lengths // self.longest)

    def batch(self, seed: int, step: int) -> list[Piece]:
        """The pieces of one batch; a function of seed and step alone."""
        epoch, number = divmod(step, self.epoch)
        if (seed, epoch) not in self._memory:
            self._memory.clear()
            self._memory[seed, epoch] = self._drawn(seed, epoch)
        return self._memory[seed, epoch][number]

    def _drawn(self, seed: int, epoch: int) -> list[list[Piece]]:
        """The batches of an epoch."""
        random = generator(ORDER, seed, epoch)
        pieces = self._pieces
        owner = np.repeat(np.arange(len(pieces)), pieces)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        shift = np.repeat(random.uniform(-0.5, 0.5, len(pieces)), pieces)
        size = np.repeat(self.lengths / pieces, pieces)
        begin = np.where(place > 0, np.round((place + shift) * size), 0).astype(np.int64)
        last = place == np.repeat(pieces - 1, pieces)
        end = np.where(last, self.lengths[owner], np.append(begin[1:], 0))
        spread = random.uniform(1 - SPREAD, 1 + SPREAD, len(owner))
        order = np.argsort((end - begin) * spread, kind="stable")
        groups = [order[k : k + self.size] for k in range(0, len(order), self.size)]
        whole = [[(int(owner[k]), slice(int(begin[k]), int(end[k]))) for k in group] for group in groups]
        return [whole[k] for k in random.permutation(len(whole))]


def padded(rows: Sequence[Reading]) -> Reading:
    """Rows of ids (T,) as (B, T), -1 behind the end of each; of numbers (T, I) as (B, T, I), NaN behind it."""
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
