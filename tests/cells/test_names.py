"""Cells by their names, perhaps with other biases at the start."""

from __future__ import annotations

import pytest

from gatescope import CELLS, Network, Vocabulary, configure
from gatescope.cells import CellError, cell_of


def test_a_cell_with_other_biases_starts_with_them() -> None:
    cell = cell_of("lstm:f=3:i=-1.5")
    assert dict(cell.biases) == {"f": 3.0, "i": -1.5}
    assert cell.key == CELLS["lstm"].key
    made = Network(configure(Vocabulary(tuple("ab")), "lstm:f=3:i=-1.5", [4]))
    starts = dict(zip(cell.tape.input_drives, made.parameters_of(0).biases.tolist(), strict=True))
    assert starts == {"i": [-1.5] * 4, "f": [3.0] * 4, "g": [0.0] * 4, "o": [0.0] * 4}
    assert dict(CELLS["lstm"].biases) == {"f": 1.0}
    assert cell_of("gru") is CELLS["gru"]
    assert cell_of(cell) is cell


@pytest.mark.parametrize("given", ["lstm:f", "lstm:f=", "lstm:f=x", "lstm:f=nan", "lstm:q=1", "lstm:=1", "lstm:f=1:"])
def test_biases_that_are_none(given: str) -> None:
    with pytest.raises(
        CellError, match="is not a cell with other biases, as in lstm:f=3; lstm has biases of i, f, g, o"
    ):
        cell_of(given)


def test_a_cell_that_is_none() -> None:
    with pytest.raises(CellError, match=r"Cell: expected one of feedforward.*got 'lst'"):
        cell_of("lst:f=1")
