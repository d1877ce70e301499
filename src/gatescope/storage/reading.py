"""Opening a trace: everything that was written by others is checked before it is believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.storage.description import (
    CHECKED,
    IDS,
    RESERVED,
    checked_attributes,
    checksum,
    is_plain,
    read_root,
    sibling,
)
from gatescope.storage.layout import Layout
from gatescope.storage.lazy import LazyArray
from gatescope.trace import FORMAT, LAYER_AXES, STATE_AXES, STEP_AXES, Trace, TraceError

FEW = 1 << 24  # ids that are read also where chunks are missing, as zarr leaves out those of nothing but -1


def open_trace(directory: str | os.PathLike[str]) -> Trace:
    """The trace in a directory, with lazy arrays: nothing but the description and the lengths is read now.

    Raises:
        TraceError: there is no trace, or one that is damaged or from a newer version; the message says what to do.
    """
    try:
        root = Path(directory).resolve()
    except (TypeError, ValueError, OSError) as error:
        raise TraceError("READING_DIRECTORY_PATH_TRACE", name=type(directory).__name__) from error
    if not (root / "zarr.json").exists() and (sibling(root, "old") / "zarr.json").exists():
        root = sibling(root, "old")  # see _prepare
    data = read_root(root)
    given = data.get("attributes")
    version = given.get("format") if isinstance(given, dict) else None
    if not isinstance(given, dict) or type(version) is not int or version < 1:
        raise TraceError("READING_ZARR_GROUP_BUT_TRACE", root=root)
    if version > FORMAT:
        raise TraceError("READING_TRACE_FORMAT_VERSION_READS", root=root, version=version, format=FORMAT)
    nodes = _nodes(data, root)
    if "token" not in nodes:
        raise TraceError("READING_HOLDS_STEPS_RECORDING_STOPPED", root=root)
    layers = [path for path, node in nodes.items() if "/" not in path and _is_group(node)]
    attributes = checked_attributes(given, tuple(layers), f"{root}: ")
    layers.sort(key=list(attributes["layers"]).index)
    arrays = {"": {layer: {} for layer in layers}, "initial": {}, "parameters": {}}
    for path, node in nodes.items():
        layer, *folder, name = path.split("/") if path.count("/") else ("", path)
        if layer in layers and name in arrays:
            arrays[name].setdefault(layer, {})
        elif layer in layers:
            kind = folder[0] if folder else ""
            axes = {"": LAYER_AXES, "initial": STATE_AXES, "parameters": ("neuron",)}[kind]
            arrays[kind].setdefault(layer, {})[name] = _lazy(root, path, node, axes)
    signals = {layer: _in_order(found, attributes["layers"][layer]) for layer, found in arrays[""].items()}
    steps = {name: _lazy(root, name, nodes[name], axes) for name, axes in STEP_AXES.items() if name in nodes}
    lengths = _lengths(root, nodes, steps["token"].shape, bool(attributes.get("finished")))
    trace = Trace(lengths, steps, signals, arrays["initial"], arrays["parameters"], attributes)
    _check_sizes(trace, root)
    _check_sums(trace, root)
    return trace


def _check_sums(trace: Trace, root: Path) -> None:
    """Whether the ids and lengths are those that were written; traces of earlier versions do not say."""
    known = trace.attributes.get("checksums")
    if not isinstance(known, dict) or not trace.attributes.get("finished"):
        return
    found = {"length": checksum(trace.lengths)}
    for name in CHECKED:
        if name in trace.steps and name in known:
            array = trace.steps[name]
            if array.size > FEW and array.size * array.dtype.itemsize > _stored_bytes(root / name):
                raise TraceError("READING_VALUES_FEWER_RECORD_TRACE", root=root, size=array.size, name=name)
            found[name], size = 0, array.chunk_steps
            for start in range(0, array.shape[1], size):
                found[name] = checksum(array[:, start : start + size], found[name])
    for name, value in found.items():
        if known.get(name) != value:
            raise TraceError("READING_WRITTEN_OTHER_VALUES_TRACE", root=root, name=name)


def _stored_bytes(folder: Path) -> int:
    """The size of all chunks of an array, however they are named."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.name != "zarr.json" and file.is_file())


