"""The answer to a trace request: the arrays of a text as raw bytes, in the layout that docs/explorer.md describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.configuration import Configuration
from gatescope.explorer.requests import CHECKPOINT, Field, RequestError, parse_request, quoted
from gatescope.trace import Trace

MAX_PREDICTIONS = 5  # most probable symbols or classes of a step
TOLERANCE_OF_NOTHING = 1e-5  # of the self-check of an empty text

FIELDS = {
    "text": Field(str),
    "layer": Field(str, default="layer0"),
    "signals": Field(str, default=None, nullable=True, is_list=True),
    "neurons": Field(int, default=None, nullable=True, is_list=True),
    "drives": Field(bool, default=False),
    "top": Field(int, default=3),
    "checkpoint": CHECKPOINT,
}


@dataclass(frozen=True)
class TraceRequest:
    """A request for the arrays of a text.

    Attributes:
        text: the text, which may be empty.
        layer: name of the layer, such as "layer0".
        signals: names of signals; None: all signals of the layer.
        neurons: neurons to send; None: all neurons.
        drives: whether to send the drives and the per-neuron parameters too.
        top: number of the most probable next symbols or classes.
        checkpoint: training step of the weights; None: the best weights.
    """

    text: str
    layer: str = "layer0"
    signals: tuple[str, ...] | None = None
    neurons: tuple[int, ...] | None = None
    drives: bool = False
    top: int = 3
    checkpoint: int | None = None

    @classmethod
    def from_json(cls, data: Any) -> TraceRequest:
        """Parse a request.

        Raises:
            RequestError: a field is missing, unknown or has an impossible value.
        """
        return cls(**parse_request("trace", data, FIELDS))


@dataclass(frozen=True)
class RecordedText:
    """A recorded text.

    Attributes:
        trace: every signal at every step; None for an empty text.
        labels: what to print for each step.
        unknown: symbols that are not in the vocabulary.
        training_step: the training step of the weights.
    """

    trace: Trace | None
    labels: list[str]
    unknown: list[str]
    training_step: int


def requested_arrays(configuration: Configuration, request: TraceRequest) -> tuple[int, list[str]]:
    """Return the number of the requested layer, and the names of the requested signals and drives.

    Raises:
        RequestError: the network has no such layer, signal or neuron.
    """
    names = configuration.names
    if request.layer not in names:
        raise RequestError("EXPLORER_LAYER_UNKNOWN", layer=quoted(request.layer), layers=", ".join(names))
    number = names.index(request.layer)
    layer = configuration.layers[number]
    signals = layer.cell.signals if request.signals is None else request.signals
    if unknown := sorted(set(signals) - set(layer.cell.signals)):
        raise RequestError(
            "EXPLORER_SIGNALS_UNKNOWN",
            cell=layer.cell.title,
            unknown=", ".join(map(quoted, unknown[:9])),
            signals=", ".join(layer.cell.signals),
        )
    neurons = request.neurons or ()
    if len(set(neurons)) < len(neurons) or not all(0 <= neuron < layer.neurons for neuron in neurons):
        raise RequestError("EXPLORER_NEURONS_UNKNOWN", layer=request.layer, last=layer.neurons - 1)
    return number, [*dict.fromkeys(signals), *(layer.cell.drives if request.drives else ())]


def encode(configuration: Configuration, recorded: RecordedText, request: TraceRequest) -> bytes:
    """Return the requested arrays of a recorded text, with the steps of all sequences one after the other.

    Raises:
        RequestError: the network has no such layer, signal or neuron.
    """
    number, names = requested_arrays(configuration, request)
    layer, trace = configuration.layers[number], recorded.trace
    rows: Sequence[int] = range(layer.neurons) if request.neurons is None else request.neurons
    arrays: dict[str, NDArray[Any]] = {}
    if trace is None:
        inside = np.empty((1, 0), np.bool_)
        arrays |= {f"{request.layer}.{name}": np.empty((len(rows), 0), np.float32) for name in names}
    else:
        inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
        for name in names:
            arrays[f"{request.layer}.{name}"] = _neuron_major(trace[request.layer][name], inside, rows)
        if request.drives:
            arrays |= _neuron_parameters(trace, request.layer, list(rows), has_initial_state=layer.initial)
    start = np.zeros(inside.shape, np.uint8)
    start[:, :1] = 1
    arrays["start"] = start[inside]
    for name, (shape, dtype) in _step_arrays(configuration, request.top).items():
        if trace is None:
            arrays[name] = np.empty((0, *shape), dtype)
        elif name in trace.steps:
            values = trace.steps[name][inside]
            arrays[name] = np.ascontiguousarray(values[:, : shape[0]] if shape else values, dtype)
    return save(arrays, _metadata(recorded))


def _step_arrays(configuration: Configuration, top: int) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    """Return name -> (shape of a step, dtype) of every array of steps. The page reads single precision."""
    vocabulary, readout = configuration.vocabulary, configuration.readout
    arrays: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {"token": ((), np.int32)}
    if vocabulary.unit == "number":
        arrays["input"] = (vocabulary.size,), np.float32
    size = readout.size(vocabulary.size)
    if readout.kind == "numbers":
        return arrays | {"value": ((len(readout.names),), np.float32), "estimate": ((size,), np.float32)}
    ranks = (max(1, min(top, MAX_PREDICTIONS, size)),)
    arrays |= {
        "log_probability": ((), np.float32),
        "top_token": (ranks, np.int32),
        "top_probability": (ranks, np.float32),
    }
    # The target of a symbol is the next token, which is sent already.
    return arrays if readout.kind == "symbols" else arrays | {"target": ((), np.int32)}


def _neuron_major(array: NDArray[Any], inside: NDArray[np.bool_], rows: Sequence[int]) -> NDArray[Any]:
    """Return (S, T, N) as (N, all steps of all sequences, one after the other)."""
    return np.ascontiguousarray(array[inside].T[list(rows)])


def _neuron_parameters(
    trace: Trace, layer: str, rows: list[int], *, has_initial_state: bool
) -> dict[str, NDArray[Any]]:
    """Return the per-neuron parameters, and the initial state if the network has one; otherwise it is 0."""
    arrays = {f"{layer}.{name}": np.ascontiguousarray(values[rows]) for name, values in trace.parameters[layer].items()}
    initial = trace.initial[layer] if has_initial_state else {}
    return arrays | {
        f"{layer}.initial.{name}": np.ascontiguousarray(values[0][rows], np.float32) for name, values in initial.items()
    }


def _metadata(recorded: RecordedText) -> dict[str, str]:
    trace = recorded.trace
    residual = float(trace.attributes["residual"]) if trace else 0.0
    tolerance = float(trace.attributes["tolerance"]) if trace else TOLERANCE_OF_NOTHING
    return {
        "labels": json.dumps(recorded.labels),
        "engine": str(trace.attributes["engine"]) if trace else "",
        "residual": f"{residual:.3g}",
        "tolerance": f"{tolerance:.3g}",
        "holds": json.dumps(residual <= tolerance),
        "step": str(recorded.training_step),
        "unknown": json.dumps(recorded.unknown),
    }
