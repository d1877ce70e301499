"""Is it in one neuron, or spread over many? Features read from few neurons, and from all of them.

A probe is the least squares line from some neurons to a feature: for a count the linear regression, for a binary
feature Fisher's linear discriminant (the two have the same direction: Duda, Hart and Stork, "Pattern Classification",
2001, section 5.8.2). Which neurons it reads is found by forward selection: each time the one that leaves the smallest
rest. After Gurnee et al., "Finding neurons in a haystack: case studies with sparse probing", TMLR 2023.

`P` place, `M` place of one half, `N` neuron, `K` feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature
from gatescope.studies.common.scores import Columns, areas, centred_ranks, fewest, halves, product
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

SIZES = (1, 2, 4, 8)
RIDGE = 1e-6  # of a neuron's variance is added to it: neurons that say the same leave the probe defined
REACHED = 0.95  # of what all neurons tell above chance: so much is as good as all of it
CHUNK = 1 << 14  # places that are turned into float64 at a time: bounds memory, changes no result

TITLES = {
    "layer": "layer",
    "signal": "signal",
    "feature": "feature",
    "title": "what the feature says",
    "measure": "AUROC of a binary feature, R2 of a count",
    "size": "neurons that the probe reads",
    "score": "score on the text held out",
    "neurons": "which neurons, the first chosen first; empty for all",
    "verdict": "fewest neurons that tell as much as all, 0 where all tell nothing; of a feature the same in each row",
}


@dataclass(frozen=True)
class _Products:
    """Sums of products of centred neurons and features on one half, (N, N) and (N, K), and their means."""

    neurons: NDArray[np.float64]
    both: NDArray[np.float64]
    means: NDArray[np.float64]


def probes(
    trace: Trace, features: Sequence[Feature], *, layer: str, signal: str = "h", sizes: Sequence[int] = SIZES
) -> Table:
    """How well each feature can be read from 1, 2, 4, 8 neurons of a layer, and from all.

    Neurons are chosen and probes fitted on one half of the text, and scored on the other; see
    `gatescope.studies.common.scores.halves`. A count is probed at the places where it is defined.

    Args:
        trace: in memory or on disk; the signal is held in memory, in single precision.
        features: of the trace's text at every place, from `Steps.features`.
        layer, signal: what is read.
        sizes: numbers of neurons; those above the layer's are left out.

    Returns:
        For each feature a row for each size and one for all neurons.

    Raises:
        StudyError: the trace is too short, has no such signal, or no feature varies in it.
    """
    steps = Steps(trace)
    kept = halves(steps)
    columns = Columns(features, steps, fewest(kept), kept)
    if not columns.binaries and not columns.counts:
        raise StudyError("PROBES_FEATURES_CONSTANT")
    values = steps.values(layer, signal)
    fit, held = values[kept.fit], values[kept.held_out]
    sizes = [size for size in sorted(set(sizes)) if 1 <= size < fit.shape[1]]
    rows = []
    if columns.binaries:
        # One sum of products serves all binary features: they are defined everywhere.
        products = _products(fit, columns.on[kept.fit])
        for column, feature in enumerate(columns.binaries):
            on = columns.on[kept.held_out, column]
            for size, chosen, weights in _probes(products, column, sizes):
                score = _area(_told(held, chosen, weights), on)
                rows.append(_row(layer, signal, feature, "AUROC", size, score, chosen, fit.shape[1]))
    for column, feature in enumerate(columns.counts):
        numbers = [columns.numbers[half, column] for half in (kept.fit, kept.held_out)]
        known = [~np.isnan(each) for each in numbers]
        count = numbers[0][known[0]].astype(np.float64)
        products = _products(fit[known[0]], count[:, None])
        true, read = numbers[1][known[1]].astype(np.float64), held[known[1]]
        for size, chosen, weights in _probes(products, 0, sizes):
            mean = products.means if chosen is None else products.means[chosen]
            told = _told(read, chosen, weights) - float(mean @ weights) + count.mean()
            score = 1 - float(((true - told) ** 2).sum() / ((true - true.mean()) ** 2).sum())
            rows.append(_row(layer, signal, feature, "R2", size, score, chosen, fit.shape[1]))
    return Table.of(_with_verdicts(rows), TITLES, steps={"fit": len(fit), "held_out": len(held)}, neurons=fit.shape[1])


def _products(values: NDArray[np.float32], features: NDArray[np.generic]) -> _Products:
    """The sums over places of one half: values (M, N), features (M, K)."""
    means = values.mean(0, dtype=np.float64)
    middle = features.mean(0, dtype=np.float64)
    neurons, both = np.zeros((values.shape[1],) * 2), np.zeros((values.shape[1], features.shape[1]))
    for start in range(0, len(values), CHUNK):
        value = values[start : start + CHUNK] - means
        neurons += product(value.T, value)
        both += product(value.T, features[start : start + CHUNK] - middle)
    return _Products(neurons, both, means)


def _probes(
    products: _Products, column: int, sizes: Sequence[int]
) -> Iterator[tuple[int, list[int] | None, NDArray[np.floating[Any]]]]:
    """Size, chosen neurons and their weights of each probe of a feature; of the one with all neurons, None."""
    gram, target = products.neurons, products.both[:, column]
    gram = gram + np.diag(RIDGE * gram.diagonal() + 1e-300)
    chosen = _selected(gram, target, max(sizes, default=0))
    for size in sizes:
        some = chosen[:size]
        yield size, some, np.linalg.solve(gram[np.ix_(some, some)], target[some])
    yield len(gram), None, np.linalg.solve(gram, target)


def _selected(gram: NDArray[np.float64], target: NDArray[np.float64], count: int) -> list[int]:
    """The neurons of a forward selection: each next one takes most off the sum of squares that is left.

    After each choice the chosen neuron's part is taken out of what is left of the others (Gram-Schmidt), so that one
    step costs N numbers for each neuron that was chosen before.
    """
    left, power = target.copy(), gram.diagonal().copy()
    directions: list[NDArray[np.float64]] = []
    chosen: list[int] = []
    for _ in range(count):
        # What is nothing but rounding after the others are taken out is not a neuron of its own.
        gain = np.where(power > 1e-9 * gram.diagonal(), left**2 / np.maximum(power, 1e-300), -1.0)
        gain[chosen] = -2.0
        best = int(gain.argmax())
        chosen.append(best)
        column = gram[best].copy()
        for direction in directions:
            column -= direction * direction[best]
        column /= np.sqrt(max(column[best], 1e-300))
        left -= column * (left[best] / max(column[best], 1e-150))
        power = np.maximum(power - column**2, 0.0)
        directions.append(column)
    return chosen


def _told(
    values: NDArray[np.float32], chosen: list[int] | None, weights: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """What a probe says, (M,), up to a constant."""
    told = np.empty(len(values))
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK] if chosen is None else values[start : start + CHUNK, chosen]
        told[start : start + CHUNK] = part.astype(np.float64) @ weights
    return told


def _area(told: NDArray[np.float64], on: NDArray[np.bool_]) -> float:
    # The order is all that counts, and ranks that differ in float64 only would be equal in float32.
    _, place = np.unique(told, return_inverse=True)
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
    all_: int,
) -> dict[str, Any]:
    return {
        "layer": layer,
        "signal": signal,
        "feature": feature.name,
        "title": feature.title,
        "measure": measure,
        "size": all_ if chosen is None else size,
        "score": score,
        "neurons": "" if chosen is None else " ".join(map(str, chosen)),
    }


def _with_verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each with the fewest neurons that reach what all neurons tell of its feature."""
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_feature.setdefault(row["feature"], []).append(row)
    found = []
    for group in by_feature.values():
        nothing = 0.5 if group[0]["measure"] == "AUROC" else 0.0
        scores = [row["score"] for row in group]
        wanted = nothing + REACHED * (max(scores) - nothing)
        size = next((row["size"] for row, score in zip(group, scores, strict=True) if score >= wanted), 0)
        found += [{**row, "verdict": size if max(scores) > nothing else 0} for row in group]
    return found
