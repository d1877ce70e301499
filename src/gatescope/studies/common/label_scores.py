"""The scores of a block of neurons with all features at all lags, and the best lag of each.

`M` place of one half, `R` row of a `Layout`, `N` neuron, `L` lag, `K` binary feature, `C` count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.arrays import Scratch
from gatescope.studies.common.label_features import BinaryColumn
from gatescope.studies.common.lagged_sums import BinarySums, CountSums
from gatescope.studies.common.place_layout import Layout, Window
from gatescope.studies.common.position_means import MIN_VARIANCE_SHARE, PositionMeans
from gatescope.studies.common.scores import Moments, product

MEASURES = ("AUROC", "R2")
MIN_GAIN = 0.01  # area by which a pair must exceed both its features, and another lag the lag 0

Values = tuple[NDArray[np.float32], NDArray[np.float32]]  # of both halves
Places = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Block:
    """The values of some neurons on both halves, (N, M) each, and their centred ranks."""

    values: Values
    ranks: Values

    @property
    def count(self) -> int:
        """The number of neurons, N."""
        return len(self.ranks[0])

    def take(self, neurons: Sequence[int]) -> Block:
        """Return some of the neurons."""
        values, ranks = ((fit[neurons], held_out[neurons]) for fit, held_out in (self.values, self.ranks))
        return Block(values, ranks)


def moved(parts: Sequence[tuple[Block, Places]], *, permuted: bool, scratch: Sequence[Scratch]) -> Block:
    """Return the neurons of several blocks together, each with the values of other places of their halves.

    The ranks are those of the values that were moved, minus their mean.

    Args:
        parts: the blocks, and the place from which each place of a half reads, (M,).
        permuted: whether every place is read once, so that the mean of the ranks stays exactly 0.
        scratch: the memory of the four arrays of the result; an earlier result in it is overwritten.
    """
    ends = np.cumsum([block.count for block, _ in parts]).tolist()
    arrays = []
    for number, memory in enumerate(scratch):
        name, half = ("values", "ranks")[number // 2], number % 2
        array = memory.array((ends[-1], getattr(parts[0][0], name)[half].shape[1]))
        for (block, places), end in zip(parts, ends, strict=True):
            # Only "clip" writes to the result without a copy; no place is outside.
            target = array[end - block.count : end]
            np.take(getattr(block, name)[half], places[half], axis=1, out=target, mode="clip")
        arrays.append(array)
    for ranks in () if permuted else arrays[2:]:
        np.subtract(ranks, ranks.mean(1, dtype=np.float64)[:, None], out=ranks, casting="same_kind")
    return Block((arrays[0], arrays[1]), (arrays[2], arrays[3]))


@dataclass(frozen=True)
class BestScores:
    """The scores of N neurons with K features, each at its best lag.

    Attributes:
        lag: the number of the best lag, (N, K).
        direction: 1 or -1, (N, K).
        fit: the score on the half of the fit, (N, K).
        held_out: the score on the other half, (N, K).
        explained: the share of the feature's variance that a line from the neuron explains on the half of the fit.
        within: the lower of the correlations on both halves at the same position, (N, K); infinite for a function of
            the position, and everywhere in a text whose positions mean nothing.
        best_within: the highest of these correlations at any lag and in any direction, (N,); -1 if there is none.
    """

    lag: NDArray[np.int8]
    direction: NDArray[np.int8]
    fit: NDArray[np.float32]
    held_out: NDArray[np.float32]
    explained: NDArray[np.float32]
    within: NDArray[np.float32]
    best_within: NDArray[np.float32]

    @property
    def best(self) -> NDArray[np.float32]:
        """The best score that a feature reaches on both halves, (N,)."""
        return np.minimum(self.fit, self.held_out).max(1)

    @classmethod
    def stack(cls, blocks: Sequence[BestScores]) -> BestScores:
        """Join the scores of several blocks of neurons."""
        return cls(*(np.concatenate([getattr(block, name) for block in blocks]) for name in cls.__dataclass_fields__))

    def beside(self, other: BestScores) -> BestScores:
        """Join the scores of the same neurons with other features."""
        names = [name for name in self.__dataclass_fields__ if name != "best_within"]
        joined = {name: np.concatenate([getattr(self, name), getattr(other, name)], axis=1) for name in names}
        return BestScores(**joined, best_within=np.maximum(self.best_within, other.best_within))


class BinaryScorer:
    """Computes the areas under the ROC curve of blocks of neurons for binary features.

    Args:
        layout: the rows of the places.
        columns: the features, at least one.
        lags: the lags.
        positions: the positions of the places; None if positions mean nothing.
        scratch: memory that several scorers may share.
    """

    def __init__(
        self,
        layout: Layout,
        columns: Sequence[BinaryColumn],
        lags: Sequence[int],
        positions: PositionMeans | None,
        scratch: Scratch,
    ) -> None:
        self._lags, self._positions, self._scratch = tuple(lags), positions, scratch
        rows = [column.rows for column in columns]
        self._sizes = [len(half) for half in layout.halves]
        self._sums = [BinarySums(layout, half, rows, lags) for half in (0, 1)]
        ones = [sums.window.spread([np.ones((1, size))]) for sums, size in zip(self._sums, self._sizes, strict=True)]
        self._ones = [sums.at(column)[..., 0] for sums, column in zip(self._sums, ones, strict=True)]
        self._spreads = None
        if positions:
            within, total = positions.feature_spreads(rows, lags)
            self._spreads = np.where(within**2 > MIN_VARIANCE_SHARE * total**2, within, 0.0)

    def scores(self, block: Block, *, explain: bool = False) -> BestScores:
        """Compute the scores of some neurons, each feature at its best lag.

        Args:
            block: the neurons.
            explain: whether to compute the explained variance as well.
        """
        return next(binary_scores([self], block, explain=explain))

    def matrices(self, block: Block, half: int, explain: bool) -> list[NDArray[np.float32]]:
        """Return what is added up in one half, (N, M) each: ranks, ranks within positions, and centred values."""
        matrices = [block.ranks[half]]
        if self._positions:
            matrices.append(self._positions.residuals(block.ranks[half], half))
        if explain and half == 0:
            centred = self._scratch.array(block.values[0].shape)
            matrices.append(_centred(block.values[0], block.values[0].mean(1, dtype=np.float64), centred))
        return matrices

    def window(self, half: int) -> Window:
        """Return the rows around a half."""
        return self._sums[half].window

    def sums(self, half: int, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Add up values, spread over the rows of a half, where each feature is on, (L, K, N)."""
        return self._sums[half].at(values)

    def best(self, sums: Sequence[NDArray[np.float64]], norms: Sequence[Sequence[NDArray[np.float64]]]) -> BestScores:
        """Choose the best lags.

        Args:
            sums: for each half the sums of `matrices`, side by side, (L, K, ...).
            norms: for each half the norms of all matrices but the ranks, (N,) each.
        """
        neurons = sums[1].shape[2] // (2 if self._positions else 1)
        area, within, explained = [], [], None
        for half, size in enumerate(self._sizes):
            pairs = (self._ones[half] * (size - self._ones[half]))[..., None]
            area.append(0.5 + _ratio(sums[half][..., :neurons], pairs))
            if self._spreads is not None:
                residual = sums[half][..., neurons : 2 * neurons]
                within.append(_ratio(residual, self._spreads[half][..., None] * norms[half][0]))
            if half == 0 and sums[0].shape[2] > sums[1].shape[2]:
                explained = _ratio(sums[0][..., -neurons:] ** 2, norms[0][-1] ** 2 * pairs / size)
        direction = np.where(area[0] >= 0.5, 1, -1)
        fit, held_out = (0.5 + direction * (half - 0.5) for half in area)
        return _best(self._lags, (fit, held_out), direction, explained, within, self._spreads)


