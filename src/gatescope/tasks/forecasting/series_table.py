"""The columns of a table that have numbers, and those that name the steps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

import numpy as np

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.numerals import MISSING, Numerals, looks_like_number, way_to_read
from gatescope.tasks.data.tables import (
    MAX_FILE_BYTES,
    Fault,
    Rows,
    column_list,
    column_number,
    read_rows,
    refuse,
    shown,
)
from gatescope.tasks.forecasting.date_formats import looks_like_date

STEP_NAMES = (
    *("date", "time", "datetime", "timestamp", "month", "day", "week", "quarter", "year", "period", "step", "ds"),
    *("日期", "时间", "時間", "年份", "年度", "年月", "月份", "年", "月", "日付", "日時", "날짜", "일자", "연도"),
    *("datum", "jahr", "monat", "zeit", "fecha", "año", "mes", "année", "mois"),
)
"""The names by which the column that names the steps is found."""

_TOGETHER = (
    *(("year", "month", "day", "hour"), ("date", "time"), ("date", "hour")),
    *(("年", "月", "日"), ("年份", "月份"), ("日期", "时间"), ("日期", "時間")),
)
MAX_BLANK_LINES = 10_000  # faults that a file of blank lines may cost
MIN_COUNTED_ROWS = 10  # fewer rows do not show that a column only counts them
DECIMAL_POINT = Numerals()
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_EPOCH_NAMES = ("time", "stamp", "date", "epoch", "unix", "ds")  # in the names of columns of seconds since 1970


@dataclass(frozen=True)
class SeriesTable:
    """The columns of a table that a series is made of, as text.

    Attributes:
        names: the names of the C columns of numbers.
        fields: (C, T) the fields of these columns.
        steps: (T,) the names of the steps; None if the table has none.
        steps_name: the name of the column with the names of the steps.
        lines: (T,) the line of each row.
        faults: rows that were left out.
        notes: sentences about columns that only count the rows.
    """

    names: tuple[str, ...]
    fields: tuple[list[str], ...]
    steps: tuple[str, ...] | None
    steps_name: str
    lines: list[int]
    faults: list[Fault]
    notes: list[str] = field(default_factory=list)

    def of(self, rows: Iterable[int]) -> SeriesTable:
        """Return the table of some rows, without its faults."""
        chosen = list(rows)
        return replace(
            self,
            fields=tuple([column[k] for k in chosen] for column in self.fields),
            steps=None if self.steps is None else tuple(self.steps[k] for k in chosen),
            lines=[self.lines[k] for k in chosen],
            faults=[],
        )

    @property
    def named_as_date(self) -> bool:
        """Whether the names of the steps may be seconds since 1970, by the name of their column."""
        name = self.steps_name.casefold()
        return (name in STEP_NAMES and name != "step") or any(part in name for part in _EPOCH_NAMES)


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str | int] | None,
    steps: str | int | None,
    largest: int = MAX_FILE_BYTES,
    encoding: str | None = None,
    numerals: Numerals = DECIMAL_POINT,
    dates: bool = True,
    expected: Sequence[str] = (),
) -> SeriesTable:
    """Return the columns of a table.

    Args:
        path: the file.
        columns: the columns of numbers, by name or by number (from 1); None: all columns with numbers.
        steps: the column with the names or dates of the steps; None: found by its name or its values.
        largest: the maximum number of bytes of the file.
        encoding: of the file.
        numerals: the notation of numbers.
        dates: whether columns called year and month, or date and time, are one date together.
        expected: columns that a reopened run reads, even if they only number the rows.

    Raises:
        TaskError: a column does not exist or has no numbers, or the columns contradict each other.
    """
    rows = read_rows(path, largest, encoding, numerals.decimal)
    first = rows.fields[0]
    numbers = [column_number(column, first, rows) for column in columns or ()]
    if steps is not None:
        numbers.append(column_number(steps, first, rows))
    named = _has_names(first) or any(by_name for _, by_name in numbers)
    data = rows.fields[named:]
    if not data and rows.faults:
        refuse(path, rows.faults)
    if not data:
        raise TaskError("SERIES_ROWS_NONE", path=path, columns=column_list(first, named))
    chosen = [column for column, _ in numbers[: len(columns or ())]]
    of_steps = (
        [numbers[-1][0]] if steps is not None else _step_columns(first if named else None, data[0], chosen, dates)
    )
    notes: list[str] = []
    if columns is None:
        empty = [k for k in range(rows.width) if not first[k] and not any(row[k] for row in data)]
        chosen = [k for k in range(rows.width) if k not in of_steps and k not in empty]
        _refuse_texts(rows, chosen, named, numerals)
        chosen, notes = _without_row_numbers(chosen, data, _names(first, named), expected)
    names = [_names(first, named)[k] for k in chosen]
    _check_choice(rows, names, chosen, of_steps[0] if steps is not None else None)
    titles = [_joined([row[k] for k in of_steps]) for row in data] if of_steps else None
    return SeriesTable(
        tuple(names),
        tuple([row[k] for row in data] for k in chosen),
        None if titles is None else tuple(titles),
        " and ".join(_names(first, named)[k] for k in of_steps),
        rows.lines[named:],
        list(rows.faults) + _blank_lines(rows, named),
        notes,
    )


def _names(first: Sequence[str], named: bool) -> list[str]:
    """Return the names of the columns; "column 1" and so on without one."""
    return [name if named and name else f"column {k}" for k, name in enumerate(first, 1)]


def _without_row_numbers(
    columns: list[int], data: Sequence[Sequence[str]], names: Sequence[str], expected: Sequence[str]
) -> tuple[list[int], list[str]]:
    """Leave out columns that only count the rows, such as the index of a data frame.

    Args:
        columns: the columns of numbers, from 0.
        data: the fields of each row.
        names: the names of all columns.
        expected: columns that are not left out.

    Returns:
        The other columns, and a sentence about each that was left out. A column that stands alone is not left out.
    """
    counting = [k for k in columns if names[k] not in expected and _counts_rows([row[k] for row in data])]
    if not counting or len(counting) == len(columns):
        alone = [Message("SERIES_NOTE_INDEX_ALONE", name=names[k]) for k in counting]
        return columns, list(map(str, alone))
    notes = [Message("SERIES_NOTE_INDEX", name=names[k], setting=setting("columns", None)) for k in counting]
    return [k for k in columns if k not in counting], list(map(str, notes))


def _counts_rows(fields: Sequence[str]) -> bool:
    """Return whether a column rises (or falls) by exactly one whole number from each row to the next."""
    if len(fields) < MIN_COUNTED_ROWS or not all(map(_WHOLE.fullmatch, fields)):
        return False
    steps = {int(after) - int(before) for before, after in pairwise(fields)}
    return steps in ({1}, {-1})


def _has_names(first: Sequence[str]) -> bool:
    """Return whether the first row has names: no number, no date, and a field that is not a missing number."""
    if any(looks_like_number(field) or looks_like_date(field) for field in first):
        return False
    return any(field.casefold() not in MISSING for field in first)


def _step_columns(
    names: Sequence[str] | None, values: Sequence[str], chosen: Sequence[int], together: bool
) -> list[int]:
    """Return the columns that name the steps.

    Args:
        names: the names of the columns, None if the table has none.
        values: the first row of values.
        chosen: columns of numbers that the reader chose; they do not name steps.
        together: whether several columns may be one date.
    """
    if len(values) < 2:
        return []
    free = [k for k in range(len(values)) if k not in chosen]
    if names is not None:
        place = {names[k].casefold(): k for k in reversed(free)}
        for parts in _TOGETHER if together else ():
            if parts[0] in place and parts[1] in place:
                return [place[name] for name in parts if name in place]
        known = [k for k in free if names[k].casefold() in STEP_NAMES]
        if known:
            return known[:1]
    dates = [k for k in free if looks_like_date(values[k])]
    if dates:
        return dates[:1]
    return [0] if names is not None and not names[0] and 0 in free else []


def _joined(parts: Sequence[str]) -> str:
    """Return the name of a step: one field, or year, month, day and hour, or date and time, as one date."""
    if len(parts) == 1:
        return parts[0]
    if all(part.isascii() and part.isdigit() for part in parts):
        date = "-".join([parts[0], *(part.zfill(2) for part in parts[1:3])])
        return date if len(parts) < 4 else f"{date} {parts[3].zfill(2)}:00"
    return f"{parts[0]} {parts[1].zfill(2)}:00" if parts[1].isdigit() else f"{parts[0]} {parts[1]}"


def _refuse_texts(rows: Rows, columns: Sequence[int], named: bool, numerals: Numerals) -> None:
    """Check that every column has numbers.

    Raises:
        TaskError: a column has no numbers at all, or the table has no columns to read.
    """
    first, data = rows.fields[0], rows.fields[named:]
    lines = rows.lines[named:]
    for k in columns:
        fields = [row[k] for row in data]
        values, _ = numerals.column(fields)
        if not np.isnan(values).all():
            continue
        name = first[k] if named else k + 1
        place = next((p for p, field in enumerate(fields) if field.casefold() not in MISSING), 0)
        if way := way_to_read(fields[place], numerals):
            raise TaskError(
                "SERIES_COLUMN_NOTATION",
                path=rows.path,
                name=name,
                value=shown(fields[place]),
                line=lines[place],
                way=f" {way}",
            )
        raise TaskError(
            "SERIES_COLUMN_TEXT",
            path=rows.path,
            name=name,
            value=shown(fields[place]),
            line=lines[place],
            names=column_list(first, named),
            columns=setting("columns", None),
            dates=setting("dates", None),
        )
    if not columns:
        raise TaskError(
            "SERIES_COLUMNS_NONE",
            path=rows.path,
            columns=column_list(first, named),
            setting=setting("columns", None),
        )


def _check_choice(rows: Rows, names: Sequence[str], chosen: Sequence[int], steps: int | None) -> None:
    """Check the chosen columns.

    Raises:
        TaskError: no column is chosen, a column names the steps, or two columns have one name.
    """
    if not chosen:
        raise TaskError("SERIES_CHOICE_EMPTY", path=rows.path, setting=setting("columns", None))
    if steps in chosen:
        raise TaskError("SERIES_CHOICE_NAMES_STEPS", path=rows.path, name=names[chosen.index(steps)])
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TaskError("SERIES_CHOICE_REPEATED", path=rows.path, name=name, setting=setting("columns", None))
        seen.add(name)


def _blank_lines(rows: Rows, named: bool) -> list[Fault]:
    """Return the blank lines between the rows of a table of one column, where they are missing values."""
    if rows.width > 1:
        return []
    lines = rows.lines[named:]
    wrong = {fault.line for fault in rows.faults}
    blank = (
        Fault(line, Message("FAULT_LINE_BLANK"))
        for before, after in pairwise(lines)
        for line in range(before + 1, after)
        if line not in wrong
    )
    return list(islice(blank, MAX_BLANK_LINES))
