"""Opening a trace, with every value of its description checked."""

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
    check_attributes,
    checksum,
    is_plain,
    read_root,
    sibling,
)
from gatescope.storage.layout import Layout
from gatescope.storage.lazy_array import LazyArray
from gatescope.trace import FORMAT, LAYER_AXES, STATE_AXES, STEP_AXES, Trace, TraceError

MAX_SPARSE_IDS = 1 << 24  # up to this many ids may lack chunks, because zarr omits chunks of -1


def open_trace(directory: str | os.PathLike[str]) -> Trace:
    """Open the trace in a directory. Its arrays are lazy; only the description, the lengths and the ids are read now.

    Args:
        directory: the directory of the trace.

    Raises:
        TraceError: there is no trace, or it is damaged or from a newer version; the message names the remedy.
    """
    try:
        root = Path(directory).resolve()
    except (TypeError, ValueError, OSError) as error:
        raise TraceError("TRACE_PATH_INVALID", kind=type(directory).__name__) from error
    if not (root / "zarr.json").exists() and (sibling(root, "old") / "zarr.json").exists():
        root = sibling(root, "old")  # a writer was killed while it replaced this trace; see writing._prepare
    data = read_root(root)
    attributes = data.get("attributes")
    version = attributes.get("format") if isinstance(attributes, dict) else None
    if not isinstance(attributes, dict) or type(version) is not int or version < 1:
        raise TraceError("TRACE_ATTRIBUTES_MISSING", root=root)
    if version > FORMAT:
        raise TraceError("TRACE_FORMAT_NEWER", root=root, format=version, known=FORMAT)
    nodes = _nodes(data, root)
    if "token" not in nodes:
        raise TraceError("TRACE_STEPS_MISSING", root=root)
    layers = [path for path, node in nodes.items() if "/" not in path and _is_group(node)]
    attributes = check_attributes(attributes, tuple(layers), root)
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
    signals = {layer: _in_order(lazy, attributes["layers"][layer]) for layer, lazy in arrays[""].items()}
    steps = {name: _lazy(root, name, nodes[name], axes) for name, axes in STEP_AXES.items() if name in nodes}
    lengths = _lengths(root, nodes, steps["token"].shape, bool(attributes.get("finished")))
    trace = Trace(lengths, steps, signals, arrays["initial"], arrays["parameters"], attributes)
    _check_sizes(trace, root)
    _check_sums(trace, root)
    return trace


def _check_sums(trace: Trace, root: Path) -> None:
    """Refuse ids and lengths that differ from those written; traces of earlier versions have no checksums."""
    written = trace.attributes.get("checksums")
    if not isinstance(written, dict) or not trace.attributes.get("finished"):
        return
    computed = {"length": checksum(trace.lengths)}
    for name in CHECKED:
        if name in trace.steps and name in written:
            array = trace.steps[name]
            if array.size > MAX_SPARSE_IDS and array.size * array.dtype.itemsize > _stored_bytes(root / name):
                raise TraceError("TRACE_IDS_TRUNCATED", root=root, count=array.size, name=name)
            computed[name], size = 0, array.chunk_steps
            for start in range(0, array.shape[1], size):
                computed[name] = checksum(array[:, start : start + size], computed[name])
    for name, value in computed.items():
        if written.get(name) != value:
            raise TraceError("TRACE_CHECKSUM_DIFFERS", root=root, name=name)


def _stored_bytes(folder: Path) -> int:
    """Return the size of all chunks of an array, however they are named."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.name != "zarr.json" and file.is_file())


def _in_order(arrays: dict[str, LazyArray], description: dict[str, Any]) -> dict[str, LazyArray]:
    """Return the arrays of a layer in the order in which its cell computes them."""
    rank = {name: k for k, name in enumerate(description["arrays"])}
    return {name: arrays[name] for name in sorted(arrays, key=lambda name: rank.get(name, len(rank)))}


def _check_sizes(trace: Trace, root: Path) -> None:
    """Refuse repeats, states and parameters that do not fit the sequences and neurons."""
    count = len(trace.lengths)
    repeats = trace.attributes.get("repeats", [])
    if not (
        isinstance(repeats, list)
        and all(isinstance(pair, list) and list(map(type, pair)) == [int, int] for pair in repeats)
        and all(0 <= first < row < count for row, first in repeats)
    ):
        raise TraceError("TRACE_REPEATS_INVALID", root=root)
    for layer in trace.layers:
        neurons = {array.shape[-1] for array in trace.layers[layer].values()}
        others = {**trace.initial.get(layer, {}), **trace.parameters.get(layer, {})}
        neurons |= {array.shape[-1] for array in others.values()}
        rows = {array.shape[0] for array in trace.initial.get(layer, {}).values()}
        if len(neurons) > 1 or not rows <= {len(trace.lengths)}:
            raise TraceError("TRACE_STATES_SIZE", root=root, layer=layer)


def _nodes(data: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return path -> description of all arrays and groups; refuse paths that leave the root."""
    match data.get("consolidated_metadata"):
        case {"metadata": dict(nodes)}:
            pass
        case _:
            raise TraceError("TRACE_ARRAYS_UNLISTED", root=root)
    prefix = f"{os.path.realpath(root)}{os.sep}"
    for path in nodes:
        *folders, name = path.split("/")
        plain = all(map(is_plain, folders[:1])) and (is_plain(name) or name in RESERVED - {"zarr.json", ".", ".."})
        plain = plain and (len(folders) < 2 or folders[1:] in (["initial"], ["parameters"]))
        if not plain or not os.path.realpath(root / path).startswith(prefix):
            raise TraceError("TRACE_ARRAY_FOREIGN", root=root, path=path[:80])
    return nodes


def _is_group(node: Any) -> bool:
    return isinstance(node, dict) and node.get("node_type") == "group"


def _lazy(root: Path, path: str, node: Any, axes: tuple[str, ...]) -> LazyArray:
    kind = "i" if path in IDS or path == "length" else "f"
    return LazyArray(root, path, Layout.from_json(node, path, axes, kind))


def _lengths(root: Path, nodes: dict[str, Any], size: tuple[int, ...], finished: bool) -> NDArray[np.int64]:
    """Return the number of steps of each sequence."""
    if "length" not in nodes:
        raise TraceError("TRACE_LENGTHS_MISSING", root=root)
    lazy = _lazy(root, "length", nodes["length"], ("sequence",))
    if lazy.shape != size[:1]:
        raise TraceError("TRACE_LENGTHS_COUNT", root=root, sequences=size[0], lengths=lazy.shape[0])
    # Checked first, because a wrong size would allocate memory that no file can fill.
    if _stored_bytes(root / "length") < lazy.size * lazy.dtype.itemsize:
        raise TraceError("TRACE_LENGTHS_TRUNCATED", root=root, sequences=size[0])
    lengths = np.asarray(lazy, dtype=np.int64)
    if not finished:  # a writer may have been killed between writing the lengths and the number of steps
        lengths = np.minimum(lengths, size[1])
    if ((lengths < 0) | (lengths > size[1])).any():
        raise TraceError("TRACE_LENGTHS_INVALID", root=root, steps=size[1], least=lengths.min(), most=lengths.max())
    return lengths
