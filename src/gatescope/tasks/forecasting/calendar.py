"""Steps between dates: their length, the gaps, the seasons of the calendar, and the dates that come next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from jaxtyping import Float

from gatescope.tasks.forecasting.date_formats import EPOCH, DateOrder, write_date

LAST_YEAR = 9990  # dates are continued no further; the calendar of Python ends in 9999


@dataclass(frozen=True)
class Step:
    """The distance between two dates that follow each other.

    Attributes:
        months: for steps of months, quarters and years; 0: the step has a fixed length.
        size: seconds, or the difference of plain numbers; one day if weekends are left out.
        weekdays: whether Saturdays and Sundays are left out.
        clock: whether `size` is in seconds.
    """

    months: int = 0
    size: float = 0.0
    weekdays: bool = False
    clock: bool = True

    @property
    def seasons(self) -> tuple[int, ...]:
        """The seasons of the calendar (day, week, year) in steps."""
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
class Dates:
    """The dates of a column.

    Attributes:
        order: (T,) numbers that grow with time: seconds since 1970 in UTC, or the plain numbers.
        local: (T,) seconds since 1970 on the clock of the file; equal to `order` without time zones.
        clock: whether the column has dates; otherwise plain numbers, such as years or counts.
        sample: the match of the last value in time, whose form later dates take.
        order_of_fields: the order of day, month and year in dates such as 01/02/2020.
        padded: the fields with a zero before a single digit.
    """

    order: Float[np.ndarray, " T"]
    local: Float[np.ndarray, " T"]
    clock: bool
    sample: re.Match[str] | str
    order_of_fields: DateOrder | None = None
    padded: frozenset[str] = frozenset()

    def step(self, rows: Sequence[int]) -> tuple[Step | None, list[tuple[int, int]]]:
        """Return the step between the dates of some rows, and the gaps.

        Args:
            rows: places of the dates, oldest first, no two equal.

        Returns:
            The step, None if the dates are not evenly spaced; and for each gap the place in `rows` before it and the
            number of missing dates.
        """
        if len(rows) < 3:
            return None, []
        local, order = self.local[list(rows)], self.order[list(rows)]
        if not self.clock:
            return _even(order, clock=False)
        for spacing in (_monthly(local), _even(local), _even(order)):
            if spacing[0] is not None:
                return spacing
        return None, []

    def after(self, row: int, step: Step, count: int) -> list[str]:
        """Return the dates after that of a row, written as the column writes dates.

        Args:
            row: the place of the date.
            step: the distance between two dates.
            count: the number of dates.

        Returns:
            The dates; fewer if they go beyond the year 9990.
        """
        if not self.clock:
            digits = max(0, len(str(self.sample).partition(".")[2]))
            return [f"{self.order[row] + k * step.size:.{digits}f}" for k in range(1, count + 1)]
        start = EPOCH + timedelta(seconds=float(self.local[row]))
        dates, moment = [], start
        for k in range(1, count + 1):
            if moment.year > LAST_YEAR:
                break
            if step.months:
                moment = _months_later(start, k * step.months)
            elif step.weekdays:
                moment += timedelta(days=1)
                while moment.weekday() > 4:
                    moment += timedelta(days=1)
            else:
                moment = start + timedelta(seconds=k * step.size)
            dates.append(write_date(moment, self.sample, self.order_of_fields, self.padded))
        return dates


def _even(values: np.ndarray, clock: bool = True) -> tuple[Step | None, list[tuple[int, int]]]:
    """Return the most frequent difference as a step if all others are multiples of it; weekends are not gaps."""
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
    """Return a step of whole months if all dates are on the same day of the month, or on its last day, at one time."""
    dates = [EPOCH + timedelta(seconds=float(value)) for value in local]
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
    """Return a step and its gaps; None if there is a gap at more than half of the places."""
    places = np.flatnonzero(missing)
    if len(places) > len(missing) // 2:
        return None, []
    return step, [(int(place), int(missing[place])) for place in places]


def _months_later(start: datetime, months: int) -> datetime:
    """Return the same day some months later; the last day of a month stays the last day."""
    count = 12 * start.year + start.month - 1 + months
    first = start.replace(year=count // 12, month=count % 12 + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    last = (following - timedelta(days=1)).day
    ends = (start + timedelta(days=1)).day == 1
    return first.replace(day=last if ends else min(start.day, last))
