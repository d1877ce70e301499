"""Columns of numbers over time, read from a table and sorted by date."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.numerals import MISSING, Numerals, way_to_read
from gatescope.tasks.data.tables import MAX_FILE_BYTES, MAX_LISTED_FAULTS, Fault, refuse, shown
from gatescope.tasks.forecasting.calendar import Dates, Step
from gatescope.tasks.forecasting.date_formats import DateOrder
from gatescope.tasks.forecasting.dates import DateError, read_dates
from gatescope.tasks.forecasting.series_table import SeriesTable, read_table

Order = Literal["dates", "file"]
Duplicates = Literal["first", "last", "mean"]

_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
LARGEST_NUMBER = 1e100  # squares of larger numbers, which a variance needs, may be infinite
MAX_FILLED_PER_ROW = 10  # rows that fill gaps, for each row of the file


@dataclass(frozen=True)
class Series:
    """Numbers that were measured together, step after step.

    Attributes:
        names: the names of the C columns.
        values: (T, C).
        steps: the names of the T steps, such as dates; numbers from 0 if the file has no names.
        lines: (T,) the line of the file, from 1, of each step.
        filled: the number of missing numbers that were filled in.
        notes: sentences about the order of the steps, gaps, and columns that were left out.
        step: the distance between two dates; None: the file has no dates, or they are not evenly spaced.
        following: the names of the steps after the last one; empty without a step.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "T C"]
    steps: tuple[str, ...]
    lines: Int[np.ndarray, " T"]
    filled: int = 0
    notes: tuple[str, ...] = ()
    step: Step | None = None
    following: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Settings for reading a table of numbers.

    Attributes:
        encoding: of the file; None: UTF-8, or the encoding of its byte order mark.
        decimal: the mark before the fraction of a number, "." or ",".
        thousands: the mark between groups of three digits, such as "," or " "; "": none.
        order: "dates": sort the rows by date; "file": keep the order of the file.
        date_order: how dates such as 01/02/2020 are read; None: as other values of the column show.
        duplicates: which of several rows of one date counts; None: refuse rows of one date that differ.
        skip_bad: leave wrong rows out instead of refusing the file.
    """

    encoding: str | None = None
    decimal: str = "."
    thousands: str = ""
    order: Order = "dates"
    date_order: DateOrder | None = None
    duplicates: Duplicates | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TaskError: a setting has a value that does not exist.
        """
        Numerals(self.decimal, self.thousands)
        for name, value, known in (
            ("order", self.order, ("dates", "file")),
            ("date_order", self.date_order, (None, "dmy", "mdy", "ymd")),
            ("duplicates", self.duplicates, (None, "first", "last", "mean")),
        ):
            if value not in known:
                names = ", ".join(repr(choice) for choice in known if choice)
                raise TaskError("SERIES_SETTING_UNKNOWN", name=name, names=names, value=value)


