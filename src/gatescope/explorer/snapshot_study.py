"""The study of one step: the values of all neurons at one symbol of each sequence."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gatescope.explorer.jobs import Report
from gatescope.explorer.neuron_study import json_number
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.study_text import StudyText
from gatescope.studies.common.arrays import signal_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError
from gatescope.studies.snapshots import snapshot
from gatescope.trace import Trace

MAX_SEQUENCES = 200
MAX_VALUES = 200_000
STEP = re.compile(r"#-?[0-9]{1,9}")


def study_snapshot(text: StudyText, request: StudyRequest, report: Report) -> dict[str, Any]:
    """Return a signal of every neuron at one symbol of each sequence, as JSON values.

    Args:
        text: the text; only the first of several equal sequences counts.
        request: the layer, the signal, and `at`, the symbol, or the number of the step behind a "#"; empty for the
            symbol that most sequences have once.
        report: called with the progress.

    Returns:
        "markers" are the symbols with the number of sequences that have them. "texts", "steps" and "values" (a list for
        each neuron) have an entry for each sequence, the shortest first.

    Raises:
        TraceError, StudyError: there is no such layer, signal or symbol, or the text has one sequence only.
    """
    report("DOING_SNAPSHOT", 0, 0)
    trace = text.trace
    symbols = markers(trace)
    at = request.at or (symbols[0]["symbol"] if symbols else "#-1")
    is_step = STEP.fullmatch(at) is not None
    neurons = signal_of(trace, request.layer, request.signal).shape[2]
    table = snapshot(trace, int(at[1:]) if is_step else at, signals=[request.signal], layers=[request.layer])
    sequences = table["sequence"][::neurons]
    steps, texts = table["step"][::neurons], table["text"][::neurons]
    order = np.lexsort((sequences, trace.lengths[sequences], steps))
    kept = order[: min(MAX_SEQUENCES, max(1, MAX_VALUES // neurons))]
    values = table[request.signal].reshape(len(sequences), neurons)[kept]
    return {
        "layer": request.layer,
        "signal": request.signal,
        "at": at,
        "markers": symbols,
        "sequences": len(sequences),
        "without": len(table.about["without"]),
        "texts": [str(texts[k]) for k in kept],
        "steps": steps[kept].tolist(),
        "values": [[json_number(float(value)) for value in column] for column in values.T],
    }


def markers(trace: Trace) -> list[dict[str, Any]]:
    """Return the symbols of the different sequences with the number of sequences that have each, the best marker first.

    The best marker is in most sequences, and there as seldom as possible: the X of a^N X b^N.
    """
    vocabulary = trace.vocabulary
    if vocabulary.end is None:
        raise StudyError("SNAPSHOT_ONE_TEXT")
    if vocabulary.unit == "number":
        return []
    different = np.unique(Steps(trace).same(), return_index=True)[1]
    tokens = np.asarray(trace.steps["token"])
    found = []
    for k, symbol in enumerate(vocabulary.symbols):
        counts = np.array([np.sum(tokens[row, : trace.lengths[row]] == k) for row in different])
        if counts.any():
            found.append((-int((counts > 0).sum()), int(counts.sum()), symbol == vocabulary.end, k, symbol))
    found.sort(key=lambda one: (one[0], one[2], one[1], one[3]))
    return [{"symbol": symbol, "sequences": -count} for count, _, _, _, symbol in found]
