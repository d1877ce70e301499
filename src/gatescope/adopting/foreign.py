"""What a reader of a foreign file hands on: recurrent layers as the engine takes them, and all other weights by name.

`N` neuron, `I` input, `P` projected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine import Parameters
from gatescope.errors import GatescopeError
from gatescope.readout import Reads

ONE_HOT, NONE = "one-hot", "none"
Joined = Literal["concat", "sum", "average"]
Activation = Literal["softmax", "sigmoid", "linear"]

SLACK = 64 << 20  # bytes of arrays that a file of any size may say it holds
EXPANSION = 20  # times its size that a compressed file may hold besides; weights compress by a tenth


class AdoptingError(GatescopeError):
    """A foreign file cannot be read, or it is not clear what is meant; the message lists what there is to choose."""


@dataclass(frozen=True)
class ForeignLayer:
    """One direction of one recurrent layer.

    Attributes:
        name: as the file calls it.
        cell: its equations.
        parameters: its weights, as the engine takes them.
        reverse: whether it reads the last step first.
        projection: where it hands on a projection of h (Sak, Senior and Beaufays 2014), the matrix of it.
        initial: state of the cell -> its constant value before the first step, (N,); none: every state starts at 0.
        ordered: whether the order of its gates is known. The names of torch.nn say it; free names do not.
    """

    name: str
    cell: Cell
    parameters: Parameters
    reverse: bool = False
    projection: Float[Tensor, "P N"] | None = None
    initial: Mapping[str, Float[Tensor, "N"]] = field(default_factory=dict)
    ordered: bool = True

    @property
    def inputs(self) -> int:
        """How many numbers it reads at a step."""
        return self.parameters.input_weights.shape[2]

    @property
    def neurons(self) -> int:
        """How many neurons it has."""
        return self.parameters.biases.shape[1]

    @property
    def outputs(self) -> int:
        """How many numbers it hands on."""
        return self.neurons if self.projection is None else len(self.projection)

    def is_finite(self) -> bool:
        """Whether all its weights are finite numbers."""
        return all(bool(torch.isfinite(value).all()) for value in self.parameters.by_name().values())


@dataclass(frozen=True)
class Head:
    """What a file says of how its recurrent layers are read out; None where it does not say.

    Attributes:
        matrix: the name of the readout; "none": something else than one matrix predicts.
        between: what that is, in words.
        reads: when it is read.
        activation: what is done with its values.
        predicts: what it was trained to predict, by its loss.
        hidden: the name of the matrix and the activation of each hidden layer, from the recurrent layers upwards.
    """

    matrix: str | None = None
    between: str = ""
    reads: Reads | None = None
    activation: Activation | None = None
    predicts: Literal["classes", "numbers"] | None = None
    hidden: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Foreign:
    """The weights of a file.

    Attributes:
        format: what the file is, in words.
        stacks: name -> recurrent layers that read each other, from the input upwards; both directions of a layer one
            after the other.
        matrices: name -> (outputs, inputs) of every other matrix; an embedding is (symbols, numbers).
        vectors: name -> (outputs,) of every other vector.
        order: the stacks in the order in which they read each other, where the file says so.
        embedding: the name of this matrix, where the file says which it is; "one-hot" where there is none.
        below: the stack that a stack reads, None where it reads something else; of files that say so.
        before: what a stack reads, where that is neither symbols nor numbers as they are: name -> the part in words.
        refused: of stacks that no run can have, why: one sentence each. The others can be adopted.
        masked: whether steps of the id 0 are skipped.
        heads: of stacks, how they are read out, where the file says so.
        joined: how a stack hands on its two directions, where it does not put them side by side ("concat").
        others: name -> shape of the arrays of three axes and more, which no part of a run is made of.
        turned: whether recurrent weights stood as (inputs, outputs), so that other matrices may do so as well.
        notes: what the file does not say and was assumed, and what was left out, one sentence each.
    """

    format: str
    stacks: Mapping[str, tuple[ForeignLayer, ...]]
    matrices: Mapping[str, Tensor] = field(default_factory=dict)
    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    embedding: str | None = None
    below: Mapping[str, str | None] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    masked: bool = False
    heads: Mapping[str, Head] = field(default_factory=dict)
    joined: Mapping[str, Joined] = field(default_factory=dict)
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    turned: bool = False
    notes: tuple[str, ...] = ()


def described(name: str, layers: Sequence[ForeignLayer]) -> str:
    """A stack in a few words: its name, cells, sizes."""
    forward = [layer for layer in layers if not layer.reverse]
    sizes = " + ".join(str(layer.neurons) for layer in forward or layers)
    cells = ", ".join(dict.fromkeys(layer.cell.title for layer in layers))
    both = ("" if len(forward) == len(layers) else ", both directions") if forward else ", from the end"
    return f"{name} ({cells}{both}, {sizes} neurons, reads {layers[0].inputs} numbers)"


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names one after the other; of many, the first few."""
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "") or "nothing"


def allowed(path: Path) -> int:
    """How many bytes of arrays a file may say it holds before they are read: a bound on the memory it can take."""
    return SLACK + EXPANSION * path.stat().st_size


def check_size(path: Path, bytes_of_arrays: int) -> None:
    """Refuse a small file that says it holds much.

    Raises:
        AdoptingError: it does.
    """
    if bytes_of_arrays > allowed(path):
        raise AdoptingError(
            "FOREIGN_BYTES_SAYS_HOLDS_BYTES", path=path, st_size=path.stat().st_size, bytes_of_arrays=bytes_of_arrays
        )
