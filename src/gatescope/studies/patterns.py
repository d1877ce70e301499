"""Which neurons are on exactly in this passage, and where else are they on together?

The search of LSTMVis (Strobelt, Gehrmann, Pfister and Rush 2018, LSTMVis: a tool for visual analysis of hidden state
dynamics in recurrent neural networks, "select" and "match" views): a range of a text and a threshold choose the neurons
that are on all through the range and off around it; the places of the corpus are ranked by how many of them do the same
there.

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
    """The neurons that are on throughout a range of a text, and off just before and just after it.

    Args:
        trace: in memory or on disk.
        layer: "layer0".
        sequence, first, last: the range, its last step included.
        threshold: from which value on a neuron is on.
        signal: the signal that is on or off.
        of: "value": the threshold is a value. "quantile": it is a share of the steps, and a neuron is on from that
            quantile of its own values on.
        sign: "negative": a neuron is on at most at -threshold, or at the quantile 1 - threshold, instead. "both": each
            neuron may be on in either way, which needs a threshold above 0, or above the quantile 0.5.
        before, after: whether it has to be off there. Where the sequence begins or ends with the range, it is.

    Returns:
        A row per neuron and way of being on, those that are on least often elsewhere first. A neuron is on where
        sign · value >= sign · "bound". `matches` takes this table, or a selection of its rows.

    Raises:
        TraceError, StudyError: there is no such layer, signal or range, or no neuron can be told from that threshold.
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
        for one in signs:
            bounds = np.full(len(values), one * threshold)
            if of == "quantile":
                bounds = _quantiles(of_neurons(trace, layer, signal, block), threshold if one == 1 else 1 - threshold)
            on = _on(inside, bounds[:, None], one).all(axis=1)
            if before and low < first:
                on &= ~_on(values[:, 0], bounds, one)
            if after and high > last + 1:
                on &= ~_on(values[:, -1], bounds, one)
            rows += [
                {
                    "neuron": block.start + k,
                    "sign": one,
                    "bound": float(bounds[k]),
                    "mean": float(inside[k].mean()),
                }
                for k in np.flatnonzero(on).tolist()
            ]
    titles = {
        "neuron": "neuron",
        "sign": "1: on at the bound and above; -1: on at the bound and below",
        "bound": f"{signal} from which on it is on",
        "mean": f"mean of {signal} in the range",
    }
    about = {"layer": layer, "signal": signal, "sequence": sequence, "first": first, "last": last}
    about |= {"threshold": threshold, "of": of, "sign": sign, "before": before, "after": after}
    about["text"] = around(trace, sequence, first, last, 0)[1]
    rows.sort(key=lambda row: (row["neuron"], -row["sign"]))  # whatever the size of the blocks
    found = Table.of(rows, titles, **about)
    shares = np.array([plane.mean() for plane in _planes(trace, found)], dtype=np.float64)
    columns, titles = {**found.columns, "share": shares}, {**titles, "share": "share of all steps at which it is on"}
    return Table(columns, titles, about).sorted_by("share", descending=False)


def matches(trace: Trace, found: Table, *, share: float = 1.0, count: int = 50, context: int = 20) -> Table:
    """The other places of a text where the neurons of a pattern are on together.

    A candidate is a longest run of steps of one sequence during which at least so many of them are on, for each number
    from `share` of them to all. A neuron is on exactly in a candidate if it is on throughout, and off just before and
    just after it where the pattern asked for that. The candidates are ranked by the number of neurons that are on
    exactly there, then by how close their length is to the pattern's, then by the number that are on throughout, then
    by their place. Of two that overlap the better one is shown, and none that overlaps the pattern itself. Of equal
    sequences only the first is looked at, and none that equals the pattern's own.

    Args:
        trace: the one that the pattern was found in.
        found: what `neurons_on` returned, or some of its rows.
        share: of the neurons that have to be on together, above 0 and at most 1.
        count: how many places at most.
        context: how many steps of text are shown before and after.

    Returns:
        A row per place, the best first. What the table says of itself has the number of "neurons", how many of them
        have to be on ("needed"), and in how many "runs" of the text they are.

    Raises:
        StudyError: no neuron is left in the pattern, or a number is out of range.
    """
    if not len(found):
        raise StudyError("PATTERNS_NO_NEURONS")
    if not 0 < share <= 1:
        raise StudyError("PATTERNS_SHARE_INVALID", share=share)
    if count < 1 or context < 0:
        things, least, number = ("places", 1, count) if count < 1 else ("steps around a place", 0, context)
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things=things, least=least, number=number)
    steps, about = Steps(trace), found.about
    needed = max(1, int(np.ceil(share * len(found) - 1e-9)))
    together = np.zeros(len(steps), np.int32)
    for plane in _planes(trace, found):
        together += plane
    starts, ends = _edges(steps)
    runs = len(_runs(together >= needed, starts, ends)[0])
    first, last = _candidates(together, needed, starts, ends)
    on, exact = _scores(trace, found, first, last, starts, ends)
    wanted = about["last"] - about["first"] + 1
    order = np.lexsort((first, -on, np.abs(last + 1 - first - wanted), -exact))
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
        length = end - begin + 1
        texts = dict(
            zip(("before", "at", "after"), around(trace, sequence, step, step + length - 1, context), strict=True)
        )
        where = {"sequence": sequence, "first": step, "last": step + length - 1, "length": length}
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
    said = {**about, "neurons": len(found), "needed": needed, "runs": runs, "share": share}
    return Table.of(rows, titles, **said)


