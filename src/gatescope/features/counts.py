"""Counts: the number of each character so far, for small alphabets such as that of a counting task.

The family is empty if all texts together have more than 12 different characters besides the newline. Natural language
has more, and its number of e's so far is of no interest. For each character x and each pair x, y:

    counts.x           x's since the start of the text
    counts.x_in_line   x's since the start of the line; only if some text has several lines
    counts.x_run       x's in a row up to this one; 0 at any other character
    counts.x_minus_y   x's minus y's so far in the line, 0 if negative: the y's that are owed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import NEWLINE, code_points, distinct, last_mark, starts_after, visible

MAX_CHARACTERS = 12


def alphabet(texts: Sequence[str]) -> str:
    """Return the different characters of the texts besides the newline; none if there are more than 12."""
    points = [point for point in distinct(code_points("".join(texts))) if point != NEWLINE]
    return "".join(map(chr, points)) if len(points) <= MAX_CHARACTERS else ""


def _family(texts: Sequence[str]) -> Family:
    characters = alphabet(texts)
    several_lines = any("\n" in text[:-1] for text in texts)

    def annotate(text: str) -> Iterator[Feature]:
        points = code_points(text)
        lines = last_mark(starts_after(points == NEWLINE))
        in_line = {}
        for character in characters:
            name, matches = visible(character), points == ord(character)
            so_far = np.cumsum(matches)
            in_line[name] = so_far - (so_far - matches)[lines]
            yield _count(name, f"{name}'s so far", so_far)
            if several_lines:
                yield _count(f"{name}_in_line", f"{name}'s so far in the line", in_line[name])
            yield _count(f"{name}_run", f"{name}'s in a row", np.arange(len(points)) - last_mark(~matches))
        for x, y in permutations(in_line, 2):
            owed = np.maximum(in_line[x] - in_line[y], 0)
            yield _count(f"{x}_minus_{y}", f"{x}'s minus {y}'s so far in the line, at least 0", owed)

    return Family("counts", "how many of each character so far", annotate)


def _count(name: str, title: str, values: np.ndarray) -> Feature:
    return Feature(f"counts.{name}", title, values.astype(np.float32))


FAMILY = fitted_to_texts(_family)
