"""Recordings of texts for the page, and their cache."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from gatescope.explorer.requests import RequestError
from gatescope.explorer.wire import MAX_PREDICTIONS, RecordedText, TraceRequest, encode, requested_arrays
from gatescope.messages import Message
from gatescope.network import Network
from gatescope.recording import record
from gatescope.runs import WEIGHTS, Run
from gatescope.sources import Answers, parts_for

MAX_TEXT_STEPS = 20_000
BYTES_OF_CHARACTER = 400  # of a text while it is split into steps
BYTES_OF_STEP = 64  # of the arrays of steps, for each of the most probable predictions

Key = tuple[Any, ...]

_STEP_COUNTS = {
    "character": "EXPLORER_COUNT_OF_CHARACTERS",
    "byte": "EXPLORER_COUNT_OF_BYTES",
    "word": "EXPLORER_COUNT_OF_WORDS",
    "token": "EXPLORER_COUNT_OF_TOKENS",
    "number": "EXPLORER_COUNT_OF_LINES",
}


@dataclass(frozen=True)
class LoadedNetwork:
    """A network of a run, the training step of its weights, and the targets of its task."""

    network: Network
    training_step: int
    answers: Answers | None


@dataclass(frozen=True)
class SplitText:
    """A text as a network reads it.

    Attributes:
        labels: what to print for each step.
        lengths: the number of steps of each sequence.
    """

    labels: list[str]
    lengths: list[int]

    @property
    def longest(self) -> int:
        """The number of steps of the longest sequence."""
        return max(self.lengths, default=0)


class Recorder:
    """Records texts and caches the recordings, because the page requests one neuron after the other."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self._lock = threading.Lock()  # one recording at a time: a second one would only slow the first

    def answer(self, run: Run, request: TraceRequest) -> tuple[bytes, Reservation]:
        """Return the requested arrays as bytes, and the memory that they hold.

        Raises:
            RequestError: the text is too long, or the network has no such layer, signal or neuron.
            RunError: the run cannot be read.
        """
        configuration = run.configuration()
        text = split_text(self._memory, configuration, request.text)
        layer, names = requested_arrays(configuration, request)
        rows = configuration.layers[layer].neurons if request.neurons is None else len(request.neurons)
        step_bytes = 4 * rows * len(names) + BYTES_OF_STEP * MAX_PREDICTIONS + BYTES_OF_CHARACTER
        answer_bytes = 2 * step_bytes * len(text.labels)  # the arrays, and the answer that they are copied into
        reserved = self._reserve(configuration, text, answer_bytes)
        try:
            with self._lock:
                loaded, key = self._load(run, request.checkpoint)
                recorded = self._record(loaded, key, request.text, text)
                body = encode(loaded.network.configuration, recorded, request)
        except BaseException:
            reserved.release()
            raise
        reserved.shrink(len(body))
        return body, reserved

    @contextmanager
    def recorded(self, run: Run, text: str, more_bytes: int = 0) -> Iterator[RecordedText]:
        """Yield a recording of a text with the run's best weights.

        Args:
            run: the run.
            text: the text.
            more_bytes: the memory that the block needs besides the recording, at most.

        Raises:
            RequestError: the text is too long.
            RunError: the run cannot be read.
        """
        configuration = run.configuration()
        split = split_text(self._memory, configuration, text)
        with self._reserve(configuration, split, more_bytes):
            with self._lock:
                loaded, key = self._load(run, None)
                recorded = self._record(loaded, key, text, split)
            yield recorded

    def _load(self, run: Run, checkpoint: int | None) -> tuple[LoadedNetwork, Key]:
        """Return the network of a run, and a key that changes with its weights."""
        key = ("network", run.path.resolve(), checkpoint, weights_stamp(run) if checkpoint is None else None)
        loaded: LoadedNetwork | None = self._memory.cached(key)
        if loaded is None:
            loaded = LoadedNetwork(*run.network(checkpoint), _answers_of(run))
            self._memory.keep(key, loaded, weight_bytes(loaded.network.configuration))
        return loaded, key

    def _reserve(self, configuration: Configuration, text: SplitText, more_bytes: int) -> Reservation:
        """Reserve the memory of a recording and of `more_bytes` made of it.

        Raises:
            RequestError: the text has too many steps.
        """
        steps, sequences = len(text.labels), len(text.lengths)
        check_length(configuration, steps)
        more_bytes_of_step = -(-more_bytes // max(1, steps))

        def cost(longest: int) -> int:
            recording = recording_bytes(configuration, 1, longest)
            return with_network(configuration, recording + more_bytes_of_step * longest)

        needed = with_network(configuration, recording_bytes(configuration, sequences, text.longest) + more_bytes)
        limit = self._memory.working_bytes
        max_steps = most_steps(cost, limit, MAX_TEXT_STEPS)
        too_large = Message(
            "EXPLORER_TEXT_TOO_LARGE" if max_steps else "EXPLORER_NETWORK_TOO_LARGE",
            steps=count_of_steps(configuration, steps),
            sequences=Message("EXPLORER_PADDED_SEQUENCES", sequences=sequences, longest=text.longest)
            if sequences > 1
            else "",
            network=size_of(configuration),
            needed=megabytes(needed),
            limit=megabytes(limit),
            **({"max_steps": count_of_steps(configuration, max_steps)} if max_steps else {}),
        )
        return self._memory.reserve(needed, too_large)

    def _record(self, loaded: LoadedNetwork, network_key: Key, text: str, split: SplitText) -> RecordedText:
        key = ("trace", *network_key, text)
        recorded: RecordedText | None = self._memory.cached(key)
        if recorded is not None:
            return recorded
        network, vocabulary = loaded.network, loaded.network.configuration.vocabulary
        trace = record(network, text, top=MAX_PREDICTIONS, answers=loaded.answers) if split.labels else None
        recorded = RecordedText(trace, split.labels, vocabulary.unknown_in(text), loaded.training_step)
        padded_steps = len(split.lengths) * split.longest
        self._memory.keep(key, recorded, trace_bytes(network.configuration, padded_steps))
        return recorded


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Return a value that changes with a file; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def weights_stamp(run: Run) -> tuple[int, int] | None:
    """Return a value that changes with the best weights of a run; None if there are no weights."""
    return file_stamp(run.path / WEIGHTS)


def split_text(memory: Memory, configuration: Configuration, text: str) -> SplitText:
    """Split a text into the steps and sequences that a network reads.

    Raises:
        RequestError: the text is too long, or does not hold the numbers that the network reads.
    """
    if configuration.vocabulary.unit in ("character", "byte"):
        check_length(configuration, len(text))
    too_large = Message("EXPLORER_CHARACTERS_TOO_MANY", characters=len(text))
    with memory.reserve(BYTES_OF_CHARACTER * len(text), too_large):
        try:
            parts = [configuration.vocabulary.labels(part) for part in parts_for(configuration, text)]
        except GatescopeError as error:
            raise RequestError(error.message) from error
        except ValueError as error:
            raise RequestError("EXPLORER_TEXT_UNREADABLE", reason=error) from error
        check_length(configuration, sum(map(len, parts)))
    return SplitText([label for part in parts for label in part], [len(part) for part in parts])


def check_length(configuration: Configuration, steps: int) -> None:
    """Refuse a text of more than MAX_TEXT_STEPS steps.

    Raises:
        RequestError: the text is longer.
    """
    if steps > MAX_TEXT_STEPS:
        raise RequestError(
            "EXPLORER_TEXT_TOO_LONG",
            status=413,
            steps=count_of_steps(configuration, steps),
            max_steps=count_of_steps(configuration, MAX_TEXT_STEPS),
        )


def count_of_steps(configuration: Configuration, steps: int) -> Message:
    """Return a number of steps with the noun of the network's unit, such as "20 characters"."""
    return Message(_STEP_COUNTS[configuration.vocabulary.unit], steps=steps)


def _answers_of(run: Run) -> Answers | None:
    """Return the targets of the run's task; None if its data cannot be read any more."""
    try:
        return run.task().answers
    except GatescopeError:
        return None
