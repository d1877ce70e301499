"""A column of dates, read in one way or refused.

The order of day and month in 01/02/2020 is never guessed: a value above 12 in the column decides, or the reader does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.tables import Fault, shown
from gatescope.tasks.forecasting.calendar import Dates
from gatescope.tasks.forecasting.date_formats import EPOCHS, FORMS, NUMBER, DateOrder, is_compact, seconds_of

SAMPLE_ROWS = 1000  # rows that decide about the form of the dates


class DateError(TaskError):
    """Dates cannot be read in one way.

    Attributes:
        faults: the lines with such dates.
    """

    def __init__(self, message: str | Message, /, *, faults: Sequence[Fault] = (), **values: Any) -> None:
        super().__init__(message, **values)
        self.faults = list(faults)


def _error(faults: Sequence[Fault]) -> DateError:
    return DateError(faults[0].message, faults=faults)


def read_dates(
    values: Sequence[str], lines: Sequence[int], name: str, order: DateOrder | None, named_as_date: bool
) -> Dates | None:
    """Return the dates of a column; None: its values are names and not dates.

    Args:
        values: (T,) the fields of the column.
        lines: (T,) the line of each.
        name: the name of the column.
        order: of day, month and year if all three are numbers; None: as the values show.
        named_as_date: whether numbers may be seconds since 1970, by the name of the column.

    Raises:
        DateError: only some values are dates, or they can be read in two ways.
    """
    plain = [NUMBER.fullmatch(value) is not None for value in values]
    if all(plain) and not (is_compact(values) and named_as_date):
        return _numbers(values, named_as_date)
    form = max(FORMS, key=lambda form: sum(form.fullmatch(value) is not None for value in values[:SAMPLE_ROWS]))
    matches = [form.fullmatch(value) for value in values]
    if not any(matches):
        return None
    faults = [
        Fault(line, Message("FAULT_DATE_FORM", value=shown(value)), name)
        for line, value, match in zip(lines, values, matches, strict=True)
        if match is None
    ]
    if faults:
        raise _error(faults)
    dates = [match for match in matches if match is not None]
    fields = _order_of_fields(dates, lines, name, order) if "a" in form.groupindex else None
    zones = [match.groupdict().get("z") is not None for match in dates]
    local, utc = np.empty(len(dates)), np.empty(len(dates))
    for k, match in enumerate(dates):
        try:
            local[k], utc[k] = seconds_of(match, fields)
        except (ValueError, OverflowError):
            faults.append(Fault(lines[k], Message("FAULT_DATE_IMPOSSIBLE", value=shown(match.string)), name))
        if zones[k] != zones[0]:
            code = "FAULT_DATE_ZONE_EXTRA" if zones[k] else "FAULT_DATE_ZONE_MISSING"
            faults.append(Fault(lines[k], Message(code, value=shown(match.string)), name))
    if faults:
        raise _error(faults)
    two_digits = {key for key in ("m", "d", "a", "b", "H") if key in form.groupindex}
    padded = frozenset(key for key in two_digits if all(len(match[key] or "00") == 2 for match in dates))
    return Dates(utc, local, True, dates[int(np.argmax(utc))], fields, padded)


def _numbers(values: Sequence[str], named_as_date: bool) -> Dates | None:
    """Return plain numbers: counts and years, or seconds since 1970."""
    numbers = np.array([float(value) for value in values])
    if not np.isfinite(numbers).all():
        return None
    for low, high, factor in EPOCHS if named_as_date else ():
        if numbers.size and (numbers >= low).all() and (numbers <= high).all():
            seconds = numbers / factor
            return Dates(seconds, seconds, True, values[int(np.argmax(seconds))])
    return Dates(numbers, numbers, False, values[int(np.argmax(numbers))] if len(values) else "")


def _order_of_fields(
    dates: Sequence[re.Match[str]], lines: Sequence[int], name: str, order: DateOrder | None
) -> DateOrder:
    """Return the order of three numbers.

    Raises:
        DateError: the order is not clear.
    """
    if order is not None:
        return order
    first = max((int(match["a"]), k) for k, match in enumerate(dates))
    second = max((int(match["b"]), k) for k, match in enumerate(dates))
    if first[0] > 31 or any(len(match["c"]) == 2 for match in dates):
        first = second = (0, 0)  # two digits of a year: never clear
    if first[0] > 12 and second[0] <= 12:
        return "dmy"
    if second[0] > 12 and first[0] <= 12:
        return "mdy"
    if first[0] > 12:
        problem = Message(
            "FAULT_DATE_ORDER_MIXED",
            value=shown(dates[first[1]].string),
            other=shown(dates[second[1]].string),
            other_line=lines[second[1]],
        )
        raise _error([Fault(lines[first[1]], problem, name)])
    problem = Message(
        "FAULT_DATE_ORDER_UNCLEAR",
        value=shown(dates[0].string),
        line=lines[0],
        settings=" or ".join(setting("date_order", way) for way in ("dmy", "mdy")),
    )
    raise _error([Fault(None, problem, name)])  # of the column: leaving that line out would not make it clear
