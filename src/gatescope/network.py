"""A network: symbols or numbers in, stacked recurrent layers, a readout that predicts.

`T` step, `B` sequence, `V` symbol (or what else is predicted), `I` number of a step, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from gatescope.cells import Cell, cell_of
from gatescope.engine import Engine, Intervention, Parameters, State, initial_state, initialise, run, shapes
from gatescope.engine.interventions import in_numbered_layers
from gatescope.errors import GatescopeError
from gatescope.head import HeadError, HiddenLayer, apply
from gatescope.names import check_names, named_settings
from gatescope.readings import check_ids, readings
from gatescope.readout import SYMBOLS, Readout, ReadoutError, Reads
from gatescope.vocabulary import PADDING, Reading, Vocabulary

FORMAT = 3
CHOICES = ("reverse", "initial", "stacked")  # of a layer in network.json
PIECE = 16_384  # steps of all sequences together that are run at a time where texts can be long: bounds memory


class NetworkError(GatescopeError):
    """A network cannot be made of what was given; the message says what was expected."""


@dataclass(frozen=True)
class Layer:
    """One recurrent layer: which cell, how many neurons, and whether it reads each sequence from its end.

    A layer that does (`reverse`) stands behind the one that reads the same inputs from the beginning; the next layer
    reads the hidden states of both. A `stacked` one stands alone: it reads the layer below.

    Attributes:
        cell: the equations.
        neurons: N.
        reverse: whether it reads from the end.
        initial: whether the weights hold the states before the first step, one (N,) for each state of the cell. They
            are constant: training does not change them. Without them every state starts at 0.
        stacked: whether a layer that reads from the end reads the layer below, not the inputs of the layer before it.
    """

    cell: Cell
    neurons: int
    reverse: bool = False
    initial: bool = False
    stacked: bool = False


@named_settings
@dataclass(frozen=True)
class Configuration:
    """Everything about a network but its weights.

    Attributes:
        vocabulary: what it reads: symbols, one-hot or embedded, or vectors of numbers.
        layers: from the input upwards; each reads the hidden state h of the one below, or of the two that read in
            both directions.
        embedding: the size of the learned vector of each symbol; None for one-hot input.
        dropout: the share of what each layer and the readout read that is left out while training: of an embedding
            and of every h, but not of one-hot symbols or numbers (Zaremba, Sutskever and Vinyals 2014).
        readout: what it predicts, and when.
        hidden: the hidden layers of the readout, which read the highest layer; none: the readout reads it directly.
    """

    vocabulary: Vocabulary
    layers: tuple[Layer, ...]
    embedding: int | None = None
    dropout: float = 0.0
    readout: Readout = SYMBOLS
    hidden: tuple[HiddenLayer, ...] = ()

    def __post_init__(self) -> None:
        if not self.layers:
            raise NetworkError("NETWORK_NETWORK_NEEDS_LEAST_LAYER")
        for k, layer in enumerate(self.layers):
            if layer.neurons < 1:
                raise NetworkError("NETWORK_LAYER_NEURONS_NEEDS_LEAST", neurons=layer.neurons)
            if layer.stacked and not layer.reverse:
                raise NetworkError("NETWORK_LAYER_STACKED_LAYER_READS", k=k)
            if layer.reverse and not layer.stacked and (k == 0 or self.layers[k - 1].reverse):
                raise NetworkError("NETWORK_LAYER_READS_END_LAYER", k=k)
        if self.embedding is not None and self.embedding < 1:
            raise NetworkError("NETWORK_EMBEDDING_NUMBERS_SYMBOL_LEAST", embedding=self.embedding)
        if self.embedding is not None and self.vocabulary.unit == "number":
            raise NetworkError("NETWORK_NUMBERS_READ_THEY_EMBEDDING")
        if not 0 <= self.dropout < 1:
            raise NetworkError("NETWORK_DROPOUT_SHARE_UP_BUT", dropout=self.dropout)
        if self.vocabulary.unit == "number" and self.readout.kind == "symbols":
            raise NetworkError("NETWORK_NETWORK_READS_NUMBERS_SYMBOLS")

    @property
    def predicted(self) -> int:
        """How many values are read out: one for each symbol or class, or each number (and quantile)."""
        return self.readout.size(self.vocabulary.size)

    @property
    def names(self) -> list[str]:
        """The names of the layers: "layer0", "layer0_reverse", "layer1", ..."""
        return [
            f"layer{k}{'_reverse' if self.layers[j].reverse else ''}"
            for k, level in enumerate(self.levels)
            for j in level
        ]

    @property
    def levels(self) -> list[list[int]]:
        """Which layers read the same inputs: one, or two in both directions."""
        found: list[list[int]] = []
        for k, layer in enumerate(self.layers):
            if layer.reverse and not layer.stacked:
                found[-1].append(k)
            else:
                found.append([k])
        return found

    @property
    def inputs(self) -> list[int]:
        """How many numbers each layer reads at a step; and, behind the last, the readout or its hidden layers."""
        sizes, found = self.embedding or self.vocabulary.size, []
        for level in self.levels:
            found += [sizes] * len(level)
            sizes = sum(self.layers[k].neurons for k in level)
        return [*found, sizes]

    @property
    def starts(self) -> bool:
        """Whether any layer starts from states of its own instead of 0."""
        return any(layer.initial for layer in self.layers)

    @property
    def both_ways(self) -> bool:
        """Whether any layer reads from the end: then a text is run as a whole, and nothing can be written."""
        return any(layer.reverse for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """As network.json: the cells with their equations, so that a run can be read without its author's code."""
        cells = {layer.cell.name: layer.cell.to_json() for layer in self.layers}
        return {
            "format": FORMAT,
            "vocabulary": self.vocabulary.to_json(),
            "cells": cells,
            "layers": [
                {
                    "cell": layer.cell.name,
                    "neurons": layer.neurons,
                    "reverse": layer.reverse,
                    "initial": layer.initial,
                    "stacked": layer.stacked,
                }
                for layer in self.layers
            ],
            "embedding": self.embedding,
            "dropout": self.dropout,
            "readout": self.readout.to_json(),
            "hidden": [layer.to_json() for layer in self.hidden],
        }

    @classmethod
    def from_json(cls, data: Any) -> Configuration:
        """The configuration that `to_json` wrote.

        Raises:
            NetworkError: it is of a newer format, or not a configuration.
            EquationError: a cell's equations are not equations.
        """
        if not isinstance(data, dict) or type(data.get("format")) is not int or data["format"] < 1:
            raise NetworkError("NETWORK_DESCRIPTION_NETWORK_OBJECT_FORMAT")
        if data["format"] > FORMAT:
            raise NetworkError("NETWORK_NETWORK_WRITTEN_NEWER_GATESCOPE", data=data["format"], format=FORMAT)
        try:
            cells = {name: Cell.from_json(cell) for name, cell in data["cells"].items()}
            chosen = [
                (cells[layer["cell"]], layer["neurons"], *(layer.get(choice, False) for choice in CHOICES))
                for layer in data["layers"]
            ]
            vocabulary = Vocabulary.from_json(data["vocabulary"])
            embedding, dropout = data["embedding"], data["dropout"]
            readout = Readout.from_json(data["readout"] if data["format"] > 1 else _readout_of_format_1(data))
            hidden = tuple(HiddenLayer.from_json(layer) for layer in (data["hidden"] if data["format"] > 2 else ()))
        except (KeyError, TypeError, AttributeError) as error:
            raise NetworkError("NETWORK_DESCRIPTION_NETWORK_INCOMPLETE_DAMAGED", error=error) from error
        except (ReadoutError, HeadError) as error:
            raise NetworkError(str(error)) from error
        sizes = [neurons for _, neurons, *_ in chosen] + ([] if embedding is None else [embedding])
        if not all(type(size) is int for size in sizes) or type(dropout) not in (int, float):
            raise NetworkError("NETWORK_SIZES_NETWORK_DROPOUT_NUMBERS", sizes=sizes, dropout=dropout)
        if not all(type(choice) is bool for _, _, *choices in chosen for choice in choices):
            raise NetworkError("NETWORK_LAYER_TRUE_FALSE_SOMETHING", choices=", ".join(CHOICES))
        return cls(vocabulary, tuple(Layer(*each) for each in chosen), embedding, float(dropout), readout, hidden)


