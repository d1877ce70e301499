"""The weights of one layer and their initial values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.cells import Cell


@dataclass(frozen=True)
class Parameters:
    """The weights of one layer of N neurons that reads I inputs.

    Drives follow the order of `cell.tape.input_drives` (G of them), `recurrent_drives` (R) and `parameters` (P).

    Attributes:
        input_weights: W of x.k = W.k · input + b.k.
        biases: b of x.k.
        recurrent_weights: U of u.k = U.k · h one step earlier; entry [k, to, from].
        neuron_weights: p.k, one number per neuron.
    """

    input_weights: Float[Tensor, "G N I"]
    biases: Float[Tensor, "G N"]
    recurrent_weights: Float[Tensor, "R N N"]
    neuron_weights: Float[Tensor, "P N"]

    def by_name(self) -> Mapping[str, Tensor]:
        """Return the four arrays by name."""
        return vars(self)


def shapes(cell: Cell, inputs: int, neurons: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of a layer's four arrays, by name."""
    tape = cell.tape
    return {
        "input_weights": (len(tape.input_drives), neurons, inputs),
        "biases": (len(tape.input_drives), neurons),
        "recurrent_weights": (len(tape.recurrent_drives), neurons, neurons),
        "neuron_weights": (len(tape.parameters), neurons),
    }


def initialise(cell: Cell, inputs: int, neurons: int, generator: torch.Generator) -> Parameters:
    """Return initial values for training.

    Input weights are uniform with Glorot's bound sqrt(6 / (I + N)) (Glorot and Bengio 2010), each recurrent matrix is
    orthogonal (Saxe, McClelland and Ganguli 2014), biases are the cell's own (otherwise 0), per-neuron parameters 0.

    Args:
        cell: the cell.
        inputs: the number of inputs, I.
        neurons: the number of neurons, N.
        generator: the source of the random numbers.
    """
    size = shapes(cell, inputs, neurons)
    bound = (6 / (inputs + neurons)) ** 0.5
    input_weights = (torch.rand(size["input_weights"], generator=generator) * 2 - 1) * bound
    recurrent_weights = torch.empty(size["recurrent_weights"])
    for matrix in recurrent_weights:
        torch.nn.init.orthogonal_(matrix, generator=generator)
    biases = torch.zeros(size["biases"])
    for name, value in cell.biases.items():
        biases[cell.tape.input_drives.index(name)] = value
    return Parameters(input_weights, biases, recurrent_weights, torch.zeros(size["neuron_weights"]))
