"""Columns of numbers: which are read, what names the steps, and every wrong line by its number."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.data.series import read_series


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
def test_what_pandas_writes_is_read(
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
def test_columns_are_named_or_found(
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


def test_all_wrong_lines_are_reported_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, WRONG)
    with pytest.raises(TaskError) as caught:
        read_series(path, shortest=10)
    missing = "is missing (fill_missing=True takes the value of the step before)"
    assert str(caught.value).split("\n") == [
        f"These 7 things are wrong in {path}; correct the file:",
        f"  line 3: a {missing}",
        "  line 4: a is 'x', which is no number",
        f"  line 4: b {missing}",
        "  line 6: a is 'inf', which is no finite number",
        "  line 7: a is '3,5', which is no number (decimal=',' reads it)",
        "  line 8: 2 fields instead of 3",
        "  the series has 5 steps, and at least 10 are needed",
    ]
    with pytest.raises(TaskError) as caught:
        read_series(path, columns=["b"])
    assert [line.split(":")[0] for line in str(caught.value).split("\n")[1:]] == ["  line 4", "  line 8"]


def test_missing_numbers_take_the_value_of_the_step_before(tmp_path: Path) -> None:
    series = read_series(written(tmp_path, "a,b\n1,2\nNA,\n?,3\n4,NaN\n"), fill_missing=True)
    assert series.values.tolist() == [[1, 2], [1, 2], [1, 3], [4, 3]]
    assert series.filled == 4
    with pytest.raises(TaskError, match="line 2: b is missing, and there is no step before"):
        read_series(written(tmp_path, "a,b\n1,\n2,3\n"), fill_missing=True)


def test_a_blank_line_of_a_table_of_one_column_is_a_missing_step(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="line 4: the line is blank, and each line is a step\n  line 5: the line is"):
        read_series(written(tmp_path, "a\n\n1\n\n\n2\n\n"))
    assert read_series(written(tmp_path, "a,b\n1,1\n\n2,2\n")).lines.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("a,b\n", {}, "columns a, b, and no rows"),
        ("Date,city,x\n2020-01-01,Rome,1\n", {}, "columns Date, city, x, and the column city holds no numbers"),
        ("2020-01-01,Rome,1\n", {}, "the column 2 holds no numbers"),
        ("a,b\n1,2\n", {"columns": ["c"]}, "no column 'c': the first line has a, b; give one of these, or a number"),
        ("a,b\n1,2\n", {"columns": [3]}, "no column 3"),
        ("a,b\n1,2\n", {"columns": []}, "No column .* was chosen"),
        ("a,b\n1,2\n", {"columns": ["a", 1]}, "called 'a'; give each its own name"),
        ("a,a\n1,2\n", {}, "called 'a'"),
        ("a,b\n1,2\n", {"columns": ["a"], "steps": "a"}, "The column a .* names the steps"),
        ("a\n1\n", {"steps": "a"}, "they hold no numbers"),
        ("a\n1\n2\n", {"shortest": 3}, "the series has 2 steps, and at least 3 are needed"),
        ("a,b\n1,2\n\xff,3\n".encode("latin-1"), {}, "line 3: the byte 0xff cannot be decoded"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, content: str | bytes, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        read_series(written(tmp_path, content), **settings)
