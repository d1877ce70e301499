"""How are the values of every signal distributed over all neurons and steps?

A gate whose values pile up at 0 and 1 works as a switch, one whose values stay near 0.5 hardly decides
anything, and a cell state with long tails counts or accumulates. The histograms show at a glance how a layer uses its
gates, and how two cells or two stages of training differ. Articles on LSTMs
print these statistics of all cells beside the activations of a single neuron.

`P` place (a step of any sequence), `N` neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import in_pieces, signal_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.passages import span_of
from gatescope.trace import Trace

ALL_NEURONS = -1
MAX_ROWS = 2_000_000  # of a table: bounds memory for histograms of every neuron

TITLES = {
    "layer": "layer",
    "signal": "signal",
    "neuron": f"neuron; {ALL_NEURONS}: all neurons of the layer together",
    "low": "lower end of the bin (included)",
    "high": "upper end of the bin (excluded, except for the last bin)",
    "count": "values in the bin",
    "share": "share of the finite values",
}
MOMENT_TITLES = {
    "layer": TITLES["layer"],
    "signal": TITLES["signal"],
    "neuron": TITLES["neuron"],
    "mean": "mean",
    "deviation": "standard deviation",
    "smallest": "smallest value",
    "largest": "largest value",
    "values": "finite values",
    "not_finite": "values that are not finite",
}


def distributions(
    trace: Trace, *, signals: Sequence[str] | None = None, bins: int = 40, by_neuron: bool = False
) -> Table:
    """Compute the histogram of every signal of every layer, over all neurons and steps.

    Args:
        trace: a trace in memory or on disk; it is read piece by piece.
        signals: the names of the signals (or drives); None: all signals of each layer.
        bins: the number of bins, all of one width. Bins span the range of the signal. On a side where the range
            is open, they end at the extreme value.
        by_neuron: add one histogram per neuron, over the same bins as the layer's.

    Returns:
        One row per bin, with the columns of `TITLES`. Values that are not finite are left out.

    Raises:
        StudyError: `bins` is less than 1, no layer has a signal of these names, or the table would be too large.
    """
    if bins < 1:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="bins", least=1, number=bins)
    chosen = _chosen(trace, signals)
    rows = bins * sum(1 + by_neuron * signal_of(trace, *pair).shape[2] for pair in chosen)
    if rows > MAX_ROWS:
        raise StudyError("DISTRIBUTIONS_TOO_MANY_ROWS", max_rows=MAX_ROWS, rows=rows)
    parts = []
    for layer, signal in chosen:
        moments = _moments(trace, layer, signal)
        ends = np.array([moments["smallest"].min(), moments["largest"].max()])
        low, high = span_of(ends[np.isfinite(ends)], _range_of(trace, layer, signal), bins)
        counts = _counts(trace, layer, signal, low, high, bins)
        edges = np.linspace(low, high, bins + 1)
        parts.append(_rows(layer, signal, [ALL_NEURONS], edges, counts.sum(0, keepdims=True)))
        if by_neuron:
            parts.append(_rows(layer, signal, range(len(counts)), edges, counts))
    return _joined(parts, TITLES, {"study": "distributions", "bins": bins, "steps": int(np.sum(trace.lengths))})


def moments(trace: Trace, *, signals: Sequence[str] | None = None, by_neuron: bool = False) -> Table:
    """Compute mean, standard deviation and extremes of every signal of every layer, over all neurons and steps.

    Args:
        trace: a trace in memory or on disk; it is read piece by piece.
        signals: the names of the signals (or drives); None: all signals of each layer.
        by_neuron: add one row per neuron.

    Returns:
        One row per layer and signal, with the columns of `MOMENT_TITLES`; NaN if there is no finite value.

    Raises:
        StudyError: no layer has a signal of these names.
    """
    parts = []
    for layer, signal in _chosen(trace, signals):
        all_moments = _moments(trace, layer, signal)
        neurons = len(all_moments["values"])
        for group, numbers in ((slice(None), [ALL_NEURONS]), *((slice(k, k + 1), [k]) for k in range(neurons))):
            if numbers != [ALL_NEURONS] and not by_neuron:
                break
            some = {name: values[group] for name, values in all_moments.items()}
            parts.append(_moment_row(layer, signal, numbers, some))
    return _joined(parts, MOMENT_TITLES, {"study": "moments", "steps": int(np.sum(trace.lengths))})


def _chosen(trace: Trace, signals: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return (layer, signal) for every chosen signal, in the order of the trace."""
    pairs = [
        (layer, name)
        for layer, arrays in trace.layers.items()
        for name in arrays
        if (name in signals if signals is not None else "." not in name)
    ]
    names = {name for arrays in trace.layers.values() for name in arrays}
    missing = [name for name in signals or () if name not in names]
    if missing or not pairs:
        wrong = missing[0] if missing else signals
        raise StudyError("STUDY_SIGNAL_UNKNOWN", layer="the trace", signals=", ".join(sorted(names)), signal=wrong)
    return pairs


