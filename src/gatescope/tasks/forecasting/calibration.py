"""Calibration of prediction intervals, so that they contain their share of the values even if a series changes.

NumPy only. Shapes: `N` origin, `H` step ahead, `C` column.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from gatescope.tasks.base.task import TaskError

MAX_CALIBRATING_FORECASTS = 500
"""An interval is calibrated on at most this number of the last known forecasts."""

WIDTH_SHARE = 0.1
"""The share of the median width of the earlier intervals that is added to each width."""

RATE = 0.01
"""The step of the level after each outcome, as a share of the difference between a miss and a hit."""

Outcomes = Float[np.ndarray, "N H C"]
CalibratedEnds = Float[np.ndarray, "_ H C"]


def calibrated(
    lower: Outcomes,
    point: Outcomes,
    upper: Outcomes,
    outcomes: Outcomes,
    first: int,
    level: float,
    rate: float = RATE,
    follow: bool = True,
) -> tuple[CalibratedEnds, CalibratedEnds]:
    """Move both ends of every interval from the origin `first` on, so that a share `level` of the values is within.

    Two methods are combined. Conformalised quantile regression moves the ends by a quantile of the distances by which
    earlier values were outside their intervals (negative: inside), in widths of the interval, for each step ahead
    separately. The earlier values are those known at the origin: first of the validation part, later also of the test
    part.

    Adaptive conformal inference raises the level of that quantile a little after every miss and lowers it after every
    hit. The first method alone reaches the share only if the test part is like the validation part. With the second,
    the share is reached in the long run for any series. No value is used before its step.

    Args:
        lower: (N, H, C) lower ends of the intervals at N consecutive origins.
        point: (N, H, C) point forecasts.
        upper: (N, H, C) upper ends.
        outcomes: (N, H, C) the true values; NaN if they are unknown.
        first: the number of the first origin to calibrate, at least H: the calibration needs H earlier origins. It uses
            all values known by then, at most `MAX_CALIBRATING_FORECASTS`; later origins use the same number.
        level: the share, between 0 and 1.
        rate: the step of the level after each outcome; 0: the level is fixed.
        follow: if false, move all intervals like the first one, by the values known at the origin `first`.

    Returns:
        The lower and the upper ends, (N - first, H, C). The point is always between them.

    Raises:
        TaskError: the level is not a share, or there are too few origins before the first.

    Sources: Y. Romano, E. Patterson and E. J. Candes, Conformalized quantile regression, NeurIPS 2019, algorithm 1;
    M. Sesia and E. J. Candes, A comparison of some conformal quantile regression methods, Stat 9 (2020), method CQR-r,
    for the widths; I. Gibbs and E. J. Candes, Adaptive conformal inference under distribution shift, NeurIPS 2021,
    equation 2, where an outcome is used when it is known, which is H steps later for the furthest step.
    """
    count, horizon, columns = point.shape
    if not 0 < level < 1:
        raise TaskError("CALIBRATION_LEVEL_RANGE", level=level)
    if not horizon <= first <= count:
        raise TaskError("CALIBRATION_FIRST_RANGE", smallest=horizon, largest=count, first=first)
    width = upper - lower
    width = width + WIDTH_SHARE * np.median(width[:first], axis=0)
    width[width == 0] = 1
    outside = np.maximum(lower - outcomes, outcomes - upper) / width
    known = np.full_like(outside, np.nan)  # `outside`, moved to the first origin at which it is known
    for step in range(horizon):
        known[step + 1 :, step] = outside[: count - step - 1, step]
    size = min(first - horizon + 1, MAX_CALIBRATING_FORECASTS)
    miss_share = np.full((horizon, columns), 1 - level)  # the share of misses to aim at
    moved = np.empty((count - first, horizon, columns))
    ahead = np.arange(horizon)
    for place in range(count - first):
        known_steps = ahead[place - ahead > 0]
        if len(known_steps):
            earlier = place - known_steps - 1
            missed = outside[first + earlier, known_steps] > moved[earlier, known_steps]
            miss_share[known_steps] += rate * (1 - level - missed)
        ordered = np.sort(known[first + place - size + 1 : first + place + 1], axis=0)
        moved[place] = np.take_along_axis(ordered, _rank(size, 1 - miss_share)[None], axis=0)[0]
        if not follow:
            moved[:] = moved[0]
            break
    moved *= width[first:]
    return np.minimum(lower[first:] - moved, point[first:]), np.maximum(upper[first:] + moved, point[first:])


def _rank(size: int, level: Float[np.ndarray, "H C"]) -> Int[np.ndarray, "H C"]:
    """Return the place of the conformal quantile among sorted values; the last place if no value is large enough."""
    return np.clip(np.ceil(level * (size + 1) - 1e-9).astype(np.int64) - 1, 0, size - 1)
