"""The trace: every signal of a network on a text, as named arrays with named axes.

docs/trace.md is the schema; this class is a thin view of it and holds no network.

`S` sequence, `T` step, `N` neuron, `K` rank, `I` number that is read, `O` number that is predicted, `Q` quantile.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatescope.display import fields_html, table_html
from gatescope.errors import GatescopeError
from gatescope.names import Catalogue, UnknownAttributeError, layer_name, unknown
from gatescope.vocabulary import Vocabulary

if TYPE_CHECKING:
    import xarray

FORMAT = 1

STEP_AXES: dict[str, tuple[str, ...]] = {
    "token": ("sequence", "step"),
    "target": ("sequence", "step"),
    "log_probability": ("sequence", "step"),
    "top_token": ("sequence", "step", "rank"),
    "top_probability": ("sequence", "step", "rank"),
    "input": ("sequence", "step", "number"),
    "value": ("sequence", "step", "output"),
    "estimate": ("sequence", "step", "estimate"),
}
LAYER_AXES = ("sequence", "step", "neuron")
STATE_AXES = ("sequence", "neuron")
UNRECORDED_STEP = "\N{MIDDLE DOT}"  # the label of a step whose symbol or vector the trace does not hold
SHOWN_CHARACTERS = 60  # of the text, in a notebook


class TraceError(GatescopeError):
    """Arrays that are not a trace, or a question that a trace cannot answer; the message says what is missing."""


class MissingPackageError(TraceError, ImportError):
    """An optional package that is not installed."""


class LayerArrays(Catalogue[Any]):
    """The arrays (S, T, N) of one layer, by name: `trace["layer0"]["c"]`, or `trace["layer0"].c`.

    A name with a dot ("x.i", a drive) or the name of a method of dictionaries is only available in brackets.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self:
            raise UnknownAttributeError(unknown(self._what, name, self))
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in self if name.isidentifier())})

    def __repr__(self) -> str:
        return f"<{self._what}: {', '.join(self)}>"


