"""The built-in cells, one file each, and `define` for your own."""

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

_BUILT_IN: dict[str, Cell] = {
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
CELLS: Catalogue[Cell] = Catalogue("Cell", _BUILT_IN)


def cell_of(cell: str | Cell) -> Cell:
    """Return a cell, or a built-in one by its name, optionally with other initial biases.

    Args:
        cell: a cell, or a name such as "lstm" or "lstm:f=3:i=-1".

    Raises:
        CellError: there is no such cell, it has no such drive, or the bias is not a number.
    """
    return cell if isinstance(cell, Cell) else cell_among(CELLS, cell)


__all__ = ["CELLS", "Cell", "CellError", "cell_of", "define"]