def _readout_of_format_1(data: dict[str, Any]) -> dict[str, Any]:
    """What version 0.1 wrote: a number of classes without names, or none for the symbols."""
    count = data["outputs"]
    if count is not None and (type(count) is not int or count < 1):
        raise NetworkError("NETWORK_NETWORK_OUTPUTS_NEEDS_LEAST", count=count)
    names = [str(k) for k in range(count or 0)]
    return {"kind": "classes" if names else "symbols", "names": names, "quantiles": [], "reads": data["reads"]}


def configure(
    vocabulary: Vocabulary, cell: Cell | str, neurons: Sequence[int], *, both_ways: bool = False, **settings: Any
) -> Configuration:
    """A configuration whose layers all have the same cell.

    Args:
        vocabulary: what it reads.
        cell: a cell or the name of a built-in one, perhaps with other biases at the start, as in "lstm:f=3".
        neurons: the number of neurons of each layer (and direction).
        both_ways: whether each layer reads in both directions.
        settings: the other fields of `Configuration`.

    Raises:
        CellError: an unknown cell.
        NetworkError: a size that makes no sense.
    """
    fields_there = [field.name for field in fields(Configuration) if field.name not in ("vocabulary", "layers")]
    check_names("Argument of configure", settings, ["vocabulary", "cell", "neurons", "both_ways", *fields_there])
    if not isinstance(vocabulary, Vocabulary):
        raise NetworkError("NETWORK_VOCABULARY_VOCABULARY_VOCABULARY_TEXT", name=type(vocabulary).__name__)
    if isinstance(neurons, int):
        neurons = [neurons]
    made = cell_of(cell)
    directions = (False, True) if both_ways else (False,)
    layers = tuple(Layer(made, size, reverse) for size in neurons for reverse in directions)
    return Configuration(vocabulary, layers, **settings)


