"""Quotes: which quotation marks each character is inside.

A character after the opening mark is inside; a character after the closing mark is outside. A closing mark also closes
every quotation opened inside it. All quotations end at a blank line at the latest (at the end of the line if the texts
have more than 50 lines and none is blank), except triple quotes and fences of three backticks. The marks “ « and 「 do
not nest in themselves: a second opening mark replaces the first. A character after a backslash is not a mark.

The straight single quote is also the apostrophe. It is not a mark between two letters (don't) or before short forms
such as 'tis. It opens a quotation only if no letter or digit stands before it, so that dogs' opens nothing; the prefix
of a string in a program (b'...') is an exception. This rule reads the rest of the word, so the feature looks ahead. The
other kinds look ahead too, because a closing single quote also closes them. Inside single quotes, the apostrophe of a
plural is taken for the closing mark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import AHEAD, family_features, lines_are_paragraphs, nan_unless, step_function

KINDS = {
    "double": '"..."',
    "single": "'...'",
    "triple": "three straight quotes",
    "backtick": "`...` or ``...``",
    "curly": "“...”",
    "curly_single": "‘...’",
    "guillemets": "«...»",
    "corner": "「...」 or 『...』",
}
_BIT = {kind: 1 << position for position, kind in enumerate(KINDS)}
_OPENING = {"“": "curly", "‘": "curly_single", "«": "guillemets", "「": "corner", "『": "corner"}
_CLOSING = {
    "”": ("curly", "“"),
    "’": ("curly_single", "‘"),
    "»": ("guillemets", "«"),
    "」": ("corner", "「"),
    "』": ("corner", "『"),
}
_STRAIGHT = {'"': "double", "'": "single"}

_MARK = r"""\\[^\n]|`+|["'“”‘’«»「」『』]"""
_UP_TO_BLANK_LINES = re.compile(rf"{_MARK}|\n[^\S\n]*\n")
_UP_TO_LINES = re.compile(rf"{_MARK}|\n")
_PREFIX = re.compile(r"(?<![\w'])[bfru]{1,2}\Z", re.IGNORECASE)
_SHORT_FORM = re.compile(
    r"['’](?:(?:tis|twas|twere|twill|twould|em|til|till|cause|bout|fore|gainst|gins|mid|mongst|neath|tween|twixt|scapes?"
    r"|zounds|\d\ds?)\b(?!['’])|(?:s|t|d|ll|re|ve)(?=[\s,.;:!?]))",
    re.IGNORECASE,
)


class _Reader:
    """The open quotations of a text, read mark by mark.

    Attributes:
        open: (closing mark, kind, place of the opening mark) of each open quotation, the innermost last.
        places: the place of each mark.
        masks: the kinds that are open after each mark, as bits.
        since: the place where the innermost open quotation begins after each mark; -1 if none is open.
    """

    def __init__(self, text: str, end_at_lines: bool) -> None:
        self.text = text
        self.open: list[tuple[str, str, int]] = []
        self.places: list[int] = []
        self.masks: list[int] = []
        self.since: list[int] = []
        self._empty = -2  # the end of the last empty pair of straight quotes
        self._row = (-2, 0)  # straight quotes inside triple quotes: the last place, the number in a row
        for match in (_UP_TO_LINES if end_at_lines else _UP_TO_BLANK_LINES).finditer(text):
            self._read(match[0], match.start())

    def _read(self, mark: str, place: int) -> None:
        if mark[0] == "\n":
            place += len(mark) - 1
            self.open = [opened for opened in self.open if len(opened[0]) >= 3]
        elif mark[0] == "`":
            place = self._backticks(mark, place)
        elif mark in _STRAIGHT:
            self._straight(mark, place)
        elif mark in _OPENING:
            self._close(_OPENING[mark], mark)
            self.open.append((mark, _OPENING[mark], place))
        elif mark in _CLOSING and not (mark == "’" and self._apostrophe(place)):
            self._close(*_CLOSING[mark])
        self.places.append(place)
        self.masks.append(sum({_BIT[kind] for _, kind, _ in self.open}))
        self.since.append(self.open[-1][2] if self.open else -1)

    def _close(self, kind: str, mark: str = "") -> None:
        """Close the innermost quotation of a kind, and of a mark unless it is "", and every quotation inside it."""
        for number in range(len(self.open) - 1, -1, -1):
            if self.open[number][1] == kind and mark in ("", self.open[number][0]):
                del self.open[number:]
                return

    def _backticks(self, mark: str, place: int) -> int:
        """Close the innermost row of at most as many backticks, or open a row; return the place of the change."""
        for opening, kind, _ in reversed(self.open):
            if kind == "backtick" and len(opening) <= len(mark):
                self._close(kind, opening)
                return place + len(opening) - 1
        if not any(kind == "backtick" for _, kind, _ in self.open):
            self.open.append((mark, "backtick", place))
        return place

    def _straight(self, mark: str, place: int) -> None:
        """Open or close a quotation at a straight quote, unless it is an apostrophe; three in a row are one mark."""
        kind = _STRAIGHT[mark]
        if any(opened == mark * 3 for opened, _, _ in self.open):
            last, count = self._row
            count = count + 1 if last == place - 1 else 1
            self._row = (place, count)
            if count == 3:
                self._close("triple", mark * 3)
                self._row = (-2, 0)
            return
        opened_at = next((at for _, open_kind, at in reversed(self.open) if open_kind == kind), None)
        if self._empty == place - 1 and self.text[place - 1] == mark:
            self.open.append((mark * 3, "triple", place - 2))
        elif mark == "'" and self._apostrophe(place, inside=opened_at is not None):
            return
        elif opened_at is not None:
            self._close(kind)
            self._empty = place if opened_at == place - 1 else -2
        else:
            self.open.append((mark, kind, place))

    def _apostrophe(self, place: int, *, inside: bool = True) -> bool:
        """Return whether a single quote is an apostrophe. `inside` a quotation it may also be the closing mark."""
        before, after = self.text[place - 1 : place], self.text[place + 1 : place + 2]
        if inside:
            return (_in_word(before) and _in_word(after)) or bool(_SHORT_FORM.match(self.text, place))
        if not _in_word(before):
            return bool(_SHORT_FORM.match(self.text, place))
        return not _PREFIX.search(self.text[max(place - 4, 0) : place])


def _in_word(character: str) -> bool:
    """Return whether an apostrophe beside this character may belong to a word: letters and digits, except Chinese."""
    return character.isalnum() and character < "\u2e80"


def _family(texts: Sequence[str]) -> Family:
    end_at_lines = lines_are_paragraphs(texts)
    return Family("quotes", "inside which quotation marks", lambda text: _annotate(text, end_at_lines))


def _annotate(text: str, end_at_lines: bool) -> list[Feature]:
    reader = _Reader(text, end_at_lines)
    masks = step_function(len(text), reader.places, reader.masks, 0)
    opened_at = step_function(len(text), reader.places, reader.since, -1)
    values = {
        "any": (f"inside quotes of any kind {AHEAD}", masks > 0),
        "since_opening": (
            f"characters since the innermost open quote {AHEAD}",
            nan_unless(opened_at >= 0, np.arange(len(text)) - opened_at),
        ),
    }
    for kind, shown in KINDS.items():
        values[kind] = (f"inside {shown} {AHEAD}", masks & _BIT[kind] > 0)
    return family_features("quotes", values)


FAMILY = fitted_to_texts(_family)
