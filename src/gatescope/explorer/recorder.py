"""Recordings of texts for the page, and their cache."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatescope.configuration import Configuration
from gatescope.errors import GatescopeError
from gatescope.explorer.arrivals import Arrivals, Task
from gatescope.explorer.costs import (
    BYTES_OF_LABEL,
    megabytes,
    most_steps,
    recording_bytes,
    size_of,
    trace_bytes,
    weight_bytes,
    with_network,
)
from gatescope.explorer.drawing_costs import SCOPE_BYTES, SCOPES, Scope, drawing_bytes, held_bytes, needed_keys
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.recording_check import check_recording
from gatescope.explorer.sequence_recording import Key as ArrayKey
from gatescope.explorer.sequence_recording import can_continue
from gatescope.explorer.split_text import MAX_TEXT_STEPS, SplitText, check_length, count_of_steps, split_text
from gatescope.explorer.text_recording import TextRecording, extended, record_text
from gatescope.explorer.wire import MAX_PREDICTIONS, TOLERANCE_OF_NOTHING, TraceRequest, encode
from gatescope.messages import Message
from gatescope.network import Network
from gatescope.recording import record
from gatescope.runs import WEIGHTS, Run
from gatescope.sources import Answers
from gatescope.trace import Trace

LAST_TEXTS = 8  # of a network, which later texts may continue
MAX_NETWORKS = 100  # whose last texts are remembered

Key = tuple[Any, ...]


@dataclass(frozen=True)
class LoadedNetwork:
    """A network of a run, the training step of its weights, and the targets of its task."""

    network: Network
    training_step: int
    answers: Answers | None


@dataclass(frozen=True)
class RecordedText:
    """A recorded text with all signals.

    Attributes:
        trace: every signal at every step; None for an empty text.
    """

    trace: Trace | None


class Recorder:
    """Records texts and caches the recordings, because the page requests one neuron after the other."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self.arrivals = Arrivals()
        self._guard = threading.Lock()  # of the two dictionaries
        self._locks: dict[Path, threading.Lock] = {}
        self._texts: OrderedDict[Key, deque[str]] = OrderedDict()  # a network -> its last texts, the newest first

    def answer(self, run: Run, request: TraceRequest, gone: threading.Event | None = None) -> tuple[bytes, Reservation]:
        """Return the requested arrays as bytes, and the memory that they hold. The recording is not checked yet.

        Args:
            run: the run.
            request: the request.
            gone: set when nobody waits for the answer any more.

        Raises:
            RequestError: the text is too long, or the network has no such layer, signal or neuron; or a newer request
                of the same page has arrived.
            RunError: the run cannot be read.
        """
        task = self.arrivals.task(request, gone)
        configuration = run.configuration()
        text = split_text(self._memory, configuration, request.text)
        keys, reserved = self._reserve_drawing(configuration, text, request)
        try:
            with self._lock_of(run):
                task.stop_if_replaced()
                loaded, key = self._load(run, request.checkpoint)
                recording = self._record(loaded, key, request.text, text, keys, task)
            body = encode(recording, request)
        except BaseException:
            reserved.release()
            raise
        reserved.shrink(len(body))
        return body, reserved

    def check(self, run: Run, request: TraceRequest, gone: threading.Event | None = None) -> dict[str, Any]:
        """Evaluate every equation of a text in float64, and return the largest residual.

        The text is run once more, piece by piece with all signals and drives. What was drawn must be the same bits.

        Args:
            run: the run.
            request: the request that was answered, or is answered now.
            gone: set when nobody waits for the answer any more.

        Returns:
            `residual`, `tolerance` and `steps`, the number of steps that were checked.

        Raises:
            RequestError: the text is too long, or an equation does not hold (422); or a newer request of the same page
                has arrived.
            RunError: the run cannot be read.
        """
        task = self.arrivals.task(request, gone)
        configuration = run.configuration()
        text = split_text(self._memory, configuration, request.text)
        keys, reserved = self._reserve_drawing(configuration, text, request)
        with reserved:
            with self._lock_of(run):
                task.stop_if_replaced()
                loaded, key = self._load(run, request.checkpoint)
                recording = self._record(loaded, key, request.text, text, keys, task)
            # Without the lock: the next letter need not wait for this check, which its request then ends.
            residual = check_recording(recording, request.text, task.stop_if_replaced)
        tolerance = recording.attributes["tolerance"] if text.labels else TOLERANCE_OF_NOTHING
        return {"residual": residual, "tolerance": tolerance, "steps": len(text.labels)}

    @contextmanager
    def recorded(self, run: Run, text: str, more_bytes: int = 0) -> Iterator[RecordedText]:
        """Yield a checked recording of a text, with all signals and without drives, by the run's best weights.

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
            with self._lock_of(run):
                loaded, key = self._load(run, None)
                recorded = self._record_all(loaded, key, text, split)
            yield recorded

    @contextmanager
    def steps(self, run: Run, text: str, more_bytes: int) -> Iterator[Trace | None]:
        """Yield the steps of a text and their predictions as a trace without layers; None for an empty text.

        Args:
            run: the run.
            text: the text.
            more_bytes: the memory that the block needs besides, at most.

        Raises:
            RequestError: the text is too long.
            RunError: the run cannot be read.
        """
        request = TraceRequest(text, signals=(), layer=run.configuration().names[-1])
        split = split_text(self._memory, run.configuration(), text)
        keys, reserved = self._reserve_drawing(run.configuration(), split, request, more_bytes)
        with reserved:
            with self._lock_of(run):
                loaded, key = self._load(run, None)
                recording = self._record(loaded, key, text, split, keys, Task(None, 0, None))
            yield recording.steps_trace() if split.labels else None

    def _lock_of(self, run: Run) -> threading.Lock:
        """Return the lock of a run: one recording at a time, as a second one would only slow the first."""
        with self._guard:
            return self._locks.setdefault(run.path.resolve(), threading.Lock())

    def _load(self, run: Run, checkpoint: int | None) -> tuple[LoadedNetwork, Key]:
        """Return the network of a run, and a key that changes with its weights."""
        key = ("network", run.path.resolve(), checkpoint, weights_stamp(run) if checkpoint is None else None)
        loaded: LoadedNetwork | None = self._memory.cached(key)
        if loaded is None:
            network, step = run.network(checkpoint)
            network.eval()  # a check and a recording may run at the same time
            loaded = LoadedNetwork(network, step, _answers_of(run))
            self._memory.keep(key, loaded, weight_bytes(loaded.network.configuration))
        return loaded, key

    def _reserve(self, configuration: Configuration, text: SplitText, more_bytes: int) -> Reservation:
        """Reserve the memory of a recording with all arrays, and of `more_bytes` made of it.

        Raises:
            RequestError: the text has too many steps.
        """
        more_bytes_of_step = -(-more_bytes // max(1, len(text.labels)))

        def cost(longest: int) -> int:
            recording = recording_bytes(configuration, 1, longest)
            return with_network(configuration, recording + more_bytes_of_step * longest)

        recording = recording_bytes(configuration, len(text.lengths), text.longest)
        return self._reserve_bytes(configuration, text, with_network(configuration, recording + more_bytes), cost)

    def _reserve_drawing(
        self, configuration: Configuration, text: SplitText, request: TraceRequest, more_bytes: int = 0
    ) -> tuple[list[ArrayKey], Reservation]:
        """Return the arrays to hold for a request, and reserve the memory of the recording and of the answer.

        Raises:
            RequestError: the text has too many steps.
        """

        def cost(sequences: int, longest: int, steps: int, scope: Scope) -> int:
            needed = drawing_bytes(configuration, request, sequences, longest, steps, scope)
            return with_network(configuration, needed + more_bytes)

        steps, sequences = len(text.labels), len(text.lengths)
        limit = self._memory.working_bytes
        *larger, least = SCOPES
        scope = least
        for each in reversed(larger):
            held = held_bytes(configuration, request, steps, each)
            if held <= SCOPE_BYTES[each] and cost(sequences, text.longest, steps, each) <= limit:
                scope = each
        needed = cost(sequences, text.longest, steps, scope)
        reserved = self._reserve_bytes(configuration, text, needed, lambda n: cost(1, n, n, least))
        return needed_keys(configuration, request, scope), reserved

    def _reserve_bytes(
        self, configuration: Configuration, text: SplitText, needed: int, cost: Callable[[int], int]
    ) -> Reservation:
        """Reserve bytes for a text; `cost` returns the bytes for one sequence of a number of steps.

        Raises:
            RequestError: the text has too many steps.
        """
        steps, sequences = len(text.labels), len(text.lengths)
        check_length(configuration, steps)
        limit = self._memory.working_bytes
        # The number of steps that fit takes longer to compute than a letter.
        max_steps = most_steps(cost, limit, MAX_TEXT_STEPS) if needed > limit else 0
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

    def _record(
        self, loaded: LoadedNetwork, network_key: Key, text: str, split: SplitText, keys: list[ArrayKey], task: Task
    ) -> TextRecording:
        """Return a recording that holds some arrays: a cached one, or one that continues the last texts."""
        key = ("text", *network_key, text)
        recording: TextRecording | None = self._memory.cached(key)
        if recording is not None and recording.has(keys):
            return recording
        if recording is not None and can_continue(loaded.network.configuration):
            recording = extended(recording, keys, task.report)
        else:
            earlier = [self._memory.cached(("text", *network_key, last)) for last in self._last_texts(network_key)]
            recording = record_text(
                loaded.network,
                text,
                split.labels,
                loaded.training_step,
                loaded.answers,
                keys,
                [old for old in earlier if old is not None],
                task.report,
            )
        self._memory.keep(key, recording, recording.nbytes + BYTES_OF_LABEL * len(split.labels))
        self._remember(network_key, text)
        return recording

    def _last_texts(self, network_key: Key) -> list[str]:
        with self._guard:
            return list(self._texts.get(network_key, ()))

    def _remember(self, network_key: Key, text: str) -> None:
        """Let later texts of a network begin with this one."""
        with self._guard:
            texts = self._texts.pop(network_key, None) or deque(maxlen=LAST_TEXTS)
            if text in texts:
                texts.remove(text)
            texts.appendleft(text)
            self._texts[network_key] = texts
            while len(self._texts) > MAX_NETWORKS:
                self._texts.popitem(last=False)

    def _record_all(self, loaded: LoadedNetwork, network_key: Key, text: str, split: SplitText) -> RecordedText:
        key = ("trace", *network_key, text)
        recorded: RecordedText | None = self._memory.cached(key)
        if recorded is not None:
            return recorded
        network, trace = loaded.network, None
        if split.labels:
            trace = record(network, text, drives=False, top=MAX_PREDICTIONS, answers=loaded.answers)
        recorded = RecordedText(trace)
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


def _answers_of(run: Run) -> Answers | None:
    """Return the targets of the run's task; None if its data cannot be read any more."""
    try:
        return run.task().answers
    except GatescopeError:
        return None
