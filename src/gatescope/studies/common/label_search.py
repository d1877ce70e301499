"""The search for labels: every neuron of a signal against every feature, and the same on moved signals.

`P` place (see `Steps`), `M` place of one half, `N` neuron, `K` binary feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature
from gatescope.studies.common.arrays import Scratch, of_neurons
from gatescope.studies.common.label_features import BinaryColumn, LabelFeatures
from gatescope.studies.common.label_rows import Column
from gatescope.studies.common.label_scores import (
    MEASURES,
    BestScores,
    BinaryScorer,
    Block,
    CountScorer,
    Places,
    Values,
    binary_scores,
    moved,
)
from gatescope.studies.common.place_layout import Layout, lags_inside
from gatescope.studies.common.position_means import PositionMeans
from gatescope.studies.common.relocations import Relocations
from gatescope.studies.common.scores import Halves, column_ranks
from gatescope.studies.common.signal_memory import memories
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError
from gatescope.trace import Trace

Progress = Callable[[int, int], None]

LAGS = (0, 1, 2, 3, 5, 8, -1, -2)
BLOCK_BYTES = 1 << 26  # values of a block of neurons: bounds memory, changes no result
RANK_BYTES = 1 << 29  # ranks that are kept until the labels are scored: bounds memory, changes no result
MAX_BLOCK_NEURONS = 128
PAIRED_FEATURES = 8  # binary features that are combined to pairs
SAMPLED_NEURONS = 32  # neurons of a signal that are moved, at most
MOVED_TOGETHER = 8  # neurons that are moved to the same places, if their memories are alike
MIN_MEMORIES = 12  # of a neuron in each half of a text of few sequences, or it is not labelled; a trend has 10


@dataclass(frozen=True)
class Search:
    """The settings of the search for labels.

    Attributes:
        lags: steps by which a neuron may follow a feature.
        top: the largest number of labels of a neuron and signal.
        pairs: if true, "A and B" and "A and not B" of the best binary features are tried too.
        rate: the false discovery rate.
        chances: the least number of scores of moved signals; more scores resolve smaller probabilities.
        least: the number of places in each half at which a feature must be on, and off; None: 5, or one in a thousand.
        seed: the seed of the places to which signals are moved.
    """

    lags: tuple[int, ...] = LAGS
    top: int = 3
    pairs: bool = True
    rate: float = 0.05
    chances: int = 1_000
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
class Moved:
    """The best scores of moved signals: of each measure, and of the correlations at the same position."""

    best: dict[str, list[NDArray[np.float32]]]
    best_within: dict[str, list[NDArray[np.float32]]]


@dataclass(frozen=True)
class Plan:
    """The neurons of one signal that are moved.

    Attributes:
        neurons: the neurons, ascending.
        levels: the level of the blocks of each neuron on both halves.
        draws: how often each neuron is moved.
    """

    neurons: list[int]
    levels: list[tuple[int, int]]
    draws: int

    def groups(self, among: slice) -> Iterator[tuple[int, tuple[int, int], list[int]]]:
        """Yield the neurons that are moved to the same places: group, levels, those of the neurons that are in a slice.

        Which neurons share places does not depend on the slice.
        """
        for group in range(0, len(self.neurons), MOVED_TOGETHER):
            members = range(group, min(group + MOVED_TOGETHER, len(self.neurons)))
            for levels in sorted({self.levels[member] for member in members}):
                alike = [self.neurons[member] for member in members if self.levels[member] == levels]
                if chosen := [neuron for neuron in alike if among.start <= neuron < among.stop]:
                    yield group, levels, chosen


class LabelSearch:
    """The search for labels in one trace.

    Args:
        trace: the trace.
        steps: its places.
        divided: the two halves of the text.
        all_features: the features of the text.
        search: the settings.
        least: the places of each half at which a feature must be on, and off.

    Attributes:
        lags: the lags that most sequences are long enough for.
        features: the features that vary enough.
        by_sequence: whether no sequence has places in both halves, so that sequences are compared with each other.
        moved: the scores of moved signals so far.
    """

    def __init__(
        self, trace: Trace, steps: Steps, divided: Halves, all_features: Sequence[Feature], search: Search, least: int
    ) -> None:
        self.trace, self.steps, self.divided, self.search = trace, steps, divided, search
        self.lags = lags = lags_inside(steps, divided, search.lags)
        self.layout = layout = Layout(steps, divided, lags)
        self.features = features = LabelFeatures(all_features, steps, layout, divided, least)
        self.by_sequence = not set(steps.sequence[divided.fit]) & set(steps.sequence[divided.held_out])
        self._positions = PositionMeans(steps, divided, layout) if self.by_sequence else None
        self._centred = Scratch()
        self.binary = self.scorer_of(features.binaries)
        self.count = CountScorer(layout, features.numbers, lags, self._positions) if features.counts else None
        self._relocations = [
            Relocations(steps.sequence[half], exchange=self.by_sequence) for half in (divided.fit, divided.held_out)
        ]
        self._places = (_as_slice(divided.fit), _as_slice(divided.held_out))
        self._ranks: dict[tuple[str, str, int], Values] = {}
        self._rank_bytes = 0
        self._values = Scratch()
        self._scratch = [Scratch() for _ in range(4)]  # of moved neurons
        self._most_sampled = SAMPLED_NEURONS
        self.moved = Moved({name: [] for name in MEASURES}, {name: [] for name in MEASURES})

    def neurons(self, layer: str) -> int:
        """Return the number of neurons of a layer."""
        return next(iter(self.trace[layer].values())).shape[2]

    def blocks(self, layer: str) -> list[slice]:
        """Return the neurons of a layer in blocks whose values are held in memory at once."""
        size = max(1, min(MAX_BLOCK_NEURONS, BLOCK_BYTES // (4 * max(1, len(self.steps)))))
        count = self.neurons(layer)
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]

    def memories(self, block: Block) -> NDArray[np.float64]:
        """Return the memory of each neuron of a block in steps, on the half where it is longer, (N,).

        It is 1 where it makes no difference: in sequences too short for blocks.
        """
        if self.by_sequence and not any(relocations.last_level for relocations in self._relocations):
            return np.ones(block.count)
        return np.maximum(memories(block.ranks[0]), memories(block.ranks[1]))

    def too_slow(self, memory: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Test whether the text is too short to decide what each neuron follows, (N,).

        A slow signal has few independent values in a half. In a text of few sequences there is nothing else to compare
        them with: any two trends look related.
        """
        if self.by_sequence:
            return np.zeros(len(memory), np.bool_)
        return memory * MIN_MEMORIES > min(len(self.divided.fit), len(self.divided.held_out))

    def plan_moves(self, layers: Sequence[str]) -> int:
        """Choose how many neurons of each signal are moved; return how often each is, for enough scores together.

        Args:
            layers: the layer of each signal.
        """
        counts, chances = np.array([self.neurons(layer) for layer in layers]), self.search.chances
        draws = -(-chances // int(np.minimum(counts, SAMPLED_NEURONS).sum()))
        together = [int(np.minimum(counts, most).sum()) * draws for most in range(1, SAMPLED_NEURONS + 1)]
        self._most_sampled = 1 + int(np.searchsorted(together, chances))
        return draws

    def sampled_neurons(self, layer: str, decided: NDArray[np.int64] | None = None) -> list[int]:
        """Return the neurons that are moved, spread evenly over the layer.

        Args:
            layer: the layer.
            decided: the neurons from which they are chosen; None: all.
        """
        decided = np.arange(self.neurons(layer)) if decided is None else decided
        places = np.linspace(0, len(decided) - 1, min(len(decided), self._most_sampled)).round()
        return sorted({int(decided[int(k)]) for k in places})

    def plan(self, layer: str, memory: NDArray[np.float64], draws: int) -> Plan:
        """Choose the neurons of a signal that are moved, and the levels of their blocks.

        Neurons that are too slow are left out; the others are then moved more often.

        Args:
            layer: the layer.
            memory: the memory of each neuron of the layer, (N,).
            draws: how often each neuron is moved if none is left out.
        """
        planned = len(self.sampled_neurons(layer))
        sampled = self.sampled_neurons(layer, np.flatnonzero(~self.too_slow(memory)))
        levels = [relocations.levels(memory[sampled]).tolist() for relocations in self._relocations]
        return Plan(sampled, list(zip(*levels, strict=True)), -(-draws * planned // max(1, len(sampled))))

    def values(self, layer: str, signal: str, neurons: slice) -> Values:
        """Read some neurons on both halves, (N, M) each. The next call writes to the same memory.

        Raises:
            StudyError: a value is not finite.
        """
        values = of_neurons(self.trace, layer, signal, neurons, self._values.array)
        if not all(np.isfinite(row).all() for row in values):
            raise StudyError("LABELS_SIGNAL_NOT_FINITE", signal=signal, layer=layer)
        return values[:, self._places[0]], values[:, self._places[1]]

    def block(self, layer: str, signal: str, neurons: slice) -> Block:
        """Read some neurons and rank them; their ranks are kept for `columns` as long as memory allows.

        The next call, and `columns`, overwrite the values of the block.

        Raises:
            StudyError: a value is not finite.
        """
        values = self.values(layer, signal, neurons)
        key = (layer, signal, neurons.start)
        ranks = self._ranks.get(key)
        if ranks is None:
            ranks = (column_ranks(values[0]), column_ranks(values[1]))
            size = sum(half.nbytes for half in ranks)
            if self._rank_bytes + size <= RANK_BYTES:
                self._ranks[key] = ranks
                self._rank_bytes += size
        return Block(values, ranks)

    def columns(self, layer: str, signal: str, neurons: slice) -> Iterator[Column]:
        """Read some neurons one by one, as the exact scores need them.

        Raises:
            StudyError: a value is not finite.
        """
        fit, held_out = self.values(layer, signal, neurons)
        ranks = self._ranks.get((layer, signal, neurons.start))
        for number, values in enumerate(zip(fit, held_out, strict=True)):
            yield Column(values, (ranks[0][number], ranks[1][number]) if ranks else None)

    def scores(self, block: Block) -> dict[str, BestScores]:
        """Return measure -> the scores of some neurons with all features but the pairs."""
        scores = {}
        if self.binary:
            scores["AUROC"] = self.binary.scores(block, explain=True)
        if self.count:
            scores["R2"] = self.count.scores(block)
        return scores

    def pairs(self, scores: Sequence[BestScores]) -> list[BinaryColumn]:
        """Return pairs of those binary features that the neurons of a signal follow best."""
        if not self.search.pairs or len(self.features.binaries) < 2:
            return []
        # The held-out half takes no part in the choice, because moved signals do not choose.
        best = np.max([block.fit.max(0) for block in scores], axis=0)
        chosen = sorted(np.argsort(-best, kind="stable")[:PAIRED_FEATURES].tolist())
        return self.features.pairs(chosen)

    def scorer_of(self, columns: Sequence[BinaryColumn]) -> BinaryScorer | None:
        """Return what computes the scores of binary features or pairs; None without any."""
        return BinaryScorer(self.layout, columns, self.lags, self._positions, self._centred) if columns else None

    def move(self, neurons: slice, block: Block, pairs: BinaryScorer | None, plan: Plan, number: int) -> Iterator[int]:
        """Score some neurons of a block after they were moved, and add the best scores to `moved`.

        Args:
            neurons: the neurons of the block.
            block: their values.
            pairs: what scores the pairs.
            plan: which neurons of the signal are moved, and how.
            number: the number of the signal, so that each signal has random numbers of its own.

        Yields:
            How many neurons were moved and scored.
        """
        waiting: list[tuple[Block, Places]] = []
        permuted = all(map(self._read_once, plan.levels))
        for group, levels, chosen in plan.groups(neurons):
            part = block.take([neuron - neurons.start for neuron in chosen])
            for draw in range(plan.draws):
                seed = np.random.SeedSequence(self.search.seed, spawn_key=(number, group, *levels, draw))
                random = np.random.Generator(np.random.PCG64(seed))
                fit, held_out = (
                    relocations.draw(random, level)
                    for relocations, level in zip(self._relocations, levels, strict=True)
                )
                waiting.append((part, (fit, held_out)))
                if sum(moving.count for moving, _ in waiting) >= MAX_BLOCK_NEURONS:
                    yield self._score(waiting, pairs, permuted)
                    waiting = []
        if waiting:
            yield self._score(waiting, pairs, permuted)

    def _read_once(self, levels: tuple[int, int]) -> bool:
        return all(relocations.reads_once(level) for relocations, level in zip(self._relocations, levels, strict=True))

    def _score(self, parts: Sequence[tuple[Block, Places]], pairs: BinaryScorer | None, permuted: bool) -> int:
        """Move neurons, add their best scores to `moved`, and return how many there are."""
        together = moved(parts, permuted=permuted, scratch=self._scratch)
        scorers = [scorer for scorer in (self.binary, pairs) if scorer]
        binary = list(binary_scores(scorers, together)) if scorers else []
        by_measure = {"AUROC": binary, "R2": [self.count.scores(together)] if self.count else []}
        for measure, scores in by_measure.items():
            if scores:
                self.moved.best[measure].append(np.max([part.best for part in scores], axis=0))
                self.moved.best_within[measure].append(np.max([part.best_within for part in scores], axis=0))
        return together.count


def _as_slice(places: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """Return neighbouring places as a slice, which is read without a copy."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places
