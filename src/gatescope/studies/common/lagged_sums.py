"""Sums of a signal over the places where a feature is on, for all neurons, features and lags at once.

Scores such as the area under the ROC curve, the correlation and the regression of a count are linear in the feature:
they follow from sums of ranks or values. Most features are on at a few places only, so adding up the rows of those
places takes a tenth of the time of a matrix product. Two more properties of the features of a text save half of the
additions:

* Many are the same feature at another lag: "the previous character is e" two steps later is "the character is e" three
  steps later. Each set of places is added up once.
* Many features are on together: those of one character depend on the character alone. Rows at which the same features
  of a group are on are added up once for all of these features, and the most frequent rows not at all.

`R` row of a `Layout`, `N` neuron, `L` lag, `K` binary feature, `C` count, `U` pattern of places where a count is known,
`B` set of rows at which the same features of a group are on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.studies.common.place_layout import Layout

MAX_COMBINATIONS = 32  # of features of a group that are on together: more save fewer additions than they cost
CHUNK_ROWS = 2048  # rows that are added up in single precision before they are added in double precision


class BinarySums:
    """The binary features of one half of a text, for sums over the places where they are on.

    Args:
        layout: the rows of the text.
        half: 0: the half of the fit, 1: the held-out half.
        rows: for each binary feature, the rows at which it is on, ascending.
        lags: the L steps by which a signal may follow a feature.

    Attributes:
        window: the rows around the half, for the values.
    """

    def __init__(self, layout: Layout, half: int, rows: Iterable[NDArray[np.int64]], lags: Sequence[int]) -> None:
        self.window = window = layout.window(half)
        self._lags = lags

        def inside(of_feature: NDArray[np.int64]) -> NDArray[np.int64]:
            first, last = np.searchsorted(of_feature, [window.first, window.first + window.count])
            return of_feature[first:last] - window.first

        everywhere, lists = inside(layout.filled), list(map(inside, rows))
        self._first = _first_equal(lists, lags, layout.halves[half] - window.first, window.count)
        prepared: dict[bytes, _Sums] = {}
        self._sums: list[_Sums] = []
        for number in range(len(lags)):
            columns = np.flatnonzero(self._first[number] == number * len(lists) + np.arange(len(lists)))
            if columns.tobytes() not in prepared:
                prepared[columns.tobytes()] = _Sums(columns, everywhere, lists, window.count)
            self._sums.append(prepared[columns.tobytes()])

    def at(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Add up the values some steps after the places where each feature is on.

        Args:
            values: (window size, N), from `Window.spread`.

        Returns:
            (L, K, N).
        """
        matrix, neurons = torch.from_numpy(values), values.shape[1]
        added = [torch.zeros((sums.size, neurons), dtype=torch.float64) for sums in self._sums]
        for number, first in enumerate(range(0, self.window.count, CHUNK_ROWS)):
            for k, (lag, sums) in enumerate(zip(self._lags, self._sums, strict=True)):
                start = self.window.margin + first + lag
                indices, offsets = sums.chunks[number]
                part = matrix[start : start + CHUNK_ROWS]
                # Mode 0 is a sum. `torch.nn.functional.embedding_bag` takes longer to check its arguments than to add.
                added[k] += torch.embedding_bag(part, indices, offsets, mode=0, include_last_offset=True)[0]
        result = torch.empty((*self._first.shape, neurons), dtype=torch.float64)
        for of_lag, sums, total in zip(result, self._sums, added, strict=True):
            sums.write(total, of_lag)
        return result.flatten(0, 1)[torch.from_numpy(self._first)].numpy()


