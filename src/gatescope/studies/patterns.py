"""Which neurons are on exactly in this passage, and where else are they on together?

A reader often has a passage in mind before a neuron: the inside of a bracket, a name, a clause. The neurons that are on
exactly there are candidates for what the network knows about the passage, and the other places at which the same
neurons are on together show whether the reader's idea of it is also the network's.

This is the search of LSTMVis, with its "select" and "match" views. A range of a text and a threshold select the neurons
that are on throughout the range and off around it. The other places are ranked by how many of these neurons do the same
there.

Source: Strobelt, Gehrmann, Pfister and Rush, "LSTMVis: a tool for visual analysis of hidden state dynamics in recurrent
neural networks", 2018.

`P` place, `N` neuron, `C` candidate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import around, blocks, check_sequence, of_neurons, signal_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]


def neurons_on(
    trace: Trace,
    layer: str,
    sequence: int,
    first: int,
    last: int,
    threshold: float = 0.3,
    *,
    signal: str = "h",
    of: Literal["value", "quantile"] = "value",
    sign: Literal["positive", "negative", "both"] = "positive",
    before: bool = True,
    after: bool = True,
) -> Table:
    """Find the neurons that are on throughout a range of a text, and off just before and just after it.

    Args:
        trace: a trace in memory or on disk.
        layer: the layer, such as "layer0".
        sequence: the sequence of the range.
        first: the first step of the range.
        last: the last step of the range, included.
        threshold: the value from which on a neuron is on.
        signal: the signal that is on or off.
        of: "value": the threshold is a value. "quantile": the threshold is a quantile of each neuron's own values.
        sign: "positive": a neuron is on at the threshold and above. "negative": it is on at -threshold and below, or
            at the quantile 1 - threshold and below. "both": either, which needs a threshold above 0, or above the
            quantile 0.5.
        before: if true, neurons must be off just before the range. They always are at the start of a sequence.
        after: if true, neurons must be off just after the range. They always are at the end of a sequence.

    Returns:
        A row for each neuron and sign, those that are on least often elsewhere first. A neuron is on where
        sign · value >= sign · "bound". `matches` takes this table, or a selection of its rows.

    Raises:
        TraceError, StudyError: there is no such layer, signal or range, or the threshold does not define on and off.
    """
    length = check_sequence(trace, sequence)
    if not 0 <= first <= last < length:
        raise StudyError("PATTERNS_RANGE_UNKNOWN", sequence=sequence, last=length - 1, first=first, end=last)
    if of == "quantile" and not 0 <= threshold <= 1:
        raise StudyError("PATTERNS_THRESHOLD_NOT_QUANTILE", threshold=threshold)
    if sign == "both" and threshold <= (0.5 if of == "quantile" else 0.0):
        raise StudyError("PATTERNS_SIGNS_OVERLAP")
    steps, array = Steps(trace), signal_of(trace, layer, signal)
    signs = {"positive": (1,), "negative": (-1,), "both": (1, -1)}[sign]
    low, high = max(0, first - 1), min(length, last + 2)
    rows: list[dict[str, Any]] = []
    for block in blocks(array.shape[2], len(steps) if of == "quantile" else high - low):
        values = np.asarray(array[sequence, low:high, block], dtype=np.float64).T
        inside = values[:, first - low : last + 1 - low]
        for direction in signs:
            bounds = np.full(len(values), direction * threshold)
            if of == "quantile":
                quantile = threshold if direction == 1 else 1 - threshold
                bounds = _quantiles(of_neurons(trace, layer, signal, block), quantile)
            on = _on(inside, bounds[:, None], direction).all(axis=1)
            if before and low < first:
                on &= ~_on(values[:, 0], bounds, direction)
            if after and high > last + 1:
                on &= ~_on(values[:, -1], bounds, direction)
            rows += [
                {
                    "neuron": block.start + k,
                    "sign": direction,
                    "bound": float(bounds[k]),
                    "mean": float(inside[k].mean()),
                }
                for k in np.flatnonzero(on).tolist()
            ]
    titles = {
        "neuron": "neuron",
        "sign": "1: on at the bound and above; -1: on at the bound and below",
        "bound": f"bound of {signal} from which on the neuron is on",
        "mean": f"mean of {signal} in the range",
    }
    about = {"layer": layer, "signal": signal, "sequence": sequence, "first": first, "last": last}
    about |= {"threshold": threshold, "of": of, "sign": sign, "before": before, "after": after}
    about["text"] = around(trace, sequence, first, last, 0)[1]
    rows.sort(key=lambda row: (row["neuron"], -row["sign"]))  # does not depend on the size of the blocks
    table = Table.of(rows, titles, **about)
    shares = np.array([plane.mean() for plane in _planes(trace, table)], dtype=np.float64)
    titles["share"] = "share of all steps at which the neuron is on"
    return Table({**table.columns, "share": shares}, titles, about).sorted_by("share", descending=False)


def matches(trace: Trace, pattern: Table, *, share: float = 1.0, count: int = 50, context: int = 20) -> Table:
    """Find the other places of a text where the neurons of a pattern are on together.

    A candidate is a longest run of steps of one sequence during which at least n of the neurons are on. Each n from
    `share` of the neurons to all of them gives its own candidates. A neuron is on exactly in a candidate if it is on
    throughout it, and off just before and just after it if the pattern requires that. The candidates are ranked by the
    number of neurons that are on exactly there, then by how close their length is to that of the pattern, then by the
    number of neurons that are on throughout, then by their place. Candidates that overlap a better one or the pattern
    itself are left out. Equal sequences are searched once; sequences equal to that of the pattern are not searched.

    Args:
        trace: the trace in which the pattern was found.
        pattern: the table of `neurons_on`, or some of its rows.
        share: the share of the neurons that must be on together, above 0 and at most 1.
        count: the largest number of places.
        context: the number of steps of text shown before and after.

    Returns:
        A row for each place, the best first. `about` has the number of "neurons", how many of them must be on
        ("needed"), and the number of "runs" of the text at which they are.

    Raises:
        StudyError: no neuron is left in the pattern, or a number is out of range.
    """
    if not len(pattern):
        raise StudyError("PATTERNS_NO_NEURONS")
    if not 0 < share <= 1:
        raise StudyError("PATTERNS_SHARE_INVALID", share=share)
    if count < 1 or context < 0:
        things, least, number = ("places", 1, count) if count < 1 else ("steps around a place", 0, context)
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things=things, least=least, number=number)
    steps, about = Steps(trace), pattern.about
    needed = max(1, int(np.ceil(share * len(pattern) - 1e-9)))
    together = np.zeros(len(steps), np.int32)
    for plane in _planes(trace, pattern):
        together += plane
    starts, ends = _edges(steps)
    runs = len(_runs(together >= needed, starts, ends)[0])
    first, last = _candidates(together, needed, starts, ends)
    on, exact = _scores(trace, pattern, first, last, starts, ends)
    length = about["last"] - about["first"] + 1
    order = np.lexsort((first, -on, np.abs(last + 1 - first - length), -exact))
    equal = steps.same()
    taken = steps.repeated() | (equal == equal[about["sequence"]])[steps.sequence]
    taken &= steps.sequence != about["sequence"]
    own = int(steps.starts[about["sequence"]])
    taken[own + about["first"] : own + about["last"] + 1] = True
    rows = []
    for k in order.tolist():
        begin, end = int(first[k]), int(last[k])
        if taken[begin : end + 1].any():
            continue
        taken[begin : end + 1] = True
        sequence, step = int(steps.sequence[begin]), int(steps.step[begin])
        last_step = step + end - begin
        texts = dict(zip(("before", "at", "after"), around(trace, sequence, step, last_step, context), strict=True))
        where = {"sequence": sequence, "first": step, "last": last_step, "length": end - begin + 1}
        rows.append({**where, "exact": int(exact[k]), "on": int(on[k]), **texts})
        if len(rows) == count:
            break
    titles = {
        "sequence": "sequence",
        "first": "first step",
        "last": "last step",
        "length": "steps",
        "exact": "neurons that are on exactly there",
        "on": "neurons that are on throughout",
        "before": "text before",
        "at": "text there",
        "after": "text after",
    }
    facts = {"neurons": len(pattern), "needed": needed, "runs": runs, "share": share}
    return Table.of(rows, titles, **{**about, **facts})


def _on(values: NDArray[np.float64], bounds: NDArray[np.float64] | float, sign: int) -> Flags:
    """Test at which steps a neuron is on; it is off where its value is NaN."""
    return values >= bounds if sign == 1 else values <= bounds


def _quantiles(values: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Return the quantile of each row without its NaN, (N, P) -> (N,); NaN for a row of NaN."""
    known = [row[~np.isnan(row)] for row in values]
    return np.array([np.quantile(row, quantile) if len(row) else np.nan for row in known], dtype=np.float64)


