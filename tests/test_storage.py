"""Store -> load -> equal; the zarr library agrees; nothing foreign is believed; a killed writer loses nothing."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import gatescope.storage.writing
from gatescope import GatescopeError
from gatescope.storage import LazyArray, Writer, open_trace, save_trace
from gatescope.trace import FORMAT, LAYER_AXES, STATE_AXES, STEP_AXES, Trace, TraceError
from tests.reference.traces import make
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
Fresh = Callable[[], Path]


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """A new path on each call, for property tests, whose examples share a test's fixtures."""
    return lambda: tmp_path_factory.mktemp("stored") / "trace"


# The arguments of `make`. It is called in the test: the type checks around it use `random`, which no strategy may.
recipes = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(["lstm", "gru", "peephole", "feedforward"]), max_size=2),
        "lengths": st.lists(st.integers(0, 12), max_size=4),
        "neurons": st.integers(0, 4),
        "symbols": st.integers(1, 4),
        "dtype": st.sampled_from(["float32", "float64"]),
        "seed": st.integers(0, 1000),
        "padding": st.integers(0, 2),
        "top": st.integers(0, 3),
    }
)


# --- round trips -----------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(recipe=recipes, dtype=st.sampled_from(["float16", "float32", "float64"]), rows=st.sampled_from([1, 5, 1 << 16]))
def test_what_is_stored_is_loaded(recipe: dict[str, Any], dtype: str, rows: int, fresh: Fresh) -> None:
    directory, trace = fresh(), make(**recipe).trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.storage.writing, "MAXIMUM_ROWS", rows)
        save_trace(trace, directory, dtype)
    loaded = open_trace(directory)
    _assert_equal(loaded, trace, dtype)
    computed = trace.attributes["precision"]
    coarser = dtype if np.dtype(dtype).itemsize < np.dtype(computed).itemsize else computed
    told = {"precision": coarser, "computed_in": computed, "format": FORMAT, "finished": True}
    told["checksums"] = loaded.attributes["checksums"]
    assert loaded.attributes == {**trace.attributes, **told}
    assert not list(directory.rglob("*.partial"))


@settings(max_examples=40)
@given(recipe=recipes, data=st.data())
def test_pieces_are_the_whole(recipe: dict[str, Any], data: st.DataObject, fresh: Fresh) -> None:
    directory, trace = fresh(), make(**recipe).trace
    length = trace.steps["token"].shape[1]
    size = data.draw(st.integers(1, max(1, length)))
    with Writer(directory, "float64") as writer:
        for start in range(0, max(1, length), size):
            writer.append(_piece(trace, start, min(length, start + size)))
            written = open_trace(directory)
            assert written.attributes["finished"] is False
            assert written.steps["token"].shape[1] == writer.steps == min(length, start + size)
            _assert_equal(written, _piece(trace, 0, writer.steps), "float64")
        writer.finish(residual=np.float32(0.25), note={"of": [None, True, 1, "x"]})
    loaded = open_trace(directory)
    _assert_equal(loaded, trace, "float64")
    assert loaded.attributes["residual"] == 0.25
    assert loaded.attributes["note"] == {"of": [None, True, 1, "x"]}


def test_what_was_rounded_stays_rounded(fresh: Fresh) -> None:
    first, second = fresh(), fresh()
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
def test_values_survive_as_far_as_their_type_can_hold_them(values: np.ndarray, fresh: Fresh) -> None:
    trace = make(["elman"], [3, 3], neurons=2).trace
    trace = replace(trace, layers={"layer0": {"h": values}})
    for dtype in ("float16", "float32", "float64"):
        directory = fresh()
        save_trace(trace, directory, dtype)
        assert np.array_equal(open_trace(directory)["layer0"]["h"][...], values.astype(dtype), equal_nan=True)


@pytest.mark.parametrize(
    ("value", "dtype", "advice"), [(7e4, "float16", 'dtype="float32"'), (-1e300, "float32", 'dtype="float64"')]
)
def test_a_value_beyond_the_range_is_refused_and_never_clipped(
    value: float, dtype: str, advice: str, fresh: Fresh
) -> None:
    directory, trace = fresh(), make(["lstm"], [6], dtype="float64").trace
    trace["layer0"]["c"][0, 4, 1] = value
    with pytest.raises(TraceError, match=rf"layer0/c reaches .*, which {dtype} cannot hold; .*{advice}"):
        save_trace(trace, directory, dtype)
    assert not directory.exists()
    with pytest.raises(TraceError, match="cannot hold"), Writer(directory, dtype) as writer:
        writer.append(_piece(trace, 0, 3))
        writer.append(_piece(trace, 3, 6))
    _assert_equal(open_trace(directory), _piece(trace, 0, 3), dtype)


