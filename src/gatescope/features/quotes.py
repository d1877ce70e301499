"""Quotes: inside which marks of quotation.

After the opening mark one is inside, after the closing mark outside. Closing a mark closes what was opened inside it,
and all are closed at a blank line at the latest (at the end of the line, where the texts have more than 50 lines and
none is blank); triple quotes and fences of three backticks go on across it. “ « and 「 do not nest in themselves: one
that comes before the last was closed takes its place. What follows a backslash is no mark.

The straight single quote is also the apostrophe. It is no mark between two letters (don't) or before the short forms
that begin with one ('tis); it opens only where no letter or digit stands before it (or the prefix of a string in a
program: b'...'), so that dogs' opens nothing. This needs the rest of the word, so it looks ahead, and since a closing
single quote closes what is inside it, the other marks look ahead there too. A plural's apostrophe inside single quotes
is taken for the closing one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import AHEAD, held, lines_are_paragraphs, named, only

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
_NUMBER = {kind: 1 << number for number, kind in enumerate(KINDS)}
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
    """Reads the marks of a text in their order and keeps what is open.

    Attributes:
        open: of each open quotation its mark as a program would close it (three quotes, n backticks), its kind, and
            the place of its opening mark; the innermost last.
        places, masks, since: after each mark, the kinds that are open as bits and where the innermost was opened.
    """

    def __init__(self, text: str, lines: bool) -> None:
        self.text = text
        self.open: list[tuple[str, str, int]] = []
        self.places: list[int] = []
        self.masks: list[int] = []
        self.since: list[int] = []
        self._empty = -2  # where the last empty pair of straight quotes ended
        self._row = (-2, 0)  # of straight quotes inside three: where the last stood, how many in a row
        for match in (_UP_TO_LINES if lines else _UP_TO_BLANK_LINES).finditer(text):
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
        self.masks.append(sum({_NUMBER[kind] for _, kind, _ in self.open}))
        self.since.append(self.open[-1][2] if self.open else -1)

    def _close(self, kind: str, mark: str = "") -> None:
        """Close the innermost of a kind (with this mark, if one is given) and all inside it, if there is one."""
        for number in range(len(self.open) - 1, -1, -1):
            if self.open[number][1] == kind and mark in ("", self.open[number][0]):
                del self.open[number:]
                return

    def _backticks(self, mark: str, place: int) -> int:
        """A row of backticks closes one that is no longer, or else opens; returns where that becomes so."""
        for opened, kind, _ in reversed(self.open):
            if kind == "backtick" and len(opened) <= len(mark):
                self._close(kind, opened)
                return place + len(opened) - 1
        if not any(kind == "backtick" for _, kind, _ in self.open):
            self.open.append((mark, "backtick", place))
        return place

    def _straight(self, mark: str, place: int) -> None:
        kind = _STRAIGHT[mark]
        if any(opened == mark * 3 for opened, _, _ in self.open):
            at, count = self._row
            count = count + 1 if at == place - 1 else 1
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
        """Whether a single quote belongs to a word; `inside` a quotation it can also close one."""
        before, after = self.text[place - 1 : place], self.text[place + 1 : place + 2]
        if inside:
            return (_in_word(before) and _in_word(after)) or bool(_SHORT_FORM.match(self.text, place))
        if not _in_word(before):
            return bool(_SHORT_FORM.match(self.text, place))
        return not _PREFIX.search(self.text[max(place - 4, 0) : place])


def _in_word(character: str) -> bool:
    """Whether an apostrophe beside it may belong to a word: letters and digits, but not those of Chinese."""
    return character.isalnum() and character < "\u2e80"


def _fitted(texts: Sequence[str]) -> Family:
    lines = lines_are_paragraphs(texts)
    return Family("quotes", "inside which marks of quotation", lambda text: _annotate(text, lines), _fitted)


def _annotate(text: str, lines: bool) -> list[Feature]:
    reader = _Reader(text, lines)
    masks = held(len(text), reader.places, reader.masks, 0)
    opened = held(len(text), reader.places, reader.since, -1)
    values = {
        "any": (f"inside quotes of any kind {AHEAD}", masks > 0),
        "since_opening": (
            f"characters since the innermost open quote {AHEAD}",
            only(opened >= 0, np.arange(len(text)) - opened),
        ),
    }
    for kind, shown in KINDS.items():
        values[kind] = (f"inside {shown} {AHEAD}", masks & _NUMBER[kind] > 0)
    return named("quotes", values)


FAMILY = Family("quotes", "inside which marks of quotation", lambda text: _fitted([text]).annotate(text), _fitted)
