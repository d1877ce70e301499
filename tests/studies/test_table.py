"""Tables: made of rows, read by columns, and unchanged after a file."""

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.studies import StudyError, Table

TITLES = {"neuron": "neuron", "feature": "feature", "score": "score", "values": "values"}
ROWS = [
    {"neuron": 3, "feature": "b", "score": 0.5, "values": [1.0, 2.0]},
    {"neuron": 1, "feature": "a", "score": None, "values": [3.0]},
    {"neuron": 2, "feature": "b", "score": 0.9, "values": []},
]


def table() -> Table:
    return Table.of(ROWS, TITLES, made_of="a test")


def test_table_rows_are_python_values() -> None:
    rows = table()
    assert rows["neuron"].dtype.kind == "i"
    assert rows["score"].dtype == np.float64
    assert len(rows) == 3
    first, second, _ = rows
    assert first == ROWS[0]
    assert type(first["neuron"]) is int
    assert math.isnan(second["score"])


def test_table_where_and_sorted_by() -> None:
    rows = table()
    assert rows.where(feature="b")["neuron"].tolist() == [3, 2]
    assert rows.where(feature="b", neuron=2)["score"].tolist() == [0.9]
    assert len(rows.where(feature="c")) == 0
    assert rows.sorted_by("score")["neuron"].tolist() == [2, 3, 1]
    assert rows.sorted_by("score", descending=False)["neuron"].tolist() == [3, 2, 1]
    assert rows.sorted_by("feature", descending=False)["neuron"].tolist() == [1, 3, 2]


@given(st.lists(st.tuples(st.integers(-5, 5), st.floats(allow_infinity=False), st.text(max_size=3)), max_size=8))
def test_table_survives_json(rows: list[tuple[int, float, str]]) -> None:
    original = Table.of(
        [{"n": n, "x": x, "t": t} for n, x, t in rows], {"n": "n", "x": "x", "t": "t"}, about_it=[1, None]
    )
    again = Table.from_json(json.loads(json.dumps(original.to_json())))
    assert again.about == {"about_it": [1, None]}
    assert again.titles == original.titles
    for name in original.columns:
        before, after = original[name].tolist(), again[name].tolist()
        assert len(before) == len(after)
        assert all(a == b or (a != a and b != b) for a, b in zip(before, after, strict=True))


def test_table_lists_survive_json() -> None:
    again = Table.from_json(table().to_json())
    assert again["values"].tolist() == [[1.0, 2.0], [3.0], []]


def test_table_infinity_becomes_null() -> None:
    content = Table.of([{"x": math.inf}, {"x": 1.0}], {"x": "x"}).to_json()
    assert content["columns"]["x"] == [None, 1.0]
    assert Table.from_json(content)["x"][1] == 1


@pytest.mark.parametrize("content", [None, [], {}, {"columns": {"x": [1]}, "titles": {}, "about": {}}, {"columns": 3}])
def test_table_refuses_other_json(content: object) -> None:
    with pytest.raises(StudyError, match="Run the study again"):
        Table.from_json(content)


def test_table_to_csv(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["score"] for row in rows] == ["0.5", "", "0.9"]
    assert [row["feature"] for row in rows] == ["b", "a", "b"]


def test_table_to_pandas() -> None:
    frame = table().to_pandas()
    assert frame["neuron"].tolist() == [3, 1, 2]
    assert frame.attrs == {"made_of": "a test"}


def test_table_to_polars_and_arrow() -> None:
    """Both keep types, texts, lists and NaN; Arrow keeps the titles and facts as well."""
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    source = table()
    frame, arrow = source.to_polars(), source.to_arrow()
    for columns in (frame.to_dict(as_series=False), arrow.to_pydict()):
        assert list(columns) == list(source.columns)
        assert columns["neuron"] == [3, 1, 2]
        assert columns["feature"] == ["b", "a", "b"]
        assert columns["score"][::2] == [0.5, 0.9]
        assert math.isnan(columns["score"][1])
        assert columns["values"] == [[1.0, 2.0], [3.0], []]
    assert {field.name: field.metadata[b"title"].decode() for field in arrow.schema} == dict(source.titles)
    assert json.loads(arrow.schema.metadata[b"about"]) == source.about


def test_table_missing_list_is_null_in_arrow_and_polars() -> None:
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    source = Table.of([{"at": [1, 2]}, {"at": None}], {"at": "places"})
    assert source.to_polars()["at"].to_list() == source.to_arrow()["at"].to_pylist() == [[1, 2], None]
    empty = Table.of([], TITLES)
    assert (len(empty.to_polars()), len(empty.to_arrow())) == (0, 0)


@pytest.mark.parametrize(("package", "extra"), [("pandas", "pandas"), ("polars", "polars"), ("pyarrow", "arrow")])
def test_table_without_a_package_names_the_extra(package: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'gatescope\[{extra}\]'"):
        getattr(table(), f"to_{extra}")()


def test_table_refuses_columns_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="expected one length"):
        Table({"a": np.arange(2), "b": np.arange(3)}, {"a": "", "b": ""})
    with pytest.raises(ValueError, match="a title for each"):
        Table({"a": np.arange(2)}, {})
    with pytest.raises(StudyError, match="Column: expected one of neuron, feature, score, values, got 'z'"):
        table()["z"]
    assert len(Table.of([], TITLES)) == 0
