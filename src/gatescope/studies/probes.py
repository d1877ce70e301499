"""Is a feature in one neuron, or spread over many?

A label says that one neuron follows a feature, but a network may also hold a feature in many neurons, of which none
follows it well. A probe reads the feature from several neurons at once. If one neuron is as good as all, the
feature has a neuron of its own; if eight are needed, it is distributed; if even all fail, the network does not hold it
in a linear form.

A probe is the least squares line from some neurons to a feature: linear regression for a count, and Fisher's linear
discriminant for a binary feature (the two have the same direction: Duda, Hart and Stork, "Pattern Classification",
2001, section 5.8.2). The neurons are found by forward selection: each next neuron is the one that leaves the smallest
residual.

Source: Gurnee et al., "Finding neurons in a haystack: case studies with sparse probing", TMLR 2023.

`P` place, `M` place of one half, `N` neuron, `K` feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature
from gatescope.studies.common.scores import Columns, areas, centred_ranks, default_least, halves, product
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

SIZES = (1, 2, 4, 8)
RIDGE = 1e-6  # share of each neuron's variance that is added to it, so that equal neurons leave the probe defined
REACHED = 0.95  # share of the best score above chance that counts as equally good
CHUNK_PLACES = 1 << 14  # places that are converted to float64 at a time: bounds memory, changes no result

TITLES = {
    "layer": "layer",
    "signal": "signal",
    "feature": "feature",
    "title": "meaning of the feature",
    "measure": "AUROC of a binary feature, R2 of a count",
    "size": "neurons that the probe reads",
    "score": "score on the text held out",
    "neurons": "the neurons, in the order of their selection; empty for all",
    "verdict": "fewest neurons that predict the feature as well as all; 0 if all fail; equal in all rows of a feature",
}


@dataclass(frozen=True)
class _Products:
    """Sums of products over the places of one half, of centred neurons and features.

    Attributes:
        neurons: the products of neurons with neurons, (N, N).
        both: the products of neurons with features, (N, K).
        means: the means of the neurons, (N,).
    """

    neurons: NDArray[np.float64]
    both: NDArray[np.float64]
    means: NDArray[np.float64]


def probes(
    trace: Trace, features: Sequence[Feature], *, layer: str, signal: str = "h", sizes: Sequence[int] = SIZES
) -> Table:
    """Score how well each feature can be read from 1, 2, 4 or 8 neurons of a layer, and from all neurons.

    Neurons are chosen and probes are fitted on one half of the text, and scored on the other; see
    `gatescope.studies.common.scores.halves`. A count is probed at the places where it is defined.

    Args:
        trace: a trace in memory or on disk; the signal is held in memory, in single precision.
        features: the features of the trace's text at every place, from `Steps.features`.
        layer: the layer.
        signal: the signal of its neurons.
        sizes: the numbers of neurons; numbers that are not below that of the layer are left out.

    Returns:
        For each feature a row for each size and a row for all neurons.

    Raises:
        StudyError: the trace is too short or has no such signal, or no feature varies in it.
    """
    steps = Steps(trace)
    divided = halves(steps)
    columns = Columns(features, steps, default_least(divided), divided)
    if not columns.binaries and not columns.counts:
        raise StudyError("PROBES_FEATURES_CONSTANT")
    values = steps.values(layer, signal)
    fit, held_out = values[divided.fit], values[divided.held_out]
    sizes = [size for size in sorted(set(sizes)) if 1 <= size < fit.shape[1]]
    rows = []
    if columns.binaries:
        # Binary features are defined everywhere, so one sum of products serves all of them.
        products = _products(fit, columns.on[divided.fit])
        for column, feature in enumerate(columns.binaries):
            on = columns.on[divided.held_out, column]
            for size, chosen, weights in _probes(products, column, sizes):
                score = _area(_predictions(held_out, chosen, weights), on)
                rows.append(_row(layer, signal, feature, "AUROC", size, score, chosen, fit.shape[1]))
    for column, feature in enumerate(columns.counts):
        numbers = [columns.numbers[half, column] for half in (divided.fit, divided.held_out)]
        known = [~np.isnan(half) for half in numbers]
        count = numbers[0][known[0]].astype(np.float64)
        products = _products(fit[known[0]], count[:, None])
        truth, read = numbers[1][known[1]].astype(np.float64), held_out[known[1]]
        for size, chosen, weights in _probes(products, 0, sizes):
            mean = products.means if chosen is None else products.means[chosen]
            predictions = _predictions(read, chosen, weights) - float(mean @ weights) + count.mean()
            score = 1 - float(((truth - predictions) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
            rows.append(_row(layer, signal, feature, "R2", size, score, chosen, fit.shape[1]))
    sizes_of_halves = {"fit": len(fit), "held_out": len(held_out)}
    return Table.of(_with_verdicts(rows), TITLES, steps=sizes_of_halves, neurons=fit.shape[1])


def _products(values: NDArray[np.float32], features: NDArray[np.generic]) -> _Products:
    """Sum the products of neurons, (M, N), and features, (M, K), over the places of one half."""
    means = values.mean(0, dtype=np.float64)
    middle = features.mean(0, dtype=np.float64)
    neurons, both = np.zeros((values.shape[1],) * 2), np.zeros((values.shape[1], features.shape[1]))
    for start in range(0, len(values), CHUNK_PLACES):
        value = values[start : start + CHUNK_PLACES] - means
        neurons += product(value.T, value)
        both += product(value.T, features[start : start + CHUNK_PLACES] - middle)
    return _Products(neurons, both, means)


def _probes(
    products: _Products, column: int, sizes: Sequence[int]
) -> Iterator[tuple[int, list[int] | None, NDArray[np.floating[Any]]]]:
    """Yield the size, the chosen neurons (None: all) and the weights of each probe of a feature."""
    gram, target = products.neurons, products.both[:, column]
    gram = gram + np.diag(RIDGE * gram.diagonal() + 1e-300)
    chosen = _selected(gram, target, max(sizes, default=0))
    for size in sizes:
        some = chosen[:size]
        yield size, some, np.linalg.solve(gram[np.ix_(some, some)], target[some])
    yield len(gram), None, np.linalg.solve(gram, target)


def _selected(gram: NDArray[np.float64], target: NDArray[np.float64], count: int) -> list[int]:
    """Select neurons one by one, each time the neuron that reduces the residual sum of squares most.

    After each choice the part of the chosen neuron is removed from the others (Gram-Schmidt), so that one step costs N
    operations for each neuron chosen before.
    """
    residual, power = target.copy(), gram.diagonal().copy()
    directions: list[NDArray[np.float64]] = []
    chosen: list[int] = []
    for _ in range(count):
        # A neuron of which only rounding is left after the others are removed is not chosen.
        gain = np.where(power > 1e-9 * gram.diagonal(), residual**2 / np.maximum(power, 1e-300), -1.0)
        gain[chosen] = -2.0
        best = int(gain.argmax())
        chosen.append(best)
        column = gram[best].copy()
        for direction in directions:
            column -= direction * direction[best]
        column /= np.sqrt(max(column[best], 1e-300))
        residual -= column * (residual[best] / max(column[best], 1e-150))
        power = np.maximum(power - column**2, 0.0)
        directions.append(column)
    return chosen


def _predictions(
    values: NDArray[np.float32], chosen: list[int] | None, weights: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Return the predictions of a probe, (M,), up to a constant."""
    predictions = np.empty(len(values))
    for start in range(0, len(values), CHUNK_PLACES):
        part = values[start : start + CHUNK_PLACES] if chosen is None else values[start : start + CHUNK_PLACES, chosen]
        predictions[start : start + CHUNK_PLACES] = part.astype(np.float64) @ weights
    return predictions