@dataclass(frozen=True)
class Output:
    """What one pass gives.

    Attributes:
        logits: unnormalised log-probabilities (or the numbers that are estimated, the quantiles of each side by side)
            after every step, (T, B, V); after the last step of each sequence, (B, V), where that alone is read.
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
        *inputs, hidden = configuration.inputs
        self.layers = nn.ModuleList()
        for count, layer in zip(inputs, configuration.layers, strict=True):
            values = initialise(layer.cell, count, layer.neurons, generator)
            self.layers.append(
                nn.ParameterDict({name: nn.Parameter(value) for name, value in values.by_name().items()})
            )
        self.initial = nn.ModuleList(_Start(layer) for layer in configuration.layers)
        self.hidden = nn.ModuleList()
        for layer in configuration.hidden:
            values = {"weights": _glorot((layer.neurons, hidden), generator), "biases": torch.zeros(layer.neurons)}
            self.hidden.append(nn.ParameterDict({name: nn.Parameter(value) for name, value in values.items()}))
            hidden = layer.neurons
        self.readout_weights = nn.Parameter(_glorot((configuration.predicted, hidden), generator))
        self.readout_biases = nn.Parameter(torch.zeros(configuration.predicted))

    def parameters_of(self, layer: int) -> Parameters:
        """The weights of one layer, as the engine takes them."""
        return Parameters(**dict(self.layers[layer].items()))  # type: ignore[arg-type]

    def hidden_weights(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return the weights (neurons, inputs) and biases (neurons,) of one hidden layer of the readout."""
        values = dict(self.hidden[layer].named_parameters())
        return values["weights"], values["biases"]

    def initial_states(self, rows: int) -> list[dict[str, Tensor]]:
        """Return the states of every layer before the first step, (rows, N) each."""
        found = []
        for layer, start in zip(self.configuration.layers, self.initial, strict=True):
            zero = initial_state(layer.cell, self.readout_biases.detach(), rows, layer.neurons)
            found.append({name: value.repeat(rows, 1) for name, value in start.named_buffers()} or zero)
        return found

    def read_out(self, values: Float[Tensor, "*S N"]) -> Float[Tensor, "*S V"]:
        """Return the logits (or estimates) from what the highest layer hands on."""
        for k, layer in enumerate(self.configuration.hidden):
            values = self._dropped(apply(layer, *self.hidden_weights(k), values))
        return nn.functional.linear(values, self.readout_weights, self.readout_biases)

    def forward(
        self,
        tokens: Int[Tensor, "T B"] | Float[Tensor, "T B I"],
        state: Sequence[State] | None = None,
        *,
        lengths: Int[Tensor, "B"] | None = None,
        keep: Sequence[Sequence[str]] | None = None,
        interventions: Sequence[Intervention] = (),
        engine: Engine = "auto",
        reads: Reads | None = None,
    ) -> Output:
        """Run the network.

        Args:
            tokens: ids; one that is no symbol (unknown, or padding) is read as the zero vector. Or numbers, which may
                be NaN behind the end of a sequence.
            state: for each layer, the states before the first step that it reads; the network's own initial states
                when not given, which are 0 unless the configuration says otherwise.
            lengths: the number of steps of each sequence, all T when not given. What stands behind a sequence's end
                influences nothing that is returned for its own steps, nor its final state.
            keep: for each layer, the signals and drives to return; none when not given.
            interventions: changes of named signals.
            engine: see `gatescope.engine.run`.
            reads: when to read out, instead of what the configuration says.

        Raises:
            ReadingError: an id is neither a symbol, nor the one of what is unknown, nor padding (-1).
            ValueError: an intervention on a layer that the network does not have, or see `gatescope.engine.run`.
        """
        layers = self.configuration.layers
        interventions = in_numbered_layers(interventions, self.configuration.names)
        self._check(tokens)
        inputs = self._read(tokens, lengths)
        if state is None and self.configuration.starts:
            state = self.initial_states(tokens.shape[1])
        signals: list[Mapping[str, Tensor]] = []
        final: list[State] = []
        for depth, level in enumerate(self.configuration.levels):
            hidden: list[Tensor] = []
            if depth or self.embedding is not None:
                inputs = self._dropped(inputs)
            for k in level:
                wanted = tuple(keep[k]) if keep is not None else ()
                found, after = run(
                    layers[k].cell,
                    self.parameters_of(k),
                    inputs,
                    None if state is None else state[k],
                    lengths=lengths,
                    keep=tuple(dict.fromkeys(("h", *wanted))),
                    interventions=[change for change in interventions if change.layer == k],
                    reverse=layers[k].reverse,
                    engine=engine,
                )
                final.append(after)
                signals.append({name: found[name] for name in wanted})
                hidden.append(found["h"])
            inputs = hidden[0] if len(hidden) == 1 else torch.cat(hidden, 2)
        if (reads or self.configuration.readout.reads) == "last step":
            inputs = _last(inputs, lengths, layers[-1].neurons if layers[-1].reverse else 0)
        return Output(self.read_out(self._dropped(inputs)), tuple(signals), tuple(final))

    def _check(self, tokens: Tensor) -> None:
        """Refuse ids beyond the vocabulary, which would be read as nothing, and numbers in place of ids."""
        vocabulary = self.configuration.vocabulary
        if vocabulary.unit != "number" and (tokens.is_floating_point() or tokens.dtype == torch.bool):
            raise NetworkError("NETWORK_IDS_WHOLE_NUMBERS_ENCODE", dtype=tokens.dtype)
        if tokens.numel() and vocabulary.unit != "number":
            low, high = tokens.aminmax()
            check_ids(vocabulary, int(low), int(high))

    def _read(self, tokens: Tensor, lengths: Tensor | None) -> Tensor:
        """What the first layer reads: ids, or vectors (T, B, I)."""
        if self.embedding is not None:
            return _embed(tokens, self.embedding)
        if lengths is not None and tokens.is_floating_point():
            # NaN times a gradient of 0 would be NaN.
            behind = torch.arange(len(tokens), device=tokens.device)[:, None] >= lengths
            return tokens.masked_fill(behind[..., None], 0)
        return tokens

    def _dropped(self, values: Tensor) -> Tensor:
        """Values of which some are left out while training."""
        share = self.configuration.dropout
        return nn.functional.dropout(values, share) if self.training and share else values