def test_residuals_that_json_cannot_hold_become_words(fresh: Fresh) -> None:
    directory, trace = fresh(), make(["lstm"], [2]).trace
    trace = replace(trace, attributes={**trace.attributes, "residual": np.inf, "loss": float("nan")})
    save_trace(trace, directory)
    attributes = open_trace(directory).attributes
    assert (attributes["residual"], attributes["loss"]) == ("Infinity", "NaN")


def test_symbols_of_any_kind_survive(fresh: Fresh) -> None:
    directory, trace = fresh(), make(["lstm"], [2]).trace
    symbols = {"unit": "character", "end": "\n", "symbols": ["\n", "\0", '"', "é", "中", "😀"]}
    save_trace(replace(trace, attributes={**trace.attributes, "vocabulary": symbols}), directory)
    assert open_trace(directory).vocabulary.to_json() == symbols


# --- the zarr library and xarray -------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(recipe=recipes, dtype=st.sampled_from(["float16", "float32"]), rows=st.sampled_from([5, 1 << 16]))
def test_zarr_opens_the_same_directory(recipe: dict[str, Any], dtype: str, rows: int, fresh: Fresh) -> None:
    import zarr

    directory, trace = fresh(), make(**recipe).trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.storage.writing, "MAXIMUM_ROWS", rows)
        save_trace(trace, directory, dtype)
    for consolidated in (True, False):
        group = zarr.open_group(directory, mode="r", use_consolidated=consolidated)
        assert json.loads(json.dumps(dict(group.attrs))) == open_trace(directory).attributes
        seen = {path: node for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}
        expected = {path: (lazy, axes) for path, lazy, axes in _every_array(open_trace(directory))}
        assert set(seen) == {*expected, "length"}
        assert np.array_equal(seen["length"][...], trace.lengths)
        for path, (lazy, axes) in expected.items():
            array = seen[path]
            assert array.metadata.dimension_names == axes  # pyright: ignore[reportAttributeAccessIssue]
            assert array.dtype == lazy.dtype
            assert np.array_equal(array[...], np.asarray(lazy), equal_nan=lazy.dtype.kind == "f")
            assert dict(array.attrs) == lazy.attributes


def test_zarr_and_xarray_show_names_and_padding(fresh: Fresh) -> None:
    import xarray
    import zarr

    directory, trace = fresh(), make(["lstm", "gru"], [4, 2]).trace
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


def test_traces_that_zarr_wrote_are_read(fresh: Fresh) -> None:
    import zarr
    from zarr.codecs import TransposeCodec

    directory, copy = fresh(), fresh()
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
    with pytest.raises(TraceError, match=r"does not list its arrays; run zarr\.consolidate_metadata"):
        open_trace(copy)
    with pytest.warns(match="onsolidated"):
        zarr.consolidate_metadata(copy)
    _assert_equal(open_trace(copy), open_trace(directory), "float32")
    shutil.rmtree(copy / "target" / "c")
    with pytest.raises(TraceError, match="target as written"):
        open_trace(copy)


# --- lazy arrays -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Trace]:
    """A trace of several chunks along sequences and steps, in memory and on disk."""
    directory = tmp_path_factory.mktemp("lazy") / "trace"
    trace = make(["peephole"], [17, 0, 23, 9, 23], neurons=3, top=2).trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.storage.writing, "MAXIMUM_ROWS", 14)
        with Writer(directory, "float32") as writer:
            for start in range(0, 23, 5):
                writer.append(_piece(trace, start, min(23, start + 5)))
    assert len(list((directory / "layer0" / "c").glob("c.*"))) == 3 * 5
    return trace, open_trace(directory)


@settings(max_examples=400)
@given(data=st.data())
def test_indexing_is_numpys(data: st.DataObject, stored: tuple[Trace, Trace]) -> None:
    trace, lazy_trace = stored
    paths = ["layer0/c", "top_token", "token", "layer0/initial/c", "layer0/parameters/p.i"]
    path = data.draw(st.sampled_from(paths))
    lazy = {p: array for p, array, _ in _every_array(lazy_trace)}[path]
    array = {p: array for p, array, _ in _every_array(trace)}[path]
    index = data.draw(_indices(array.shape))
    found, expected = lazy[index], array[index]
    assert np.shape(found) == np.shape(expected)
    assert found.dtype == lazy.dtype
    assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")


