"""Columns of numbers over time, read from a table, in the order of their dates."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.numerals import MISSING, Numerals, how_to_read
from gatescope.tasks.data.tables import LARGEST, LISTED, Fault, refuse, shown
from gatescope.tasks.forecasting.calendar import DateError, DateOrder, Moments, Step, moments
from gatescope.tasks.forecasting.series_table import SeriesTable, read_table

Order = Literal["dates", "file"]
Duplicates = Literal["first", "last", "mean"]

_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
LARGEST_NUMBER = 1e100  # squares of larger ones, which a variance needs, may be infinite
MOST_FILLED = 10  # rows that gaps are filled with, for each row of the file


@dataclass(frozen=True)
class Series:
    """Numbers that were measured together, step after step.

    Arguments:
        names: of the C columns.
        values: (T, C).
        steps: the T names of the steps, such as dates; numbers from 0 where the file has none.
        lines: (T,) the line of the file, from 1, that each step is on.
        filled: how many missing numbers were filled in.
        notes: what a user should know about the order of the steps, as sentences.
        step: what lies between two dates; None: the file has none, or they are not evenly spaced.
        following: the names of the steps after the last one; fewer where nobody asked for more, none without a step.
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
    """How a table of numbers is read.

    Attributes:
        encoding: of the file; None: UTF-8, or what its byte order mark says.
        decimal: what stands before the fraction of a number, "." or ",".
        thousands: what stands between groups of three digits, such as "," or " "; "": nothing does.
        order: "dates": rows are sorted by their dates; "file": they are steps in the order of the file.
        date_order: how dates such as 01/02/2020 are read; None: as other values of the column show.
        duplicates: which of several rows of one date counts; None: they are refused where they differ.
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
        """Refuse what makes no sense. Raises: TaskError."""
        Numerals(self.decimal, self.thousands)
        for name, value, known in (
            ("order", self.order, ("dates", "file")),
            ("date_order", self.date_order, (None, "dmy", "mdy", "ymd")),
            ("duplicates", self.duplicates, (None, "first", "last", "mean")),
        ):
            if value not in known:
                listed = ", ".join(repr(each) for each in known if each)
                raise TaskError("SERIES_SETTING_CHOOSE_THESE", name=name, listed=listed, value=value)


def read_series(
    path: str | os.PathLike[str],
    columns: Sequence[str | int] | None = None,
    steps: str | int | None = None,
    fill_missing: bool = False,
    shortest: int = 1,
    largest: int = LARGEST,
    *,
    targets: Sequence[str] | None = None,
    reading: Reading = Reading(),
    ahead: int = 0,
) -> Series:
    """The columns of numbers of a table (CSV, TSV: any of comma, semicolon, tab), with or without a line of names.

    A column of dates is not predicted: it names the steps, and rows are sorted by it. It is found by its name, or
    because its first value is a date, or because it comes first and has no name; columns called year and month (and
    day), or date and time, are one date together.

    Arguments:
        columns: which ones, by name or by number (from 1); None: all but the one that names the steps.
        steps: the column that names the steps; None: found, where there is one.
        fill_missing: a missing number (an empty field, NA, NaN, ...) takes the value of the step before, and so does a
            missing date where the dates are evenly spaced.
        shortest: how many steps there must be, such as those of a window.
        largest: the most bytes the file may have.
        targets: those of the columns that will be predicted, by name; that they are there is said before all else.
        reading: how the table is written.
        ahead: how many steps after the last one are named.

    Raises: TaskError, which lists every line that cannot be used.
    """
    numerals = Numerals(reading.decimal, reading.thousands)
    table = read_table(path, columns, steps, largest, reading.encoding, numerals, dates=reading.order == "dates")
    targets_among(table.names, targets)
    faults = list(table.faults)
    values, missing, notes = _values(table, numerals, fill_missing, faults)
    when = _moments(table, reading, notes, faults)
    rows = np.arange(len(values))
    if reading.skip_bad and faults and all(fault.line for fault in faults):
        rows = _without(table, faults, notes)
        table, values, missing, faults = table.of(rows.tolist()), values[rows], missing[rows], []
        when, rows = _moments(table, reading, notes, faults), np.arange(len(rows))
    if when is not None and not faults:
        try:
            rows = _in_order(table, values, when, rows, reading, notes)
        except DateError as error:
            refuse(path, error.faults)
    if len(rows) < shortest:
        count = f"the series has {len(rows):,} steps, and at least {shortest:,} are needed"
        faults.append(Fault(None, count))
    if faults:
        refuse(path, faults, can_skip=True)
    found = _with_gaps(table, values, when, rows, fill_missing, notes, ahead)
    if missing.any():
        found = _filled(found, path)
    return found


def _values(
    table: SeriesTable, numerals: Numerals, fill: bool, faults: list[Fault]
) -> tuple[Float[np.ndarray, "T C"], Bool[np.ndarray, "T C"], list[str]]:
    """The numbers of a table, which of them are missing, and notes; what is no number is added to the faults."""
    values = np.empty((len(table.lines), len(table.names)))
    missing = np.zeros(values.shape, np.bool_)
    notes = []
    for column, (name, fields) in enumerate(zip(table.names, table.fields, strict=True)):
        values[:, column], percent = numerals.column(fields)
        if percent:
            notes.append(f"The numbers of {name} are per cent; so are its forecasts.")
        if numerals == Numerals() and (doubtful := _perhaps_thousands(fields)):
            ways = f"{setting('decimal', ',')} {setting('thousands', '.')}"
            notes.append(
                f"{name} has three digits behind every point, as in {doubtful}: {ways} reads them as thousands."
            )
        for count, step in enumerate(np.flatnonzero(~np.isfinite(values[:, column])).tolist()):
            field, line = fields[step], table.lines[step]
            if field.casefold() in MISSING:
                missing[step, column] = True
                if not fill:
                    way = f"{setting('fill_missing')} takes the value of the step before"
                    faults.append(Fault(line, f"{name} is missing ({way})"))
            else:
                kind = "no finite number" if np.isinf(values[step, column]) else "no number"
                way = how_to_read(field, numerals) if count < LISTED else ""
                faults.append(Fault(line, f"{name} is {shown(field)}, which is {kind}{way}"))
        for step in np.flatnonzero(np.isfinite(values[:, column]) & (np.abs(values[:, column]) > LARGEST_NUMBER)):
            what = f"{name} is {shown(fields[step])}, and numbers up to {LARGEST_NUMBER:g} can be learnt (scale {name})"
            faults.append(Fault(table.lines[step], what))
    return values, missing, notes


def _perhaps_thousands(fields: Sequence[str]) -> str:
    """The first number with a point that may separate thousands; "": some number shows that it does not."""
    pointed = [field for field in fields if "." in field]
    whole = all(len(field.lstrip("-")) <= 3 for field in fields if "." not in field and field.casefold() not in MISSING)
    return pointed[0] if pointed and whole and all(map(_THOUSANDS.fullmatch, pointed)) else ""


def _moments(table: SeriesTable, reading: Reading, notes: list[str], faults: list[Fault]) -> Moments | None:
    """The dates of the steps; None: the steps have no names, or names that are no dates, or no order is wanted."""
    if table.steps is None or reading.order == "file":
        return None
    try:
        found = moments(table.steps, table.lines, table.steps_name, reading.date_order, table.named_as_date)
    except DateError as error:
        faults += error.faults
        return None
    if found is None:
        notes.append(
            f"{table.steps_name} ({shown(table.steps[0])} on line {table.lines[0]:,}) is read as names of steps, not "
            "as dates: the rows stay in the order of the file."
        )
    return found


def _without(table: SeriesTable, faults: list[Fault], notes: list[str]) -> Int[np.ndarray, " R"]:
    """The rows without a fault; what was left out is noted."""
    bad = {fault.line for fault in faults}
    first = min(faults, key=lambda fault: fault.line or 0)
    notes.append(f"{len(bad):,} wrong line{' was' if len(bad) == 1 else 's were'} left out, the first: {first}.")
    return np.flatnonzero([line not in bad for line in table.lines])


def _in_order(
    table: SeriesTable,
    values: Float[np.ndarray, "T C"],
    when: Moments,
    rows: Int[np.ndarray, " R"],
    reading: Reading,
    notes: list[str],
) -> Int[np.ndarray, " D"]:
    """The rows in the order of their dates, one for each; `values` of rows of one date may become their mean."""
    steps = list(table.steps or ())
    lines = table.lines
    moment = when.order[rows]
    backwards = np.flatnonzero(np.diff(moment) < 0)
    if backwards.size:
        k = int(rows[backwards[0] + 1])
        newest_first = backwards.size == len(rows) - 1
        what = "The newest row comes first" if newest_first else "The rows are not in the order of their dates"
        notes.append(f"{what} (line {lines[k]:,}: {shown(steps[k])}), so they were sorted by date.")
        order = np.arange(len(rows))[::-1] if newest_first else np.argsort(moment, kind="stable")
        rows, moment = rows[order], moment[order]
    same = np.append(False, np.diff(moment) == 0)
    if not same.any():
        return rows
    group = np.cumsum(~same) - 1
    differ = [
        k for k in np.flatnonzero(same).tolist() if not np.array_equal(*values[rows[k - 1 : k + 1]], equal_nan=True)
    ]
    place = int((differ or np.flatnonzero(same))[0])
    twice = f"{table.steps_name} is {shown(steps[rows[place]])} on line {lines[rows[place - 1]]:,} too"
    if differ and reading.duplicates is None:
        ways = " or ".join(setting("duplicates", way) for way in ("first", "last", "mean"))
        raise DateError(
            [
                Fault(
                    lines[rows[place]],
                    f"{twice}, with other numbers ({len(differ):,} such rows; {ways} chooses among them, "
                    f"{setting('order', 'file')} takes every row as a step)",
                )
            ]
        )
    count = int(same.sum())
    how = f"the {reading.duplicates} counts" if differ else "their numbers are the same, and the first counts"
    notes.append(
        f"{count:,} row{'s repeat dates' if count > 1 else ' repeats a date'}, the first on line "
        f"{lines[rows[place]]:,} ({shown(steps[rows[place]])}); {how}."
    )
    if reading.duplicates == "mean":
        for number in np.unique(group[same]).tolist():
            members = rows[group == number]
            values[members] = values[members].mean(axis=0)
    return rows[np.append(~same[1:], True)] if reading.duplicates == "last" else rows[~same]


def _with_gaps(
    table: SeriesTable,
    values: Float[np.ndarray, "T C"],
    when: Moments | None,
    rows: Int[np.ndarray, " R"],
    fill: bool,
    notes: list[str],
    ahead: int,
) -> Series:
    """The series of some rows; dates between them that are missing are noted, or filled in."""
    names, lines = table.steps, np.array(table.lines, dtype=np.int64)
    step, gaps = (None, []) if when is None else when.step(rows.tolist())
    if when is None or names is None:
        count = len(rows)
        titles = tuple(map(str, range(count))) if names is None else tuple(names[k] for k in rows)
        following = tuple(map(str, range(count, count + ahead))) if names is None else ()
        return Series(table.names, values[rows], titles, lines[rows], 0, tuple(notes), None, following)
    if step is None and len(rows) > 2:
        notes.append("The dates are not evenly spaced: each row is a step all the same, and forecasts have no dates.")
    missing = sum(count for _, count in gaps)
    repeats = np.ones(len(rows), dtype=np.int64)
    if step is not None and gaps:
        place, count = gaps[0]
        before, after = int(rows[place]), int(rows[place + 1])
        what = (
            f"{missing:,} date{' is' if missing == 1 else 's are'} missing in {len(gaps):,} "
            f"place{'' if len(gaps) == 1 else 's'}, the first between {shown(names[before])} (line {lines[before]:,}) "
            f"and {shown(names[after])} (line {lines[after]:,}; one step is a {step})"
        )
        if fill and missing <= MOST_FILLED * len(rows):
            notes.append(f"{what}; they took the numbers of the date before.")
            repeats[[place for place, _ in gaps]] += [count for _, count in gaps]
        else:
            notes.append(f"{what}; the rows are read as if none were, and {setting('fill_missing')} fills them in.")
    every = np.repeat(rows, repeats)
    titles = [names[k] for k in rows]
    if step is not None and len(every) > len(rows):
        titles = [
            title
            for k, row in enumerate(rows.tolist())
            for title in (names[row], *when.after(row, step, int(repeats[k]) - 1))
        ]
    following = when.after(int(rows[-1]), step, ahead) if step is not None else []
    filled = (len(every) - len(rows)) * len(table.names)
    return Series(table.names, values[every], tuple(titles), lines[every], filled, tuple(notes), step, tuple(following))


def _filled(series: Series, path: str | os.PathLike[str]) -> Series:
    """The series with the value of the step before in the place of each that is missing."""
    values, known = series.values.copy(), ~np.isnan(series.values)
    for column, name in enumerate(series.names):
        if not known[:1, column].all():
            what = f"{name} is missing, and there is no step before to take its value from"
            refuse(path, [Fault(int(series.lines[0]), what)])
        source = np.maximum.accumulate(np.where(known[:, column], np.arange(len(values)), 0))
        values[:, column] = values[source, column]
    return replace(series, values=values, filled=series.filled + int((~known).sum()))


def targets_among(names: tuple[str, ...], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The columns that are predicted, by the names they have in the file.

    Raises: TaskError where there is no such column among those that are read.
    """
    if wanted is None:
        return names
    found: list[str] = []
    for name in wanted:
        alike = [each for each in names if each == name] or [e for e in names if e.casefold() == name.casefold()]
        if len(alike) != 1:
            raise TaskError("SERIES_TARGET_COLUMNS_READ", name=name, names=", ".join(names))
        found += alike
    if not found or len(set(found)) < len(found):
        raise TaskError("SERIES_TARGETS_DIFFERENT_COLUMNS", names=", ".join(names))
    return tuple(found)
