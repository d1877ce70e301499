"""Which feature does each neuron follow? Every signal of every neuron against every feature, on text held out.

A score alone says little: of hundreds of features one always fits a little. So the same search is made with the
features shifted along the text, all by the same distance and round its end, which keeps how neurons and features change
over time and breaks what they have to do with each other; see `Chance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature, binary_features_named, both, without
from gatescope.studies.common.chance import Chance, chance_of, shifted_places
from gatescope.studies.common.scores import (
    Columns,
    Halves,
    areas,
    best_threshold,
    centred_ranks,
    determinations,
    fewest,
    halves,
    matthews,
    moments,
)
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

LAGS = (0, 1, 2, 3, 5, 8, -1, -2)
BLOCK = 1 << 28  # bytes of the values of a block of neurons: bounds memory, changes no result
PAIRED = 8  # binary features of which pairs are made
PAIRING = 20_000  # places on which these are chosen
GAIN = 0.01  # of a pair's area over that of both its features, without which it says nothing new
NEURONS = 64  # of a signal that are compared with shifted features
SHIFTED = 50_000  # places of each half on which they are: chance reaches higher on fewer, so this errs on the safe side
MEASURES = ("AUROC", "R2")

TITLES = {
    "layer": "layer",
    "signal": "signal",
    "neuron": "neuron",
    "place": "place among the neuron's labels, from 0",
    "feature": "feature",
    "title": "what the feature says",
    "measure": "AUROC of a binary feature, R2 of a count",
    "score": "score on the text held out",
    "fit_score": "score on the text it was chosen on",
    "explained": "share of the feature's variance that a line from the neuron explains, on the text held out",
    "lag": "steps by which the neuron follows the feature; under 0: foresees it",
    "direction": "1: higher where the feature is; -1: lower",
    "threshold": "value that separates on from off best",
    "matthews": "Matthews correlation at this threshold, on the text held out",
    "slope": "change of the count per unit of the signal",
    "intercept": "count at which the signal is 0",
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Scores:
    """The scores of N neurons and all columns at all lags, fitted and held out.

    Attributes:
        directions: 1 or -1, (N, L, K).
        fit: AUROC in that direction on the half it was chosen on, (N, L, K).
        held_out: the same on the other half.
        explained: the squared correlation of the same on the half it was chosen on.
        lines: slope and intercept, (N, L, C) each.
        fit_r2, held_out_r2: (N, L, C).
    """

    directions: NDArray[np.float64]
    fit: NDArray[np.float64]
    held_out: NDArray[np.float64]
    explained: NDArray[np.float64]
    lines: tuple[NDArray[np.float64], NDArray[np.float64]]
    fit_r2: NDArray[np.float64]
    held_out_r2: NDArray[np.float64]

    def at_best_lag(self, measure: str, lags: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any]]:
        """Number of the lag, score and held-out score of each neuron and feature, (N, K) each.

        Another lag than 0 is taken where it is better by `GAIN`: much that lasts fits a little better a step later.
        """
        fit, held = (self.fit, self.held_out) if measure == "AUROC" else (self.fit_r2, self.held_out_r2)
        preferred = fit + GAIN * (np.array(lags) == 0)[:, None]
        chosen = preferred.argmax(1)
        pick = chosen[:, None]
        return chosen, np.take_along_axis(fit, pick, 1)[:, 0], np.take_along_axis(held, pick, 1)[:, 0]

    def best(self, lags: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """For each measure the best of the scores that a feature reaches on both halves, (N,)."""
        found = {}
        for measure in MEASURES:
            _, fit, held = self.at_best_lag(measure, lags)
            if fit.shape[1]:
                found[measure] = np.minimum(fit, held).max(1)
        return found


@dataclass(frozen=True)
class Search:
    """How the labels are looked for.

    Attributes:
        lags: steps by which a neuron may follow a feature.
        top: labels of each neuron and signal, at most.
        pairs: whether "A and B" and "A and not B" of the best binary features are tried too.
        rate: the false discovery rate.
        chances: scores of shifted features that are made, at the least; more tell rarer chances apart.
        least: how many places a feature must be on, and off, in each half; None: 5, or one in a thousand.
        seed: of the distances by which features are shifted.
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


