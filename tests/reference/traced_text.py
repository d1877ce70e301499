"""A trace in the form in which the explorer sends recordings, for traces that it would not record itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope import Network
from gatescope.explorer.sequence_recording import Array, Key, SequenceRecording
from gatescope.explorer.text_recording import TextRecording
from gatescope.recording import describe
from gatescope.trace import Trace


class TracedText(TextRecording):
    """A recording whose numbers are those of a trace, drives and parameters included."""

    def __init__(
        self, network: Network, trace: Trace | None, labels: list[str], unknown: list[str], training_step: int
    ) -> None:
        if trace is None:
            super().__init__(network, [], np.zeros(0, np.int64), {}, describe(network), labels, unknown, training_step)
            return
        sequences = [_sequence(trace, s, int(length)) for s, length in enumerate(trace.lengths)]
        residual = trace.attributes["residual"]
        lengths, attributes = trace.lengths, {**trace.attributes}
        super().__init__(network, sequences, lengths, trace.steps, attributes, labels, unknown, training_step, residual)
        self._parameters = {layer: dict(values) for layer, values in trace.parameters.items()}

    def parameters(self, layer: str) -> dict[str, NDArray[Any]]:
        """Return the numbers per neuron of the trace, (N,) each."""
        return self._parameters[layer]


def _sequence(trace: Trace, s: int, length: int) -> SequenceRecording:
    arrays: dict[Key, Array] = {
        (layer, name, None): values[s, :length]
        for layer, signals in trace.layers.items()
        for name, values in signals.items()
    }
    return SequenceRecording(trace.steps["input" if "input" in trace.steps else "token"][s, :length], arrays)