@dataclass(frozen=True, repr=False)
class Trace:
    """The arrays of one recording of S sequences of at most T steps.

    Floating-point arrays are NaN for padding and where there is no value; ids are -1 there.

    Attributes:
        lengths: the number of steps of each sequence, (S,).
        steps: "token" and "target", (S, T) ids; "log_probability", (S, T), of the target in nats; "top_token" and
            "top_probability", (S, T, K), the most probable symbols or classes after each step, most probable first. If
            numbers are read: "input" (S, T, I), and tokens of -1. If numbers are predicted, in place of targets and
            probabilities: "value" (S, T, O), the targets, and "estimate" (S, T, O · Q), the quantiles of each number
            side by side.
        layers: "layer0" -> name -> (S, T, N): the signals, and the drives ("x.i", "u.i") if they were recorded.
        initial: "layer0" -> state -> (S, N): the states before the first step.
        parameters: "layer0" -> "p.k" -> (N,): the numbers per neuron in the equations.
        attributes: JSON: the cells with their equations, the vocabulary, the readout, the engine, precision and version
            that made the trace, and the largest residual of any equation.

    Raises:
        TraceError: the arrays do not fit each other.
    """

    lengths: NDArray[np.int64]
    steps: Mapping[str, Any]
    layers: Mapping[str, Mapping[str, Any]]
    initial: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Mapping[str, Any]]
    attributes: Mapping[str, Any]

    def __post_init__(self) -> None:
        token = self.steps.get("token")
        if token is None or token.ndim != 2:
            raise TraceError("TRACE_TOKEN_MISSING")
        size = (len(self.lengths), token.shape[1])
        for name, array in self.steps.items():
            axes, shape = STEP_AXES.get(name, ()), tuple(array.shape)
            if len(shape) != len(axes) or shape[:2] != size:
                raise TraceError("TRACE_STEPS_SHAPE", name=name, axes=", ".join(axes), size=size, shape=shape)
        for layer, signals in self.layers.items():
            shapes = {name: tuple(array.shape) for name, array in signals.items()}
            if len({shape[2:] for shape in shapes.values()}) > 1 or any(
                len(shape) != len(LAYER_AXES) or shape[:2] != size for shape in shapes.values()
            ):
                raise TraceError("TRACE_LAYER_SHAPES", layer=layer, size=size, shapes=shapes)

    def __getitem__(self, layer: int | str) -> LayerArrays:
        """Return the arrays of a layer.

        Args:
            layer: its name, such as "layer0_reverse"; or its number, if the network reads in one direction.

        Raises:
            TraceError: there is no such layer. A name that the layer does not have is an UnknownNameError there.
        """
        name = layer_name(layer, list(self.layers))
        if name is None:
            raise TraceError(unknown("Layer of the trace", layer, self.layers))
        return LayerArrays(f"Signal of {name}", dict(self.layers[name]))

    def __repr__(self) -> str:
        return f"<Trace {self._size_text}; {', '.join(f'{k}: {v}' for k, v in self._layer_texts.items())}>"

    def _repr_html_(self) -> str:
        fields: dict[str, object] = {"size": self._size_text}
        if len(self.lengths) and self.shows_steps:
            fields["first sequence"] = "".join(self.step_labels(0, 0, min(int(self.lengths[0]), SHOWN_CHARACTERS)))
        fields |= {
            name: self.attributes[name] for name in ("engine", "precision", "residual") if name in self.attributes
        }
        rows = [
            (layer, self._neurons(layer), name, about.get("title", ""), about.get("formula", ""))
            for layer, arrays in self.layers.items()
            for name, about in ((name, self._about(layer, name)) for name in arrays)
        ]
        return fields_html("Trace", fields) + table_html(("layer", "neurons", "array", "title", "formula"), rows)

    @property
    def _size_text(self) -> str:
        count, steps = len(self.lengths), int(np.sum(self.lengths))
        return f"{count:,} sequence{'' if count == 1 else 's'}, {steps:,} step{'' if steps == 1 else 's'}"

    @property
    def _layer_texts(self) -> dict[str, str]:
        """The number of neurons and the signals of each layer, without drives."""
        return {
            layer: f"{self._neurons(layer)} neurons, {' '.join(name for name in arrays if '.' not in name)}"
            for layer, arrays in self.layers.items()
        }

    def _neurons(self, layer: str) -> int:
        array = next(iter(self.layers[layer].values()), None)
        return 0 if array is None else int(array.shape[2])

    def _about(self, layer: str, name: str) -> Mapping[str, Any]:
        """Return title, range and formula of an array; empty if the attributes do not describe it."""
        return self._described("layers", layer, "arrays", name)

    def _described(self, *keys: str) -> Mapping[str, Any]:
        """Return an object inside the attributes; empty if they do not have it."""
        about: Any = self.attributes
        for key in keys:
            about = about.get(key) if isinstance(about, Mapping) else None
        return about if isinstance(about, Mapping) else {}

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the ids.

        Raises:
            TraceError: the trace holds neither symbols nor the vectors that were read.
        """
        if not self.shows_steps:
            raise TraceError("TRACE_TEXT_UNRECORDED")
        try:
            return Vocabulary.from_json(self.attributes["vocabulary"])
        except GatescopeError as error:
            raise TraceError("TRACE_VOCABULARY_DAMAGED", error=error.message) from error

    @property
    def shows_steps(self) -> bool:
        """Whether the trace holds the inputs of each step: symbols, or the vectors themselves."""
        vocabulary = self.attributes.get("vocabulary")
        if not isinstance(vocabulary, dict):
            return True  # damaged; the property `vocabulary` raises the error
        return "input" in self.steps if vocabulary.get("unit") == "number" else vocabulary.get("symbols") != []

    def text(self, sequence: int) -> str:
        """Return the text of one sequence, with U+FFFD for unknown symbols.

        Args:
            sequence: the number of the sequence.

        Raises:
            TraceError: the trace holds neither symbols nor the vectors that were read.
        """
        vocabulary = self.vocabulary
        tokens = self.steps["input" if vocabulary.unit == "number" else "token"]
        return vocabulary.decode(np.asarray(tokens[sequence])[: int(self.lengths[sequence])])

    def step_labels(self, sequence: int, first: int, last: int) -> list[str]:
        """Return what to print for some steps of a sequence.

        Args:
            sequence: the number of the sequence.
            first: the first step.
            last: the step after the last one.

        Returns:
            The labels; "\N{MIDDLE DOT}" for each step if the trace holds neither symbols nor vectors.
        """
        if not self.shows_steps:
            return [UNRECORDED_STEP] * max(0, min(last, int(self.lengths[sequence])) - first)
        vocabulary = self.vocabulary
        tokens = self.steps["input" if vocabulary.unit == "number" else "token"]
        return vocabulary.labels(np.asarray(tokens[sequence, first:last]))

    def sequence(self, index: int) -> Trace:
        """Return the trace of one sequence, without padding.

        Args:
            index: the number of the sequence.
        """
        length = int(self.lengths[index])
        rows = slice(index, index + 1) if index != -1 else slice(index, None)
        return Trace(
            lengths=self.lengths[rows],
            steps={name: np.asarray(array[rows, :length]) for name, array in self.steps.items()},
            layers={
                layer: {name: np.asarray(array[rows, :length]) for name, array in signals.items()}
                for layer, signals in self.layers.items()
            },
            initial={
                layer: {name: np.asarray(array[rows]) for name, array in states.items()}
                for layer, states in self.initial.items()
            },
            parameters=self.parameters,
            attributes={name: value for name, value in self.attributes.items() if name != "repeats"},
        )

    def to_xarray(self) -> xarray.DataTree:
        """Return the same arrays with labelled axes: one group per layer, as in docs/trace.md.

        Every group with steps has the coordinate "symbol" (sequence, step), the label of each step, empty for padding;
        every group of a layer has "neuron". Attributes that are lists or objects are texts of JSON; titles, ranges and
        formulas stand at the arrays.

        Raises:
            MissingPackageError: xarray is not installed.
            TraceError: the vocabulary is damaged.
        """
        try:
            import xarray  # noqa: PLC0415  an extra
        except ImportError as error:
            raise MissingPackageError("TRACE_XARRAY_MISSING") from error
        steps = {name: (STEP_AXES[name], np.asarray(array)) for name, array in self.steps.items()}
        symbols = {"symbol": (("sequence", "step"), self._symbols())}
        groups = {
            "/": xarray.Dataset(
                {**steps, "length": (("sequence",), self.lengths)}, symbols, self._plain_attributes(self.attributes)
            )
        }
        for layer, signals in self.layers.items():
            neurons = {"neuron": np.arange(self._neurons(layer))}
            about = self._described("layers", layer)
            groups[layer] = xarray.Dataset(
                {name: (LAYER_AXES, np.asarray(array), self._about(layer, name)) for name, array in signals.items()},
                {**neurons, **symbols},
                self._plain_attributes({name: value for name, value in about.items() if name != "arrays"}),
            )
            groups[f"{layer}/initial"] = xarray.Dataset(
                {name: (STATE_AXES, np.asarray(array)) for name, array in self.initial.get(layer, {}).items()}, neurons
            )
            groups[f"{layer}/parameters"] = xarray.Dataset(
                {name: (("neuron",), np.asarray(array)) for name, array in self.parameters.get(layer, {}).items()},
                neurons,
            )
        return xarray.DataTree.from_dict(groups)

    def _symbols(self) -> NDArray[Any]:
        """Return the labels of all steps, (S, T); empty for padding."""
        count, steps = self.steps["token"].shape
        symbols = np.full((count, steps), "", dtype=object)
        for sequence, length in enumerate(self.lengths):
            symbols[sequence, :length] = self.step_labels(sequence, 0, int(length))
        return symbols.astype(np.str_)

    @staticmethod
    def _plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return attributes with lists and objects as JSON, because file formats store numbers and texts alone."""
        return {
            name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | None) else value
            for name, value in attributes.items()
        }

    def explore(self, network: Any, sequence: int = 0) -> Any:
        """Show the text of a sequence as a notebook widget: a shortcut for `gatescope.explore(network, text)`.

        Args:
            network: the network or the run that was recorded. A trace holds no weights, and the widget computes.
            sequence: the number of the sequence.

        Returns:
            The `ExplorerWidget`.

        Raises:
            TraceError: the trace holds neither symbols nor the vectors that were read.
            WidgetError: `network` is neither a network nor a run.
            MissingPackageError: anywidget is not installed.
        """
        # The module `explorer` imports this one, so it is looked up when it is needed.
        return import_module("gatescope.explorer.notebook").explore(network, self.text(sequence))
