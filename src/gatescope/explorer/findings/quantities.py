"""Neurons that carry what a task of strings needs: which letter came first, the mark, the symbol to write next.

They are measured on the task's own strings, without a search: every state of every neuron is compared with a quantity
at the same step. If labels are saved, what chance reaches is taken from them, and a neuron below it is not shown.

`P` step of any string (a place), `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gatescope.explorer.findings.finding import Evidence, Finding, Place
from gatescope.explorer.findings.measured import MeasuredStrings, RunReader
from gatescope.tasks.base.strings import END, StringTask

MIN_AUROC = 0.9
MIN_PLACES = 3  # at which a quantity is on, and off


@dataclass(frozen=True)
class Rule:
    """A quantity of tasks, and the sentence about a neuron that carries it.

    Attributes:
        kind: the kind of the finding.
        code: the code of its sentence.
        symbol: the symbol of the sentence; empty if it has none.
    """

    kind: str
    code: str
    symbol: str = ""


RULES = {
    **{f"remembers_{letter}": Rule("remembers", "FINDING_REMEMBERS_START", letter.upper()) for letter in "ab"},
    "at_y": Rule("marks", "FINDING_MARKS", "Y"),
    "at_x": Rule("marks", "FINDING_MARKS", "X"),
    **{f"next_{letter}": Rule("writes", "FINDING_WRITES_NEXT", letter) for letter in "abc"},
    "next_end": Rule("ends", "FINDING_WRITES_NEXT", END),
    "odd": Rule("parity", "FINDING_PARITY"),
    "innermost_round": Rule("brackets", "FINDING_INNERMOST", "("),
    "innermost_square": Rule("brackets", "FINDING_INNERMOST", "["),
}
"""Quantity of a task -> the rule for it."""


@dataclass(frozen=True)
class Carrier:
    """The neuron that separates best where a quantity is on from where it is off.

    Attributes:
        layer: the name of its layer.
        signal: the signal.
        neuron: the neuron.
        auroc: the area under the ROC curve, at least 1/2.
        high: whether the neuron is high where the quantity is on.
    """

    layer: str
    signal: str
    neuron: int
    auroc: float
    high: bool


def carrying(reader: RunReader) -> list[Finding]:
    """Return a finding for each quantity of RULES that a neuron carries.

    Raises:
        GatescopeError: the run cannot be read.
    """
    task = reader.task
    if not isinstance(task, StringTask) or not set(RULES) & set(task.quantity_titles):
        return []
    with reader.measured() as measured:
        if measured is None:
            return []
        chance = reader.chance("AUROC")
        carriers = dict(_carriers(reader, task, measured, chance))
    findings = [_finding(reader, task, measured, name, carrier, chance) for name, carrier in carriers.items()]
    return _merged(findings)


def _carriers(
    reader: RunReader, task: StringTask, measured: MeasuredStrings, chance: float | None
) -> Iterator[tuple[str, Carrier]]:
    """Yield each quantity with its best neuron: one that is high where it is on, or else one that is low there."""
    quantities = [task.quantities(string) for string in measured.strings]
    inside = measured.symbols != END  # nothing is learned about the step that reads the end mark
    states = [(layer, signal, measured.steps.values(layer, signal)[inside]) for layer, signal in reader.states()]
    for name in RULES:
        if name not in task.quantity_titles:
            continue
        on = np.concatenate([np.asarray(part[name], dtype=np.bool_) for part in quantities])[inside]
        if min(on.sum(), (~on).sum()) < MIN_PLACES:
            continue
        carriers = []
        for layer, signal, values in states:
            areas = aurocs(values, on)
            for high, sided in ((True, areas), (False, 1 - areas)):
                carriers.append(Carrier(layer, signal, int(sided.argmax()), float(sided.max()), high))
        good = [c for c in carriers if c.auroc >= MIN_AUROC and (chance is None or c.auroc > chance)]
        if good:
            yield name, max(good, key=lambda carrier: (carrier.high, carrier.auroc))


def _merged(findings: list[Finding]) -> list[Finding]:
    """Return the findings with one sentence for a neuron that keeps two beginnings apart, instead of two sentences."""
    starts = [finding for finding in findings if finding.code == "FINDING_REMEMBERS_START"]
    if len(starts) != 2 or len({(finding.place.layer, finding.place.neuron) for finding in starts}) != 1:
        return findings
    first, second = starts
    high, low = (first, second) if first.values["high"] else (second, first)
    values = {name: first.values[name] for name in ("neuron", "cell")}
    values |= {"symbol": high.values["symbol"], "other": low.values["symbol"]}
    return [replace(high, code="FINDING_KEEPS_APART", values=values), *(f for f in findings if f not in starts)]


def _finding(
    reader: RunReader, task: StringTask, measured: MeasuredStrings, name: str, carrier: Carrier, chance: float | None
) -> Finding:
    rule = RULES[name]
    text, step = _shown(task, measured, name)
    values = {"neuron": carrier.neuron, "cell": reader.cell_title(carrier.layer), "high": int(carrier.high)}
    return Finding(
        rule.kind,
        rule.code,
        values | ({"symbol": rule.symbol} if rule.symbol else {}),
        Evidence("AUROC", round(carrier.auroc, 3), chance, int((measured.symbols != END).sum())),
        Place("network", text, carrier.layer, carrier.signal, carrier.neuron, step, f"task.{name}"),
        reader.picture(text, carrier.layer, carrier.signal, [carrier.neuron], step),
    )


def _shown(task: StringTask, measured: MeasuredStrings, name: str) -> tuple[str, int]:
    """Return a text of two strings, and a step at which the quantity is on: one string has it on longest, one off."""
    lengths = [int(np.asarray(task.quantities(string)[name], dtype=np.bool_)[:-1].sum()) for string in measured.strings]
    most, least = int(np.argmax(lengths)), int(np.argmin(lengths))
    # A middle length shows more than the longest string, which repeats one symbol.
    typical = sorted(range(len(lengths)), key=lambda k: (lengths[k] == 0, abs(len(measured.strings[k]) - 10), k))[0]
    first = typical if lengths[typical] else most
    string = measured.strings[first]
    other = min(
        (k for k in range(len(lengths)) if lengths[k] == lengths[least]),
        key=lambda k: (abs(len(measured.strings[k]) - len(string)), k == first, k),
    )
    on = np.flatnonzero(np.asarray(task.quantities(string)[name], dtype=np.bool_)[:-1])
    return string + measured.strings[other], int(on[len(on) // 2]) if len(on) else 0


def aurocs(values: NDArray[np.floating], on: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the area under the ROC curve of each neuron, (N,): the probability that it is higher where `on` is true.

    Args:
        values: (P, N), a signal.
        on: (P,), with true and false values.
    """
    positives, negatives = int(on.sum()), int((~on).sum())
    areas = np.empty(values.shape[1])
    for neuron, column in enumerate(values.T):
        _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # equal values share their mean rank
        areas[neuron] = (ranks[on].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return areas
