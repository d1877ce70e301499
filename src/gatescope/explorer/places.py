"""The study of places: the neurons that are on exactly in a range of a text, and other places where they are on."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatescope.explorer.jobs import Report
from gatescope.explorer.requests import RequestError
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.study_text import StudyText
from gatescope.studies.common.arrays import around
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import Table
from gatescope.studies.patterns import matches, near_misses, neurons_on
from gatescope.trace import Trace

MAX_PLACES = 40
SHARE = 0.6  # of the neurons; at least this share must be on at another place
CONTEXT_STEPS = 28  # on both sides of a place
WARM_UP_STEPS = 400  # read before a place, so that the state is nearly the original one
STEPS_AFTER = 120  # shown after a place


def study_places(text: StudyText, request: StudyRequest, shown: Trace | None, report: Report) -> dict[str, Any]:
    """Return the neurons that are on in the range, and other places where they are on, as JSON values.

    Args:
        text: the text that is searched.
        request: the range and the threshold.
        shown: the trace of the text with the range; None for an empty text.
        report: called with the progress.

    Raises:
        RequestError: the text has no such range, or the range spans several sequences.
        StudyError: the trace has no such layer or signal.
    """
    steps = 0 if shown is None else int(np.sum(shown.lengths))
    if shown is None or not 0 <= request.first <= request.last < steps:
        raise RequestError("STUDY_RANGE_UNKNOWN", first=request.first, last=request.last, steps=steps)
    starts = Steps(shown).starts
    sequence = int(np.searchsorted(starts, request.first, side="right")) - 1
    if request.last >= starts[sequence + 1]:
        raise RequestError("STUDY_RANGE_SPANS_SEQUENCES")
    first, last = request.first - int(starts[sequence]), request.last - int(starts[sequence])
    is_one_sided = (request.threshold is not None and request.threshold <= 0) or _is_never_negative(shown, request)
    sign = "positive" if is_one_sided else "both"
    neurons = neurons_on(
        shown, request.layer, sequence, first, last, request.threshold, signal=request.signal, sign=sign
    )
    answer: dict[str, Any] = {"neurons": neurons.to_json(), "misses": near_misses(shown, neurons).to_json()}
    answer |= {"places": [], "runs": 0, "needed": 0}
    answer["characters"] = len(text.subject.text)
    if not len(neurons):
        return answer
    report("DOING_PLACES", 0, 0)
    origin = _range_in_study_text(text, shown, sequence, first, last)
    neurons = Table(neurons.columns, neurons.titles, {**neurons.about, **origin})
    places = matches(text.trace, neurons, share=SHARE, count=MAX_PLACES, context=CONTEXT_STEPS)
    rows = [{**row, **excerpt(text.trace, row["sequence"], row["first"], row["last"])} for row in places]
    return answer | {"places": rows, "runs": places.about["runs"], "needed": places.about["needed"]}


def _is_never_negative(trace: Trace, request: StudyRequest) -> bool:
    arrays = trace.attributes["layers"].get(request.layer, {}).get("arrays", {})
    bounds = arrays.get(request.signal, {}).get("range")
    return bool(bounds) and bounds[0] is not None and bounds[0] >= 0


def _range_in_study_text(text: StudyText, shown: Trace, sequence: int, first: int, last: int) -> dict[str, int]:
    """Locate the range in the studied text, so that it does not match itself; past the end if the text lacks it."""
    shown_text, steps = shown.text(sequence), Steps(text.trace)
    texts = steps.texts()
    if shown_text in texts:
        return {"sequence": texts.index(shown_text), "first": first, "last": last}
    if len(texts) == 1 and not text.trace.vocabulary.bytes:
        start = texts[0].find(shown_text)
        if start >= 0 and len(shown_text) > last - first + 1:
            return {"sequence": 0, "first": start + first, "last": start + last}
    return {"sequence": 0, "first": len(steps), "last": len(steps) + last - first}


def excerpt(trace: Trace, sequence: int, first: int, last: int) -> dict[str, Any]:
    """Return a text around a place that the page can open, and the steps of the place in it."""
    length = int(trace.lengths[sequence])
    begin, end = max(0, first - WARM_UP_STEPS), min(length - 1, last + STEPS_AFTER)
    if trace.vocabulary.unit == "number":
        rows = trace.vocabulary.labels(np.asarray(trace.steps["input"][sequence, begin : end + 1]))
        return {"text": "\n".join(rows) + "\n", "from": first - begin, "to": last - begin}
    _, text, _ = around(trace, sequence, begin, end, 0)
    before = around(trace, sequence, begin, max(begin, first - 1), 0)[1] if first > begin else ""
    start = len(trace.vocabulary.labels(before)) if before else 0
    return {"text": text, "from": start, "to": start + last - first}
