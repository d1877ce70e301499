"""What a search among many features finds where there is nothing to be found.

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
    """What a search as long as this one finds where there is nothing to be found.

    What counts is the score that a feature reaches on both halves of the text. For some neurons of each signal the best
    such score of all features is taken, exactly as for the labels, with the features of each half shifted by distances
    drawn between a tenth and nine tenths of it, and its sequences in a drawn order. The share of these that reach a
    neuron's own best is its p-value, and those neurons have labels at which the false discovery rate is at most `rate`
    (Benjamini and Hochberg 1995, over all neurons, signals and measures). `least` is the score at which that begins,
    and never one that tells nothing: no feature is shown that does not reach it on both halves. Of a long text only the
    first 50,000 places of each half are shifted: chance reaches higher on fewer, so that errs on the safe side.

    Attributes:
        least: AUROC and R2 -> the lowest score that is shown; NaN where there is no feature of the kind.
        rate: the false discovery rate.
        searches: how many scores of shifted features there are, for each measure.
    """

    least: dict[str, float]
    rate: float
    searches: int


def chance_of(
    best: Sequence[Mapping[str, NDArray[np.float64]]], shifted: Mapping[str, Sequence[NDArray[np.float64]]], rate: float
) -> Chance:
    """The lowest score of each measure that is shown.

    Args:
        best: of each signal, measure -> the best score of each neuron, (N,).
        shifted: measure -> the same of some neurons, for each shift; nothing where there is no feature of the kind.
        rate: the false discovery rate.
    """
    pooled = {measure: np.sort(np.concatenate(scores)) for measure, scores in shifted.items() if scores}
    own = {measure: np.concatenate([each[measure] for each in best]) for measure in pooled}
    p_values = {
        measure: (1 + len(chance) - np.searchsorted(chance, own[measure])) / (1 + len(chance))
        for measure, chance in pooled.items()
    }
    every = np.sort(np.concatenate(list(p_values.values())))
    passed = np.flatnonzero(every <= rate * np.arange(1, len(every) + 1) / len(every))
    limit = every[passed[-1]] if len(passed) else 0.0
    least = dict.fromkeys(shifted, float("nan"))
    nothing = {"AUROC": 0.5, "R2": 0.0}
    for measure, chance in pooled.items():
        shown = own[measure][p_values[measure] <= limit]
        # Where nothing is discovered, only what neither a neuron nor a shifted feature reached would be.
        lowest = shown.min() if len(shown) else np.nextafter(max(chance[-1], own[measure].max()), np.inf)
        least[measure] = float(max(lowest, nothing[measure]))
    return Chance(least, rate, min(len(chance) for chance in pooled.values()))


def shifted_places(places: NDArray[np.int64], steps: Steps, random: np.random.Generator) -> NDArray[np.int64]:
    """The places of a half with its sequences in another order, shifted by a tenth to nine tenths round the end.

    The order matters where few sequences follow a pattern: shifting AAABBB by half only exchanges A and B.
    """
    parts = np.split(places, np.flatnonzero(np.diff(steps.sequence[places])) + 1)
    shuffled = np.concatenate([parts[k] for k in random.permutation(len(parts))])
    return np.roll(shuffled, round(random.uniform(0.1, 0.9) * len(shuffled)))
