"""Numbers as files write them: decimal commas, separators of thousands, signs of per cent, and what is missing."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?", "."})
"""What stands in the place of a missing number, in small letters."""

SPACES = " \u00a0\u2009\u202f"
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
_THOUSANDS = (",", ".", " ", "'", "_")
_LIKE_NUMBER = re.compile(rf"[-+\u2212]?[$€£¥]?[-+]?\.?\d[\d.,_{SPACES}{APOSTROPHES}]*([eE][-+]?\d+)? ?%?")
_WITH_UNIT = re.compile(
    r"(?P<before>[^\W\d]{1,4}|[^\w\s+.,(\-\u2013\u2014])? ?(?P<number>[-+]?\d[\d.,]*)(?P<after> ?[^\d\s.,)-]{1,5})?"
)


@dataclass(frozen=True)
class Numerals:
    """How numbers are written.

    Attributes:
        decimal: what stands before the fraction, "." or ",".
        thousands: what stands between groups of three digits; "": nothing does. " " and "'" have wider relatives.
    """

    decimal: str = "."
    thousands: str = ""

    def __post_init__(self) -> None:
        """Refuse separators that no number has. Raises: TaskError."""
        if self.decimal not in (".", ","):
            raise TaskError("NUMERALS_SETTING_DECIMAL_THESE", decimal=self.decimal)
        if self.thousands and (self.thousands not in _THOUSANDS or self.thousands == self.decimal):
            raise TaskError(
                "NUMERALS_SETTING_THOUSANDS_OTHER_DECIMAL",
                map=", ".join(map(repr, _THOUSANDS)),
                decimal=self.decimal,
                thousands=self.thousands,
            )

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        mark = re.escape(self.decimal)
        whole = r"\d+"
        if self.thousands:
            group = f"[{ {' ': SPACES, chr(39): APOSTROPHES}.get(self.thousands, re.escape(self.thousands)) }]"
            whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d+)"
        return re.compile(rf"[-+]?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][-+]?\d+)?", re.ASCII)

    def number(self, field: str) -> float:
        """Return the number that a field is, infinite ones too; NaN: it is none."""
        plain = field.replace("\u2212", "-")
        if self.decimal == "." and not self.thousands:
            try:
                return float(plain) if plain.isascii() and "_" not in plain else math.nan
            except ValueError:
                return math.nan
        if not self._pattern.fullmatch(plain):
            return math.nan
        digits = "".join(c for c in plain if c not in SPACES + APOSTROPHES + "_" and c != self.thousands)
        return float(digits.replace(self.decimal, "."))

    def column(self, fields: Sequence[str]) -> tuple[np.ndarray, bool]:
        """Return the numbers of a column, (T,), NaN for what is none; and whether all have a sign of per cent."""
        present = [field for field in fields if field.casefold() not in MISSING]
        percent = bool(present) and all(field.endswith("%") for field in present)
        if percent:
            fields = [field.removesuffix("%").rstrip() for field in fields]
        return np.array([self.number(field) for field in fields]), percent


def looks_like_number(field: str) -> bool:
    """Return whether a field is a number in some way of writing numbers."""
    return _LIKE_NUMBER.fullmatch(field) is not None or not math.isnan(Numerals().number(field))


def how_to_read(field: str, now: Numerals) -> str:
    """Return the settings that read a field, in brackets after a space; "" where there are none.

    Args:
        field: what `now` reads as no number.
        now: how numbers are read.
    """
    if field.endswith("%"):
        return " (other numbers of the column have no sign of per cent)" if now.number(field[:-1].rstrip()) else ""
    ways = []
    for decimal in (".", ","):
        for thousands in ("", *_THOUSANDS):
            if thousands == decimal or Numerals(decimal, thousands) == now:
                continue
            if math.isfinite(Numerals(decimal, thousands).number(field)):
                changed = [setting("decimal", decimal)] if decimal != now.decimal else []
                changed += [setting("thousands", thousands)] if thousands and thousands != now.thousands else []
                ways.append(" ".join(changed) or setting("thousands", ""))
    if not ways and (unit := _WITH_UNIT.fullmatch(field)) and math.isfinite(now.number(unit["number"])):
        return f" (it is one without {(unit['before'] or unit['after']).strip()!r})"
    fewest = min((way.count("=") + way.count("--") for way in ways), default=0)
    chosen = [way for way in ways if way.count("=") + way.count("--") == fewest]
    return f" ({' or '.join(dict.fromkeys(chosen))} reads it)" if chosen else ""