def read_series(
    path: str | os.PathLike[str],
    columns: Sequence[str | int] | None = None,
    steps: str | int | None = None,
    fill_missing: bool = False,
    shortest: int = 1,
    largest: int = MAX_FILE_BYTES,
    *,
    targets: Sequence[str] | None = None,
    reading: Reading = Reading(),
    ahead: int = 0,
    expected: Sequence[str] = (),
) -> Series:
    """Read the columns of numbers of a table (CSV or TSV), with or without a line of names.

    A column of dates is not predicted: it names the steps, and the rows are sorted by it. It is found by its name, by
    its first value, or because it comes first and has no name. Columns called year and month (and day), or date and
    time, are one date together. A column that only counts the rows is left out.

    Args:
        path: the file.
        columns: the columns to read, by name or by number (from 1); None: all but dates and row numbers.
        steps: the column that names the steps; None: the column of dates, if there is one.
        fill_missing: give a missing number (an empty field, NA, NaN, ...) the value of the step before, and a missing
            date of evenly spaced ones the row of the date before.
        shortest: the fewest steps of the series.
        largest: the most bytes that the file may have.
        targets: the columns to predict, by name; checked before anything else.
        reading: how the table is written.
        ahead: the number of steps after the last one to name.
        expected: columns that are read even if they only count the rows.

    Raises:
        TaskError: the file cannot be used; the message lists every wrong line.
    """
    numerals = Numerals(reading.decimal, reading.thousands)
    by_dates = reading.order == "dates"
    table = read_table(path, columns, steps, largest, reading.encoding, numerals, dates=by_dates, expected=expected)
    targets_among(table.names, targets)
    faults = list(table.faults)
    values, missing, notes = _values(table, numerals, fill_missing, faults)
    notes[:0] = table.notes
    dates = _dates(table, reading, notes, faults)
    rows = np.arange(len(values))
    if reading.skip_bad and faults and all(fault.line for fault in faults):
        rows = _without_faults(table, faults, notes)
        table, values, missing, faults = table.of(rows.tolist()), values[rows], missing[rows], []
        dates, rows = _dates(table, reading, notes, faults), np.arange(len(rows))
    if dates is not None and not faults:
        try:
            rows = _sorted_by_date(table, values, dates, rows, reading, notes)
        except DateError as error:
            refuse(path, error.faults)
    if len(rows) < shortest:
        faults.append(Fault(None, Message("FAULT_STEPS_FEW", expected=shortest, count=len(rows))))
    if faults:
        refuse(path, faults, can_skip=True)
    series = _with_gaps(table, values, dates, rows, fill_missing, notes, ahead)
    return _filled(series, path) if missing.any() else series


def _values(
    table: SeriesTable, numerals: Numerals, fill: bool, faults: list[Fault]
) -> tuple[Float[np.ndarray, "T C"], Bool[np.ndarray, "T C"], list[str]]:
    """Return the numbers of a table, the mask of missing ones, and notes; other fields are added to the faults."""
    values = np.empty((len(table.lines), len(table.names)))
    missing = np.zeros(values.shape, np.bool_)
    notes: list[str] = []
    for column, (name, fields) in enumerate(zip(table.names, table.fields, strict=True)):
        values[:, column], percent = numerals.column(fields)
        if percent:
            notes.append(str(Message("SERIES_NOTE_PERCENT", name=name)))
        if numerals == Numerals() and (doubtful := _perhaps_thousands(fields)):
            settings = f"{setting('decimal', ',')} {setting('thousands', '.')}"
            notes.append(str(Message("SERIES_NOTE_THOUSANDS", name=name, value=doubtful, settings=settings)))
        for count, step in enumerate(np.flatnonzero(~np.isfinite(values[:, column])).tolist()):
            field, line = fields[step], table.lines[step]
            if field.casefold() in MISSING:
                missing[step, column] = True
                if not fill:
                    problem = Message("FAULT_NUMBER_MISSING", setting=setting("fill_missing"))
                    faults.append(Fault(line, problem, name))
            else:
                code = "FAULT_NUMBER_INFINITE" if np.isinf(values[step, column]) else "FAULT_NUMBER"
                way = way_to_read(field, numerals) if count < MAX_LISTED_FAULTS else None
                faults.append(Fault(line, Message(code, value=shown(field), way=f" {way}" if way else ""), name))
        for step in np.flatnonzero(np.isfinite(values[:, column]) & (np.abs(values[:, column]) > LARGEST_NUMBER)):
            problem = Message("FAULT_NUMBER_TOO_LARGE", largest=LARGEST_NUMBER, value=shown(fields[step]))
            faults.append(Fault(table.lines[step], problem, name))
    return values, missing, notes


def _perhaps_thousands(fields: Sequence[str]) -> str:
    """Return the first number with a point that may separate thousands; "" if other numbers exclude this."""
    pointed = [field for field in fields if "." in field]
    whole = all(len(field.lstrip("-")) <= 3 for field in fields if "." not in field and field.casefold() not in MISSING)
    return pointed[0] if pointed and whole and all(map(_THOUSANDS.fullmatch, pointed)) else ""


