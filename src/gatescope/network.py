"""A network: symbols in, stacked recurrent layers, a readout that predicts symbols.

`T` step, `B` sequence, `V` symbol, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from gatescope.cells import CELLS, Cell
from gatescope.engine import Engine, Intervention, Parameters, State, initialise, run, shapes
from gatescope.errors import GatescopeError
from gatescope.text import PADDING, Ids, Vocabulary

Reads = Literal["every step", "last step"]
FORMAT = 1
PIECE = 16_384  # steps of all sequences together that are run at a time where texts can be long: bounds memory


class NetworkError(GatescopeError):
    """A network cannot be made of what was given; the message says what was expected."""


@dataclass(frozen=True)
class Layer:
    """One recurrent layer: which cell, how many neurons."""

    cell: Cell
    neurons: int


@dataclass(frozen=True)
class Configuration:
    """Everything about a network but its weights.

    Attributes:
        vocabulary: the symbols it reads, one-hot or embedded.
        layers: from the input upwards; each reads the hidden state h of the one below.
        embedding: the size of the learned vector of each symbol; None for one-hot input.
        dropout: the share of each layer's h that the next layer does not see while training (not after the last).
        outputs: what it predicts: the symbols of the vocabulary when None, otherwise that many classes.
        reads: "every step": a prediction after each step (many to many); "last step": one after the last of each
            sequence (many to one).
    """

    vocabulary: Vocabulary
    layers: tuple[Layer, ...]
    embedding: int | None = None
    dropout: float = 0.0
    outputs: int | None = None
    reads: Reads = "every step"

    def __post_init__(self) -> None:
        if not self.layers:
            raise NetworkError("a network needs at least one layer; none was given.")
        for layer in self.layers:
            if layer.neurons < 1:
                raise NetworkError(f"a layer has {layer.neurons} neurons; it needs at least 1.")
        if self.embedding is not None and self.embedding < 1:
            raise NetworkError(f"the embedding has {self.embedding} numbers a symbol; give at least 1, or none.")
        if not 0 <= self.dropout < 1:
            raise NetworkError(f"dropout is {self.dropout}; it is a share from 0 up to, but not including, 1.")
        if self.outputs is not None and self.outputs < 1:
            raise NetworkError(f"the network has {self.outputs} outputs; it needs at least 1.")
        if self.reads not in ("every step", "last step"):
            raise NetworkError(f"the readout reads {self.reads!r}; it can read 'every step' or 'last step'.")

    @property
    def predicted(self) -> int:
        """The number of symbols or classes that are predicted."""
        return self.outputs or self.vocabulary.size

    def to_json(self) -> dict[str, Any]:
        """As network.json: the cells with their equations, so that a run can be read without its author's code."""
        cells = {layer.cell.name: layer.cell.to_json() for layer in self.layers}
        return {
            "format": FORMAT,
            "vocabulary": self.vocabulary.to_json(),
            "cells": cells,
            "layers": [{"cell": layer.cell.name, "neurons": layer.neurons} for layer in self.layers],
            "embedding": self.embedding,
            "dropout": self.dropout,
            "outputs": self.outputs,
            "reads": self.reads,
        }

    @classmethod
    def from_json(cls, data: Any) -> Configuration:
        """The configuration that `to_json` wrote.

        Raises:
            NetworkError: it is of a newer format, or not a configuration.
            EquationError: a cell's equations are not equations.
        """
        if not isinstance(data, dict) or type(data.get("format")) is not int or data["format"] < 1:
            raise NetworkError("the description of the network is not an object with a format number.")
        if data["format"] > FORMAT:
            raise NetworkError(
                f"the network was written by a newer gatescope (format {data['format']}, this one reads {FORMAT}); "
                "upgrade gatescope to open it."
            )
        try:
            cells = {name: Cell.from_json(cell) for name, cell in data["cells"].items()}
            chosen = [(cells[layer["cell"]], layer["neurons"]) for layer in data["layers"]]
            vocabulary = Vocabulary.from_json(data["vocabulary"])
            fields = {name: data[name] for name in ("embedding", "dropout", "outputs", "reads")}
        except (KeyError, TypeError, AttributeError) as error:
            raise NetworkError(f"the description of the network is incomplete or damaged: {error!r}.") from error
        sizes = [neurons for _, neurons in chosen] + [
            fields[k] for k in ("embedding", "outputs") if fields[k] is not None
        ]
        if not all(type(size) is int for size in sizes) or type(fields["dropout"]) not in (int, float):
            raise NetworkError(
                f"the sizes of the network ({sizes}) or its dropout ({fields['dropout']}) are no numbers."
            )
        if fields["reads"] not in get_args(Reads):
            raise NetworkError(f"the readout reads {fields['reads']!r}; it can read {' or '.join(get_args(Reads))}.")
        return cls(vocabulary, tuple(Layer(*each) for each in chosen), **fields)