def binary_scores(scorers: Sequence[BinaryScorer], block: Block, *, explain: bool = False) -> Iterator[BestScores]:
    """Yield the scores of the same neurons from several scorers of one layout, for which they are spread only once.

    Args:
        scorers: the scorers, at least one.
        block: the neurons.
        explain: whether to compute the explained variance as well.
    """
    sums: list[list[NDArray[np.float64]]] = [[] for _ in scorers]
    norms = []
    for half in (0, 1):
        matrices = scorers[0].matrices(block, half, explain)
        norms.append([_norm(matrix) for matrix in matrices[1:]])
        values = scorers[0].window(half).spread(matrices)
        for of_scorer, scorer in zip(sums, scorers, strict=True):
            of_scorer.append(scorer.sums(half, values))
    for of_scorer, scorer in zip(sums, scorers, strict=True):
        yield scorer.best(of_scorer, norms)


class CountScorer:
    """Computes R2 of the lines from blocks of neurons to counts.

    Args:
        layout: the rows of the places.
        numbers: the counts, (R, C), at least one; NaN where one is not known.
        lags: the lags.
        positions: the positions of the places; None if positions mean nothing.
    """

    def __init__(
        self, layout: Layout, numbers: NDArray[np.float32], lags: Sequence[int], positions: PositionMeans | None
    ) -> None:
        self._lags, self._positions = tuple(lags), positions
        self._sums = [CountSums(layout, half, numbers, lags) for half in (0, 1)]
        self._residuals: list[list[NDArray[np.float32]]] = []
        self._spreads = None
        if positions:
            spreads = np.zeros((2, len(lags), numbers.shape[1]))
            for half, rows in enumerate(layout.halves):
                self._residuals.append([])
                for number, lag in enumerate(lags):
                    values, varies = positions.count_residuals(numbers[rows - lag], half)
                    self._residuals[half].append(values)
                    spreads[half, number] = np.where(varies, _norm(values.T), 0)
            self._spreads = spreads

    def scores(self, block: Block) -> BestScores:
        """Compute the scores of some neurons, each count at its best lag."""
        origin = block.values[0].mean(1, dtype=np.float64)
        sums, within = [], []
        for half, signal in enumerate(block.values):
            of_half = self._sums[half]
            padded = of_half.window.padded(signal, origin)
            sums.append(Moments(of_half.n, of_half.y, of_half.yy, *of_half.at(padded)))
            if self._positions and self._spreads is not None:
                residuals = self._positions.residuals(_centred(signal, origin, np.empty_like(signal)), half)
                products = np.stack([product(counts.T, residuals.T) for counts in self._residuals[half]]).astype(
                    np.float64
                )
                within.append(_ratio(products, self._spreads[half][..., None] * _norm(residuals)))
        slope, intercept = sums[0].line()
        fit, held_out = (half.determination(slope, intercept).transpose(1, 2, 0) for half in sums)
        direction = np.sign(slope).astype(np.int8).transpose(1, 2, 0)
        return _best(self._lags, (fit, held_out), direction, fit, within, self._spreads)


