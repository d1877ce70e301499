"""The first failure of a network that learned strings: how far it goes, and where it fails."""

from __future__ import annotations

import numpy as np

from gatescope.explorer.findings.counting import best_counter
from gatescope.explorer.findings.finding import Finding, Place
from gatescope.explorer.findings.measured import RunReader
from gatescope.runs import HISTORY
from gatescope.studies.common.steps import Steps
from gatescope.tasks.base.scoring import ScoredString
from gatescope.tasks.base.strings import StringTask


def first_failure(reader: RunReader) -> list[Finding]:
    """Return the smallest number at which the network fails, at the step where it expects something else.

    The score in the history names the number. The string is read again with the present weights.

    Raises:
        GatescopeError: the run cannot be read.
    """
    if not isinstance(reader.task, StringTask):
        return []
    scores = [record["score"] for record in reader.run.read(HISTORY) if isinstance(record.get("score"), dict)]
    details = scores[-1].get("details") if scores else None
    first = details.get("first_failure") if isinstance(details, dict) else None
    if type(first) is not int:
        return []
    scoring = reader.task.scoring()
    if scoring.rule != "argmax":
        return []
    counter = reader.once(best_counter)
    layer, signal = reader.main_signals()[0]
    for string in (string for string in (*scoring.strings, *scoring.longer) if string.level == first):
        wrong = _first_wrong(reader, string)
        if wrong is None:
            continue
        step, expected = wrong
        if counter is not None:
            layer, signal = counter.layer, counter.signal
        neuron = counter.neuron if counter is not None else None
        picture = reader.picture(string.text, layer, signal, [neuron], step) if neuron is not None else None
        values: dict[str, str | int | float] = {
            "cell": reader.cell_title(layer),
            "first": first,
            "last": first - 1,
            "expected": expected,
            "target": string.text[step + 1],
        }
        counts = counter is not None and first > 1 and string.text.count(counter.up) == first
        if counter is not None and counts:
            written = string.text[: step + 1].count(counter.down)
            values |= {"up": counter.up, "down": counter.down, "written": written}
        return [
            Finding(
                "fails",
                "FINDING_FAILS_AT_N" if counts else "FINDING_FAILS_AT",
                values,
                None,
                Place("network", string.text, layer, signal, neuron, step),
                picture,
            )
        ]
    return []


def _first_wrong(reader: RunReader, string: ScoredString) -> tuple[int, str] | None:
    """Return the first step whose most probable next symbol is wrong, and that symbol; None if all are right."""
    with reader.trace(string.text) as trace:
        if trace is None:
            return None
        top = Steps(trace).of_step("top_token")[:, 0].astype(np.int64)
    symbols = reader.configuration.vocabulary.symbols
    for step in range(string.first, len(string.text) - 1):
        expected = symbols[int(top[step])]
        if expected != string.text[step + 1]:
            return step, expected
    return None
