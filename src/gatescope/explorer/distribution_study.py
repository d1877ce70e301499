"""The study of distributions: a histogram of every signal of a layer, over all neurons and of each one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gatescope.explorer.jobs import Report
from gatescope.explorer.neuron_study import json_number
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.study_text import StudyText
from gatescope.studies.common.arrays import signal_of
from gatescope.studies.distributions import ALL_NEURONS, distributions, moments

BINS = 40
MAX_COUNTS = 1_000_000  # of an answer; a larger layer has the histograms over all neurons alone


def study_distributions(text: StudyText, request: StudyRequest, report: Report) -> dict[str, Any]:
    """Return the histogram and the moments of every signal of a layer, as JSON values.

    Args:
        text: the text whose steps are counted.
        request: the layer.
        report: called with the progress.

    Returns:
        "signals" has for each signal its bins ("low", "high"), "counts" (a list for each neuron; null for large
        layers), the "total" counts, and the moments over all neurons.

    Raises:
        TraceError: the trace has no such layer.
    """
    report("DOING_DISTRIBUTIONS", 0, 0)
    layer = request.layer
    names = [name for name in text.trace[layer] if "." not in name]
    neurons = signal_of(text.trace, layer, names[0]).shape[2]
    by_neuron = len(names) * neurons * BINS <= MAX_COUNTS
    trace = replace(text.trace, layers={layer: text.trace.layers[layer]})
    counts = distributions(trace, bins=BINS, by_neuron=by_neuron)
    facts = moments(trace)
    signals = []
    for name in names:
        rows = counts.where(signal=name)
        total = rows.where(neuron=ALL_NEURONS)
        row = next(iter(facts.where(signal=name)))
        signals.append(
            {
                "signal": name,
                "low": float(total["low"][0]),
                "high": float(total["high"][-1]),
                "total": total["count"].tolist(),
                "counts": rows["count"][BINS:].reshape(neurons, BINS).tolist() if by_neuron else None,
                **{key: json_number(row[key]) for key in ("mean", "deviation", "smallest", "largest")},
                "values": int(row["values"]),
                "not_finite": int(row["not_finite"]),
            }
        )
    return {"layer": layer, "steps": int(np.sum(text.trace.lengths)), "signals": signals}
