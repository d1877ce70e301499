"""Which columns of a table are numbers, and which ones name the steps."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.numerals import MISSING, Numerals, how_to_read, looks_like_number
from gatescope.tasks.data.tables import LARGEST, Fault, Rows, column_list, column_number, read_rows, refuse, shown
from gatescope.tasks.forecasting.calendar import looks_like_date

STEP_NAMES = (
    *("date", "time", "datetime", "timestamp", "month", "day", "week", "quarter", "year", "period", "step", "ds"),
    *("日期", "时间", "時間", "年份", "年度", "年月", "月份", "年", "月", "日付", "日時", "날짜", "일자", "연도"),
    *("datum", "jahr", "monat", "zeit", "fecha", "año", "mes", "année", "mois"),
)
"""What a column with the names of the steps is called where nobody says which one it is."""

_TOGETHER = (
    *(("year", "month", "day", "hour"), ("date", "time"), ("date", "hour")),
    *(("年", "月", "日"), ("年份", "月份"), ("日期", "时间"), ("日期", "時間")),
)
MOST_BLANK_LINES = 10_000  # faults that a file of blank lines may cost
DECIMAL_POINT = Numerals()
_EPOCH_NAMES = ("time", "stamp", "date", "epoch", "unix", "ds")  # in the names of columns of seconds since 1970


@dataclass(frozen=True)
class SeriesTable:
    """The columns of a table that a series is made of, as they are written.

    Attributes:
        names: of the C columns of numbers.
        fields: (C, T) what stands in them.
        steps: (T,) the names of the steps, None where the table has none.
        steps_name: the name of the column with the names of the steps.
        lines: (T,) the line of each row.
        faults: rows that were left out.
    """

    names: tuple[str, ...]
    fields: tuple[list[str], ...]
    steps: tuple[str, ...] | None
    steps_name: str
    lines: list[int]
    faults: list[Fault]

    def of(self, rows: Iterable[int]) -> SeriesTable:
        """Return the table of some rows, without its faults."""
        kept = list(rows)
        return replace(
            self,
            fields=tuple([column[k] for k in kept] for column in self.fields),
            steps=None if self.steps is None else tuple(self.steps[k] for k in kept),
            lines=[self.lines[k] for k in kept],
            faults=[],
        )

    @property
    def named_as_date(self) -> bool:
        """Whether the names of the steps may be seconds since 1970, by what their column is called."""
        name = self.steps_name.casefold()
        return (name in STEP_NAMES and name != "step") or any(part in name for part in _EPOCH_NAMES)


def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str | int] | None,
    steps: str | int | None,
    largest: int = LARGEST,
    encoding: str | None = None,
    numerals: Numerals = DECIMAL_POINT,
    dates: bool = True,
) -> SeriesTable:
    """Return the columns of a table; see `gatescope.tasks.forecasting.series.read_series`.

    Args:
        path, columns, steps, largest: as there.
        encoding: of the file.
        numerals: how numbers are written.
        dates: whether columns called year and month, or date and time, are one date together.

    Raises:
        TaskError: the columns are not there, are no numbers, or are chosen in a way that makes no sense.
    """
    rows = read_rows(path, largest, encoding, numerals.decimal)
    first = rows.fields[0]
    called = [column_number(column, first, rows) for column in columns or ()]
    if steps is not None:
        called.append(column_number(steps, first, rows))
    named = _has_names(first) or any(by_name for _, by_name in called)
    data = rows.fields[named:]
    if not data and rows.faults:
        refuse(path, rows.faults)
    if not data:
        raise TaskError("SERIES_TABLE_COLUMNS_ROWS_NUMBERS_BELOW", path=path, column_list=column_list(first, named))
    chosen = [column for column, _ in called[: len(columns or ())]]
    of_steps = [called[-1][0]] if steps is not None else _step_columns(first if named else None, data[0], chosen, dates)
    if columns is None:
        empty = [k for k in range(rows.width) if not first[k] and not any(row[k] for row in data)]
        chosen = [k for k in range(rows.width) if k not in of_steps and k not in empty]
        _refuse_texts(rows, chosen, named, numerals)
    names = [first[k] if named and first[k] else f"column {k + 1}" for k in chosen]
    _check_choice(rows, names, chosen, of_steps[0] if steps is not None else None)
    titles = [_joined([row[k] for k in of_steps]) for row in data] if of_steps else None
    return SeriesTable(
        tuple(names),
        tuple([row[k] for row in data] for k in chosen),
        None if titles is None else tuple(titles),
        " and ".join(first[k] if named and first[k] else f"column {k + 1}" for k in of_steps),
        rows.lines[named:],
        list(rows.faults) + _blank_lines(rows, named),
    )


def _has_names(first: Sequence[str]) -> bool:
    """Whether the first row has the names of the columns: no number and no date, and something that is not missing."""
    if any(looks_like_number(field) or looks_like_date(field) for field in first):
        return False
    return any(field.casefold() not in MISSING for field in first)


def _step_columns(
    names: Sequence[str] | None, values: Sequence[str], chosen: Sequence[int], together: bool
) -> list[int]:
    """The columns that name the steps, from the names of the columns and the first row of values.

    Arguments:
        chosen: columns of numbers that were named; they name no steps.
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
    """The name of a step: one field, or those of year, month, day and hour, or of date and time, as one date."""
    if len(parts) == 1:
        return parts[0]
    if all(part.isascii() and part.isdigit() for part in parts):
        date = "-".join([parts[0], *(part.zfill(2) for part in parts[1:3])])
        return date if len(parts) < 4 else f"{date} {parts[3].zfill(2)}:00"
    return f"{parts[0]} {parts[1].zfill(2)}:00" if parts[1].isdigit() else f"{parts[0]} {parts[1]}"


