"""Helpers of the families: code points, distances from marks, spans of characters, characters as categories.

T is the number of characters. The functions work on whole texts at once, because a text may have millions of
characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Feature

AHEAD = "(looks ahead)"
"""Part of the title of a feature whose value at a character depends on later characters."""

NEWLINE = 10
MAX_CATEGORIES = 200
MAX_PASSAGE_LINES = 50  # with more lines and none blank, each line counts as a paragraph

CodePoints = NDArray[np.uint32]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
Numbers = NDArray[np.float32]


def code_points(text: str) -> CodePoints:
    """Return the code point of each character, (T,); a lone surrogate keeps its own."""
    encoding = "utf-32-le" if np.little_endian else "utf-32-be"
    return np.frombuffer(text.encode(encoding, "surrogatepass"), np.uint32)


def distinct(points: CodePoints) -> list[int]:
    """Return the code points that occur, in ascending order."""
    if not len(points):
        return []
    seen = np.zeros(int(points.max()) + 1, np.bool_)
    seen[points] = True
    return np.flatnonzero(seen).tolist()


def characters_where(points: CodePoints, test: Callable[[str], bool]) -> Mask:
    """Return whether each character passes a test, (T,); the test runs once for each distinct character."""
    if not len(points):
        return np.zeros(0, np.bool_)
    table = np.zeros(int(points.max()) + 1, np.bool_)
    for point in distinct(points):
        table[point] = test(chr(point))
    return table[points]


def among(points: CodePoints, characters: str) -> Mask:
    """Return whether each character is one of `characters`, (T,)."""
    return characters_where(points, characters.__contains__)


def shifted(values: Mask, by: int = 1) -> Mask:
    """Return the values shifted by some characters to the right, (T,), filled with false."""
    moved = np.zeros_like(values)
    moved[by:] = values[:-by]
    return moved


def starts_after(ends: Mask) -> Mask:
    """Return true at the first character and after each end, (T,): the starts of lines if the ends are newlines."""
    starts = shifted(ends)
    starts[:1] = True
    return starts


def last_mark(marks: Mask) -> Places:
    """Return the place of the last mark at or before each character, (T,); -1 before the first mark."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks)), -1))


def since(marks: Mask) -> Numbers:
    """Return the characters since the last mark, (T,): 0 at the mark, NaN before the first mark."""
    place = last_mark(marks)
    return nan_unless(place >= 0, np.arange(len(marks)) - place)


def nan_unless(condition: Mask, values: NDArray[Any]) -> Numbers:
    """Return the values where the condition holds and NaN elsewhere, (T,)."""
    return np.where(condition, values, np.nan).astype(np.float32)


def step_function(size: int, places: Sequence[int], values: Sequence[float], before: float) -> NDArray[Any]:
    """Return a step function, (T,): it is `before`, and changes to values[k] at places[k].

    Args:
        size: the number of characters, T.
        places: where the value changes, ascending; the last of several changes at one place counts.
        values: the value from each place on.
        before: the value before the first place.
    """
    changes = np.bincount(np.array(places, np.int64), minlength=size)
    return np.array([before, *values])[np.cumsum(changes)]


def covered(size: int, spans: Iterable[tuple[int, int]]) -> Mask:
    """Return whether each character lies in one of the spans [start, end), (T,)."""
    ends = np.array([*spans], np.int64).reshape(-1, 2)
    change = np.bincount(ends[:, 0], minlength=size + 1) - np.bincount(ends[:, 1], minlength=size + 1)
    return np.cumsum(change[:size]) > 0


def starts_of(size: int, spans: Sequence[tuple[int, int]]) -> Mask:
    """Return whether a span begins with each character, (T,)."""
    starts = np.zeros(size, np.bool_)
    starts[[start for start, _ in spans]] = True
    return starts


def spans_of(expression: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """Return the spans of all matches that are not empty; if there is a group "inside", the spans of the group."""
    group = "inside" if "inside" in expression.groupindex else 0
    spans = [match.span(group) for match in expression.finditer(text)]
    return [(start, end) for start, end in spans if end > start]


def matched(expression: re.Pattern[str], text: str) -> Mask:
    """Return whether each character lies in a match of an expression, or in its group "inside", (T,)."""
    return covered(len(text), spans_of(expression, text))


_BLANK = re.compile(r"\n[^\S\n]*\n")


def lines_are_paragraphs(texts: Sequence[str]) -> bool:
    """Return whether each line is a paragraph: there are more than 50 lines and none is blank.

    Lists of messages and many Chinese books are written like this. A passage of a few lines is too short to decide.
    """
    return sum(text.count("\n") for text in texts) > MAX_PASSAGE_LINES and not any(map(_BLANK.search, texts))


def visible(character: str) -> str:
    r"""Return a character as a table shows it: "space", or an escape such as "\n" if it is not printable."""
    if character == " ":
        return "space"
    return character if character.isprintable() else ascii(character)[1:-1]


def most_frequent(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the most frequent characters of the texts, at most 200, in descending order; ties by code point."""
    points = code_points("".join(texts))
    if not len(points):
        return ()
    counts = np.bincount(points)
    order = np.argsort(-counts, kind="stable")[: min(MAX_CATEGORIES, np.count_nonzero(counts))]
    return tuple(map(chr, order.tolist()))


def as_category(name: str, title: str, points: NDArray[np.integer[Any]], characters: Sequence[str]) -> list[Feature]:
    """Return a category feature: which of `characters` each code point is.

    Args:
        name: the name of the feature.
        title: its title.
        points: (T,) the code points. A negative one, or another character, has no category.
        characters: the categories. If empty, the result is empty.
    """
    if not characters:
        return []
    known = np.array([ord(character) for character in characters])
    table = np.full(int(max(known.max(), points.max(initial=0))) + 2, -1, np.int16)
    table[known] = np.arange(len(known))
    return [Feature(name, title, table[points], tuple(map(visible, characters)))]  # index -1 reads the last entry, -1


def family_features(family: str, values: dict[str, tuple[str, NDArray[Any]]]) -> list[Feature]:
    """Return the features of a family from name -> (title, values); numbers become float32."""
    return [
        Feature(f"{family}.{name}", title, array if array.dtype == np.bool_ else array.astype(np.float32))
        for name, (title, array) in values.items()
    ]
