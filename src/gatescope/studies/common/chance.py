"""Scores that labels reach by chance, and the false discovery rate that follows from them.

A search among hundreds of features always finds one that fits a little. The same search on features that are shifted
along the text shows how good a fit chance gives, so that labels below it can be dropped.

`N` neuron, `M` place of one half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.steps import Steps


@dataclass(frozen=True)
class Chance:
    """The scores that the same search reaches on shifted features, which have nothing to do with the neurons.

    The score of a feature is the lower of its scores on the two halves of the text. For some neurons of each signal,
    the best score among all shifted features is computed exactly as for the labels. The features of each half are
    shifted by a random distance between a tenth and nine tenths of the half, with the sequences in random order. The
    share of these scores that reach the best score of a neuron is the neuron's p-value. A neuron has labels if the
    false discovery rate is at most `rate` (Benjamini and Hochberg 1995, over all neurons, signals and measures).
    `least` is the lowest score of such a neuron, and never below the score of a constant. Only features that reach
    `least` on both halves are shown. In long texts only the first 50,000 places of each half are shifted: chance
    reaches higher scores on fewer places, so the threshold is on the safe side.

    Attributes:
        least: AUROC and R2 -> the lowest score that is shown; NaN if there is no feature of the kind.
        rate: the false discovery rate.
        searches: the number of scores of shifted features, for each measure.
    """

    least: dict[str, float]
    rate: float
    searches: int


def chance_of(
    best: Sequence[Mapping[str, NDArray[np.float64]]], shifted: Mapping[str, Sequence[NDArray[np.float64]]], rate: float
) -> Chance:
    """Return the lowest score of each measure that is shown.

    Args:
        best: for each signal, measure -> the best score of each neuron, (N,).
        shifted: measure -> the best scores of some neurons for each shift; empty if there is no feature of the kind.
        rate: the false discovery rate.
    """
    pooled = {measure: np.sort(np.concatenate(scores)) for measure, scores in shifted.items() if scores}
    own = {measure: np.concatenate([scores[measure] for scores in best]) for measure in pooled}
    p_values = {
        measure: (1 + len(chance) - np.searchsorted(chance, own[measure])) / (1 + len(chance))
        for measure, chance in pooled.items()
    }
    ordered = np.sort(np.concatenate(list(p_values.values())))
    passed = np.flatnonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / len(ordered))
    limit = ordered[passed[-1]] if len(passed) else 0.0
    least = dict.fromkeys(shifted, float("nan"))
    uninformative = {"AUROC": 0.5, "R2": 0.0}
    for measure, chance in pooled.items():
        shown = own[measure][p_values[measure] <= limit]
        # Without any discovery, the threshold is above every score of a neuron and of a shifted feature.
        lowest = shown.min() if len(shown) else np.nextafter(max(chance[-1], own[measure].max()), np.inf)
        least[measure] = float(max(lowest, uninformative[measure]))
    return Chance(least, rate, min(len(chance) for chance in pooled.values()))


def shifted_places(places: NDArray[np.int64], steps: Steps, random: np.random.Generator) -> NDArray[np.int64]:
    """Return the places of a half, its sequences in random order, shifted cyclically by a tenth to nine tenths of it.

    The random order matters if the sequences follow a pattern: shifting AAABBB by half only exchanges A and B.
    """
    parts = np.split(places, np.flatnonzero(np.diff(steps.sequence[places])) + 1)
    shuffled = np.concatenate([parts[k] for k in random.permutation(len(parts))])
    return np.roll(shuffled, round(random.uniform(0.1, 0.9) * len(shuffled)))