class _Start(nn.Module):
    """The constant states of a layer before its first step, (N,) each; none where it starts at 0."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        for name in layer.cell.states if layer.initial else ():
            self.register_buffer(name, torch.zeros(layer.neurons))


def _glorot(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * (6 / sum(shape)) ** 0.5


def _embed(tokens: Tensor, weights: Tensor) -> Tensor:
    known = (tokens >= 0) & (tokens < len(weights))
    return nn.functional.embedding(tokens.where(known, 0), weights) * known.unsqueeze(-1)


def _last(values: Float[Tensor, "T B N"], lengths: Int[Tensor, "B"] | None, reverse: int) -> Float[Tensor, "B N"]:
    """The values at the last step that was read of each sequence; of the last `reverse` neurons that is the first."""
    if lengths is None:
        last = values[-1]
    else:
        last = values[lengths - 1, torch.arange(len(lengths), device=values.device)]
    return torch.cat([last[:, :-reverse], values[0, :, -reverse:]], 1) if reverse else last


def expected_tensors(configuration: Configuration) -> dict[str, tuple[int, ...]]:
    """The name and shape of every weight that a network of this configuration has, computed without making it."""
    symbols = configuration.vocabulary.size
    *inputs, hidden = configuration.inputs
    found: dict[str, tuple[int, ...]] = {}
    if configuration.embedding is not None:
        found["embedding"] = (symbols, configuration.embedding)
    for k, (layer, count) in enumerate(zip(configuration.layers, inputs, strict=True)):
        found.update({f"layers.{k}.{n}": s for n, s in shapes(layer.cell, count, layer.neurons).items()})
        if layer.initial:
            found.update({f"initial.{k}.{state}": (layer.neurons,) for state in layer.cell.states})
    for k, layer in enumerate(configuration.hidden):
        found |= {f"hidden.{k}.weights": (layer.neurons, hidden), f"hidden.{k}.biases": (layer.neurons,)}
        hidden = layer.neurons
    return found | {"readout_weights": (configuration.predicted, hidden), "readout_biases": (configuration.predicted,)}


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
def predict(network: Network, sequences: Sequence[Reading]) -> list[NDArray[np.floating[Any]]]:
    """What the network predicts after every step, or after the last one; nothing else is kept.

    Args:
        network: any.
        sequences: ids, (T,) each, or numbers, (T, I) each; each from the initial state.

    Returns:
        For each sequence (T, V) log-probabilities in nats of the symbols or classes (or the estimates of numbers);
        (1, V), where the network reads out once, and (0, V) of a sequence without steps.
    """
    configuration = network.configuration
    sequences = readings(configuration.vocabulary, sequences)
    once = configuration.readout.reads == "last step"
    order = sorted((k for k in range(len(sequences)) if len(sequences[k])), key=lambda k: len(sequences[k]))
    nothing = np.empty((0, configuration.predicted), np.float32)
    results: list[NDArray[np.floating[Any]]] = [nothing] * len(sequences)
    rows = 64
    for group in (order[k : k + rows] for k in range(0, len(order), rows)):
        tokens, lengths = padded([sequences[k] for k in group])
        steps = torch.from_numpy(tokens).transpose(0, 1)
        whole = configuration.both_ways or once
        parts, state = [], None
        for piece in steps.split(len(steps) if whole else max(1, PIECE // len(group))):
            with evaluating(network):
                output = network(
                    piece if piece.is_floating_point() else piece.long(),
                    state,
                    lengths=torch.from_numpy(lengths) if whole else None,
                )
            state = output.state
            parts.append(predictions_of(configuration, output.logits).numpy())
        told = parts[0][None] if once else np.concatenate(parts)
        for column, (k, length) in enumerate(zip(group, lengths, strict=True)):
            results[k] = told[:length, column]
    return results


def predictions_of(configuration: Configuration, logits: Tensor) -> Tensor:
    """Log-probabilities in nats of the symbols or classes, or the estimates of numbers: of `Output.logits`."""
    return logits if configuration.readout.kind == "numbers" else logits.log_softmax(-1)


def padded(sequences: Sequence[Reading]) -> tuple[Reading, NDArray[np.int64]]:
    """(S, T) ids with -1, or (S, T, I) numbers with NaN, behind the end of each sequence; and the lengths (S,)."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    numbers = bool(sequences) and sequences[0].ndim == 2
    size = (len(sequences), int(lengths.max(initial=0)), *(sequences[0].shape[1:] if numbers else ()))
    steps = np.full(size, np.nan, np.float32) if numbers else np.full(size, PADDING, np.int32)
    for row, sequence in zip(steps, sequences, strict=True):
        row[: len(sequence)] = sequence
    return steps, lengths
