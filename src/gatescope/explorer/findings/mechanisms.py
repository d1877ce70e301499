"""Mechanisms: how a symbol between the counted ones is left out, and forget gates that close at the end of a string.

`P` step of any string (a place), `N` neuron.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gatescope.explorer.findings.counting import Counter, best_counter
from gatescope.explorer.findings.finding import Evidence, Finding, Place, as_values
from gatescope.explorer.findings.measured import MeasuredStrings, RunReader
from gatescope.recording import arrays_of
from gatescope.tasks.base.strings import END

MAX_LEFT_OUT = 0.5  # the change at a symbol that is left out, as a share of the change at a counted one
OPEN, CLOSED = 0.8, 0.5  # of a forget gate that closes: its mean before the end, and its largest value there
CANDIDATES = ("candidate", "candidate state")


def leaving_out(reader: RunReader) -> list[Finding]:
    """Return how the neuron that counts leaves out a symbol that stands between the counted ones; empty without one.

    Raises:
        GatescopeError: the run cannot be read.
    """
    counter = reader.once(best_counter)
    if counter is None:
        return []
    with reader.measured() as measured:
        assert measured is not None
        others = {symbol for string in measured.strings for symbol in string if string.count(symbol) > 1}
        others -= {counter.up, counter.down, END}
        changes = measured.increments(measured.steps.values(counter.layer, counter.signal, [counter.neuron]))[:, 0]
        for symbol in sorted(others):
            change = float(np.nanmean(changes[measured.symbols == symbol]))
            if abs(change) <= MAX_LEFT_OUT * abs(counter.by_up):
                return [_left_out(reader, measured, counter, symbol, change)]
    return []


def _left_out(reader: RunReader, measured: MeasuredStrings, counter: Counter, symbol: str, change: float) -> Finding:
    titles = signal_titles(reader, counter.layer)
    candidate = next((titles[title] for title in CANDIDATES if title in titles), None)
    gate = titles.get("input gate")
    values: dict[str, str | int | float] = {
        "neuron": counter.neuron,
        "cell": reader.cell_title(counter.layer),
        "up": counter.up,
        "symbol": symbol,
        **as_values([("by_up", counter.by_up), ("by_symbol", change)], 2),
    }
    code = "FINDING_LEFT_OUT_CHANGE"
    if candidate is not None and gate is not None:
        code = "FINDING_LEFT_OUT"
        for name, signal in (("candidate", candidate), ("gate", gate)):
            column = measured.steps.values(counter.layer, signal, [counter.neuron])[:, 0]
            means = [
                (f"{name}_{place}", float(column[measured.symbols == letter].mean()))
                for place, letter in (("up", counter.up), ("symbol", symbol))
            ]
            values |= as_values(means, 2)
    string = max(
        measured.strings,
        key=lambda string: (
            symbol in string[1:],
            min(string.count(symbol), 3) + min(string.count(counter.up), 4),
            -len(string),
        ),
    )
    text, step = string.removesuffix(END), string.find(symbol, 1)
    return Finding(
        "left_out",
        code,
        values,
        Evidence("mean", float(f"{change:.2g}"), None, int((measured.symbols == symbol).sum())),
        Place("network", text, counter.layer, counter.signal, counter.neuron, step),
        reader.picture(text, counter.layer, counter.signal, [counter.neuron], step),
    )


def forgetting(reader: RunReader) -> list[Finding]:
    """Return the neuron whose forget gate is open in every string and closes at its last symbol; empty without one.

    Raises:
        GatescopeError: the run cannot be read.
    """
    best: tuple[float, str, str, int, float, float] | None = None
    with reader.measured() as measured:
        if measured is None:
            return []
        strings, steps = measured.strings, measured.steps
        last = steps.starts[1:] - 2
        before = np.ones(len(steps), np.bool_)
        before[np.concatenate([steps.starts[:-1], last, last + 1])] = False  # at the first step there is no memory
        for layer, _ in reader.main_signals():
            signal = signal_titles(reader, layer).get("forget gate")
            if signal is None or not before.any():
                continue
            values = steps.values(layer, signal)
            means, ends = values[before].mean(axis=0), values[last]
            closing = (means >= OPEN) & (ends.max(axis=0) <= CLOSED)
            gaps = np.where(closing, means - ends.mean(axis=0), -np.inf)
            neuron = int(gaps.argmax())
            if closing[neuron] and (best is None or gaps[neuron] > best[0]):
                best = (float(gaps[neuron]), layer, signal, neuron, float(means[neuron]), float(ends[:, neuron].mean()))
    if best is None:
        return []
    _, layer, signal, neuron, mean, end = best
    text = min(strings, key=lambda string: (abs(len(string) - 10), string)).removesuffix(END)
    values = {"neuron": neuron, "cell": reader.cell_title(layer), **as_values([("before", mean), ("at_end", end)], 2)}
    return [
        Finding(
            "forgets",
            "FINDING_FORGETS",
            values,
            Evidence("share", 1.0, None, len(strings)),
            Place("network", text, layer, signal, neuron, len(text) - 1),
            reader.picture(text, layer, signal, [neuron], len(text) - 1),
        )
    ]


def signal_titles(reader: RunReader, layer: str) -> Mapping[str, str]:
    """Return title -> signal of a layer, such as "forget gate" -> "f"."""
    cell = reader.configuration.layers[reader.configuration.names.index(layer)].cell
    arrays = arrays_of(cell)
    return {arrays[name]["title"].partition(" (")[0]: name for name in cell.signals}
