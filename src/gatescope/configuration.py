"""The configuration of a network: everything but its weights, as it stands in network.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import index
from typing import Any

from gatescope.cells import Cell, cell_of
from gatescope.errors import GatescopeError
from gatescope.head import HeadError, HiddenLayer
from gatescope.names import check_names, named_settings
from gatescope.readout import SYMBOLS, Readout, ReadoutError
from gatescope.vocabulary import Vocabulary

FORMAT = 3
LAYER_FLAGS = ("reverse", "initial", "stacked")  # true or false for each layer of network.json


class NetworkError(GatescopeError):
    """A network that cannot be made; the message names the setting and what was expected."""


@dataclass(frozen=True)
class Layer:
    """One recurrent layer: its cell, its number of neurons and the direction in which it reads.

    A layer with `reverse` reads each sequence from its end. It follows the forward layer that reads the same inputs;
    the next layer reads the hidden states of both. A `stacked` reverse layer has no forward partner: it reads the layer
    below.

    Attributes:
        cell: the equations.
        neurons: N, 1 or more.
        reverse: true if the layer reads from the end.
        initial: true if the weights hold the states before the first step, one (N,) for each state of the cell. They
            are constant: training does not change them. Otherwise every state starts at 0.
        stacked: true if a reverse layer reads the layer below, not the inputs of the layer before it.

    Raises:
        NetworkError: the number of neurons is not a whole number.
    """

    cell: Cell
    neurons: int
    reverse: bool = False
    initial: bool = False
    stacked: bool = False

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "neurons", index(self.neurons))
        except TypeError:
            raise NetworkError("NETWORK_NEURONS_TYPE", neurons=self.neurons) from None


@named_settings
@dataclass(frozen=True)
class Configuration:
    """Everything about a network except its weights.

    Attributes:
        vocabulary: the inputs: symbols, one-hot or embedded, or vectors of numbers.
        layers: the recurrent layers from the input upwards. Each reads the hidden state h of the layer below, or of the
            two layers below that read in both directions.
        embedding: the size of the learned vector of each symbol; None for one-hot input.
        dropout: the share of the inputs of each layer and of the readout that is dropped in training: of embeddings
            and hidden states, but not of one-hot symbols or numbers (Zaremba, Sutskever and Vinyals 2014).
        readout: what is predicted, and when.
        hidden: the hidden layers between the highest recurrent layer and the readout; empty for a linear readout.

    Raises:
        NetworkError: the settings do not make a network.
    """

    vocabulary: Vocabulary
    layers: tuple[Layer, ...]
    embedding: int | None = None
    dropout: float = 0.0
    readout: Readout = SYMBOLS
    hidden: tuple[HiddenLayer, ...] = ()

    def __post_init__(self) -> None:
        vocabulary: object = self.vocabulary
        if not isinstance(vocabulary, Vocabulary):
            raise NetworkError("NETWORK_VOCABULARY_TYPE", type=type(vocabulary).__name__)
        self._check_layers()
        if self.embedding is not None:
            if vocabulary.unit == "number":
                raise NetworkError("NETWORK_EMBEDDING_OF_NUMBERS")
            if not isinstance(self.embedding, int) or self.embedding < 1:
                raise NetworkError("NETWORK_EMBEDDING_SIZE", embedding=self.embedding)
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise NetworkError("NETWORK_DROPOUT_RANGE", dropout=self.dropout)
        if vocabulary.unit == "number" and self.readout.kind == "symbols":
            raise NetworkError("NETWORK_READOUT_OF_NUMBERS")

    def _check_layers(self) -> None:
        if not self.layers:
            raise NetworkError("NETWORK_LAYERS_EMPTY")
        for k, layer in enumerate(self.layers):
            if layer.neurons < 1:
                raise NetworkError("NETWORK_NEURONS_RANGE", layer=k, neurons=layer.neurons)
            if layer.stacked and not layer.reverse:
                raise NetworkError("NETWORK_STACKED_FORWARD", layer=k)
            if layer.reverse and not layer.stacked and (k == 0 or self.layers[k - 1].reverse):
                raise NetworkError("NETWORK_REVERSE_WITHOUT_FORWARD", layer=k)

    @property
    def predicted(self) -> int:
        """The number of values that the readout returns: one per symbol, class, number or quantile of a number."""
        return self.readout.size(self.vocabulary.size)

    @cached_property
    def names(self) -> list[str]:
        """The names of the layers: "layer0", "layer0_reverse", "layer1", ..."""
        return [
            f"layer{k}{'_reverse' if self.layers[j].reverse else ''}"
            for k, level in enumerate(self.levels)
            for j in level
        ]

    @cached_property
    def levels(self) -> list[list[int]]:
        """The positions of the layers that read the same inputs: one, or two that read in both directions."""
        levels: list[list[int]] = []
        for k, layer in enumerate(self.layers):
            if layer.reverse and not layer.stacked:
                levels[-1].append(k)
            else:
                levels.append([k])
        return levels

    @property
    def inputs(self) -> list[int]:
        """The number of inputs of each layer, and, as the last entry, of the readout or its first hidden layer."""
        size, sizes = self.embedding or self.vocabulary.size, []
        for level in self.levels:
            sizes += [size] * len(level)
            size = sum(self.layers[k].neurons for k in level)
        return [*sizes, size]

    @property
    def starts(self) -> bool:
        """Whether any layer has an initial state other than 0."""
        return any(layer.initial for layer in self.layers)

    @property
    def both_ways(self) -> bool:
        """Whether any layer reads from the end. Such a network runs a sequence as a whole, and cannot write one."""
        return any(layer.reverse for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Return network.json. It holds the equations of the cells, so a run can be read without its author's code."""
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
        """Return the configuration that `to_json` wrote.

        Args:
            data: the parsed network.json.

        Raises:
            NetworkError: the data are of a newer format, or do not describe a network.
            EquationError: the equations of a cell are not valid.
        """
        if not isinstance(data, dict) or type(data.get("format")) is not int or data["format"] < 1:
            raise NetworkError("NETWORK_JSON_FORMAT_MISSING")
        if data["format"] > FORMAT:
            raise NetworkError("NETWORK_JSON_FORMAT_NEWER", supported=FORMAT, format=data["format"])
        try:
            cells = {name: Cell.from_json(cell) for name, cell in data["cells"].items()}
            layers = [
                (cells[layer["cell"]], layer["neurons"], *(layer.get(flag, False) for flag in LAYER_FLAGS))
                for layer in data["layers"]
            ]
            vocabulary = Vocabulary.from_json(data["vocabulary"])
            embedding, dropout = data["embedding"], data["dropout"]
            readout = Readout.from_json(data["readout"] if data["format"] > 1 else _readout_of_format_1(data))
            hidden = tuple(HiddenLayer.from_json(layer) for layer in (data["hidden"] if data["format"] > 2 else ()))
        except (KeyError, TypeError, AttributeError) as error:
            raise NetworkError("NETWORK_JSON_DAMAGED", error=error) from error
        except (ReadoutError, HeadError) as error:
            raise NetworkError(error.message) from error
        sizes = [neurons for _, neurons, *_ in layers] + ([] if embedding is None else [embedding])
        if not all(type(size) is int for size in sizes) or type(dropout) not in (int, float):
            raise NetworkError("NETWORK_JSON_SIZES", sizes=sizes, dropout=dropout)
        if not all(type(flag) is bool for _, _, *flags in layers for flag in flags):
            raise NetworkError("NETWORK_JSON_FLAGS", flags=", ".join(LAYER_FLAGS))
        return cls(vocabulary, tuple(Layer(*layer) for layer in layers), embedding, float(dropout), readout, hidden)


