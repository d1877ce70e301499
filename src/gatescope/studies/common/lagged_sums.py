"""Sums of a signal over the places where a feature is on, for all neurons, features and lags at once.

Scores such as the area under the ROC curve, the correlation and the regression of a count are linear in the feature:
they follow from sums of ranks or values. Most features are on at a few places only, so adding up the rows of those
places takes a tenth of the time of a matrix product. A feature that is on at most places is added up where it is off.

`R` row of a `Layout`, `N` neuron, `L` lag, `K` binary feature, `C` count, `U` pattern of places where a count is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from gatescope.studies.common.place_layout import Layout

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

        everywhere = inside(layout.filled)
        lists, off = [everywhere], []  # the first list stands for a feature that is on everywhere
        for of_feature in rows:
            on = inside(of_feature)
            off.append(2 * len(on) > len(everywhere))
            lists.append(np.setdiff1d(everywhere, on, assume_unique=True) if off[-1] else on)
        self._off = torch.tensor(off)[:, None]
        self._chunks = list(_chunked(lists, window.count))

    def at(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Add up the values some steps after the places where each feature is on.

        Args:
            values: (window size, N), from `Window.spread`.

        Returns:
            (L, K, N).
        """
        matrix = torch.from_numpy(values)
        sums = torch.zeros((len(self._lags), len(self._off) + 1, values.shape[1]), dtype=torch.float64)
        for number, (indices, offsets) in enumerate(self._chunks):
            first = self.window.margin + number * CHUNK_ROWS
            for k, lag in enumerate(self._lags):
                part = matrix[first + lag : first + lag + CHUNK_ROWS]
                sums[k] += embedding_bag(indices, part, offsets, mode="sum", include_last_offset=True)
        return torch.where(self._off, sums[:, :1] - sums[:, 1:], sums[:, 1:]).numpy()


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
