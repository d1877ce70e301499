"""What the families share: code points, places since a mark, stretches that are covered, characters as categories.

`T` character of a text. Whole texts at once: a text may have millions of characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Feature

AHEAD = "(looks ahead)"
"""Stands in the title of a feature that says at a character what only later characters show."""

NEWLINE = 10
MOST_CATEGORIES = 200
MOST_LINES = 50  # that a passage without blank lines has, if its lines are no paragraphs

Points = NDArray[np.uint32]
Truth = NDArray[np.bool_]
Places = NDArray[np.int64]
Numbers = NDArray[np.float32]


def code_points(text: str) -> Points:
    """The code point of each character, (T,). Lone surrogates are themselves."""
    encoding = "utf-32-le" if np.little_endian else "utf-32-be"
    return np.frombuffer(text.encode(encoding, "surrogatepass"), np.uint32)


def distinct(points: Points) -> list[int]:
    """The code points that occur, in their order."""
    if not len(points):
        return []
    seen = np.zeros(int(points.max()) + 1, np.bool_)
    seen[points] = True
    return np.flatnonzero(seen).tolist()


def where(points: Points, test: Callable[[str], bool]) -> Truth:
    """Whether each character passes a test, (T,); it is made once for each different character."""
    if not len(points):
        return np.zeros(0, np.bool_)
    table = np.zeros(int(points.max()) + 1, np.bool_)
    for point in distinct(points):
        table[point] = test(chr(point))
    return table[points]


def among(points: Points, characters: str) -> Truth:
    """Whether each character is one of some, (T,)."""
    return where(points, characters.__contains__)


def shifted(values: Truth, by: int = 1) -> Truth:
    """What held `by` characters before, (T,); false before the text began."""
    moved = np.zeros_like(values)
    moved[by:] = values[:-by]
    return moved


def first_after(ends: Truth) -> Truth:
    """True at the first character and after each end, (T,): where lines begin, if ends are newlines."""
    starts = shifted(ends)
    starts[:1] = True
    return starts


def last(marks: Truth) -> Places:
    """The place of the last mark at or before each character, (T,); -1 before the first."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks)), -1))


def since(marks: Truth) -> Numbers:
    """Characters since the last mark, 0 at it, (T,); NaN before the first."""
    place = last(marks)
    return only(place >= 0, np.arange(len(marks)) - place)


def only(condition: Truth, values: NDArray[Any]) -> Numbers:
    """The values where the condition holds and NaN elsewhere, (T,)."""
    return np.where(condition, values, np.nan).astype(np.float32)


def held(size: int, places: Sequence[int], values: Sequence[float], before: float) -> NDArray[Any]:
    """A value that changes at some places (rising; of several at one place the last counts) and stays, (T,)."""
    changes = np.bincount(np.array(places, np.int64), minlength=size)
    return np.array([before, *values])[np.cumsum(changes)]


def covered(size: int, spans: Iterable[tuple[int, int]]) -> Truth:
    """Whether each character lies in one of some stretches [start, end), (T,)."""
    ends = np.array([*spans], np.int64).reshape(-1, 2)
    change = np.bincount(ends[:, 0], minlength=size + 1) - np.bincount(ends[:, 1], minlength=size + 1)
    return np.cumsum(change[:size]) > 0


def starts_of(size: int, spans: Sequence[tuple[int, int]]) -> Truth:
    """Whether a stretch begins with the character, (T,)."""
    starts = np.zeros(size, np.bool_)
    starts[[start for start, _ in spans]] = True
    return starts


def spans_of(expression: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """Where an expression matches: of each match its group "inside" if it has one, else all of it; none is empty."""
    group = "inside" if "inside" in expression.groupindex else 0
    spans = [match.span(group) for match in expression.finditer(text)]
    return [(start, end) for start, end in spans if end > start]


def matched(expression: re.Pattern[str], text: str) -> Truth:
    """Whether each character lies in a match of an expression, or in its group "inside", (T,)."""
    return covered(len(text), spans_of(expression, text))


_BLANK = re.compile(r"\n[^\S\n]*\n")


def lines_are_paragraphs(texts: Sequence[str]) -> bool:
    """Whether each line stands for itself: there are more than 50 of them and none is blank.

    So it is in lists of messages, and in many Chinese books; a passage of a few lines says nothing about it.
    """
    return sum(text.count("\n") for text in texts) > MOST_LINES and not any(map(_BLANK.search, texts))


def visible(character: str) -> str:
    r"""A character as it can be read in a table: a space is "space", a newline "\n", what cannot be seen its code."""
    if character == " ":
        return "space"
    return character if character.isprintable() else ascii(character)[1:-1]


def most_frequent(texts: Sequence[str]) -> tuple[str, ...]:
    """The most frequent characters of some texts, at most 200, the most frequent first; equal ones in their order."""
    points = code_points("".join(texts))
    if not len(points):
        return ()
    counts = np.bincount(points)
    order = np.argsort(-counts, kind="stable")[: min(MOST_CATEGORIES, np.count_nonzero(counts))]
    return tuple(map(chr, order.tolist()))


def as_category(name: str, title: str, points: NDArray[np.integer[Any]], characters: Sequence[str]) -> list[Feature]:
    """Which of some characters each is; -1 (no category) if it is another, or the point is negative.

    No feature where there are no characters to tell apart.
    """
    if not characters:
        return []
    known = np.array([ord(character) for character in characters])
    table = np.full(int(max(known.max(), points.max(initial=0))) + 2, -1, np.int16)
    table[known] = np.arange(len(known))
    return [Feature(name, title, table[points], tuple(map(visible, characters)))]  # the last entry stands for -1


def named(family: str, values: dict[str, tuple[str, NDArray[Any]]]) -> list[Feature]:
    """Features of one family from name -> (title, values): truth values stay what they are, numbers become float32."""
    return [
        Feature(f"{family}.{name}", title, array if array.dtype == np.bool_ else array.astype(np.float32))
        for name, (title, array) in values.items()
    ]
