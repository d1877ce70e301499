"""The weights of a foreign file: recurrent layers as the engine takes them, and all other arrays by name.

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
from gatescope.errors import GatescopeError, setting
from gatescope.messages import Message
from gatescope.readout import Reads

ONE_HOT, NONE = "one-hot", "none"
Joined = Literal["concat", "sum", "average"]
Activation = Literal["softmax", "sigmoid", "linear"]

SLACK_BYTES = 64 << 20  # of arrays that a file of any size may claim to hold
MAX_EXPANSION = 20  # times its size that a compressed file may hold besides; weights compress by a tenth
LIST_OPTIONS = ("layers", "head", "ignore")


class AdoptingError(GatescopeError):
    """A foreign file cannot be read, or a question about it is open; the message lists the possible answers."""


@dataclass(frozen=True)
class ForeignLayer:
    """One direction of one recurrent layer.

    Attributes:
        name: its name in the file.
        cell: its equations.
        parameters: its weights, as the engine takes them.
        reverse: whether it reads the last step first.
        projection: the matrix of its projection of h (Sak, Senior and Beaufays 2014); None without one.
        initial: state of the cell -> its constant value before the first step, (N,); empty if every state starts at 0.
        ordered: whether the order of its gates is known. The names of torch.nn show it; free names do not.
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
        """The count of numbers that it reads at a step."""
        return self.parameters.input_weights.shape[2]

    @property
    def neurons(self) -> int:
        """The count of its neurons."""
        return self.parameters.biases.shape[1]

    @property
    def outputs(self) -> int:
        """The count of numbers that the next layer reads from it."""
        return self.neurons if self.projection is None else len(self.projection)

    def is_finite(self) -> bool:
        """Return whether all weights are finite numbers."""
        return all(bool(torch.isfinite(value).all()) for value in self.parameters.by_name().values())


@dataclass(frozen=True)
class Head:
    """The readout of recurrent layers, as far as a file describes it; None where the file does not.

    Attributes:
        matrix: the name of the readout; "none" if something else than matrices predicts.
        reason: why something else predicts, as a sentence; None if matrices do.
        reads: when the readout is read.
        activation: the activation of its outputs.
        predicts: what it was trained to predict, by its loss.
        hidden: the name of the matrix and the activation of each hidden layer, from the recurrent layers upwards.
    """

    matrix: str | None = None
    reason: Message | None = None
    reads: Reads | None = None
    activation: Activation | None = None
    predicts: Literal["classes", "numbers"] | None = None
    hidden: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Foreign:
    """The weights of a file. A stack is a group of recurrent layers that read each other.

    Attributes:
        format: the format of the file, in words.
        stacks: name -> recurrent layers, from the input upwards; both directions of a layer one after the other.
        matrices: name -> (outputs, inputs) of every other matrix; an embedding is (symbols, numbers).
        vectors: name -> (outputs,) of every other vector.
        order: the stacks in the order in which they read each other; empty if the file does not describe it.
        embedding: the name of the embedding, if the file describes it; "one-hot" if there is none.
        below: stack -> the stack that it reads, or None; empty if the file does not describe it.
        before: stack -> the part of the model that makes its input, if the input is neither symbols nor plain numbers.
        refused: stack -> why no run can have it. The other stacks can be adopted.
        masked: whether steps of the id 0 are skipped.
        heads: stack -> its readout, if the file describes it.
        joined: stack -> how its two directions are joined, if not side by side ("concat").
        others: name -> shape of the arrays with three or more axes, which no part of a run is made of.
        transposed: whether recurrent weights were stored as (inputs, outputs), so that other matrices may be as well.
        notes: what was assumed or left out, one sentence each.
    """

    format: str
    stacks: Mapping[str, tuple[ForeignLayer, ...]]
    matrices: Mapping[str, Tensor] = field(default_factory=dict)
    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    embedding: str | None = None
    below: Mapping[str, str | None] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, Message] = field(default_factory=dict)
    masked: bool = False
    heads: Mapping[str, Head] = field(default_factory=dict)
    joined: Mapping[str, Joined] = field(default_factory=dict)
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    transposed: bool = False
    notes: tuple[str, ...] = ()


def described(name: str, layers: Sequence[ForeignLayer]) -> str:
    """Return a stack in a few words: its name, cells and sizes."""
    forward = [layer for layer in layers if not layer.reverse]
    sizes = " + ".join(str(layer.neurons) for layer in forward or layers)
    cells = ", ".join(dict.fromkeys(layer.cell.title for layer in layers))
    ways = ("" if len(forward) == len(layers) else ", both directions") if forward else ", from the end"
    return f"{name} ({cells}{ways}, {sizes} neurons, reads {layers[0].inputs} numbers)"


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Return names separated by commas; of many, the first few and the count of the others."""
    items = list(names)
    return ", ".join(items[:limit]) + (f" and {len(items) - limit} more" if len(items) > limit else "") or "nothing"


def with_shapes(matrices: Mapping[str, Tensor]) -> list[str]:
    """Return the name and the shape of each matrix, such as "fc.weight (7, 6)"."""
    return [f"{name} {tuple(value.shape)}" for name, value in matrices.items()]


def option(name: str, *values: str) -> str:
    """Return an answer as the reader of a message types it.

    Args:
        name: the keyword of `adopt`.
        values: the suggested value; several for `layers`, `head` and `ignore`; none if the reader chooses it.

    Returns:
        `--layers a,b` at the command line, `layers=['a', 'b']` in Python.
    """
    if name not in LIST_OPTIONS or not values:
        return setting(name, values[0] if values else None)
    typed = setting(name, ",".join(values))
    return typed if typed.startswith("--") else f"{name}={list(values)!r}"


def numbers_option(count: int) -> str:
    """Return the answer that a network reads numbers, as the reader of a message types it.

    Args:
        count: the numbers of a step.
    """
    typed = setting("inputs", count)
    return typed if typed.startswith("--") else f"vocabulary=Vocabulary([{count} names], unit='number')"


def reason_of(error: Exception) -> Message | str:
    """Return the reason in an exception as a sentence: its message of the catalogue, or the start of its text.

    Args:
        error: any exception.
    """
    if isinstance(error, GatescopeError):
        return error.message
    text = f"{type(error).__name__}: {error}"[:200].strip()
    return text if text.endswith(".") else f"{text}."


def max_array_bytes(path: Path) -> int:
    """Return how many bytes of arrays a file may claim to hold before they are read: a bound on the memory it takes."""
    return SLACK_BYTES + MAX_EXPANSION * path.stat().st_size


def check_size(path: Path, array_bytes: int) -> None:
    """Refuse a small file that claims to hold much.

    Args:
        path: the file.
        array_bytes: the bytes of all its arrays, as it claims.

    Raises:
        AdoptingError: the arrays are larger than the file allows.
    """
    limit = max_array_bytes(path)
    if array_bytes > limit:
        raise AdoptingError(
            "FOREIGN_ARRAYS_TOO_LARGE", path=path, limit=limit, file_bytes=path.stat().st_size, array_bytes=array_bytes
        )