@st.composite
def _indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    items: list[Any] = []
    array_left = True
    for size in shape[: draw(st.integers(0, len(shape)))]:
        kinds = [st.slices(size), st.integers(-size, size - 1), st.integers(-size, size - 1).map(np.int64)]
        if array_left:
            numbers = st.lists(st.integers(-size, size - 1), max_size=6)
            kinds += [numbers, numbers.map(lambda n: np.array(n, dtype=np.int32))]
            kinds += [numbers.map(lambda n: np.array(n[: len(n) // 2 * 2], dtype=np.int64).reshape(-1, 2))]
        items.append(draw(st.one_of(kinds)))
        array_left = array_left and not isinstance(items[-1], list | np.ndarray)
    if draw(st.booleans()):
        dots = draw(st.integers(0, len(items)))
        # What follows the dots indexes the last axes, whose sizes it must fit: keep only slices there.
        items[dots:] = [Ellipsis, *(item for item in items[dots:] if isinstance(item, slice))]
    return tuple(items) if len(items) != 1 or draw(st.booleans()) else items[0]


@pytest.mark.parametrize("index", [5, -6, (0, 23), (0, 0, 3), [0, 5], (0, [-24]), (0, 0, 0, 0), (..., ...)])
def test_what_is_not_there_is_an_index_error(index: Any, stored: tuple[Trace, Trace]) -> None:
    with pytest.raises(IndexError, match="layer0/c"):
        stored[1]["layer0"]["c"][index]


@pytest.mark.parametrize("index", [([0], [1]), True, [True, False, True, False, True], [0.5], np.array([[0.0]])])
def test_other_indices_are_refused(index: Any, stored: tuple[Trace, Trace]) -> None:
    with pytest.raises(IndexError):
        stored[1]["layer0"]["c"][index]


def test_lazy_arrays_behave_like_arrays(stored: tuple[Trace, Trace]) -> None:
    lazy, array = stored[1]["layer0"]["c"], stored[0]["layer0"]["c"]
    assert (len(lazy), lazy.ndim, lazy.size, lazy.dtype) == (5, 3, array.size, np.float32)
    assert np.asarray(lazy, dtype=np.float64).dtype == np.float64
    assert len(list(lazy)) == 5
    assert repr(lazy) == "LazyArray(layer0/c, shape=(5, 23, 3), dtype=float32)"
    with pytest.raises(ValueError, match="cannot become an array without a copy"):
        np.asarray(lazy, copy=False)


def test_only_what_is_asked_for_is_read(fresh: Fresh) -> None:
    directory, trace = fresh(), make(["lstm"], [20]).trace
    with Writer(directory) as writer:
        for start in range(0, 20, 5):
            writer.append(_piece(trace, start, start + 5))
    lazy = open_trace(directory)["layer0"]["h"]
    (directory / "layer0" / "h" / "c.0.2.0").write_bytes(b"damaged")
    assert np.isfinite(lazy[0, :10]).all()
    with pytest.raises(TraceError, match=r"c\.0\.2\.0: expected 40 bytes, got 7\. The trace is damaged"):
        lazy[0, :11]


def test_chunks_that_were_never_written_are_padding(fresh: Fresh) -> None:
    directory = fresh()
    save_trace(make(["lstm"], [5]).trace, directory)
    (directory / "layer0" / "h" / "c.0.0.0").unlink()
    (directory / "top_token" / "c.0.0.0").unlink()
    loaded = open_trace(directory)
    assert np.isnan(loaded["layer0"]["h"][...]).all()
    assert (np.asarray(loaded.steps["top_token"]) == -1).all()


# --- what a writer refuses -------------------------------------------------------------------------------------------


def test_a_directory_with_something_else_is_left_alone(fresh: Fresh) -> None:
    trace = make(["lstm"], [5]).trace
    directory = fresh()
    directory.mkdir()
    save_trace(trace, directory)  # an empty one is fine
    for overwrite in (False, True):
        other = fresh()
        other.mkdir()
        (other / "thesis.tex").write_text("years of work")
        with pytest.raises(TraceError, match="holds something that is not a trace and is left alone"):
            save_trace(trace, other, overwrite=overwrite)
        assert (other / "thesis.tex").read_text() == "years of work"
        with pytest.raises(TraceError, match="is a file"):
            save_trace(trace, other / "thesis.tex", overwrite=overwrite)


def test_a_trace_is_replaced_only_on_request(fresh: Fresh) -> None:
    directory, old, new = fresh(), make(["lstm"], [5]).trace, make(["gru"], [3, 4], seed=1).trace
    save_trace(old, directory, "float32")
    with pytest.raises(TraceError, match="already holds a trace; give another name, or ask for it to be replaced"):
        save_trace(new, directory)
    opened = open_trace(directory)
    save_trace(new, directory, "float32", overwrite=True)
    _assert_equal(open_trace(directory), new, "float32")
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]
    with pytest.raises(TraceError, match="was replaced after it was opened; open it again"):
        opened["layer0"]["h"][0]
    save_trace(open_trace(directory), directory, "float64", overwrite=True)  # from itself
    _assert_equal(open_trace(directory), new, "float64")


class _StopError(Exception):
    pass


def test_an_interrupted_replacement_keeps_the_old_trace(fresh: Fresh) -> None:
    directory, old, new = fresh(), make(["lstm"], [5]).trace, make(["gru"], [6]).trace
    save_trace(old, directory, "float32")
    with pytest.raises(_StopError), Writer(directory, overwrite=True) as writer:
        writer.append(_piece(new, 0, 3))
        raise _StopError
    _assert_equal(open_trace(directory), old, "float32")
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


def test_an_interrupted_recording_leaves_what_it_had(fresh: Fresh) -> None:
    directory, trace = fresh(), make(["gru"], [6]).trace
    with pytest.raises(_StopError), Writer(directory, "float32") as writer:
        writer.append(_piece(trace, 0, 4))
        raise _StopError
    loaded = open_trace(directory)
    assert loaded.attributes["finished"] is False
    _assert_equal(loaded, _piece(trace, 0, 4), "float32")


@pytest.mark.parametrize("there", [False, True])
def test_writer_while_another_is_at_work_is_refused(there: bool, fresh: Fresh) -> None:
    """Two writers at once never mix: the first ends with its whole trace, the second is told."""
    directory, trace = fresh(), make(["gru"], [6]).trace
    if there:
        save_trace(make(["lstm"], [5]).trace, directory)
    with Writer(directory, "float32", overwrite=there) as writer:
        for overwrite in (False, True):
            with pytest.raises(TraceError, match="expected no other writer"):
                Writer(directory, overwrite=overwrite)
        writer.append(trace)
    _assert_equal(open_trace(directory), trace, "float32")
    save_trace(trace, directory, overwrite=True)
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


def test_writers_in_many_threads_end_with_one_whole_trace(fresh: Fresh) -> None:
    directory, traces = fresh(), [make(["gru"], [size]).trace for size in range(2, 8)]
    refusals: list[str] = []

    def write(trace: Trace) -> None:
        for _ in range(5):
            try:
                save_trace(trace, directory, "float32", overwrite=True)
            except TraceError as error:
                refusals.append(str(error))

    threads = [threading.Thread(target=write, args=(trace,)) for trace in traces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("expected no other writer" in refusal for refusal in refusals)
    found = open_trace(directory)
    _assert_equal(found, traces[int(found.lengths[0]) - 2], "float32")
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


def test_lock_of_a_killed_writer_is_taken_over(fresh: Fresh) -> None:
    directory, trace = fresh(), make(["gru"], [6]).trace
    directory.parent.mkdir(exist_ok=True)
    (directory.parent / ".trace.lock").touch()
    save_trace(trace, directory)
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


@pytest.mark.parametrize("name", ["/", "file/trace", "n" * 300])
def test_impossible_place_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GatescopeError):
        Writer(tmp_path / name)


def test_a_writer_without_pieces_leaves_nothing(fresh: Fresh) -> None:
    directory = fresh()
    with Writer(directory):
        pass
    assert not directory.exists()
    with pytest.raises(TraceError, match="nothing was recorded"), Writer(directory) as writer:
        writer.finish()
    assert not directory.exists()


def test_pieces_that_do_not_go_on_are_refused(fresh: Fresh) -> None:
    directory, trace = fresh(), make(["lstm"], [12, 3], dtype="float32").trace
    with Writer(directory, "float32") as writer:
        writer.append(_piece(trace, 0, 4))
        first = trace["layer0"]
        wrong = [
            (_piece(trace, 4, 9), "must be equally long"),
            (_piece(make(["lstm"], [12]).trace, 4, 8), "was expected"),
            (_piece(make(["lstm"], [12, 3], neurons=5).trace, 4, 8), "was expected"),
            (_piece(make(["gru"], [12, 3]).trace, 4, 8), "not in every piece"),
            (replace(_piece(trace, 4, 8), lengths=np.array([4, 1])), "ended at step 3 and cannot go on"),
            (replace(_piece(trace, 4, 8), lengths=np.array([5, 0])), "says its sequences have"),
            (_piece(replace(trace, layers={"layer0": {"h": first["h"]}}), 4, 8), "not in every piece"),
        ]
        for piece, reason in wrong:
            with pytest.raises(TraceError, match=reason):
                writer.append(piece)
        writer.append(_piece(trace, 4, 8))
        writer.append(_piece(trace, 8, 10))
        with pytest.raises(TraceError, match="must be equally long"):
            writer.append(_piece(trace, 10, 12))
    with pytest.raises(TraceError, match="the trace is finished"):
        writer.append(_piece(trace, 10, 12))
    _assert_equal(open_trace(directory), _piece(trace, 0, 10), "float32")


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "", ".hidden", "__meta", "initial", "token", "x" * 201, "a\0"])
def test_names_that_are_no_folders_are_refused(name: str, fresh: Fresh) -> None:
    directory, trace = fresh(), make(["elman"], [2]).trace
    about = trace.attributes["layers"]["layer0"]
    for layers in ({"layer0": {name: trace["layer0"]["h"]}}, {name: {"h": trace["layer0"]["h"]}}):
        told = {**trace.attributes, "layers": {"layer0": about, name: about}}
        changed = replace(trace, layers=layers, initial={}, parameters={}, attributes=told)
        with pytest.raises(TraceError, match="cannot be stored"):
            save_trace(changed, directory)
        assert not directory.exists()


@pytest.mark.parametrize("name", ["σ", "x.i", "gate with spaces", "C"])
def test_other_names_are_kept(name: str, fresh: Fresh) -> None:
    directory, trace = fresh(), make(["elman"], [2]).trace
    trace = replace(trace, layers={"layer0": {name: trace["layer0"]["h"]}})
    save_trace(trace, directory, "float32")
    _assert_equal(open_trace(directory), trace, "float32")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"precision": "bfloat16"}, "the precision is 'bfloat16'; it is one of"),
        ({"vocabulary": None}, "no vocabulary"),
        ({"layers": {}}, "do not say which cell layer0 has"),
        ({"layers": {"layer0": {"cell": {}}}}, "do not describe the arrays of layer0"),
        ({"when": object()}, "are JSON; object"),
        ({"counts": {1: 2}}, "whose keys are texts"),
    ],
)
def test_attributes_that_readers_could_not_use_are_refused(
    attributes: dict[str, Any], reason: str, fresh: Fresh
) -> None:
    directory, trace = fresh(), make(["elman"], [2]).trace
    with pytest.raises(TraceError, match=reason):
        save_trace(replace(trace, attributes={**trace.attributes, **attributes}), directory)
    assert not directory.exists()


