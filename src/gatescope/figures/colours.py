"""Colours and scales: those of the explorer (web/src/draw/palette.ts, web/src/model/scale.ts)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INK, MUTE = "#1c1f23", "#636b77"
MIDDLE, NEGATIVE, POSITIVE = (246, 246, 243), (190, 50, 42), (27, 90, 168)
COVERED_SHARE = 0.95  # of the values that a scale without a natural end covers


@dataclass(frozen=True)
class Scale:
    """The ends of a colour scale.

    Attributes:
        low: the value of the lowest colour.
        high: the value of the highest colour.
    """

    low: float
    high: float

    @property
    def text(self) -> str:
        """The ends in words."""
        return f"{self.low:g} to {self.high:g}".replace("-", "−")

    @property
    def has_two_sides(self) -> bool:
        """Whether zero has the colour of the paper, and not the lowest value."""
        return self.low < 0


def scale_of(bounds: tuple[float | None, float | None], values: NDArray[np.floating]) -> Scale:
    """Choose the scale of a signal: its own ends, or a power of two that covers 95 % of the values if it has none.

    Args:
        bounds: the smallest and the largest value that the signal can have; None where there is no such value.
        values: its values, of any shape.
    """
    low, high = bounds
    if low is not None and high is not None:
        return Scale(low, high) if low >= 0 else Scale(-max(-low, high), max(-low, high))
    limit = _round_limit(values)
    return Scale(low, low + limit) if low is not None and low >= 0 else Scale(-limit, limit)


def _round_limit(values: NDArray[np.floating]) -> float:
    sizes = np.sort(np.abs(values[np.isfinite(values)]))
    limit = float(sizes[math.ceil(COVERED_SHARE * len(sizes)) - 1]) if len(sizes) else 0.0
    return 1.0 if limit <= 0 else 2.0 ** min(120, max(-40, math.ceil(math.log2(limit))))


def pixels(scale: Scale, values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the colours of values (...), (..., 3); values beyond the scale have the colour of its end."""
    span = scale.high if scale.has_two_sides else scale.high - scale.low
    place = np.clip(np.nan_to_num((values - (0.0 if scale.has_two_sides else scale.low)) / span), -1.0, 1.0)
    ends = np.where(place[..., None] < 0, NEGATIVE, POSITIVE)
    colours: NDArray[np.uint8] = np.floor(MIDDLE + (ends - np.array(MIDDLE)) * np.abs(place)[..., None] + 0.5).astype(
        np.uint8
    )
    return colours
