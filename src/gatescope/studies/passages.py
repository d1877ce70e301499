"""Where is a neuron most active, and which values does it take?

The passages are those of Karpathy, Johnson and Fei-Fei 2015 (Visualizing and understanding recurrent networks, figure
2), found instead of looked for.

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
ROUNDING = 1e-6  # by how much of its width a value may leave the range of its signal: a sum of rounded numbers can


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
    """The passages of the text where a signal of a neuron is largest, the largest first.

    Of equal sequences only the first is looked at: the network starts each from its initial state.

    Args:
        trace: in memory or on disk, where only this neuron is read.
        layer: "layer0".
        signal: "h", say, or a drive.
        neuron: its number.
        count: how many passages at most.
        context: how many steps are shown before and after the place.
        least: where the signal is smallest instead.
        apart: how many steps there are at least between two places of one sequence, so that a peak counts once;
            `context`, and at least one, when None. Of equal values the earlier one is the peak.

    Returns:
        A row per passage. "values" and "labels" are lists: the neuron's values from the step "first" on, and what to
        print for each of these steps.

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
        "first": "first step that is shown",
        "values": f"{signal} of neuron {neuron} at each step that is shown",
        "labels": "what is read at each step that is shown",
    }
    about = {"layer": layer, "signal": signal, "neuron": neuron, "least": least, "context": context}
    return Table(_columns(rows, titles), titles, {**about, "apart": separation, "steps": len(values)})


def distribution(trace: Trace, layer: str, signal: str, neuron: int, bins: int = 50) -> Table:
    """The histogram of a neuron's values.

    Args:
        trace: in memory or on disk, where only this neuron is read.
        layer: "layer0".
        signal: its name.
        neuron: its number.
        bins: how many, all of one width. They span the signal's range where it is bounded, and end at the smallest or
            largest value where it is not or where values lie outside (those of an intervention may).

    Returns:
        A row per bin: from "low" (included) to "high" (excluded, but for the last), "count" and "share" of the steps.
        What the table says of itself has mean, standard deviation, smallest and largest value and quantiles; steps
        whose value is no finite number are counted apart.

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
    found = _describe(values)
    quantiles = {str(q): found.pop(_name(q)) for q in QUANTILES}
    about = {"layer": layer, "signal": signal, "neuron": neuron, **found, "quantiles": quantiles}
    return Table(columns, titles, about)


def summary(trace: Trace, layer: str, signal: str) -> Table:
    """Return extremes, quantiles, mean and standard deviation of a signal for every neuron of a layer.

    Returns:
        A row per neuron. Values that are no finite numbers are left out, and counted.

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
    """The places of the largest values, each so far from those before it in its sequence; of equal sequences once."""
    left = np.where(np.isnan(values) | steps.repeated(), -np.inf, values)
    found: list[int] = []
    while len(found) < min(count, len(left)):
        place = int(left.argmax())
        if left[place] == -np.inf:
            break
        found.append(place)
        start, end = steps.starts[steps.sequence[place] + np.arange(2)]
        left[max(int(start), place - apart + 1) : min(int(end), place + apart)] = -np.inf
    return found


def span_of(values: NDArray[np.float64], bounds: Any, bins: int) -> tuple[float, float]:
    """Return the lower and upper end of the bins of a histogram of finite values.

    Args:
        values: finite values (of which the smallest and the largest are enough).
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
    # Bins need edges that differ: not narrower than a few of the numbers between them.
    narrow = 4 * bins * np.spacing(max(abs(start), abs(end)))
    return (start, end) if end - start > narrow else (start - max(0.5, narrow), end + max(0.5, narrow))


def _describe(values: NDArray[np.float64]) -> dict[str, Any]:
    """The numbers that sum up one neuron; None where there is no value."""
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
    """The name of a quantile's column: "q05"."""
    return f"q{round(100 * quantile):02d}"


def _columns(rows: list[dict[str, Any]], titles: dict[str, str]) -> dict[str, NDArray[Any]]:
    """The columns of rows some of whose values are lists."""
    columns = {}
    for name in titles:
        lists = name in ("values", "labels", "before", "at", "after")
        columns[name] = np.empty(len(rows), object if lists else np.float64 if name == "value" else np.int64)
        for k, row in enumerate(rows):
            columns[name][k] = row[name]
    return columns
