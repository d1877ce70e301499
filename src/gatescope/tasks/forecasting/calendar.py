"""Names of steps as moments: how dates are written, in which order they stand, what is missing, what comes next.

A column of dates is read in one way or not at all. Whether 01/02/2020 is in January or in February is never guessed:
one value of the column above 12 decides, or the reader does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

import numpy as np

from gatescope.errors import setting
from gatescope.tasks.data.tables import Fault, shown

DateOrder = Literal["dmy", "mdy", "ymd"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = (
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
"""How dates may be written; the first one that all values of a column have is taken."""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")
# Seconds, milli-, micro- and nanoseconds since 1970, from 1973 to 2103.
_EPOCH = tuple((1e8 * factor, 4.2e9 * factor, factor) for factor in (1.0, 1e3, 1e6, 1e9))
_ZERO = datetime(1970, 1, 1)


class DateError(ValueError):
    """Dates cannot be read in one way; `faults` has the lines."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(str(faults[0]))
        self.faults = faults


@dataclass(frozen=True)
class Step:
    """What lies between two dates that follow each other.

    Attributes:
        months: of steps of months, quarters and years; 0: the step has a length.
        size: seconds, or the difference of plain numbers; one day where weekends are left out.
        weekdays: whether Saturdays and Sundays are left out.
        clock: whether `size` is in seconds.
    """

    months: int = 0
    size: float = 0.0
    weekdays: bool = False
    clock: bool = True

    @property
    def seasons(self) -> tuple[int, ...]:
        """Steps of the seasons that a calendar has: a day, a week, a year."""
        if self.months:
            return (12 // self.months,) if self.months < 12 and 12 % self.months == 0 else ()
        if self.weekdays:
            return (5, 261)
        if not self.clock:
            return ()
        day, week, year = (period / self.size for period in (86_400, 604_800, 365.25 * 86_400))
        periods = [day, week] if day > 1 else [week, year]
        return tuple(round(period) for period in periods if period > 1 and abs(period - round(period)) < 0.3)

    def __str__(self) -> str:
        if self.months:
            return {1: "month", 3: "quarter", 12: "year"}.get(self.months, f"{self.months} months")
        if self.weekdays:
            return "weekday"
        if not self.clock:
            return f"{self.size:g}"
        names = {1: "second", 60: "minute", 3600: "hour", 86_400: "day", 604_800: "week"}
        if self.size in names:
            return names[int(self.size)]
        unit = next(((n, s) for s, n in sorted(names.items(), reverse=True) if self.size % s == 0), ("second", 1))
        return f"{self.size / unit[1]:g} {unit[0]}s"


@dataclass(frozen=True)
class Moments:
    """The dates of a column.

    Attributes:
        order: (T,) numbers that grow with time: seconds since 1970, or the plain numbers.
        local: (T,) what the clock showed, as seconds since 1970; the same as `order` without time zones.
        clock: whether they are dates; otherwise plain numbers, such as years or counts.
        sample: the match of the value that comes last, which says how dates are written.
        order_of_fields: how dates such as 01/02/2020 are read.
        padded: the fields that have a zero before one digit.
    """

    order: np.ndarray
    local: np.ndarray
    clock: bool
    sample: re.Match[str] | str
    order_of_fields: DateOrder | None = None
    padded: frozenset[str] = frozenset()

    def step(self, rows: Sequence[int]) -> tuple[Step | None, list[tuple[int, int]]]:
        """Return the step between the dates of some rows in their order, and the gaps.

        Args:
            rows: places of the dates, oldest first, no two the same.

        Returns:
            The step, None where the dates are not evenly spaced; and for each gap the place in `rows` after which it
            comes and how many dates are missing.
        """
        if len(rows) < 3:
            return None, []
        local, order = self.local[list(rows)], self.order[list(rows)]
        if not self.clock:
            return _even(order, clock=False)
        for found in (_monthly(local), _even(local), _even(order)):
            if found[0] is not None:
                return found
        return None, []

    def after(self, row: int, step: Step, count: int) -> list[str]:
        """Return the dates after the one of a row, written as the column writes them.

        Args:
            row: the place of the date.
            step: what lies between two dates.
            count: how many.

        Returns:
            The dates; fewer where the calendar of Python ends, in the year 9999.
        """
        if not self.clock:
            digits = max(0, len(str(self.sample).partition(".")[2]))
            return [f"{self.order[row] + k * step.size:.{digits}f}" for k in range(1, count + 1)]
        start = _ZERO + timedelta(seconds=float(self.local[row]))
        found, now = [], start
        for k in range(1, count + 1):
            if now.year > 9990:
                break
            if step.months:
                now = _months_later(start, k * step.months)
            elif step.weekdays:
                now += timedelta(days=1)
                while now.weekday() > 4:
                    now += timedelta(days=1)
            else:
                now = start + timedelta(seconds=k * step.size)
            found.append(self._written(now))
        return found

    def _written(self, moment: datetime) -> str:
        """A date as the column writes dates."""
        if isinstance(self.sample, str):  # seconds since 1970
            factor = next(factor for low, high, factor in _EPOCH if low <= float(self.sample) <= high)
            return f"{(moment - _ZERO).total_seconds() * factor:.0f}"
        text, parts, end = self.sample.string, [], 0
        spans = {key: self.sample.span(key) for key, value in self.sample.groupdict().items() if value is not None}
        iso = moment.isocalendar()
        fields = {"y": moment.year, "m": moment.month, "d": moment.day, "M": moment.minute, "S": moment.second}
        fields |= {"H": moment.hour, "q": (moment.month + 2) // 3, "w": iso.week, "k": iso.weekday}
        if "ap" in spans:
            fields["H"] = (moment.hour + 11) % 12 + 1
        if "w" in spans:
            fields["y"] = iso.year
        fields |= {name: fields[of] for name, of in zip("abc", self.order_of_fields or "", strict=False)}
        for key, (start, stop) in sorted(spans.items(), key=lambda item: item[1]):
            old = text[start:stop]
            if key == "mon":
                names = _FULL if old.lower() in _FULL and len(old) > 3 else _MONTHS
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
                wide = 4 if key == "y" else 2 if key in "MSw" or key in self.padded else 1
                new = f"{fields[key]:0{max(wide, 4 if len(old) == 4 else 1)}d}"
                new = new[-2:] if key in "cy" and len(old) == 2 else new
            parts += [text[end:start], new]
            end = stop
        return "".join([*parts, text[end:]])


def looks_like_date(value: str) -> bool:
    """Return whether a field is written as dates are; plain numbers are not."""
    return any(form.fullmatch(value) for form in FORMS) and not _NUMBER.fullmatch(value)


def moments(
    values: Sequence[str], lines: Sequence[int], name: str, order: DateOrder | None, named_as_date: bool
) -> Moments | None:
    """Return the dates of a column; None: they are names and no dates.

    Args:
        values: (T,) the fields of the column.
        lines: (T,) the line of each.
        name: of the column.
        order: of day, month and year where all three are numbers; None: as the values show.
        named_as_date: whether the name says that numbers may be seconds since 1970.

    Raises:
        DateError: some are dates and others are not, or they may be read in two ways.
    """
    plain = [_NUMBER.fullmatch(value) is not None for value in values]
    if all(plain) and not (_compact(values) and named_as_date):
        return _numbered(values, named_as_date)
    form = max(FORMS, key=lambda each: sum(each.fullmatch(value) is not None for value in values[:1000]))
    matches = [form.fullmatch(value) for value in values]
    if not any(matches):
        return None
    faults = [
        Fault(line, f"{name} is {shown(value)}, which is no date as the others are")
        for line, value, match in zip(lines, values, matches, strict=True)
        if match is None
    ]
    if faults:
        raise DateError(faults)
    found = [match for match in matches if match is not None]
    fields = _order_of_fields(found, lines, name, order) if "a" in form.groupindex else None
    zones = [match.groupdict().get("z") is not None for match in found]
    local, utc = np.empty(len(found)), np.empty(len(found))
    for k, match in enumerate(found):
        try:
            local[k], utc[k] = _seconds(match, fields)
        except (ValueError, OverflowError):
            faults.append(Fault(lines[k], f"{name} is {shown(match.string)}, and there is no such date"))
        if zones[k] != zones[0]:
            has = "has" if zones[k] else "has no"
            faults.append(Fault(lines[k], f"{name} is {shown(match.string)}, which {has} time zone, unlike the first"))
    if faults:
        raise DateError(faults)
    fields_of_two = {key for key in ("m", "d", "a", "b", "H") if key in form.groupindex}
    padded = frozenset(key for key in fields_of_two if all(len(match[key] or "00") == 2 for match in found))
    last = found[int(np.argmax(utc))]
    return Moments(utc, local, True, last, fields, padded)


def _compact(values: Sequence[str]) -> bool:
    """Whether all values are dates without separators, as in 20200131, 202001 or 202001312359."""
    return any(all(form.fullmatch(value) for value in values) for form in (FORMS[1], FORMS[6], FORMS[-1]))


def _numbered(values: Sequence[str], named_as_date: bool) -> Moments | None:
    """Plain numbers: counts and years, or seconds since 1970."""
    numbers = np.array([float(value) for value in values])
    if not np.isfinite(numbers).all():
        return None
    for low, high, factor in _EPOCH if named_as_date else ():
        if numbers.size and (numbers >= low).all() and (numbers <= high).all():
            seconds = numbers / factor
            return Moments(seconds, seconds, True, values[int(np.argmax(seconds))])
    return Moments(numbers, numbers, False, values[int(np.argmax(numbers))] if len(values) else "")


def _order_of_fields(
    found: Sequence[re.Match[str]], lines: Sequence[int], name: str, order: DateOrder | None
) -> DateOrder:
    """Which of three numbers is the day, the month and the year. Raises: DateError where that is not clear."""
    first = [(int(match["a"]), k) for k, match in enumerate(found)]
    second = [(int(match["b"]), k) for k, match in enumerate(found)]
    if order is not None:
        return order
    large_first, large_second = max(first), max(second)
    if large_first[0] > 31 or any(len(match["c"]) == 2 for match in found):
        large_first = large_second = (0, 0)  # two digits of a year: never clear
    if large_first[0] > 12 and large_second[0] <= 12:
        return "dmy"
    if large_second[0] > 12 and large_first[0] <= 12:
        return "mdy"
    place = large_first[1] if large_first[0] > 12 else 0
    what = f"{name} is {shown(found[place].string)}"
    if large_first[0] > 12:
        other = found[large_second[1]].string
        where = f"on line {lines[large_second[1]]:,} it is {shown(other)}"
        raise DateError([Fault(lines[place], f"{what}, and {where}: days and months change places")])
    ways = " or ".join(setting("date_order", each) for each in ("dmy", "mdy"))
    unclear = f"line {lines[0]:,}: {what}, which may be read in several ways; say which with {ways}"
    raise DateError([Fault(None, unclear)])  # of the column: leaving that line out would not make it clear


def _seconds(match: re.Match[str], order: DateOrder | None) -> tuple[float, float]:
    """Seconds since 1970 on the clock of the file, and of UTC. Raises: ValueError where there is no such date."""
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
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if part["ap"][0] in "pP" else 0)
    if "w" in part:
        day = datetime.fromisocalendar(year, int(part["w"]), int(part.get("k", 1)))
    else:
        day = datetime(year, month, int(part.get("d", 1)))
    fraction = float(f"0.{part.get('f', '0')}")
    clock = timedelta(hours=hour, minutes=int(part.get("M", 0)), seconds=int(part.get("S", 0)))
    if hour > 23 or int(part.get("M", 0)) > 59 or int(part.get("S", 0)) > 60:
        raise ValueError("no such time")
    local = (day + clock - _ZERO).total_seconds() + fraction
    return local, local - _offset(part.get("z", "Z"))


def _month_number(name: str) -> int:
    """The number of a month by its name, in full or in three letters. Raises: ValueError where there is none."""
    short = "sep" if name == "sept" else name
    return 1 + (_FULL.index(short) if short in _FULL else _MONTHS.index(short))


def _offset(zone: str) -> float:
    """Seconds that a time zone is ahead of UTC."""
    if zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    delta = timezone(timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))).utcoffset(None)
    return delta.total_seconds() * (-1 if zone[0] == "-" else 1)


