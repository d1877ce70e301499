"""Traces for the page: a text in, the arrays that are asked for out, as raw bytes in the safetensors layout."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.configuration import Configuration
from gatescope.errors import GatescopeError
from gatescope.explorer.costs import (
    megabytes,
    most_steps,
    recording_bytes,
    size_of,
    trace_bytes,
    weight_bytes,
    with_network,
)
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.requests import RequestError, quoted
from gatescope.network import Network
from gatescope.recording import record
from gatescope.runs import WEIGHTS, Run
from gatescope.sources import Answers, parts_for
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary

LONGEST = 20_000  # steps of a text
TOP = 5
BYTES_OF_CHARACTER = 400  # of a text while it is cut into steps

Key = tuple[Any, ...]


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
            raise RequestError("RECORDER_REQUEST_TRACE_JSON_OBJECT")
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            raise RequestError("RECORDER_REQUEST_TRACE_FIELD", map=", ".join(map(quoted, sorted(unknown)[:9])))
        given = dict(data)
        for name, kind in (("signals", str), ("neurons", int)):
            value = given.get(name)
            if value is not None:
                if not isinstance(value, list) or not all(type(entry) is kind for entry in value):
                    raise RequestError("RECORDER_REQUEST_LIST_NULL", name=name, name2=kind.__name__)
                given[name] = tuple(value)
        for name, kind in (("layer", str), ("drives", bool), ("top", int)):
            if name in given and type(given[name]) is not kind:
                raise RequestError("RECORDER_REQUEST_GIVEN", name=name, name2=kind.__name__, given=quoted(given[name]))
        if given.get("checkpoint") is not None and type(given["checkpoint"]) is not int:
            raise RequestError("GRADIENTS_CHECKPOINT_REQUEST_STEP_CHECKPOINT")
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


@dataclass(frozen=True)
class Loaded:
    """A network of a run, the training step of its weights, and what its task answers."""

    network: Network
    step: int
    answers: Answers | None


@dataclass(frozen=True)
class Measured:
    """A text as a network reads it: what to print for each step, and how many steps each sequence has."""

    labels: list[str]
    lengths: list[int]

    @property
    def longest(self) -> int:
        """The steps of the longest sequence."""
        return max(self.lengths, default=0)


class Recorder:
    """Records texts, and keeps the last ones: the page asks for one neuron after another of the same text."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self._lock = threading.Lock()  # one recording at a time: a second would only slow the first

    def answer(self, run: Run, request: Request) -> tuple[bytes, Reservation]:
        """The arrays of a request, in the layout that docs/explorer.md describes, and the memory that they take.

        Raises:
            RequestError: the text is too long, or names something that the network does not have.
            RunError: the run cannot be read.
        """
        configuration = run.configuration()
        text = measured(self._memory, configuration, request.text)
        layer, names = chosen(configuration, request)
        rows = configuration.layers[layer].neurons if request.neurons is None else len(request.neurons)
        # The array of each signal, and the answer that it is copied into.
        answer = 2 * (4 * rows * len(names) + 64 * TOP + BYTES_OF_CHARACTER) * len(text.labels)
        reserved = self._reserve(configuration, text, answer)
        try:
            with self._lock:
                loaded, key = self.loaded(run, request.checkpoint)
                body = _encode(loaded.network, self._record(loaded, key, request.text, text), request)
        except BaseException:
            reserved.release()
            raise
        reserved.shrink(len(body))
        return body, reserved

    @contextmanager
    def recorded(self, run: Run, text: str, more_bytes: int = 0) -> Iterator[Recorded]:
        """A text read with the run's best weights, inside the block.

        Args:
            more_bytes: what is made of it inside the block, at most.

        Raises:
            RequestError: the text is too long.
            RunError: the run cannot be read.
        """
        configuration = run.configuration()
        about = measured(self._memory, configuration, text)
        with self._reserve(configuration, about, more_bytes):
            with self._lock:
                loaded, key = self.loaded(run, None)
                recorded = self._record(loaded, key, text, about)
            yield recorded

    def loaded(self, run: Run, checkpoint: int | None) -> tuple[Loaded, Key]:
        """The network of a run, and the key that changes when its weights do."""
        key = ("network", run.path.resolve(), checkpoint, weights_stamp(run) if checkpoint is None else None)
        loaded: Loaded | None = self._memory.cached(key)
        if loaded is None:
            loaded = Loaded(*run.network(checkpoint), _answers(run))
            self._memory.keep(key, loaded, weight_bytes(loaded.network.configuration))
        return loaded, key

    def _reserve(self, configuration: Configuration, text: Measured, answer: int) -> Reservation:
        """Reserve what a recording and an answer of so many bytes take.

        Raises:
            RequestError: the text has too many steps.
        """
        steps, sequences = len(text.labels), len(text.lengths)
        check_length(configuration, steps)
        each = -(-answer // max(1, steps))

        def cost(longest: int) -> int:
            return with_network(configuration, recording_bytes(configuration, 1, longest) + each * longest)

        needed = with_network(configuration, recording_bytes(configuration, sequences, text.longest) + answer)
        limit = self._memory.working_bytes
        unit = _steps_of(configuration.vocabulary)
        possible = most_steps(cost, limit, LONGEST)
        padding = f" in {sequences:,} sequences, the longest of {text.longest:,}" if sequences > 1 else ""
        advice = (
            f"At most {possible:,} {unit} in one sequence are possible with this network. Use a part of the text."
            if possible
            else "This network is too large for the page. Record it with `gatescope record`."
        )
        too_large = (
            f"The text has {steps:,} {unit}{padding}, and to read them with {size_of(configuration)} takes "
            f"{megabytes(needed)}; the page may take {megabytes(limit)}. {advice}"
        )
        return self._memory.reserve(needed, too_large)

    def _record(self, loaded: Loaded, network_key: Key, text: str, about: Measured) -> Recorded:
        key = ("trace", *network_key, text)
        recorded: Recorded | None = self._memory.cached(key)
        if recorded is not None:
            return recorded
        network, vocabulary = loaded.network, loaded.network.configuration.vocabulary
        trace = record(network, text, top=TOP, answers=loaded.answers) if about.labels else None
        recorded = Recorded(trace, about.labels, vocabulary.unknown_in(text), loaded.step)
        padded = len(about.lengths) * about.longest
        self._memory.keep(key, recorded, trace_bytes(network.configuration, padded))
        return recorded


def measured(memory: Memory, configuration: Configuration, text: str) -> Measured:
    """What to print for each step of a text, and how many steps each of its sequences has.

    Raises:
        RequestError: the text does not hold the numbers that the network reads, or is too long.
    """
    if configuration.vocabulary.unit in ("character", "byte"):
        check_length(configuration, len(text))
    too_large = f"The text has {len(text):,} characters, more than the page can cut into steps. Use a part of it."
    with memory.reserve(BYTES_OF_CHARACTER * len(text), too_large):
        try:
            parts = [configuration.vocabulary.labels(part) for part in parts_for(configuration, text)]
        except ValueError as error:
            raise RequestError(str(error)) from error
        check_length(configuration, sum(map(len, parts)))
    return Measured([label for part in parts for label in part], [len(part) for part in parts])


def check_length(configuration: Configuration, steps: int) -> None:
    """Refuse a text of too many steps. Raises: RequestError."""
    if steps > LONGEST:
        raise RequestError(
            "RECORDER_TEXT_PAGE_SHOWS_MOST",
            status=413,
            steps=steps,
            steps_of=_steps_of(configuration.vocabulary),
            longest=LONGEST,
        )


def _steps_of(vocabulary: Vocabulary) -> str:
    return "lines" if vocabulary.unit == "number" else f"{vocabulary.unit}s"


def _answers(run: Run) -> Answers | None:
    """The task's answers; None where its data cannot be read any more."""
    try:
        return run.task().answers
    except GatescopeError:
        return None


def chosen(configuration: Configuration, request: Request) -> tuple[int, list[str]]:
    """The number of the layer of a request, and the names of the arrays that it asks for.

    Raises:
        RequestError: the network has no such layer, signal or neuron.
    """
    names = configuration.names
    if request.layer not in names:
        raise RequestError("GRADIENTS_NETWORK", layer=quoted(request.layer), names=", ".join(names))
    number = names.index(request.layer)
    layer = configuration.layers[number]
    wanted = layer.cell.signals if request.signals is None else request.signals
    missing = sorted(set(wanted) - set(layer.cell.signals))
    if missing:
        unknown, known = ", ".join(map(quoted, missing[:9])), ", ".join(layer.cell.signals)
        raise RequestError("RECORDER", title=layer.cell.title, unknown=unknown, known=known)
    neurons = request.neurons or ()
    if len(set(neurons)) < len(neurons) or not all(0 <= neuron < layer.neurons for neuron in neurons):
        raise RequestError("RECORDER_NEURONS_REQUEST_SOME_ONCE", value=layer.neurons - 1, layer=request.layer)
    return number, [*dict.fromkeys(wanted), *(layer.cell.drives if request.drives else ())]


def _encode(network: Network, recorded: Recorded, request: Request) -> bytes:
    number, shown = chosen(network.configuration, request)
    layer = network.configuration.layers[number]
    rows = slice(None) if request.neurons is None else list(request.neurons)
    trace, top = recorded.trace, max(1, min(request.top, TOP))
    if trace is None:
        return _empty(network, recorded, request, shown, layer.neurons)
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    arrays = {f"{request.layer}.{name}": _neuron_major(trace[request.layer][name], inside, rows) for name in shown}
    if request.drives:
        parameters = trace.parameters[request.layer]
        arrays |= {f"{request.layer}.{name}": np.ascontiguousarray(v[rows]) for name, v in parameters.items()}
        # The states before the first step, the same for every sequence; where they are 0 nothing is sent.
        started = trace.initial[request.layer] if layer.initial else {}
        arrays |= {
            f"{request.layer}.initial.{name}": np.ascontiguousarray(v[0][rows], np.float32)
            for name, v in started.items()
        }
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
