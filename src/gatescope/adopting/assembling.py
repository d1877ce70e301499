"""A network of the parts of a file: which recurrent layers, which embedding, which readout.

Shapes decide where they can. Where more than one thing fits, nothing is guessed: the error lists what there is, and the
option that says which.

`V` symbol, `I` input, `N` neuron, `P` number that is handed on.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypedDict

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.adopting.foreign import NONE, ONE_HOT, AdoptingError, Foreign, ForeignLayer, Joined, described, listed
from gatescope.adopting.left_over import check_left_over, copies, ignored_names, is_readout, without
from gatescope.adopting.predicting import Asked, Below, is_embedding, predicting
from gatescope.adopting.wiring import check_order, check_padding, offers
from gatescope.configuration import Configuration, Layer
from gatescope.network import Network
from gatescope.readout import Kind, Reads
from gatescope.vocabulary import Vocabulary

NUMBERS = "numbers"  # what is read where there are no symbols
HEARING = "input_weights"  # the parameters that hear the level below


@dataclass(frozen=True)
class Level:
    """One layer, or the two directions of one, and how they are handed on.

    Attributes:
        stack: the part of the file it belongs to.
        layers: forward, and backward where there is one.
        joined: what the hidden states of both directions become.
    """

    stack: str
    layers: tuple[ForeignLayer, ...]
    joined: Joined = "concat"

    @property
    def alone(self) -> bool:
        """Whether the level is one layer that reads from the end."""
        return len(self.layers) == 1 and self.layers[0].reverse

    @property
    def outputs(self) -> int:
        """How many numbers are handed on."""
        sizes = [layer.outputs for layer in self.layers]
        return sum(sizes) if self.joined == "concat" else sizes[0]

    @property
    def handed(self) -> Float[Tensor, "P N"] | None:
        """The matrix from the hidden states, side by side, to what is handed on; None where that is the same."""
        if self.joined == "concat" and all(layer.projection is None for layer in self.layers):
            return None
        parts = [torch.eye(one.neurons) if one.projection is None else one.projection for one in self.layers]
        if self.joined == "concat":
            return torch.block_diag(*parts)
        return torch.cat(parts, 1) / (len(parts) if self.joined == "average" else 1)


class AssembleOptions(TypedDict, total=False):
    """The options of `assemble`, for functions that hand them on."""

    layers: Sequence[str]
    embedding: str | None
    readout: str | None
    predicts: Kind | None
    names: Sequence[str]
    reads: Reads | None
    directions: Joined | None
    head: Sequence[str]
    head_activation: str | None
    gates: str | None
    ignore: Sequence[str]


@dataclass(frozen=True)
class Assembled:
    """A network, and how it came together.

    Attributes:
        network: with the weights of the file.
        layers: the layers that were taken, as the file calls them.
        embedding, readout: the names of the matrices that were taken; "one-hot", "numbers", "none" where none was.
        notes: what was assumed or is missing, one sentence each.
    """

    network: Network
    layers: tuple[ForeignLayer, ...]
    embedding: str
    readout: str
    notes: tuple[str, ...]


def assemble(
    foreign: Foreign,
    vocabulary: Vocabulary,
    *,
    layers: Sequence[str] = (),
    embedding: str | None = None,
    readout: str | None = None,
    predicts: Kind | None = None,
    names: Sequence[str] = (),
    reads: Reads | None = None,
    directions: Joined | None = None,
    head: Sequence[str] = (),
    head_activation: str | None = None,
    gates: str | None = None,
    ignore: Sequence[str] = (),
) -> Assembled:
    """The network that reads symbols or numbers, and predicts symbols, classes or numbers.

    Args:
        foreign: the file.
        vocabulary: the symbols, in the order of their ids, or the names of the numbers of a step.
        layers: the names of stacks that read each other, from the input upwards; all that there is when not given.
        embedding: the name of its matrix, or "one-hot"; found by its shape when None.
        readout: the name of its matrix, or "none": the network then predicts every symbol alike, and what stands
            behind its last layer may be left out.
        predicts: what the rows of the readout stand for. One row that is of classes becomes two: the sigmoid of z is
            the second of the softmax of (0, z).
        names: of the classes or numbers; 0, 1, ... when not given.
        reads: when the readout is read.
        directions: how the readout hears the two directions of the highest layer; as the file says, or side by side.
        head: the names of the hidden layers of the readout, from the recurrent layers upwards; found by their shapes
            when `head_activation` is given.
        head_activation: what follows each hidden layer, one name for all or one each, separated by commas: see
            `gatescope.head.ACTIVATIONS`.
        gates: the order of the gates in the file, where its names do not say it: the letters of an LSTM's i, f, g, o,
            or "rzn" of a GRU.
        ignore: names, or patterns of names, of arrays that are no part of the network.

    Raises:
        AdoptingError: something is ambiguous, does not fit, or is not there; or an array is left over that could
            change a number.
    """
    ruled_out = ignored_names(foreign, ignore)
    foreign = without(foreign, ruled_out)
    foreign = without(foreign, copies(foreign))
    check_padding(foreign, vocabulary)
    levels = _levels(foreign, layers, directions)
    chain = tuple(layer for level in levels for layer in level.layers)
    vectors, which = _embedding(foreign, vocabulary, levels[0], embedding)
    below = Below(
        levels[-1].outputs,
        levels[-1].stack,
        {level.stack for level in levels} == set(foreign.stacks),
        any(layer.reverse for layer in chain),
        which,
    )
    levels = [replace(level, layers=tuple(in_order(layer, gates) for layer in level.layers)) for level in levels]
    chain = tuple(layer for level in levels for layer in level.layers)
    asked = Asked(readout, predicts, tuple(names), reads, tuple(head), head_activation)
    told = predicting(foreign, vocabulary, below, asked)
    left_out = check_left_over(foreign, {which, *told.used}, chain[0].inputs, below.width, readout=told.matrix != NONE)
    _check_other_stacks(foreign, levels, told.matrix != NONE)
    configuration = Configuration(
        vocabulary,
        tuple(
            Layer(layer.cell, layer.neurons, layer.reverse, bool(layer.initial), level.alone)
            for level in levels
            for layer in level.layers
        ),
        embedding=None if vectors is None else vectors.shape[1],
        readout=told.readout,
        hidden=tuple(layer for layer, _, _ in told.hidden),
    )
    values: dict[str, Tensor] = {} if vectors is None else {"embedding": vectors}
    handed, k = None, 0
    for level in levels:
        for layer in level.layers:
            for name, value in layer.parameters.by_name().items():
                # What hears a projection or sum of h hears h through the product of both matrices.
                values[f"layers.{k}.{name}"] = value @ handed if handed is not None and name == HEARING else value
            values |= {f"initial.{k}.{state}": value for state, value in layer.initial.items()}
            k += 1
        handed = level.handed
    values |= {"readout_weights": told.weights, "readout_biases": told.biases}
    for place, (_, weights, biases) in enumerate(told.hidden):
        values |= {f"hidden.{place}.weights": weights, f"hidden.{place}.biases": biases}
    if handed is not None:
        lowest = "hidden.0.weights" if told.hidden else "readout_weights"
        values[lowest] = values[lowest] @ handed
    for name, value in values.items():
        if not bool(torch.isfinite(value).all()):
            raise AdoptingError("FOREIGN_WEIGHTS_NOT_FINITE", name=name)
    network = Network(configuration)
    network.load_state_dict({name: value.float().contiguous() for name, value in values.items()})
    network.eval()
    starting = [layer.name for layer in chain if layer.initial]
    notes = [*foreign.notes, *told.notes, *left_out]
    if starting:
        notes.append(f"The initial states in the file were taken as those before the first step: {listed(starting)}.")
    if ruled_out:
        notes.append(f"Left out because it was said to be no part of the network: {listed(sorted(ruled_out))}.")
    if others := [name for name in foreign.stacks if name not in {level.stack for level in levels}]:
        notes.append(f"Other recurrent layers of the file are no part of the run: {listed(others)}.")
    return Assembled(network, chain, which, told.matrix, tuple(notes))


def embedded_symbols(foreign: Foreign, layers: Sequence[str] = (), embedding: str | None = None) -> int | None:
    """How many symbols the network has vectors for, where that is clear without knowing the symbols; else None."""
    name = embedding or foreign.embedding
    if name is not None and name in foreign.matrices:
        return len(foreign.matrices[name])
    chosen = [stack[0] for name, stack in foreign.stacks.items() if not layers or name == layers[0]]
    if name is not None or len(chosen) != 1:
        return None
    reads = chosen[0].inputs
    found = {len(value) for name, value in foreign.matrices.items() if is_embedding(name) and value.shape[1] == reads}
    return found.pop() if len(found) == 1 else None


def in_order(layer: ForeignLayer, gates: str | None) -> ForeignLayer:
    """Return a layer with its gates in the cell's own order.

    Raises:
        AdoptingError: the order is not known, or cannot be this one.
    """
    own = "".join(layer.cell.tape.input_drives)
    if layer.ordered and gates is None:
        return layer
    if gates is None:
        raise AdoptingError("ASSEMBLING_ORDER_GATES_ARRAYS_NAMES", name=layer.name, own=own)
    free = own == "ifgo"  # a GRU's recurrent bias belongs to its last gate
    order = gates.replace("j", "g").replace("c", "g") if free else gates
    if sorted(order) != sorted(own) or not (free or order == own):
        what = f"an order of {own}" if free else own
        raise AdoptingError("ASSEMBLING_GATES", name=layer.name, what=what, gates=gates)
    places = [order.index(letter) for letter in own]
    values = layer.parameters.by_name()
    turned = {name: values[name][places] for name in ("input_weights", "recurrent_weights", "biases")}
    return replace(layer, parameters=replace(layer.parameters, **turned), ordered=True)


def _check_other_stacks(foreign: Foreign, levels: Sequence[Level], readout: bool) -> None:
    """Refuse layers that were not chosen, and by their sizes may stand below, above or beside the chosen ones."""
    chosen = {level.stack for level in levels}
    if levels[-1].stack in foreign.heads:
        return  # a graph says what reads what
    reads, hands = levels[0].layers[0].inputs, levels[-1].outputs
    for name, layers in foreign.stacks.items():
        top = layers[-1].outputs + (layers[-2].outputs if layers[-1].reverse and len(layers) > 1 else 0)
        heard = next(iter(layers)).inputs
        fits = reads == top or (readout and (heard == hands or (heard, top) == (reads, hands)))
        if name not in chosen and fits:
            raise AdoptingError("ASSEMBLING_LAYERS_LEFT_OVER_SIZES", described=described(name, layers), name=name)


def _levels(foreign: Foreign, names: Sequence[str], directions: Joined | None) -> list[Level]:
    """The layers that were asked for, each level reading the one before."""
    stacks = foreign.stacks
    if not stacks:
        there = listed(f"{name} {tuple(value.shape)}" for name, value in foreign.matrices.items())
        raise AdoptingError("ASSEMBLING_LSTM_GRU_SIMPLE_RECURRENT", there=there)
    for name in names:
        if name not in stacks:
            close = difflib.get_close_matches(name, list(stacks), n=1)
            meant = f" Did you mean {close[0]}?" if close else ""
            raise AdoptingError("ASSEMBLING_LAYERS_FILE", name=name, listed=listed(stacks), meant=meant)
    chosen = tuple(names) or foreign.order or tuple(stacks)
    if len(chosen) > 1 and not names and not foreign.order:
        there = listed((described(name, layers) for name, layers in stacks.items()), 40)
        raise AdoptingError(
            "ASSEMBLING_LAYERS_NAME_ONES_BELONG",
            there=there,
            listed=listed((f"--layers {one}" for one in offers(foreign)), 4),
        )
    check_order(foreign, chosen)
    levels: list[Level] = []
    for name in chosen:
        for layer in stacks[name]:
            if not layer.reverse:
                levels.append(Level(name, (layer,), foreign.joined.get(name, "concat")))
            elif levels and levels[-1].stack == name and [one.reverse for one in levels[-1].layers] == [False]:
                levels[-1] = replace(levels[-1], layers=(*levels[-1].layers, layer))
            else:
                levels.append(Level(name, (layer,), foreign.joined.get(name, "concat")))
    if directions is not None:
        if len(levels[-1].layers) == 1:
            raise AdoptingError("ASSEMBLING_READS_DIRECTION_NOTHING_PUT", name=levels[-1].layers[0].name)
        levels[-1] = replace(levels[-1], joined=directions)
    _check_levels(levels)
    return levels


def _check_levels(levels: Sequence[Level]) -> None:
    for level in levels:
        first, last = level.layers[0], level.layers[-1]
        if first.inputs != last.inputs or (level.joined != "concat" and first.outputs != last.outputs):
            raise AdoptingError(
                "ASSEMBLING_TWO_DIRECTIONS_LAYER_THEY",
                name=first.name,
                name2=last.name,
                inputs=first.inputs,
                inputs2=last.inputs,
                outputs=first.outputs,
                outputs2=last.outputs,
            )
    for below, above in pairwise(levels):
        reads = above.layers[0].inputs
        if reads != below.outputs:
            raise AdoptingError(
                "ASSEMBLING_READS_NUMBERS_HANDS_THEY",
                name=above.layers[0].name,
                reads=reads,
                name2=below.layers[0].name,
                outputs=below.outputs,
            )


def _embedding(foreign: Foreign, vocabulary: Vocabulary, lowest: Level, asked: str | None) -> tuple[Tensor | None, str]:
    """The vectors of the symbols (V, I), or None for one-hot ones and numbers, and their name."""
    first, between = lowest.layers[0], foreign.before.get(lowest.stack) or foreign.below.get(lowest.stack)
    size = (vocabulary.size, first.inputs)
    if vocabulary.unit == "number":
        _check_numbers(foreign, vocabulary, first, asked, between)
        return None, NUMBERS
    if between is not None and asked is None:
        raise AdoptingError(
            "ASSEMBLING_READS_MAKES_INPUT_NETWORK",
            name=first.name,
            between=between,
            inputs=first.inputs,
            numbers=NUMBERS,
        )
    if asked == ONE_HOT or (asked is None and foreign.embedding == ONE_HOT):
        _check_one_hot(size, first)
        return None, ONE_HOT
    if asked is not None:
        return _asked(foreign, asked, size), asked
    fitting = [name for name, value in foreign.matrices.items() if tuple(value.shape) == size]
    name = foreign.embedding
    if name is not None and name in foreign.matrices:
        if name not in fitting:
            raise AdoptingError(_wrong_size(name, tuple(foreign.matrices[name].shape), vocabulary))
        return foreign.matrices[name], name
    named = [name for name in fitting if is_embedding(name)]
    for found in (named, fitting):
        if len(found) == 1 and (named or (size[0] != size[1] and not is_readout(found[0]))):
            return foreign.matrices[found[0]], found[0]
    if not fitting and size[0] == size[1]:
        return None, ONE_HOT
    if fitting:
        also = f", or {ONE_HOT}" if size[0] == size[1] else ""
        raise AdoptingError(
            "ASSEMBLING_EMBEDDING_WOULD_FIT_SYMBOLS",
            listed=listed(fitting),
            also=also,
            size=size[0],
            size2=size[1],
            fitting=fitting[0],
        )
    other = {n: tuple(v.shape) for n, v in foreign.matrices.items() if v.shape[1] == first.inputs}
    likely = [name for name in other if is_embedding(name)] or list(other)
    if likely:
        raise AdoptingError(_wrong_size(likely[0], other[likely[0]], vocabulary))
    _check_one_hot(size, first)
    return None, ONE_HOT


def _asked(foreign: Foreign, name: str, size: tuple[int, int]) -> Tensor:
    """An embedding that was named, turned round where only that fits."""
    if name not in foreign.matrices:
        raise AdoptingError("ASSEMBLING_MATRIX_FILE", name=name, listed=listed(foreign.matrices))
    value = foreign.matrices[name]
    if tuple(value.shape) == size:
        return value
    if tuple(value.shape) == size[::-1]:
        return value.t()
    raise AdoptingError(
        "ASSEMBLING_EMBEDDING_SYMBOLS_VOCABULARY_NUMBERS", name=name, shape=tuple(value.shape), size=size
    )


def _check_numbers(
    foreign: Foreign, vocabulary: Vocabulary, first: ForeignLayer, asked: str | None, between: str | None
) -> None:
    """Refuse numbers where the network reads symbols, or other numbers."""
    if between is not None and asked is None:
        raise AdoptingError(
            "ASSEMBLING_READS_MAKES_INPUT_RUN", name=first.name, between=between, inputs=first.inputs, numbers=NUMBERS
        )
    if asked not in (None, NUMBERS):
        raise AdoptingError("ASSEMBLING_NUMBERS_READ_THEY_GIVEN", asked=asked)
    if vocabulary.size != first.inputs:
        raise AdoptingError(
            "ASSEMBLING_READS_NUMBERS_STEP_NAMED",
            name=first.name,
            inputs=first.inputs,
            size=vocabulary.size,
            listed=listed(vocabulary.symbols),
        )
    if foreign.embedding is not None and foreign.embedding in foreign.matrices and between is None:
        rows = len(foreign.matrices[foreign.embedding])
        raise AdoptingError(
            "ASSEMBLING_READS_SYMBOLS_VECTORS_SYMBOLS", name=first.name, embedding=foreign.embedding, rows=rows
        )


def _wrong_size(name: str, shape: tuple[int, ...], vocabulary: Vocabulary) -> str:
    return (
        f"the vocabulary has {vocabulary.size:,} symbols, and {name} has {shape[0]:,} rows, one for each. Give all "
        "symbols in the order of their ids; where an id has no symbol (0 is often padding), give an object "
        "symbol -> id."
    )


def _check_one_hot(size: tuple[int, int], first: ForeignLayer) -> None:
    if size[0] != size[1]:
        raise AdoptingError("ASSEMBLING_READS_NUMBERS_STEP_VOCABULARY", name=first.name, size=size[1], size2=size[0])
