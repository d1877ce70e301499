"""Which neurons are on exactly in this passage, and where else are they on together?

A reader often has a passage in mind before a neuron: the inside of a bracket, a name, a clause. The neurons that are on
exactly there are candidates for what the network knows about the passage, and the other places at which the same
neurons are on together show whether the reader's idea of it is also the network's.

This is the search of LSTMVis, with its "select" and "match" views. A range of a text and a threshold select the neurons
that are on throughout the range and off around it. Without a threshold, the largest one at which there is such a neuron
is chosen, and `near_misses` lists the neurons that come closest. The other places are ranked by how many of these
neurons do the same there.

Source: Strobelt, Gehrmann, Pfister and Rush, "LSTMVis: a tool for visual analysis of hidden state dynamics in recurrent
neural networks", 2018.

`P` place, `N` neuron, `C` candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import around, blocks, check_sequence, of_neurons, signal_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

SIGNS = {"positive": (1,), "negative": (-1,), "both": (1, -1)}
MIN_DIGITS = 3  # of a chosen threshold
DEFAULT_THRESHOLD = 0.3  # where no value can be one


def neurons_on(
    trace: Trace,
    layer: str,
    sequence: int,
    first: int,
    last: int,
    threshold: float | None = None,
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
        threshold: the value from which on a neuron is on. None: the largest value at which there is such a neuron; if
            there is none at any value, the largest one at which a neuron fails at the fewest steps. It is rounded down
            to at least three digits if that changes nothing for this neuron.
        signal: the signal that is on or off.
        of: "value": the threshold is a value. "quantile": the threshold is a quantile of each neuron's own values.
        sign: "positive": a neuron is on at the threshold and above. "negative": it is on at -threshold and below, or
            at the quantile 1 - threshold and below. "both": either, which needs a threshold above 0, or above the
            quantile 0.5.
        before: if true, neurons must be off just before the range. They always are at the start of a sequence.
        after: if true, neurons must be off just after the range. They always are at the end of a sequence.

    Returns:
        A row for each neuron and sign, those that are on least often elsewhere first. A neuron is on where
        sign · value >= sign · "bound". `matches` takes this table, or a selection of its rows. `about` has the
        "threshold", whether it was "chosen", and the number of neurons that are "constant" in the range and around it.

    Raises:
        TraceError, StudyError: there is no such layer, signal or range, or the threshold does not define on and off.
    """
    length = check_sequence(trace, sequence)
    if not 0 <= first <= last < length:
        raise StudyError("PATTERNS_RANGE_UNKNOWN", sequence=sequence, last=length - 1, first=first, end=last)
    if of == "quantile" and not (threshold is not None and 0 <= threshold <= 1):
        raise StudyError("PATTERNS_THRESHOLD_NOT_QUANTILE", threshold=threshold)
    if sign == "both" and threshold is not None and threshold <= (0.5 if of == "quantile" else 0.0):
        raise StudyError("PATTERNS_SIGNS_OVERLAP")
    about = {"layer": layer, "signal": signal, "sequence": sequence, "first": first, "last": last}
    about |= {"of": of, "sign": sign, "before": before, "after": after, "chosen": threshold is None}
    about["threshold"] = _chosen_threshold(trace, about) if threshold is None else threshold
    rows: list[dict[str, Any]] = []
    constant = 0
    for part in _ranges(trace, about):
        constant += int(part.constant.sum())
        for direction in SIGNS[sign]:
            bounds = part.bounds(trace, about, direction)
            on = _on(part.inside, bounds[:, None], direction).all(axis=1)
            on &= ~_on(part.around, bounds[:, None], direction).any(axis=1)
            rows += [
                {
                    "neuron": part.block.start + k,
                    "sign": direction,
                    "bound": float(bounds[k]),
                    "mean": float(part.inside[k].mean()),
                }
                for k in np.flatnonzero(on).tolist()
            ]
    titles = {
        "neuron": "neuron",
        "sign": "1: on at the bound and above; -1: on at the bound and below",
        "bound": f"bound of {signal} from which on the neuron is on",
        "mean": f"mean of {signal} in the range",
    }
    about |= {"constant": constant, "text": around(trace, sequence, first, last, 0)[1]}
    rows.sort(key=lambda row: (row["neuron"], -row["sign"]))  # does not depend on the size of the blocks
    table = Table.of(rows, titles, **about)
    shares = np.array([plane.mean() for plane in _planes(trace, table)], dtype=np.float64)
    titles["share"] = "share of all steps at which the neuron is on"
    return Table({**table.columns, "share": shares}, titles, about).sorted_by("share", descending=False)


