"""The weights of one layer and their initial values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.cells import Cell
from gatescope.generator import Generator


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


def initialise(cell: Cell, inputs: int, neurons: int, generator: Generator) -> Parameters:
    """Return initial values for training.

    Input weights are uniform with Glorot's bound, each recurrent matrix is orthogonal, biases are the cell's own
    (otherwise 0), per-neuron parameters 0. The matrix of a drive k has the stream "input_weights.k" or
    "recurrent_weights.k" of the generator, so cells with a drive of the same name start with the same weights for it.

    Args:
        cell: the cell.
        inputs: the number of inputs, I.
        neurons: the number of neurons, N.
        generator: the source of the streams.
    """
    size, tape = shapes(cell, inputs, neurons), cell.tape
    weights, recurrent = generator.stream("input_weights"), generator.stream("recurrent_weights")
    input_weights, recurrent_weights = torch.empty(size["input_weights"]), torch.empty(size["recurrent_weights"])
    for k, name in enumerate(tape.input_drives):
        input_weights[k] = glorot((neurons, inputs), weights.stream(name))
    for k, name in enumerate(tape.recurrent_drives):
        recurrent_weights[k] = orthogonal(neurons, recurrent.stream(name))
    biases = torch.zeros(size["biases"])
    for name, value in cell.biases.items():
        biases[tape.input_drives.index(name)] = value
    return Parameters(input_weights, biases, recurrent_weights, torch.zeros(size["neuron_weights"]))


def glorot(shape: tuple[int, int], generator: Generator) -> Float[Tensor, "M N"]:
    """Return a matrix of uniform numbers between -b and b, b = sqrt(6 / (M + N)), computed in float64.

    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010, equation 16.
    """
    numbers = (2 * generator.uniforms(shape[0] * shape[1]) - 1) * (6 / sum(shape)) ** 0.5
    return torch.from_numpy(numbers.reshape(shape)).to(torch.get_default_dtype())


def orthogonal(size: int, generator: Generator) -> Float[Tensor, "N N"]:
    """Return a random orthogonal matrix, of which every rotation is equally probable, computed in float64.

    It is the factor Q of a matrix of normal numbers, with R's diagonal positive, which makes Q unique.

    Source: A. Saxe, J. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, ICLR 2014; F. Mezzadri, How to generate random matrices from the classical compact groups, Notices
    of the AMS 54 (2007), for the signs.
    """
    q, r = torch.linalg.qr(torch.from_numpy(generator.normals(size * size).reshape(size, size)))
    return (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).to(torch.get_default_dtype())
