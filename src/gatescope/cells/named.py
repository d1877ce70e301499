"""Names of cells as a person types them: "lstm", or "lstm:f=3" with another initial bias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from gatescope.cells.cell import Cell
from gatescope.errors import GatescopeError
from gatescope.names import unknown


class CellError(GatescopeError):
    """A name that no cell has; the message lists the cells."""


def cell_among(cells: Mapping[str, Cell], text: str) -> Cell:
    """Return the cell of a name such as "lstm", "lstm:f=3" or "lstm:f=0:i=-1".

    Args:
        cells: name -> cell.
        text: a name, optionally followed by initial biases. A forget gate that starts open is as old as the gate
            itself: Gers, Schmidhuber and Cummins, "Learning to forget: continual prediction with LSTM", Neural
            Computation 12 (2000).

    Raises:
        CellError: there is no such cell, it has no such drive, or the bias is not a number.
    """
    untyped: object = text
    if not isinstance(untyped, str):
        raise CellError(unknown("Cell", untyped, cells))
    name, _, bias_text = text.partition(":")
    if name not in cells:
        raise CellError(unknown("Cell", name, cells))
    cell = cells[name]
    if not bias_text:
        return cell
    biases = dict(cell.biases)
    for part in bias_text.split(":"):
        drive, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if drive not in cell.tape.input_drives or not math.isfinite(number):
            drives = cell.tape.input_drives
            raise CellError("CELL_BIAS_NAME_INVALID", name=name, text=text, drives=", ".join(drives))
        biases[drive] = number
    return replace(cell, name=text, title=f"{cell.title} (at first {bias_text.replace(':', ', ')})", biases=biases)
