"""Scores of how well a neuron follows a feature.

`P` place (see `Steps`), `M` place of one half, `N` neuron, `K` binary feature, `C` count.

The area under the receiver operating characteristic (ROC) curve is the Mann-Whitney statistic: a sum of ranks over the
places at which the feature is on. The areas of all neurons and all features are therefore one product of a matrix of
ranks with a matrix of zeros and ones. The regression of a count on a neuron needs six sums, which are products too.

Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
Radiology 143 (1982).
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
from gatescope.studies.common.arrays import transpose_into
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError

Amount = float | NDArray[np.float64]

CHUNK_NUMBERS = 1 << 22  # values of features that are held as numbers at a time: bounds memory, changes no result
PLACE_BITS = 32  # of a whole number that hold the place of a value while values are sorted


@dataclass(frozen=True)
class Halves:
    """The places on which a score is fitted, and those on which it is evaluated.

    Attributes:
        fit: the places of the fit, ascending.
        held_out: the places of the evaluation, ascending; no place is in both halves.
    """

    fit: NDArray[np.int64]
    held_out: NDArray[np.int64]


def halves(steps: Steps) -> Halves:
    """Divide the places of a text into a half to fit on and a half to evaluate on.

    Every other sequence, in the order of their lengths, is held out; with fewer than four different sequences, the
    second half of each sequence is. Equal sequences are in the same half.

    Raises:
        StudyError: the text is too short to divide.
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
    divided = Halves(places[~held], places[held])
    if min(len(divided.fit), len(divided.held_out)) < 2:
        raise StudyError("SCORES_TEXT_TOO_SHORT", steps=len(steps))
    return divided


def without_places(divided: Halves, omitted: NDArray[np.bool_]) -> Halves:
    """Return the halves without some places, unless no place of a half would be left.

    Args:
        divided: the halves.
        omitted: whether each place is left out, (P,).
    """
    fit, held_out = (half[~omitted[half]] for half in (divided.fit, divided.held_out))
    return Halves(fit, held_out) if len(fit) and len(held_out) else divided


