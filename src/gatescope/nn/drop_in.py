"""torch.nn.RNN, LSTM and GRU: the same modules, run by the engine.

Each is a subclass of its model, so arguments, weights, their names and their initial values are torch's own, and a
program that asks `isinstance(module, torch.nn.LSTM)` is answered yes.

`N` neuron, `G` drive.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from gatescope.cells import CELLS, Cell
from gatescope.engine import ENGINES, Engine, Parameters
from gatescope.nn.stack import Direction, Projected, Stack


def checked_engine(engine: str) -> Engine:
    """The name of an engine.

    Raises:
        ValueError: there is no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; it can be {' or '.join(map(repr, ENGINES))}.")
    return cast(Engine, engine)


class _Torch(Stack):
    """What the three modules of torch have in common: the choice of the engine, and how torch lays out weights."""

    def __init__(self, *args: Any, engine: str = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.engine = checked_engine(engine)

    def direction(self, layer: int, reverse: bool) -> Direction:
        """The weights of one direction of one layer as the engine takes them."""
        return _direction(self, layer, reverse)


class RNN(_Torch, nn.RNN):
    """torch.nn.RNN, with `record`, interventions and a choice of the engine.

    Args:
        *args, **kwargs: those of torch.nn.RNN.
        engine: "auto", "native" or "plain"; the plain one has second derivatives.
    """

    @property
    def cell(self) -> Cell:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The equations, which depend on the nonlinearity."""
        return CELLS["elman" if self.nonlinearity == "tanh" else "elman_relu"]


class LSTM(_Torch, nn.LSTM):
    """torch.nn.LSTM, with `record`, interventions and a choice of the engine.

    Args:
        *args, **kwargs: those of torch.nn.LSTM, `proj_size` included.
        engine: "auto", "native" or "plain"; the plain one has second derivatives.
    """

    cell = CELLS["lstm"]


class GRU(_Torch, nn.GRU):
    """torch.nn.GRU, with `record`, interventions and a choice of the engine.

    Args:
        *args, **kwargs: those of torch.nn.GRU.
        engine: "auto", "native" or "plain"; the plain one has second derivatives.
    """

    cell = CELLS["gru"]


def _direction(module: Any, layer: int, reverse: bool) -> Direction:
    """Torch's weights as the engine takes them; torch's order of gates is the order of the cells' drives."""
    end = f"_l{layer}_reverse" if reverse else f"_l{layer}"
    heard, echoed = getattr(module, f"weight_ih{end}"), getattr(module, f"weight_hh{end}")
    neurons = module.hidden_size
    drives = len(module.cell.tape.input_drives)
    if module.bias:
        biases, inner = _biases(module.cell, getattr(module, f"bias_ih{end}"), getattr(module, f"bias_hh{end}"))
    else:
        biases = heard.new_zeros(drives * neurons)
        inner = heard.new_zeros(len(module.cell.tape.parameters) * neurons)
    recurrent, projected = echoed.reshape(drives, neurons, echoed.shape[1]), None
    if module.proj_size:
        projected = Projected(getattr(module, f"weight_hr{end}"), recurrent)
        recurrent = recurrent @ projected.projection
    parameters = Parameters(
        heard.reshape(drives, neurons, heard.shape[1]),
        biases.reshape(drives, neurons),
        recurrent,
        inner.reshape(-1, neurons),
    )
    return Direction(layer, reverse, parameters, projected)


def _biases(cell: Cell, heard: Tensor, echoed: Tensor) -> tuple[Tensor, Tensor]:
    """The biases of the drives, (G · N,), and the numbers per neuron.

    Torch has two biases for each drive, of which only the sum matters; but that of the GRU's candidate is multiplied by
    the reset gate and is the cell's p.n. It is the last.
    """
    if not cell.tape.parameters:
        return heard + echoed, heard[:0]
    summed = len(heard) * (len(cell.tape.input_drives) - 1) // len(cell.tape.input_drives)
    return torch.cat([heard[:summed] + echoed[:summed], heard[summed:]]), echoed[summed:]
