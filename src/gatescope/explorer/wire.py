"""The answer to a trace request: the arrays of a text as raw bytes, in the layout that docs/explorer.md describes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.configuration import Configuration, Layer
from gatescope.explorer.requests import CHECKPOINT, Field, RequestError, parse_request, quoted

if TYPE_CHECKING:
    from gatescope.explorer.text_recording import TextRecording

MAX_PREDICTIONS = 5  # most probable symbols or classes of a step
TOLERANCE_OF_NOTHING = 1e-5  # of the self-check of an empty text

Arrays = dict[str, NDArray[Any]]

FIELDS = {
    "text": Field(str),
    "layer": Field(str, default="layer0"),
    "signals": Field(str, default=None, nullable=True, is_list=True),
    "neurons": Field(int, default=None, nullable=True, is_list=True),
    "drives": Field(bool, default=False),
    "top": Field(int, default=3),
    "checkpoint": CHECKPOINT,
    "detail": Field(int, default=None, nullable=True),
    "page": Field(str, default=None, nullable=True),
    "sequence": Field(int, default=0),
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
        detail: a neuron of which all signals, drives and parameters are sent besides; None: no neuron.
        page: a name of the page that sends the request; None: the request replaces no other.
        sequence: the number of the request on its page. A request is dropped if a request of the same page with a
            larger number has arrived.
    """

    text: str
    layer: str = "layer0"
    signals: tuple[str, ...] | None = None
    neurons: tuple[int, ...] | None = None
    drives: bool = False
    top: int = 3
    checkpoint: int | None = None
    detail: int | None = None
    page: str | None = None
    sequence: int = 0

    @classmethod
    def from_json(cls, data: Any) -> TraceRequest:
        """Parse a request.

        Raises:
            RequestError: a field is missing, unknown or has an impossible value.
        """
        return cls(**parse_request("trace", data, FIELDS))


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
    detail = () if request.detail is None else (request.detail,)
    if len(set(neurons)) < len(neurons) or not all(0 <= neuron < layer.neurons for neuron in (*neurons, *detail)):
        raise RequestError("EXPLORER_NEURONS_UNKNOWN", layer=request.layer, last=layer.neurons - 1)
    return number, [*dict.fromkeys(signals), *(layer.cell.drives if request.drives else ())]


def encode(recorded: TextRecording, request: TraceRequest) -> bytes:
    """Return the requested arrays of a recorded text, with the steps of all sequences one after the other.

    Raises:
        RequestError: the network has no such layer, signal or neuron.
    """
    configuration = recorded.network.configuration
    number, names = requested_arrays(configuration, request)
    layer, empty = configuration.layers[number], not recorded.labels
    count = layer.neurons if request.neurons is None else len(request.neurons)
    arrays: Arrays = {}
    inside = np.empty((1, 0), np.bool_) if empty else recorded.inside()
    if empty:
        arrays |= {f"{request.layer}.{name}": np.empty((count, 0), np.float32) for name in names}
    else:
        arrays |= _neuron_arrays(recorded, request.layer, names, request.neurons)
        if request.drives:
            arrays |= _neuron_parameters(recorded, request.layer, request.neurons, has_initial_state=layer.initial)
    if request.detail is not None:
        arrays |= _detail(layer, recorded, request)
    start = np.zeros(inside.shape, np.uint8)
    start[:, :1] = 1
    arrays["start"] = start[inside]
    for name, (shape, dtype) in _step_arrays(configuration, request.top).items():
        if empty:
            arrays[name] = np.empty((0, *shape), dtype)
        elif name in recorded.steps:
            values = recorded.steps[name][inside]
            arrays[name] = np.ascontiguousarray(values[:, : shape[0]] if shape else values, dtype)
    return save(arrays, _metadata(recorded))


def _detail(layer: Layer, recorded: TextRecording, request: TraceRequest) -> Arrays:
    """Return what the panel shows of one neuron, under the names of the arrays with "detail." before them."""
    assert request.detail is not None
    names, neurons = [*layer.cell.signals, *layer.cell.drives], (request.detail,)
    if not recorded.labels:
        return {f"detail.{request.layer}.{name}": np.empty((1, 0), np.float32) for name in names}
    arrays = _neuron_arrays(recorded, request.layer, names, neurons)
    arrays |= _neuron_parameters(recorded, request.layer, neurons, has_initial_state=layer.initial)
    return {f"detail.{name}": array for name, array in arrays.items()}


def _neuron_arrays(recorded: TextRecording, layer: str, names: list[str], neurons: tuple[int, ...] | None) -> Arrays:
    """Return signals and drives of some neurons (None: all), (neuron, step) each."""
    held = [name for name in names if recorded.has([(layer, name, neurons)]) or recorded.has([(layer, name, None)])]
    arrays = {f"{layer}.{name}": recorded.neuron_major(layer, name, neurons) for name in held}
    if len(held) < len(names):
        assert neurons is not None
        drives = recorded.drives(layer, neurons)
        arrays |= {f"{layer}.{name}": drives[name] for name in names if name not in held}
    return {f"{layer}.{name}": arrays[f"{layer}.{name}"] for name in names}


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


def _neuron_parameters(
    recorded: TextRecording, layer: str, neurons: tuple[int, ...] | None, *, has_initial_state: bool
) -> Arrays:
    """Return the per-neuron parameters, and the initial state if the network has one; otherwise it is 0."""
    rows = slice(None) if neurons is None else list(neurons)
    arrays = {f"{layer}.{name}": values[rows] for name, values in recorded.parameters(layer).items()}
    initial = recorded.initial(layer) if has_initial_state else {}
    arrays |= {f"{layer}.initial.{name}": values[rows] for name, values in initial.items()}
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def _metadata(recorded: TextRecording) -> dict[str, str]:
    """Return the texts of the header. A recording that is not checked yet has the residual "null"."""
    empty = not recorded.labels
    residual = 0.0 if empty else recorded.residual
    tolerance = TOLERANCE_OF_NOTHING if empty else float(recorded.attributes["tolerance"])
    return {
        "labels": json.dumps(recorded.labels),
        "engine": "" if empty else str(recorded.attributes["engine"]),
        "residual": "null" if residual is None else f"{residual:.3g}",
        "tolerance": f"{tolerance:.3g}",
        "holds": "null" if residual is None else json.dumps(residual <= tolerance),
        "step": str(recorded.training_step),
        "unknown": json.dumps(recorded.unknown),
    }
