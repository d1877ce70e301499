"""The result of every study: a table whose columns have names, titles and one type each."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatescope.display import fields_html, table_html
from gatescope.errors import GatescopeError
from gatescope.files import unwritable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

SHOWN_ROWS = 20  # of a table in a notebook


class StudyError(GatescopeError):
    """A study that cannot be computed from its arguments; the message says what to change."""


class MissingFrameError(StudyError, ImportError):
    """The optional package of a kind of data frame is not installed."""


@dataclass(frozen=True, repr=False)
class Table:
    """Rows of named columns.

    Attributes:
        columns: name -> values, (rows,), in the order in which they are shown.
        titles: name -> the meaning of the column, with its unit.
        about: facts about the whole table, such as the settings of the study; JSON values.
    """

    columns: Mapping[str, NDArray[Any]]
    titles: Mapping[str, str]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({len(column) for column in self.columns.values()}) > 1 or set(self.columns) != set(self.titles):
            sizes = {name: len(column) for name, column in self.columns.items()}
            raise StudyError("TABLE_COLUMNS_INVALID", lengths=sizes, titles=dict(self.titles))

    def __repr__(self) -> str:
        return f"<Table {len(self):,} row{'' if len(self) == 1 else 's'}: {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        rows = [
            [f"{value:.4g}" if isinstance(value, float) else value for value in row.values()]
            for row in islice(self, SHOWN_ROWS)
        ]
        fields = {"rows": f"{len(self):,}"}
        if len(self) > SHOWN_ROWS:
            fields["shown"] = f"the first {SHOWN_ROWS}"
        return fields_html("Table", fields) + table_html([self.titles[name] for name in self.columns], rows)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], **about: Any) -> Table:
        """Make a table of rows, each with a value for every title; None becomes NaN in a column of numbers."""
        columns = {}
        for name in titles:
            values = [row[name] for row in rows]
            if any(isinstance(value, str | list) for value in values):
                columns[name] = np.empty(len(values), dtype=object)
                columns[name][:] = ["" if value is None else value for value in values]
            elif any(value is None or isinstance(value, float) for value in values):
                columns[name] = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
            else:
                columns[name] = np.array(values)
        return cls(columns, titles, about)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column.

        Raises:
            StudyError: there is no such column.
        """
        if name not in self.columns:
            raise StudyError("TABLE_COLUMN_UNKNOWN", name=name, columns=", ".join(self.columns))
        return self.columns[name]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, as Python values."""
        lists = [column.tolist() for column in self.columns.values()]
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*lists, strict=True))

    def where(self, **values: Any) -> Table:
        """Return the rows in which these columns have these values."""
        return self.take(np.flatnonzero(np.logical_and.reduce([self[name] == value for name, value in values.items()])))

    def take(self, rows: NDArray[np.integer[Any]]) -> Table:
        """Return some rows, in the order of their numbers."""
        return Table({name: column[rows] for name, column in self.columns.items()}, self.titles, self.about)

    def sorted_by(self, name: str, *, descending: bool = True) -> Table:
        """Return the rows in the order of one column; NaN comes last, and equal rows keep their order."""
        column = self[name]
        if column.dtype.kind in "biuf":
            keys = np.nan_to_num(column.astype(np.float64) * (-1 if descending else 1), nan=np.inf)
            return self.take(np.argsort(keys, kind="stable"))
        order = sorted(range(len(self)), key=column.__getitem__, reverse=descending)
        return self.take(np.array(order, dtype=np.int64))

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON values; NaN and infinity become null."""
        content = {
            "columns": {name: column.tolist() for name, column in self.columns.items()},
            "titles": dict(self.titles),
            "about": dict(self.about),
        }
        return json.loads(json.dumps(content), parse_constant=lambda _: None)

    @classmethod
    def from_json(cls, data: Any) -> Table:
        """Read a table that `to_json` wrote.

        Raises:
            StudyError: the data are not such a table.
        """
        try:
            rows = [dict(zip(data["columns"], row, strict=True)) for row in zip(*data["columns"].values(), strict=True)]
            if set(data["columns"]) != set(data["titles"]):
                raise StudyError(
                    "TABLE_JSON_TITLES_DIFFER", columns=", ".join(data["columns"]), titles=", ".join(data["titles"])
                )
            return cls.of(rows, data["titles"], **data["about"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StudyError("TABLE_JSON_INVALID", error=error) from error

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the table to a CSV file with a header; NaN is an empty field.

        Raises:
            FileError: the file cannot be written.
        """
        try:
            with Path(path).open("w", encoding="utf-8", newline="") as handle:
                writer = csv.writer(handle)
                writer.writerow(self.columns)
                for row in self:
                    writer.writerow(
                        ["" if isinstance(value, float) and math.isnan(value) else value for value in row.values()]
                    )
        except OSError as error:
            raise unwritable(path, error) from error

    def to_pandas(self) -> pd.DataFrame:
        """Return the table as a pandas DataFrame.

        Raises:
            MissingFrameError: pandas is not installed.
        """
        frame = _package("pandas", "TABLE_PANDAS_MISSING").DataFrame(dict(self.columns))
        frame.attrs.update(self.about)
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return the table as a Polars DataFrame; NaN stays NaN, and a missing list is null.

        Raises:
            MissingFrameError: Polars is not installed.
        """
        polars = _package("polars", "TABLE_POLARS_MISSING")
        return polars.DataFrame({name: _arrow_values(column) for name, column in self.columns.items()}, strict=False)

    def to_arrow(self) -> pa.Table:
        """Return the table as an Arrow table; NaN stays NaN, and a missing list is null.

        The metadata of each field has its "title", those of the table have "about" as JSON.

        Raises:
            MissingFrameError: pyarrow is not installed.
        """
        arrow = _package("pyarrow", "TABLE_ARROW_MISSING")
        arrays = {name: arrow.array(_arrow_values(column)) for name, column in self.columns.items()}
        fields = [
            arrow.field(name, array.type, metadata={"title": self.titles[name]}) for name, array in arrays.items()
        ]
        about = json.dumps(dict(self.about), ensure_ascii=False)
        return arrow.Table.from_arrays(list(arrays.values()), schema=arrow.schema(fields, metadata={"about": about}))


def _package(name: str, missing: str) -> Any:
    """Return the module of an extra.

    Raises:
        MissingFrameError: it is not installed; `missing` is the code of the message.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingFrameError(missing) from error


def _arrow_values(column: NDArray[Any]) -> NDArray[Any] | list[Any]:
    """Return a column for a library whose columns have one type each: an empty text among lists becomes null."""
    if column.dtype != object:
        return column
    values = column.tolist()
    return [None if value == "" else value for value in values] if any(isinstance(v, list) for v in values) else values
