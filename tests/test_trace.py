"""Traces: selection by name, texts, padding, xarray, and arrays that do not fit."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.storage import open_trace, save_trace
from gatescope.trace import Trace, TraceError
from tests.reference.traces import make

DOCUMENT = Path(__file__).parents[1] / "docs" / "trace.md"


def test_layers_are_selected_by_name() -> None:
    trace = make(["lstm", "gru"], [3]).trace
    assert trace["layer1"]["h"] is trace.layers["layer1"]["h"]
    with pytest.raises(TraceError, match="expected one of layer0, layer1, got 'layer2'"):
        trace["layer2"]


def test_text_is_the_text_that_was_read() -> None:
    trace = make(["elman"], [3, 0, 2], symbols=2).trace
    trace.steps["token"][0] = [1, 0, 2]  # 2 is the id of every unknown character
    trace.steps["token"][2, :2] = [0, 0]
    assert [trace.text(k) for k in range(3)] == ["ba\N{REPLACEMENT CHARACTER}", "", "aa"]


@settings(max_examples=30)
@given(data=st.data(), lazy=st.booleans())
def test_single_sequence_has_no_padding(
    data: st.DataObject, lazy: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lengths = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=4))
    trace = make(["peephole", "elman"], lengths, padding=data.draw(st.integers(0, 2))).trace
    if lazy:
        directory = tmp_path_factory.mktemp("stored") / "trace"
        save_trace(trace, directory, "float32")
        trace = open_trace(directory)
    index = data.draw(st.integers(-len(lengths), len(lengths) - 1))
    alone = trace.sequence(index)
    assert alone.lengths.tolist() == [lengths[index]]
    assert alone.text(0) == trace.text(index)
    for layer, signals in alone.layers.items():
        for name, array in signals.items():
            assert array.shape == (1, lengths[index], 4)
            assert np.isfinite(array).all()
            assert np.array_equal(array[0], np.asarray(trace[layer][name])[index, : lengths[index]])
        for name, array in alone.initial[layer].items():
            assert np.array_equal(array[0], np.asarray(trace.initial[layer][name])[index])
    assert alone.steps["top_token"].shape == (1, lengths[index], 2)


def test_missing_sequence_is_an_index_error() -> None:
    trace = make(["elman"], [3, 2]).trace
    for index in (2, -3):
        with pytest.raises(IndexError):
            trace.sequence(index)


@settings(max_examples=20)
@given(
    lengths=st.lists(st.integers(0, 6), max_size=3), names=st.lists(st.sampled_from(["lstm", "peephole"]), max_size=2)
)
def test_xarray_has_the_names_and_nan_for_padding(lengths: list[int], names: list[str]) -> None:
    trace = make(names, lengths, neurons=3, padding=1).trace
    tree = trace.to_xarray()
    assert tree["token"].dims == ("sequence", "step")
    assert tree["top_token"].dims == ("sequence", "step", "rank")
    assert np.asarray(tree["length"]).tolist() == lengths
    assert tree.attrs["precision"] == "float32"
    assert json.loads(tree.attrs["vocabulary"]) == trace.attributes["vocabulary"]
    symbols = [list(trace.text(k)) + [""] * (trace.steps["token"].shape[1] - n) for k, n in enumerate(lengths)]
    assert np.asarray(tree["symbol"]).tolist() == symbols
    assert set(tree.children) == set(trace.layers)
    for layer, signals in trace.layers.items():
        for name, array in signals.items():
            labelled = tree[f"{layer}/{name}"]
            assert labelled.dims == ("sequence", "step", "neuron")
            assert np.asarray(labelled["neuron"]).tolist() == [0, 1, 2]
            assert np.asarray(labelled["symbol"]).tolist() == symbols
            assert labelled.attrs["formula"] == f"formula of {name}"
            assert np.array_equal(labelled, array, equal_nan=True)
            padding = np.isnan(np.asarray(labelled)).all(axis=2)
            assert padding.tolist() == [[step >= length for step in range(array.shape[1])] for length in lengths]
        for name, array in trace.initial[layer].items():
            assert tree[f"{layer}/initial/{name}"].dims == ("sequence", "neuron")
            assert np.array_equal(tree[f"{layer}/initial/{name}"], array)
        for name, array in trace.parameters[layer].items():
            assert tree[f"{layer}/parameters/{name}"].dims == ("neuron",)
            assert np.array_equal(tree[f"{layer}/parameters/{name}"], array)


def test_xarray_of_a_stored_trace_equals_its_own_reading(tmp_path: Path) -> None:
    import xarray

    save_trace(make(["lstm", "peephole"], [4, 2]).trace, tmp_path / "trace", "float32")
    trace = open_trace(tmp_path / "trace")
    ours, theirs = trace.to_xarray(), xarray.open_datatree(tmp_path / "trace", engine="zarr")
    assert {node.path for node in ours.subtree} == {node.path for node in theirs.subtree}
    for node in ours.subtree:
        other = theirs[node.path].to_dataset()
        assert node.to_dataset().drop_vars(["symbol", "neuron"], errors="ignore").equals(other), node.path


def test_xarray_selects_by_symbol_and_neuron() -> None:
    """Coordinates name what is selected, in whatever order the axes are."""
    trace = make(["lstm"], [4], neurons=3).trace
    array = trace.to_xarray()["layer0/c"].transpose("neuron", "step", "sequence")[::-1]
    symbol = trace.text(0)[1]
    steps = [step for step, letter in enumerate(trace.text(0)) if letter == symbol]
    chosen = array.sel(neuron=2).where(array["symbol"] == symbol, drop=True)
    assert np.asarray(chosen).ravel().tolist() == np.asarray(trace["layer0"].c)[0, steps, 2].tolist()
    cell = json.loads(trace.to_xarray()["layer0"].attrs["cell"])
    assert cell == trace.attributes["layers"]["layer0"]["cell"]


def test_without_xarray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install 'gatescope\[xarray\]'"):
        make(["elman"], [2]).trace.to_xarray()


def test_arrays_of_wrong_shapes_are_refused() -> None:
    trace = make(["lstm"], [4, 2], neurons=3).trace
    steps, signals = trace.steps, trace["layer0"]

    def signal(**changed: np.ndarray) -> Trace:
        return replace(trace, layers={"layer0": {**signals, **changed}})

    for make_wrong, reason in [
        (lambda: replace(trace, steps={}), r"an array 'token' \(sequence, step\), got none"),
        (
            lambda: replace(trace, steps={**steps, "token": steps["token"][0]}),
            r"an array 'token' \(sequence, step\), got none",
        ),
        (lambda: replace(trace, steps={**steps, "target": steps["target"][:, 1:]}), "Array 'target' .* got the shape"),
        (lambda: replace(trace, steps={**steps, "top_token": steps["token"]}), "Array 'top_token' .* got the shape"),
        (lambda: replace(trace, steps={**steps, "colour": steps["token"]}), "Array 'colour' .* got the shape"),
        (lambda: replace(trace, lengths=trace.lengths[:1]), "Array 'token' .* got the shape"),
        (lambda: signal(h=signals["h"][..., :2]), r"Signals of layer0: expected arrays \(sequence, step, neuron\)"),
        (lambda: signal(h=signals["h"][:, 1:]), r"Signals of layer0: expected arrays \(sequence, step, neuron\)"),
        (lambda: signal(h=signals["h"][..., 0]), r"Signals of layer0: expected arrays \(sequence, step, neuron\)"),
    ]:
        with pytest.raises(TraceError, match=reason):
            make_wrong()


def test_document_describes_every_stored_name(tmp_path: Path) -> None:
    """Every array, axis and attribute of a stored trace is named in docs/trace.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    save_trace(make(["peephole"], [9, 4]).trace, tmp_path / "trace")
    trace = open_trace(tmp_path / "trace")
    words = ["sequence", "step", "rank", "neuron", "initial", "parameters", "length", *trace.steps, *trace.attributes]
    assert [word for word in words if f"`{word}`" not in text] == []