def _dates(table: SeriesTable, reading: Reading, notes: list[str], faults: list[Fault]) -> Dates | None:
    """Return the dates of the steps; None if the steps have no dates or keep the order of the file."""
    if not table.steps or reading.order == "file":
        return None
    try:
        dates = read_dates(table.steps, table.lines, table.steps_name, reading.date_order, table.named_as_date)
    except DateError as error:
        faults += error.faults
        return None
    if dates is None:
        note = Message("SERIES_NOTE_NOT_DATES", name=table.steps_name, value=shown(table.steps[0]), line=table.lines[0])
        notes.append(str(note))
    return dates


def _without_faults(table: SeriesTable, faults: list[Fault], notes: list[str]) -> Int[np.ndarray, " R"]:
    """Return the rows without a fault, and add a note about the others."""
    wrong = {fault.line for fault in faults}
    first = min(faults, key=lambda fault: fault.line or 0)
    notes.append(str(Message("SERIES_NOTE_SKIPPED", count=len(wrong), fault=first.message)))
    return np.flatnonzero([line not in wrong for line in table.lines])


def _sorted_by_date(
    table: SeriesTable,
    values: Float[np.ndarray, "T C"],
    dates: Dates,
    rows: Int[np.ndarray, " R"],
    reading: Reading,
    notes: list[str],
) -> Int[np.ndarray, " D"]:
    """Return the rows in the order of their dates, one for each date.

    The rows of one date in `values` become their mean, in place, if `reading.duplicates` is "mean".

    Raises:
        DateError: rows of one date differ.
    """
    steps = list(table.steps or ())
    moments = dates.order[rows]
    backwards = np.flatnonzero(np.diff(moments) < 0)
    if backwards.size:
        row = int(rows[backwards[0] + 1])
        newest_first = backwards.size == len(rows) - 1
        code = "SERIES_NOTE_NEWEST_FIRST" if newest_first else "SERIES_NOTE_UNSORTED"
        notes.append(str(Message(code, line=table.lines[row], value=shown(steps[row]))))
        order = np.arange(len(rows))[::-1] if newest_first else np.argsort(moments, kind="stable")
        rows, moments = rows[order], moments[order]
    repeats = np.append(False, np.diff(moments) == 0)
    if not repeats.any():
        return rows
    _note_or_refuse_repeats(table, values, rows, repeats, reading, notes)
    if reading.duplicates == "mean":
        groups = np.cumsum(~repeats) - 1
        for group in np.unique(groups[repeats]).tolist():
            members = rows[groups == group]
            values[members] = values[members].mean(axis=0)
    return rows[np.append(~repeats[1:], True)] if reading.duplicates == "last" else rows[~repeats]


def _note_or_refuse_repeats(
    table: SeriesTable,
    values: Float[np.ndarray, "T C"],
    rows: Int[np.ndarray, " R"],
    repeats: Bool[np.ndarray, " R"],
    reading: Reading,
    notes: list[str],
) -> None:
    """Add a note about rows that repeat the date of the row before.

    Raises:
        DateError: such rows have other numbers, and no setting chooses among them.
    """
    steps, lines = list(table.steps or ()), table.lines
    different = [
        k for k in np.flatnonzero(repeats).tolist() if not np.array_equal(*values[rows[k - 1 : k + 1]], equal_nan=True)
    ]
    place = int((different or np.flatnonzero(repeats))[0])
    line, value = lines[rows[place]], shown(steps[rows[place]])
    if different and reading.duplicates is None:
        problem = Message(
            "FAULT_DATE_REPEATED",
            value=value,
            other_line=lines[rows[place - 1]],
            count=len(different),
            ways=" or ".join(setting("duplicates", way) for way in ("first", "last", "mean")),
            order=setting("order", "file"),
        )
        fault = Fault(line, problem, table.steps_name)
        raise DateError(fault.message, faults=[fault])
    count = int(repeats.sum())
    if different:
        note = Message("SERIES_NOTE_REPEATS_CHOSEN", count=count, line=line, value=value, way=reading.duplicates)
    else:
        note = Message("SERIES_NOTE_REPEATS_EQUAL", count=count, line=line, value=value)
    notes.append(str(note))