def _readout_of_format_1(data: dict[str, Any]) -> dict[str, Any]:
    """Return the readout of version 0.1, which wrote a number of classes without names, or null for symbols."""
    count = data["outputs"]
    if count is not None and (type(count) is not int or count < 1):
        raise NetworkError("NETWORK_JSON_OUTPUTS", outputs=count)
    names = [str(k) for k in range(count or 0)]
    return {"kind": "classes" if names else "symbols", "names": names, "quantiles": [], "reads": data["reads"]}


def configure(
    vocabulary: Vocabulary, cell: Cell | str, neurons: int | Sequence[int], *, both_ways: bool = False, **settings: Any
) -> Configuration:
    """Return a configuration whose layers all have the same cell.

    Args:
        vocabulary: the inputs.
        cell: a cell or the name of a built-in one, optionally with other initial biases, as in "lstm:f=3".
        neurons: the number of neurons of each layer (and direction), from the input upwards; one number for one layer.
        both_ways: true if each layer reads in both directions.
        settings: the other fields of `Configuration`: embedding, dropout, readout, hidden.

    Raises:
        CellError: there is no such cell.
        NetworkError: a size or setting does not make sense.
    """
    check_names("Argument of configure", settings, SETTINGS)
    made = cell_of(cell)
    directions = (False, True) if both_ways else (False,)
    layers = tuple(Layer(made, size, reverse) for size in _layer_sizes(neurons) for reverse in directions)
    return Configuration(vocabulary, layers, **settings)


SETTINGS = (
    *("vocabulary", "cell", "neurons", "both_ways"),
    *(field.name for field in fields(Configuration) if field.name not in ("vocabulary", "layers")),
)
"""The arguments of `configure`, and of `Network` in place of a configuration."""


def _layer_sizes(neurons: object) -> Sequence[Any]:
    """Return the sizes of the layers as a sequence, for one number or several."""
    try:
        return [index(neurons)]  # type: ignore[arg-type]  a value without __index__ is a TypeError
    except TypeError:
        pass
    if isinstance(neurons, str) or not isinstance(neurons, Iterable):
        raise NetworkError("NETWORK_NEURONS_TYPE", neurons=neurons)
    return list(neurons)
