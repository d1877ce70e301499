"""The study of one neuron: its passages, the distribution of its values, its health and its effect on the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatescope.explorer.jobs import Report
from gatescope.explorer.places import excerpt
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.study_text import StudyText
from gatescope.features import features_named
from gatescope.studies.ablation import ablation
from gatescope.studies.common.arrays import check_neuron
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.passages import distribution, passages

PASSAGES = 8
MAX_CARD_PASSAGES = 3
CONTEXT_STEPS = 28  # on both sides of a passage
EFFECT_STEPS = 8_012  # on which the effect of the neuron is measured
DRAWS = 400


def study_neuron(text: StudyText, request: StudyRequest, report: Report) -> dict[str, Any]:
    """Return the passages, the histogram, the health and the effect of a neuron, as JSON values.

    Raises:
        StudyError: the trace has no such layer, signal or neuron.
    """
    report("DOING_PASSAGES", 0, 0)
    answer = describe_neuron(text, request.layer, request.signal, request.neuron)
    report("DOING_ABLATING_NEURON", 0, 0)
    answer["effect"] = _effect(text, request.layer, request.neuron, request.features).to_json()
    return answer


def study_passages(text: StudyText, request: StudyRequest, report: Report) -> dict[str, Any]:
    """Return the passages in which a neuron has its largest and its smallest values, as JSON values.

    Raises:
        StudyError: the trace has no such layer, signal or neuron.
    """
    report("DOING_PASSAGES", 0, 0)
    check_neuron(text.trace, request.layer, request.signal, request.neuron)
    answer = _passages(text, request.layer, request.signal, request.neuron, MAX_CARD_PASSAGES)
    return {"characters": len(text.subject.text), **answer}


def describe_neuron(
    text: StudyText, layer: str, signal: str, neuron: int, max_passages: int = PASSAGES
) -> dict[str, Any]:
    """Return the passages, the histogram and the health of a neuron, as JSON values.

    Args:
        text: the text that is searched.
        layer: the layer of the neuron.
        signal: the signal of the neuron.
        neuron: the neuron.
        max_passages: the number of passages with the largest values, and of those with the smallest.

    Raises:
        StudyError: the trace has no such layer, signal or neuron.
    """
    trace = text.trace
    check_neuron(trace, layer, signal, neuron)
    answer: dict[str, Any] = {"steps": int(np.sum(trace.lengths)), "characters": len(text.subject.text)}
    answer |= _passages(text, layer, signal, neuron, max_passages)
    answer["histogram"] = distribution(trace, layer, signal, neuron).to_json()
    health = next(iter(text.health.where(layer=layer, neuron=neuron)))
    answer["health"] = {name: json_number(value) for name, value in health.items()}
    return answer


def _passages(text: StudyText, layer: str, signal: str, neuron: int, max_passages: int) -> dict[str, Any]:
    """Return "most" and "least": the passages with the largest and with the smallest values."""
    answer: dict[str, Any] = {}
    for name in ("most", "least"):
        table = passages(
            text.trace,
            layer,
            signal,
            neuron,
            count=max_passages,
            context=CONTEXT_STEPS,
            least=name == "least",
            apart=4 * CONTEXT_STEPS,
        )
        answer[name] = [{**row, **excerpt(text.trace, row["sequence"], row["step"], row["step"])} for row in table]
    return answer


def _effect(text: StudyText, layer: str, neuron: int, names: Sequence[str]) -> Table:
    """Return the change of the loss without one neuron, overall and where some features are on."""
    part, steps = text.beginning(EFFECT_STEPS)
    features = [
        replace(feature, values=feature.values[:steps])
        for feature in features_named(text.features, names)
        if feature is not None and feature.kind == "binary"
    ]
    answers = text.subject.task.answers
    try:
        return ablation(
            text.subject.network, part, layer, "h", answers=answers, neurons=[neuron], features=features, draws=DRAWS
        )
    except StudyError as error:  # the targets of an adopted network may be unknown; the rest of the answer is not
        return Table({}, {}, {"problem": str(error)})


def json_number(value: Any) -> Any:
    """Return a value that JSON can write: infinity as a word, NaN as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "infinite"
    return value
