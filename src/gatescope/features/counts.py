"""Counts: how many of each character so far, for texts with a small alphabet, such as the strings of a counting task.

There are features only if all texts together have at most 12 different characters besides the newline; a text of a
natural language has more, and then "how many e's so far" is of no interest. For each character x and each pair:

    counts.x           how many since the start of the text
    counts.x_in_line   how many since the start of the line; only if some text has several lines
    counts.x_run       how many in a row, this one the last; 0 at any other character
    counts.x_minus_y   x's so far in this line minus y's so far in this line, 0 where that is negative: what is owed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import NEWLINE, code_points, distinct, first_after, last, visible

LARGEST = 12


def alphabet(texts: Sequence[str]) -> str:
    """The different characters of some texts besides the newline; none if they are more than 12."""
    points = [point for point in distinct(code_points("".join(texts))) if point != NEWLINE]
    return "".join(map(chr, points)) if len(points) <= LARGEST else ""


def _fitted(texts: Sequence[str]) -> Family:
    characters = alphabet(texts)
    several_lines = any("\n" in text[:-1] for text in texts)

    def annotate(text: str) -> Iterator[Feature]:
        points = code_points(text)
        lines = last(first_after(points == NEWLINE))
        in_line = {}
        for character in characters:
            name, here = visible(character), points == ord(character)
            so_far = np.cumsum(here)
            in_line[name] = so_far - (so_far - here)[lines]
            yield _count(name, f"{name}'s so far", so_far)
            if several_lines:
                yield _count(f"{name}_in_line", f"{name}'s so far in the line", in_line[name])
            yield _count(f"{name}_run", f"{name}'s in a row", np.arange(len(points)) - last(~here))
        for x, y in permutations(in_line, 2):
            owed = np.maximum(in_line[x] - in_line[y], 0)
            yield _count(f"{x}_minus_{y}", f"{x}'s minus {y}'s so far in the line, at least 0", owed)

    return Family("counts", "how many of each character so far", annotate, _fitted)


def _count(name: str, title: str, values: np.ndarray) -> Feature:
    return Feature(f"counts.{name}", title, values.astype(np.float32))


FAMILY = Family("counts", "how many of each character so far", lambda text: _fitted([text]).annotate(text), _fitted)
