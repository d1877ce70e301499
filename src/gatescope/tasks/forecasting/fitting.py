"""Window and parts of a series: the usual ones, or those that a short series allows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError

WINDOW_STEPS = 96  # of a window, if the series is long enough
MIN_WINDOW_STEPS = 4
PARTS = (0.7, 0.1, 0.2)
SMALLEST_SPREAD = 1e-100  # the squares of smaller ones, which a variance needs, may be 0


def shortest_series(window: int | None, horizon: int, season: int, parts: Sequence[float] | None) -> int:
    """Return the fewest steps that a series needs.

    Args:
        window: steps of a training window, as the user set it; None: `fitted` chooses.
        horizon: steps to forecast.
        season: steps of a season.
        parts: the shares of training, validation and test, as the user set them; None: `fitted` chooses.
    """
    training = _training_steps(window, horizon, season)
    validation, test = 2 * horizon + 1, horizon + 1
    if parts is None:
        return training + validation + test
    return max(math.ceil(need / share) for need, share in zip((training, validation, test), parts, strict=True))


def fitted(
    size: int, window: int | None, horizon: int, season: int, parts: tuple[float, float, float] | None
) -> tuple[int, tuple[float, float, float]]:
    """Return the window and the parts for a series: the usual ones, or those that a short series allows.

    Args:
        size: steps of the series, at least as many as `shortest_series` returns.
        window: steps of a training window, as the user set it; None: to be chosen.
        horizon: steps to forecast.
        season: steps of a season.
        parts: the shares of training, validation and test, as the user set them; None: to be chosen.
    """
    if parts is None:
        least = _training_steps(window, horizon, season)
        first, second = round(size * PARTS[0]), round(size * (PARTS[0] + PARTS[1]))
        if first >= least and second - first > 2 * horizon and size - second > horizon:
            parts = PARTS
        else:
            validation = max(round(size * PARTS[1]), 2 * horizon + 1)
            test = max(min(round(size * PARTS[2]), size - validation - least), horizon + 1)
            validation = min(validation, size - test - least)
            parts = ((size - validation - test) / size, validation / size, test / size)
    if window is None:
        training = round(size * parts[0])
        window = min(WINDOW_STEPS, max(MIN_WINDOW_STEPS, (training - horizon - 1) // 2))
    return window, (float(parts[0]), float(parts[1]), float(parts[2]))


def _training_steps(window: int | None, horizon: int, season: int) -> int:
    """Return the fewest steps of the training part."""
    return max((MIN_WINDOW_STEPS if window is None else window) + horizon, season) + 1


def check_settings(
    window: int | None,
    horizon: int,
    season: int | None,
    interval: float,
    parts: Sequence[float] | None,
    batch: int | None,
) -> None:
    """Check settings of the task.

    Raises:
        TaskError: a setting is out of its range.
    """
    for name, value, smallest in (
        ("window", window, 2),
        ("horizon", horizon, 1),
        ("season", season, 1),
        ("batch", batch, 1),
    ):
        if value is not None and (type(value) is not int or value < smallest):
            raise TaskError("FORECASTING_SETTING_RANGE", name=name, smallest=smallest, value=value)
    if not 0 < interval < 1:
        raise TaskError("FORECASTING_INTERVAL_RANGE", interval=interval)
    if parts is not None and (len(parts) != 3 or min(parts) <= 0 or not math.isclose(sum(parts), 1)):
        raise TaskError("FORECASTING_PARTS_RANGE", parts=tuple(parts))


def check_spread(names: Sequence[str], training: Float[np.ndarray, "T I"]) -> None:
    """Check that every column can be scaled.

    Args:
        names: of the columns.
        training: their values in the training part.

    Raises:
        TaskError: a column is constant, or nearly so.
    """
    for name, values in zip(names, training.T, strict=True):
        if np.ptp(values) == 0:
            raise TaskError("FORECASTING_COLUMN_CONSTANT", name=name, value=values[0], setting=setting("columns", None))
        if not values.std() > SMALLEST_SPREAD:
            raise TaskError("FORECASTING_COLUMN_SMALL", name=name, smallest=SMALLEST_SPREAD)
