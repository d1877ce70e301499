"""The zarr library and xarray open the traces of gatescope, and gatescope opens theirs."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatescope.storage.writing
from gatescope.storage import open_trace, save_trace
from gatescope.trace import TraceError
from tests.reference.traces import make
from tests.storage.traces import NewPath, arrays_of, assert_same_trace, recipes


@settings(max_examples=25)
@given(recipe=recipes, dtype=st.sampled_from(["float16", "float32"]), rows=st.sampled_from([5, 1 << 16]))
def test_zarr_reads_stored_traces(recipe: dict[str, Any], dtype: str, rows: int, new_path: NewPath) -> None:
    import zarr

    directory, trace = new_path(), make(**recipe).trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.storage.writing, "MAX_CHUNK_ROWS", rows)
        save_trace(trace, directory, dtype)
    for consolidated in (True, False):
        group = zarr.open_group(directory, mode="r", use_consolidated=consolidated)
        assert json.loads(json.dumps(dict(group.attrs))) == open_trace(directory).attributes
        arrays = {path: node for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}
        expected = {path: (lazy, axes) for path, lazy, axes in arrays_of(open_trace(directory))}
        assert set(arrays) == {*expected, "length"}
        assert np.array_equal(arrays["length"][...], trace.lengths)
        for path, (lazy, axes) in expected.items():
            array = arrays[path]
            assert array.metadata.dimension_names == axes  # pyright: ignore[reportAttributeAccessIssue]
            assert array.dtype == lazy.dtype
            assert np.array_equal(array[...], np.asarray(lazy), equal_nan=lazy.dtype.kind == "f")
            assert dict(array.attrs) == lazy.attributes


def test_zarr_and_xarray_show_names_and_padding(new_path: NewPath) -> None:
    import xarray
    import zarr

    directory, trace = new_path(), make(["lstm", "gru"], [4, 2]).trace
    save_trace(trace, directory, "float32")
    array = zarr.open_array(directory / "layer0" / "f", mode="r")
    assert array.attrs["title"] == "the f of lstm"
    assert array.attrs["formula"] == "formula of f"
    assert array.attrs["range"] == [None, 1.0]
    tree = xarray.open_datatree(directory, engine="zarr")
    cell = tree["layer0/c"]
    assert cell.dims == ("sequence", "step", "neuron")
    assert np.isnan(cell.isel(sequence=1, step=slice(2, None))).all()
    assert np.array_equal(cell, trace["layer0"]["c"], equal_nan=True)
    assert tree["layer1/initial/h"].dims == ("sequence", "neuron")
    assert np.asarray(tree["length"]).tolist() == [4, 2]


def test_traces_written_by_zarr_are_read(new_path: NewPath) -> None:
    import zarr
    from zarr.codecs import TransposeCodec

    directory, copy = new_path(), new_path()
    save_trace(make(["lstm"], [7, 5], dtype="float32").trace, directory, "float32")
    source = zarr.open_group(directory, mode="r")
    target = zarr.create_group(copy, attributes=dict(source.attrs))
    for path, node in source.members(max_depth=None):
        if isinstance(node, zarr.Array):
            swap = [TransposeCodec(order=(0, 2, 1))] if path == "layer0/c" else None
            new = target.create_array(
                path,
                shape=node.shape,
                dtype=node.dtype,
                chunks=tuple(min(2, max(1, n)) for n in node.shape),
                compressors=None,
                filters=swap or (),
                fill_value=node.fill_value,
                dimension_names=node.metadata.dimension_names,  # pyright: ignore[reportAttributeAccessIssue]
            )
            new[...] = node[...]
    with pytest.raises(TraceError, match=r"expected a list of all arrays, got none\. Run zarr\.consolidate_metadata"):
        open_trace(copy)
    with pytest.warns(match="onsolidated"):
        zarr.consolidate_metadata(copy)
    assert_same_trace(open_trace(copy), open_trace(directory), "float32")
    shutil.rmtree(copy / "target" / "c")
    with pytest.raises(TraceError, match="expected target as it was written, got other values"):
        open_trace(copy)
