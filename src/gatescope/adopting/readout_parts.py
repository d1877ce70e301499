"""What the readout of an adopted network is found from, and what it consists of.

`H` output of the highest layer, `O` row of the readout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from gatescope.adopting.foreign import NONE
from gatescope.head import HiddenLayer
from gatescope.readout import Kind, Readout, Reads


@dataclass(frozen=True)
class Answers:
    """The user's answers about the readout; None or empty where there is no answer.

    Attributes:
        matrix: the name of the readout, or "none".
        predicts: what its rows stand for.
        names: the names of the classes or numbers.
        reads: when the readout is read.
        head: the names of its hidden layers, from the recurrent layers upwards.
        activation: the activations of the hidden layers, one for all or one each, separated by commas.
    """

    matrix: str | None = None
    predicts: Kind | None = None
    names: tuple[str, ...] = ()
    reads: Reads | None = None
    head: tuple[str, ...] = ()
    activation: str | None = None


@dataclass(frozen=True)
class ReadoutParts:
    """The readout of a network.

    Attributes:
        weights: the matrix.
        biases: the biases beside it.
        readout: what is predicted, and when.
        matrix: the name of the matrix in the file, or "none".
        used: the names of the arrays it was made of.
        notes: what was assumed, one sentence each.
        hidden: the hidden layers, each with its weights (neurons, inputs) and biases (neurons,).
    """

    weights: Float[Tensor, "O H"]
    biases: Float[Tensor, "O"]
    readout: Readout
    matrix: str = NONE
    used: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    hidden: tuple[tuple[HiddenLayer, Tensor, Tensor], ...] = ()


@dataclass(frozen=True)
class ReadoutInput:
    """The input of the readout.

    Attributes:
        width: the count of its numbers (H).
        stack: the stack that they come from.
        alone: whether the file has no other stacks, which the readout may read instead.
        both_ways: whether the numbers come from both directions.
        embedding: the name of the matrix that embeds the symbols. A tied readout is the same matrix.
    """

    width: int
    stack: str
    alone: bool
    both_ways: bool
    embedding: str
