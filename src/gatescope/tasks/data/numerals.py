"""Numbers as files write them: decimal commas, separators of thousands, signs of per cent, missing values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?", "."})
"""Fields that stand for a missing number, in small letters."""

SPACES = " \u00a0\u2009\u202f"
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
_THOUSANDS = (",", ".", " ", "'", "_")
_LIKE_NUMBER = re.compile(rf"[-+\u2212]?[$€£¥]?[-+]?\.?\d[\d.,_{SPACES}{APOSTROPHES}]*([eE][-+]?\d+)? ?%?")
_WITH_UNIT = re.compile(
    r"(?P<before>[^\W\d]{1,4}|[^\w\s+.,(\-\u2013\u2014])? ?(?P<number>[-+]?\d[\d.,]*)(?P<after> ?[^\d\s.,)-]{1,5})?"
)


@dataclass(frozen=True)
class Numerals:
    """A notation of numbers.

    Attributes:
        decimal: the mark before the fraction, "." or ",".
        thousands: the mark between groups of three digits; "": none. " " and "'" stand for their relatives, too.
    """

    decimal: str = "."
    thousands: str = ""

    def __post_init__(self) -> None:
        """Refuse marks that no number has.

        Raises:
            TaskError: the decimal mark or the separator of thousands is not among those that exist.
        """
        if self.decimal not in (".", ","):
            raise TaskError("NUMERALS_DECIMAL_UNKNOWN", decimal=self.decimal)
        if self.thousands and (self.thousands not in _THOUSANDS or self.thousands == self.decimal):
            raise TaskError(
                "NUMERALS_THOUSANDS_UNKNOWN",
                marks=", ".join(map(repr, _THOUSANDS)),
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
        """Return the number in a field, which may be infinite; NaN if the field is not a number."""
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
        """Return the numbers of a column, (T,), NaN for other fields; and whether all have a sign of per cent."""
        present = [field for field in fields if field.casefold() not in MISSING]
        percent = bool(present) and all(field.endswith("%") for field in present)
        if percent:
            fields = [field.removesuffix("%").rstrip() for field in fields]
        return np.array([self.number(field) for field in fields]), percent


def looks_like_number(field: str) -> bool:
    """Return whether a field is a number in any notation."""
    return _LIKE_NUMBER.fullmatch(field) is not None or not math.isnan(Numerals().number(field))


def way_to_read(field: str, current: Numerals) -> Message | None:
    """Return the sentence about how to read a field as a number; None if no notation fits.

    Args:
        field: a field that `current` does not read as a number.
        current: the notation in use.
    """
    if field.endswith("%"):
        return None if math.isnan(current.number(field[:-1].rstrip())) else Message("NUMERALS_WAY_PERCENT")
    ways: list[list[str]] = []
    for decimal in (".", ","):
        for thousands in ("", *_THOUSANDS):
            if thousands == decimal or Numerals(decimal, thousands) == current:
                continue
            if math.isfinite(Numerals(decimal, thousands).number(field)):
                changes = [setting("decimal", decimal)] if decimal != current.decimal else []
                changes += [setting("thousands", thousands)] if thousands and thousands != current.thousands else []
                ways.append(changes or [setting("thousands", "")])
    if not ways and (unit := _WITH_UNIT.fullmatch(field)) and math.isfinite(current.number(unit["number"])):
        return Message("NUMERALS_WAY_UNIT", unit=repr((unit["before"] or unit["after"]).strip()))
    if not ways:
        return None
    fewest = min(map(len, ways))
    settings = dict.fromkeys(" ".join(changes) for changes in ways if len(changes) == fewest)
    return Message("NUMERALS_WAY_SETTINGS", settings=" or ".join(settings))
