"""Neurons that count: the value goes one way with every symbol of one kind, and back with every one of another kind.

Source: the counting cells of Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and
context-sensitive languages", IEEE Transactions on Neural Networks 12 (2001).

`P` step of any string (a place), `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from gatescope.explorer.findings.finding import Evidence, Finding, Place, as_values
from gatescope.explorer.findings.measured import MeasuredStrings, RunReader, strings_of
from gatescope.tasks.base.strings import END, StringTask

MIN_R2 = 0.9  # of a neuron that counts, with the count
NEARLY_R2 = 0.02  # of two neurons that count equally well, the one that goes up is shown
MIN_COUNT = 3  # that the strings must reach
SHOWN_COUNT = 7  # of the string that is shown, if there is one
MAX_IDLE_R2 = 0.5  # of a neuron that is shown because it does not count
MIN_ACTIVITY = 0.1  # of the neuron that does not count: its range, as a share of the largest one


@dataclass(frozen=True)
class Counter:
    """A neuron that counts.

    Attributes:
        layer: the name of its layer.
        signal: the signal.
        neuron: the neuron.
        up: the symbol with which the count grows.
        down: the symbol with which it shrinks.
        by_up: the mean change of the signal at `up`.
        by_down: the mean change at `down`.
        r2: the share of the count's variance that a line from the neuron explains.
        steps: the number of places that it was measured on.
        idle: a neuron of the layer that follows the counts least.
        idle_r2: the largest share of the variance of a count that it explains.
    """

    layer: str
    signal: str
    neuron: int
    up: str
    down: str
    by_up: float
    by_down: float
    r2: float
    steps: int
    idle: int
    idle_r2: float


def counting(reader: RunReader) -> list[Finding]:
    """Return the finding of the neuron that counts best; empty if there is none, or the task has no strings.

    Raises:
        GatescopeError: the run cannot be read.
    """
    counter = reader.once(best_counter)
    return [] if counter is None else [_finding(reader, counter)]


def best_counter(reader: RunReader) -> Counter | None:
    """Return the neuron that counts best: of two that count equally well, one that goes up.

    Raises:
        GatescopeError: the run cannot be read.
    """
    with reader.measured() as measured:
        counters = [] if measured is None else list(_counters(reader, measured))
    if not counters:
        return None
    best = max(counters, key=lambda counter: counter.r2)
    rising = [counter for counter in counters if counter.by_up > 0 and counter.r2 >= best.r2 - NEARLY_R2]
    return max(rising or [best], key=lambda counter: counter.r2)


def _counters(reader: RunReader, measured: MeasuredStrings) -> Iterator[Counter]:
    """Yield the neurons whose value changes in one direction at every `up`, and in the other at every `down`."""
    symbols = [symbol for symbol in dict.fromkeys(measured.symbols.tolist()) if symbol != END]
    for up, down in permutations(symbols, 2):
        count = measured.running(up) - measured.running(down)
        if count.min() < 0 or count.max() < MIN_COUNT:
            continue
        for layer, signal in reader.main_signals():
            values = measured.steps.values(layer, signal)
            changes = measured.increments(values)
            # The first step of a string has no change.
            at_up, at_down = (changes[measured.symbols == symbol] for symbol in (up, down))
            at_up, at_down = at_up[~np.isnan(at_up[:, 0])], at_down[~np.isnan(at_down[:, 0])]
            r2 = squared_correlations(values, count)
            others = np.max(
                [r2, *(squared_correlations(values, measured.running(symbol)) for symbol in (up, down))], axis=0
            )
            active = np.ptp(values, axis=0) >= MIN_ACTIVITY * np.ptp(values, axis=0).max()
            idle = int(np.argmin(np.where(active, others, np.inf)))
            for neuron in np.flatnonzero(r2 >= MIN_R2).tolist():
                steady = [
                    len(part) > 0 and abs(np.sign(part[:, neuron]).sum()) == len(part) for part in (at_up, at_down)
                ]
                by_up, by_down = float(at_up[:, neuron].mean()), float(at_down[:, neuron].mean())
                if all(steady) and by_up * by_down < 0:
                    yield Counter(
                        layer,
                        signal,
                        neuron,
                        up,
                        down,
                        by_up,
                        by_down,
                        float(r2[neuron]),
                        len(count),
                        idle,
                        float(others[idle]),
                    )


def _finding(reader: RunReader, counter: Counter) -> Finding:
    """Return the finding of a counter, at a string of a middle length without its end mark."""
    assert isinstance(reader.task, StringTask)
    string = min(strings_of(reader.task), key=lambda string: abs(string.count(counter.up) - SHOWN_COUNT))
    text = string.removesuffix(END)
    step = max(0, text.rfind(counter.up))
    # Beside the neuron that counts, one that does not, if the layer has such a neuron.
    neurons = [counter.neuron, counter.idle] if counter.idle_r2 < MAX_IDLE_R2 else [counter.neuron]
    values = {
        "neuron": counter.neuron,
        "cell": reader.cell_title(counter.layer),
        "up": counter.up,
        "down": counter.down,
        "idle": counter.idle,
        **as_values([("by_up", counter.by_up), ("by_down", counter.by_down), ("idle_r2", counter.idle_r2)]),
    }
    return Finding(
        "counts",
        "FINDING_COUNTS_UP" if counter.by_up > 0 else "FINDING_COUNTS_DOWN",
        values,
        Evidence("R2", round(counter.r2, 3), None, counter.steps),
        Place("network", text, counter.layer, counter.signal, counter.neuron, step),
        reader.picture(text, counter.layer, counter.signal, neurons, step),
    )


def squared_correlations(values: NDArray[np.floating], count: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the share of a count's variance that a line from each neuron explains, (N,); 0 if either is constant.

    Args:
        values: (P, N), a signal.
        count: (P,), the count.
    """
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    target = count - count.mean()
    product = (centred**2).sum(axis=0) * (target**2).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(product > 0, (centred.T @ target) ** 2 / product, 0.0)
