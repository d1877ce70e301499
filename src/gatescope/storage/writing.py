"""Writing a trace piece by piece, so that a writer killed at any instant leaves the finished pieces."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gatescope.files import PARTIAL, sync_folder, unwritable, write_bytes
from gatescope.storage.chunks import write_array
from gatescope.storage.description import (
    CHECKED,
    IDS,
    check_attributes,
    checksum,
    is_plain,
    is_trace,
    plain_json,
    sibling,
)
from gatescope.storage.layout import PRECISIONS, Layout
from gatescope.storage.writer_lock import Lock
from gatescope.trace import FORMAT, LAYER_AXES, STATE_AXES, STEP_AXES, Trace, TraceError

MAX_CHUNK_ROWS = 1 << 16  # sequences times steps in one chunk

TITLES = {
    "token": "symbol read at the step",
    "target": "symbol that came next, or class that is right",
    "log_probability": "log-probability of the target, in nats",
    "top_token": "most probable next symbols, or classes",
    "top_probability": "probabilities of the most probable next symbols, or classes",
    "input": "numbers read at the step",
    "value": "numbers that are right",
    "estimate": "estimates of the numbers",
    "length": "steps of the sequence",
}

_Entry = tuple[Any, tuple[str, ...], Mapping[str, Any]]  # array, axes, attributes


class Writer:
    """A trace that is written piece by piece; after every piece the directory is a whole trace of all pieces so far.

    Use it as a context manager: leaving the block without an error finishes the trace. After an error (also Ctrl-C) the
    written pieces stay, unless another trace was to be replaced, which then stays instead. A block without pieces
    leaves nothing. A directory has one writer at a time; a second one is refused.

    Args:
        directory: a directory that does not exist, is empty, or contains a trace to `overwrite`.
        dtype: the type of signals, drives, states and parameters on disk: "float16", "float32" or "float64".
        overwrite: whether to replace the trace in the directory when the new one is finished.

    Raises:
        TraceError: the directory contains something else or a trace that may not be replaced, another writer is at work
            there, or there is no such dtype.

    Attributes:
        directory: the directory of the trace.
        dtype: the type of the values on disk.
        steps: the number of steps written so far.
    """

    def __init__(self, directory: str | os.PathLike[str], dtype: str = "float16", overwrite: bool = False) -> None:
        if dtype not in PRECISIONS:
            raise TraceError("WRITER_DTYPE_INVALID", precisions=", ".join(PRECISIONS), dtype=str(dtype))
        self.directory = Path(directory).resolve()
        self.dtype = dtype
        self.steps = 0
        self._layouts: dict[str, Layout] = {}
        self._groups: list[str] = []
        self._attributes: dict[str, Any] = {"format": FORMAT, "finished": False}
        self._lengths: NDArray[np.int64] | None = None
        self._pieces, self._largest, self._closed = 0, 0, False
        try:
            if not self.directory.name:
                raise TraceError("WRITER_ROOT_DIRECTORY", directory=self.directory)
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.directory)
        except OSError as error:
            raise unwritable(self.directory, error) from error
        try:
            self._replaces = _prepare(self.directory, overwrite)
            self._root = sibling(self.directory, "new") if self._replaces else self.directory
            self._root.mkdir(exist_ok=True)
            self._commit()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise unwritable(self.directory, error) from error
            raise

    def append(self, piece: Trace) -> None:
        """Write the next steps of all sequences.

        All pieces must have the same sequences, layers and arrays. All but the last must have the same number of steps,
        at most 65,536, and a sequence that has ended must not continue. Initial states and parameters are taken from
        the first piece.

        Args:
            piece: the next steps.

        Raises:
            TraceError: the piece does not continue the last one, or has a value that the dtype cannot hold. The pieces
                before it stay.
        """
        if self._closed:
            raise TraceError("WRITER_FINISHED")
        entries = _entries(piece)
        size = piece.steps["token"].shape[1]
        if self._lengths is None:
            self._begin(piece, entries, size)
        elif self.steps != self._pieces * self._largest or size > self._largest:
            raise TraceError("WRITER_PIECE_LENGTH_DIFFERS", steps=size, expected=self._largest, written=self.steps)
        lengths = np.zeros(len(piece.lengths), dtype=np.int64) if self._lengths is None else self._lengths
        self._check_continues(piece, entries, lengths, size)
        lengths = lengths + piece.lengths
        layouts = dict(self._layouts)
        for path, (array, axes, _) in entries.items():
            if "step" in axes:
                write_array(self._root / path, path, layouts[path], array, self._pieces)
                shape = layouts[path].shape
                layouts[path] = replace(layouts[path], shape=(shape[0], self.steps + size, *shape[2:]))
            elif not self._pieces:
                write_array(self._root / path, path, layouts[path], array, None)
        write_array(self._root / "length", "length", layouts["length"], lengths, None)
        sums = self._attributes.get("checksums", {}) if self._pieces else {}
        checksums = {
            name: checksum(array, sums.get(name, 0)) for name, array in piece.steps.items() if name in CHECKED
        } | {"length": checksum(lengths)}
        self._attributes = {**self._attributes, "checksums": checksums}
        self._layouts, self._lengths = layouts, lengths
        self._pieces, self.steps = self._pieces + 1, self.steps + size
        self._commit()

    def finish(self, **attributes: Any) -> None:
        """Mark the trace as finished, add attributes, and move it to its directory.

        Args:
            **attributes: attributes to add.

        Raises:
            TraceError: no piece was appended, or JSON cannot hold an attribute.
        """
        if self._closed:
            return
        if self._lengths is None:
            raise TraceError("WRITER_EMPTY")
        self._attributes = check_attributes(
            {**self._attributes, **plain_json(attributes), "finished": True},
            tuple(self._layers()),
            self.directory,
        )
        self._commit()
        self._closed = True
        if self._replaces:
            old = sibling(self.directory, "old")
            self.directory.rename(old)
            self._root.rename(self.directory)
            sync_folder(self.directory.parent)
            old.rename(self._root)  # so that an old trace under its own name is always whole
            _remove(self._root)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None and self._lengths is not None:
                self.finish()
            elif not self._closed and (self._replaces or self._lengths is None):
                _remove(self._root)
        finally:
            self._lock.release()

    def _layers(self) -> list[str]:
        return [path for path in self._groups if "/" not in path]

    def _begin(self, piece: Trace, entries: Mapping[str, _Entry], size: int) -> None:
        """Take the arrays, their chunks and the attributes from the first piece."""
        if size > MAX_CHUNK_ROWS:
            raise TraceError("WRITER_PIECE_TOO_LONG", steps=size, most=MAX_CHUNK_ROWS)
        groups: list[str] = []
        for layer in piece.layers:
            kinds = [kind for kind in ("initial", "parameters") if layer in getattr(piece, kind)]
            groups += [layer, *(f"{layer}/{kind}" for kind in kinds)]
        described = plain_json(piece.attributes)
        computed = check_attributes(described, tuple(piece.layers), self.directory)["precision"]
        # Rounding cannot be undone: the coarser precision limits how exactly the equations can hold.
        coarser = min(computed, self.dtype, key=PRECISIONS.index)
        attributes = {**described, "precision": coarser, "computed_in": described.get("computed_in", computed)}
        attributes |= {"format": FORMAT, "finished": False}
        sequences = _even(len(piece.lengths), max(1, MAX_CHUNK_ROWS // max(1, size)))
        layouts = {}
        for path, (array, axes, array_attributes) in entries.items():
            limits = {"sequence": sequences, "step": size}
            chunks = tuple(max(1, limits.get(a, int(n))) for a, n in zip(axes, array.shape, strict=True))
            dtype = "int32" if path in IDS else "float32" if path in STEP_AXES else self.dtype
            shape = tuple(0 if a == "step" else n for a, n in zip(axes, array.shape, strict=True))
            fill = -1 if path in IDS else np.nan
            layouts[path] = Layout(shape, chunks, dtype, axes, axes == LAYER_AXES, fill, ".", array_attributes)
        count = len(piece.lengths)
        title = {"title": TITLES["length"]}
        layouts["length"] = Layout((count,), (max(1, count),), "int64", ("sequence",), False, 0, ".", title)
        for path in layouts:
            (self._root / path).mkdir(parents=True, exist_ok=True)
        if len({(self._root / path).stat().st_ino for path in layouts}) < len(layouts):
            raise TraceError("WRITER_NAMES_COLLIDE")
        self._layouts, self._groups, self._attributes, self._largest = layouts, groups, attributes, size

    def _check_continues(self, piece: Trace, entries: Mapping[str, _Entry], ends: NDArray[np.int64], size: int) -> None:
        """Refuse a piece without the arrays of the first one, or that does not continue the last one."""
        for path in {*entries, *self._layouts} - {"length"}:
            layout = self._layouts.get(path)
            if path not in entries or layout is None:
                raise TraceError("WRITER_PIECE_ARRAYS_DIFFER", path=path)
            array, axes, _ = entries[path]
            expected = tuple(size if a == "step" else n for a, n in zip(axes, layout.shape, strict=True))
            if tuple(array.shape) != expected:
                shape = tuple(array.shape)
                raise TraceError("WRITER_PIECE_SHAPE_DIFFERS", path=path, shape=shape, expected=expected)
        lengths = np.asarray(piece.lengths)
        if lengths.shape != ends.shape or ((lengths < 0) | (lengths > size)).any():
            raise TraceError("WRITER_PIECE_LENGTHS_INVALID", steps=size, lengths=lengths)
        continues_after_end = (ends < self.steps) & (lengths > 0)
        if continues_after_end.any():
            row = int(continues_after_end.argmax())
            raise TraceError("WRITER_SEQUENCE_ENDED", row=row, end=ends[row])

    def _commit(self) -> None:
        """Write the current description: first each array's own zarr.json, then the root's, which lists all arrays."""
        group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        nodes: dict[str, Any] = dict.fromkeys(self._groups, group)
        nodes |= {path: layout.to_json() for path, layout in self._layouts.items()}
        # The zarr library requires that the children of a group are adjacent in the list.
        nodes = {path: nodes[path] for path in sorted(nodes, key=lambda path: path.rpartition("/")[0])}
        for path, node in nodes.items():
            if node["node_type"] == "array" or self._pieces == 1:
                (self._root / path).mkdir(parents=True, exist_ok=True)
                write_bytes(self._root / path / "zarr.json", json.dumps(node).encode(), sync=False)
        metadata = {"kind": "inline", "must_understand": False, "metadata": nodes}
        root = {**group, "attributes": self._attributes, "consolidated_metadata": metadata}
        write_bytes(self._root / "zarr.json", json.dumps(root).encode())


def save_trace(
    trace: Trace, directory: str | os.PathLike[str], dtype: str = "float16", overwrite: bool = False
) -> None:
    """Write a whole trace into a directory; see `Writer`.

    Args:
        trace: the trace.
        directory: as in `Writer`.
        dtype: as in `Writer`.
        overwrite: as in `Writer`.

    Raises:
        TraceError: the directory may not be written, or the dtype cannot hold a value of the trace.
    """
    with Writer(directory, dtype, overwrite) as writer:
        for piece in pieces_of(trace):
            writer.append(piece)


def pieces_of(trace: Trace) -> Iterator[Trace]:
    """Yield a trace in pieces for a `Writer`; a trace of up to 65,536 steps is one piece."""
    length = trace.steps["token"].shape[1]
    size = max(1, _even(length, MAX_CHUNK_ROWS))
    if length <= size:
        yield trace
        return
    for start in range(0, length, size):
        steps = slice(start, min(start + size, length))
        yield replace(
            trace,
            lengths=np.clip(np.asarray(trace.lengths) - start, 0, steps.stop - start),
            steps={name: array[:, steps] for name, array in trace.steps.items()},
            layers={
                layer: {name: array[:, steps] for name, array in signals.items()}
                for layer, signals in trace.layers.items()
            },
        )


def _entries(piece: Trace) -> dict[str, _Entry]:
    """Return path -> array, its axes and its attributes."""
    entries: dict[str, _Entry] = {
        name: (array, STEP_AXES[name], {"title": TITLES[name]}) for name, array in piece.steps.items()
    }
    extra = {*piece.initial, *piece.parameters} - set(piece.layers)
    if extra:
        raise TraceError("WRITER_LAYER_UNKNOWN", layers=", ".join(sorted(extra)))
    for layer, signals in piece.layers.items():
        descriptions = piece.attributes.get("layers", {}).get(layer, {}).get("arrays", {})
        kinds = (("", LAYER_AXES, signals), ("initial/", STATE_AXES, piece.initial.get(layer, {})))
        kinds = (*kinds, ("parameters/", ("neuron",), piece.parameters.get(layer, {})))
        for folder, axes, arrays in kinds:
            for name, array in arrays.items():
                if not (is_plain(layer) and is_plain(name)):
                    raise TraceError("WRITER_NAME_INVALID", layer=layer, name=name)
                title = f"{name} before the first step" if folder == "initial/" else name
                described = folder != "initial/" and name in descriptions
                attributes = plain_json(descriptions[name]) if described else {"title": title}
                entries[f"{layer}/{folder}{name}"] = (array, axes, attributes)
    for path, (array, axes, _) in entries.items():
        if array.ndim != len(axes):
            raise TraceError("WRITER_AXES_INVALID", path=path, count=array.ndim, axes=", ".join(axes))
    return entries


def _prepare(directory: Path, overwrite: bool) -> bool:
    """Prepare a directory; return whether it contains a trace to replace, so that the new one is written next to it.

    Raises:
        TraceError: the directory may not be written to.
    """
    new, old = sibling(directory, "new"), sibling(directory, "old")
    if not directory.exists() and is_trace(old) and overwrite:
        old.rename(directory)  # a writer was killed between moving the old trace out and the new trace in
    if directory.exists() and not directory.is_dir():
        raise TraceError("WRITER_FILE_IN_PLACE", directory=directory)
    if not directory.exists() or all(entry.name.endswith(PARTIAL) for entry in directory.iterdir()):
        return False
    if not is_trace(directory):
        raise TraceError("WRITER_PLACE_OCCUPIED", directory=directory)
    if not overwrite:
        raise TraceError("WRITER_TRACE_EXISTS", directory=directory)
    for leftover in (new, old):
        if leftover.exists():
            if not is_trace(leftover) and any(not e.name.endswith(PARTIAL) for e in leftover.iterdir()):
                raise TraceError("WRITER_LEFTOVER_FOREIGN", path=leftover)
            _remove(leftover)
    return True


def _remove(directory: Path) -> None:
    """Remove a trace, its zarr.json last: if the process is killed, the rest is still recognised as a trace."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "zarr.json":
            entry.unlink()
    (directory / "zarr.json").unlink(missing_ok=True)
    directory.rmdir()


def _even(total: int, limit: int) -> int:
    """Return the size of equal parts of `total`, none larger than `limit`."""
    return ceil(total / ceil(total / limit)) if total else 0