def configure(vocabulary: Vocabulary, cell: Cell | str, neurons: Sequence[int], **settings: Any) -> Configuration:
    """A configuration whose layers all have the same cell.

    Args:
        vocabulary: the symbols.
        cell: a cell or the name of a built-in one.
        neurons: the number of neurons of each layer.
        settings: the other fields of `Configuration`.

    Raises:
        NetworkError: an unknown cell, or a size that makes no sense.
    """
    if isinstance(cell, str):
        if cell not in CELLS:
            raise NetworkError(f"there is no cell {cell!r}; the built-in ones are {', '.join(CELLS)}.")
        cell = CELLS[cell]
    return Configuration(vocabulary, tuple(Layer(cell, size) for size in neurons), **settings)


@dataclass(frozen=True)
class Output:
    """What one pass gives.

    Attributes:
        logits: unnormalised log-probabilities after every step, (T, B, V); after the last step of each sequence,
            (B, V), for a network that reads the last step only.
        signals: for each layer, name -> (T, B, N) of what was kept.
        state: for each layer, the states after the last step of each sequence.
    """

    logits: Tensor
    signals: tuple[Mapping[str, Float[Tensor, "T B _"]], ...]
    state: tuple[State, ...]


class Network(nn.Module):
    """A network with its weights; the equations of every layer are its cell's.

    Args:
        configuration: everything but the weights.
        seed: of the initial weights (see `gatescope.engine.parameters.initialise`; the readout and the embedding
            start with Glorot's uniform values, the readout's biases with 0).
    """

    def __init__(self, configuration: Configuration, seed: int = 0) -> None:
        super().__init__()
        self.configuration = configuration
        generator = torch.Generator().manual_seed(seed)
        symbols, size = configuration.vocabulary.size, configuration.embedding
        self.embedding = None if size is None else nn.Parameter(_glorot((symbols, size), generator))
        inputs = size or symbols
        self.layers = nn.ModuleList()
        for layer in configuration.layers:
            values = initialise(layer.cell, inputs, layer.neurons, generator)
            self.layers.append(
                nn.ParameterDict({name: nn.Parameter(value) for name, value in values.by_name().items()})
            )
            inputs = layer.neurons
        self.readout_weights = nn.Parameter(_glorot((configuration.predicted, inputs), generator))
        self.readout_biases = nn.Parameter(torch.zeros(configuration.predicted))

    def parameters_of(self, layer: int) -> Parameters:
        """The weights of one layer, as the engine takes them."""
        return Parameters(**dict(self.layers[layer].items()))  # type: ignore[arg-type]

    def forward(
        self,
        tokens: Int[Tensor, "T B"],
        state: Sequence[State] | None = None,
        *,
        lengths: Int[Tensor, "B"] | None = None,
        keep: Sequence[Sequence[str]] | None = None,
        interventions: Sequence[Intervention] = (),
        engine: Engine = "auto",
    ) -> Output:
        """Run the network.

        Args:
            tokens: ids; one that is no symbol (unknown, or padding) is read as the zero vector.
            state: for each layer, the states before the first step; 0 when not given.
            lengths: the number of steps of each sequence, all T when not given. What stands behind a sequence's end
                influences nothing that is returned for its own steps, nor its final state.
            keep: for each layer, the signals and drives to return; none when not given.
            interventions: changes of named signals.
            engine: see `gatescope.engine.run`.

        Raises:
            ValueError: an intervention on a layer that the network does not have, or see `gatescope.engine.run`.
        """
        count = len(self.configuration.layers)
        for intervention in interventions:
            if not 0 <= intervention.layer < count:
                raise ValueError(f"an intervention names layer {intervention.layer}; the network has 0 to {count - 1}.")
        inputs: Tensor = tokens if self.embedding is None else _embed(tokens, self.embedding)
        signals: list[Mapping[str, Tensor]] = []
        final: list[State] = []
        for k, layer in enumerate(self.configuration.layers):
            wanted = tuple(keep[k]) if keep is not None else ()
            found, after = run(
                layer.cell,
                self.parameters_of(k),
                inputs,
                None if state is None else state[k],
                lengths=lengths,
                keep=tuple(dict.fromkeys(("h", *wanted))),
                interventions=[change for change in interventions if change.layer == k],
                engine=engine,
            )
            final.append(after)
            signals.append({name: found[name] for name in wanted})
            inputs = found["h"]
            if k + 1 < count and self.training and self.configuration.dropout:
                inputs = nn.functional.dropout(inputs, self.configuration.dropout)
        if self.configuration.reads == "last step":
            inputs = _last(inputs, lengths)
        logits = nn.functional.linear(inputs, self.readout_weights, self.readout_biases)
        return Output(logits, tuple(signals), tuple(final))