def test_dtypes_that_are_not_stored_are_refused(fresh: Fresh) -> None:
    with pytest.raises(TraceError, match="'int8' was asked for"):
        save_trace(make(["elman"], [2]).trace, fresh(), "int8")


# --- what a reader refuses -------------------------------------------------------------------------------------------


def _at(path: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the description of one array."""
    return lambda root: root["consolidated_metadata"]["metadata"][path].update(changes)


def _attributes(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda root: root["attributes"].update(changes)


def _renamed(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(root: dict[str, Any]) -> None:
        nodes = root["consolidated_metadata"]["metadata"]
        nodes[new] = nodes.pop(old)

    return change


def _grid(*chunks: Any) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}


DAMAGE: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (_attributes(format=FORMAT + 1), "upgrade gatescope"),
    (_attributes(format="1"), "a Zarr group but no trace"),
    (_attributes(format=True), "a Zarr group but no trace"),
    (_attributes(format=0), "a Zarr group but no trace"),
    (lambda root: root.pop("attributes"), "a Zarr group but no trace"),
    (lambda root: root.update(attributes=[]), "a Zarr group but no trace"),
    (lambda root: root.update(zarr_format=2), "does not describe a Zarr v3 group"),
    (lambda root: root.update(node_type="array"), "does not describe a Zarr v3 group"),
    (lambda root: root.pop("consolidated_metadata"), "does not list its arrays"),
    (lambda root: root.update(consolidated_metadata={"metadata": []}), "does not list its arrays"),
    (lambda root: root["consolidated_metadata"]["metadata"].clear(), "holds no steps"),
    (lambda root: root["consolidated_metadata"]["metadata"].pop("length"), "does not say how long"),
    (_attributes(precision="float8"), "the precision is 'float8'"),
    (_attributes(vocabulary=[]), "no vocabulary"),
    (_attributes(layers=[]), "do not describe the layers"),
    (_attributes(layers={"layer0": []}), "do not say which cell layer0 has"),
    (_attributes(layers={"layer0": {"cell": {}, "arrays": {"h": 1}}}), "do not describe the arrays of layer0"),
    (_renamed("layer0/h", "layer0/../../secret"), "does not belong into a trace"),
    (_renamed("layer0/h", "../secret"), "does not belong into a trace"),
    (_renamed("layer0/h", "/etc/passwd"), "does not belong into a trace"),
    (_renamed("layer0/h", "layer0/initial/a/b"), "does not belong into a trace"),
    (_renamed("layer0/h", "layer0//h"), "does not belong into a trace"),
    (_renamed("layer0/h", ""), "does not belong into a trace"),
    (_renamed("layer0/h", "layer0/\0"), "does not belong into a trace"),
    (_renamed("layer0/h", "layer0/" + "h" * 5000), "does not belong into a trace"),
    (_at("layer0/h", shape=[2, -5, 3]), "sizes are whole numbers from 0 on"),
    (_at("layer0/h", shape=[2, 5.0, 3]), "sizes are whole numbers from 0 on"),
    (_at("layer0/h", shape=[2, True, 3]), "sizes are whole numbers from 0 on"),
    (_at("layer0/h", shape=[2, 10**30, 3]), "sizes are whole numbers from 0 on"),
    (_at("layer0/h", shape=[2, 2**47, 3]), "more than any trace can hold"),
    (_at("layer0/h", shape=[2, 4, 3]), "differ in shape"),
    (_at("layer0/h", shape=[2, 5]), "a trace has sequence, step, neuron there"),
    (_at("layer0/h", shape=[]), "a trace has sequence, step, neuron there"),
    (_at("layer0/h", shape="5"), "not described as a Zarr v3 array"),
    (_at("layer0/h", dimension_names=["step", "sequence", "neuron"]), "a trace has sequence, step, neuron there"),
    (_at("layer0/h", dimension_names=None), "a trace has sequence, step, neuron there"),
    (_at("layer0/h", chunk_grid=_grid(2, 0, 3)), "sizes are whole numbers from 0 on"),
    (_at("layer0/h", chunk_grid=_grid(2, "5", 3)), "sizes are whole numbers from 0 on"),
    (_at("layer0/h", chunk_grid=_grid(5, 3)), "a trace has sequence, step, neuron there"),
    (_at("layer0/h", chunk_grid={"name": "rectangular"}), "not described as a Zarr v3 array"),
    (_at("layer0/h", data_type="complex64"), "holds complex64"),
    (_at("layer0/h", data_type="int32"), "holds int32"),
    (_at("layer0/h", data_type=7), "not described as a Zarr v3 array"),
    (_at("token", data_type="float32"), "holds float32"),
    (_at("layer0/h", codecs=[]), "only uncompressed little-endian chunks"),
    (_at("layer0/h", codecs=["bytes"]), "only uncompressed little-endian chunks"),
    (_at("layer0/h", codecs=[{"name": "bytes", "configuration": {"endian": "big"}}]), "only uncompressed"),
    (
        _at("layer0/h", codecs=[{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd"}]),
        "only uncompressed",
    ),
    (_at("layer0/h", fill_value="0x7fc0"), "fills what was not written with"),
    (_at("layer0/h", fill_value=[1]), "fills what was not written with"),
    (_at("layer0/h", fill_value=10**400), "fills what was not written with"),
    (_at("token", fill_value="NaN"), "fills what was not written with"),
    (_at("token", fill_value=True), "fills what was not written with"),
    (
        _at("layer0/h", chunk_key_encoding={"name": "default", "configuration": {"separator": "/../"}}),
        "names its chunks",
    ),
    (_at("layer0/h", chunk_key_encoding={"name": "default", "configuration": 5}), "names its chunks"),
    (_at("layer0/h", chunk_key_encoding={"name": "v2"}), "not described as a Zarr v3 array"),
    (_at("layer0/h", storage_transformers=[{"name": "shuffle"}]), "names its chunks or stores them"),
    (_at("layer0/h", attributes=[]), "names its chunks or stores them"),
    (_at("layer0/h", node_type="group"), "not described as a Zarr v3 array"),
    (lambda root: root["consolidated_metadata"]["metadata"].update({"layer0/h": None}), "not described as a Zarr"),
    (_at("layer0/initial/c", shape=[2, 4]), "states or parameters of layer0 do not have its size"),
    (_at("layer0/initial/c", shape=[3, 3]), "states or parameters of layer0 do not have its size"),
    (_at("layer0/parameters/p.i", shape=[4]), "states or parameters of layer0 do not have its size"),
    (_at("length", shape=[3]), "has 2 sequences and the lengths of 3"),
    (_at("length", data_type="float32"), "holds float32"),
    (lambda root: [_at(p, shape=[2**40, 5])(root) for p in ("token", "target", "log_probability")], "lengths of 2"),
]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    directory = tmp_path / "trace"
    save_trace(make(["peephole"], [5, 4], neurons=3).trace, directory)
    return directory


@pytest.mark.parametrize(("change", "reason"), DAMAGE)
def test_a_description_that_is_wrong_is_refused_in_one_sentence(
    change: Callable[[dict[str, Any]], Any], reason: str, damaged: Path
) -> None:
    root = json.loads((damaged / "zarr.json").read_text())
    change(root)
    (damaged / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(TraceError, match=reason) as found:
        open_trace(damaged)
    assert len(str(found.value)) < 1000
    assert "\n" not in str(found.value)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("described") / "trace"
    save_trace(make(["peephole"], [5, 4], neurons=3).trace, directory)
    return directory, (directory / "zarr.json").read_text()


@settings(max_examples=150)
@given(data=st.data())
def test_no_other_error_ever_leaves_the_reader(data: st.DataObject, described: tuple[Path, str]) -> None:
    """Any value anywhere in the description: the trace is opened, or refused with a sentence."""
    directory, description = described
    root = json.loads(description)
    node: Any = root
    parent: Any = root
    key: Any = "attributes"
    for _ in range(data.draw(st.integers(1, 8))):
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        parent, node = node, node[key]
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    values = st.recursive(
        scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3)
    )
    if data.draw(st.booleans()):
        parent[key] = data.draw(values)
    else:
        del parent[key]
    (directory / "zarr.json").write_text(json.dumps(root))
    with contextlib.suppress(TraceError):
        for _, array, _ in _every_array(open_trace(directory)):
            assert np.asarray(array).shape == array.shape


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b'{"zarr_format": 3, "node_ty', "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"zarr_format": ' + b"9" * 10_000 + b"}", "is not JSON"),
        (b"[]", "does not describe a Zarr v3 group"),
        (b'{"zarr_format": 3, "node_type": "group"}', "a Zarr group but no trace"),
    ],
)
def test_a_file_that_is_no_description_is_refused(content: bytes, reason: str, damaged: Path) -> None:
    (damaged / "zarr.json").write_bytes(content)
    with pytest.raises(TraceError, match=reason):
        open_trace(damaged)


def test_what_is_no_trace_at_all_is_refused(damaged: Path) -> None:
    with pytest.raises(TraceError, match="does not exist"):
        open_trace(damaged.parent / "nothing")
    with pytest.raises(TraceError, match=r"holds no zarr\.json"):
        open_trace(damaged.parent)
    with pytest.raises(TraceError, match=r"holds no zarr\.json"):
        open_trace(damaged / "zarr.json")
    with (damaged / "zarr.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no space
    with pytest.raises(TraceError, match="expected at most 33,554,432 bytes"):
        open_trace(damaged)


def test_lengths_that_cannot_be_are_refused(damaged: Path) -> None:
    file = damaged / "length" / "c.0"
    file.write_bytes(np.array([5, 6], dtype="<i8").tobytes())
    with pytest.raises(TraceError, match="has 5 steps, but its sequences have 5 to 6"):
        open_trace(damaged)
    file.write_bytes(b"")
    with pytest.raises(TraceError, match="holds fewer lengths"):
        open_trace(damaged)
    file.write_bytes(bytes(24))
    with pytest.raises(TraceError, match="expected at most 16 bytes, got 24"):
        open_trace(damaged)
    file.unlink()
    with pytest.raises(TraceError, match="holds fewer lengths"):
        open_trace(damaged)


def test_a_size_that_no_file_holds_costs_no_memory(damaged: Path) -> None:
    root = json.loads((damaged / "zarr.json").read_text())
    nodes = root["consolidated_metadata"]["metadata"]
    for node in nodes.values():
        if "sequence" in node.get("dimension_names", ()):
            node["shape"][0] = 2**40
    nodes["length"]["chunk_grid"] = _grid(2**40)
    (damaged / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(TraceError, match="holds fewer lengths"):
        open_trace(damaged)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")
def test_links_and_pipes_are_not_followed(damaged: Path) -> None:
    trace, file = open_trace(damaged), damaged / "layer0" / "h" / "c.0.0.0"
    outside = damaged.parent / "outside"
    file.rename(outside)
    file.symlink_to(outside)
    with pytest.raises(TraceError, match="expected a regular file, got a link"):
        trace["layer0"]["h"][0]
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(TraceError, match="expected a regular file, got a named pipe"):
        trace["layer0"]["h"][0]
    (damaged / "layer0" / "c").rename(damaged.parent / "folder")
    (damaged / "layer0" / "c").symlink_to(damaged.parent / "folder")
    with pytest.raises(TraceError, match="does not belong into a trace"):
        open_trace(damaged)


def test_a_trace_that_went_away_says_so(damaged: Path) -> None:
    trace = open_trace(damaged)
    damaged.rename(damaged.parent / "moved")
    with pytest.raises(TraceError, match="is gone"):
        trace["layer0"]["h"][0]


# --- killed writers --------------------------------------------------------------------------------------------------

# One process imports the package and forks the writers that are killed.
KILLED = """
import os, pathlib, random, signal, sys, time
from tests.reference.traces import make
from tests.test_storage import _piece
from gatescope.storage import Writer, save_trace

folder, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
old, new = make(["elman"], [6], seed=1).trace, make(["gru"], [9, 5], seed=2).trace
events = 0

def write(directory, overwrite):
    with Writer(directory, "float32", overwrite) as writer:
        for start in (0, 3, 6):
            writer.append(_piece(new, start, start + 3))
            (directory.parent / (directory.name + ".acknowledged")).write_text(str(writer.steps))

def killing(original, last):
    def wrapped(*arguments, **more):
        global events
        events += 1
        if events == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **more)
    return wrapped