def _in_order(arrays: dict[str, LazyArray], about: dict[str, Any]) -> dict[str, LazyArray]:
    """The arrays of a layer in the order in which its cell computes them, whatever the order they are listed in."""
    known = {name: place for place, name in enumerate(about["arrays"])}
    return {name: arrays[name] for name in sorted(arrays, key=lambda name: known.get(name, len(known)))}


def _check_sizes(trace: Trace, root: Path) -> None:
    """Whether states and parameters have the sequences and neurons of their layer."""
    count = len(trace.lengths)
    repeats = trace.attributes.get("repeats", [])
    if not (
        isinstance(repeats, list)
        and all(isinstance(pair, list) and list(map(type, pair)) == [int, int] for pair in repeats)
        and all(0 <= first < row < count for row, first in repeats)
    ):
        raise TraceError("READING_PAIRS_SEQUENCES_REPEATS_OTHERS", root=root)
    for layer in trace.layers:
        neurons = {array.shape[-1] for array in trace.layers[layer].values()}
        beside = {**trace.initial.get(layer, {}), **trace.parameters.get(layer, {})}
        neurons |= {array.shape[-1] for array in beside.values()}
        rows = {array.shape[0] for array in trace.initial.get(layer, {}).values()}
        if len(neurons) > 1 or not rows <= {len(trace.lengths)}:
            raise TraceError("READING_STATES_PARAMETERS_SIZE_RECORD", root=root, layer=layer)


def _nodes(data: dict[str, Any], root: Path) -> dict[str, Any]:
    """Path -> description of everything below the root, with paths that stay below it."""
    match data.get("consolidated_metadata"):
        case {"metadata": dict(nodes)}:
            pass
        case _:
            raise TraceError("READING_LIST_ARRAYS_RUN_ZARR", root=root)
    inside = f"{os.path.realpath(root)}{os.sep}"
    for path in nodes:
        *folders, name = path.split("/")
        plain = all(map(is_plain, folders[:1])) and (is_plain(name) or name in RESERVED - {"zarr.json", ".", ".."})
        plain = plain and (len(folders) < 2 or folders[1:] in (["initial"], ["parameters"]))
        if not plain or not os.path.realpath(root / path).startswith(inside):
            raise TraceError("READING_NAMES_ARRAY_BELONG_INTO", root=root, path=path[:80])
    return nodes


def _is_group(node: Any) -> bool:
    return isinstance(node, dict) and node.get("node_type") == "group"


def _lazy(root: Path, path: str, node: Any, axes: tuple[str, ...]) -> LazyArray:
    kind = "i" if path in IDS or path == "length" else "f"
    return LazyArray(root, path, Layout.from_json(node, path, axes, kind))


def _lengths(root: Path, nodes: dict[str, Any], size: tuple[int, ...], finished: bool) -> NDArray[np.int64]:
    """The steps of each sequence."""
    if "length" not in nodes:
        raise TraceError("READING_SAY_HOW_LONG_SEQUENCES", root=root)
    lazy = _lazy(root, "length", nodes["length"], ("sequence",))
    if lazy.shape != size[:1]:
        raise TraceError("READING_SEQUENCES_LENGTHS_RECORD_AGAIN", root=root, size=size[0], shape=lazy.shape[0])
    if (
        _stored_bytes(root / "length") < lazy.size * lazy.dtype.itemsize
    ):  # before memory is asked for that no file can fill
        raise TraceError("READING_SAYS_SEQUENCES_BUT_HOLDS", root=root, size=size[0])
    lengths = np.asarray(lazy, dtype=np.int64)
    if not finished:  # the lengths are written just before the steps are counted
        lengths = np.minimum(lengths, size[1])
    if ((lengths < 0) | (lengths > size[1])).any():
        raise TraceError("READING_STEPS_BUT_SEQUENCES", root=root, size=size[1], min=lengths.min(), max=lengths.max())
    return lengths
