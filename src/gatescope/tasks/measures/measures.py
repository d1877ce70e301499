"""Measures of predicted labels and forecasts, each with its source. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gatescope.readout import pinball
from gatescope.tasks.base.task import TaskError

Labels = Int[np.ndarray, " _"]
"""Class numbers, one for each prediction."""

Columns = Float[np.ndarray, " C"]


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of K classes.

    `precision`, `recall` and `f1` are (K,). They are NaN when undefined: the precision of a class that is never
    predicted, the recall of a class that never occurs, the F1 of a class that is neither predicted nor occurs.

    Attributes:
        counts: (K, K), rows are the true classes, columns the predicted ones.
    """

    counts: Int[np.ndarray, "K K"]

    @property
    def support(self) -> Int[np.ndarray, " K"]:
        """The number of occurrences of each class."""
        return self.counts.sum(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of predictions that are right; NaN without predictions."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts)) / total if total else float("nan")

    @cached_property
    def precision(self) -> Float[np.ndarray, " K"]:
        """The share of the predictions of each class that are right."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=0))

    @cached_property
    def recall(self) -> Float[np.ndarray, " K"]:
        """The share of the members of each class that are predicted as such."""
        return _ratio(np.diag(self.counts), self.counts.sum(axis=1))

    @cached_property
    def f1(self) -> Float[np.ndarray, " K"]:
        """The harmonic mean of precision and recall; 0 if no member of the class is predicted (van Rijsbergen 1979)."""
        return _ratio(2 * np.diag(self.counts), self.counts.sum(axis=0) + self.counts.sum(axis=1))

    @property
    def macro_f1(self) -> float:
        """The unweighted mean F1 of the classes that occur or are predicted; NaN if there are none."""
        defined = self.f1[~np.isnan(self.f1)]
        return float(defined.mean()) if defined.size else float("nan")


def confusion(predicted: Labels, expected: Labels, classes: int) -> Confusion:
    """Count how often each class is predicted for each true class.

    Args:
        predicted: the predicted classes.
        expected: the true classes.
        classes: the number of classes, K.

    Raises:
        TaskError: the lengths differ, or a number is not a class.
    """
    _check_lengths(predicted, expected)
    both = np.concatenate([predicted, expected])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise TaskError("MEASURE_CLASS_RANGE", highest=classes - 1, least=both.min(), most=both.max())
    cells = expected.astype(np.int64) * classes + predicted
    return Confusion(np.bincount(cells, minlength=classes * classes).reshape(classes, classes))


def accuracy(predicted: Labels, expected: Labels) -> float:
    """Return the share of predictions that are right; NaN without predictions.

    Raises:
        TaskError: the lengths differ.
    """
    _check_lengths(predicted, expected)
    return float(np.mean(predicted == expected)) if len(expected) else float("nan")


def mean_absolute_error(predicted: Float[np.ndarray, "*N C"], expected: Float[np.ndarray, "*N C"]) -> Columns:
    """Return the MAE of each column, in its unit; NaN without values."""
    return _mean(np.abs(predicted - expected))


def naive_scale(training: Float[np.ndarray, "T C"], season: int = 1) -> Columns:
    """Return the MAE of the seasonal naive forecast on the training part, which repeats the value a season ago.

    Args:
        training: the training part.
        season: steps of a season; 1: the naive forecast, the last value.

    Returns:
        The error of each column; NaN if the training part is not longer than a season.

    Raises:
        TaskError: the season is below 1.
    """
    if season < 1:
        raise TaskError("MEASURE_SEASON", season=season)
    return _mean(np.abs(training[season:] - training[:-season]))


def mean_absolute_scaled_error(
    predicted: Float[np.ndarray, "*N C"],
    expected: Float[np.ndarray, "*N C"],
    training: Float[np.ndarray, "T C"],
    season: int = 1,
) -> Columns:
    """Return the MASE of each column: the MAE divided by `naive_scale` of the training part.

    Below 1, the error is smaller than that of the seasonal naive forecast. It is infinite or NaN for a column that
    repeats exactly every season of the training part.

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

    Raises:
        TaskError: the quantile is not between 0 and 1.
    """
    if not 0 < quantile < 1:
        raise TaskError("MEASURE_QUANTILE", quantile=quantile)
    return _mean(pinball(expected - predicted, quantile))


def _check_lengths(predicted: Labels, expected: Labels) -> None:
    if len(predicted) != len(expected):
        raise TaskError("MEASURE_LENGTHS", labels=len(expected), predictions=len(predicted))


def _mean(values: Float[np.ndarray, "*N C"]) -> Columns:
    """Return the mean of each column over all other axes."""
    rows = values.reshape(-1, values.shape[-1])
    return rows.mean(axis=0, dtype=np.float64) if len(rows) else np.full(values.shape[-1], np.nan)


def _ratio(part: Int[np.ndarray, " K"], whole: Int[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Return part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