def _refuse_texts(rows: Rows, columns: Sequence[int], named: bool, numerals: Numerals) -> None:
    """Raises: TaskError where one of the columns has no numbers at all, or there are no columns."""
    first, data = rows.fields[0], rows.fields[named:]
    lines = rows.lines[named:]
    for k in columns:
        fields = [row[k] for row in data]
        values, _ = numerals.column(fields)
        if not np.isnan(values).all():
            continue
        name = first[k] if named else k + 1
        place = next((p for p, field in enumerate(fields) if field.casefold() not in MISSING), 0)
        if hint := how_to_read(fields[place], numerals):
            raise TaskError(
                "SERIES_TABLE_NUMBERS_COLUMN_LINE",
                path=rows.path,
                name=name,
                shown=shown(fields[place]),
                lines=lines[place],
                hint=hint,
            )
        raise TaskError(
            "SERIES_TABLE_COLUMNS_COLUMN_HOLDS_NUMBERS",
            path=rows.path,
            column_list=column_list(first, named),
            name=name,
            lines=lines[place],
            shown=shown(fields[place]),
            setting=setting("columns", None),
            setting2=setting("dates", None),
        )
    if not columns:
        raise TaskError(
            "SERIES_TABLE_COLUMNS_THEY_HOLD_NUMBERS",
            path=rows.path,
            column_list=column_list(first, named),
            setting=setting("columns", None),
        )


def _check_choice(rows: Rows, names: Sequence[str], chosen: Sequence[int], steps: int | None) -> None:
    """Raises: TaskError for no column, a column that is chosen twice, and two columns of one name."""
    if not chosen:
        raise TaskError("SERIES_TABLE_COLUMN_CHOSEN_NAME_LEAST", path=rows.path)
    if steps in chosen:
        raise TaskError("SERIES_TABLE_COLUMN_NAMES_STEPS_CHOOSE", names=names[chosen.index(steps)], path=rows.path)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise TaskError("SERIES_TABLE_TWO_COLUMNS_CHOSEN_CALLED", path=rows.path, name=name)
        seen.add(name)


def _blank_lines(rows: Rows, named: bool) -> list[Fault]:
    """The blank lines between the rows of a table of one column: there, they are missing values."""
    if rows.width > 1:
        return []
    lines = rows.lines[named:]
    known = {fault.line for fault in rows.faults}
    blank = (
        Fault(number, "the line is blank, and each line is a step")
        for before, after in pairwise(lines)
        for number in range(before + 1, after)
        if number not in known
    )
    return list(islice(blank, MOST_BLANK_LINES))
