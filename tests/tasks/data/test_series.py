"""Reading of series: the choice of columns, the names of the steps, and the numbers of wrong lines."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.forecasting.series import Reading, read_series


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@given(
    st.integers(1, 3).flatmap(
        lambda C: st.lists(st.lists(st.floats(-1e100, 1e100), min_size=C, max_size=C), min_size=1, max_size=6)
    ),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_tables_of_pandas_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]], delimiter: str, end: str, dates: bool
) -> None:
    frame = pd.DataFrame(rows, columns=[f"c {k}" for k in range(len(rows[0]))])
    frame.index = pd.date_range("2020-02-27", periods=len(rows), freq="D") if dates else frame.index
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame.to_csv(path, sep=delimiter, lineterminator=end)  # the index has no name
    series = read_series(path)
    np.testing.assert_array_equal(series.values, np.array(rows))
    assert series.names == tuple(frame.columns)
    assert series.steps == tuple(str(day)[:10] if dates else str(day) for day in frame.index)
    assert series.lines.tolist() == list(range(2, len(rows) + 2))
    assert series.filled == 0


TABLE = '"Day","Wind","Note, long","Rain"\r\n"1981-01-01",1.5,"x",-2e1\r\n"1981-01-02",2,"y",0\r\n'


@pytest.mark.parametrize(
    ("content", "settings", "names", "values", "steps"),
    [
        (TABLE, dict(columns=["Rain", "wind"]), ("Rain", "Wind"), [[-20, 1.5], [0, 2]], ("1981-01-01", "1981-01-02")),
        (TABLE, dict(columns=[2], steps="Note, long"), ("Wind",), [[1.5], [2]], ("x", "y")),
        ("1981-01,5\n1981-02,6\n", {}, ("column 2",), [[5], [6]], ("1981-01", "1981-02")),
        ("5\n6\n", {}, ("column 1",), [[5], [6]], ("0", "1")),
        ("Sunspots\n5\n6", {}, ("Sunspots",), [[5], [6]], ("0", "1")),
        ("Year\n5\n6", {}, ("Year",), [[5], [6]], ("0", "1")),
        ("Year,x\n1990,6\n1991,7\n", {}, ("x",), [[6], [7]], ("1990", "1991")),
        ("Year,x\n1990,6\n1991,7\n", dict(columns=["x", "Year"]), ("x", "Year"), [[6, 1990], [7, 1991]], ("0", "1")),
        ("2019,2020\n1,2\n", dict(columns=["2020"]), ("2020",), [[2]], ("0",)),
        ("x,when\n1,2020-01-01 10:30\n2,2020-01-01 11:00\n", {}, ("x",), [[1], [2]], None),
        ("x,when\n1,2020-01-01T10:30:00.5Z\n2,2020-01-01T10:30:01Z\n", {}, ("x",), [[1], [2]], None),
        ("1;2\n3;4\n", {}, ("column 1", "column 2"), [[1, 2], [3, 4]], ("0", "1")),
    ],
)
def test_columns_are_chosen_or_found(
    tmp_path: Path,
    content: str,
    settings: dict[str, Any],
    names: tuple[str, ...],
    values: list[list[float]],
    steps: tuple[str, ...] | None,
) -> None:
    series = read_series(written(tmp_path, content), **settings)
    assert series.names == names
    assert series.values.tolist() == values
    expected = tuple(line.split(",")[1] for line in content.split("\n")[1:-1]) if steps is None else steps
    assert series.steps == expected


WRONG = (
    'Date,a,b\n2020-01-01,1,2\n2020-01-02,,2\n2020-01-03,x,nan\n\n2020-01-04,inf,2\n2020-01-05,"3,5",2\n2020-01-06,1\n'
)


def test_wrong_lines_are_all_listed(tmp_path: Path) -> None:
    path = written(tmp_path, WRONG)
    with pytest.raises(TaskError) as caught:
        read_series(path, shortest=10)
    missing = "Expected a number, got none. fill_missing=True takes the value of the step before."
    assert str(caught.value).split("\n") == [
        f"{path}: expected a file without faults, got 7 faults. Correct the file:",
        f"  Line 3, column 'a': {missing}",
        "  Line 4, column 'a': Expected a number, got 'x'.",
        f"  Line 4, column 'b': {missing}",
        "  Line 6, column 'a': Expected a finite number, got 'inf'.",
        "  Line 7, column 'a': Expected a number, got '3,5'. Read it with decimal=','.",
        "  Line 8: Expected 3 fields, got 2.",
        "  The file: Expected a series of at least 10 steps, got 5.",
    ]
    with pytest.raises(TaskError) as caught:
        read_series(path, columns=["b"])
    assert [line.split(":")[0] for line in str(caught.value).split("\n")[1:]] == ["  Line 4, column 'b'", "  Line 8"]


def test_missing_numbers_take_the_value_before(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, "a,b\n1,2\nNA,\n?,3\n4,NaN\n"), fill_missing=True)
    assert series.values.tolist() == [[1, 2], [1, 2], [1, 3], [4, 3]]
    assert series.filled == 4
    with pytest.raises(
        TaskError, match="Line 2, column 'b': Expected a number in the first step, got none, and no step before"
    ):
        read_series(written(tmp_path, "a,b\n1,\n2,3\n"), fill_missing=True)


def test_blank_line_of_one_column_is_a_missing_step(tmp_path: Path) -> None:
    with pytest.raises(
        TaskError, match=r"Line 4: Expected a number, .* got a blank line\.\n  Line 5: Expected a number"
    ):
        read_series(written(tmp_path, "a\n\n1\n\n\n2\n\n"))
    assert read_series(written(tmp_path, "a,b\n1,1\n\n2,2\n")).lines.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("a,b\n", {}, "expected rows of numbers below the columns a, b, got none"),
        (
            "Date,city,x\n2020-01-01,Rome,1\n",
            {},
            r"in the column 'city', got 'Rome' on line 2\. .*among Date, city, x",
        ),
        ("2020-01-01,Rome,1\n", {}, "expected numbers in the column 2, got 'Rome'"),
        ("a,b\n1,2\n", {"columns": ["c"]}, "expected one of a, b, or a number from 1 to 2, got 'c'"),
        ("a,b\n1,2\n", {"columns": [3]}, "from 1 to 2, got 3"),
        ("a,b\n1,2\n", {"columns": []}, "expected at least one column to read, got none"),
        ("a,b\n1,2\n", {"columns": ["a", 1]}, "two that are called 'a'. Give each its own name"),
        ("a,a\n1,2\n", {}, "two that are called 'a'"),
        ("a,b\n1,2\n", {"columns": ["a"], "steps": "a"}, "got 'a', which names the steps"),
        ("a\n1\n", {"steps": "a"}, "expected columns of numbers besides the names of the steps, got only a"),
        ("a\n1\n2\n", {"shortest": 3}, "a series of at least 3 steps, got 2"),
        (
            "a,b\n1,2\n\xff,3\n".encode("latin-1"),
            {},
            "Line 3: Expected text, got the byte 0xff, which cannot be decoded",
        ),
    ],
)
def test_unusable_tables_are_refused(
    tmp_path: Path, content: str | bytes, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        read_series(written(tmp_path, content), **settings)


def table_of_days(days: Sequence[int], values: Sequence[float] | None = None) -> str:
    """Return a table of days of January 2020 with a column of values, by default the days."""
    rows = zip(days, days if values is None else values, strict=True)
    return "date,x\n" + "".join(f"2020-01-{day:02d},{value}\n" for day, value in rows)


@pytest.mark.parametrize(
    ("days", "note"),
    [
        ([1, 2, 3, 4, 5, 6], None),
        ([6, 5, 4, 3, 2, 1], r"The newest row comes first \(line 3: '2020-01-05'\), so the rows were sorted by date."),
        ([1, 2, 5, 3, 4, 6], r"not in the order of their dates \(line 5: '2020-01-03'\)"),
    ],
)
def test_rows_are_sorted_by_date_with_a_note(tmp_path: Path, days: list[int], note: str | None) -> None:
    """The series and the dates after it do not depend on the order of the file."""
    series = read_series(written(tmp_path, table_of_days(days)), ahead=2)
    assert series.values[:, 0].tolist() == sorted(days)
    assert series.steps == tuple(f"2020-01-{day:02d}" for day in sorted(days))
    assert series.lines.tolist() == [days.index(day) + 2 for day in sorted(days)]
    assert series.following == ("2020-01-07", "2020-01-08")
    assert (series.notes == ()) if note is None else re.search(note, series.notes[0])
    unsorted = read_series(written(tmp_path, table_of_days(days)), reading=Reading(order="file"))
    assert unsorted.values[:, 0].tolist() == days
    assert unsorted.following == ()


def test_repeated_dates_are_joined_or_refused(tmp_path: Path) -> None:
    """Equal rows of a date are joined; among different rows, a setting chooses."""
    same = read_series(written(tmp_path, table_of_days([1, 2, 2, 3])))
    assert same.values[:, 0].tolist() == [1, 2, 3]
    assert "1 row repeats a date, the first on line 4 ('2020-01-02'). Their numbers are the same" in same.notes[0]
    path = written(tmp_path, table_of_days([1, 2, 2, 2, 3], [1, 2, 4, 9, 3]))
    with pytest.raises(
        TaskError, match=r"Line 4, column 'date': .* got '2020-01-02' on line 3 too, with other numbers \(2 such rows"
    ):
        read_series(path)
    for way, value in (("first", 2), ("last", 9), ("mean", 5)):
        series = read_series(path, reading=Reading(duplicates=way))  # type: ignore[arg-type]
        assert series.values[:, 0].tolist() == [1, value, 3]
    assert len(read_series(path, reading=Reading(order="file")).values) == 5


def test_missing_dates_are_noted_or_filled(tmp_path: Path) -> None:
    """A note names the lines of a gap; a filled gap has the numbers of the date before."""
    path = written(tmp_path, table_of_days([1, 2, 5, 6, 7]))
    series = read_series(path, ahead=1)
    assert (
        "2 dates are missing in 1 place, the first between '2020-01-02' (line 3) and '2020-01-05' (line 4"
        in (series.notes[0])
    )
    assert series.values[:, 0].tolist() == [1, 2, 5, 6, 7]
    filled = read_series(path, fill_missing=True, ahead=1)
    assert filled.values[:, 0].tolist() == [1, 2, 2, 2, 5, 6, 7]
    assert filled.steps == tuple(f"2020-01-{day:02d}" for day in range(1, 8))
    assert filled.filled == 2
    assert filled.following == series.following == ("2020-01-08",)
    uneven = read_series(written(tmp_path, table_of_days([1, 2, 4, 9, 11, 20])), ahead=3)
    assert "not evenly spaced" in uneven.notes[0]
    assert uneven.following == ()


def test_missing_numbers_follow_the_dates(tmp_path: Path) -> None:
    """A missing number takes the value of the date before, not of the row before."""
    text = table_of_days([3, 2, 1]).replace("2020-01-02,2", "2020-01-02,NA")
    assert read_series(written(tmp_path, text), fill_missing=True).values[:, 0].tolist() == [1, 1, 3]


@pytest.mark.parametrize(
    ("content", "settings", "values", "steps"),
    [
        ("year,month,x\n2020,12,2\n2021,1,3\n2020,11,1\n", {}, [1, 2, 3], ("2020-11", "2020-12", "2021-01")),
        ("date,hour,x\n2020-01-01,23,2\n2020-01-02,0,3\n2020-01-01,22,1\n", {}, [1, 2, 3], None),
        ("date;x\n2020-01-01;1,5\n2020-01-02;2,5\n", {"decimal": ","}, [1.5, 2.5], ("2020-01-01", "2020-01-02")),
        ('date,x\n2020-01-01,"1,5"\n2020-01-02,"2,5"\n', {"decimal": ","}, [1.5, 2.5], None),
        ('date,x\n2020-01-01,"1,500.5"\n2020-01-02,25\n', {"thousands": ","}, [1500.5, 25], None),
        ("date,x\n02/01/2020,1\n01/02/2020,2\n", {"date_order": "dmy"}, [1, 2], ("02/01/2020", "01/02/2020")),
        ("date,x\n02/01/2020,1\n01/02/2020,2\n", {"date_order": "mdy"}, [2, 1], ("01/02/2020", "02/01/2020")),
        ("\ufeffdate,x\r\n2020-01-01,1\r\n2020-01-02,2\r\n", {}, [1, 2], ("2020-01-01", "2020-01-02")),
        ("Jan 2020,1\nFeb 2020,2\n", {}, [1, 2], ("Jan 2020", "Feb 2020")),
        ("date,x\n2020-01-01,1\n2020-01-02,oops\nTotal,3\n2020-01-03,3\n", {"skip_bad": True}, [1, 3], None),
        ("date,x\n2020-01-03,3\nTotal,6\n2020-01-01,1\n2020-01-02,2\n", {"skip_bad": True}, [1, 2, 3], None),
        ("年份,月份,x\n2020,12,2\n2021,1,3\n2020,11,1\n", {}, [1, 2, 3], ("2020-11", "2020-12", "2021-01")),
        ("年份,x\n2021,2\n2020,1\n", {}, [1, 2], ("2020", "2021")),
        ("month,x\n202012,1\n202101,2\n", {}, [1, 2], ("202012", "202101")),
        ("date,x,\n2020-01-01,1,\n2020-01-02,2,\n", {}, [1, 2], None),
    ],
)
def test_tables_are_read_in_many_notations(
    tmp_path: Path, content: str, settings: dict[str, Any], values: list[float], steps: tuple[str, ...] | None
) -> None:
    """Dates of several columns, decimal commas, orders of day and month, byte order marks, no header, wrong rows."""
    series = read_series(written(tmp_path, content), reading=Reading(**settings))
    assert series.values[:, 0].tolist() == values
    assert steps is None or series.steps == steps


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            'date,x\n2020-01-01,"10,478.11"\n',
            r"in the column 'x', got '10,478.11' on line 2\. Read it with thousands=','",
        ),
        ("date;x\n2020-01-01;10,478\n", r"got '10,478' on line 2\. Read it with thousands=',' or decimal=','"),
        ("date,x\n2020-01-01,1e301\n", r"Line 2, column 'x': Expected a number up to 1e\+100, got '1e301'"),
        ("date,x\n2020-01-01,1%\n2020-01-02,2\n", "column 'x': Expected a number, got '1%'. Other numbers"),
        ("date,x\n01/02/2020,1\n02/02/2020,2\n", "Choose the order with date_order='dmy' or date_order='mdy'"),
        ("date,x\n2020-01-01,1\nsoon,2\n", "Line 3, column 'date': Expected a date as in the other rows, got 'soon'"),
        (
            "month,x\n11,1\n12,2\n1,3\n11,4\n",
            r"Line 5, column 'month': Expected each date once, got '11' on line 2 too",
        ),
        ("date,x\n2020-01-01,$5\n", r"got '\$5' on line 2\. Without '\$' it is a number"),
        ("date,x\nJan 1, 2020,5\n", "Line 2: Expected 2 fields, got 3"),
    ],
)
def test_unclear_numbers_and_dates_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """The error shows the first such value and the setting that reads it."""
    with pytest.raises(TaskError, match=message):
        read_series(written(tmp_path, content))


def test_ambiguous_dates_are_not_skipped(tmp_path: Path) -> None:
    """Without a wrong line, it stays unknown which number is the month."""
    path = written(tmp_path, "date,x\n01/02/2020,1\n02/02/2020,2\n")
    with pytest.raises(
        TaskError, match=r"Correct the file:\n  Column .date.: Expected dates that can be read in one way, .* on line 2"
    ):
        read_series(path, reading=Reading(skip_bad=True))


@pytest.mark.parametrize(
    ("numbers", "doubtful"),
    [("999 1.100 -2.350", True), ("1000 1.100", False), ("0.100 1.100", False), ("1.100 1.10", False), ("1 2", False)],
)
def test_points_of_thousands_are_noted(tmp_path: Path, numbers: str, doubtful: bool) -> None:
    """Each number with a point has three digits after it, and none shows that it is a fraction."""
    notes = read_series(written(tmp_path, "\n".join(["x", *numbers.split()]))).notes
    assert any("thousands='.' reads them as thousands" in note for note in notes) == doubtful


def test_skipped_rows_are_noted(tmp_path: Path) -> None:
    """The note has the number of skipped rows and the first fault."""
    path = written(
        tmp_path, "date,x\n2020-01-01,1\n2020-01-02,oops\n2020-01-03\n2020-01-04,4\n2020-01-05,5\n2020-01-06,6\n"
    )
    series = read_series(path, reading=Reading(skip_bad=True))
    assert (
        series.notes[0] == "2 wrong lines were left out, the first: Line 3, column 'x': Expected a number, got 'oops'."
    )
    assert "2 dates are missing" in series.notes[1]


@pytest.mark.parametrize("settings", [{"order": "time"}, {"date_order": "ydm"}, {"duplicates": "median"}])
def test_settings_of_reading_are_checked(settings: dict[str, Any]) -> None:
    """A setting with an unknown value is refused, by `Reading` or by the type checker of the tests."""
    with pytest.raises((TaskError, jaxtyping.TypeCheckError), match=next(iter(settings))):
        Reading(**settings)


def table_with_row_numbers(names: str, *, start: int = 0, falling: bool = False, rows: int = 12) -> str:
    """Return a table of dates, row numbers and a random walk.

    Args:
        names: the line of column names.
        start: the first row number.
        falling: whether the row numbers fall.
        rows: the number of rows.
    """
    numbers = range(start, start + rows)
    walk = np.random.default_rng(1).standard_normal(rows).round(3)
    lines = zip(pd.date_range("2020-01-01", periods=rows), reversed(numbers) if falling else numbers, walk, strict=True)
    return "\n".join([names, *(f"{day:%Y-%m-%d},{number},{value}" for day, number, value in lines)]) + "\n"


@pytest.mark.parametrize(
    ("name", "start", "falling"), [("id", 0, False), ("", 0, False), ("no", 1, False), ("n", 7, True)]
)
def test_row_numbers_are_left_out_with_a_note(tmp_path: Path, name: str, start: int, falling: bool) -> None:
    """The index of a data frame is not a series, unless it is chosen."""
    path = written(tmp_path, table_with_row_numbers(f"date,{name},x", start=start, falling=falling))
    series = read_series(path)
    called = name or "column 2"
    assert series.names == ("x",)
    note = f"Column {called!r} only counts the rows, so it is left out. Use columns=... to read it."
    assert series.notes == (note,)
    assert read_series(path, ["x", 2]).names == ("x", called)
    assert read_series(path, expected=(called, "x")).names == (called, "x")


def test_counting_column_is_read_if_it_stands_alone(tmp_path: Path) -> None:
    """The only column is read, with a note that it may be a row number."""
    path = written(tmp_path, "date,id\n" + "".join(f"2020-01-{day:02d},{day}\n" for day in range(1, 13)))
    series = read_series(path)
    assert series.names == ("id",)
    assert series.notes == ("Column 'id' changes by one in every row, as the number of a row does.",)


def test_columns_like_row_numbers_are_read(tmp_path: Path) -> None:
    """Columns with a step of two, a gap or fractions, or in fewer than ten rows, are not row numbers."""
    for numbers in ([*range(11), 12], range(0, 24, 2), [k + 0.5 for k in range(12)], range(9)):
        rows = [f"{k % 3 * 1.5},{number}\n" for k, number in enumerate(numbers)]
        assert read_series(written(tmp_path, "x,n\n" + "".join(rows))).names == ("x", "n")


def test_file_without_a_good_row_is_refused(tmp_path: Path) -> None:
    """`skip_bad` leaves no row."""
    path = written(tmp_path, "date,x\n2020-01-01,oops\n2020-01-02,oh\n")
    with pytest.raises(TaskError):
        read_series(path, ["x"], "date", reading=Reading(skip_bad=True))
