"""The trace: everything a network did on a text, as named arrays with named axes.

docs/trace.md is the schema; this class is a thin view of it and holds no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.names import Catalogue, unknown
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
UNSHOWN_STEP = "\N{MIDDLE DOT}"  # printed for a step of which neither symbol nor vector is in the trace
_UNSHOWN = (
    "The text of a trace: expected symbols or vectors, got vectors that were not recorded. Record the trace with "
    "text=... for what the vectors stand for, or with inputs=True for the vectors themselves."
)


class TraceError(GatescopeError):
    """Arrays that are no trace, or a question that the trace cannot answer; the message says what is missing."""


@dataclass(frozen=True)
class Trace:
    """The arrays of one recording of S sequences of at most T steps.

    Attributes:
        lengths: steps of each sequence, (S,).
        steps: "token", "target" (S, T) ids, -1 behind the end of a sequence and where there is no target;
            "log_probability" (S, T) of the target, in nats; "top_token", "top_probability" (S, T, K), the K most
            probable symbols (or classes) after each step, most probable first. Where numbers are read, "input"
            (S, T, I) and tokens of -1; where numbers are predicted, "value" (S, T, O), what should have been said, and
            "estimate" (S, T, O · Q), the quantiles of each side by side, in place of targets and probabilities.
        layers: "layer0" -> name -> (S, T, N): the signals, and the drives ("x.i", "u.i") where they were kept.
        initial: "layer0" -> state -> (S, N): the states before the first step.
        parameters: "layer0" -> "p.k" -> (N,): the numbers per neuron that the equations use.
        attributes: JSON: the cells with their equations, the vocabulary, the readout, which network, engine,
            precision and version made it, the largest residual of any equation.

    Floating-point arrays are NaN behind the end of a sequence and where there is nothing to tell.
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
            raise TraceError("TRACE_TRACE_NEEDS_SYMBOLS_READ")
        size = (len(self.lengths), token.shape[1])
        for name, array in self.steps.items():
            axes = STEP_AXES.get(name, ())
            if array.ndim != len(axes) or tuple(array.shape[:2]) != size:
                raise TraceError("TRACE_SHAPE_ARRAY_STEPS_TRACE", name=name, shape=tuple(array.shape), size=size)
        for layer, signals in self.layers.items():
            shapes = {name: tuple(array.shape) for name, array in signals.items()}
            if len({shape[2:] for shape in shapes.values()}) > 1 or any(
                len(shape) != len(LAYER_AXES) or shape[:2] != size for shape in shapes.values()
            ):
                raise TraceError("TRACE_SIGNALS_DIFFER_SHAPE_TRACE", layer=layer, size=size, shapes=shapes)

    def __getitem__(self, layer: str) -> Mapping[str, Any]:
        """The named arrays (S, T, N) of a layer.

        Raises:
            TraceError: there is no such layer. A name that the layer does not have is an UnknownNameError there.
        """
        if layer not in self.layers:
            raise TraceError(unknown("Layer of the trace", layer, self.layers))
        return Catalogue(f"Signal of {layer}", dict(self.layers[layer]))

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols behind the ids.

        Raises:
            TraceError: the trace holds neither symbols nor the vectors that were read.
        """
        if not self.shows_steps:
            raise TraceError(_UNSHOWN)
        try:
            return Vocabulary.from_json(self.attributes["vocabulary"])
        except ValueError as error:
            raise TraceError("TRACE_VOCABULARY_TRACE_DAMAGED_RECORD", error=error) from error

    @property
    def shows_steps(self) -> bool:
        """Whether the trace says what was read at each step: symbols, or the vectors themselves."""
        about = self.attributes.get("vocabulary")
        if not isinstance(about, dict):
            return True  # damaged; `vocabulary` says so
        return "input" in self.steps if about.get("unit") == "number" else about.get("symbols") != []

    def text(self, sequence: int) -> str:
        """Return the text of one sequence, with U+FFFD for what the network does not know.

        Raises:
            TraceError: the trace holds neither symbols nor the vectors that were read.
        """
        vocabulary = self.vocabulary
        read = self.steps["input" if vocabulary.unit == "number" else "token"]
        return vocabulary.decode(np.asarray(read[sequence])[: int(self.lengths[sequence])])

    def step_labels(self, sequence: int, first: int, last: int) -> list[str]:
        """Return what to print for the steps `first` to `last` (excluded) of a sequence.

        A step is "\N{MIDDLE DOT}" where the trace holds neither its symbol nor its vector.
        """
        if not self.shows_steps:
            return [UNSHOWN_STEP] * max(0, min(last, int(self.lengths[sequence])) - first)
        vocabulary = self.vocabulary
        read = self.steps["input" if vocabulary.unit == "number" else "token"]
        return vocabulary.labels(np.asarray(read[sequence, first:last]))

    def sequence(self, index: int) -> Trace:
        """One sequence alone, without padding."""
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
        """The same arrays with labelled axes: one group per layer, as docs/trace.md lays them out.

        Raises:
            ImportError: xarray is not installed.
        """
        try:
            import xarray  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ImportError("to_xarray needs xarray: pip install 'gatescope[xarray]'.") from error
        steps = {name: (STEP_AXES[name], np.asarray(array)) for name, array in self.steps.items()}
        groups = {
            "/": xarray.Dataset(
                {**steps, "length": (("sequence",), self.lengths)},
                attrs={name: value for name, value in self.attributes.items() if not isinstance(value, dict | list)},
            )
        }
        for layer, signals in self.layers.items():
            about = self.attributes["layers"][layer]["arrays"]
            groups[layer] = xarray.Dataset(
                {name: (LAYER_AXES, np.asarray(array), about.get(name, {})) for name, array in signals.items()}
            )
            groups[f"{layer}/initial"] = xarray.Dataset(
                {name: (STATE_AXES, np.asarray(array)) for name, array in self.initial.get(layer, {}).items()}
            )
            groups[f"{layer}/parameters"] = xarray.Dataset(
                {name: (("neuron",), np.asarray(array)) for name, array in self.parameters.get(layer, {}).items()}
            )
        return xarray.DataTree.from_dict(groups)
