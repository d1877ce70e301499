"""The table of labels: from the scores of all neurons and of moved signals to the rows of the labels.

`N` neuron, `K` binary feature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features import short_name
from gatescope.studies.common.chance import UNCORRELATED, Chance, chance_of
from gatescope.studies.common.label_features import BinaryColumn
from gatescope.studies.common.label_rows import Candidate, Column, ExactScores, candidates
from gatescope.studies.common.label_scores import MEASURES, BestScores
from gatescope.studies.common.label_search import LabelSearch, Progress

LOWEST = -1e9  # below every score
ROUNDING = 1e-6  # by which a score of single precision may differ from the exact one

NULLS = {
    True: "sequences exchanged, each read from a random place",
    False: "text shifted, blocks rotated; slow signals read back and forth",
}


@dataclass(frozen=True)
class _Signal:
    """One signal after the search.

    Attributes:
        layer: the name of the layer.
        name: the name of the signal.
        binaries: the binary features and the pairs.
        scores: measure -> the scores of all neurons.
        too_slow: whether the text is too short to decide what each neuron follows, (N,).
    """

    layer: str
    name: str
    binaries: list[BinaryColumn]
    scores: dict[str, BestScores]
    too_slow: NDArray[np.bool_]


def label_rows(
    study: LabelSearch, chosen: Sequence[tuple[str, str]], progress: Progress | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of the table of labels, and the facts about it.

    Args:
        study: the search.
        chosen: (layer, signal) of the signals.
        progress: called with the number of neurons scored, moved ones included, and the number of all.
    """
    tables = _Tables(study, study.plan_moves([layer for layer, _ in chosen]))
    moved_neurons = sum(len(study.sampled_neurons(layer)) for layer, _ in chosen)
    total = sum(study.neurons(layer) for layer, _ in chosen) + moved_neurons * tables.draws
    done = 0
    for number, (layer, signal) in enumerate(chosen):
        end = done + study.neurons(layer) + len(study.sampled_neurons(layer)) * tables.draws
        for neurons in tables.search(layer, signal, number):
            # More neurons may be moved than planned, by less than a draw, and none at all if all are too slow.
            done = min(done + neurons, end)
            if progress:
                progress(done, total)
    chance, chance_within = tables.chance()
    rows = list(tables.rows(chance, chance_within))
    _rank(rows)
    about = {
        "chance": {
            "least": chance.least,
            "least_within": chance_within.least if study.by_sequence else {},
            "false_discovery_rate": chance.rate,
            "searches": chance.searches,
            "null": NULLS[study.by_sequence],
            "draws": tables.draws,
            "moved_neurons": moved_neurons,
        },
        "steps": {"fit": len(study.divided.fit), "held_out": len(study.divided.held_out)},
        "features": {"binary": len(study.features.binaries), "count": len(study.features.counts)},
        "neurons": sum(study.neurons(layer) for layer, _ in chosen),
        "too_slow": tables.too_slow(),
        "lags": list(study.lags),
    }
    return rows, about


