"""Findings that the saved labels of a network of text give: inside quotes, indentation, brackets, and others.

Each is shown on a text in which its feature is on, so that a reader sees the neuron where it works.

`T` step of a text, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.explorer.findings.counting import squared_correlations
from gatescope.explorer.findings.finding import Evidence, Finding, Place
from gatescope.explorer.findings.measured import RunReader
from gatescope.explorer.findings.quantities import aurocs
from gatescope.features import Feature
from gatescope.studies.common.steps import Steps
from gatescope.tasks.base.strings import StringTask

MIN_STRENGTH = 0.4  # 0: chance, 1: a perfect label
MAX_LAG = 2  # steps between a neuron and the feature that its sentence is about
MAX_OTHERS = 2  # findings of a run that have no sentence of their own
PASSAGE_CHARACTERS = 4_000  # of the held-out text, if no example shows a feature
MAX_TEXT_CHARACTERS = 600  # of the text of a place
STEPS_INSIDE = 4  # from the begin of a stretch where a binary feature is on to the step that is shown


@dataclass(frozen=True)
class Rule:
    """Features, the best first, and the sentence about a neuron that follows one of them.

    Attributes:
        kind: the kind of the finding.
        code: the code of its sentence.
        features: the names of the features; a name that ends with a dot stands for a whole family.
        late: the code of the sentence about a neuron that follows more than MAX_LAG steps later; empty without one.
    """

    kind: str
    code: str
    features: tuple[str, ...]
    late: str = ""


RULES = (
    Rule(
        "quotes",
        "FINDING_IN_QUOTES",
        ("quotes.any", "quotes.double", "quotes.single", "quotes."),
        "FINDING_IN_QUOTES_LATE",
    ),
    Rule("indentation", "FINDING_INDENTATION", ("indentation.depth", "indentation.columns")),
    Rule("indentation", "FINDING_COUNTS_INDENTATION", ("indentation.spaces",)),
    Rule("indentation", "FINDING_IN_INDENTATION", ("indentation.in_indentation",)),
    Rule("brackets", "FINDING_IN_BRACKETS", ("brackets.depth", "brackets.round", "brackets.any", "brackets.")),
    Rule("line", "FINDING_IN_LINE", ("position.in_line",)),
)


def labelled(reader: RunReader) -> list[Finding]:
    """Return the findings of the saved labels of a network of text; none for strings, which are measured directly.

    Raises:
        GatescopeError: the run cannot be read.
    """
    if reader.labels is None or isinstance(reader.task, StringTask):
        return []
    clear = sorted((row for row in reader.labels if _is_clear(reader, row)), key=strength, reverse=True)
    rows = [row for row in clear if abs(row["lag"]) <= MAX_LAG]
    late = [row for row in clear if row["lag"] > MAX_LAG]
    findings: list[Finding] = []
    for rule in RULES:
        if rule.kind in {finding.kind for finding in findings}:
            continue
        row, late_row = _first_match(rule, rows), _first_match(rule, late) if rule.late else None
        if row is not None:
            findings += _finding(reader, rule.kind, rule.code, row)
        elif late_row is not None:
            findings += _finding(reader, rule.kind, rule.late, late_row)
    ruled = {name for rule in RULES for name in rule.features}
    others = [row for row in rows if not any(_matches(row, name) for name in ruled)]
    shown: set[str] = set()
    for row in others:
        if len(shown) == MAX_OTHERS:
            break
        if row["feature"] not in shown and (more := _finding(reader, "follows", "FINDING_FOLLOWS", row)):
            shown.add(row["feature"])
            findings += more
    return findings


def _is_clear(reader: RunReader, row: dict[str, Any]) -> bool:
    """Return whether a label is about a state of a neuron, and strong."""
    return (row["layer"], row["signal"]) in reader.states() and strength(row) >= MIN_STRENGTH


def _first_match(rule: Rule, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the strongest label about the first feature of a rule that has one."""
    return next((row for name in rule.features for row in rows if _matches(row, name)), None)


def strength(row: dict[str, Any]) -> float:
    """Return the strength of a label, comparable between measures: 0 is chance, 1 a perfect label."""
    return float(2 * row["score"] - 1 if row["measure"] == "AUROC" else row["score"])


def _matches(row: dict[str, Any], name: str) -> bool:
    return str(row["feature"]).startswith(name) if name.endswith(".") else row["feature"] == name