def _area(predictions: NDArray[np.float64], on: NDArray[np.bool_]) -> float:
    # Only the order counts. Predictions that differ in float64 could be equal in float32, their ranks cannot.
    _, place = np.unique(predictions, return_inverse=True)
    ranks = centred_ranks(place.astype(np.float32)[:, None])
    return float(areas(ranks, on[:, None], np.arange(len(on))[None])[0, 0, 0])


def _row(
    layer: str,
    signal: str,
    feature: Feature,
    measure: str,
    size: int,
    score: float,
    chosen: list[int] | None,
    neurons: int,
) -> dict[str, Any]:
    return {
        "layer": layer,
        "signal": signal,
        "feature": feature.name,
        "title": feature.title,
        "measure": measure,
        "size": neurons if chosen is None else size,
        "score": score,
        "neurons": "" if chosen is None else " ".join(map(str, chosen)),
    }


def _with_verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each row the fewest neurons that reach the score of all neurons for its feature."""
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_feature.setdefault(row["feature"], []).append(row)
    judged = []
    for group in by_feature.values():
        chance = 0.5 if group[0]["measure"] == "AUROC" else 0.0
        scores = [row["score"] for row in group]
        enough = chance + REACHED * (max(scores) - chance)
        size = next((row["size"] for row, score in zip(group, scores, strict=True) if score >= enough), 0)
        judged += [{**row, "verdict": size if max(scores) > chance else 0} for row in group]
    return judged
