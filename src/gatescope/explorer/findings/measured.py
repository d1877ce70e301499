"""The recording that findings are measured on: the task's own strings, read by the network.

`P` step of any string (a place), `N` neuron, `T` step of one text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatescope.configuration import Configuration
from gatescope.explorer.findings.finding import Picture, Strip
from gatescope.explorer.main_signal import main_signal
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.tracks import Tracks
from gatescope.recording import arrays_of
from gatescope.runs import Run
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.subjects import load
from gatescope.studies.common.table import Table
from gatescope.tasks import Task
from gatescope.tasks.base.strings import StringTask
from gatescope.trace import Trace

MAX_CHARACTERS = 4_000  # of the strings that findings are measured on
PICTURE_STEPS = 30

Result = TypeVar("Result")


@dataclass(frozen=True)
class RunReader:
    """Reads texts with the network of a run.

    Attributes:
        recorder: the recorder of the server.
        tracks: annotates texts with features.
        run: the run.
        configuration: its network.
        task: its task.
    """

    recorder: Recorder
    tracks: Tracks
    run: Run
    configuration: Configuration
    task: Task

    @contextmanager
    def trace(self, text: str) -> Iterator[Trace | None]:
        """Yield the trace of a text; None for an empty one."""
        with self.recorder.recorded(self.run, text) as recorded:
            yield recorded.trace

    @contextmanager
    def measured(self) -> Iterator[MeasuredStrings | None]:
        """Yield the task's own strings and their recording; None if the task has no strings."""
        if not isinstance(self.task, StringTask):
            yield None
            return
        strings = strings_of(self.task)
        with self.trace("".join(strings)) as trace:
            yield None if trace is None else MeasuredStrings(strings, Steps(trace))

    def once(self, measure: Callable[[RunReader], Result]) -> Result:
        """Return what a function measures of this run; several findings are about the same neuron.

        Args:
            measure: the function.
        """
        if measure not in self._results:
            self._results[measure] = measure(self)
        return self._results[measure]

    @cached_property
    def _results(self) -> dict[Callable[[RunReader], Any], Any]:
        return {}

    def main_signals(self) -> list[tuple[str, str]]:
        """Return (layer name, main signal) of every layer."""
        configuration = self.configuration
        layers = zip(configuration.names, configuration.layers, strict=True)
        return [(name, main_signal(layer.cell, configuration)) for name, layer in layers]

    def states(self) -> list[tuple[str, str]]:
        """Return (layer name, signal) of the states of every layer, the main signal first."""
        layers = zip(self.main_signals(), self.configuration.layers, strict=True)
        return [
            (name, signal)
            for (name, main), layer in layers
            for signal in dict.fromkeys((main, "h", *layer.cell.states))
            if signal in layer.cell.signals
        ]

    def chance(self, measure: str) -> float | None:
        """Return the score that chance reaches, "AUROC" or "R2", from the saved labels; None without labels."""
        if self.labels is None:
            return None
        least = self.labels.about.get("chance", {}).get("least", {}).get(measure)
        return round(float(least), 3) if isinstance(least, int | float) else None

    @cached_property
    def labels(self) -> Table | None:
        """Return the saved labels of the present weights; None without labels."""
        return load(self.run, "labels")

    def cell_title(self, layer: str) -> str:
        """Return the title of a layer's cell, such as "LSTM"."""
        return self.configuration.layers[self.configuration.names.index(layer)].cell.title

    def picture(self, text: str, layer: str, signal: str, neurons: Sequence[int], step: int = 0) -> Picture | None:
        """Return a picture of some neurons around a step of a text; None for an empty text.

        Args:
            text: the text.
            layer: the name of the layer.
            signal: the signal.
            neurons: the neurons.
            step: a step that is inside the picture.
        """
        with self.trace(text) as trace:
            if trace is None:
                return None
            steps = Steps(trace)
            first = max(0, min(step - PICTURE_STEPS // 3, len(steps) - PICTURE_STEPS))
            part = slice(first, first + PICTURE_STEPS)
            values = steps.values(layer, signal, list(neurons))[part]
            labels = [
                label for row, length in enumerate(trace.lengths) for label in trace.step_labels(row, 0, int(length))
            ]
        cell = self.configuration.layers[self.configuration.names.index(layer)].cell
        low, high = arrays_of(cell)[signal]["range"]
        strips = tuple(Strip.of(neuron, values[:, k]) for k, neuron in enumerate(neurons))
        return Picture(tuple(labels[part]), first, strips, low, high)


@dataclass(frozen=True)
class MeasuredStrings:
    """The strings of a task and what a network does on them.

    Attributes:
        strings: the strings.
        steps: the places of their trace.
    """

    strings: Sequence[str]
    steps: Steps

    @cached_property
    def symbols(self) -> NDArray[Any]:
        """Return the symbol at every place, (P,)."""
        return np.array([symbol for string in self.strings for symbol in string])

    def increments(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the change of each value since the step before, (P, N); NaN at the first step of a string.

        Args:
            values: (P, N), a signal.
        """
        changes = np.diff(values, axis=0, prepend=np.nan)
        changes[self.steps.starts[:-1]] = np.nan
        return changes

    def running(self, symbol: str) -> NDArray[np.int64]:
        """Return how often a symbol has come in the string so far, (P,)."""
        total = np.cumsum(self.symbols == symbol)
        before = np.concatenate([[0], total])[self.steps.starts[:-1]]
        return total - np.repeat(before, np.diff(self.steps.starts))


def strings_of(task: StringTask) -> list[str]:
    """Return the different strings of a task that findings are measured on."""
    strings: list[str] = []
    for string in dict.fromkeys(task.evaluation()):
        if sum(map(len, strings)) + len(string) > MAX_CHARACTERS:
            break
        strings.append(string)
    return strings
