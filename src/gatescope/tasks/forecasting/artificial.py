"""An artificial series, to try the task forecasting on."""

from __future__ import annotations

import numpy as np

from gatescope.tasks.base.task import EVALUATION, generator
from gatescope.tasks.forecasting.series import Series

STEPS = 2400
SEASON = 24


def artificial_series(ahead: int) -> Series:
    """Return a wave of 24 steps whose height wanders, with noise that lasts a few steps.

    Args:
        ahead: the number of steps after the last one to name.
    """
    random = generator(EVALUATION, 0)
    slow, noise = np.zeros(STEPS), np.zeros(STEPS)
    for step in range(1, STEPS):
        slow[step] = 0.99 * slow[step - 1] + 0.06 * random.standard_normal()
        noise[step] = 0.7 * noise[step - 1] + 0.25 * random.standard_normal()
    values = 20 + 5 * np.exp(slow) * np.sin(2 * np.pi * np.arange(STEPS) / SEASON) + noise
    steps = tuple(map(str, range(STEPS)))
    following = tuple(map(str, range(STEPS, STEPS + ahead)))
    return Series(("value",), values[:, None], steps, np.arange(1, STEPS + 1), following=following)
