"""The signal of a layer that the page shows first."""

from __future__ import annotations

from gatescope.cells import Cell
from gatescope.configuration import Configuration


def main_signal(cell: Cell, configuration: Configuration) -> str:
    """Return the signal that the page shows first (web/src/model/main-signal.ts)."""
    preferred = ("c", "h") if configuration.vocabulary.end is not None else ("h",)
    return next((name for name in preferred if name in cell.signals), tuple(cell.signals)[-1])
