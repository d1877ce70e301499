"""The labels of one neuron: which features they are, and their exact scores.

The search compares scores of single precision. The scores of the labels themselves are computed here, in double
precision from all places.

`M` place of one half.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.label_features import BinaryColumn, LabelFeatures
from gatescope.studies.common.label_scores import MIN_GAIN, BestScores, Values
from gatescope.studies.common.place_layout import Layout
from gatescope.studies.common.scores import Thresholds, column_ranks, dot, matthews

SLACK = 1e-4  # by which a score of single precision may miss a threshold that the exact score reaches
OWN_GAIN = 0.05  # of the explained variance: as much better must another feature be than one of the task or of yours
LAG_COST = 0.005  # of the explained variance, for each step of the lag
OWN_FAMILIES = ("task.", "own.", "expression.")

Doubles = tuple[NDArray[np.float64], NDArray[np.float64]]  # of both halves


@dataclass(frozen=True)
class Candidate:
    """A feature that may be a label of a neuron.

    Attributes:
        measure: "AUROC" or "R2".
        column: the number of the feature among the binary features and pairs, or among the counts.
        lag: the number of its best lag.
    """

    measure: str
    column: int
    lag: int


def candidates(
    neuron: int,
    scores: Mapping[str, BestScores],
    names: Mapping[str, Sequence[tuple[str, tuple[int, ...]]]],
    least: Mapping[str, float],
    least_within: Mapping[str, float],
    lags: Sequence[int],
) -> Iterator[Candidate]:
    """Yield the features above chance, the one that explains most first.

    A feature of the task, or of yours, comes before others that explain about as much, and so does one without a lag.

    Args:
        neuron: the number of the neuron in the scores.
        scores: measure -> the scores.
        names: measure -> for each feature its name and the columns of the parts of a pair.
        least: measure -> the lowest score on both halves.
        least_within: measure -> the lowest correlation at the same position.
        lags: the lags.
    """
    measures = list(scores)
    values, columns, numbers = [], [], []
    for number, measure in enumerate(measures):
        best = scores[measure]
        high = np.minimum(best.fit[neuron], best.held_out[neuron]) >= least[measure] - SLACK
        # `least_within` is NaN if no text was compared at the same position; every correlation is infinite then.
        high &= (best.within[neuron] >= least_within[measure]) | np.isinf(best.within[neuron])
        column = np.flatnonzero(high)
        cost = LAG_COST * np.abs(lags)[best.lag[neuron, column]]
        own = np.array([names[measure][k][0].startswith(OWN_FAMILIES) for k in column.tolist()], np.float64)
        values.append(best.explained[neuron, column] - cost + OWN_GAIN * own)
        columns.append(column)
        numbers.append(np.full(len(column), number))
    column, number = np.concatenate(columns), np.concatenate(numbers)
    for k in np.argsort(-np.concatenate(values), kind="stable").tolist():
        measure, chosen = measures[number[k]], int(column[k])
        fit = scores[measure].fit[neuron]
        # A pair counts only if it is better than both its features.
        if all(fit[chosen] >= fit[part] + MIN_GAIN for part in names[measure][chosen][1]):
            yield Candidate(measure, chosen, int(scores[measure].lag[neuron, chosen]))


class Column:
    """One neuron on both halves, (M,) each.

    Args:
        values: its values.
        ranks: its centred ranks, if known; otherwise they are computed when a binary feature needs them.

    Attributes:
        values: its values.
        doubles: the same in double precision.
    """

    def __init__(self, values: Values, ranks: Values | None) -> None:
        self.values = values
        if ranks is not None:
            self.ranks = ranks

    @cached_property
    def ranks(self) -> Values:
        """The centred ranks of the values."""
        fit, held_out = (column_ranks(half[None])[0] for half in self.values)
        return fit, held_out

    @cached_property
    def doubles(self) -> Doubles:
        """The values in double precision."""
        return self.values[0].astype(np.float64), self.values[1].astype(np.float64)

    @cached_property
    def thresholds(self) -> Thresholds:
        """The thresholds between the values of the half of the fit."""
        return Thresholds(self.values[0], self.ranks[0])

    @cached_property
    def centred(self) -> tuple[NDArray[np.float64], float]:
        """The values held out minus their mean, and the sum of their squares; 0 for a constant neuron."""
        held = self.doubles[1]
        centred = held - held.mean()
        squares = dot(centred, centred)
        varies = squares > 1e-12 * dot(held, held)
        return centred, squares if varies else 0.0


class ExactScores:
    """Computes the exact scores of labels.

    Args:
        layout: the rows of the places.
        features: the features of the text.
        lags: the lags.
    """

    def __init__(self, layout: Layout, features: LabelFeatures, lags: Sequence[int]) -> None:
        self._lags, self._rows = lags, layout.halves
        self._numbers = np.ascontiguousarray(features.numbers.T)
        self._place = np.full((2, layout.size), -1, np.int64)  # the place within each half of each row
        for half, rows in enumerate(layout.halves):
            self._place[half, rows] = np.arange(len(rows))
        self._on = lru_cache(maxsize=256)(self._find_on)
        self._areas = lru_cache(maxsize=8)(self._find_areas)
        self._line = lru_cache(maxsize=8)(self._find_line)
        self._count = lru_cache(maxsize=32)(self._find_count)

    def scores(self, neuron: Column, candidate: Candidate, binary: BinaryColumn | None) -> tuple[float, float]:
        """Return the score held out, and that of the fit.

        Args:
            neuron: the neuron.
            candidate: the feature and the lag.
            binary: the feature, if it is binary.
        """
        if binary is None:
            _, _, scores = self._line(neuron, candidate.column, self._lags[candidate.lag])
            return scores[1], scores[0]
        _, fit, held_out = self._areas(neuron, binary, self._lags[candidate.lag])
        return held_out, fit

    def row(self, neuron: Column, candidate: Candidate, binary: BinaryColumn | None) -> dict[str, Any]:
        """Return the scores of a label, by the names of the columns of the table of labels.

        Args:
            neuron: the neuron.
            candidate: the feature and the lag.
            binary: the feature, if it is binary.
        """
        lag = self._lags[candidate.lag]
        if binary is None:
            return {"lag": lag} | self._of_count(neuron, candidate.column, lag)
        return {"lag": lag} | self._of_binary(neuron, binary, lag)

    def _find_areas(self, neuron: Column, binary: BinaryColumn, lag: int) -> tuple[int, float, float]:
        """Return the direction, and the areas of the fit and of the held-out half in this direction."""
        areas = []
        for of_neuron, places in zip(neuron.ranks, self._on(binary, lag), strict=True):
            pairs = len(places) * (len(of_neuron) - len(places))
            areas.append(0.5 + float(of_neuron[places].sum(dtype=np.float64)) / max(pairs, 1))
        direction = 1 if areas[0] >= 0.5 else -1
        fit, held_out = (0.5 + direction * (area - 0.5) for area in areas)
        return direction, fit, held_out

    def _of_binary(self, neuron: Column, binary: BinaryColumn, lag: int) -> dict[str, Any]:
        direction, fit, held_out = self._areas(neuron, binary, lag)
        on = self._on(binary, lag)
        threshold = neuron.thresholds.best(on[0], above=direction > 0)
        held = neuron.values[1]
        hits = np.zeros(len(held), np.bool_)
        hits[on[1]] = True
        return {
            "score": held_out,
            "fit_score": fit,
            "explained": _squared_correlation(neuron, on[1]),
            "direction": direction,
            "threshold": threshold,
            "matthews": matthews((held > threshold) == (direction > 0), hits),
            "slope": None,
            "intercept": None,
        }

    def _find_line(self, neuron: Column, column: int, lag: int) -> tuple[float, float, list[float]]:
        """Return the slope and the intercept of the line from a neuron to a count, and R2 on both halves."""
        slope, intercept, scores = 0.0, 0.0, []
        for half, (known, y, squares) in enumerate(self._count(column, lag)):
            x = neuron.doubles[half] if known is None else neuron.doubles[half][known]
            if half == 0:
                centred = x - x.mean()
                spread = dot(centred, centred)
                slope = dot(centred, y) / spread if spread > 1e-12 * dot(x, x) else 0.0
                intercept = float(y.mean() - slope * x.mean())
            rest = y - slope * x - intercept
            scores.append(1 - dot(rest, rest) / squares)
        return slope, intercept, scores

    def _of_count(self, neuron: Column, column: int, lag: int) -> dict[str, Any]:
        slope, intercept, scores = self._line(neuron, column, lag)
        return {
            "score": scores[1],
            "fit_score": scores[0],
            "explained": scores[1],
            "direction": int(np.sign(slope)),
            "threshold": None,
            "matthews": None,
            "slope": slope,
            "intercept": intercept,
        }

    def _find_count(self, column: int, lag: int) -> list[tuple[NDArray[np.bool_] | None, NDArray[np.float64], float]]:
        """Return for each half where a count is known (None: everywhere), its values there, and their squares."""
        found: list[tuple[NDArray[np.bool_] | None, NDArray[np.float64], float]] = []
        for rows in self._rows:
            y = self._numbers[column][rows - lag].astype(np.float64)
            known = ~np.isnan(y)
            y = y[known]
            total = y - y.mean()
            found.append((None if known.all() else known, y, dot(total, total)))
        return found

    def _find_on(self, binary: BinaryColumn, lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of each half at which a feature was on some steps before, ascending."""
        inside = binary.rows + lag
        inside = inside[(inside >= 0) & (inside < self._place.shape[1])]
        fit, held_out = (np.sort(place[place >= 0]) for place in (half[inside] for half in self._place))
        return fit, held_out


def _squared_correlation(neuron: Column, on: NDArray[np.int64]) -> float:
    """Return the share of a binary feature's variance that a line from a neuron explains; 0 if either is constant."""
    centred, squares = neuron.centred
    spread = squares * len(on) * (len(centred) - len(on)) / len(centred)
    return float(centred[on].sum()) ** 2 / spread if spread > 0 else 0.0