def default_least(divided: Halves) -> int:
    """Return the default number of places in each half at which a feature must be on, and off."""
    return max(5, len(divided.held_out) // 1000)


class Columns:
    """Features as the columns of two matrices. The last row stands for all places without a feature.

    Args:
        features: the features of a text, values (P,).
        steps: the places of the text.
        least: the places of each half at which a binary feature must be on, and off, and half of those at which a
            count must be defined. Other features are left out.
        divided: the two halves of the text.

    Attributes:
        binaries: the binary features and the categories, one column of `on` each.
        on: (P + 1, K), bool.
        column: the name of a binary feature -> its column.
        counts: the counts, one column of `numbers` each.
        numbers: (P + 1, C), float32; NaN where a count is not defined.
    """

    def __init__(self, features: Sequence[Feature], steps: Steps, least: int, divided: Halves) -> None:
        size = len(steps)
        wrong = [feature for feature in features if len(feature.values) != size]
        if wrong:
            raise StudyError(
                "STUDY_FEATURE_LENGTH_MISMATCH", name=wrong[0].name, steps=size, values=len(wrong[0].values)
            )
        self._steps = steps
        binaries = [binary for feature in features if feature.kind != "count" for binary in feature.binaries()]
        self.binaries = [feature for feature in binaries if varies(feature.values, least, divided)]
        counts = [feature for feature in features if feature.kind == "count"]
        self.counts = [feature for feature in counts if spreads(feature.values, least, divided)]
        self.on = np.zeros((size + 1, len(self.binaries)), np.bool_)
        self.numbers = np.full((size + 1, len(self.counts)), np.nan, np.float32)
        self.column = {feature.name: column for column, feature in enumerate(self.binaries)}
        for column, feature in enumerate(self.binaries):
            self.on[:size, column] = feature.values
        for column, feature in enumerate(self.counts):
            self.numbers[:size, column] = feature.values

    def rows(self, places: NDArray[np.int64], lags: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows of the features some steps before some places, (L, M).

        The last row stands for a step outside the sequence of the place. A negative lag looks ahead.
        """
        lagged = places - np.array(lags)[:, None]
        inside = (lagged >= 0) & (lagged < len(self._steps))
        lagged = np.where(inside, lagged, 0)
        same_sequence = inside & (self._steps.sequence[lagged] == self._steps.sequence[places])
        return np.where(same_sequence, lagged, len(self._steps))


def varies(values: NDArray[np.bool_], least: int, divided: Halves) -> bool:
    """Test whether a binary feature is on, and off, often enough in both halves."""
    counts = [(int(values[places].sum()), len(places)) for places in (divided.fit, divided.held_out)]
    return all(least <= on <= size - least for on, size in counts)


def spreads(values: NDArray[np.float32], least: int, divided: Halves) -> bool:
    """Test whether a count is defined often enough, and not constant, in both halves."""
    for places in (divided.fit, divided.held_out):
        known = values[places]
        known = known[~np.isnan(known)]
        if len(known) < 2 * least or (known == known[0]).all():
            return False
    return True


def centred_ranks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rank of each value in its column, minus the mean rank; equal values share their mean rank.

    Args:
        values: (M, N), finite.

    Returns:
        (M, N), multiples of 1/2 from -(M - 1)/2 to (M - 1)/2: exact in float32 up to M = 8 million.
    """
    return transposed(column_ranks(transposed(values)))


def column_ranks(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the centred ranks of `centred_ranks`, (N, M), of values (N, M)."""
    count = columns.shape[1]
    ranks = np.empty_like(columns)
    distinct = (np.arange(count) - (count - 1) / 2).astype(np.float32)
    places = np.arange(count)

    def rank(neuron: int) -> None:
        # As integers, negative numbers are in descending order until their bits are turned.
        bits = (columns[neuron] + np.float32(0)).view(np.int32)  # -0 becomes 0
        # NumPy sorts whole numbers with vector instructions, so each carries its place in its lower half.
        numbers = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
        numbers <<= PLACE_BITS
        numbers |= places
        numbers.sort()
        order = numbers & ((1 << PLACE_BITS) - 1)
        numbers >>= PLACE_BITS
        equal = np.flatnonzero(numbers[1:] == numbers[:-1])
        ranks[neuron, order] = _with_shared(distinct, equal) if len(equal) else distinct

    threads = torch.get_num_threads()
    if threads == 1:
        for neuron in range(len(columns)):
            rank(neuron)
        return ranks
    # NumPy releases the interpreter's lock while it sorts.
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(rank, range(len(columns))))
    return ranks


def _with_shared(ranks: NDArray[np.float32], equal: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return ascending ranks in which equal values share their mean rank.

    Args:
        ranks: the ranks of values that all differ, (M,).
        equal: the places k at which the sorted values k and k + 1 are equal, ascending.
    """
    first = equal[np.diff(equal, prepend=-2) > 1]
    last = equal[np.diff(equal, append=len(ranks) + 1) > 1] + 1
    sizes = last - first + 1
    ends = np.cumsum(sizes)
    places = np.arange(ends[-1]) + np.repeat(first - ends + sizes, sizes)
    shared = ranks.copy()
    shared[places] = np.repeat((ranks[first] + ranks[last]) / 2, sizes)
    return shared


def transposed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the transpose of a matrix as an array of its own, in row-major order."""
    result = np.empty(values.shape[::-1], np.float32)
    transpose_into(result, values)
    return result


def areas(
    ranks: NDArray[np.float32], on: NDArray[np.bool_], rows: NDArray[np.int64], dtype: type = np.float64
) -> NDArray[np.float64]:
    """Compute the area under the ROC curve of every neuron for every feature; 1/2 if a feature never changes.

    Args:
        ranks: (M, N) from `centred_ranks`.
        on: (P + 1, K).
        rows: the row of `on` for each of the M places at each of L lags, (L, M).
        dtype: the precision of the products.

    Returns:
        (N, L, K), from 0 to 1: of all pairs of a place with and a place without the feature, the share in which the
        neuron is higher at the place with it. Equal values count half.
    """
    (lags, count), columns, neurons = rows.shape, on.shape[1], ranks.shape[1]
    sums, ones = np.zeros((neurons, lags * columns)), np.zeros(lags * columns)
    for part in _chunks(count, lags * columns):
        chunk = on[rows[:, part].T].reshape(rows[:, part].shape[1], lags * columns)
        sums += product(ranks[part].astype(dtype).T, chunk.astype(dtype))
        ones += chunk.sum(0)
    pairs = ones * (count - ones)
    return (0.5 + sums / np.where(pairs, pairs, np.inf)).reshape(neurons, lags, columns)


def product(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Compute the matrix product with torch, because the number of NumPy's threads cannot be set."""
    return torch.matmul(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the sum of the products of two vectors, with torch for the same reason."""
    return float(torch.dot(torch.from_numpy(a), torch.from_numpy(b)))


def _chunks(count: int, columns: int) -> Iterator[slice]:
    """Divide the places into slices whose features fit in memory as numbers."""
    size = max(1, CHUNK_NUMBERS // max(1, columns))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


@dataclass(frozen=True)
class Moments:
    """The sums over places from which every regression of a count on a neuron follows.

    x is the value of the neuron and y the count, both minus their origin. Places without a count are left out.

    Attributes:
        n: the number of places, (L, C).
        y: the sum of y, (L, C).
        yy: the sum of y², (L, C).
        x: the sum of x, (N, L, C).
        xx: the sum of x², (N, L, C).
        xy: the sum of x · y, (N, L, C).
    """

    n: NDArray[np.float64]
    y: NDArray[np.float64]
    yy: NDArray[np.float64]
    x: NDArray[np.float64]
    xx: NDArray[np.float64]
    xy: NDArray[np.float64]

    def line(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit the least squares line of y over x: slope and intercept, (N, L, C). A constant neuron has slope 0."""
        n = np.maximum(self.n, 1)
        spread = self.xx - self.x * self.x / n
        # Rounding gives a constant neuron a spread of about 1e-16 times its square.
        flat = spread <= 1e-12 * np.maximum(self.xx, 1e-300)
        slope = np.where(flat, 0.0, (self.xy - self.x * self.y / n) / np.where(flat, 1.0, spread))
        return slope, (self.y - slope * self.x) / n

    def determination(self, slope: NDArray[np.float64], intercept: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute R2 of a line: 1 - sum (y - line)² / sum (y - mean y)², (N, L, C); 0 if y is constant."""
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


class Thresholds:
    """The thresholds of a neuron between neighbouring values, for several features.

    Args:
        values: the neuron, (M,).
        ranks: its ranks from `centred_ranks`, (M,).
    """

    def __init__(self, values: NDArray[np.float32], ranks: NDArray[np.float32]) -> None:
        size = self._size = len(values)
        self._values = values
        # Equal values share a rank, and so the place in the middle of theirs; the places beside it stay empty.
        self._place = (ranks + (size - 1) / 2).astype(np.int64)
        counts = np.bincount(self._place, minlength=size)  # of values at each place
        self._is_single = counts == 1
        self._below = _cumulated(counts) - counts  # the number of values below each place
        self._first, self._last = int(self._place.min()), int(self._place.max())

    def best(self, on: NDArray[np.int64], *, above: bool) -> float:
        """Return the threshold that predicts a feature best, by Matthews' correlation.

        Args:
            on: the places at which the feature is on, (number,).
            above: if true, the feature is predicted above the threshold; if false, below.

        Returns:
            A number between two neighbouring values; at an end if no threshold predicts anything.
        """
        if self._first == self._last:
            return float(self._values[0])
        cuts, hits = self._cuts(on, above=above)
        below = self._below[cuts].astype(np.float64)
        # Matthews' correlation of a prediction above the cut, but for a factor that all cuts share.
        scores = (float(len(on)) * below - float(self._size) * hits) * (1 / np.sqrt(below * (self._size - below)))
        best = below[int(np.argmax(scores) if above else np.argmin(scores))]
        return (self._ordered(int(best) - 1) + self._ordered(int(best))) / 2

    def _cuts(self, on: NDArray[np.int64], *, above: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places below which a threshold may be best, ascending, and how many values that are on are below.

        The correlation rises with the threshold between two values that are on, and falls where the threshold passes a
        value that is on. So only a threshold just below such a value may be best if the feature is predicted above, and
        one just above such a value otherwise. Thresholds below or above all values predict nothing.
        """
        at = self._place[on]
        is_on = np.zeros(self._size, np.bool_)
        is_on[at] = True
        # A threshold goes on past a neighbouring value that is on, unless another value equals that one.
        passed = is_on & self._is_single
        if above:
            is_on[1:] &= ~passed[:-1]
            is_on[: self._first + 1], is_on[self._last] = False, True
            cuts = np.flatnonzero(is_on)
        else:
            is_on[:-1] &= ~passed[1:]
            is_on[self._last :], is_on[self._first] = False, True
            cuts = np.flatnonzero(is_on) + 1
        return cuts, _cumulated(np.bincount(at, minlength=self._size))[cuts - 1]

    def _ordered(self, number: int) -> float:
        """Return the value with as many values before it in ascending order."""
        place = int(np.searchsorted(self._below, number, side="right")) - 1
        return float(self._values[int(np.argmax(self._place == place))])


def _cumulated(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cumulative sums; torch takes a fifth of NumPy's time."""
    return torch.cumsum(torch.from_numpy(counts), 0).numpy()


def matthews(predictions: NDArray[np.bool_], on: NDArray[np.bool_]) -> float:
    """Compute Matthews' correlation of predictions with a feature, from -1 to 1; 0 if either never changes."""
    both, predicted, actual = (float(np.count_nonzero(where)) for where in (predictions & on, predictions, on))
    size = float(len(on))
    return float(_matthews(both, predicted - both, actual - both, size - predicted - actual + both))


def _matthews(tp: Amount, fp: Amount, fn: Amount, tn: Amount) -> NDArray[np.float64]:
    product = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    return np.where(product > 0, (tp * tn - fp * fn) / np.where(product > 0, product, 1.0), 0.0)
