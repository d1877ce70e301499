"""How well a neuron follows a feature: the scores, as matrix products over all neurons and all features at once.

`P` place (see `Steps`), `M` place of one half, `N` neuron, `K` binary feature, `C` count.

The area under the receiver operating characteristic is the Mann-Whitney statistic, a sum of ranks over the places where
the feature is on (Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
curve", Radiology 143 (1982)); so the areas of all neurons and all features are one product of a matrix of ranks with a
matrix of zeros and ones. The regression of a count on a neuron needs six sums, which are products too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.features import Feature
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError

Counted = float | NDArray[np.float64]

CHUNK = 1 << 22  # numbers that features are turned into at a time: bounds memory, changes no result


@dataclass(frozen=True)
class Halves:
    """Which places a score is fitted on, and which it is taken on: ascending, none in both."""

    fit: NDArray[np.int64]
    held_out: NDArray[np.int64]


def halves(steps: Steps) -> Halves:
    """Every other sequence in the order of their lengths is held out; of fewer than four, the second half of each.

    Equal sequences are held out together, or not at all.

    Raises:
        StudyError: there is too little to hold anything out.
    """
    lengths = np.diff(steps.starts)
    equal = steps.same()
    _, first = np.unique(equal, return_index=True)
    if len(first) >= 4:
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(lengths[first], kind="stable")] = np.arange(len(first))
        held = rank[equal[steps.sequence]] % 2 == 1
    else:
        held = steps.step >= lengths[steps.sequence] // 2
    places = np.arange(len(steps))
    found = Halves(places[~held], places[held])
    if min(len(found.fit), len(found.held_out)) < 2:
        raise StudyError("SCORES_TEXT_TOO_SHORT", steps=len(steps))
    return found


def fewest(kept: Halves) -> int:
    """How many places of each half a feature must be on, and off, where nobody says: 5, or one in a thousand."""
    return max(5, len(kept.held_out) // 1000)


class Columns:
    """Features as the columns of two matrices, whose last row stands for every place where there is no feature.

    Attributes:
        binaries: the binary features, categories taken apart, as columns of `on`, (P + 1, K) bool.
        column: the name of a binary feature -> its column.
        counts: the counts, as columns of `numbers`, (P + 1, C) float32, NaN where a count is not defined.
    """

    def __init__(self, features: Sequence[Feature], steps: Steps, least: int, kept: Halves) -> None:
        size = len(steps)
        wrong = [feature for feature in features if len(feature.values) != size]
        if wrong:
            raise StudyError(
                "STUDY_FEATURE_LENGTH_MISMATCH", name=wrong[0].name, steps=size, values=len(wrong[0].values)
            )
        self._steps = steps
        binaries = [binary for feature in features if feature.kind != "count" for binary in feature.binaries()]
        self.binaries = [one for one in binaries if _varies(one.values, least, kept)]
        counts = [feature for feature in features if feature.kind == "count"]
        self.counts = [one for one in counts if _spreads(one.values, least, kept)]
        self.on = np.zeros((size + 1, len(self.binaries)), np.bool_)
        self.numbers = np.full((size + 1, len(self.counts)), np.nan, np.float32)
        self.column = {one.name: number for number, one in enumerate(self.binaries)}
        for column, feature in enumerate(self.binaries):
            self.on[:size, column] = feature.values
        for column, feature in enumerate(self.counts):
            self.numbers[:size, column] = feature.values

    def rows(self, places: NDArray[np.int64], lags: Sequence[int]) -> NDArray[np.int64]:
        """The rows of the features some steps before some places, (L, M): the last row outside a place's sequence.

        A lag under 0 looks ahead.
        """
        wanted = places - np.array(lags)[:, None]
        inside = (wanted >= 0) & (wanted < len(self._steps))
        wanted = np.where(inside, wanted, 0)
        same = inside & (self._steps.sequence[wanted] == self._steps.sequence[places])
        return np.where(same, wanted, len(self._steps))


def _varies(values: NDArray[np.bool_], least: int, kept: Halves) -> bool:
    """Whether a binary feature is on, and off, often enough in both halves."""
    shares = [(int(values[places].sum()), len(places)) for places in (kept.fit, kept.held_out)]
    return all(least <= on <= size - least for on, size in shares)


def _spreads(values: NDArray[np.float32], least: int, kept: Halves) -> bool:
    """Whether a count is defined often enough, and not constant, in both halves."""
    for places in (kept.fit, kept.held_out):
        known = values[places]
        known = known[~np.isnan(known)]
        if len(known) < 2 * least or (known == known[0]).all():
            return False
    return True


def centred_ranks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rank of each value among its column's, from which the mean rank is taken away; equal ones share theirs.

    Args:
        values: (M, N).

    Returns:
        (M, N), multiples of one half between -(M - 1)/2 and (M - 1)/2: exact in float32 up to M = 8 million.
    """
    count = len(values)
    found = np.empty(values.shape, np.float32)
    columns = np.ascontiguousarray(values.T)

    def rank(neuron: int) -> None:
        order = np.argsort(columns[neuron])
        ordered = columns[neuron][order]
        first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        sizes = np.diff(first, append=count)
        middles = first + (sizes - 1) / 2 - (count - 1) / 2
        found[order, neuron] = np.repeat(middles, sizes)

    # NumPy sorts without holding the interpreter's lock.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(rank, range(len(columns))))
    return found


