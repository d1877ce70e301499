"""Indentation: how far the line is indented, and whether it is indented more than the line before.

The indentation of a line is known once its text begins; before that it is NaN, and the line is neither deeper nor
shallower. A tab goes to the next multiple of 8 columns. A newline belongs to the line that it ends. The line before is
the last line that is not blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import (
    NEWLINE,
    CodePoints,
    Mask,
    Places,
    characters_where,
    code_points,
    family_features,
    last_mark,
    nan_unless,
    shifted,
    starts_after,
)

TAB_COLUMNS = 8


@dataclass(frozen=True)
class _Lines:
    """The lines of a text.

    Attributes:
        starts: (T,) the place where the line of each character starts.
        begun: (T,) whether the text of the line has begun.
        first: (T,) whether the text of the line begins with this character.
        columns: the indentation of each line that has text, in order; tabs are expanded.
    """

    starts: Places
    begun: Mask
    first: Mask
    columns: Places


def _lines(text: str, points: CodePoints) -> _Lines:
    newline = points == NEWLINE
    starts = last_mark(starts_after(newline))
    printed = characters_where(points, lambda c: not c.isspace())
    begun = last_mark(printed) >= starts
    first = printed & ~(shifted(begun) & (np.arange(len(points)) > starts))
    places = np.flatnonzero(first)
    columns = places - starts[places]
    tabs = np.concatenate([[0], np.cumsum(points == ord("\t"))])
    for line in np.flatnonzero(tabs[places] > tabs[starts[places]]):
        columns[line] = len(text[starts[places[line]] : places[line]].expandtabs(TAB_COLUMNS))
    return _Lines(starts, begun, first, columns)


def indent_columns(texts: Sequence[str]) -> int:
    """Return the most common difference in columns between consecutive lines, at a tie the smallest; 1 without any."""
    changes = [np.abs(np.diff(_lines(text, code_points(text)).columns)) for text in texts]
    counts = np.bincount(np.concatenate([*changes, np.zeros(0, np.int64)]), minlength=2)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 1


def _family(texts: Sequence[str]) -> Family:
    unit = indent_columns(texts)
    return Family("indentation", "how far the line is indented", lambda text: _annotate(text, unit))


def _annotate(text: str, unit: int) -> list[Feature]:
    points = code_points(text)
    lines = _lines(text, points)
    newline = points == NEWLINE
    line = np.cumsum(lines.first)  # lines with text so far; 0 before the first
    columns = np.concatenate([[0], lines.columns])
    change = np.concatenate([[0, 0], np.diff(lines.columns)])[: len(columns)][line]
    space = ~lines.begun & ~newline

    def of_line(condition: NDArray[np.bool_]) -> Mask:
        return lines.begun & condition

    return family_features(
        "indentation",
        {
            "columns": ("columns of indentation", nan_unless(lines.begun, columns[line])),
            "depth": (f"indentation in steps of {unit}", nan_unless(lines.begun, columns[line] / unit)),
            "spaces": (
                "white space since the newline, before the line's text",
                nan_unless(space, np.arange(len(points)) - lines.starts + 1),
            ),
            "indented": ("in a line that is indented", of_line(columns[line] > 0)),
            "in_indentation": ("in the white space before the line's text", space),
            "blank": ("the end of a blank line", newline & ~lines.begun),
            "deeper": ("indented more than the line before", of_line(change > 0)),
            "shallower": ("indented less than the line before", of_line(change < 0)),
            "same": ("indented like the line before", of_line((change == 0) & (line > 1))),
        },
    )


FAMILY = fitted_to_texts(_family)