def _planes(trace: Trace, pattern: Table) -> Iterator[Flags]:
    """Yield, for each row of a pattern, at which places its neuron is on, (P,); neurons are read block by block."""
    neurons, places = [int(neuron) for neuron in pattern["neuron"]], int(np.sum(trace.lengths))
    for block in blocks(len(neurons), places):
        values = of_neurons(trace, pattern.about["layer"], pattern.about["signal"], neurons[block])
        for row, bound, sign in zip(values, pattern["bound"][block], pattern["sign"][block], strict=True):
            yield _on(row, float(bound), int(sign))


def _edges(steps: Steps) -> tuple[Flags, Flags]:
    """Mark the first and the last place of each sequence, (P,) each."""
    starts, ends = np.zeros(len(steps), np.bool_), np.zeros(len(steps), np.bool_)
    some = np.diff(steps.starts) > 0
    starts[steps.starts[:-1][some]] = True
    ends[steps.starts[1:][some] - 1] = True
    return starts, ends


def _runs(on: Flags, starts: Flags, ends: Flags) -> tuple[Places, Places]:
    """Return the first and last places of the longest runs within a sequence."""
    begins, stops = on & starts, on & ends
    begins[1:] |= on[1:] & ~on[:-1]
    stops[:-1] |= on[:-1] & ~on[1:]
    return np.flatnonzero(begins), np.flatnonzero(stops)