class _Tables:
    """Searches the signals one after the other, and finds the labels when chance is known."""

    def __init__(self, study: LabelSearch, draws: int) -> None:
        self._study, self.draws = study, draws
        self._exact = ExactScores(study.layout, study.features, study.lags)
        self._signals: list[_Signal] = []

    def search(self, layer: str, signal: str, number: int) -> Iterator[int]:
        """Score all neurons of a signal, and some of them moved; yield how many were scored."""
        study = self._study
        slices, block, first, memories = study.blocks(layer), None, [], []
        for neurons in slices:
            block = study.block(layer, signal, neurons)
            first.append(study.scores(block))
            memories.append(study.memories(block))
            yield block.count
        memory = np.concatenate(memories)
        plan = study.plan(layer, memory, self.draws)
        pairs = study.pairs([scores["AUROC"] for scores in first if "AUROC" in scores])
        scorer = study.scorer_of(pairs)
        complete: dict[str, list[BestScores]] = {measure: [] for measure in first[0]}
        for neurons, without_pairs in zip(slices, first, strict=True):
            # Only one block is held in memory; several are read again, once the pairs are known.
            if block is None or len(slices) > 1:
                block = study.block(layer, signal, neurons)
            scores = dict(without_pairs)
            if scorer:
                scores["AUROC"] = scores["AUROC"].beside(scorer.scores(block, explain=True))
            yield from study.move(neurons, block, scorer, plan, number)
            for measure, of_measure in scores.items():
                complete[measure].append(of_measure)
        stacked = {measure: BestScores.stack(parts) for measure, parts in complete.items()}
        binaries = [*study.features.binaries, *pairs]
        self._signals.append(_Signal(layer, signal, binaries, stacked, study.too_slow(memory)))

    def _chosen(
        self, column: Column, signal: _Signal, found: Iterable[Candidate], least: Mapping[str, float]
    ) -> list[Candidate]:
        """Return the first candidates whose exact scores are above chance and differ."""
        chosen: dict[tuple[float, float], Candidate] = {}
        for candidate in found:
            # Two names of the same feature, such as a character and the previous character a step later, have equal
            # scores: the first one stays.
            key = self._exact.scores(column, candidate, _binary(signal, candidate))
            # The lowest discovery defines `least` by its score of single precision; its exact score may be a bit lower.
            if min(key) >= least[candidate.measure] - ROUNDING:
                chosen.setdefault(key, candidate)
            if len(chosen) == self._study.search.top:
                break
        return list(chosen.values())

    def _names(self, binaries: Sequence[BinaryColumn]) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
        """Return measure -> for each feature its name and the parts of a pair."""
        counts: list[tuple[str, tuple[int, ...]]] = [(name, ()) for name, _ in self._study.features.counts]
        return {"AUROC": [(binary.name, binary.parts) for binary in binaries], "R2": counts}

    def too_slow(self) -> dict[str, list[int]]:
        """Return "layer.signal" -> the neurons that are not labelled because the text is too short for them."""
        slow = {f"{signal.layer}.{signal.name}": np.flatnonzero(signal.too_slow).tolist() for signal in self._signals}
        return {name: neurons for name, neurons in slow.items() if neurons}

    def chance(self) -> tuple[Chance, Chance]:
        """Return the scores that chance reaches, and the correlations at the same position."""
        study, signals = self._study, self._signals
        measures = [measure for measure in MEASURES if study.moved.best[measure]]
        moved = {measure: np.concatenate(study.moved.best[measure]) for measure in measures}
        best = {
            # A neuron that is too slow counts as one of the neurons that were tried, and reaches nothing.
            measure: np.concatenate(
                [np.where(signal.too_slow, LOWEST, signal.scores[measure].best) for signal in signals]
            )
            for measure in measures
        }
        chance = chance_of(best, moved, study.search.rate)
        missing = {measure: float("nan") for measure in MEASURES if measure not in measures}
        chance = Chance({name: (chance.least | missing)[name] for name in MEASURES}, chance.rate, chance.searches)
        moved = {measure: np.concatenate(study.moved.best_within[measure]) for measure in measures}
        best = {
            measure: np.concatenate([signal.scores[measure].best_within for signal in signals]) for measure in measures
        }
        return chance, chance_of(best, moved, study.search.rate, UNCORRELATED)

    def rows(self, chance: Chance, chance_within: Chance) -> Iterator[dict[str, Any]]:
        """Yield the labels of all neurons of all signals."""
        study = self._study
        for signal in self._signals:
            names = self._names(signal.binaries)
            for neurons in study.blocks(signal.layer):
                columns = study.columns(signal.layer, signal.name, neurons)
                for neuron, column in enumerate(columns, start=neurons.start):
                    if signal.too_slow[neuron]:
                        continue
                    found = candidates(neuron, signal.scores, names, chance.least, chance_within.least, study.lags)
                    for place, candidate in enumerate(self._chosen(column, signal, found, chance.least)):
                        row = self._row(column, signal, neuron, candidate)
                        yield {"layer": signal.layer, "signal": signal.name, "neuron": neuron, "place": place, **row}

    def _row(self, column: Column, signal: _Signal, neuron: int, candidate: Candidate) -> dict[str, Any]:
        """Return the names and the exact scores of a label."""
        binary = _binary(signal, candidate)
        feature = (binary.name, binary.title) if binary else self._study.features.counts[candidate.column]
        within = float(signal.scores[candidate.measure].within[neuron, candidate.column])
        return {
            "feature": feature[0],
            "title": feature[1],
            "short": short_name(*feature),
            "measure": candidate.measure,
            "within": within if np.isfinite(within) else None,
            **self._exact.row(column, candidate, binary),
        }


def _binary(signal: _Signal, candidate: Candidate) -> BinaryColumn | None:
    """Return the binary feature of a candidate; None for a count."""
    return signal.binaries[candidate.column] if candidate.measure == "AUROC" else None


def _rank(rows: list[dict[str, Any]]) -> None:
    """Number the neurons of each signal whose first label is the same feature in the same direction, the best first."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        row["rank"] = 0
    for row in sorted((row for row in rows if row["place"] == 0), key=lambda row: -row["explained"]):
        key = (row["signal"], row["short"], row["direction"] < 0)
        seen[key] += 1
        row["rank"] = seen[key]
