"""The search for labels: every neuron of a signal against every feature, the same on shifted features, and the rows.

`N` neuron, `M` place of one half, `L` lag, `K` binary feature, `C` count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features import both, without
from gatescope.studies.common.chance import Chance, shifted_places
from gatescope.studies.common.scores import (
    Columns,
    Halves,
    areas,
    best_threshold,
    centred_ranks,
    determinations,
    matthews,
    moments,
)
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError
from gatescope.trace import Trace

Progress = Callable[[int, int], None]

LAGS = (0, 1, 2, 3, 5, 8, -1, -2)
MEASURES = ("AUROC", "R2")
BLOCK_BYTES = 1 << 28  # values of a block of neurons: bounds memory, changes no result
PAIRED_FEATURES = 8  # binary features that are combined to pairs
PAIRING_PLACES = 20_000  # places on which these are chosen
MIN_GAIN = 0.01  # area by which a pair must exceed both its features, and another lag the lag 0
SAMPLED_NEURONS = 64  # neurons of a signal that are compared with shifted features
SHIFTED_PLACES = 50_000  # places of each half that are shifted; with fewer, chance reaches higher scores


@dataclass(frozen=True)
class Search:
    """The settings of the search for labels.

    Attributes:
        lags: steps by which a neuron may follow a feature.
        top: the largest number of labels of a neuron and signal.
        pairs: if true, "A and B" and "A and not B" of the best binary features are tried too.
        rate: the false discovery rate.
        chances: the least number of scores of shifted features; more scores resolve smaller probabilities.
        least: the number of places in each half at which a feature must be on, and off; None: 5, or one in a thousand.
        seed: the seed of the distances by which features are shifted.
    """

    lags: tuple[int, ...] = LAGS
    top: int = 3
    pairs: bool = True
    rate: float = 0.05
    chances: int = 10_000
    least: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.lags or len(set(self.lags)) < len(self.lags):
            raise StudyError("LABELS_LAGS_INVALID", lags=self.lags)
        for things, number in (("labels of a neuron", self.top), ("chances", self.chances)):
            if number < 1:
                raise StudyError("STUDY_NUMBER_TOO_SMALL", things=things, least=1, number=number)
        if not 0 < self.rate < 1:
            raise StudyError("LABELS_RATE_INVALID", rate=self.rate)


@dataclass(frozen=True)
class LabelScores:
    """The scores of N neurons with all features at all lags, on both halves.

    Attributes:
        directions: 1 or -1, (N, L, K).
        fit: AUROC in that direction on the half of the fit, (N, L, K).
        held_out: the same on the other half, (N, L, K).
        explained: the squared correlation on the half of the fit, (N, L, K).
        lines: slope and intercept, (N, L, C) each.
        fit_r2: R2 of the line on the half of the fit, (N, L, C).
        held_out_r2: the same on the other half, (N, L, C).
    """

    directions: NDArray[np.float64]
    fit: NDArray[np.float64]
    held_out: NDArray[np.float64]
    explained: NDArray[np.float64]
    lines: tuple[NDArray[np.float64], NDArray[np.float64]]
    fit_r2: NDArray[np.float64]
    held_out_r2: NDArray[np.float64]

    @classmethod
    def stack(cls, pieces: Sequence[LabelScores]) -> LabelScores:
        """Join the scores of blocks of neurons."""
        slopes, intercepts = zip(*(piece.lines for piece in pieces), strict=True)
        return cls(
            directions=np.concatenate([piece.directions for piece in pieces]),
            fit=np.concatenate([piece.fit for piece in pieces]),
            held_out=np.concatenate([piece.held_out for piece in pieces]),
            explained=np.concatenate([piece.explained for piece in pieces]),
            lines=(np.concatenate(slopes), np.concatenate(intercepts)),
            fit_r2=np.concatenate([piece.fit_r2 for piece in pieces]),
            held_out_r2=np.concatenate([piece.held_out_r2 for piece in pieces]),
        )

    def at_best_lag(self, measure: str, lags: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]:
        """Return the number of the best lag, the fit score and the held-out score of each neuron and feature, (N, K).

        A lag other than 0 must be better by `MIN_GAIN`: lasting features often fit a little better a step later.
        """
        fit, held_out = (self.fit, self.held_out) if measure == "AUROC" else (self.fit_r2, self.held_out_r2)
        preferred = fit + MIN_GAIN * (np.array(lags) == 0)[:, None]
        chosen = preferred.argmax(1)
        pick = chosen[:, None]
        return chosen, np.take_along_axis(fit, pick, 1)[:, 0], np.take_along_axis(held_out, pick, 1)[:, 0]

    def best(self, lags: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """Return, for each measure, the best score that a feature reaches on both halves, (N,)."""
        best = {}
        for measure in MEASURES:
            _, fit, held_out = self.at_best_lag(measure, lags)
            if fit.shape[1]:
                best[measure] = np.minimum(fit, held_out).max(1)
        return best


class LabelSearch:
    """The search for labels in one trace.

    Attributes:
        parents: the name of a pair -> the names of its two features.
    """

    def __init__(
        self, trace: Trace, steps: Steps, divided: Halves, columns: Columns, search: Search, least: int
    ) -> None:
        self.trace, self.steps, self.divided, self.columns, self.search = trace, steps, divided, columns, search
        self.least = least
        self.parents: dict[str, tuple[str, str]] = {}
        self._lagged: dict[int, Halves] = {}

    def neurons(self, layer: str) -> int:
        """Return the number of neurons of a layer."""
        return next(iter(self.trace[layer].values())).shape[2]

    def block(self) -> int:
        """Return the number of neurons whose values are held in memory at once."""
        return max(1, BLOCK_BYTES // (4 * max(1, len(self.steps))))

    def blocks(self, layer: str) -> int:
        """Return the number of blocks of a layer."""
        return -(-self.neurons(layer) // self.block())

    def sampled_neurons(self, layer: str) -> list[int]:
        """Return the neurons that are compared with shifted features, spread evenly over the layer."""
        count = self.neurons(layer)
        return sorted({int(k) for k in np.linspace(0, count - 1, min(count, SAMPLED_NEURONS)).round()})

    def with_pairs(self, layer: str, signal: str) -> Columns:
        """Return the columns with pairs of those binary features that the neurons of a signal follow best."""
        if not self.search.pairs or len(self.columns.binaries) < 2:
            return self.columns
        places = self.divided.fit[:: -(-len(self.divided.fit) // PAIRING_PLACES)]
        best = np.zeros(len(self.columns.binaries))
        for start in range(0, self.neurons(layer), self.block()):
            values = self.steps.values(layer, signal, slice(start, start + self.block()))
            area = areas(centred_ranks(values[places]), self.columns.on, places[None])
            best = np.maximum(best, np.abs(area - 0.5).max((0, 1)))
        chosen = sorted(np.argsort(-best, kind="stable")[:PAIRED_FEATURES].tolist())
        pairs = []
        for a, b in combinations([self.columns.binaries[k] for k in chosen], 2):
            combined = both(a, b), without(a, b), without(b, a)
            pairs += combined
            self.parents |= {pair.name: (a.name, b.name) for pair in combined}
        return Columns([*self.columns.binaries, *pairs, *self.columns.counts], self.steps, self.least, self.divided)

    def scores(self, layer: str, signal: str, columns: Columns) -> Iterator[LabelScores]:
        """Yield the scores of a signal, one block of neurons after the other.

        Raises:
            StudyError: a value of the signal is not finite.
        """
        for start in range(0, self.neurons(layer), self.block()):
            values = self.steps.values(layer, signal, slice(start, start + self.block()))
            if not np.isfinite(values).all():
                raise StudyError("LABELS_SIGNAL_NOT_FINITE", signal=signal, layer=layer)
            fit, held_out = values[self.divided.fit], values[self.divided.held_out]
            scores = self._scores((fit, held_out), (centred_ranks(fit), centred_ranks(held_out)), columns, self.divided)
            rows = columns.rows(self.divided.fit, self.search.lags)
            yield replace(scores, explained=determinations(fit, columns.on, rows))

    def by_chance(
        self, layer: str, signal: str, columns: Columns, draws: int, number: int
    ) -> Iterator[dict[str, NDArray[np.float64]]]:
        """Yield the best scores of some neurons on features that are shifted anew in each draw.

        Args:
            layer: the layer.
            signal: the signal.
            columns: the features.
            draws: the number of draws.
            number: the number of the signal, so that each signal has random numbers of its own.
        """
        values = self.steps.values(layer, signal, self.sampled_neurons(layer))
        part = Halves(self.divided.fit[:SHIFTED_PLACES], self.divided.held_out[:SHIFTED_PLACES])
        fit, held_out = values[part.fit], values[part.held_out]
        ranks = centred_ranks(fit), centred_ranks(held_out)
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.search.seed, spawn_key=(number,))))
        for _ in range(draws):
            places = Halves(*(shifted_places(half, self.steps, random) for half in (part.fit, part.held_out)))
            # Single precision is enough for chance, and takes half the time.
            yield self._scores((fit, held_out), ranks, columns, places, np.float32).best(self.search.lags)

    def _scores(
        self,
        values: tuple[NDArray[np.float32], NDArray[np.float32]],
        ranks: tuple[NDArray[np.float32], NDArray[np.float32]],
        columns: Columns,
        places: Halves,
        dtype: type = np.float64,
    ) -> LabelScores:
        """Compute the scores of some neurons; `explained` is left at 0.

        Args:
            values: the values of the neurons on both halves, (M, N) each.
            ranks: the ranks of the values, (M, N) each.
            columns: the features.
            places: the places of each half at which the features are read.
            dtype: the precision of the areas' products.
        """
        rows = [columns.rows(half, self.search.lags) for half in (places.fit, places.held_out)]
        area = [areas(rank, columns.on, row, dtype) for rank, row in zip(ranks, rows, strict=True)]
        directions = np.where(area[0] >= 0.5, 1.0, -1.0)
        fit, held_out = (0.5 + directions * (half - 0.5) for half in area)
        middle = np.asarray(np.nanmean(columns.numbers, axis=0, dtype=np.float64)) if columns.counts else np.zeros(0)
        origin = values[0].mean(0, dtype=np.float64), middle
        sums = [moments(value, columns.numbers, row, origin) for value, row in zip(values, rows, strict=True)]
        slope, intercept = sums[0].line()
        fit_r2, held_out_r2 = (half.determination(slope, intercept) for half in sums)
        # The same line between the values without their origin taken off.
        intercept = intercept + middle - slope * origin[0][:, None, None]
        return LabelScores(directions, fit, held_out, np.zeros_like(fit), (slope, intercept), fit_r2, held_out_r2)

    def rows(
        self, layer: str, signal: str, columns: Columns, scores: LabelScores, chance: Chance
    ) -> Iterator[dict[str, Any]]:
        """Yield the labels of all neurons of a signal."""
        for start in range(0, len(scores.fit), self.block()):
            values: NDArray[np.float32] | None = None
            for neuron in range(start, min(start + self.block(), len(scores.fit))):
                rows = _labels_of(neuron, columns, scores, chance, self.search, self.parents)
                if rows and values is None:
                    values = self.steps.values(layer, signal, slice(start, start + self.block()))
                if values is not None:
                    column = np.ascontiguousarray(values[:, neuron - start])
                    for place, row in enumerate(self._with_thresholds(column, columns, rows)):
                        yield {"layer": layer, "signal": signal, "neuron": neuron, "place": place, **row}

    def _with_thresholds(
        self, values: NDArray[np.float32], columns: Columns, rows: Sequence[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Add to a neuron's labels the best threshold and how well it predicts the feature on the held-out half."""
        fit, held_out = values[self.divided.fit], values[self.divided.held_out]
        order = np.argsort(fit) if any(row["measure"] == "AUROC" for row in rows) else None
        for row in rows:
            if row["measure"] != "AUROC":
                yield {**row, "threshold": None, "matthews": None, "explained": row["score"]}
                continue
            column = columns.column[row["feature"]]
            places = self._places(row["lag"])
            on = [columns.on[:, column][half] for half in (places.fit, places.held_out)]
            threshold = best_threshold(fit, on[0], above=row["direction"] > 0, order=order)
            predictions = (held_out > threshold) == (row["direction"] > 0)
            explained = determinations(held_out[:, None], on[1][:, None], np.arange(len(held_out))[None])[0, 0, 0]
            correlation = matthews(predictions, on[1])
            yield {**row, "threshold": threshold, "matthews": correlation, "explained": float(explained)}

    def _places(self, lag: int) -> Halves:
        """Return the rows of the features for both halves at a lag."""
        if lag not in self._lagged:
            self._lagged[lag] = Halves(
                *(self.columns.rows(half, [lag])[0] for half in (self.divided.fit, self.divided.held_out))
            )
        return self._lagged[lag]


