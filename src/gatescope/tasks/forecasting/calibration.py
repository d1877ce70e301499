"""Prediction intervals that hold as many values as they say, also where the series changes. NumPy only.

`N` origin, `H` step ahead, `C` column.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

REMEMBERED = 500
"""How many of the last known forecasts an interval is calibrated by, at most."""

LEAST = 0.1
"""Of the median width of the intervals before, what is added to each width before it is a measure."""

RATE = 0.01
"""How fast the level follows: of the difference between an interval that fails and one that does not."""

Outcomes = Float[np.ndarray, "N H C"]
Later = Float[np.ndarray, "_ H C"]


def widened(
    lower: Outcomes,
    point: Outcomes,
    upper: Outcomes,
    expected: Outcomes,
    first: int,
    level: float,
    rate: float = RATE,
    follow: bool = True,
) -> tuple[Later, Later]:
    """Both ends of every interval from the origin `first` on, moved so that a share `level` of the values is within.

    Two methods together. The ends are moved by the quantile of how far earlier values were outside (below 0: inside)
    of theirs, in widths of the interval, for each step ahead by itself: conformalised quantile regression. Those are
    the values that were known at the origin: of the validation part at first, later of the test part as well, always
    the last so many. And the level of that quantile is raised a little whenever an interval turns out to have missed,
    and lowered whenever not: adaptive conformal inference. The first alone holds what it says only where the test part
    is like the validation part; with the second the share holds in the long run whatever the series does. Nothing here
    knows a value before its step has come.

    Arguments:
        lower, point, upper: (N, H, C) what was estimated at N origins that follow each other, each one step later.
        expected: what came; NaN where it has not come.
        first: the number of the first origin whose intervals are wanted, at least H: so many of those before it are
            needed for a calibration. It uses all values known by then, at most `REMEMBERED`, and later ones as many.
        level: the share, between 0 and 1.
        rate: how fast the level follows; 0: not at all.
        follow: False: all intervals are moved as the first one is, by what was known there, and nothing later.

    Returns: the lower and the upper ends, (N - first, H, C); the point is always between them.

    Sources: Y. Romano, E. Patterson and E. J. Candes, Conformalized quantile regression, NeurIPS 2019, algorithm 1;
    M. Sesia and E. J. Candes, A comparison of some conformal quantile regression methods, Stat 9 (2020), method CQR-r,
    for the widths; I. Gibbs and E. J. Candes, Adaptive conformal inference under distribution shift, NeurIPS 2021,
    equation 2, where an outcome is used when it is known, which is H steps later for the furthest one.

    Raises: ValueError for a level that is no share, or too few origins before the first.
    """
    count, horizon, columns = point.shape
    if not 0 < level < 1:
        raise ValueError(f"The share of values within an interval is between 0 and 1; {level} was given.")
    if not horizon <= first <= count:
        raise ValueError(f"The first origin is one of {horizon} to {count}; {first} was given.")
    width = upper - lower
    width = width + LEAST * np.median(width[:first], axis=0)
    width[width == 0] = 1
    outside = np.maximum(lower - expected, expected - upper) / width
    known = np.full_like(outside, np.nan)  # the same, at the origin from which on it is known
    for step in range(horizon):
        known[step + 1 :, step] = outside[: count - step - 1, step]
    size = min(first - horizon + 1, REMEMBERED)
    missing = np.full((horizon, columns), 1 - level)  # the share of misses that is aimed at
    moved = np.empty((count - first, horizon, columns))
    ahead = np.arange(horizon)
    for place in range(count - first):
        known_misses = ahead[place - ahead > 0]
        if len(known_misses):
            earlier = place - known_misses - 1
            missed = outside[first + earlier, known_misses] > moved[earlier, known_misses]
            missing[known_misses] += rate * (1 - level - missed)
        ordered = np.sort(known[first + place - size + 1 : first + place + 1], axis=0)
        moved[place] = np.take_along_axis(ordered, _rank(size, 1 - missing)[None], axis=0)[0]
        if not follow:
            moved[:] = moved[0]
            break
    moved *= width[first:]
    return np.minimum(lower[first:] - moved, point[first:]), np.maximum(upper[first:] + moved, point[first:])


def _rank(size: int, level: Float[np.ndarray, "H C"]) -> Int[np.ndarray, "H C"]:
    """Which of so many values in rising order is the conformal quantile: the largest where none is large enough."""
    return np.clip(np.ceil(level * (size + 1) - 1e-9).astype(np.int64) - 1, 0, size - 1)