def _finding(reader: RunReader, kind: str, code: str, row: dict[str, Any]) -> list[Finding]:
    """Return the finding of a label, at the text that shows it best; empty if no text shows its feature."""
    layer, signal, neuron, feature = row["layer"], row["signal"], int(row["neuron"]), str(row["feature"])
    shown = _shown(reader, layer, signal, neuron, feature, int(row["lag"]))
    if shown is None:
        return []
    text, step = shown
    values = {
        "neuron": neuron,
        "cell": reader.cell_title(layer),
        "feature": feature,
        "title": str(row["title"]),
        "high": int(row["direction"] > 0),
        "lag": int(row["lag"]),
    }
    assert reader.labels is not None
    steps = int(reader.labels.about.get("steps", {}).get("held_out", 0))
    return [
        Finding(
            kind,
            code,
            values,
            Evidence(row["measure"], round(float(row["score"]), 3), reader.chance(row["measure"]), steps),
            Place("network", text, layer, signal, neuron, step, feature),
            reader.picture(text, layer, signal, [neuron], step),
        )
    ]


def _shown(reader: RunReader, layer: str, signal: str, neuron: int, feature: str, lag: int) -> tuple[str, int] | None:
    """Return the example in which a neuron follows a feature best, and a step at which the neuron follows it.

    `lag` is the number of steps by which the neuron follows.

    If the feature is constant in every example, a passage of the held-out text takes their place.
    """
    examples = [text for text in reader.task.examples() if 0 < len(text) <= MAX_TEXT_CHARACTERS]
    best = _best(reader, examples, layer, signal, neuron, feature, lag)
    return best if best is not None else _best(reader, _passages(reader, feature), layer, signal, neuron, feature, lag)


def _best(
    reader: RunReader, texts: Sequence[str], layer: str, signal: str, neuron: int, feature: str, lag: int
) -> tuple[str, int] | None:
    best: tuple[float, str, int] | None = None
    for text in texts:
        [values] = reader.tracks.values(reader.run, text, [feature])
        if values is None or values.kind == "category":
            continue
        with reader.trace(text) as trace:
            assert trace is not None
            column = Steps(trace).values(layer, signal, [neuron])
        agreement = _agreement(column, values, lag)
        if agreement is not None and (best is None or agreement > best[0]):
            best = (agreement, text, min(max(0, _step_on(values) + lag), len(column) - 1))
    return None if best is None else best[1:]


def _agreement(column: NDArray[np.floating], feature: Feature, lag: int) -> float | None:
    """Return how well a neuron follows a feature in a text, 0 to 1; None if the feature is constant there."""
    steps = len(column)
    if abs(lag) >= steps:
        return None
    column, values = column[max(0, lag) : steps + min(0, lag)], feature.values[max(0, -lag) : steps - max(0, lag)]
    known = np.isfinite(values.astype(np.float64))
    column, values = column[known], values[known]
    if len(np.unique(values)) < 2:
        return None
    if feature.kind == "binary":
        return float(abs(2 * aurocs(column, values.astype(np.bool_))[0] - 1))
    return float(squared_correlations(column, values)[0])


def _step_on(feature: Feature) -> int:
    """Return a step at which a feature is on; the picture of a card also shows some steps before it.

    For a binary feature, the step lies inside the longest stretch that begins after the first step, near its begin, so
    that the card shows how the neuron changes. For a count, it is the first largest value.
    """
    values = np.nan_to_num(feature.values.astype(np.float64), nan=-np.inf)
    if feature.kind != "binary":
        return int(values.argmax())
    edges = np.flatnonzero(np.diff(np.concatenate([[0], values > 0, [0]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    longest = int(np.where((starts > 0) | (starts.max() == 0), lengths, 0).argmax())
    return int(starts[longest] + min(lengths[longest] // 2, STEPS_INSIDE))


def _passages(reader: RunReader, feature: str) -> list[str]:
    """Return a passage of the held-out text around a place where a feature is on; empty if there is none."""
    text = reader.task.held_out(PASSAGE_CHARACTERS)
    if reader.configuration.vocabulary.unit != "character" or reader.configuration.vocabulary.end is not None:
        return []
    [values] = reader.tracks.values(reader.run, text, [feature])
    if values is None or values.kind == "category" or len(np.unique(values.values)) < 2:
        return []
    step = _step_on(values)
    start = text.rfind("\n", 0, max(0, step - MAX_TEXT_CHARACTERS // 3)) + 1
    start = start if step - start < MAX_TEXT_CHARACTERS // 2 else step - MAX_TEXT_CHARACTERS // 3
    return [text[start : start + MAX_TEXT_CHARACTERS]]