def _glorot(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * (6 / sum(shape)) ** 0.5


def _embed(tokens: Tensor, weights: Tensor) -> Tensor:
    known = (tokens >= 0) & (tokens < len(weights))
    return nn.functional.embedding(tokens.where(known, 0), weights) * known.unsqueeze(-1)


def _last(values: Float[Tensor, "T B N"], lengths: Int[Tensor, "B"] | None) -> Float[Tensor, "B N"]:
    """The values at the last step of each sequence."""
    if lengths is None:
        return values[-1]
    return values[lengths - 1, torch.arange(len(lengths), device=values.device)]


def expected_tensors(configuration: Configuration) -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight that a network of this configuration has, computed without making it."""
    symbols, inputs = configuration.vocabulary.size, configuration.embedding or configuration.vocabulary.size
    found: dict[str, tuple[int, ...]] = {} if configuration.embedding is None else {"embedding": (symbols, inputs)}
    for k, layer in enumerate(configuration.layers):
        found.update({f"layers.{k}.{n}": s for n, s in shapes(layer.cell, inputs, layer.neurons).items()})
        inputs = layer.neurons
    return found | {"readout_weights": (configuration.predicted, inputs), "readout_biases": (configuration.predicted,)}


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """No dropout inside the block; afterwards the network trains again if it did."""
    before = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(before)


@torch.inference_mode()
def predict(network: Network, sequences: Sequence[Ids]) -> list[NDArray[np.floating[Any]]]:
    """The log-probabilities of the next symbol after every step, in nats; nothing else is kept.

    Args:
        network: one that reads out at every step.
        sequences: ids, (T,) each, each from the initial state.

    Returns:
        (T, V) for each sequence.

    Raises:
        NetworkError: the network reads out after the last step only.
    """
    if network.configuration.reads != "every step":
        raise NetworkError("this network predicts once, after the last step; one that always does is needed here.")
    order = sorted((k for k in range(len(sequences)) if len(sequences[k])), key=lambda k: len(sequences[k]))
    nothing = np.empty((0, network.configuration.predicted), np.float32)
    results: list[NDArray[np.floating[Any]]] = [nothing] * len(sequences)
    rows = 64
    for group in (order[k : k + rows] for k in range(0, len(order), rows)):
        tokens, lengths = padded([sequences[k] for k in group])
        parts, state = [], None
        for piece in torch.from_numpy(tokens).long().t().split(max(1, PIECE // len(group))):
            with evaluating(network):
                output = network(piece, state)
            state = output.state
            parts.append(output.logits.log_softmax(2).numpy())
        whole = np.concatenate(parts)
        for column, (k, length) in enumerate(zip(group, lengths, strict=True)):
            results[k] = whole[:length, column]
    return results


def padded(sequences: Sequence[Ids]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(S, T) ids with -1 behind the end of each sequence, and the lengths (S,)."""
    lengths = np.array([len(ids) for ids in sequences])
    tokens = np.full((len(sequences), int(lengths.max(initial=0))), PADDING, np.int32)
    for row, ids in zip(tokens, sequences, strict=True):
        row[: len(ids)] = ids
    return tokens, lengths