def _best(
    lags: Sequence[int],
    scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    direction: NDArray[np.integer],
    explained: NDArray[np.float64] | None,
    within: Sequence[NDArray[np.float64]],
    spreads: NDArray[np.float64] | None,
) -> BestScores:
    """Choose the best lag of each feature; arrays of scores are (L, K, N).

    A lag other than 0 must be better by `MIN_GAIN`: lasting features often fit a little better a step later.

    Args:
        lags: the lags.
        scores: the scores on both halves.
        direction: 1 or -1.
        explained: the explained variance.
        within: the correlations at the same position, on both halves; empty if positions mean nothing.
        spreads: the spread of each feature at the same position, (2, L, K); 0 for a function of the position.
    """
    lag = (scores[0] + MIN_GAIN * (np.array(lags) == 0)[:, None, None]).argmax(0)

    def at_lag(values: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(values, lag[None], 0)[0].T

    shape = scores[0].shape[1:][::-1]
    together, best_within = np.full(shape, np.inf), np.full(shape[0], -1.0)
    if spreads is not None:
        best_within = np.minimum(np.abs(within[0]), np.sign(within[0]) * within[1]).max((0, 1))
        signed = np.minimum(direction * within[0], direction * within[1])
        nearest = int(np.argmin(np.abs(lags)))
        together = np.where((spreads[:, nearest] == 0).all(0), np.inf, at_lag(signed))
    return BestScores(
        lag.T.astype(np.int8),
        at_lag(direction).astype(np.int8),
        at_lag(scores[0]).astype(np.float32),
        at_lag(scores[1]).astype(np.float32),
        (np.zeros(shape) if explained is None else at_lag(explained)).astype(np.float32),
        together.astype(np.float32),
        best_within.astype(np.float32),
    )


def _norm(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the root of the sum of squares of each row."""
    return np.sqrt(np.einsum("nm,nm->n", values, values, dtype=np.float64))


def _centred(
    values: NDArray[np.float32], origin: NDArray[np.float64], target: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Write values (N, M) minus the origin of each row (N,), subtracted in double precision, to a target."""
    return np.subtract(values, origin[:, None], out=target, casting="same_kind")


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; 0 where the denominator is 0."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 0)
