"""Traces for the page: a text in, the arrays that are asked for out, as raw bytes in the safetensors layout."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.errors import GatescopeError
from gatescope.network import Network
from gatescope.recording import Answers, parts_of, record
from gatescope.runs import WEIGHTS, Run
from gatescope.text import Vocabulary
from gatescope.trace import Trace

LONGEST = 20_000  # steps of a text
KEPT_BYTES = 512 << 20  # of recorded traces
KEPT_TEXTS = 64
KEPT_NETWORKS = 8
TOP = 5

Key = tuple[Any, ...]


class RequestError(GatescopeError):
    """A request that cannot be served; the message goes to the page as it is.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """What the page asks for.

    Attributes:
        text: any text; it may be empty.
        layer: "layer0".
        signals: names; all of the layer when None.
        neurons: rows to send; all when None.
        drives: whether the drives and the per-neuron parameters are sent too.
        top: how many of the most probable next symbols.
        checkpoint: the step of a checkpoint; the run's best weights when None.
    """

    text: str
    layer: str = "layer0"
    signals: tuple[str, ...] | None = None
    neurons: tuple[int, ...] | None = None
    drives: bool = False
    top: int = 3
    checkpoint: int | None = None

    @classmethod
    def from_json(cls, data: Any) -> Request:
        """A request as the page sends it.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind.
        """
        if not isinstance(data, dict) or not isinstance(data.get("text"), str):
            raise RequestError("A request for a trace is a JSON object with a text.")
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            raise RequestError(f"A request for a trace has no field {', '.join(map(repr, sorted(unknown)))}.")
        given = dict(data)
        for name, kind in (("signals", str), ("neurons", int)):
            value = given.get(name)
            if value is not None:
                if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
                    raise RequestError(f"{name} of a request is a list of {kind.__name__}, or null.")
                given[name] = tuple(value)
        for name, kind in (("layer", str), ("drives", bool), ("top", int)):
            if name in given and type(given[name]) is not kind:
                raise RequestError(f"{name} of a request is a {kind.__name__}; {given[name]!r} was given.")
        if given.get("checkpoint") is not None and type(given["checkpoint"]) is not int:
            raise RequestError("checkpoint of a request is the step of a checkpoint, or null.")
        return cls(**given)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


def weights_stamp(run: Run) -> tuple[int, int] | None:
    """What changes when the best weights of a run do."""
    return stamp_of(run.path / WEIGHTS)


@dataclass(frozen=True)
class Recorded:
    """A recorded text: its trace (None when it is empty) and what else the page is told."""

    trace: Trace | None
    labels: list[str]
    unknown: list[str]
    step: int
    size: int


class Recorder:
    """Records texts, and keeps the last ones: the page asks for one neuron after another of the same text."""

    def __init__(self) -> None:
        self._networks: OrderedDict[Key, tuple[Network, int, Answers | None]] = OrderedDict()
        self._recorded: OrderedDict[Key, Recorded] = OrderedDict()
        self._lock = threading.Lock()  # one recording at a time: a second would only slow the first

    def answer(self, run: Run, request: Request) -> bytes:
        """The arrays of a request, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: the text is too long, or names something that the network does not have.
            RunError: the run cannot be read.
        """
        with self._lock:
            network, step, answers, key = self._network(run, request.checkpoint)
            recorded = self._record(network, step, answers, (*key, request.text), request.text)
        return _encode(network, recorded, request)

    def recorded(self, run: Run, text: str) -> Recorded:
        """A text read with the run's best weights.

        Raises:
            RequestError: the text is too long.
            RunError: the run cannot be read.
        """
        with self._lock:
            network, step, answers, key = self._network(run, None)
            return self._record(network, step, answers, (*key, text), text)

    def _network(self, run: Run, checkpoint: int | None) -> tuple[Network, int, Answers | None, Key]:
        key = (run.path.resolve(), checkpoint, weights_stamp(run) if checkpoint is None else None)
        if key not in self._networks:
            self._networks[key] = (*run.network(checkpoint), _answers(run))
            while len(self._networks) > KEPT_NETWORKS:
                self._networks.popitem(last=False)
        self._networks.move_to_end(key)
        return *self._networks[key], key

    def _record(self, network: Network, step: int, answers: Answers | None, key: Key, text: str) -> Recorded:
        if key in self._recorded:
            self._recorded.move_to_end(key)
            return self._recorded[key]
        vocabulary = network.configuration.vocabulary
        labels = labels_of(network, text)
        if len(labels) > LONGEST:
            raise RequestError(
                f"The text has {len(labels):,} {_steps_of(vocabulary)}; the page shows at most {LONGEST:,}. "
                "Use a part of it.",
                413,
            )
        trace = record(network, text, top=TOP, answers=answers) if labels else None
        arrays = [] if trace is None else [a for signals in trace.layers.values() for a in signals.values()]
        size = sum(array.nbytes for array in arrays)
        recorded = Recorded(trace, labels, vocabulary.unknown_in(text), step, size)
        self._recorded[key] = recorded
        while len(self._recorded) > KEPT_TEXTS or (len(self._recorded) > 1 and self._kept_bytes() > KEPT_BYTES):
            self._recorded.popitem(last=False)
        return recorded

    def _kept_bytes(self) -> int:
        return sum(entry.size for entry in self._recorded.values())


