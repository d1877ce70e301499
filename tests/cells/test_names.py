"""Cells by their names, optionally with other initial biases."""

from __future__ import annotations

import re

import pytest

from gatescope import CELLS, Network, Vocabulary, configure
from gatescope.cells import CellError, cell_of


def test_cell_of_name_with_biases_has_these_biases() -> None:
    cell = cell_of("lstm:f=3:i=-1.5")
    assert dict(cell.biases) == {"f": 3.0, "i": -1.5}
    assert cell.key == CELLS["lstm"].key
    network = Network(configure(Vocabulary(tuple("ab")), "lstm:f=3:i=-1.5", [4]))
    starts = dict(zip(cell.tape.input_drives, network.parameters_of(0).biases.tolist(), strict=True))
    assert starts == {"i": [-1.5] * 4, "f": [3.0] * 4, "g": [0.0] * 4, "o": [0.0] * 4}
    assert dict(CELLS["lstm"].biases) == {"f": 1.0}
    assert cell_of("gru") is CELLS["gru"]
    assert cell_of(cell) is cell


@pytest.mark.parametrize("text", ["lstm:f", "lstm:f=", "lstm:f=x", "lstm:f=nan", "lstm:q=1", "lstm:=1", "lstm:f=1:"])
def test_cell_of_invalid_biases_is_refused(text: str) -> None:
    message = f"expected initial biases as in lstm:f=3, got '{text}'. lstm has biases of i, f, g, o"
    with pytest.raises(CellError, match=re.escape(message)):
        cell_of(text)


def test_cell_of_unknown_name_is_refused() -> None:
    with pytest.raises(CellError, match=r"Cell: expected one of feedforward.*got 'lst'"):
        cell_of("lst:f=1")
