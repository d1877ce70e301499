"""The built-in cells, one file each, and the door through which a user's own come in."""

from gatescope.cells.cell import Cell, define
from gatescope.cells.coupled import coupled
from gatescope.cells.elman import elman
from gatescope.cells.elman_relu import elman_relu
from gatescope.cells.elman_sigmoid import elman_sigmoid
from gatescope.cells.feedforward import feedforward
from gatescope.cells.gru import gru
from gatescope.cells.lstm import lstm
from gatescope.cells.lstm_1997 import lstm_1997
from gatescope.cells.mingru import mingru
from gatescope.cells.named import CellError, cell_among
from gatescope.cells.peephole import peephole
from gatescope.cells.slstm import slstm
from gatescope.names import Catalogue

_EVERY: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        feedforward,
        elman,
        elman_sigmoid,
        elman_relu,
        lstm_1997,
        lstm,
        peephole,
        coupled,
        gru,
        mingru,
        slstm,
    )
}
CELLS: Catalogue[Cell] = Catalogue("Cell", _EVERY)


def cell_of(given: str | Cell) -> Cell:
    """A cell, or a built-in one by its name, perhaps with other biases at the start: "lstm", "lstm:f=3:i=-1".

    Raises:
        CellError: there is no such cell, it has no such drive, or the value is no number.
    """
    return given if isinstance(given, Cell) else cell_among(CELLS, given)


__all__ = ["CELLS", "Cell", "CellError", "cell_of", "define"]