def labels_of(network: Network, text: str) -> list[str]:
    """What to print for each step of a text as the network reads it.

    Raises:
        RequestError: it does not hold the numbers that the network reads.
    """
    vocabulary = network.configuration.vocabulary
    try:
        return [label for part in parts_of(network, text) for label in vocabulary.labels(part)]
    except ValueError as error:
        raise RequestError(str(error)) from error


def _steps_of(vocabulary: Vocabulary) -> str:
    return "lines" if vocabulary.unit == "number" else f"{vocabulary.unit}s"


def _answers(run: Run) -> Answers | None:
    """The task's answers; None where its data cannot be read any more."""
    try:
        return run.task().answers
    except GatescopeError:
        return None


def _encode(network: Network, recorded: Recorded, request: Request) -> bytes:
    layers = network.configuration.layers
    names = network.configuration.names
    if request.layer not in names:
        raise RequestError(f"The network has no {request.layer!r}; it has {', '.join(names)}.")
    layer = layers[names.index(request.layer)]
    wanted = layer.cell.signals if request.signals is None else request.signals
    missing = set(wanted) - set(layer.cell.signals)
    if missing:
        unknown, known = ", ".join(map(repr, sorted(missing))), ", ".join(layer.cell.signals)
        raise RequestError(f"{layer.cell.title} has no {unknown}; it has {known}.")
    neurons = request.neurons or ()
    if len(set(neurons)) < len(neurons) or not all(0 <= neuron < layer.neurons for neuron in neurons):
        raise RequestError(f"neurons of a request are some of 0 to {layer.neurons - 1} in {request.layer}, each once.")
    rows = slice(None) if request.neurons is None else list(request.neurons)
    trace, top = recorded.trace, max(1, min(request.top, TOP))
    shown = [*wanted, *(layer.cell.drives if request.drives else ())]
    if trace is None:
        return _empty(network, recorded, request, shown, layer.neurons)
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    arrays = {f"{request.layer}.{name}": _neuron_major(trace[request.layer][name], inside, rows) for name in shown}
    if request.drives:
        parameters = trace.parameters[request.layer]
        arrays |= {f"{request.layer}.{name}": np.ascontiguousarray(v[rows]) for name, v in parameters.items()}
    start = np.zeros(inside.shape, np.uint8)
    start[:, 0] = 1
    arrays["start"] = start[inside]
    symbols = network.configuration.readout.kind == "symbols"
    for name, values in trace.steps.items():
        if symbols and name == "target":  # is the next token
            continue
        shown_values = values[inside][:, :top] if name.startswith("top_") else values[inside]
        # The page reads single precision, whatever the network or the task's answers have.
        narrow = np.float32 if np.issubdtype(values.dtype, np.floating) else np.int32
        arrays[name] = np.ascontiguousarray(shown_values, narrow)
    return save(arrays, _metadata(recorded, trace))


def _neuron_major(array: NDArray[Any], inside: NDArray[np.bool_], rows: Any) -> NDArray[Any]:
    """(S, T, N) as (N, all steps of all sequences, one after the other)."""
    return np.ascontiguousarray(array[inside].T[rows])


def _empty(network: Network, recorded: Recorded, request: Request, names: list[str], neurons: int) -> bytes:
    """The arrays of a text without a step: the same ones, with no step in them."""
    rows = neurons if request.neurons is None else len(request.neurons)
    vocabulary, readout = network.configuration.vocabulary, network.configuration.readout
    arrays: dict[str, NDArray[Any]] = {f"{request.layer}.{name}": np.empty((rows, 0), np.float32) for name in names}
    arrays |= {"token": np.empty(0, np.int32), "start": np.empty(0, np.uint8)}
    if vocabulary.unit == "number":
        arrays["input"] = np.empty((0, vocabulary.size), np.float32)
    if readout.kind == "numbers":
        size = readout.size(vocabulary.size)
        arrays |= {
            "value": np.empty((0, len(readout.names)), np.float32),
            "estimate": np.empty((0, size), np.float32),
        }
        return save(arrays, _metadata(recorded, None))
    top = max(1, min(request.top, TOP, readout.size(vocabulary.size)))
    arrays |= {
        "top_token": np.empty((0, top), np.int32),
        "top_probability": np.empty((0, top), np.float32),
        "log_probability": np.empty(0, np.float32),
    }
    if readout.kind == "classes":
        arrays["target"] = np.empty(0, np.int32)
    return save(arrays, _metadata(recorded, None))


def _metadata(recorded: Recorded, trace: Trace | None) -> dict[str, str]:
    residual = float(trace.attributes["residual"]) if trace else 0.0
    tolerance = float(trace.attributes["tolerance"]) if trace else 1e-5
    return {
        "labels": json.dumps(recorded.labels),
        "residual": f"{residual:.3g}",
        "tolerance": f"{tolerance:.3g}",
        "holds": json.dumps(residual <= tolerance),
        "step": str(recorded.step),
        "unknown": json.dumps(recorded.unknown),
    }
