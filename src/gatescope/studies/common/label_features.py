"""The features of a text that neurons are compared with: those that vary enough, and pairs of binary features.

`P` place, `R` row of a `Layout`, `K` binary feature, `C` count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature, both, without
from gatescope.studies.common.place_layout import Layout
from gatescope.studies.common.scores import Halves, spreads, varies
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError


@dataclass(frozen=True, eq=False)
class BinaryColumn:
    """A binary feature, as the rows at which it is on.

    Attributes:
        name: its name.
        title: its meaning.
        rows: the rows at which it is on, (number,).
        parts: the columns of the two features of a pair; none for other features.
    """

    name: str
    title: str
    rows: NDArray[np.int64] = field(repr=False)
    parts: tuple[int, ...] = ()


class LabelFeatures:
    """The features of a text.

    Args:
        features: the features, values (P,).
        steps: the places of the text.
        layout: the rows of the places.
        divided: the two halves of the text.
        least: the places of each half at which a binary feature must be on, and off, and half of those at which a
            count must be known. Other features are left out.

    Attributes:
        binaries: the binary features and the categories.
        counts: the counts.
        numbers: their values in rows, (R, C), float32; NaN where a count is not known.
    """

    def __init__(self, features: Sequence[Feature], steps: Steps, layout: Layout, divided: Halves, least: int) -> None:
        size = len(steps)
        for feature in features:
            if len(feature.values) != size:
                raise StudyError(
                    "STUDY_FEATURE_LENGTH_MISMATCH", name=feature.name, steps=size, values=len(feature.values)
                )
        self._layout, self._divided, self._least = layout, divided, least
        self.binaries: list[BinaryColumn] = []
        for feature in features:
            for binary in feature.binaries() if feature.kind != "count" else ():
                if varies(binary.values, least, divided):
                    self.binaries.append(BinaryColumn(binary.name, binary.title, layout.rows_of(binary.values)))
        chosen = [
            feature for feature in features if feature.kind == "count" and spreads(feature.values, least, divided)
        ]
        self.counts = [(feature.name, feature.title) for feature in chosen]
        self.numbers = np.full((layout.size, len(chosen)), np.nan, np.float32)
        with_row = layout.row >= 0
        for column, feature in enumerate(chosen):
            self.numbers[layout.row[with_row], column] = feature.values[with_row]

    def pairs(self, columns: Sequence[int]) -> list[BinaryColumn]:
        """Return "A and B", "A and not B" and "B and not A" of some binary features, as far as they vary enough."""
        pairs = []
        for a, b in combinations(columns, 2):
            first, second = self._feature(a), self._feature(b)
            for pair in (both(first, second), without(first, second), without(second, first)):
                counts = [(int(pair.values[rows].sum()), len(rows)) for rows in self._layout.halves]
                if all(self._least <= ones <= size - self._least for ones, size in counts):
                    pairs.append(BinaryColumn(pair.name, pair.title, np.flatnonzero(pair.values), (a, b)))
        return pairs

    def _feature(self, column: int) -> Feature:
        """Return a binary feature with one value for each row."""
        binary = self.binaries[column]
        values = np.zeros(self._layout.size, np.bool_)
        values[binary.rows] = True
        return Feature(binary.name, binary.title, values)
