"""Drop-in replacements of torch.nn.RNN, LSTM and GRU.

Each is a subclass of the class in torch, so that arguments, names and initial values of weights are the same, and
`isinstance(module, torch.nn.LSTM)` is true.

`N` neurons, `G` input drives.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from gatescope.cells import CELLS, Cell
from gatescope.engine import ENGINES, Engine, EngineError, Parameters
from gatescope.names import unknown
from gatescope.nn.direction import Direction, Projected
from gatescope.nn.stack import Stack


def check_engine(engine: str) -> Engine:
    """Return the name of an engine, if there is one of this name.

    Raises:
        EngineError: there is no such engine.
    """
    if engine not in ENGINES:
        raise EngineError(unknown("Engine", engine, ENGINES))
    return cast(Engine, engine)


class _DropIn(Stack):
    """The part that the three modules share: the choice of the engine and the layout of torch's weights."""

    def __init__(self, *args: Any, engine: str = "auto", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.engine = check_engine(engine)

    def direction(self, layer: int, reverse: bool) -> Direction:
        """Return the weights of one direction of one layer in the engine's layout."""
        return _direction(self, layer, reverse)


class RNN(_DropIn, nn.RNN):
    """torch.nn.RNN, with `record`, interventions and a choice of the engine.

    Args:
        *args: the arguments of torch.nn.RNN.
        **kwargs: the same.
        engine: "auto", "native" or "plain". Only the plain engine has second derivatives.
    """

    @property
    def cell(self) -> Cell:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The equations of the layers, which depend on the nonlinearity."""
        return CELLS["elman" if self.nonlinearity == "tanh" else "elman_relu"]


class LSTM(_DropIn, nn.LSTM):
    """torch.nn.LSTM, with `record`, interventions and a choice of the engine.

    Args:
        *args: the arguments of torch.nn.LSTM, including `proj_size`.
        **kwargs: the same.
        engine: "auto", "native" or "plain". Only the plain engine has second derivatives.
    """

    cell = CELLS["lstm"]


class GRU(_DropIn, nn.GRU):
    """torch.nn.GRU, with `record`, interventions and a choice of the engine.

    Args:
        *args: the arguments of torch.nn.GRU.
        **kwargs: the same.
        engine: "auto", "native" or "plain". Only the plain engine has second derivatives.
    """

    cell = CELLS["gru"]


def _direction(module: Any, layer: int, reverse: bool) -> Direction:
    """Return torch's weights in the engine's layout. Torch's order of gates is the order of the cells' drives."""
    end = f"_l{layer}_reverse" if reverse else f"_l{layer}"
    input_weights, recurrent_weights = getattr(module, f"weight_ih{end}"), getattr(module, f"weight_hh{end}")
    neurons = module.hidden_size
    drives = len(module.cell.tape.input_drives)
    if module.bias:
        biases, neuron_weights = _merged_biases(
            module.cell, getattr(module, f"bias_ih{end}"), getattr(module, f"bias_hh{end}")
        )
    else:
        biases = input_weights.new_zeros(drives * neurons)
        neuron_weights = input_weights.new_zeros(len(module.cell.tape.parameters) * neurons)
    recurrent, projected = recurrent_weights.reshape(drives, neurons, recurrent_weights.shape[1]), None
    if module.proj_size:
        projected = Projected(getattr(module, f"weight_hr{end}"), recurrent)
        recurrent = recurrent @ projected.projection
    parameters = Parameters(
        input_weights.reshape(drives, neurons, input_weights.shape[1]),
        biases.reshape(drives, neurons),
        recurrent,
        neuron_weights.reshape(-1, neurons),
    )
    return Direction(layer, reverse, parameters, projected)


def _merged_biases(cell: Cell, input_biases: Tensor, recurrent_biases: Tensor) -> tuple[Tensor, Tensor]:
    """Return the biases of the drives, (G · N,), and the per-neuron parameters, (P · N,).

    Torch has two biases for each drive, of which only the sum matters. An exception is the recurrent bias of a GRU's
    candidate, the last one: the reset gate multiplies it, and it is the cell's p.n.
    """
    if not cell.tape.parameters:
        return input_biases + recurrent_biases, input_biases[:0]
    summed = len(input_biases) * (len(cell.tape.input_drives) - 1) // len(cell.tape.input_drives)
    biases = torch.cat([input_biases[:summed] + recurrent_biases[:summed], input_biases[summed:]])
    return biases, recurrent_biases[summed:]
