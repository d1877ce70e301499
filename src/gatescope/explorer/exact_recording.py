"""A text recorded in float64, with the Jacobians of every layer, for the pages about gradients.

The strips show a separate float32 recording of the same text, in the precision of the network itself. Gradients need
float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gatescope.explorer.requests import RequestError, quoted
from gatescope.network import Network
from gatescope.recording import record, weights_of
from gatescope.sources import symbols_of
from gatescope.studies.gradients.jacobians import Jacobians, exact, jacobians
from gatescope.trace import Trace
from gatescope.vocabulary import Ids


@dataclass(frozen=True)
class ExactRecording:
    """A text recorded by a float64 copy of a network. `T` is the number of steps of all sequences.

    Attributes:
        network: the copy.
        training_step: the training step of its weights.
        labels: what to print for each step.
        sequences: the ids of each sequence.
        firsts: the first step of each sequence, and T, (sequences + 1,).
        trace: every signal; None for an empty text.
        cached_jacobians: layer -> Jacobians of each sequence, computed on demand.
    """

    network: Network
    training_step: int
    labels: list[str]
    sequences: list[Ids]
    firsts: NDArray[np.int64]
    trace: Trace | None
    cached_jacobians: dict[str, list[Jacobians]] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, training_step: int, text: str, labels: list[str]) -> ExactRecording:
        """Record a text.

        Args:
            network: the network, in any precision.
            training_step: the training step of its weights.
            text: the text, in the unit of its vocabulary.
            labels: what to print for each step of the text.
        """
        copy = exact(network)
        sequences = symbols_of(copy, text) if labels else []
        firsts = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        return cls(copy, training_step, labels, sequences, firsts, record(copy, text) if labels else None)

    @property
    def steps(self) -> int:
        """The number of steps of all sequences."""
        return int(self.firsts[-1])

    def jacobians(self, layer: str) -> list[Jacobians]:
        """Return the Jacobians of a layer, one entry for each sequence; computed once.

        Raises:
            RequestError: the network has no such layer, or the layer reads from the end.
        """
        names = self.network.configuration.names
        if layer not in names:
            raise RequestError("EXPLORER_LAYER_UNKNOWN", layer=quoted(layer), layers=", ".join(names))
        if self.network.configuration.layers[names.index(layer)].reverse:
            raise RequestError("GRADIENTS_LAYER_REVERSE", status=409, layer=layer)
        if layer not in self.cached_jacobians and self.trace is not None:
            weights = weights_of(self.network)[layer]
            count = len(self.sequences)
            self.cached_jacobians[layer] = [
                jacobians(self.trace, layer, weights, sequence) for sequence in range(count)
            ]
        return self.cached_jacobians.get(layer, [])

    def spans(self) -> Iterator[tuple[int, slice]]:
        """Yield the number of each sequence and its steps."""
        for number, (first, end) in enumerate(zip(self.firsts[:-1], self.firsts[1:], strict=True)):
            yield number, slice(int(first), int(end))

    def locate(self, step: int) -> tuple[int, int]:
        """Return the sequence of a step, and the step within this sequence."""
        number = int(np.searchsorted(self.firsts, step, side="right")) - 1
        return number, step - int(self.firsts[number])

    def log_probabilities(self, number: int) -> NDArray[np.floating]:
        """Return log p of the next symbol after every step of a sequence, (steps,); NaN where it is unknown."""
        assert self.trace is not None  # a text with a sequence is not empty
        return np.asarray(self.trace.steps["log_probability"][number])[: len(self.sequences[number])]