def _first_equal(
    lists: Sequence[NDArray[np.int64]], lags: Sequence[int], places: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """Return for each lag and feature the first lag and feature, as l * K + k, with the same places of a half, (L, K).

    Places are the same if their random numbers of 64 bits have the same sum.

    Args:
        lists: for each feature, the rows at which it is on.
        lags: the lags.
        places: the rows of the half.
        size: the number of rows; a lag may lead outside.
    """
    margin = max(map(abs, lags))
    numbers = np.zeros(size + 2 * margin, np.uint64)
    numbers[places + margin] = np.random.default_rng(0).integers(1 << 64, size=len(places), dtype=np.uint64)
    first = np.empty((len(lags), len(lists)), np.int64)
    seen: dict[int, int] = {}
    for k, rows in enumerate(lists):
        for number, lag in enumerate(lags):
            key = int(numbers[margin + lag : margin + lag + size][rows].sum())
            first[number, k] = seen.setdefault(key, number * len(lists) + k)
    return first


class _Sums:
    """The sums for some features at one lag.

    Args:
        columns: the numbers of the features.
        everywhere: all rows that hold a place, ascending.
        lists: for each feature, the rows at which it is on.
        count: the number of rows.

    Attributes:
        chunks: for each chunk of rows the indices and the offsets of `_chunked`.
        size: the number of sums, B.
    """

    def __init__(
        self, columns: NDArray[np.int64], everywhere: NDArray[np.int64], lists: Sequence[NDArray[np.int64]], count: int
    ) -> None:
        parts = [everywhere]  # the first sum is that of all rows
        self._groups: list[tuple[torch.Tensor, slice, torch.Tensor, torch.Tensor]] = []
        for members, signatures, code in _groups([lists[k] for k in columns.tolist()], len(everywhere), count):
            of_row = code[everywhere]
            sizes = np.bincount(of_row, minlength=len(signatures))
            sorted_rows = np.split(everywhere[np.argsort(of_row, kind="stable")], np.cumsum(sizes)[:-1])
            largest = int(sizes.argmax())
            others = [k for k in range(len(sizes)) if k != largest]
            # A feature that is on in the largest set is the sum of all rows minus the sets in which it is off.
            weights = signatures[others].T - signatures[largest][:, None].astype(np.float64)
            of_group = slice(len(parts), len(parts) + len(others))
            parts += [sorted_rows[k] for k in others]
            whole = torch.from_numpy(signatures[largest].astype(np.float64))[:, None]
            self._groups.append((torch.from_numpy(columns[members]), of_group, torch.from_numpy(weights), whole))
        self.chunks, self.size = list(_chunked(parts, count)), len(parts)

    def write(self, sums: torch.Tensor, target: torch.Tensor) -> None:
        """Write the sums of the features (K, N) that follow from the sums of the sets of rows (B, N) to a target."""
        for columns, of_group, weights, whole in self._groups:
            target[columns] = weights @ sums[of_group] + whole * sums[:1]


def _groups(
    lists: Sequence[NDArray[np.int64]], filled: int, count: int
) -> Iterator[tuple[list[int], NDArray[np.bool_], NDArray[np.int64]]]:
    """Divide features into groups of neighbours that are on in few different combinations.

    Args:
        lists: for each feature, the rows at which it is on.
        filled: the number of rows that hold a place.
        count: the number of rows.

    Yields:
        The numbers of the features of a group, which of them are on in each combination, and the combination of each
        row, which is overwritten for the next group.
    """
    code, sizes, members = np.zeros(count, np.int64), np.array([filled]), []
    signatures = np.zeros((1, 0), np.bool_)
    for k, rows in enumerate(lists):
        on = np.bincount(code[rows], minlength=len(sizes))
        if members and len(sizes) + ((on > 0) & (on < sizes)).sum() > MAX_COMBINATIONS:
            yield members, signatures, code
            code[:], sizes, members = 0, np.array([filled]), []
            signatures, on = np.zeros((1, 0), np.bool_), np.array([len(rows)])
        divided = np.flatnonzero((on > 0) & (on < sizes))
        moved_to = np.arange(len(sizes))
        moved_to[divided] = len(sizes) + np.arange(len(divided))
        code[rows] = moved_to[code[rows]]
        is_on = np.append((on > 0) & (on == sizes), np.ones(len(divided), np.bool_))
        signatures = np.column_stack([np.concatenate([signatures, signatures[divided]]), is_on])
        sizes = np.append(sizes, on[divided])
        sizes[divided] -= on[divided]
        members.append(k)
    if members:
        yield members, signatures, code


def _chunked(lists: Sequence[NDArray[np.int64]], size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Divide lists of rows into chunks of rows.

    Yields:
        For each chunk the rows from its start on, one list after the other, and where each list begins and the last
        one ends.
    """
    owner = np.repeat(np.arange(len(lists)), list(map(len, lists)))
    rows = np.concatenate(lists)
    order = np.argsort(rows // CHUNK_ROWS, kind="stable")
    rows, owner = rows[order], owner[order]
    ends = np.searchsorted(rows // CHUNK_ROWS, np.arange(-(-size // CHUNK_ROWS) + 1))
    for start, end in pairwise(ends.tolist()):
        offsets = np.searchsorted(owner[start:end], np.arange(len(lists) + 1))
        indices = torch.from_numpy((rows[start:end] % CHUNK_ROWS).astype(np.int32))
        yield indices, torch.from_numpy(offsets.astype(np.int32))


class CountSums:
    """The counts of one half of a text, for the sums from which their regressions follow.

    Args:
        layout: the rows of the text.
        half: 0: the half of the fit, 1: the held-out half.
        numbers: (R, C), NaN where a count is not known.
        lags: the L steps by which a neuron may follow a count.

    Attributes:
        window: the rows around the half, for the values.
        n: the number of places at which a count is known, (L, C).
        y, yy: the sums of the count, and of its square, minus the mean of the count, (L, C).
    """

    def __init__(self, layout: Layout, half: int, numbers: NDArray[np.float32], lags: Sequence[int]) -> None:
        self.window, self._lags = layout.window(half), lags
        known = ~np.isnan(numbers)
        numbers = np.where(known, numbers - np.nanmean(numbers, axis=0, dtype=np.float64), 0)
        patterns, self._pattern = np.unique(np.packbits(known, axis=0), axis=1, return_inverse=True)
        first = [int(np.flatnonzero(self._pattern == k)[0]) for k in range(patterns.shape[1])]
        # One row for each count, then one for each pattern of places where counts are known.
        self._rows = torch.zeros((numbers.shape[1] + len(first), self.window.size))
        start = self.window.first - self.window.margin
        begin, end = max(0, start), min(len(numbers), start + self.window.size)
        self._rows[: numbers.shape[1], begin - start : end - start] = torch.from_numpy(numbers[begin:end].T)
        self._rows[numbers.shape[1] :, begin - start : end - start] = torch.from_numpy(known[begin:end, first].T)
        self.n, self.y, self.yy = np.zeros((3, len(lags), numbers.shape[1]))
        for number, lag in enumerate(lags):
            at = self._rows[:, torch.from_numpy(layout.halves[half] - lag - start)].double().numpy()
            y, known_at = at[: numbers.shape[1]], at[numbers.shape[1] :]
            self.n[number] = known_at.sum(1)[self._pattern]
            self.y[number], self.yy[number] = y.sum(1), (y * y).sum(1)

    def at(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
        """Add up the values at the places where each count is known.

        Args:
            values: (N, window size), minus an origin of their own, from `Window.padded`.

        Returns:
            The sums of x, of x², and of x times the count, (N, L, C) each.
        """
        counts, neurons, margin = len(self._pattern), len(values), self.window.margin
        sums = torch.zeros((len(self._lags) * len(self._rows), neurons), dtype=torch.float64)
        squares = torch.zeros((len(self._lags) * (len(self._rows) - counts), neurons), dtype=torch.float64)
        for start in range(margin, self.window.size - margin, CHUNK_ROWS):
            part = torch.from_numpy(values[:, start : min(start + CHUNK_ROWS, self.window.size - margin)])
            rows = torch.stack([self._rows[:, start - lag : start - lag + part.shape[1]] for lag in self._lags])
            sums += rows.flatten(0, 1) @ part.T
            squares += rows[:, counts:].flatten(0, 1) @ (part * part).T
        by_lag = sums.reshape(len(self._lags), len(self._rows), neurons).numpy()
        xx = squares.reshape(len(self._lags), -1, neurons).numpy()[:, self._pattern]
        return tuple(
            array.transpose(2, 0, 1) for array in (by_lag[:, counts:][:, self._pattern], xx, by_lag[:, :counts])
        )
