"""Answers about gradients: maps over all pairs of steps, connections of predictions to inputs, and chains of factors.

Texts are short, because every pair of steps is compared. A map that would take too long is estimated from fewer
vectors, or over shorter distances, and the answer says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gatescope.configuration import Configuration
from gatescope.explorer.chains import chain_json
from gatescope.explorer.connections import encode_changes, encode_gradients, predictions_per_answer
from gatescope.explorer.costs import gradient_bytes, megabytes, most_steps, reading_bytes, size_of, with_network
from gatescope.explorer.exact_recording import ExactRecording
from gatescope.explorer.gradient_map import encode_map
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.recorder import weights_stamp
from gatescope.explorer.requests import CHECKPOINT, Field, RequestError, check_step, parse_request
from gatescope.explorer.split_text import SplitText, count_of_steps, split_text
from gatescope.messages import Message
from gatescope.runs import Run

MAX_TEXT_STEPS = 300

Key = tuple[Any, ...]

MAP_FIELDS = {"text": Field(str), "layer": Field(str), "checkpoint": CHECKPOINT}
CONNECTION_FIELDS = {
    "text": Field(str),
    "by": Field(str, choices=("gradient", "change")),
    "step": Field(int),
    "checkpoint": CHECKPOINT,
}
CHAIN_FIELDS = {
    "text": Field(str),
    "layer": Field(str),
    "state": Field(str),
    "neuron": Field(int),
    "after": Field(int),
    "before": Field(int),
    "checkpoint": CHECKPOINT,
}


class Gradients:
    """Answers requests about gradients, and caches the answers."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self._lock = threading.Lock()  # one answer at a time, because each one uses all cores

    def gradients(self, run: Run, data: Any) -> tuple[bytes, Reservation]:
        """Return the map over all pairs of steps, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field cannot be used, or the text is too long.
            GatescopeError: the run cannot be read, or its layer carries no state.
        """
        fields = parse_request("gradients", data, MAP_FIELDS)
        layer = fields["layer"]
        return self._answer(run, fields, lambda _: ("map", layer), lambda recording: encode_map(recording, layer))

    def connections(self, run: Run, data: Any) -> tuple[bytes, Reservation]:
        """Return the inputs that some predictions depend on, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field cannot be used, or the text has no such step.
            GatescopeError: the run cannot be read, or its network does not predict at every step.
        """
        fields = parse_request("connections", data, CONNECTION_FIELDS)

        def cache_key(recording: ExactRecording) -> Key:
            check_step(fields["step"], recording.steps)
            if fields["by"] == "change":
                return ("change",)
            return ("gradient", fields["step"] // predictions_per_answer(recording))

        def encode(recording: ExactRecording) -> bytes:
            if fields["by"] == "change":
                return encode_changes(recording)
            count = predictions_per_answer(recording)
            return encode_gradients(recording, fields["step"] // count * count, count)

        return self._answer(run, fields, cache_key, encode)

    def chain(self, run: Run, data: Any) -> dict[str, Any]:
        """Return the factors of one neuron from a step to a later one, as JSON values.

        Raises:
            RequestError: a field cannot be used, or the steps lie in different sequences.
            GatescopeError: the run cannot be read, or it has no such state, neuron or step.
        """
        fields = parse_request("chain", data, CHAIN_FIELDS)
        with self._recorded(run, fields) as recording, self._lock:
            return chain_json(
                recording, **{name: fields[name] for name in CHAIN_FIELDS.keys() - {"text", "checkpoint"}}
            )

    def _answer(
        self,
        run: Run,
        fields: dict[str, Any],
        cache_key: Callable[[ExactRecording], Key],
        encode: Callable[[ExactRecording], bytes],
    ) -> tuple[bytes, Reservation]:
        """Return an answer and the memory that it holds until it is sent.

        Args:
            run: the run.
            fields: the fields of the request.
            cache_key: returns the key of the answer among all answers about one recording.
            encode: returns the answer; called if it is not cached.
        """
        configuration = run.configuration()
        text = _split_short_text(self._memory, configuration, fields["text"])
        reservation = self._reserve(configuration, text)
        try:
            with self._lock:
                recording_key, recording = self._record(run, fields, text)
                key = (*cache_key(recording), *recording_key)
                body: bytes | None = self._memory.cached(key)
                if body is None:
                    body = encode(recording)
                    self._memory.keep(key, body, len(body))
        except BaseException:
            reservation.release()
            raise
        reservation.shrink(len(body))
        return body, reservation

    @contextmanager
    def _recorded(self, run: Run, fields: dict[str, Any]) -> Iterator[ExactRecording]:
        """Record the text of a request, and hold its memory until the block ends."""
        configuration = run.configuration()
        text = _split_short_text(self._memory, configuration, fields["text"])
        with self._reserve(configuration, text):
            with self._lock:
                _, recording = self._record(run, fields, text)
            yield recording

    def _reserve(self, configuration: Configuration, text: SplitText) -> Reservation:
        """Reserve the memory of any answer about a text.

        Raises:
            RequestError: the text is too long for this network.
        """

        def cost(steps: int) -> int:
            return with_network(configuration, gradient_bytes(configuration, 1, steps))

        limit = self._memory.working_bytes
        needed = with_network(configuration, gradient_bytes(configuration, len(text.lengths), text.longest))
        max_steps = most_steps(cost, limit, MAX_TEXT_STEPS)
        too_large = Message(
            "GRADIENTS_TEXT_TOO_LARGE" if max_steps else "GRADIENTS_NETWORK_TOO_LARGE",
            steps=count_of_steps(configuration, len(text.labels)),
            network=size_of(configuration),
            needed=megabytes(needed),
            limit=megabytes(limit),
            **({"max_steps": count_of_steps(configuration, max_steps)} if max_steps else {}),
        )
        return self._memory.reserve(needed, too_large)

    def _record(self, run: Run, fields: dict[str, Any], text: SplitText) -> tuple[Key, ExactRecording]:
        """Return the recording of a text and its key in the cache."""
        checkpoint = fields["checkpoint"]
        stamp = weights_stamp(run) if checkpoint is None else None
        key = ("exact recording", run.path.resolve(), checkpoint, stamp, fields["text"])
        recording: ExactRecording | None = self._memory.cached(key)
        if recording is None:
            network, training_step = run.network(checkpoint)
            recording = ExactRecording.of(network, training_step, fields["text"], text.labels)
            nbytes = reading_bytes(network.configuration, len(text.lengths), text.longest)
            self._memory.keep(key, recording, nbytes)
        return key, recording


def _split_short_text(memory: Memory, configuration: Configuration, text: str) -> SplitText:
    """Split a text that is short enough to compare every pair of steps.

    Raises:
        RequestError: the text is too long, or the network reads numbers.
    """
    split = split_text(memory, configuration, text)
    if configuration.vocabulary.unit == "number":
        raise RequestError("GRADIENTS_OF_NUMBERS", status=409)
    if len(split.labels) > MAX_TEXT_STEPS:
        raise RequestError(
            "GRADIENTS_TEXT_TOO_LONG",
            status=413,
            steps=count_of_steps(configuration, len(split.labels)),
            max_steps=MAX_TEXT_STEPS,
        )
    return split
