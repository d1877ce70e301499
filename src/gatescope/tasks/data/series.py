"""Columns of numbers over time, read from a table."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from gatescope.tasks.data.tables import LARGEST, Fault, Rows, column_list, column_number, read_rows, refuse, shown
from gatescope.tasks.task import TaskError

STEP_NAMES = ("date", "time", "datetime", "timestamp", "month", "day", "week", "quarter", "year", "period", "step")
"""What a column with the names of the steps is called where nobody says which one it is."""

_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?", "."})
_DATE = re.compile(r"\d{1,4}([-/.: T]\d{1,4})+([.:]\d+)?( ?[AaPp][Mm])?(Z|[+-]\d\d:?\d\d)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class Series:
    """Numbers that were measured together, step after step.

    Arguments:
        names: of the C columns.
        values: (T, C).
        steps: the T names of the steps, such as dates; numbers from 0 where the file has none.
        lines: (T,) the line of the file, from 1, that each step is on.
        filled: how many missing numbers were filled in.
    """

    names: tuple[str, ...]
    values: Float[np.ndarray, "T C"]
    steps: tuple[str, ...]
    lines: Int[np.ndarray, " T"]
    filled: int = 0


def read_series(
    path: str | os.PathLike[str],
    columns: Sequence[str | int] | None = None,
    steps: str | int | None = None,
    fill_missing: bool = False,
    shortest: int = 1,
    largest: int = LARGEST,
    *,
    targets: Sequence[str] | None = None,
) -> Series:
    """The columns of numbers of a table (CSV, TSV: any of comma, semicolon, tab), with or without a line of names.

    A column of dates is not predicted: it names the steps. It is found by its name, or because its first value is a
    date, or because it comes first and has no name. No row can be left out: the steps behind it would move.

    Arguments:
        columns: which ones, by name or by number (from 1); None: all but the one that names the steps.
        steps: the column that names the steps; None: found, where there is one.
        fill_missing: a missing number (an empty field, NA, NaN, ...) takes the value of the step before.
        shortest: how many steps there must be, such as those of a window.
        largest: the most bytes the file may have.
        targets: those of the columns that will be predicted, by name; that they are there is said before all else.

    Raises: TaskError, which lists every line that cannot be used.
    """
    rows = read_rows(path, largest)
    first = rows.fields[0]
    named = _has_names(first)
    called = [column_number(column, first, rows) for column in columns or ()]
    if steps is not None:
        called.append(column_number(steps, first, rows))
    named |= any(by_name for _, by_name in called)
    data = rows.fields[named:]
    if not data:
        raise TaskError(f"{path} has the columns {column_list(first, named)}, and no rows of numbers below.")
    step_column = called[-1][0] if steps is not None else _step_column(first if named else None, data[0])
    chosen = [column for column, _ in called[: len(columns or ())]]
    if columns is None:
        chosen = [k for k in range(rows.width) if k != step_column]
        _refuse_texts(rows, chosen, named)
    elif steps is None and step_column in chosen:
        step_column = None
    names = [first[k] if named and first[k] else f"column {k + 1}" for k in chosen]
    _check_choice(rows, names, chosen, step_column if steps is not None else None)
    targets_among(tuple(names), targets)
    faults = list(rows.faults) + _gaps(rows, named)
    lines = rows.lines[named:]
    values = np.empty((len(data), len(chosen)))
    filled = 0
    for place, column in enumerate(chosen):
        values[:, place], count = _numbers([row[column] for row in data], lines, names[place], fill_missing, faults)
        filled += count
    if len(data) < shortest:
        faults.append(Fault(None, f"the series has {len(data):,} steps, and at least {shortest:,} are needed"))
    if faults:
        refuse(path, faults)
    titles = tuple(str(k) if step_column is None else row[step_column] for k, row in enumerate(data))
    return Series(tuple(names), values, titles, np.array(lines, dtype=np.int64), filled)


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
            raise TaskError(f"The target {name!r} is not one of the columns that are read: {', '.join(names)}.")
        found += alike
    if not found or len(set(found)) < len(found):
        raise TaskError(f"The targets are one or more different columns of {', '.join(names)}.")
    return tuple(found)


def _numbers(
    fields: list[str], lines: Sequence[int], name: str, fill: bool, faults: list[Fault]
) -> tuple[Float[np.ndarray, " T"], int]:
    """The numbers of one column and how many were filled in; what is no number is added to the faults."""
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        values = np.array([_number(field) for field in fields])
    filled = 0
    for step in np.flatnonzero(~np.isfinite(values)).tolist():
        field = fields[step]
        if field.casefold() not in _MISSING:
            kind = "no finite number" if _is_number(field) else "no number"
            hint = " (a decimal point was expected)" if _DECIMAL_COMMA.fullmatch(field) else ""
            faults.append(Fault(lines[step], f"{name} is {shown(field)}, which is {kind}{hint}"))
        elif not fill:
            faults.append(Fault(lines[step], f"{name} is missing (fill_missing takes the value of the step before)"))
        elif step == 0:
            faults.append(Fault(lines[step], f"{name} is missing, and there is no step before to take its value from"))
        else:
            values[step] = values[step - 1]
            filled += 1
    return values, filled


def _number(field: str) -> float:
    """The number that a field is; NaN: it is none."""
    try:
        return float(field)
    except ValueError:
        return math.nan


def _is_number(field: str) -> bool:
    """Whether the field is a number, an infinite one too."""
    return not math.isnan(_number(field))


def _has_names(first: Sequence[str]) -> bool:
    """Whether the first row has the names of the columns: no number and no date, and something that is not missing."""
    if any(_is_number(field) or _DATE.fullmatch(field) for field in first):
        return False
    return any(field.casefold() not in _MISSING for field in first)


def _step_column(names: Sequence[str] | None, values: Sequence[str]) -> int | None:
    """The column that names the steps, from the names of the columns and the first row of values."""
    if len(values) < 2:
        return None
    if names is not None:
        known = [k for k, name in enumerate(names) if name.casefold() in STEP_NAMES]
        if known:
            return known[0]
    dates = [k for k, value in enumerate(values) if _DATE.fullmatch(value) and not _is_number(value)]
    if dates:
        return dates[0]
    return 0 if names is not None and not names[0] else None


def _refuse_texts(rows: Rows, columns: Sequence[int], named: bool) -> None:
    """Raises: TaskError where one of the columns has no numbers at all, or there are no columns."""
    first, data = rows.fields[0], rows.fields[named:]
    texts = [k for k in columns if not any(_is_number(row[k]) for row in data)]
    if texts or not columns:
        what = f"the column {first[texts[0]] if named else texts[0] + 1} holds" if texts else "they hold"
        raise TaskError(
            f"{rows.path} has the columns {column_list(first, named)}, and {what} no numbers; say with "
            "columns=... which are read, and with steps=... which one names the steps."
        )


def _check_choice(rows: Rows, names: Sequence[str], chosen: Sequence[int], steps: int | None) -> None:
    """Raises: TaskError for no column, a column that is chosen twice, and two columns of one name."""
    if not chosen:
        raise TaskError(f"No column of {rows.path} was chosen; name at least one.")
    if steps in chosen:
        raise TaskError(
            f"The column {names[chosen.index(steps)]} of {rows.path} names the steps; choose other columns."
        )
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        raise TaskError(f"Two of the columns chosen from {rows.path} are called {twice[0]!r}; give each its own name.")


def _gaps(rows: Rows, named: bool) -> list[Fault]:
    """The blank lines between the rows of a table of one column: there, they are missing values."""
    if rows.width > 1:
        return []
    lines = rows.lines[named:]
    known = {fault.line for fault in rows.faults}
    return [
        Fault(number, "the line is blank, and each line is a step")
        for before, after in pairwise(lines)
        for number in range(before + 1, after)
        if number not in known
    ]
