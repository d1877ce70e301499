"""Formats of dates in files: text, numbers such as 20200131, and seconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta, timezone
from typing import Literal

DateOrder = Literal["dmy", "mdy", "ymd"]

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FULL_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_MONTH = r"(?P<mon>[A-Za-z]{3,9})\.?"
_TIME = (
    r"(?:(?:T|,? +)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?: ?(?P<ap>[AaPp]\.?[Mm]\.?))?(?: ?(?P<z>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?"
)
_DAYS = (
    r"(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})",
    r"(?P<y>(?:1[6-9]|2[01])\d{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])",
    r"(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})(?P=s)(?P<c>\d{4}|\d{2})",
    rf"(?P<d>\d{{1,2}})[- ./]{_MONTH},?[- ./](?P<y>\d{{4}}|\d{{2}})",
    rf"{_MONTH} (?P<d>\d{{1,2}}),? (?P<y>\d{{4}})",
    rf"(?P<y>\d{{4}})[- ./]{_MONTH}[- ./](?P<d>\d{{1,2}})",
    r"(?P<y>(?:1[6-9]|2[01])\d{2})(?P<m>0[1-9]|1[0-2])",
    r"(?P<y>\d{4}) ?[年년] ?(?P<m>\d{1,2}) ?[月월] ?(?P<d>\d{1,2}) ?[日号號일]",
)
_COMPACT_TIME = (
    r"(?P<y>(?:19|20)\d{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])"
    r"(?P<H>[01]\d|2[0-3])(?:(?P<M>\d{2})(?P<S>\d{2})?)?"
)
_OTHERS = (
    r"(?P<y>\d{4})[-/M ](?P<m>\d{1,2})",
    r"(?P<m>\d{1,2})[-/](?P<y>\d{4})",
    rf"{_MONTH}[- ./]?(?P<y>\d{{4}})",
    rf"(?P<y>\d{{4}})[- ./]?{_MONTH}",
    r"(?P<y>\d{4})[-/ ]?[Qq](?P<q>[1-4])",
    r"[Qq](?P<q>[1-4])[-/ ]?(?P<y>\d{4})",
    r"(?P<y>\d{4})-?W(?P<w>\d{2})(?:-?(?P<k>[1-7]))?",
    r"(?P<y>\d{4}) ?[年년] ?(?P<m>\d{1,2}) ?[月월]",
    _COMPACT_TIME,
)
FORMS = tuple(re.compile(form + _TIME) for form in _DAYS) + tuple(map(re.compile, _OTHERS))
"""The forms of dates. The form that most values of a column have is taken."""

NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")
# (smallest, largest, factor) of seconds, milli-, micro- and nanoseconds since 1970, from 1973 to 2103.
EPOCHS = tuple((1e8 * factor, 4.2e9 * factor, factor) for factor in (1.0, 1e3, 1e6, 1e9))
EPOCH = datetime(1970, 1, 1)


def looks_like_date(value: str) -> bool:
    """Return whether a field is written as a date; a plain number is not."""
    return any(form.fullmatch(value) for form in FORMS) and not NUMBER.fullmatch(value)


def is_compact(values: Sequence[str]) -> bool:
    """Return whether all values are dates without separators, as in 20200131, 202001 or 202001312359."""
    return any(all(form.fullmatch(value) for value in values) for form in (FORMS[1], FORMS[6], FORMS[-1]))


def seconds_of(match: re.Match[str], order: DateOrder | None) -> tuple[float, float]:
    """Return the seconds since 1970 of a date, on the clock of the file and in UTC.

    Args:
        match: the match of one of `FORMS`.
        order: of day, month and year if all three are numbers.

    Raises:
        ValueError: the date does not exist.
        OverflowError: the date is outside the calendar of Python.
    """
    part = {key: value for key, value in match.groupdict().items() if value is not None}
    if order is not None:
        part |= {field: part[group] for field, group in zip(order, "abc", strict=True)}
    year = int(part["y"])
    if len(part["y"]) <= 2:
        year += 1900 if year >= 70 else 2000
    month = int(part.get("m", 1))
    if "mon" in part:
        month = _month_number(part["mon"].lower())
    if "q" in part:
        month = 3 * int(part["q"]) - 2
    hour = int(part.get("H", 0))
    if "ap" in part:
        hour = hour % 12 + (12 if part["ap"][0] in "pP" else 0) if 1 <= hour <= 12 else 24  # 24 does not exist
    if "w" in part:
        day = datetime.fromisocalendar(year, int(part["w"]), int(part.get("k", 1)))
    else:
        day = datetime(year, month, int(part.get("d", 1)))
    fraction = float(f"0.{part.get('f', '0')}")
    minute, second = int(part.get("M", 0)), int(part.get("S", 0))
    time(hour, minute, second - (second == 60))  # a ValueError for a time that does not exist; 60 is a leap second
    clock = timedelta(hours=hour, minutes=minute, seconds=second)
    local = (day + clock - EPOCH).total_seconds() + fraction
    return local, local - _offset(part.get("z", "Z"))


def _month_number(name: str) -> int:
    """Return the number of a month by its name, in full or in three letters.

    Raises:
        ValueError: the month does not exist.
    """
    short = "sep" if name == "sept" else name
    return 1 + (FULL_MONTHS.index(short) if short in FULL_MONTHS else MONTHS.index(short))


def _offset(zone: str) -> float:
    """Return the seconds that a time zone is ahead of UTC."""
    if zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    delta = timezone(timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))).utcoffset(None)
    return delta.total_seconds() * (-1 if zone[0] == "-" else 1)


def write_date(moment: datetime, sample: re.Match[str] | str, order: DateOrder | None, padded: frozenset[str]) -> str:
    """Return a date as a column writes its dates.

    Args:
        moment: the date, on the clock of the file.
        sample: a date of the column, as the match of its form; a string of seconds since 1970.
        order: of day, month and year if all three are numbers.
        padded: the fields with a zero before a single digit.
    """
    if isinstance(sample, str):
        factor = next(factor for low, high, factor in EPOCHS if low <= float(sample) <= high)
        return f"{(moment - EPOCH).total_seconds() * factor:.0f}"
    text, parts, end = sample.string, [], 0
    spans = {key: sample.span(key) for key, value in sample.groupdict().items() if value is not None}
    iso = moment.isocalendar()
    fields = {"y": moment.year, "m": moment.month, "d": moment.day, "M": moment.minute, "S": moment.second}
    fields |= {"H": moment.hour, "q": (moment.month + 2) // 3, "w": iso.week, "k": iso.weekday}
    if "ap" in spans:
        fields["H"] = (moment.hour + 11) % 12 + 1
    if "w" in spans:
        fields["y"] = iso.year
    fields |= {group: fields[field] for group, field in zip("abc", order or "", strict=False)}
    for key, (start, stop) in sorted(spans.items(), key=lambda item: item[1]):
        old = text[start:stop]
        if key == "mon":
            names = FULL_MONTHS if old.lower() in FULL_MONTHS and len(old) > 3 else MONTHS
            new = names[moment.month - 1]
            new = new.upper() if old.isupper() else new.capitalize() if old[0].isupper() else new
        elif key == "ap":
            letter = "p" if moment.hour >= 12 else "a"
            new = (letter.upper() if old[0].isupper() else letter) + old[1:]
        elif key == "f":
            new = f"{moment.microsecond:06d}".ljust(len(old), "0")[: len(old)]
        elif key in ("s", "z"):
            new = old
        else:
            width = 4 if key == "y" else 2 if key in "MSw" or key in padded else 1
            new = f"{fields[key]:0{max(width, 4 if len(old) == 4 else 1)}d}"
            new = new[-2:] if key in "cy" and len(old) == 2 else new
        parts += [text[end:start], new]
        end = stop
    return "".join([*parts, text[end:]])