def _labels_of(
    neuron: int,
    columns: Columns,
    scores: LabelScores,
    chance: Chance,
    search: Search,
    parents: Mapping[str, tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return the labels of one neuron, the best first: the features above chance, each at its best lag.

    `parents` has the names of a pair's two features.
    """
    rows = []
    for measure, features in (("AUROC", columns.binaries), ("R2", columns.counts)):
        lags, fit, held_out = (scores_of_all[neuron] for scores_of_all in scores.at_best_lag(measure, search.lags))
        for column in np.flatnonzero(np.minimum(fit, held_out) >= chance.least[measure]):
            feature, lag = features[column], lags[column]
            # A pair counts only if it is better than both its features.
            if any(fit[column] < fit[columns.column[name]] + MIN_GAIN for name in parents.get(feature.name, ())):
                continue
            binary = measure == "AUROC"
            slope, intercept = (None, None) if binary else (float(part[neuron, lag, column]) for part in scores.lines)
            direction = (
                scores.directions[neuron, lag, column] if binary else np.sign(scores.lines[0][neuron, lag, column])
            )
            rows.append(
                {
                    "feature": feature.name,
                    "title": feature.title,
                    "measure": measure,
                    "score": float(held_out[column]),
                    "fit_score": float(fit[column]),
                    "strength": float(scores.explained[neuron, lag, column] if binary else fit[column]),
                    "lag": search.lags[lag],
                    "direction": int(direction),
                    "slope": slope,
                    "intercept": intercept,
                }
            )
    # The share that a line explains is comparable between binary features and counts, and frequent and rare features.
    rows.sort(key=lambda label: label["strength"], reverse=True)
    # Two names of the same feature, such as a character and the previous character a step later, have equal scores.
    rows = list({(label["score"], label["fit_score"]): label for label in reversed(rows)}.values())[::-1]
    return [{name: value for name, value in label.items() if name != "strength"} for label in rows[: search.top]]
