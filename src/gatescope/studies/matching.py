"""Which neuron of one network does the work of which neuron of another?

Neurons have no names. Two trainings from two seeds, or an LSTM and a GRU, may both learn to count, with neuron 4 in one
and neuron 7 in the other. On one text, the neurons that do the same have values that rise and fall together. This study
pairs each neuron of one network with a neuron of the other, no neuron twice, so that the sum of |r| over all pairs is
largest, where r is the correlation over all steps. A pair with r near -1 does the same with the opposite sign.

Matching neurons of two networks by correlation is the method of Li, Yosinski, Clune, Lipson and Hopcroft, "Convergent
learning: do different neural networks learn the same representations?", 2016, section 3. Their one-to-one pairs are
those of this study.

`P` place, `N` neuron.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import in_pieces, signal_of
from gatescope.studies.common.assignment import assign
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.health import STILL
from gatescope.trace import Trace

TITLES = {
    "neuron": "neuron of the first network; -1: none",
    "other": "neuron of the second network; -1: none",
    "r": "correlation of the two over all steps",
    "reason": "why a neuron has no partner",
}
NOT_FINITE, CONSTANT, LEFT_OVER = "not finite", "constant", "left over"


def match(
    first: Trace,
    second: Trace,
    *,
    layer: str = "layer0",
    signal: str = "h",
    other_layer: str | None = None,
    other_signal: str | None = None,
) -> Table:
    """Pair the neurons of two networks on the same text by the correlation of a signal.

    Args:
        first: a trace of the first network.
        second: a trace of the second network over the same text; also of the same network with other weights.
        layer: the layer of the first network.
        signal: the signal of the first network.
        other_layer: the layer of the second network; None: the same.
        other_signal: the signal of the second network; None: the same.

    Returns:
        A row for each pair, in the order of the neurons of the first network. After them, a row for each neuron without
        a partner, with its reason: "constant" if the standard deviation of its signal is below 0.001 (a correlation
        with it says nothing), "not finite" if it has values that are no numbers, or "left over" if the other network
        has fewer neurons. `about["total"]` is the sum of |r|.

    Raises:
        TraceError: there is no such layer.
        StudyError: there is no such signal, or the sequences of the traces have different lengths.
    """
    lengths = [np.asarray(trace.lengths) for trace in (first, second)]
    if not np.array_equal(lengths[0], lengths[1]):
        steps = [int(values.sum()) for values in lengths]
        raise StudyError("MATCHING_STEPS_DIFFER", first=steps[0], second=steps[1])
    places = [(layer, signal), (other_layer or layer, other_signal or signal)]
    values = [_standardized(trace, *place) for trace, place in zip((first, second), places, strict=True)]
    alive = [np.flatnonzero(reasons == "") for _, reasons in values]
    correlations = values[0][0][:, alive[0]].T @ values[1][0][:, alive[1]]
    chosen = assign(-np.abs(correlations))
    pairs = [(int(alive[0][a]), int(alive[1][b]), float(correlations[a, b])) for a, b in enumerate(chosen) if b >= 0]
    rows = [{"neuron": a, "other": b, "r": r, "reason": ""} for a, b, r in pairs]
    for side, (_, reasons) in zip(("neuron", "other"), values, strict=True):
        paired = {row[side] for row in rows}
        rows += [
            {"neuron": -1, "other": -1, "r": None, "reason": reason or LEFT_OVER, side: neuron}
            for neuron, reason in enumerate(reasons.tolist())
            if neuron not in paired
        ]
    about = {"study": "matching", "steps": int(lengths[0].sum()), "total": float(sum(abs(r) for *_, r in pairs))}
    return Table.of(
        rows, TITLES, layers=[place[0] for place in places], signals=[place[1] for place in places], **about
    )


def _standardized(trace: Trace, layer: str, signal: str) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return a signal with mean 0 and norm 1 over all places, (P, N), and why a neuron is left out, (N,)."""
    neurons = signal_of(trace, layer, signal).shape[2]
    values = np.concatenate([np.empty((0, neurons)), *in_pieces(trace, layer, signal)])
    finite = np.isfinite(values).all(axis=0)
    centred = np.where(finite, values, 0.0)
    centred -= centred.mean(axis=0) if len(values) else 0.0
    norm = np.sqrt((centred**2).sum(axis=0))
    constant = norm < STILL * np.sqrt(len(values)) if len(values) else np.ones(neurons, np.bool_)
    reasons = np.where(finite, np.where(constant, CONSTANT, ""), NOT_FINITE)
    return centred / np.where(reasons == "", norm, 1.0), reasons
