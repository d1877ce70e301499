"""Signals moved to other places of the text, so that they have nothing to do with its features any more.

The null hypothesis of a label is: the neuron follows this feature no better than it follows a feature of the same kind
of another text. A sample of it is the same signal read at other places. A good sample keeps what both have of their
own - their values, and how slowly they change - and breaks only what relates them:

* Different sequences are exchanged, so that a signal meets the features of another sequence.
* Every sequence is read from a place of its own, and backwards from its end, so that nothing jumps. A shift of the
  whole text would leave sequences of one length in step: every feature of the position would survive it, or come
  back at another lag.
* One long text is read from a random place too. For a fast signal, the text is shifted cyclically, and each block of it
  is rotated by a distance of its own. That breaks what has a period, such as a season. Every rotation makes two jumps,
  over which a signal forgets, so a block is many times as long as the memory of the signal (see
  `gatescope.studies.common.signal_memory`).
* For a signal too slow for two such blocks, the text is read forwards to its end and back again, without any jump. A
  cyclic shift joins the end to the beginning, so that a slow signal would fit less by chance than it does.

`M` place of one half.

Source: Politis and Romano, "A circular block-resampling procedure for stationary data" (1992), for rotations;
Phipson and Smyth, "Permutation p-values should never be zero" (2010), for the count of the sample itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCKS = 64  # into which a half of one long text is cut, at most
MIN_BLOCK_STEPS = 64
MEMORIES_OF_BLOCK = 20  # memories of a signal in a block, at least: the jumps then take about 5 % of its variance
MIN_SHIFT = 0.1  # of a half that is one sequence: less would leave slow features nearly in place


class Relocations:
    """Random places of one half from which the places of the half read a signal.

    Blocks have a size of their own for each level: the shortest at level 0, twice as long at each further level, and
    none at the last level.

    Args:
        sequence: the number of the sequence of each place, (M,); the places of a sequence are neighbours.
        exchange: whether sequences are exchanged; otherwise each reads itself.

    Attributes:
        last_level: the level without blocks; 0 if every sequence is too short for two blocks.
    """

    def __init__(self, sequence: NDArray[np.int64], *, exchange: bool) -> None:
        starts = np.concatenate([[0], np.flatnonzero(np.diff(sequence)) + 1])
        self._starts, self._lengths = starts, np.diff(starts, append=len(sequence))
        self._exchange = exchange
        self._block_steps = max(MIN_BLOCK_STEPS, -(-len(sequence) // BLOCKS))
        self.last_level = int(np.log2(max(1, int(self._lengths.max()) // self._block_steps)))
        self._blocks = [self._blocks_of(level) for level in range(self.last_level)]

    def levels(self, memories: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the lowest level whose blocks are long enough for each memory, (N,).

        Args:
            memories: the memory of each neuron in steps, (N,).
        """
        doubled = np.ceil(np.log2(np.maximum(1, MEMORIES_OF_BLOCK * memories / self._block_steps)))
        return np.minimum(doubled, self.last_level).astype(np.int64)

    def draw(self, random: np.random.Generator, level: int = 0) -> NDArray[np.int64]:
        """Return the place from which each place reads, (M,), with blocks of a level."""
        if self._exchange or level >= self.last_level:
            places = self._back_and_forth(random)
        else:
            places = self._shifted(random)
        if level >= self.last_level:
            return places
        starts, lengths, divided = self._blocks[level]
        offsets = np.where(divided, random.integers(lengths), 0)
        return places[_rotated(starts, lengths, offsets)]

    def reads_once(self, level: int) -> bool:
        """Test whether every place is read exactly once at a level."""
        return not self._exchange and level < self.last_level

    def _blocks_of(self, level: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return the starts and the lengths of blocks, and whether each is one of several of its sequence."""
        counts = np.maximum(1, self._lengths // (self._block_steps << level))
        # The blocks of a sequence have nearly equal lengths; a sequence of one block is not divided.
        ends = [
            start + np.arange(1, n + 1) * length // n
            for start, n, length in zip(self._starts, counts, self._lengths, strict=True)
        ]
        starts = np.concatenate([[0], np.concatenate(ends)[:-1]])
        return starts, np.diff(starts, append=int(self._lengths.sum())), np.repeat(counts > 1, counts)

    def _shifted(self, random: np.random.Generator) -> NDArray[np.int64]:
        if len(self._lengths) == 1:
            offsets = np.array([round(random.uniform(MIN_SHIFT, 1 - MIN_SHIFT) * self._lengths[0])])
        else:
            offsets = random.integers(self._lengths)
        return _rotated(self._starts, self._lengths, offsets)

    def _back_and_forth(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Read each sequence, or another one, from a random place on, forwards to its end and back again."""
        order = random.permutation(len(self._starts)) if self._exchange else np.arange(len(self._starts))
        source = np.repeat(self._lengths[order], self._lengths)
        steps = np.arange(len(source)) - np.repeat(self._starts, self._lengths)
        steps = (steps + np.repeat(random.integers(2 * self._lengths[order]), self._lengths)) % (2 * source)
        return np.repeat(self._starts[order], self._lengths) + np.where(steps < source, steps, 2 * source - 1 - steps)


def _rotated(starts: NDArray[np.int64], lengths: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of parts one after the other, each part from its offset on, cyclically."""
    ends = np.cumsum(lengths)
    within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths) + np.repeat(offsets, lengths)
    length = np.repeat(lengths, lengths)
    within -= np.where(within >= length, length, 0)
    return np.repeat(starts, lengths) + within
