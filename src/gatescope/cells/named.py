"""A built-in cell by what a person writes: its name, perhaps with other biases at the start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from gatescope.cells.cell import Cell
from gatescope.errors import GatescopeError
from gatescope.names import unknown


class CellError(GatescopeError):
    """There is no such cell; the message says which there are."""


def cell_among(cells: Mapping[str, Cell], given: str) -> Cell:
    """The cell of a name, such as "lstm", "lstm:f=3" or "lstm:f=0:i=-1".

    That the forget gate is open at the start is as old as the gate itself: Gers, Schmidhuber and Cummins, "Learning to
    forget: continual prediction with LSTM", Neural Computation 12 (2000).

    Raises:
        CellError: there is no such cell, it has no such drive, or the value is no number.
    """
    text: object = given
    if not isinstance(text, str):
        raise CellError(unknown("Cell", text, cells))
    name, _, wanted = given.partition(":")
    if name not in cells:
        raise CellError(unknown("Cell", name, cells))
    cell = cells[name]
    if not wanted:
        return cell
    biases = dict(cell.biases)
    for part in wanted.split(":"):
        drive, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if drive not in cell.tape.input_drives or not math.isfinite(number):
            raise CellError(
                "NAMED_CELL_OTHER_BIASES_LSTM", given=given, name=name, input_drives=", ".join(cell.tape.input_drives)
            )
        biases[drive] = number
    return replace(cell, name=given, title=f"{cell.title} (at first {wanted.replace(':', ', ')})", biases=biases)
