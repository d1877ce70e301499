"""Opening damaged, foreign and newer traces: each is refused with one sentence."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.storage import open_trace, save_trace
from gatescope.trace import FORMAT, TraceError
from tests.reference.traces import make
from tests.storage.traces import arrays_of


def _at(path: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of the description of one array."""
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
    (_attributes(format=FORMAT + 1), "Upgrade gatescope"),
    (_attributes(format="1"), "got a Zarr group without the attributes of one"),
    (_attributes(format=True), "got a Zarr group without the attributes of one"),
    (_attributes(format=0), "got a Zarr group without the attributes of one"),
    (lambda root: root.pop("attributes"), "got a Zarr group without the attributes of one"),
    (lambda root: root.update(attributes=[]), "got a Zarr group without the attributes of one"),
    (lambda root: root.update(zarr_format=2), "expected the description of a Zarr v3 group"),
    (lambda root: root.update(node_type="array"), "expected the description of a Zarr v3 group"),
    (lambda root: root.pop("consolidated_metadata"), "expected a list of all arrays, got none"),
    (lambda root: root.update(consolidated_metadata={"metadata": []}), "expected a list of all arrays, got none"),
    (lambda root: root["consolidated_metadata"]["metadata"].clear(), "expected a trace with steps, got none"),
    (
        lambda root: root["consolidated_metadata"]["metadata"].pop("length"),
        "expected the lengths of the sequences, got none",
    ),
    (_attributes(precision="float8"), "expected one of the precisions float16, float32, float64, got 'float8'"),
    (_attributes(vocabulary=[]), "expected a vocabulary among the attributes, got none"),
    (_attributes(layers=[]), "expected a description of the layers among the attributes, got none"),
    (_attributes(layers={"layer0": []}), "expected the cell of layer0 among the attributes, got none"),
    (
        _attributes(layers={"layer0": {"cell": {}, "arrays": {"h": 1}}}),
        "expected a description of the arrays of layer0, got none",
    ),
    (_renamed("layer0/h", "layer0/../../secret"), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", "../secret"), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", "/etc/passwd"), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", "layer0/initial/a/b"), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", "layer0//h"), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", ""), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", "layer0/\0"), "expected arrays of a trace, got one named"),
    (_renamed("layer0/h", "layer0/" + "h" * 5000), "expected arrays of a trace, got one named"),
    (_at("layer0/h", shape=[2, -5, 3]), "expected whole numbers from 0 on as sizes"),
    (_at("layer0/h", shape=[2, 5.0, 3]), "expected whole numbers from 0 on as sizes"),
    (_at("layer0/h", shape=[2, True, 3]), "expected whole numbers from 0 on as sizes"),
    (_at("layer0/h", shape=[2, 10**30, 3]), "expected whole numbers from 0 on as sizes"),
    (_at("layer0/h", shape=[2, 2**47, 3]), "expected the size of a trace"),
    (_at("layer0/h", shape=[2, 4, 3]), r"expected arrays \(sequence, step, neuron\)"),
    (_at("layer0/h", shape=[2, 5]), "expected the axes sequence, step, neuron, got"),
    (_at("layer0/h", shape=[]), "expected the axes sequence, step, neuron, got"),
    (_at("layer0/h", shape="5"), "expected the description of a Zarr v3 array"),
    (_at("layer0/h", dimension_names=["step", "sequence", "neuron"]), "expected the axes sequence, step, neuron, got"),
    (_at("layer0/h", dimension_names=None), "expected the axes sequence, step, neuron, got"),
    (_at("layer0/h", chunk_grid=_grid(2, 0, 3)), "expected whole numbers from 0 on as sizes"),
    (_at("layer0/h", chunk_grid=_grid(2, "5", 3)), "expected whole numbers from 0 on as sizes"),
    (_at("layer0/h", chunk_grid=_grid(5, 3)), "expected the axes sequence, step, neuron, got"),
    (_at("layer0/h", chunk_grid={"name": "rectangular"}), "expected the description of a Zarr v3 array"),
    (_at("layer0/h", data_type="complex64"), "got complex64"),
    (_at("layer0/h", data_type="int32"), "got int32"),
    (_at("layer0/h", data_type=7), "expected the description of a Zarr v3 array"),
    (_at("token", data_type="float32"), "got float32"),
    (_at("layer0/h", codecs=[]), "expected uncompressed little-endian chunks"),
    (_at("layer0/h", codecs=["bytes"]), "expected uncompressed little-endian chunks"),
    (
        _at("layer0/h", codecs=[{"name": "bytes", "configuration": {"endian": "big"}}]),
        "expected uncompressed little-endian chunks",
    ),
    (
        _at("layer0/h", codecs=[{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd"}]),
        "expected uncompressed little-endian chunks",
    ),
    (_at("layer0/h", fill_value="0x7fc0"), "expected a fill value of the type"),
    (_at("layer0/h", fill_value=[1]), "expected a fill value of the type"),
    (_at("layer0/h", fill_value=10**400), "expected a fill value of the type"),
    (_at("token", fill_value="NaN"), "expected a fill value of the type"),
    (_at("token", fill_value=True), "expected a fill value of the type"),
    (
        _at("layer0/h", chunk_key_encoding={"name": "default", "configuration": {"separator": "/../"}}),
        "got another kind of storage",
    ),
    (_at("layer0/h", chunk_key_encoding={"name": "default", "configuration": 5}), "got another kind of storage"),
    (_at("layer0/h", chunk_key_encoding={"name": "v2"}), "expected the description of a Zarr v3 array"),
    (_at("layer0/h", storage_transformers=[{"name": "shuffle"}]), "got another kind of storage"),
    (_at("layer0/h", attributes=[]), "got another kind of storage"),
    (_at("layer0/h", node_type="group"), "expected the description of a Zarr v3 array"),
    (
        lambda root: root["consolidated_metadata"]["metadata"].update({"layer0/h": None}),
        "expected the description of a Zarr v3 array",
    ),
    (_at("layer0/initial/c", shape=[2, 4]), "expected states and parameters of the size of layer0"),
    (_at("layer0/initial/c", shape=[3, 3]), "expected states and parameters of the size of layer0"),
    (_at("layer0/parameters/p.i", shape=[4]), "expected states and parameters of the size of layer0"),
    (_at("length", shape=[3]), "expected 2 lengths, one for each sequence, got 3"),
    (_at("length", data_type="float32"), "got float32"),
    (
        lambda root: [_at(p, shape=[2**40, 5])(root) for p in ("token", "target", "log_probability")],
        "one for each sequence, got 2",
    ),
]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    directory = tmp_path / "trace"
    save_trace(make(["peephole"], [5, 4], neurons=3).trace, directory)
    return directory


@pytest.mark.parametrize(("change", "reason"), DAMAGE)
def test_open_wrong_description_is_refused_in_one_line(
    change: Callable[[dict[str, Any]], Any], reason: str, damaged: Path
) -> None:
    root = json.loads((damaged / "zarr.json").read_text())
    change(root)
    (damaged / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(TraceError, match=reason) as caught:
        open_trace(damaged)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("described") / "trace"
    save_trace(make(["peephole"], [5, 4], neurons=3).trace, directory)
    return directory, (directory / "zarr.json").read_text()


@settings(max_examples=150)
@given(data=st.data())
def test_open_any_description_raises_trace_errors_only(data: st.DataObject, described: tuple[Path, str]) -> None:
    """With any value anywhere in the description, the trace is opened or refused with a TraceError."""
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
        for _, array, _ in arrays_of(open_trace(directory)):
            assert np.asarray(array).shape == array.shape


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected JSON, got something else"),
        (b"\xff\xfe", "expected JSON, got something else"),
        (b'{"zarr_format": 3, "node_ty', "expected JSON, got something else"),
        (b"[" * 200_000, "expected JSON, got something else"),
        (b'{"zarr_format": ' + b"9" * 10_000 + b"}", "expected JSON, got something else"),
        (b"[]", "expected the description of a Zarr v3 group"),
        (b'{"zarr_format": 3, "node_type": "group"}', "got a Zarr group without the attributes of one"),
    ],
)
def test_open_invalid_zarr_json_is_refused(content: bytes, reason: str, damaged: Path) -> None:
    (damaged / "zarr.json").write_bytes(content)
    with pytest.raises(TraceError, match=reason):
        open_trace(damaged)


def test_open_missing_trace_is_refused(damaged: Path) -> None:
    with pytest.raises(TraceError, match="expected a trace, got no directory of this name"):
        open_trace(damaged.parent / "nothing")
    with pytest.raises(TraceError, match=r"expected a trace, got no zarr\.json in it"):
        open_trace(damaged.parent)
    with pytest.raises(TraceError, match=r"expected a trace, got no zarr\.json in it"):
        open_trace(damaged / "zarr.json")


def test_open_huge_zarr_json_is_refused_unread(damaged: Path) -> None:
    with (damaged / "zarr.json").open("wb") as file:
        file.truncate(1 << 40)  # a sparse file, which takes no space
    with pytest.raises(TraceError, match="expected at most 33,554,432 bytes, got 1,099,511,627,776"):
        open_trace(damaged)


def test_open_folder_as_zarr_json_is_refused(damaged: Path) -> None:
    (damaged / "zarr.json").unlink()
    (damaged / "zarr.json").mkdir()
    with pytest.raises(TraceError, match=r"zarr\.json: expected a regular file, got a folder"):
        open_trace(damaged)


@pytest.mark.skipif(os.name != "posix", reason="named pipes of POSIX")
def test_open_pipe_as_zarr_json_is_refused_without_waiting(damaged: Path) -> None:
    (damaged / "zarr.json").unlink()
    os.mkfifo(damaged / "zarr.json")
    with pytest.raises(TraceError, match=r"zarr\.json: expected a regular file, got a named pipe"):
        open_trace(damaged)


def test_open_refuses_a_newer_format_before_its_arrays(damaged: Path) -> None:
    """A newer format may store arrays in any way, so the version is checked first."""
    root = json.loads((damaged / "zarr.json").read_text())
    root["attributes"]["format"] = FORMAT + 1
    root["consolidated_metadata"] = {"kind": "of a later version"}
    (damaged / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(TraceError, match=f"up to {FORMAT}, got format {FORMAT + 1}, of a newer version. Upgrade"):
        open_trace(damaged)


@pytest.mark.parametrize("unit", ["character", "word", "token"])
def test_open_vocabulary_with_lone_surrogate_is_refused(unit: str, damaged: Path) -> None:
    """JSON can contain half of a surrogate pair, which no text has and no file can store."""
    root = json.loads((damaged / "zarr.json").read_text())
    root["attributes"]["vocabulary"] |= {"unit": unit, "symbols": ["a", "b", "\ud800"]}
    (damaged / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(TraceError, match="expected a vocabulary, got a damaged one"):
        open_trace(damaged)


def test_open_impossible_lengths_are_refused(damaged: Path) -> None:
    file = damaged / "length" / "c.0"
    file.write_bytes(np.array([5, 6], dtype="<i8").tobytes())
    with pytest.raises(TraceError, match="expected sequences of 0 to 5 steps, got 5 to 6"):
        open_trace(damaged)
    file.write_bytes(b"")
    with pytest.raises(TraceError, match="one for each sequence, got fewer on disk"):
        open_trace(damaged)
    file.write_bytes(bytes(24))
    with pytest.raises(TraceError, match="expected at most 16 bytes, got 24"):
        open_trace(damaged)
    file.unlink()
    with pytest.raises(TraceError, match="one for each sequence, got fewer on disk"):
        open_trace(damaged)


def test_open_impossible_size_allocates_no_memory(damaged: Path) -> None:
    root = json.loads((damaged / "zarr.json").read_text())
    nodes = root["consolidated_metadata"]["metadata"]
    for node in nodes.values():
        if "sequence" in node.get("dimension_names", ()):
            node["shape"][0] = 2**40
    nodes["length"]["chunk_grid"] = _grid(2**40)
    (damaged / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(TraceError, match="one for each sequence, got fewer on disk"):
        open_trace(damaged)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_open_links_and_pipes_are_refused(damaged: Path) -> None:
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
    with pytest.raises(TraceError, match="expected arrays of a trace, got one named"):
        open_trace(damaged)


def test_lazy_array_of_moved_trace_is_refused(damaged: Path) -> None:
    trace = open_trace(damaged)
    damaged.rename(damaged.parent / "moved")
    with pytest.raises(TraceError, match="expected the trace, got 'No such file"):
        trace["layer0"]["h"][0]
