"""Where in a text is a neuron most active, and which values does it take?

To form a first idea of what a neuron does, one reads the passages at which it is most active, and looks for what they
have in common. Karpathy, Johnson and Fei-Fei found neurons for quotes, line lengths and code comments in this way. Here
the passages are found by search, not by eye. The histogram shows whether the neuron is a switch (two peaks), a counter
(many) or hardly used (one).

Source: Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015, figure 2.

`P` place, `N` neuron.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import around, blocks, check_neuron, of_neurons, signal_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
ROUNDING = 1e-6  # share of its width by which rounding may carry a value out of the range of its signal


def passages(
    trace: Trace,
    layer: str,
    signal: str,
    neuron: int,
    *,
    count: int = 10,
    context: int = 40,
    least: bool = False,
    apart: int | None = None,
) -> Table:
    """Find the passages of a text where a signal of a neuron is largest.

    Only the first of several equal sequences is searched: each starts from the same initial state.

    Args:
        trace: a trace in memory or on disk; only this neuron is read.
        layer: the layer, such as "layer0".
        signal: the signal, such as "h", or a drive.
        neuron: the number of the neuron.
        count: the largest number of passages.
        context: the number of steps shown before and after the peak.
        least: if true, find the passages where the signal is smallest.
        apart: the least number of steps between two peaks of one sequence, so that a peak counts once; None: `context`,
            and at least one. The first of several equal values is the peak.

    Returns:
        A row for each passage, the largest value first. "values" and "labels" are lists: the neuron's values from the
        step "first" on, and the labels of these steps.

    Raises:
        TraceError, StudyError: there is no such layer, signal or neuron, or a number is too small.
    """
    check_neuron(trace, layer, signal, neuron)
    separation = max(1, context) if apart is None else apart
    for name, value, smallest in (("count", count, 1), ("context", context, 0), ("apart", separation, 1)):
        if value < smallest:
            raise StudyError("PASSAGES_NUMBER_TOO_SMALL", name=name, least=smallest, number=value)
    values = of_neurons(trace, layer, signal, [neuron])[0]
    steps = Steps(trace)
    rows = []
    for place in _peaks(-values if least else values, steps, count, separation):
        sequence, step = int(steps.sequence[place]), int(steps.step[place])
        first, last = max(0, step - context), min(int(trace.lengths[sequence]), step + context + 1)
        before, at, after = around(trace, sequence, step, step, context)
        start = int(steps.starts[sequence])
        rows.append(
            {
                "sequence": sequence,
                "step": step,
                "value": float(values[place]),
                "before": before,
                "at": at,
                "after": after,
                "first": first,
                "values": values[start + first : start + last].tolist(),
                "labels": trace.step_labels(sequence, first, last),
            }
        )
    titles = {
        "sequence": "sequence",
        "step": "step",
        "value": f"{signal} of neuron {neuron}",
        "before": "text before",
        "at": "text at the step",
        "after": "text after",
        "first": "first step shown",
        "values": f"{signal} of neuron {neuron} at each step shown",
        "labels": "input at each step shown",
    }
    about = {"layer": layer, "signal": signal, "neuron": neuron, "least": least, "context": context}
    return Table(_columns(rows, titles), titles, {**about, "apart": separation, "steps": len(values)})


def distribution(trace: Trace, layer: str, signal: str, neuron: int, bins: int = 50) -> Table:
    """Compute the histogram of a neuron's values.

    Args:
        trace: a trace in memory or on disk; only this neuron is read.
        layer: the layer, such as "layer0".
        signal: the signal.
        neuron: the number of the neuron.
        bins: the number of bins, all of one width. They span the range of the signal. On a side where the range is
            open, or where values lie outside it (an intervention can cause that), they end at the extreme value.

    Returns:
        A row for each bin: "low" (included), "high" (excluded, except in the last bin), "count" and "share" of the
        steps. `about` has the mean, the standard deviation, the extreme values and quantiles. Steps whose value is not
        finite are counted separately.

    Raises:
        TraceError, StudyError: there is no such layer, signal or neuron, or no bin.
    """
    check_neuron(trace, layer, signal, neuron)
    if bins < 1:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="bins", least=1, number=bins)
    values = of_neurons(trace, layer, signal, [neuron])[0]
    finite = values[np.isfinite(values)]
    low, high = span_of(finite, trace.attributes["layers"][layer]["arrays"].get(signal, {}).get("range"), bins)
    counts, edges = np.histogram(np.clip(finite, low, high), bins=bins, range=(low, high))
    columns = {
        "low": edges[:-1],
        "high": edges[1:],
        "count": counts,
        "share": counts / max(1, len(finite)),
    }
    titles = {
        "low": f"{signal} from",
        "high": f"{signal} below",
        "count": "steps",
        "share": "share of the steps",
    }
    facts = _describe(values)
    quantiles = {str(q): facts.pop(_name(q)) for q in QUANTILES}
    about = {"layer": layer, "signal": signal, "neuron": neuron, **facts, "quantiles": quantiles}
    return Table(columns, titles, about)


def summary(trace: Trace, layer: str, signal: str) -> Table:
    """Return extremes, quantiles, mean and standard deviation of a signal for every neuron of a layer.

    Returns:
        A row for each neuron. Values that are not finite are left out, and counted.

    Raises:
        TraceError, StudyError: there is no such layer or signal.
    """
    neurons, places = signal_of(trace, layer, signal).shape[2], int(np.sum(trace.lengths))
    rows = [
        {"neuron": block.start + k, **_describe(values)}
        for block in blocks(neurons, places)
        for k, values in enumerate(of_neurons(trace, layer, signal, block))
    ]
    titles = {
        "neuron": "neuron",
        "mean": f"mean of {signal}",
        "deviation": "standard deviation",
        "smallest": "smallest",
        **{_name(q): f"quantile {q:g}" for q in QUANTILES},
        "largest": "largest",
        "steps": "steps with a finite value",
        "not_finite": "steps without one",
    }
    return Table.of(rows, titles, layer=layer, signal=signal)


def _peaks(values: NDArray[np.float64], steps: Steps, count: int, apart: int) -> list[int]:
    """Return the places of the largest values, at least `apart` steps from each other in a sequence.

    Equal sequences are searched once.
    """
    left = np.where(np.isnan(values) | steps.repeated(), -np.inf, values)
    peaks: list[int] = []
    while len(peaks) < min(count, len(left)):
        place = int(left.argmax())
        if left[place] == -np.inf:
            break
        peaks.append(place)
        start, end = steps.starts[steps.sequence[place] + np.arange(2)]
        left[max(int(start), place - apart + 1) : min(int(end), place + apart)] = -np.inf
    return peaks


def span_of(values: NDArray[np.float64], bounds: Any, bins: int) -> tuple[float, float]:
    """Return the lower and upper end of the bins of a histogram of finite values.

    Args:
        values: finite values; the smallest and the largest are enough.
        bounds: the range of the signal, (low, high) with None for an open side; or None.
        bins: the number of bins, all of one width.
    """
    low, high = bounds or (None, None)
    if len(values):
        smallest, largest = float(values.min()), float(values.max())
    else:
        smallest = largest = next((bound for bound in (low, high) if bound is not None), 0.0)
    slack = ROUNDING * (high - low) if low is not None and high is not None else 0.0
    start = smallest if low is None or smallest < low - slack else float(low)
    end = largest if high is None or largest > high + slack else float(high)
    # The edges of bins must differ: each bin is at least a few floating-point steps wide.
    narrow = 4 * bins * np.spacing(max(abs(start), abs(end)))
    return (start, end) if end - start > narrow else (start - max(0.5, narrow), end + max(0.5, narrow))


def _describe(values: NDArray[np.float64]) -> dict[str, Any]:
    """Summarise the values of one neuron; None if there is no value."""
    finite = np.sort(values[np.isfinite(values)])
    some = len(finite) > 0
    quantiles = np.quantile(finite, QUANTILES).tolist() if some else [None] * len(QUANTILES)
    return {
        "mean": float(finite.mean()) if some else None,
        "deviation": float(finite.std()) if some else None,
        "smallest": float(finite[0]) if some else None,
        **dict(zip(map(_name, QUANTILES), quantiles, strict=True)),
        "largest": float(finite[-1]) if some else None,
        "steps": len(finite),
        "not_finite": len(values) - len(finite),
    }


def _name(quantile: float) -> str:
    """Return the name of a quantile's column, such as "q05"."""
    return f"q{round(100 * quantile):02d}"


def _columns(rows: list[dict[str, Any]], titles: dict[str, str]) -> dict[str, NDArray[Any]]:
    """Return the columns of rows, some of which hold lists."""
    columns = {}
    for name in titles:
        lists = name in ("values", "labels", "before", "at", "after")
        columns[name] = np.empty(len(rows), object if lists else np.float64 if name == "value" else np.int64)
        for k, row in enumerate(rows):
            columns[name][k] = row[name]
    return columns