def labels(
    trace: Trace,
    features: Sequence[Feature],
    *,
    layers: Sequence[str] | None = None,
    signals: Sequence[str] | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> Table:
    """For every neuron and signal, the features that it follows best.

    The best is the one of which a line from the neuron explains most; scores are AUROC for binary features and R2 for
    counts. Everything that is chosen (the feature, the lag, the direction, the line, the threshold) is chosen on one
    half of the text, and every score is taken on the other; see `gatescope.studies.common.scores.halves`.

    Args:
        trace: in memory or on disk; a block of neurons is read at a time.
        features: of the trace's text at every place, from `Steps.features`.
        layers: some of the trace's; all when None.
        signals: some of the layers'; all when None.
        search: how the labels are looked for.
        progress: called with the number of parts done, and of all parts.

    Returns:
        A row for each label, the best of a neuron first. `about` has "chance": see `Chance`; and of what the table was
        made.

    Raises:
        StudyError: the trace is too short, has no such signal, or no feature varies in it.
    """
    search = search or Search()
    steps = Steps(trace)
    kept = halves(steps)
    least = search.least or fewest(kept)
    columns = Columns(features, steps, least, kept)
    if not columns.binaries and not columns.counts:
        raise StudyError("LABELS_FEATURES_CONSTANT", features=len(features), least=least)
    wanted = _wanted(trace, layers, signals)
    study = _Study(trace, steps, kept, columns, search, least)
    done = 0
    scored: list[tuple[str, str, Columns, _Scores]] = []
    shifted: dict[str, list[NDArray[np.float64]]] = {measure: [] for measure in MEASURES}
    draws = -(-search.chances // sum(len(study.some_neurons(layer)) for layer, _ in wanted))
    parts = sum(study.blocks(layer) for layer, _ in wanted) + len(wanted) * draws

    def one_more() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, parts)

    for place, (layer, signal) in enumerate(wanted):
        with_pairs = study.with_pairs(layer, signal)
        pieces = []
        for piece in study.scores(layer, signal, with_pairs):
            pieces.append(piece)
            one_more()
        scored.append((layer, signal, with_pairs, _stacked(pieces)))
        for best in study.by_chance(layer, signal, with_pairs, draws, place):
            for measure, scores in best.items():
                shifted[measure].append(scores)
            one_more()
    chance = chance_of([scores.best(search.lags) for *_, scores in scored], shifted, search.rate)
    rows = [row for each in scored for row in study.rows(*each, chance)]
    about = {
        "chance": {"least": chance.least, "false_discovery_rate": chance.rate, "searches": chance.searches},
        "steps": {"fit": len(kept.fit), "held_out": len(kept.held_out)},
        "features": {"binary": len(columns.binaries), "count": len(columns.counts), "given": len(features)},
        "neurons": sum(len(scores.fit) for *_, scores in scored),
        "lags": list(search.lags),
    }
    return Table.of(rows, TITLES, **about)


def binary_labels(table: Table, layer: str, neuron: int, signal: str) -> list[str]:
    """Return the names of the binary features that a neuron follows, the best first.

    Args:
        table: the labels.
        layer: the name of the neuron's layer.
        neuron: its number.
        signal: labels of this signal come before those of the neuron's other signals.
    """
    rows = [row for row in table.where(layer=layer, neuron=neuron) if row["measure"] == "AUROC"]
    rows.sort(key=lambda row: (row["signal"] != signal, -row["explained"]))
    return list(dict.fromkeys(row["feature"] for row in rows))


def best_binary_features(
    table: Table, features: Sequence[Feature], signal: str, mask: NDArray[np.bool_]
) -> dict[tuple[str, int], Feature]:
    """Return the best binary feature of each neuron that is both on and off in a text.

    Args:
        table: the labels, of this text or another one.
        features: the features of the text at every place.
        signal: labels of this signal come before those of a neuron's other signals.
        mask: (P,), the places that count.

    Returns:
        (layer name, neuron) -> the feature. Neurons without such a feature are left out.
    """
    best = {}
    for layer, neuron in dict.fromkeys(zip(table["layer"].tolist(), table["neuron"].tolist(), strict=True)):
        for feature in binary_features_named(features, binary_labels(table, layer, neuron, signal)):
            if feature is not None and len(set(feature.values[mask].tolist())) == 2:
                best[layer, neuron] = feature
                break
    return best


def _wanted(trace: Trace, layers: Sequence[str] | None, signals: Sequence[str] | None) -> list[tuple[str, str]]:
    """The signals of the layers, without drives."""
    found = []
    for layer in layers if layers is not None else trace.layers:
        there = [name for name in trace[layer] if "." not in name]
        missing = [name for name in signals or () if name not in there]
        if missing:
            raise StudyError("STUDY_SIGNAL_UNKNOWN", layer=layer, signals=", ".join(there), signal=missing[0])
        found += [(layer, name) for name in (signals if signals is not None else there)]
    if not found:
        raise StudyError("LABELS_SIGNALS_EMPTY")
    return found


class _Study:
    """The passes over one trace."""

    def __init__(self, trace: Trace, steps: Steps, kept: Halves, columns: Columns, search: Search, least: int) -> None:
        self.trace, self.steps, self.kept, self.columns, self.search = trace, steps, kept, columns, search
        self.least = least
        self.parents: dict[str, tuple[str, str]] = {}  # the name of a pair -> those of its features
        self._lagged: dict[int, Halves] = {}

    def neurons(self, layer: str) -> int:
        return next(iter(self.trace[layer].values())).shape[2]

    def block(self) -> int:
        """Neurons of which all values are held at once."""
        return max(1, BLOCK // (4 * max(1, len(self.steps))))

    def blocks(self, layer: str) -> int:
        return -(-self.neurons(layer) // self.block())

    def some_neurons(self, layer: str) -> list[int]:
        """The neurons that are compared with shifted features, spread evenly."""
        count = self.neurons(layer)
        return sorted({int(k) for k in np.linspace(0, count - 1, min(count, NEURONS)).round()})

    def with_pairs(self, layer: str, signal: str) -> Columns:
        """The columns and, behind them, the pairs of those binary features that the neurons of a signal follow best."""
        if not self.search.pairs or len(self.columns.binaries) < 2:
            return self.columns
        places = self.kept.fit[:: -(-len(self.kept.fit) // PAIRING)]
        best = np.zeros(len(self.columns.binaries))
        for start in range(0, self.neurons(layer), self.block()):
            values = self.steps.values(layer, signal, slice(start, start + self.block()))
            area = areas(centred_ranks(values[places]), self.columns.on, places[None])
            best = np.maximum(best, np.abs(area - 0.5).max((0, 1)))
        chosen = sorted(np.argsort(-best, kind="stable")[:PAIRED].tolist())
        pairs = []
        for a, b in combinations([self.columns.binaries[k] for k in chosen], 2):
            made = both(a, b), without(a, b), without(b, a)
            pairs += made
            self.parents |= {pair.name: (a.name, b.name) for pair in made}
        return Columns([*self.columns.binaries, *pairs, *self.columns.counts], self.steps, self.least, self.kept)

    def scores(self, layer: str, signal: str, columns: Columns) -> Iterator[_Scores]:
        """All scores of a signal, one block of neurons after the other."""
        for start in range(0, self.neurons(layer), self.block()):
            values = self.steps.values(layer, signal, slice(start, start + self.block()))
            if not np.isfinite(values).all():
                raise StudyError("LABELS_SIGNAL_NOT_FINITE", signal=signal, layer=layer)
            fit, held = values[self.kept.fit], values[self.kept.held_out]
            found = self._scores((fit, held), (centred_ranks(fit), centred_ranks(held)), columns, self.kept)
            rows = columns.rows(self.kept.fit, self.search.lags)
            yield replace(found, explained=determinations(fit, columns.on, rows))

    def by_chance(
        self, layer: str, signal: str, columns: Columns, draws: int, place: int
    ) -> Iterator[dict[str, NDArray[np.float64]]]:
        """The best scores of some neurons for each measure, each time the features are shifted."""
        values = self.steps.values(layer, signal, self.some_neurons(layer))
        kept = Halves(self.kept.fit[:SHIFTED], self.kept.held_out[:SHIFTED])
        fit, held = values[kept.fit], values[kept.held_out]
        ranks = centred_ranks(fit), centred_ranks(held)
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.search.seed, spawn_key=(place,))))
        for _ in range(draws):
            places = Halves(*(shifted_places(half, self.steps, random) for half in (kept.fit, kept.held_out)))
            # Chance needs no more than single precision, which takes half the time.
            yield self._scores((fit, held), ranks, columns, places, np.float32).best(self.search.lags)

    def _scores(
        self,
        values: tuple[NDArray[np.float32], NDArray[np.float32]],
        ranks: tuple[NDArray[np.float32], NDArray[np.float32]],
        columns: Columns,
        places: Halves,
        dtype: type = np.float64,
    ) -> _Scores:
        """The scores of some neurons, given by the values and the ranks of both halves, (M, N) each.

        `places` says where the features of each half are read; `dtype` is that of the areas' products. What a line
        explains of a binary feature is left at 0.
        """
        rows = [columns.rows(half, self.search.lags) for half in (places.fit, places.held_out)]
        area = [areas(rank, columns.on, row, dtype) for rank, row in zip(ranks, rows, strict=True)]
        directions = np.where(area[0] >= 0.5, 1.0, -1.0)
        fit, held = (0.5 + directions * (each - 0.5) for each in area)
        middle = np.asarray(np.nanmean(columns.numbers, axis=0, dtype=np.float64)) if columns.counts else np.zeros(0)
        origin = values[0].mean(0, dtype=np.float64), middle
        sums = [moments(value, columns.numbers, row, origin) for value, row in zip(values, rows, strict=True)]
        slope, intercept = sums[0].line()
        fit_r2, held_r2 = (each.determination(slope, intercept) for each in sums)
        # The same line between the values as they are.
        intercept = intercept + middle - slope * origin[0][:, None, None]
        return _Scores(directions, fit, held, np.zeros_like(fit), (slope, intercept), fit_r2, held_r2)

    def rows(
        self, layer: str, signal: str, columns: Columns, scores: _Scores, chance: Chance
    ) -> Iterator[dict[str, Any]]:
        """The labels of all neurons of a signal."""
        for start in range(0, len(scores.fit), self.block()):
            values: NDArray[np.float32] | None = None
            for neuron in range(start, min(start + self.block(), len(scores.fit))):
                found = _labels_of(neuron, columns, scores, chance, self.search, self.parents)
                if found and values is None:
                    values = self.steps.values(layer, signal, slice(start, start + self.block()))
                if values is not None:
                    told = self._told(np.ascontiguousarray(values[:, neuron - start]), columns, found)
                    for place, row in enumerate(told):
                        yield {"layer": layer, "signal": signal, "neuron": neuron, "place": place, **row}

    def _told(
        self, values: NDArray[np.float32], columns: Columns, found: Sequence[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """A neuron's labels, each with what is left to be told: how well a threshold tells where a feature is on."""
        fit, held = values[self.kept.fit], values[self.kept.held_out]
        order = np.argsort(fit) if any(row["measure"] == "AUROC" for row in found) else None
        for row in found:
            if row["measure"] != "AUROC":
                yield {**row, "threshold": None, "matthews": None, "explained": row["score"]}
                continue
            column = columns.column[row["feature"]]
            places = self._places(row["lag"])
            on = [columns.on[:, column][each] for each in (places.fit, places.held_out)]
            threshold = best_threshold(fit, on[0], above=row["direction"] > 0, order=order)
            said = (held > threshold) == (row["direction"] > 0)
            explained = determinations(held[:, None], on[1][:, None], np.arange(len(held))[None])[0, 0, 0]
            yield {**row, "threshold": threshold, "matthews": matthews(said, on[1]), "explained": float(explained)}

    def _places(self, lag: int) -> Halves:
        """Where the features of both halves are read at a lag."""
        if lag not in self._lagged:
            self._lagged[lag] = Halves(
                *(self.columns.rows(half, [lag])[0] for half in (self.kept.fit, self.kept.held_out))
            )
        return self._lagged[lag]


def _labels_of(
    neuron: int,
    columns: Columns,
    scores: _Scores,
    chance: Chance,
    search: Search,
    parents: Mapping[str, tuple[str, str]],
) -> list[dict[str, Any]]:
    """The labels of one neuron: the features above chance, each at its best lag, the best first.

    `parents` tells the names of a pair's two features.
    """
    found = []
    for measure, features in (("AUROC", columns.binaries), ("R2", columns.counts)):
        lags, fit, held = (each[neuron] for each in scores.at_best_lag(measure, search.lags))
        for column in np.flatnonzero(np.minimum(fit, held) >= chance.least[measure]):
            feature, lag = features[column], lags[column]
            # A pair says something new only where it is better than both its features.
            if any(fit[column] < fit[columns.column[name]] + GAIN for name in parents.get(feature.name, ())):
                continue
            binary = measure == "AUROC"
            slope, intercept = (None, None) if binary else (float(each[neuron, lag, column]) for each in scores.lines)
            direction = (
                scores.directions[neuron, lag, column] if binary else np.sign(scores.lines[0][neuron, lag, column])
            )
            found.append(
                {
                    "feature": feature.name,
                    "title": feature.title,
                    "measure": measure,
                    "score": float(held[column]),
                    "fit_score": float(fit[column]),
                    "strength": float(scores.explained[neuron, lag, column] if binary else fit[column]),
                    "lag": search.lags[lag],
                    "direction": int(direction),
                    "slope": slope,
                    "intercept": intercept,
                }
            )
    # By what a line explains: it can be compared between binary features and counts, and frequent and rare ones.
    found.sort(key=lambda label: label["strength"], reverse=True)
    # Two names of one thing, such as a character and what was the previous one a step later, have the same scores.
    found = list({(label["score"], label["fit_score"]): label for label in reversed(found)}.values())[::-1]
    return [{name: value for name, value in label.items() if name != "strength"} for label in found[: search.top]]


def _stacked(pieces: Sequence[_Scores]) -> _Scores:
    return _Scores(
        *(
            (
                tuple(np.concatenate([getattr(piece, name)[k] for piece in pieces]) for k in range(2))
                if name == "lines"
                else np.concatenate([getattr(piece, name) for piece in pieces])
            )
            for name in _Scores.__dataclass_fields__
        )  # type: ignore[arg-type]
    )
