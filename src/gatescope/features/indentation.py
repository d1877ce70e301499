"""Indentation: how far the line's text is indented, and whether that is deeper than the line before.

A line's indentation is known once its text began: before, it is NaN and nothing is deeper or shallower. A tab goes to
the next multiple of 8. A newline belongs to the line that it ends. The line before is the last one that is not blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import (
    NEWLINE,
    Places,
    Points,
    Truth,
    code_points,
    first_after,
    last,
    named,
    only,
    shifted,
    where,
)

TAB = 8


@dataclass(frozen=True)
class _Lines:
    """The lines of a text.

    Attributes:
        starts: where each character's line starts, (T,).
        begun: whether the text of the line began, (T,).
        first: whether it begins with this character, (T,).
        columns: the indentation of each line that has text, in their order.
    """

    starts: Places
    begun: Truth
    first: Truth
    columns: Places


def _lines(text: str, points: Points) -> _Lines:
    newline = points == NEWLINE
    starts = last(first_after(newline))
    printed = where(points, lambda c: not c.isspace())
    begun = last(printed) >= starts
    first = printed & ~(shifted(begun) & (np.arange(len(points)) > starts))
    places = np.flatnonzero(first)
    columns = places - starts[places]
    tabs = np.concatenate([[0], np.cumsum(points == ord("\t"))])
    for line in np.flatnonzero(tabs[places] > tabs[starts[places]]):
        columns[line] = len(text[starts[places[line]] : places[line]].expandtabs(TAB))
    return _Lines(starts, begun, first, columns)


def step(texts: Sequence[str]) -> int:
    """The most common difference in columns between two lines, the smaller of two as common; 1 if none differ."""
    changes = [np.abs(np.diff(_lines(text, code_points(text)).columns)) for text in texts]
    counts = np.bincount(np.concatenate([*changes, np.zeros(0, np.int64)]), minlength=2)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 1


def _fitted(texts: Sequence[str]) -> Family:
    unit = step(texts)
    return Family("indentation", "how far the line is indented", lambda text: _annotate(text, unit), _fitted)


def _annotate(text: str, unit: int) -> list[Feature]:
    points = code_points(text)
    lines = _lines(text, points)
    newline = points == NEWLINE
    # The line's number among those with text; 0 stands for the beginning, before any.
    number = np.cumsum(lines.first)
    columns = np.concatenate([[0], lines.columns])
    change = np.concatenate([[0, 0], np.diff(lines.columns)])[: len(columns)][number]
    space = ~lines.begun & ~newline

    def of_line(condition: NDArray[np.bool_]) -> Truth:
        return lines.begun & condition

    return named(
        "indentation",
        {
            "columns": ("columns of indentation", only(lines.begun, columns[number])),
            "depth": (f"indentation in steps of {unit}", only(lines.begun, columns[number] / unit)),
            "spaces": (
                "white space since the newline, before the line's text",
                only(space, np.arange(len(points)) - lines.starts + 1),
            ),
            "indented": ("in a line that is indented", of_line(columns[number] > 0)),
            "in_indentation": ("in the white space before the line's text", space),
            "blank": ("the end of a blank line", newline & ~lines.begun),
            "deeper": ("indented more than the line before", of_line(change > 0)),
            "shallower": ("indented less than the line before", of_line(change < 0)),
            "same": ("indented like the line before", of_line((change == 0) & (number > 1))),
        },
    )


FAMILY = Family("indentation", "how far the line is indented", lambda text: _fitted([text]).annotate(text), _fitted)
