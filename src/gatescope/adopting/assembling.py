"""A network made of the parts of a file: recurrent layers, embedding and readout.

Shapes decide where they can. Where more than one part fits, nothing is guessed: the error lists the parts, and the
option that chooses one.

`V` symbol, `I` input, `N` neuron, `P` output of a level.
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

from gatescope.adopting.embeddings import embedding_of
from gatescope.adopting.foreign import (
    NONE,
    AdoptingError,
    Foreign,
    ForeignLayer,
    Joined,
    described,
    listed,
    option,
    with_shapes,
)
from gatescope.adopting.left_over import check_left_over, copies, ignored_names, without
from gatescope.adopting.predicting import readout_of
from gatescope.adopting.readout_parts import Answers, ReadoutInput
from gatescope.adopting.wiring import check_order, check_padding, offers
from gatescope.configuration import Configuration, Layer
from gatescope.network import Network
from gatescope.readout import Kind, Reads
from gatescope.vocabulary import Vocabulary

INPUT_WEIGHTS = "input_weights"  # the parameters that read the level below


@dataclass(frozen=True)
class Level:
    """One layer, or the two directions of one.

    Attributes:
        stack: the stack of the file that it belongs to.
        layers: the forward layer, and the backward layer if there is one.
        joined: how the hidden states of both directions are joined.
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
        """The count of numbers that the next level reads."""
        sizes = [layer.outputs for layer in self.layers]
        return sum(sizes) if self.joined == "concat" else sizes[0]

    @property
    def output_matrix(self) -> Float[Tensor, "P N"] | None:
        """The matrix from the hidden states, side by side, to the outputs; None if these are the same."""
        if self.joined == "concat" and all(layer.projection is None for layer in self.layers):
            return None
        parts = [torch.eye(layer.neurons) if layer.projection is None else layer.projection for layer in self.layers]
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
    """A network, and the parts of the file it was made of.

    Attributes:
        network: the network, with the weights of the file.
        layers: the recurrent layers, with their names in the file.
        embedding: the name of the embedding; "one-hot" or "numbers" without one.
        readout: the name of the readout; "none" without one.
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
    """Make a network that reads symbols or numbers, and predicts symbols, classes or numbers.

    Args:
        foreign: the file.
        vocabulary: the symbols, in the order of their ids, or the names of the numbers of a step.
        layers: the names of stacks that read each other, from the input upwards; by default all stacks of the file.
        embedding: the name of its matrix, or "one-hot"; by default found by its shape.
        readout: the name of its matrix, or "none": the network then predicts every symbol alike, and the parts after
            its last layer may be left out.
        predicts: what the rows of the readout stand for. One row of classes becomes two: the sigmoid of z is the
            second entry of the softmax of (0, z).
        names: the names of the classes or numbers; by default 0, 1, ...
        reads: when the readout is read.
        directions: how the readout reads the two directions of the highest layer; by default as the file describes, or
            side by side.
        head: the names of the hidden layers of the readout, from the recurrent layers upwards; by default found by
            their shapes if `head_activation` is given.
        head_activation: the activation after each hidden layer, one name for all or one each, separated by commas; see
            `gatescope.head.ACTIVATIONS`.
        gates: the order of the gates in the file, if its names do not show it: the letters of an LSTM's i, f, g, o, or
            "rzn" for a GRU.
        ignore: names, or patterns of names, of arrays that do not belong to the network.

    Returns:
        The network, and the parts it was made of.

    Raises:
        AdoptingError: a part is ambiguous or missing, or does not fit; or a left-over array could change a number.
    """
    ignored = ignored_names(foreign, ignore)
    foreign = without(foreign, ignored)
    foreign = without(foreign, copies(foreign))
    check_padding(foreign, vocabulary)
    levels = _levels(foreign, layers, directions)
    chain = tuple(layer for level in levels for layer in level.layers)
    vectors, embedding_name = embedding_of(foreign, vocabulary, levels[0].stack, chain[0], embedding)
    source = ReadoutInput(
        levels[-1].outputs,
        levels[-1].stack,
        {level.stack for level in levels} == set(foreign.stacks),
        any(layer.reverse for layer in chain),
        embedding_name,
    )
    levels = [replace(level, layers=tuple(in_order(layer, gates) for layer in level.layers)) for level in levels]
    chain = tuple(layer for level in levels for layer in level.layers)
    answers = Answers(readout, predicts, tuple(names), reads, tuple(head), head_activation)
    head_parts = readout_of(foreign, vocabulary, source, answers)
    has_readout = head_parts.matrix != NONE
    left_out = check_left_over(
        foreign, {embedding_name, *head_parts.used}, chain[0].inputs, source.width, readout=has_readout
    )
    _check_other_stacks(foreign, levels, has_readout)
    configuration = Configuration(
        vocabulary,
        tuple(
            Layer(layer.cell, layer.neurons, layer.reverse, bool(layer.initial), level.alone)
            for level in levels
            for layer in level.layers
        ),
        embedding=None if vectors is None else vectors.shape[1],
        readout=head_parts.readout,
        hidden=tuple(layer for layer, _, _ in head_parts.hidden),
    )
    values: dict[str, Tensor] = {} if vectors is None else {"embedding": vectors}
    below, k = None, 0  # the output matrix of the level below, and the number of the layer
    for level in levels:
        for layer in level.layers:
            for name, value in layer.parameters.by_name().items():
                # To read a projection or sum of h is to read h through the product of both matrices.
                values[f"layers.{k}.{name}"] = value @ below if below is not None and name == INPUT_WEIGHTS else value
            values |= {f"initial.{k}.{state}": value for state, value in layer.initial.items()}
            k += 1
        below = level.output_matrix
    values |= {"readout_weights": head_parts.weights, "readout_biases": head_parts.biases}
    for number, (_, weights, biases) in enumerate(head_parts.hidden):
        values |= {f"hidden.{number}.weights": weights, f"hidden.{number}.biases": biases}
    if below is not None:
        lowest = "hidden.0.weights" if head_parts.hidden else "readout_weights"
        values[lowest] = values[lowest] @ below
    for name, value in values.items():
        if not bool(torch.isfinite(value).all()):
            raise AdoptingError("FOREIGN_WEIGHTS_NOT_FINITE", name=name)
    network = Network(configuration, seed=None)
    network.load_state_dict({name: value.float().contiguous() for name, value in values.items()})
    network.eval()
    notes = [*foreign.notes, *head_parts.notes, *left_out]
    if starting := [layer.name for layer in chain if layer.initial]:
        notes.append(f"The initial states in the file are the states before the first step of {listed(starting)}.")
    if ignored:
        notes.append(f"Left out, because they were ignored on request: {listed(sorted(ignored))}.")
    if unused := [name for name in foreign.stacks if name not in {level.stack for level in levels}]:
        notes.append(f"Other recurrent layers of the file do not belong to the run: {listed(unused)}.")
    return Assembled(network, chain, embedding_name, head_parts.matrix, tuple(notes))


def in_order(layer: ForeignLayer, gates: str | None) -> ForeignLayer:
    """Return a layer with its gates in the order of its cell.

    Args:
        layer: the layer.
        gates: the order of the gates in the file; None if the user gave none.

    Raises:
        AdoptingError: the order is unknown, or impossible for the cell.
    """
    own = "".join(layer.cell.tape.input_drives)
    if layer.ordered and gates is None:
        return layer
    if gates is None:
        raise AdoptingError("GATES_ORDER_UNKNOWN", name=layer.name, option=option("gates", own))
    is_free = own == "ifgo"  # a GRU's recurrent bias belongs to its last gate
    order = gates.replace("j", "g").replace("c", "g") if is_free else gates
    if sorted(order) != sorted(own) or not (is_free or order == own):
        code = "GATES_LETTERS_DIFFER" if is_free else "GATES_ORDER_DIFFERS"
        raise AdoptingError(code, name=layer.name, own=own, gates=gates, option=option("gates", own))
    rows = [order.index(letter) for letter in own]
    values = layer.parameters.by_name()
    ordered = {name: values[name][rows] for name in (INPUT_WEIGHTS, "recurrent_weights", "biases")}
    return replace(layer, parameters=replace(layer.parameters, **ordered), ordered=True)


def _check_other_stacks(foreign: Foreign, levels: Sequence[Level], readout: bool) -> None:
    """Refuse layers that were not chosen if, by their sizes, they may be below, above or beside the chosen ones."""
    chosen = {level.stack for level in levels}
    if levels[-1].stack in foreign.heads:
        return  # the file describes what reads what
    inputs, outputs = levels[0].layers[0].inputs, levels[-1].outputs
    for name, layers in foreign.stacks.items():
        other_inputs, other_outputs = layers[0].inputs, layers[-1].outputs
        if layers[-1].reverse and len(layers) > 1:
            other_outputs += layers[-2].outputs
        is_above = readout and (other_inputs == outputs or (other_inputs, other_outputs) == (inputs, outputs))
        if name not in chosen and (inputs == other_outputs or is_above):
            raise AdoptingError(
                "LAYERS_LEFT_OVER",
                layers=described(name, layers),
                option=option("layers"),
                ignore=option("ignore", name),
            )


def _levels(foreign: Foreign, names: Sequence[str], directions: Joined | None) -> list[Level]:
    """Return the levels of the chosen stacks, each of which reads the one before."""
    stacks = foreign.stacks
    if not stacks:
        raise AdoptingError("LAYERS_MISSING", matrices=listed(with_shapes(foreign.matrices)))
    for name in names:
        if name not in stacks:
            close = difflib.get_close_matches(name, list(stacks), n=1)
            if close:
                raise AdoptingError(
                    "LAYERS_NAME_MISSPELT",
                    option=option("layers", name),
                    names=listed(stacks),
                    close=option("layers", close[0]),
                )
            raise AdoptingError("LAYERS_NAME_UNKNOWN", option=option("layers", name), names=listed(stacks))
    chosen = tuple(names) or foreign.order or tuple(stacks)
    if len(chosen) > 1 and not names and not foreign.order:
        raise AdoptingError(
            "LAYERS_AMBIGUOUS",
            layers=listed((described(name, layers) for name, layers in stacks.items()), 40),
            options=listed((option("layers", *offer) for offer in offers(foreign)), 4),
        )
    check_order(foreign, chosen)
    levels: list[Level] = []
    for name in chosen:
        for layer in stacks[name]:
            is_partner = layer.reverse and bool(levels) and levels[-1].stack == name and not levels[-1].alone
            if is_partner and len(levels[-1].layers) == 1:
                levels[-1] = replace(levels[-1], layers=(*levels[-1].layers, layer))
            else:
                levels.append(Level(name, (layer,), foreign.joined.get(name, "concat")))
    if directions is not None:
        if len(levels[-1].layers) == 1:
            raise AdoptingError(
                "DIRECTIONS_ONLY_ONE", option=option("directions", directions), name=levels[-1].layers[0].name
            )
        levels[-1] = replace(levels[-1], joined=directions)
    _check_levels(levels)
    return levels


def _check_levels(levels: Sequence[Level]) -> None:
    """Refuse directions that differ in their sizes, and a level that cannot read the one below."""
    for level in levels:
        first, last = level.layers[0], level.layers[-1]
        if first.inputs != last.inputs or (level.joined != "concat" and first.outputs != last.outputs):
            raise AdoptingError(
                "DIRECTIONS_SIZES_DIFFER",
                forward=first.name,
                backward=last.name,
                inputs=first.inputs,
                backward_inputs=last.inputs,
                outputs=first.outputs,
                backward_outputs=last.outputs,
                option=option("layers"),
            )
    for below, above in pairwise(levels):
        inputs = above.layers[0].inputs
        if inputs != below.outputs:
            raise AdoptingError(
                "LAYERS_SIZES_DIFFER",
                above=above.layers[0].name,
                inputs=inputs,
                below=below.layers[0].name,
                outputs=below.outputs,
                option=option("layers"),
            )