def _range_of(trace: Trace, layer: str, signal: str) -> Any:
    return trace.attributes["layers"][layer]["arrays"].get(signal, {}).get("range")


def _moments(trace: Trace, layer: str, signal: str) -> dict[str, NDArray[np.float64]]:
    """Compute count, mean, sum of squared deviations and extremes of each neuron, (N,), in one pass.

    Pieces are joined by the update of Chan, Golub and LeVeque (1983, equations 2.1), which does not lose precision if
    the mean is large compared with the deviation.
    """
    neurons = signal_of(trace, layer, signal).shape[2]
    values, mean, squares = (np.zeros(neurons) for _ in range(3))
    smallest, largest = np.full(neurons, np.inf), np.full(neurons, -np.inf)
    not_finite = np.zeros(neurons)
    for piece in in_pieces(trace, layer, signal):
        finite = np.isfinite(piece)
        count = finite.sum(0).astype(np.float64)
        safe = np.where(finite, piece, 0.0)
        divisor = np.maximum(count, 1)
        own_mean = safe.sum(0) / divisor
        own_squares = (np.where(finite, piece - own_mean, 0.0) ** 2).sum(0)
        total = values + count
        step = (own_mean - mean) * (count > 0)
        mean = mean + step * count / np.maximum(total, 1)
        squares += own_squares + step**2 * values * count / np.maximum(total, 1)
        values = total
        not_finite += len(piece) - count
        smallest = np.minimum(smallest, np.where(finite, piece, np.inf).min(0, initial=np.inf))
        largest = np.maximum(largest, np.where(finite, piece, -np.inf).max(0, initial=-np.inf))
    return dict(values=values, mean=mean, squares=squares, smallest=smallest, largest=largest, not_finite=not_finite)


def _moment_row(
    layer: str, signal: str, numbers: Sequence[int], parts: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[Any]]:
    """Join the moments of some neurons into one row."""
    values = parts["values"]
    count = values.sum()
    mean = float((values * parts["mean"]).sum() / count) if count else np.nan
    spread = parts["squares"].sum() + (values * (parts["mean"] - mean) ** 2).sum() if count else np.nan
    return {
        "layer": _texts(layer, 1),
        "signal": _texts(signal, 1),
        "neuron": np.array(numbers),
        "mean": np.array([mean]),
        "deviation": np.array([np.sqrt(spread / count) if count else np.nan]),
        "smallest": np.array([parts["smallest"].min() if count else np.nan]),
        "largest": np.array([parts["largest"].max() if count else np.nan]),
        "values": np.array([int(count)]),
        "not_finite": np.array([int(parts["not_finite"].sum())]),
    }


def _counts(trace: Trace, layer: str, signal: str, low: float, high: float, bins: int) -> NDArray[np.int64]:
    """Count the finite values of each neuron in each bin, (N, bins); the outer bins include values outside."""
    neurons = signal_of(trace, layer, signal).shape[2]
    counts = np.zeros((neurons, bins), np.int64)
    edges = np.linspace(low, high, bins + 1)
    for piece in in_pieces(trace, layer, signal):
        finite = np.isfinite(piece)
        places = np.clip(np.searchsorted(edges, np.where(finite, piece, low), side="right") - 1, 0, bins - 1)
        flat = (places + bins * np.arange(neurons))[finite]
        counts += np.bincount(flat, minlength=neurons * bins).reshape(neurons, bins)
    return counts


def _rows(
    layer: str, signal: str, numbers: Sequence[int], edges: NDArray[np.float64], counts: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the columns of the histograms (N, bins) of some neurons."""
    size, totals = counts.size, np.maximum(counts.sum(1, keepdims=True), 1)
    return {
        "layer": _texts(layer, size),
        "signal": _texts(signal, size),
        "neuron": np.repeat(np.array(numbers), counts.shape[1]),
        "low": np.tile(edges[:-1], len(counts)),
        "high": np.tile(edges[1:], len(counts)),
        "count": counts.ravel(),
        "share": (counts / totals).ravel(),
    }


def _texts(value: str, count: int) -> NDArray[Any]:
    return np.array([value] * count, dtype=object)


def _joined(parts: Sequence[dict[str, NDArray[Any]]], titles: dict[str, str], about: dict[str, Any]) -> Table:
    return Table({name: np.concatenate([part[name] for part in parts]) for name in titles}, titles, about)