def _even(values: np.ndarray, clock: bool = True) -> tuple[Step | None, list[tuple[int, int]]]:
    """The most frequent difference, where all others are multiples of it; weekends do not count as a gap."""
    differences = np.round(np.diff(values), 6)
    size = float(Counter(differences.tolist()).most_common(1)[0][0])
    if size <= 0:
        return None, []
    times = differences / size
    if np.abs(times - np.round(times)).max() > 1e-3 or times.min() < 0.5:
        return None, []
    missing = np.round(times).astype(np.int64) - 1
    if clock and size == 86_400 and missing.any():
        days = (values // 86_400).astype(np.int64)
        if not ((days + 3) % 7 > 4).any():  # the first of January 1970 was a Thursday
            dates = days.astype("datetime64[D]")
            missing = np.busday_count(dates[:-1], dates[1:]) - 1
            return _with_gaps(Step(size=size, weekdays=True), missing)
    return _with_gaps(Step(size=size, clock=clock), missing)


def _monthly(local: np.ndarray) -> tuple[Step | None, list[tuple[int, int]]]:
    """Steps of whole months: the same day of the month, or always its last day, at the same time of the day."""
    dates = [_ZERO + timedelta(seconds=float(value)) for value in local]
    if len({date.time() for date in dates}) > 1:
        return None, []
    same = len({date.day for date in dates}) == 1
    if not same and not all((date + timedelta(days=1)).day == 1 for date in dates):
        return None, []
    differences = np.diff([12 * date.year + date.month for date in dates])
    months = Counter(differences.tolist()).most_common(1)[0][0]
    if months < 1 or (differences % months).any() or differences.min() < 1:
        return None, []
    return _with_gaps(Step(months=int(months)), differences // months - 1)


def _with_gaps(step: Step, missing: np.ndarray) -> tuple[Step | None, list[tuple[int, int]]]:
    places = np.flatnonzero(missing)
    if len(places) > len(missing) // 2:
        return None, []
    return step, [(int(place), int(missing[place])) for place in places]


def _months_later(start: datetime, months: int) -> datetime:
    """The same day some months later; the last day of a month stays the last."""
    count = 12 * start.year + start.month - 1 + months
    first = start.replace(year=count // 12, month=count % 12 + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    last = (following - timedelta(days=1)).day
    ends = (start + timedelta(days=1)).day == 1
    return first.replace(day=last if ends else min(start.day, last))
