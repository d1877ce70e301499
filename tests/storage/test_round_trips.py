"""Stored traces come back with the same values, attributes and names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import gatescope.storage.writing
from gatescope.storage import Writer, open_trace, save_trace
from gatescope.trace import FORMAT, TraceError
from tests.reference.traces import make
from tests.storage.traces import NewPath, assert_same_trace, piece_of, recipes


@settings(max_examples=40)
@given(recipe=recipes, dtype=st.sampled_from(["float16", "float32", "float64"]), rows=st.sampled_from([1, 5, 1 << 16]))
def test_stored_trace_is_loaded(recipe: dict[str, Any], dtype: str, rows: int, new_path: NewPath) -> None:
    directory, trace = new_path(), make(**recipe).trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.storage.writing, "MAX_CHUNK_ROWS", rows)
        save_trace(trace, directory, dtype)
    loaded = open_trace(directory)
    assert_same_trace(loaded, trace, dtype)
    computed = trace.attributes["precision"]
    coarser = dtype if np.dtype(dtype).itemsize < np.dtype(computed).itemsize else computed
    added = {"precision": coarser, "computed_in": computed, "format": FORMAT, "finished": True}
    added["checksums"] = loaded.attributes["checksums"]
    assert loaded.attributes == {**trace.attributes, **added}
    assert not list(directory.rglob("*.partial"))


@settings(max_examples=40)
@given(recipe=recipes, data=st.data())
def test_trace_written_in_pieces_equals_the_whole(
    recipe: dict[str, Any], data: st.DataObject, new_path: NewPath
) -> None:
    directory, trace = new_path(), make(**recipe).trace
    length = trace.steps["token"].shape[1]
    size = data.draw(st.integers(1, max(1, length)))
    with Writer(directory, "float64") as writer:
        for start in range(0, max(1, length), size):
            writer.append(piece_of(trace, start, min(length, start + size)))
            written = open_trace(directory)
            assert written.attributes["finished"] is False
            assert written.steps["token"].shape[1] == writer.steps == min(length, start + size)
            assert_same_trace(written, piece_of(trace, 0, writer.steps), "float64")
        writer.finish(residual=np.float32(0.25), note={"of": [None, True, 1, "x"]})
    loaded = open_trace(directory)
    assert_same_trace(loaded, trace, "float64")
    assert loaded.attributes["residual"] == 0.25
    assert loaded.attributes["note"] == {"of": [None, True, 1, "x"]}


def test_precision_of_a_rounded_trace_stays_coarse(new_path: NewPath) -> None:
    first, second = new_path(), new_path()
    save_trace(make(["lstm"], [5], dtype="float64").trace, first, "float16")
    save_trace(open_trace(first), second, "float32")
    attributes = open_trace(second).attributes
    assert attributes["precision"] == "float16"
    assert attributes["computed_in"] == "float64"
    assert open_trace(second)["layer0"]["h"].dtype == np.float32


@given(
    values=arrays.arrays(
        np.float32, (2, 3, 2), elements=st.floats(-60000, 60000, width=32) | st.sampled_from([np.inf, -np.inf, np.nan])
    )
)
@settings(max_examples=40)
def test_values_are_rounded_to_the_stored_dtype(values: np.ndarray, new_path: NewPath) -> None:
    trace = make(["elman"], [3, 3], neurons=2).trace
    trace = replace(trace, layers={"layer0": {"h": values}})
    for dtype in ("float16", "float32", "float64"):
        directory = new_path()
        save_trace(trace, directory, dtype)
        assert np.array_equal(open_trace(directory)["layer0"]["h"][...], values.astype(dtype), equal_nan=True)


@pytest.mark.parametrize(
    ("value", "dtype", "advice"), [(7e4, "float16", 'dtype="float32"'), (-1e300, "float32", 'dtype="float64"')]
)
def test_value_beyond_the_range_is_refused_not_clipped(
    value: float, dtype: str, advice: str, new_path: NewPath
) -> None:
    directory, trace = new_path(), make(["lstm"], [6], dtype="float64").trace
    trace["layer0"]["c"][0, 4, 1] = value
    with pytest.raises(TraceError, match=rf"layer0/c: expected values that {dtype} can hold, got .*{advice}"):
        save_trace(trace, directory, dtype)
    assert not directory.exists()
    with pytest.raises(TraceError, match="can hold, got"), Writer(directory, dtype) as writer:
        writer.append(piece_of(trace, 0, 3))
        writer.append(piece_of(trace, 3, 6))
    assert_same_trace(open_trace(directory), piece_of(trace, 0, 3), dtype)


def test_nan_and_infinity_of_attributes_become_words(new_path: NewPath) -> None:
    directory, trace = new_path(), make(["lstm"], [2]).trace
    trace = replace(trace, attributes={**trace.attributes, "residual": np.inf, "loss": float("nan")})
    save_trace(trace, directory)
    attributes = open_trace(directory).attributes
    assert (attributes["residual"], attributes["loss"]) == ("Infinity", "NaN")


def test_symbols_of_any_kind_are_loaded(new_path: NewPath) -> None:
    directory, trace = new_path(), make(["lstm"], [2]).trace
    symbols = {"unit": "character", "end": "\n", "symbols": ["\n", "\0", '"', "é", "中", "😀"]}
    save_trace(replace(trace, attributes={**trace.attributes, "vocabulary": symbols}), directory)
    assert open_trace(directory).vocabulary.to_json() == symbols