def _on(values: NDArray[np.float64], bounds: NDArray[np.float64] | float, sign: int) -> Flags:
    """Where a neuron is on; it is not where its value is no number."""
    return values >= bounds if sign == 1 else values <= bounds


def _quantiles(values: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """The quantile of each row (N, P) -> (N,), of its numbers; NaN where it has none."""
    known = [row[~np.isnan(row)] for row in values]
    return np.array([np.quantile(row, quantile) if len(row) else np.nan for row in known], dtype=np.float64)


def _planes(trace: Trace, found: Table) -> Iterator[Flags]:
    """For each row of a pattern, at which places its neuron is on, (P,); the neurons are read block by block."""
    neurons, places = [int(neuron) for neuron in found["neuron"]], int(np.sum(trace.lengths))
    for block in blocks(len(neurons), places):
        values = of_neurons(trace, found.about["layer"], found.about["signal"], neurons[block])
        for row, bound, sign in zip(values, found["bound"][block], found["sign"][block], strict=True):
            yield _on(row, float(bound), int(sign))


def _edges(steps: Steps) -> tuple[Flags, Flags]:
    """At which places a sequence begins, and at which one ends."""
    starts, ends = np.zeros(len(steps), np.bool_), np.zeros(len(steps), np.bool_)
    some = np.diff(steps.starts) > 0
    starts[steps.starts[:-1][some]] = True
    ends[steps.starts[1:][some] - 1] = True
    return starts, ends


def _runs(on: Flags, starts: Flags, ends: Flags) -> tuple[Places, Places]:
    """The first and last places of the longest runs within a sequence."""
    begins, stops = on & starts, on & ends
    begins[1:] |= on[1:] & ~on[:-1]
    stops[:-1] |= on[:-1] & ~on[1:]
    return np.flatnonzero(begins), np.flatnonzero(stops)


def _candidates(together: NDArray[np.int32], needed: int, starts: Flags, ends: Flags) -> tuple[Places, Places]:
    """The first and last places of the longest runs for each number of neurons from `needed` on, each run once.

    A run whose smallest number is larger is found again at that number; so there are at most as many as places.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for level in np.unique(together[together >= needed]).tolist():
        first, last = _runs(together >= level, starts, ends)
        lowest = np.concatenate([[0], np.cumsum(together == level)])
        own = lowest[last + 1] > lowest[first]
        found.append((first[own], last[own]))
    return np.concatenate([first for first, _ in found]), np.concatenate([last for _, last in found])


def _scores(
    trace: Trace, found: Table, first: Places, last: Places, starts: Flags, ends: Flags
) -> tuple[Places, Places]:
    """How many neurons are on throughout each candidate, and how many exactly there, (C,) each."""
    on, exact = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
    for plane in _planes(trace, found):
        sums = np.concatenate([[0], np.cumsum(plane)])
        through = sums[last + 1] - sums[first] == last + 1 - first
        on += through
        if found.about["before"]:
            through &= starts[first] | ~plane[first - 1]
        if found.about["after"]:
            through &= ends[last] | ~plane[np.minimum(last + 1, len(plane) - 1)]
        exact += through
    return on, exact
