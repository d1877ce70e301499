"""Forecasts, the true values, and measures of their agreement.

Shapes: `N` origin, `H` step ahead, `C` column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gatescope.messages import Message
from gatescope.tasks.base.task import Score
from gatescope.tasks.measures.measures import coverage, mean_absolute_error

Outcomes = Float[np.ndarray, "N H C"]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of the next H steps of C columns, each from its own origin, in the units of the file.

    Attributes:
        names: the names of the columns.
        origins: (N,) the number of steps that each forecast knows: origin t knows the steps before t and forecasts t,
            t + 1, ...
        expected: (N, H, C) the true values; NaN after the end of the series.
        point: the median, which has the least absolute error.
        lower, upper: the calibrated ends of the intervals.
        uncalibrated: (N, H, C) the mask of values within the predicted interval, before calibration.
        calibrated_once: (N, H, C) the mask of values within the interval calibrated on the validation part alone.
        naive: the last known value at every step.
        seasonal: the values one season before.
        season: steps of a season; 1: no season, `seasonal` is `naive`.
        interval: the share of values that the intervals should hold.
        scale: (C,) the mean absolute error, on the training part, of the values one season before.
        following: the names of the H steps after the series, such as dates; empty if they are unknown.
    """

    names: tuple[str, ...]
    origins: Int[np.ndarray, " N"]
    expected: Outcomes
    point: Outcomes
    lower: Outcomes
    upper: Outcomes
    uncalibrated: Bool[np.ndarray, "N H C"]
    calibrated_once: Bool[np.ndarray, "N H C"]
    naive: Outcomes
    seasonal: Outcomes
    season: int
    interval: float
    scale: Float[np.ndarray, " C"]
    following: tuple[str, ...] = ()

    @property
    def known(self) -> Bool[np.ndarray, " N"]:
        """The mask of the forecasts whose true values are all known; these are scored."""
        return np.logical_and.reduce(np.isfinite(self.expected), axis=(1, 2))

    def score(self, where: str | Message) -> Score:
        """Return MASE and coverage of the forecasts, and the MASE of the last value and of the season before.

        The MASE is the mean absolute error at all steps ahead, divided by `scale` (Hyndman and Koehler 2006), averaged
        over the columns. All compared forecasts start from the same origins.

        Args:
            where: the end of the sentence, such as "in 20 forecasts".
        """
        known = self.known
        expected = self.expected[known]
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = {
                name: mean_absolute_error(values[known], expected)
                for name, values in (("mae", self.point), ("seasonal_naive", self.seasonal), ("naive", self.naive))
            }
            mase, of_seasonal, of_naive = (float((error / self.scale).mean()) for error in errors.values())
        covered = coverage(self.lower[known], self.upper[known], expected)
        unit = ", ".join(
            f"{error:.4g}" + (f" ({name})" if len(self.names) > 1 else "")
            for name, error in zip(self.names, errors["mae"].tolist(), strict=True)
        )
        values = {"mase": mase, "naive": of_naive, "error": unit, "where": where}
        values |= {"covered": covered.mean(), "interval": self.interval}
        if self.season > 1:
            text = Message("SCORE_FORECASTS_SEASONAL", seasonal=of_seasonal, season=self.season, **values)
        else:
            text = Message("SCORE_FORECASTS", **values)
        return Score(
            value=mase,
            chance=of_seasonal,
            solved=None,
            text=str(text),
            message=text,
            details={
                "forecasts": int(known.sum()),
                "horizon": expected.shape[1],
                "season": self.season,
                "interval": self.interval,
                "coverage": float(covered.mean()),
                "uncalibrated_coverage": float(self.uncalibrated[known].mean()),
                "calibrated_once_coverage": float(self.calibrated_once[known].mean()),
                "naive": of_naive,
                "of_seasonal_naive": mase / of_seasonal if of_seasonal else None,
                "of_naive": mase / of_naive if of_naive else None,
                "columns": {name: self._details(known, k) for k, name in enumerate(self.names)},
            },
            better="lower",
        )

    def _details(self, known: Bool[np.ndarray, " N"], column: int) -> dict[str, Any]:
        """Return the measures of one column, as a whole and at each step ahead."""
        expected, point, lower, upper, naive, seasonal = (
            values[known][:, :, column]
            for values in (self.expected, self.point, self.lower, self.upper, self.naive, self.seasonal)
        )
        measures = {
            "mae": mean_absolute_error(point, expected),
            "naive_mae": mean_absolute_error(naive, expected),
            "seasonal_naive_mae": mean_absolute_error(seasonal, expected),
            "coverage": coverage(lower, upper, expected),
            "width": (upper - lower).mean(axis=0),
        }
        scale = float(self.scale[column])
        return {
            **{name: float(values.mean()) for name, values in measures.items()},
            "mase": float(measures["mae"].mean()) / scale if scale else None,
            "scale": scale,
            "by_horizon": {name: values.tolist() for name, values in measures.items()},
        }
