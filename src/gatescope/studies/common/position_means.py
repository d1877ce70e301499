"""What the position in the sequence alone explains, taken off.

In a task all sequences of which look alike, most features go with the position, and so do most neurons. A neuron that
depends on the position alone then seems to follow all of these features. So a label of a feature that is no function
of the position must show more: at the same position, the neuron must differ between sequences as the feature does.

`M` place of one half, `N` neuron, `L` lag, `K` binary feature, `C` count, `G` position.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.studies.common.place_layout import Layout
from gatescope.studies.common.scores import Halves
from gatescope.studies.common.steps import Steps

MAX_POSITIONS = 1000  # later places of a sequence count as one position
MIN_VARIANCE_SHARE = 0.01  # of a feature, at the same position: with less, it is a function of the position


class PositionMeans:
    """The positions of the places of both halves.

    Args:
        steps: the places of the text.
        divided: the two halves; no sequence is in both.
        layout: the rows of the places.
    """

    def __init__(self, steps: Steps, divided: Halves, layout: Layout) -> None:
        self.layout = layout
        position = np.minimum(steps.step, MAX_POSITIONS)
        self._groups = [torch.from_numpy(position[half]) for half in (divided.fit, divided.held_out)]
        self._sizes = [torch.bincount(groups, minlength=1).clamp(min=1) for groups in self._groups]
        self._group_of_row = np.full((2, layout.size), -1, np.int64)
        for half, groups in enumerate(self._groups):
            self._group_of_row[half, layout.halves[half]] = groups.numpy()

    def residuals(self, values: NDArray[np.float32], half: int) -> NDArray[np.float32]:
        """Return values (N, M) of a half minus their mean at the same position."""
        groups, doubles = self._groups[half], torch.from_numpy(values).double()
        sums = torch.zeros((len(values), len(self._sizes[half])), dtype=torch.float64)
        means = sums.scatter_add_(1, groups.expand(doubles.shape), doubles) / self._sizes[half]
        return (doubles - means.index_select(1, groups)).float().numpy()

    def feature_spreads(
        self, rows: Sequence[NDArray[np.int64]], lags: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the root of the sum of squares of each binary feature at the same position, and in all.

        Args:
            rows: for each feature, the rows at which it is on.
            lags: the lags.

        Returns:
            (2, L, K) each, for both halves.
        """
        within, total = np.zeros((2, 2, len(lags), len(rows)))
        owner = np.repeat(np.arange(len(rows)), list(map(len, rows)))
        on = np.concatenate([*rows, np.zeros(0, np.int64)])
        for half, group_of_row in enumerate(self._group_of_row):
            sizes = self._sizes[half].numpy()
            for number, lag in enumerate(lags):
                group = group_of_row[on + lag]
                hit = group >= 0
                keys = owner[hit] * len(sizes) + group[hit]
                counts = np.bincount(keys, minlength=len(rows) * len(sizes)).reshape(len(rows), len(sizes))
                ones = counts.sum(1)
                within[half, number] = ones - (counts**2 / sizes).sum(1)
                total[half, number] = ones - ones**2 / sizes.sum()
        return np.sqrt(np.maximum(within, 0)), np.sqrt(np.maximum(total, 0))

    def count_residuals(self, numbers: NDArray[np.float32], half: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return counts (M, C) of a half minus their mean at the same position, 0 where unknown.

        Returns:
            The residuals, (M, C), and for each count whether it varies at the same position, (C,).
        """
        groups, known = self._groups[half], torch.from_numpy(~np.isnan(numbers))
        counts = torch.from_numpy(np.nan_to_num(numbers)).double()
        sums, sizes = torch.zeros((2, len(self._sizes[half]), numbers.shape[1]), dtype=torch.float64)
        sums.index_add_(0, groups, counts)
        sizes.index_add_(0, groups, known.double())
        residuals = torch.where(known, counts - (sums / sizes.clamp(min=1))[groups], 0.0)
        overall = torch.where(known, counts - counts.sum(0) / known.sum(0).clamp(min=1), 0.0)
        varies = (residuals**2).sum(0) > MIN_VARIANCE_SHARE * (overall**2).sum(0)
        return residuals.float().numpy(), varies.numpy()
