"""Confidence intervals of means: the bootstrap over independent units of a text.

`D` draw, `U` unit (a sequence, or a block of steps), `K` row of values, `C` value.

Source: Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979); percentile intervals.
Blocks of neighbouring steps, for one long text: Carlstein, Annals of Statistics 14 (1986).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95  # the share of intervals that cover the true value
BLOCK_STEPS = 100  # steps that are resampled together if a text is one sequence


def resampled(units: int, draws: int, seed: int) -> NDArray[np.float64]:
    """Return how often each unit occurs in each bootstrap draw, (D, U).

    Each draw takes as many units as there are, with replacement. One matrix product with the result resamples all
    columns of a table at once, with the same units for all.
    """
    random = np.random.default_rng(seed)
    return np.array([np.bincount(random.integers(0, units, units), minlength=units) for _ in range(draws)], np.float64)


def interval(values: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the percentiles between which `LEVEL` of the draws lie, along the first axis of (D, ...).

    Both are NaN if there is no draw.
    """
    if not len(values):
        unknown = np.full(values.shape[1:], np.nan)
        return unknown, unknown
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def bounds_of_means(values: NDArray[np.float64], draws: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Compute the percentile interval of the mean of each row, (K, C) -> (2, K), with the same draws for all rows.

    NaN for fewer than two values.
    """
    count = values.shape[1]
    if count < 2:
        return np.full((2, len(values)), np.nan)
    means = np.stack([values[:, random.integers(count, size=count)].mean(1) for _ in range(draws)])
    return np.stack(interval(means))