def child(directory, overwrite, last):
    os.fsync = killing(lambda descriptor: None, last)
    os.open = killing(os.open, last)
    pathlib.Path.replace = killing(pathlib.Path.replace, last)
    pathlib.Path.rename = killing(pathlib.Path.rename, last)
    pathlib.Path.mkdir = killing(pathlib.Path.mkdir, last)
    pathlib.Path.open = killing(pathlib.Path.open, last)
    os.unlink = killing(os.unlink, last)
    os.rmdir = killing(os.rmdir, last)
    write(directory, overwrite)

def started(work, *arguments):
    process = os.fork()
    if process == 0:
        try:
            work(*arguments)
        finally:
            os._exit(0)
    return process

for number in range(1, 10_000):
    directory = folder / f"{number:05}"
    if mode == "overwrite":
        save_trace(old, directory, "float32")
    if mode == "random":
        process = started(write, directory, False)
        time.sleep(random.Random(number).uniform(0, 0.03))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if number == 40:
            break
    else:
        step = 5 if mode == "overwrite" else 3
        _, status = os.waitpid(started(child, directory, mode == "overwrite", number * step), 0)
        if not os.WIFSIGNALED(status):
            break
print(number)
"""


@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("mode", ["random", "events", "overwrite"])
def test_a_killed_writer_leaves_what_it_had_finished(mode: str, tmp_path: Path) -> None:
    """Killed at random moments, and at every few operations on files from the first to the last."""
    old, new = make(["elman"], [6], seed=1).trace, make(["gru"], [9, 5], seed=2).trace
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), mode]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout)
    assert count > 30
    lengths = []
    for number in range(1, count + 1):
        directory = tmp_path / f"{number:05}"
        told = tmp_path / f"{number:05}.acknowledged"
        acknowledged = int(told.read_text() or 0) if told.exists() else 0
        try:
            found = open_trace(directory)
        except TraceError as error:
            nothing_yet = re.search(r"holds no steps|does not exist|holds no zarr", str(error))
            if mode == "overwrite" or acknowledged or not nothing_yet:
                raise AssertionError("what was finished is lost") from error
            continue
        if mode == "overwrite" and found.attributes["layers"]["layer0"]["cell"]["name"] != "gru":
            _assert_equal(found, old, "float32")
            lengths.append(0)
        else:
            steps = found.steps["token"].shape[1]
            assert steps >= acknowledged
            assert steps in ((9,) if mode == "overwrite" else (3, 6, 9))
            _assert_equal(found, _piece(new, 0, steps), "float32")
            lengths.append(steps)
        if mode == "overwrite":  # and the next writer finds its way
            save_trace(new, directory, "float32", overwrite=True)
            _assert_equal(open_trace(directory), new, "float32")
    if mode != "random":
        assert set(lengths) == ({0, 9} if mode == "overwrite" else {3, 6, 9})


# --- helpers ---------------------------------------------------------------------------------------------------------


def _piece(trace: Trace, start: int, stop: int) -> Trace:
    """Some steps of a trace, as a recording hands them to a writer."""
    return replace(
        trace,
        lengths=np.clip(trace.lengths - start, 0, stop - start),
        steps={name: array[:, start:stop] for name, array in trace.steps.items()},
        layers={
            layer: {name: array[:, start:stop] for name, array in signals.items()}
            for layer, signals in trace.layers.items()
        },
    )


def _every_array(trace: Trace) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for name, array in trace.steps.items():
        yield name, array, STEP_AXES[name]
    for kind, folder, axes in (
        (trace.layers, "", LAYER_AXES),
        (trace.initial, "initial/", STATE_AXES),
        (trace.parameters, "parameters/", ("neuron",)),
    ):
        for layer, arrays_of_layer in kind.items():
            for name, array in arrays_of_layer.items():
                yield f"{layer}/{folder}{name}", array, axes


def _assert_equal(found: Trace, expected: Trace, dtype: str) -> None:
    """The same names in the same order, and the same values as far as `dtype` can hold them."""
    assert np.array_equal(found.lengths, expected.lengths)
    assert list(found.layers) == list(expected.layers)
    seen, wanted = list(_every_array(found)), list(_every_array(expected))
    assert [path for path, _, _ in seen] == [path for path, _, _ in wanted]
    for (path, lazy, _), (_, array, _) in zip(seen, wanted, strict=True):
        assert isinstance(lazy, LazyArray)
        values = np.asarray(array)
        if path.startswith("layer"):
            values = values.astype(dtype)
            assert lazy.dtype == dtype
        elif values.dtype.kind == "f":
            values = values.astype(np.float32)
        assert lazy.shape == values.shape
        assert np.array_equal(np.asarray(lazy), values, equal_nan=values.dtype.kind == "f"), path