def near_misses(trace: Trace, pattern: Table, *, count: int = 5) -> Table:
    """Find the neurons that nearly fit a pattern: on at some steps of its range, or on around it as well.

    Args:
        trace: the trace in which the pattern was searched.
        pattern: the table of `neurons_on`; it may be empty.
        count: the largest number of neurons.

    Returns:
        A row for each neuron, the nearest first: the one that fails at the fewest steps, then the one whose values are
        less far beyond the bound there. A neuron that is on at no step of the range is no near miss.

    Raises:
        StudyError: the count is below 1.
    """
    if count < 1:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="neurons", least=1, number=count)
    about = pattern.about
    rows: list[dict[str, Any]] = []
    for part in _ranges(trace, about):
        for direction in SIGNS[about["sign"]]:
            bounds = part.bounds(trace, about, direction)[:, None]
            inside, outside = (_on(values, bounds, direction) for values in (part.inside, part.around))
            failures = (~inside).sum(axis=1) + outside.sum(axis=1)
            beyond = [np.where(~inside, direction * (bounds - part.inside), 0.0)]
            beyond.append(np.where(outside, direction * (part.around - bounds), 0.0))
            gaps = np.nan_to_num(np.concatenate(beyond, axis=1), nan=np.inf).max(axis=1)
            for k in np.flatnonzero(inside.any(axis=1) & (failures > 0)).tolist():
                row = {"neuron": part.block.start + k, "sign": direction, "on": int(inside[k].sum())}
                row |= {"before": 0, "after": 0, **dict(zip(part.sides, outside[k].astype(int).tolist(), strict=True))}
                rows.append(row | {"failures": int(failures[k]), "gap": float(gaps[k])})
    rows.sort(key=lambda row: (row["failures"], row["gap"], row["neuron"], -row["sign"]))
    nearest = {row["neuron"]: row for row in reversed(rows)}  # the nearer sign of each neuron
    rows = [row for row in rows if nearest[row["neuron"]] is row][:count]
    titles = {
        "neuron": "neuron",
        "sign": "1: on at the bound and above; -1: on at the bound and below",
        "on": "steps of the range at which the neuron is on",
        "before": "1 if it is on just before the range",
        "after": "1 if it is on just after the range",
        "failures": "steps at which it is off in the range, or on around it",
        "gap": f"largest distance of {about['signal']} from the bound at these steps",
    }
    return Table.of(rows, titles, **about, steps=about["last"] - about["first"] + 1)


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


@dataclass(frozen=True)
class _Range:
    """The values of a block of neurons in a range and around it.

    Attributes:
        block: the neurons.
        inside: the values in the range, (N, steps).
        around: the values at the steps just before and just after it that must be off, (N, 0 to 2).
        sides: "before" and "after", as far as `around` has them.
    """

    block: slice
    inside: NDArray[np.float64]
    around: NDArray[np.float64]
    sides: tuple[str, ...]

    @property
    def constant(self) -> Flags:
        """The neurons with one and the same value at all these steps, as far as it is known, (N,)."""
        values = np.concatenate([self.inside, self.around], axis=1)
        missing = np.isnan(values)
        return np.where(missing, -np.inf, values).max(axis=1) <= np.where(missing, np.inf, values).min(axis=1)

    def bounds(self, trace: Trace, about: Mapping[str, Any], sign: int) -> NDArray[np.float64]:
        """Return the value from which on each neuron is on, (N,)."""
        threshold = about["threshold"]
        if about["of"] == "value":
            return np.full(len(self.inside), sign * threshold)
        quantile = threshold if sign == 1 else 1 - threshold
        return _quantiles(of_neurons(trace, about["layer"], about["signal"], self.block), quantile)


def _ranges(trace: Trace, about: Mapping[str, Any]) -> Iterator[_Range]:
    """Yield the values of a range, for the neurons of a layer block by block."""
    array, first, last = signal_of(trace, about["layer"], about["signal"]), about["first"], about["last"]
    length = int(trace.lengths[about["sequence"]])
    low, high = max(0, first - 1), min(length, last + 2)
    sides = [("before", 0)] if about["before"] and low < first else []
    sides += [("after", -1)] if about["after"] and high > last + 1 else []
    for block in blocks(array.shape[2], len(Steps(trace)) if about["of"] == "quantile" else high - low):
        values = np.asarray(array[about["sequence"], low:high, block], dtype=np.float64).T
        outside = values[:, [place for _, place in sides]]
        yield _Range(block, values[:, first - low : last + 1 - low], outside, tuple(side for side, _ in sides))


def _chosen_threshold(trace: Trace, about: dict[str, Any]) -> float:
    """Return the largest threshold at which a neuron fails at the fewest steps; 0.3 if no value can be one."""
    fewest, chosen, below = np.inf, DEFAULT_THRESHOLD, -np.inf
    least = 0.0 if about["sign"] == "both" else -np.inf  # with both signs, a threshold is above 0
    for part in _ranges(trace, about):
        for direction in SIGNS[about["sign"]]:
            # The threshold of a neuron is one of its values in the range.
            values = np.sort(direction * part.inside, axis=1)
            outside = direction * part.around
            changes = np.concatenate([np.ones((len(values), 1), np.bool_), values[:, 1:] != values[:, :-1]], axis=1)
            off = np.maximum.accumulate(np.where(changes, np.arange(values.shape[1]), 0), axis=1)
            off = off + np.isnan(values).sum(axis=1, keepdims=True)
            failures = off + (outside[:, None, :] >= values[:, :, None]).sum(axis=2)
            failures = np.where(values > least, failures.astype(np.float64), np.inf)
            best = failures.min(initial=np.inf)
            if best > fewest or not np.isfinite(best):
                continue
            threshold = float(values[failures == best].max())
            if best < fewest or threshold > chosen:
                k = int(np.flatnonzero(((values == threshold) & (failures == best)).any(axis=1))[0])
                lower = outside[k][outside[k] < threshold]
                fewest, chosen, below = best, threshold, max(least, lower.max(initial=-np.inf))
    return rounded_down(chosen, below)


def rounded_down(value: float, above: float) -> float:
    """Return a number with few digits that is at most a value and larger than another one.

    Args:
        value: the value.
        above: a smaller value.
    """
    for digits in range(MIN_DIGITS, 17):
        text = f"{value:.{digits - 1}e}"
        unit = float(f"1e{int(text.partition('e')[2]) - digits + 1}")
        number = float(text) if float(text) <= value else float(f"{float(text) - unit:.{digits - 1}e}")
        if above < number <= value:
            return number
    return value


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
