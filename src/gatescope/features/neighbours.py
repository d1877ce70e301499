"""Neighbours: the characters before and after each character."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import AHEAD, as_category, code_points, most_frequent

NEIGHBOURS = {
    "previous": ("the character before", 1),
    "second_previous": ("the character before the last", 2),
    "next": (f"the character to come {AHEAD}", -1),
}


def _family(texts: Sequence[str]) -> Family:
    characters = most_frequent(texts)

    def annotate(text: str) -> Iterator[Feature]:
        points = code_points(text).astype(np.int32)
        for name, (title, distance) in NEIGHBOURS.items():
            yield from as_category(f"neighbours.{name}", title, _at_distance(points, distance), characters)

    return Family("neighbours", "the characters before and after", annotate)


def _at_distance(points: NDArray[np.int32], distance: int) -> NDArray[np.int32]:
    """Return the code point `distance` characters before (negative: after) each character, -1 outside the text."""
    moved = np.full_like(points, -1)
    if distance > 0:
        moved[distance:] = points[:-distance]
    else:
        moved[:distance] = points[-distance:]
    return moved


FAMILY = fitted_to_texts(_family)
"""The 200 most frequent characters of all texts are the categories; a rarer character, and none, have no category."""
