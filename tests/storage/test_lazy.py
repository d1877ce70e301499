"""Lazy arrays: indexed like NumPy arrays, and read only as far as needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatescope.storage.writing
from gatescope.storage import Writer, open_trace, save_trace
from gatescope.trace import Trace, TraceError
from tests.reference.traces import make
from tests.storage.traces import NewPath, arrays_of, piece_of


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, Trace]:
    """Return a trace in memory and on disk, with several chunks along sequences and steps."""
    directory = tmp_path_factory.mktemp("lazy") / "trace"
    trace = make(["peephole"], [17, 0, 23, 9, 23], neurons=3, top=2).trace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.storage.writing, "MAX_CHUNK_ROWS", 14)
        with Writer(directory, "float32") as writer:
            for start in range(0, 23, 5):
                writer.append(piece_of(trace, start, min(23, start + 5)))
    assert len(list((directory / "layer0" / "c").glob("c.*"))) == 3 * 5
    return trace, open_trace(directory)


@settings(max_examples=400)
@given(data=st.data())
def test_lazy_array_is_indexed_like_numpy(data: st.DataObject, stored: tuple[Trace, Trace]) -> None:
    trace, lazy_trace = stored
    paths = ["layer0/c", "top_token", "token", "layer0/initial/c", "layer0/parameters/p.i"]
    path = data.draw(st.sampled_from(paths))
    lazy = {p: array for p, array, _ in arrays_of(lazy_trace)}[path]
    array = {p: array for p, array, _ in arrays_of(trace)}[path]
    index = data.draw(_indices(array.shape))
    actual, expected = lazy[index], array[index]
    assert np.shape(actual) == np.shape(expected)
    assert actual.dtype == lazy.dtype
    assert np.array_equal(actual, expected, equal_nan=expected.dtype.kind == "f")


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
        # Items after the dots index the last axes and must fit their sizes, so only slices stay.
        items[dots:] = [Ellipsis, *(item for item in items[dots:] if isinstance(item, slice))]
    return tuple(items) if len(items) != 1 or draw(st.booleans()) else items[0]


@pytest.mark.parametrize("index", [5, -6, (0, 23), (0, 0, 3), [0, 5], (0, [-24]), (0, 0, 0, 0), (..., ...)])
def test_lazy_array_index_outside_is_refused(index: Any, stored: tuple[Trace, Trace]) -> None:
    with pytest.raises(IndexError, match="layer0/c") as caught:
        stored[1]["layer0"]["c"][index]
    assert isinstance(caught.value, TraceError)


@pytest.mark.parametrize("index", [([0], [1]), True, [True, False, True, False, True], [0.5], np.array([[0.0]])])
def test_lazy_array_unsupported_index_is_refused(index: Any, stored: tuple[Trace, Trace]) -> None:
    with pytest.raises(IndexError):
        stored[1]["layer0"]["c"][index]


def test_lazy_array_behaves_like_an_array(stored: tuple[Trace, Trace]) -> None:
    lazy, array = stored[1]["layer0"]["c"], stored[0]["layer0"]["c"]
    assert (len(lazy), lazy.ndim, lazy.size, lazy.dtype) == (5, 3, array.size, np.float32)
    assert np.asarray(lazy, dtype=np.float64).dtype == np.float64
    assert len(list(lazy)) == 5
    assert repr(lazy) == "LazyArray(layer0/c, shape=(5, 23, 3), dtype=float32)"
    with pytest.raises(ValueError, match="expected permission to copy, got copy=False"):
        np.asarray(lazy, copy=False)


def test_lazy_array_reads_only_selected_chunks(new_path: NewPath) -> None:
    directory, trace = new_path(), make(["lstm"], [20]).trace
    with Writer(directory) as writer:
        for start in range(0, 20, 5):
            writer.append(piece_of(trace, start, start + 5))
    lazy = open_trace(directory)["layer0"]["h"]
    (directory / "layer0" / "h" / "c.0.2.0").write_bytes(b"damaged")
    assert np.isfinite(lazy[0, :10]).all()
    with pytest.raises(TraceError, match=r"c\.0\.2\.0: expected 40 bytes, got 7\. The trace is damaged"):
        lazy[0, :11]


def test_missing_chunks_are_padding(new_path: NewPath) -> None:
    directory = new_path()
    save_trace(make(["lstm"], [5]).trace, directory)
    (directory / "layer0" / "h" / "c.0.0.0").unlink()
    (directory / "top_token" / "c.0.0.0").unlink()
    loaded = open_trace(directory)
    assert np.isnan(loaded["layer0"]["h"][...]).all()
    assert (np.asarray(loaded.steps["top_token"]) == -1).all()
