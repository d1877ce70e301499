"""Which values do all neurons have at one step of each sequence?

The memory of a network is the values that its neurons hold between two symbols. At the same place of many sequences
(such as the X of a^N X b^N, for every N), a neuron that counts has a value that grows with N, and a neuron that only
marks the place always has the same value. One table of all neurons at that step shows which is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

MAX_ROWS = 5_000_000

TITLES = {
    "sequence": "sequence",
    "text": "text of the sequence",
    "step": "step of the sequence",
    "layer": "layer",
    "neuron": "neuron",
}


def snapshot(
    trace: Trace,
    at: str | int,
    *,
    occurrence: int = 0,
    signals: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
) -> Table:
    """Return the signals of every neuron at one step of each sequence.

    Args:
        trace: a trace in memory or on disk.
        at: a symbol of the vocabulary, as in "X": the step that reads it; or the number of a step, from 0,
            or from the end if it is negative.
        occurrence: which occurrence of the symbol in each sequence, counted from 0 (-1: the last one).
        signals: the names of the signals; None: all signals of each layer.
        layers: the names of the layers, as in "layer0"; None: all layers.

    Returns:
        One row per sequence that has the step, layer and neuron: the columns of `TITLES`, then one per signal (NaN in
        layers without that signal). Only the first of several equal sequences is included. `about["without"]` lists the
        sequences without the step.

    Raises:
        TraceError: there is no such layer.
        StudyError: the symbol is not of the vocabulary, no sequence has the step, or there is no such signal.
    """
    different = np.unique(Steps(trace).same(), return_index=True)[1].tolist()
    places = [(sequence, step) for sequence, step in _places(trace, at, occurrence) if sequence in set(different)]
    if not places:
        raise _absent_step(at, occurrence)
    chosen = list(layers) if layers is not None else list(trace.layers)
    names = _signals(trace, chosen, signals)
    rows = len(places) * sum(next(iter(trace[layer].values())).shape[2] for layer in chosen)
    if rows > MAX_ROWS:
        raise StudyError("SNAPSHOTS_TOO_MANY_ROWS", max_rows=MAX_ROWS, rows=rows)
    parts = [_of_layer(trace, layer, names, places) for layer in chosen]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in (*TITLES, *names)}
    titles = {**TITLES, **{name: f"{name} at the step" for name in names}}
    without = sorted(set(different) - {sequence for sequence, _ in places})
    about = {"study": "snapshot", "at": at, "occurrence": occurrence, "without": without}
    return Table(columns, titles, about)


def _absent_step(at: str | int, occurrence: int) -> StudyError:
    if isinstance(at, int):
        return StudyError("SNAPSHOTS_STEP_ABSENT", step=at)
    if occurrence in (0, -1):
        return StudyError("SNAPSHOTS_SYMBOL_ABSENT", symbol=at)
    return StudyError("SNAPSHOTS_OCCURRENCE_ABSENT", symbol=at, occurrence=occurrence)


def _places(trace: Trace, at: str | int, occurrence: int) -> list[tuple[int, int]]:
    """Return (sequence, step) of every sequence that has the step."""
    lengths = np.asarray(trace.lengths)
    if isinstance(at, int):
        return [(k, at % n if at < 0 else at) for k, n in enumerate(lengths.tolist()) if -n <= at < n]
    vocabulary = trace.vocabulary
    if vocabulary.unit == "number":
        raise StudyError("SNAPSHOTS_STEP_NOT_NUMBER", at=at)
    ids = vocabulary.encode(at)
    if len(ids) != 1 or not 0 <= int(ids[0]) < vocabulary.size or vocabulary.decode(ids) != at:
        raise StudyError("SNAPSHOTS_SYMBOL_UNKNOWN", symbol=at)
    tokens = np.asarray(trace.steps["token"])
    if not (tokens >= 0).any():
        raise StudyError("SNAPSHOTS_TOKENS_MISSING")
    places = []
    for sequence, length in enumerate(lengths.tolist()):
        steps = np.flatnonzero(tokens[sequence, :length] == ids[0])
        if -len(steps) <= occurrence < len(steps):
            places.append((sequence, int(steps[occurrence])))
    return places


def _signals(trace: Trace, layers: Sequence[str], signals: Sequence[str] | None) -> list[str]:
    names = list(dict.fromkeys(name for layer in layers for name in trace[layer] if "." not in name))
    wrong = [name for name in signals or () if name not in names]
    if wrong:
        raise StudyError("STUDY_SIGNAL_UNKNOWN", layer=", ".join(layers), signals=", ".join(names), signal=wrong[0])
    return names if signals is None else list(signals)


def _of_layer(
    trace: Trace, layer: str, names: Sequence[str], places: Sequence[tuple[int, int]]
) -> dict[str, NDArray[Any]]:
    arrays = trace[layer]
    neurons = next(iter(arrays.values())).shape[2]
    texts = [trace.text(sequence) for sequence, _ in places]
    columns: dict[str, NDArray[Any]] = {
        "sequence": np.repeat([sequence for sequence, _ in places], neurons),
        "text": np.repeat(np.array(texts, dtype=object), neurons),
        "step": np.repeat([step for _, step in places], neurons),
        "layer": np.array([layer] * (neurons * len(places)), dtype=object),
        "neuron": np.tile(np.arange(neurons), len(places)),
    }
    for name in names:
        if name in arrays:
            rows = [np.asarray(arrays[name][sequence, step]) for sequence, step in places]
            columns[name] = np.concatenate(rows).astype(np.float64)
        else:
            columns[name] = np.full(neurons * len(places), np.nan)
    return columns
