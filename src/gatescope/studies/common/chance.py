"""Scores that labels reach by chance, and the false discovery rate that follows from them.

A search among hundreds of features always finds one that fits a little. The same search on signals that were moved to
other places of the text shows how good a fit chance gives, so that labels below it can be dropped.

`N` neuron.

Source: Benjamini and Hochberg, "Controlling the false discovery rate" (1995); Knijnenburg et al., "Fewer permutations,
more accurate P-values" (2009), for the tail; Hosking and Wallis, "Parameter and quantile estimation for the generalized
Pareto distribution" (1987), for its fit by probability-weighted moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNINFORMATIVE = {"AUROC": 0.5, "R2": 0.0}  # the scores of a constant
UNCORRELATED = {"AUROC": 0.0, "R2": 0.0}  # its correlations, for features of either measure
TAIL_SHARE = 0.1  # of the scores, to which the tail is fitted
MIN_TAIL_SCORES = 50  # with fewer in the tail, p-values are shares of the scores
MIN_REACHED = 10  # scores of moved signals; if fewer reach a score, its p-value comes from the tail
MAX_EXTRAPOLATION = 100.0  # how much smaller than the smallest share a p-value from the tail may be


@dataclass(frozen=True)
class Chance:
    """The scores that the same search reaches on signals that have nothing to do with the features.

    The score of a feature is the lower of its scores on the two halves of the text. For some neurons of each signal,
    the best score among all features, lags and pairs is computed exactly as for the labels, after the signal was moved
    (see `gatescope.studies.common.relocations`). The share of these scores that reach the best score of a neuron is
    the neuron's p-value; a generalised Pareto distribution, fitted to the highest tenth, gives the small ones. A
    neuron has labels if the false discovery rate is at most `rate` (Benjamini and Hochberg, over all neurons, signals
    and measures). `least` is the score that chance reaches with the largest p-value of such a neuron, and never below
    the score of a constant. Only features that reach `least` on both halves are shown.

    Attributes:
        least: AUROC and R2 -> the lowest score that is shown; NaN if there is no feature of the kind.
        rate: the false discovery rate.
        searches: the number of scores of moved signals, for each measure.
    """

    least: dict[str, float]
    rate: float
    searches: int


class ByChance:
    """The distribution of the best score of moved signals.

    Args:
        scores: the best scores of moved signals.

    Attributes:
        scores: the same, ascending.
        shape: the shape of the tail, 0 for an exponential one; NaN if no tail is fitted.
        scale: its scale; NaN if no tail is fitted.
    """

    def __init__(self, scores: NDArray[np.floating]) -> None:
        self.scores = np.sort(scores.astype(np.float64))
        self.shape = self.scale = float("nan")
        self._size = round(TAIL_SHARE * len(self.scores))
        if self._size < MIN_TAIL_SCORES:
            return
        self._from = self.scores[-self._size - 1]
        excess = self.scores[-self._size :] - self._from
        mean = excess.mean()
        weighted = (excess * (1 - (np.arange(self._size) + 0.65) / self._size)).mean()
        if mean <= 0 or mean <= 2 * weighted:
            return
        # A lighter tail than an exponential one would end at some score. That is never assumed.
        self.shape = max(0.0, 2 - mean / (mean - 2 * weighted))
        self.scale = mean * (1 - self.shape)

    def p_values(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probability that chance reaches each score."""
        count = len(self.scores)
        reached = count - np.searchsorted(self.scores, scores)
        shares = (1 + reached) / (1 + count)
        if np.isnan(self.shape):
            return shares
        excess = np.maximum(scores - self._from, 0) / self.scale
        tail = np.exp(-excess) if self.shape < 1e-6 else (1 + self.shape * excess) ** (-1 / self.shape)
        tail = np.maximum((1 + self._size) / (1 + count) * tail, 1 / (MAX_EXTRAPOLATION * count))
        return np.where(reached < MIN_REACHED, tail, shares)

    def least(self, limit: float) -> float:
        """Return the lowest score that chance reaches with at most some probability; infinite for probability 0."""
        count = len(self.scores)
        reached = int(limit * (1 + count) + 1e-9) - 1
        if (reached < 0 and np.isnan(self.shape)) or limit <= 0:
            return float("inf")
        if np.isnan(self.shape) or reached >= MIN_REACHED:
            return float(np.nextafter(self.scores[count - reached - 1], np.inf)) if reached < count else -np.inf
        share = limit * (1 + count) / (1 + self._size)
        excess = -np.log(share) if self.shape < 1e-6 else (share**-self.shape - 1) / self.shape
        return float(self._from + self.scale * excess)


def chance_of(
    best: Mapping[str, NDArray[np.floating]],
    moved: Mapping[str, NDArray[np.floating]],
    rate: float,
    constant: Mapping[str, float] = UNINFORMATIVE,
) -> Chance:
    """Return the lowest score of each measure that is shown.

    Args:
        best: measure -> the best score of each neuron, (N,).
        moved: measure -> the best scores of moved signals; empty if there is no feature of the kind.
        rate: the false discovery rate.
        constant: measure -> the score of a constant, below which nothing is shown.
    """
    by_chance = {measure: ByChance(scores) for measure, scores in moved.items() if len(scores)}
    p_values = {measure: chance.p_values(best[measure]) for measure, chance in by_chance.items()}
    limit = largest_discovery(list(p_values.values()), rate)
    least = dict.fromkeys(moved, float("nan"))
    for measure, chance in by_chance.items():
        # Without any discovery, the threshold is above every score of a neuron and of a moved signal.
        none = np.nextafter(max(chance.scores[-1], best[measure].max()), np.inf)
        least[measure] = float(max(min(chance.least(limit), none), constant[measure]))
    return Chance(least, rate, min((len(chance.scores) for chance in by_chance.values()), default=0))


def largest_discovery(p_values: Sequence[NDArray[np.float64]], rate: float) -> float:
    """Return the largest p-value that is a discovery at a false discovery rate; 0 if there is none."""
    ordered = np.sort(np.concatenate([np.zeros(0), *p_values]))
    passed = np.flatnonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / max(1, len(ordered)))
    return float(ordered[passed[-1]]) if len(passed) else 0.0