def _candidates(together: NDArray[np.int32], needed: int, starts: Flags, ends: Flags) -> tuple[Places, Places]:
    """Return the first and last places of the longest runs for each number of neurons from `needed` on.

    Each run is returned once, at the smallest number of neurons that are on in it. There are therefore at most as many
    runs as places.
    """
    runs = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for level in np.unique(together[together >= needed]).tolist():
        first, last = _runs(together >= level, starts, ends)
        lowest = np.concatenate([[0], np.cumsum(together == level)])
        own = lowest[last + 1] > lowest[first]
        runs.append((first[own], last[own]))
    return np.concatenate([first for first, _ in runs]), np.concatenate([last for _, last in runs])


def _scores(
    trace: Trace, pattern: Table, first: Places, last: Places, starts: Flags, ends: Flags
) -> tuple[Places, Places]:
    """Count the neurons that are on throughout each candidate, and exactly there, (C,) each."""
    on, exact = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
    for plane in _planes(trace, pattern):
        sums = np.concatenate([[0], np.cumsum(plane)])
        through = sums[last + 1] - sums[first] == last + 1 - first
        on += through
        if pattern.about["before"]:
            through &= starts[first] | ~plane[first - 1]
        if pattern.about["after"]:
            through &= ends[last] | ~plane[np.minimum(last + 1, len(plane) - 1)]
        exact += through
    return on, exact
