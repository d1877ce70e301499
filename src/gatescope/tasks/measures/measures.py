"""How good labels and forecasts are: the measures of the field, each with its source. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

Labels = Int[np.ndarray, " _"]
"""Numbers of classes, one for each thing that was told."""

Columns = Float[np.ndarray, " C"]


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for each.

    Arguments:
        counts: (K, K), rows what it is, columns what was predicted.

    `precision`, `recall` and `f1` are (K,), one for each class. They are NaN where they have no meaning: the precision
    of a class that was never predicted, the recall of one that never occurs, the F1 of one of which both is true.
    """

    counts: Int[np.ndarray, "K K"]

    @property
    def support(self) -> Int[np.ndarray, " K"]:
        """How often each class occurs."""
        return self.counts.sum(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of what was predicted that is right; NaN of nothing."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts)) / total if total else float("nan")

    @cached_property
    def precision(self) -> Float[np.ndarray, " K"]:
        """The share of the predictions of the class that are right."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=0))

    @cached_property
    def recall(self) -> Float[np.ndarray, " K"]:
        """The share of the members of the class that are predicted as such."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    @cached_property
    def f1(self) -> Float[np.ndarray, " K"]:
        """The harmonic mean of precision and recall, 0 where nothing of the class was found (van Rijsbergen 1979)."""
        return _ratio(2 * np.diag(self.counts), self.counts.sum(axis=0) + self.counts.sum(axis=1))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that occur or were predicted, each counted the same; NaN of nothing."""
        known = self.f1[~np.isnan(self.f1)]
        return float(known.mean()) if known.size else float("nan")


def confusion(predicted: Labels, expected: Labels, classes: int) -> Confusion:
    """How often each of so many classes was taken for each.

    Raises: ValueError where the two differ in length, or there is a number that is no class.
    """
    if len(predicted) != len(expected):
        raise ValueError(f"As many labels as predictions were expected; got {len(expected)} and {len(predicted)}.")
    both = np.concatenate([predicted, expected])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise ValueError(f"Classes are numbers from 0 to {classes - 1}; got {both.min()} to {both.max()}.")
    cells = expected.astype(np.int64) * classes + predicted
    return Confusion(np.bincount(cells, minlength=classes * classes).reshape(classes, classes))


def accuracy(predicted: Labels, expected: Labels) -> float:
    """The share of predictions that are right; NaN of nothing.

    Raises: ValueError where the two differ in length.
    """
    if len(predicted) != len(expected):
        raise ValueError(f"As many labels as predictions were expected; got {len(expected)} and {len(predicted)}.")
    return float(np.mean(predicted == expected)) if len(expected) else float("nan")


def mean_absolute_error(predicted: Float[np.ndarray, "*N C"], expected: Float[np.ndarray, "*N C"]) -> Columns:
    """MAE of each column, in its unit. NaN of nothing."""
    return _mean(np.abs(predicted - expected))


def naive_scale(training: Float[np.ndarray, "T C"], season: int = 1) -> Columns:
    """The mean absolute error, on the training part itself, of forecasting each step by the one a season before.

    Arguments: `season` = m steps; 1: the naive forecast, the last value. NaN where there are no more than m steps.

    Raises: ValueError for a season below 1.
    """
    if season < 1:
        raise ValueError(f"A season has at least one step; {season} was given.")
    return _mean(np.abs(training[season:] - training[:-season]))


def mean_absolute_scaled_error(
    predicted: Float[np.ndarray, "*N C"],
    expected: Float[np.ndarray, "*N C"],
    training: Float[np.ndarray, "T C"],
    season: int = 1,
) -> Columns:
    """MASE of each column: MAE divided by `naive_scale` of the training part. Below 1 it beats that forecast's error.

    Infinite or NaN for a column that is the same a season later throughout the training part.

    Source: R. J. Hyndman and A. B. Koehler, Another look at measures of forecast accuracy, International Journal of
    Forecasting 22 (2006) 679-688; the seasonal scale is in Hyndman and Athanasopoulos, Forecasting, section 5.8.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean_absolute_error(predicted, expected) / naive_scale(training, season)


def coverage(
    lower: Float[np.ndarray, "*N C"], upper: Float[np.ndarray, "*N C"], expected: Float[np.ndarray, "*N C"]
) -> Columns:
    """Return the share of values within their intervals for each column, ends included; NaN without values.

    Intervals between the quantiles 0.1 and 0.9 should cover 0.8.
    """
    return _mean(((lower <= expected) & (expected <= upper)).astype(np.float64))


def pinball_loss(predicted: Float[np.ndarray, "*N C"], expected: Float[np.ndarray, "*N C"], quantile: float) -> Columns:
    """Return the pinball loss of each column: smallest where `predicted` is the quantile; half the MAE at 0.5.

    Source: R. Koenker and G. Bassett, Regression quantiles, Econometrica 46 (1978) 33-50, equation 3.1.

    Raises: ValueError for a quantile that is not between 0 and 1.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"A quantile is between 0 and 1; {quantile} was given.")
    below = expected - predicted
    return _mean(np.maximum(quantile * below, (quantile - 1) * below))


def _mean(values: Float[np.ndarray, "*N C"]) -> Columns:
    """The mean of each column over everything else."""
    rows = values.reshape(-1, values.shape[-1])
    return rows.mean(axis=0, dtype=np.float64) if len(rows) else np.full(values.shape[-1], np.nan)


def _ratio(part: Int[np.ndarray, " K"], whole: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Shares, NaN of nothing."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
