"""A finding as the page receives it: the code of a sentence, its values, its evidence, and the place to see it.

`T` step of the text of a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VALUE_DIGITS = 4  # of the values of a strip, which are drawn but not computed with


@dataclass(frozen=True)
class Place:
    """The view that shows a finding.

    Attributes:
        view: the page: "network", "neuron" or "learning".
        text: the text that the network reads; None for the first example of the run.
        layer: the name of the layer; None for the first one.
        signal: the signal; None for the main one.
        neuron: the neuron; None to point to none.
        step: the step of the text; None to point to none.
        feature: the feature that is drawn over the strips; None for no feature.
        checkpoint: the training step of the weights; None for the best ones.
    """

    view: str = "network"
    text: str | None = None
    layer: str | None = None
    signal: str | None = None
    neuron: int | None = None
    step: int | None = None
    feature: str | None = None
    checkpoint: int | None = None


@dataclass(frozen=True)
class Strip:
    """The values of one neuron over a part of the text of a place.

    Attributes:
        neuron: the neuron.
        values: the values at each step of the part.
    """

    neuron: int
    values: tuple[float, ...]

    @classmethod
    def of(cls, neuron: int, values: NDArray[np.floating[Any]]) -> Strip:
        """Return a strip of rounded values.

        Args:
            neuron: the neuron.
            values: (T,), the values.
        """
        return cls(neuron, tuple(float(f"{value:.{VALUE_DIGITS}g}") for value in values.tolist()))


@dataclass(frozen=True)
class Picture:
    """A small picture of a finding.

    Attributes:
        labels: what to print for each step of the part.
        first: the step of the place's text at which the part begins.
        strips: the strips, the neuron of the finding first.
        low: the lower end of the signal's range; None if it is open.
        high: the upper end; None if it is open.
    """

    labels: tuple[str, ...]
    first: int
    strips: tuple[Strip, ...]
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Evidence:
    """The measurement behind a finding.

    Attributes:
        measure: "AUROC", "R2", "mean", or "share", the share of cases for which the sentence is true.
        score: its value.
        chance: the score that chance reaches; None if it was not measured.
        steps: the number of steps or cases that it was measured on.
    """

    measure: str
    score: float
    chance: float | None
    steps: int


@dataclass(frozen=True)
class Finding:
    """A finding of a run.

    Attributes:
        kind: what it is about, such as "counts"; findings of one kind are alternatives to each other.
        code: the code of its sentence on the page.
        values: the values of the sentence.
        evidence: the measurement behind it; None for facts such as a sample.
        place: the view that shows it.
        picture: a small picture; None without one.
    """

    kind: str
    code: str
    values: Mapping[str, str | int | float]
    evidence: Evidence | None
    place: Place
    picture: Picture | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return asdict(self)


def as_values(pairs: Sequence[tuple[str, float]], digits: int = 3) -> dict[str, float]:
    """Return name -> value with the significant digits that a sentence shows."""
    return {name: float(f"{value:.{digits}g}") for name, value in pairs}
