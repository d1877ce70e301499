"""Places of a text as rows of matrices, with empty rows between sequences.

A feature some steps before a place is the feature some rows above. The empty rows keep sequences apart, so that no lag
reaches from one sequence into another, and all lags of a sum are views of one matrix.

`P` place, `R` row, `M` place of one half.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import TRANSPOSED_ROWS, Scratch
from gatescope.studies.common.scores import Halves
from gatescope.studies.common.steps import Steps

MIN_INSIDE = 0.75  # of the places: as many must have a place of the same sequence at a lag


class Layout:
    """The rows of the places of a text.

    Args:
        steps: the places of the text.
        divided: the two halves of the text. A sequence of which no place is in a half has no rows.
        lags: the lags that must not leave a sequence.

    Attributes:
        margin: the number of empty rows between two sequences.
        size: the number of rows, R.
        row: the row of each place, (P,); -1 for places without a row.
        filled: the rows that hold a place, ascending, (P',).
        halves: the rows of the places of the fit, and of the evaluation, (M,) each.
    """

    def __init__(self, steps: Steps, divided: Halves, lags: Sequence[int]) -> None:
        self.margin = max(1, *map(abs, lags))
        lengths = np.diff(steps.starts)
        in_half = [np.unique(steps.sequence[half]) for half in (divided.fit, divided.held_out)]
        # Sequences of the fit come first, so that the rows of a half are near each other.
        order = np.array(list(dict.fromkeys(np.concatenate(in_half).tolist())), np.int64)
        ends = np.cumsum(lengths[order] + self.margin) + self.margin
        begins = np.full(len(lengths), -1)
        begins[order] = ends - lengths[order] - self.margin
        self.size = int(ends[-1])
        first = begins[steps.sequence]
        self.row = np.where(first >= 0, first + steps.step, -1)
        self.filled = np.sort(self.row[self.row >= 0])
        self.halves = (self.row[divided.fit], self.row[divided.held_out])
        self._windows = [Window(rows, self.margin) for rows in self.halves]

    def rows_of(self, on: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the rows of the places at which a feature (P,) is on, ascending."""
        rows = self.row[np.flatnonzero(on)]
        return np.sort(rows[rows >= 0])

    def window(self, half: int) -> Window:
        """Return the rows around a half, the same window at every call."""
        return self._windows[half]


def lags_inside(steps: Steps, divided: Halves, lags: Sequence[int]) -> tuple[int, ...]:
    """Return the lags that lead to another place of the same sequence from most places of the halves, at least one.

    In sequences of eight steps, five steps later is hardly ever inside: a feature at such a lag would be scored on a
    few places only.
    """
    lengths = np.diff(steps.starts)[np.unique(steps.sequence[np.concatenate([divided.fit, divided.held_out])])]
    shares = [np.maximum(lengths - abs(lag), 0).sum() / lengths.sum() for lag in lags]
    return tuple(lag for lag, share in zip(lags, shares, strict=True) if share >= MIN_INSIDE) or tuple(lags[:1])


class Window:
    """The rows around a half: all its places, and as many empty rows before and after as two lags are long.

    Attributes:
        first: the first row from which a lag can reach a place of the half.
        count: the number of rows from there to the last such row.
        size: the number of rows of the window; it begins `margin` rows before `first`.
    """

    def __init__(self, rows: NDArray[np.int64], margin: int) -> None:
        self.margin = margin
        self.first = int(rows.min()) - margin
        self.count = int(rows.max()) + margin + 1 - self.first
        self.size = self.count + 2 * margin
        inside = rows - self.first + margin
        self._inside = inside
        self._contiguous = len(inside) == inside[-1] - inside[0] + 1
        self._empty = np.setdiff1d(np.arange(self.size), inside, assume_unique=True)
        self._scratch = Scratch()

    def spread(self, matrices: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
        """Return a matrix with the neurons of some matrices (N, M) as columns, and 0 in the rows outside the half.

        The next call of this method, or of `padded`, writes to the same memory.
        """
        ends = np.cumsum([len(matrix) for matrix in matrices]).tolist()
        joined = self._scratch.array((self.size, ends[-1]))
        joined[self._empty] = 0
        rows = self._inside
        for start in range(0, len(rows), TRANSPOSED_ROWS):
            # All matrices write to some rows before the next rows, so that these stay in the processor's cache.
            part = slice(start, start + TRANSPOSED_ROWS)
            target = slice(int(rows[start]), int(rows[start]) + len(rows[part])) if self._contiguous else rows[part]
            for matrix, end in zip(matrices, ends, strict=True):
                joined[target, end - len(matrix) : end] = matrix[:, part].T
        return joined

    def padded(self, values: NDArray[np.float32], origin: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return values (N, M) minus the origin of each neuron (N,), (N, size), with 0 outside the half.

        The next call of this method, or of `spread`, writes to the same memory.
        """
        padded = self._scratch.array((len(values), self.size))
        padded[:, self._empty] = 0
        if self._contiguous:
            inside = padded[:, self._inside[0] : self._inside[-1] + 1]
            np.subtract(values, origin[:, None], out=inside, casting="same_kind")
        else:
            padded[:, self._inside] = values - origin[:, None]
        return padded