def areas(
    ranks: NDArray[np.float32], on: NDArray[np.bool_], rows: NDArray[np.int64], dtype: type = np.float64
) -> NDArray[np.float64]:
    """The area under the ROC curve of every neuron for every feature; 1/2 where a feature is always on, or never.

    Args:
        ranks: (M, N) from `centred_ranks`.
        on: (P + 1, K).
        rows: of `on` for each of the M places, at each of L lags, (L, M).
        dtype: of the products.

    Returns:
        (N, L, K) from 0 to 1: the share of pairs of places, one with and one without the feature, at which the neuron
        is higher with it (equal counts half).
    """
    (lags, count), columns, neurons = rows.shape, on.shape[1], ranks.shape[1]
    sums, ones = np.zeros((neurons, lags * columns)), np.zeros(lags * columns)
    for part in _chunks(count, lags * columns):
        chunk = on[rows[:, part].T].reshape(rows[:, part].shape[1], lags * columns)
        sums += product(ranks[part].astype(dtype).T, chunk.astype(dtype))
        ones += chunk.sum(0)
    pairs = ones * (count - ones)
    return (0.5 + sums / np.where(pairs, pairs, np.inf)).reshape(neurons, lags, columns)


def determinations(values: NDArray[np.float32], on: NDArray[np.bool_], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a line from each neuron explains of a binary feature: the squared correlation; 0 where either is constant.

    A rare feature has a high area as soon as the neuron is high there, however often it is high elsewhere; this is low
    then, and can be compared with R2 of a count.

    Args:
        values: (M, N).
        on: (P + 1, K).
        rows: of `on` for each of the M places, at each of L lags, (L, M).

    Returns:
        (N, L, K) from 0 to 1.
    """
    (lags, count), columns, neurons = rows.shape, on.shape[1], values.shape[1]
    middle = values.mean(0, dtype=np.float64)
    sums, ones, squares = np.zeros((neurons, lags * columns)), np.zeros(lags * columns), np.zeros(neurons)
    for part in _chunks(count, lags * columns):
        chunk = on[rows[:, part].T].reshape(rows[:, part].shape[1], lags * columns)
        value = (values[part] - middle).T
        sums += product(value, chunk.astype(np.float64))
        ones += chunk.sum(0)
        squares += (value * value).sum(1)
    # The values have a mean of 0, so the covariance is the sum over the places where the feature is on.
    spread = squares[:, None] * (ones * (count - ones) / count)
    flat = spread <= 1e-12 * count * np.maximum(middle**2, 1e-300)[:, None]
    return np.where(flat, 0.0, sums**2 / np.where(flat, 1.0, spread)).reshape(neurons, lags, columns)


def product(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The matrix product, with as many threads as torch uses. NumPy's own threads cannot be told how many to be."""
    return torch.matmul(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def _chunks(count: int, columns: int) -> Iterator[slice]:
    """Pieces of the places, so many that the features of one fit in memory as numbers."""
    size = max(1, CHUNK // max(1, columns))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


@dataclass(frozen=True)
class Moments:
    """The sums over places from which every regression of a count on a neuron follows, over the places that count.

    `x` is the neuron's value, `y` the count, both less what was taken off. `n`, `y`, `yy` are (L, C), the others
    (N, L, C): every neuron with every count at every lag.
    """

    n: NDArray[np.float64]
    y: NDArray[np.float64]
    yy: NDArray[np.float64]
    x: NDArray[np.float64]
    xx: NDArray[np.float64]
    xy: NDArray[np.float64]

    def line(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Slope and intercept of the least squares line of y over x, (N, L, C); a constant neuron has slope 0."""
        n = np.maximum(self.n, 1)
        spread = self.xx - self.x * self.x / n
        # Rounding leaves a constant neuron a spread of its own square times 1e-16.
        flat = spread <= 1e-12 * np.maximum(self.xx, 1e-300)
        slope = np.where(flat, 0.0, (self.xy - self.x * self.y / n) / np.where(flat, 1.0, spread))
        return slope, (self.y - slope * self.x) / n

    def determination(self, slope: NDArray[np.float64], intercept: NDArray[np.float64]) -> NDArray[np.float64]:
        """R2 of a line on these places: 1 - sum (y - line)^2 / sum (y - mean y)^2, (N, L, C); 0 for a constant y."""
        n = np.maximum(self.n, 1)
        total = self.yy - self.y * self.y / n
        rest = (
            self.yy
            - 2 * (intercept * self.y + slope * self.xy)
            + n * intercept**2
            + 2 * slope * intercept * self.x
            + slope**2 * self.xx
        )
        varies = total > 1e-12 * np.maximum(self.yy, 1e-300)
        return np.where(varies, 1 - rest / np.where(varies, total, 1.0), 0.0)


def moments(
    values: NDArray[np.float32],
    numbers: NDArray[np.float32],
    rows: NDArray[np.int64],
    origin: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Moments:
    """The sums of every neuron with every count.

    Args:
        values: (M, N).
        numbers: (P + 1, C), NaN where a count is not defined: such places are left out, of this count only.
        rows: of `numbers` for each of the M places, at each of L lags, (L, M).
        origin: what is taken off the neurons (N,) and off the counts (C,), so that sums of squares stay small.
    """
    (lags, size), counts, neurons = rows.shape, numbers.shape[1], values.shape[1]
    of_neurons, of_counts = origin
    of_columns, of_pairs = np.zeros((3, lags * counts)), np.zeros((3, neurons, lags * counts))
    for part in _chunks(size, 3 * lags * counts):
        count = (numbers[rows[:, part].T] - of_counts).reshape(rows[:, part].shape[1], lags * counts)
        known = (~np.isnan(count)).astype(np.float64)
        count[known == 0] = 0
        value = (values[part] - of_neurons).T
        of_columns += known.sum(0), count.sum(0), (count * count).sum(0)
        of_pairs += product(value, known), product(value * value, known), product(value, count)
    return Moments(*of_columns.reshape(3, lags, counts), *of_pairs.reshape(3, neurons, lags, counts))


def best_threshold(
    values: NDArray[np.float32], on: NDArray[np.bool_], *, above: bool, order: NDArray[np.intp] | None = None
) -> float:
    """The threshold at which a neuron tells best, by Matthews' correlation, where a feature is on.

    Args:
        values: (M,).
        on: (M,).
        above: whether the feature is said to be on above the threshold, or below.
        order: what sorts the values, where that is known already, (M,).

    Returns:
        A number between two neighbouring values; at an end where no threshold tells anything.
    """
    order = np.argsort(values) if order is None else order
    ordered, hits = values[order].astype(np.float64), on[order]
    cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1  # places below the cut
    if not len(cuts):
        return float(ordered[0])
    below = np.cumsum(hits)[cuts - 1].astype(np.float64)
    total, size = float(hits.sum()), float(len(values))
    # As above the cut: true positives, false positives, false negatives, true negatives.
    scores = _matthews(total - below, size - cuts - (total - below), below, cuts - below)
    best = cuts[np.argmax(scores if above else -scores)]
    return float((ordered[best - 1] + ordered[best]) / 2)


def matthews(said: NDArray[np.bool_], on: NDArray[np.bool_]) -> float:
    """Matthews' correlation of what was said with what is, from -1 to 1; 0 where either never changes."""
    both = float((said & on).sum())
    a, b, size = float(said.sum()), float(on.sum()), float(len(on))
    return float(_matthews(both, a - both, b - both, size - a - b + both))


def _matthews(tp: Counted, fp: Counted, fn: Counted, tn: Counted) -> NDArray[np.float64]:
    product = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    return np.where(product > 0, (tp * tn - fp * fn) / np.where(product > 0, product, 1.0), 0.0)