def _with_gaps(
    table: SeriesTable,
    values: Float[np.ndarray, "T C"],
    dates: Dates | None,
    rows: Int[np.ndarray, " R"],
    fill: bool,
    notes: list[str],
    ahead: int,
) -> Series:
    """Return the series of some rows. Missing dates between them are noted, or filled in."""
    names, lines = table.steps, np.array(table.lines, dtype=np.int64)
    step, gaps = (None, []) if dates is None else dates.step(rows.tolist())
    if dates is None or names is None:
        count = len(rows)
        titles = tuple(map(str, range(count))) if names is None else tuple(names[k] for k in rows)
        following = tuple(map(str, range(count, count + ahead))) if names is None else ()
        return Series(table.names, values[rows], titles, lines[rows], 0, tuple(notes), None, following)
    if step is None and len(rows) > 2:
        notes.append(str(Message("SERIES_NOTE_UNEVEN")))
    missing = sum(count for _, count in gaps)
    repeats = np.ones(len(rows), dtype=np.int64)
    if step is not None and gaps:
        before, after = int(rows[gaps[0][0]]), int(rows[gaps[0][0] + 1])
        gap = {
            "dates": missing,
            "places": len(gaps),
            "before": shown(names[before]),
            "before_line": lines[before],
            "after": shown(names[after]),
            "after_line": lines[after],
            "step": step,
        }
        if fill and missing <= MAX_FILLED_PER_ROW * len(rows):
            notes.append(str(Message("SERIES_NOTE_GAPS_FILLED", **gap)))
            repeats[[place for place, _ in gaps]] += [count for _, count in gaps]
        else:
            notes.append(str(Message("SERIES_NOTE_GAPS_LEFT", **gap, setting=setting("fill_missing"))))
    repeated = np.repeat(rows, repeats)
    titles = [names[k] for k in rows]
    if step is not None and len(repeated) > len(rows):
        titles = [
            title
            for k, row in enumerate(rows.tolist())
            for title in (names[row], *dates.after(row, step, int(repeats[k]) - 1))
        ]
    following = dates.after(int(rows[-1]), step, ahead) if step is not None else []
    filled = (len(repeated) - len(rows)) * len(table.names)
    return Series(
        table.names, values[repeated], tuple(titles), lines[repeated], filled, tuple(notes), step, tuple(following)
    )


def _filled(series: Series, path: str | os.PathLike[str]) -> Series:
    """Return the series with the value of the step before in place of each missing one."""
    values, known = series.values.copy(), ~np.isnan(series.values)
    for column, name in enumerate(series.names):
        if not known[:1, column].all():
            refuse(path, [Fault(int(series.lines[0]), Message("FAULT_NUMBER_MISSING_FIRST"), name)])
        source = np.maximum.accumulate(np.where(known[:, column], np.arange(len(values)), 0))
        values[:, column] = values[source, column]
    return replace(series, values=values, filled=series.filled + int((~known).sum()))


def targets_among(names: tuple[str, ...], targets: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns to predict, by the names that they have in the file.

    Args:
        names: the columns that are read.
        targets: the columns to predict, in any case; None: all that are read.

    Raises:
        TaskError: a target is not among the columns that are read, or is repeated.
    """
    if targets is None:
        return names
    chosen: list[str] = []
    for target in targets:
        matches = [name for name in names if name == target]
        matches = matches or [name for name in names if name.casefold() == target.casefold()]
        if len(matches) != 1:
            raise TaskError("SERIES_TARGET_UNKNOWN", names=", ".join(names), target=target)
        chosen += matches
    if not chosen or len(set(chosen)) < len(chosen):
        raise TaskError("SERIES_TARGETS_REPEATED", names=", ".join(names), targets=", ".join(chosen) or "none")
    return tuple(chosen)
