"""Writing a trace piece by piece, so that a writer killed at any instant leaves what it had finished."""

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
from gatescope.storage.description import (
    CHECKED,
    IDS,
    checked_attributes,
    checksum,
    is_plain,
    is_trace,
    plain_json,
    sibling,
)
from gatescope.storage.files import write_array
from gatescope.storage.layout import PRECISIONS, Layout
from gatescope.storage.lock import Lock
from gatescope.trace import FORMAT, LAYER_AXES, STATE_AXES, STEP_AXES, Trace, TraceError

MAXIMUM_ROWS = 1 << 16  # sequences times steps in one chunk

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

_Entry = tuple[Any, tuple[str, ...], Mapping[str, Any]]


class Writer:
    """Writes a trace piece by piece; after every piece the directory is a whole trace of what was written so far.

    Used as a context manager: leaving the block without an error finishes the trace; after an error (Ctrl-C too) the
    pieces that were written stay, unless another trace was to be replaced, which then stays instead. A block without
    pieces leaves nothing. A directory has one writer at a time; another one is refused, whatever it was asked for.

    Args:
        directory: does not exist yet, or is empty, or holds a trace and `overwrite` is given.
        dtype: of signals, drives, states and parameters on disk: "float16", "float32" or "float64".
        overwrite: replace the trace in the directory, when the new one is finished.

    Raises:
        TraceError: the directory holds something else, a trace that may not be replaced, or another writer is at work
            there; or no such dtype.
    """

    def __init__(self, directory: str | os.PathLike[str], dtype: str = "float16", overwrite: bool = False) -> None:
        if dtype not in PRECISIONS:
            raise TraceError("WRITING_TRACE_STORED_ASKED", precisions=", ".join(PRECISIONS), dtype=str(dtype))
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
                raise TraceError("WRITING_DIRECTORY_TRACE_ROOT_ANOTHER", directory=self.directory)
            self.directory.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.directory)
        except OSError as error:
            raise unwritable(self.directory, error) from error
        try:
            self._beside = _prepare(self.directory, overwrite)
            self._root = sibling(self.directory, "new") if self._beside else self.directory
            self._root.mkdir(exist_ok=True)
            self._commit()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise unwritable(self.directory, error) from error
            raise

    def append(self, piece: Trace) -> None:
        """Write the next steps of all sequences.

        All pieces have the same sequences, layers and arrays. All but the last have the same number of steps, at most
        65,536, and a sequence that has ended stays ended. States before the first step and parameters are taken from
        the first piece.

        Raises:
            TraceError: the piece does not go on where the last one ended, or has a value that the dtype cannot hold.
                Nothing of it is kept; the pieces before it are.
        """
        if self._closed:
            raise TraceError("WRITING_TRACE_FINISHED_START_ANOTHER")
        entries = _entries(piece)
        size = piece.steps["token"].shape[1]
        if self._lengths is None:
            self._begin(piece, entries, size)
        elif self.steps != self._pieces * self._largest or size > self._largest:
            raise TraceError("WRITING_PIECE_STEPS_FOLLOWS_STEPS", size=size, largest=self._largest, steps=self.steps)
        lengths = np.zeros(len(piece.lengths), dtype=np.int64) if self._lengths is None else self._lengths
        self._compare(piece, entries, lengths, size)
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
        """Mark the trace as complete, with more attributes, and put it in its place.

        Raises:
            TraceError: nothing was appended, or an attribute is not JSON.
        """
        if self._closed:
            return
        if self._lengths is None:
            raise TraceError("WRITING_NOTHING_RECORDED_TRACE_FINISH")
        self._attributes = checked_attributes(
            {**self._attributes, **plain_json(attributes), "finished": True}, tuple(self._layers()), ""
        )
        self._commit()
        self._closed = True
        if self._beside:
            old = sibling(self.directory, "old")
            self.directory.rename(old)
            self._root.rename(self.directory)
            sync_folder(self.directory.parent)
            old.rename(self._root)  # what is under the name of the old trace is always whole
            _remove(self._root)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None and self._lengths is not None:
                self.finish()
            elif not self._closed and (self._beside or self._lengths is None):
                _remove(self._root)
        finally:
            self._lock.release()

    def _layers(self) -> list[str]:
        return [path for path in self._groups if "/" not in path]

    def _begin(self, piece: Trace, entries: Mapping[str, _Entry], size: int) -> None:
        """Fix what the first piece decides: the arrays, their chunks and the attributes."""
        if size > MAXIMUM_ROWS:
            raise TraceError("WRITING_PIECE_STEPS_GIVEN_CUT", size=size, maximum_rows=MAXIMUM_ROWS)
        groups: list[str] = []
        for layer in piece.layers:
            kinds = [kind for kind in ("initial", "parameters") if layer in getattr(piece, kind)]
            groups += [layer, *(f"{layer}/{kind}" for kind in kinds)]
        given = plain_json(piece.attributes)
        computed = checked_attributes(given, tuple(piece.layers), "the first piece: ")["precision"]
        # What was rounded once stays rounded: the coarser of the two says how well the equations can hold.
        coarser = min(computed, self.dtype, key=PRECISIONS.index)
        attributes = {**given, "precision": coarser, "computed_in": given.get("computed_in", computed)}
        attributes |= {"format": FORMAT, "finished": False}
        sequences = _even(len(piece.lengths), max(1, MAXIMUM_ROWS // max(1, size)))
        layouts = {}
        for path, (array, axes, about) in entries.items():
            limits = {"sequence": sequences, "step": size}
            chunks = tuple(max(1, limits.get(a, int(n))) for a, n in zip(axes, array.shape, strict=True))
            dtype = "int32" if path in IDS else "float32" if path in STEP_AXES else self.dtype
            shape = tuple(0 if a == "step" else n for a, n in zip(axes, array.shape, strict=True))
            fill = -1 if path in IDS else np.nan
            layouts[path] = Layout(shape, chunks, dtype, axes, axes == LAYER_AXES, fill, ".", about)
        count = len(piece.lengths)
        title = {"title": TITLES["length"]}
        layouts["length"] = Layout((count,), (max(1, count),), "int64", ("sequence",), False, 0, ".", title)
        for path in layouts:
            (self._root / path).mkdir(parents=True, exist_ok=True)
        if len({(self._root / path).stat().st_ino for path in layouts}) < len(layouts):
            raise TraceError("WRITING_TWO_ARRAYS_DIFFER_UPPER")
        self._layouts, self._groups, self._attributes, self._largest = layouts, groups, attributes, size

    def _compare(self, piece: Trace, entries: Mapping[str, _Entry], ended: NDArray[np.int64], size: int) -> None:
        """Whether a piece has the arrays of the first one and goes on where the last one ended."""
        for path in {*entries, *self._layouts} - {"length"}:
            layout = self._layouts.get(path)
            if path not in entries or layout is None:
                raise TraceError("WRITING_EVERY_PIECE_ALL_PIECES", path=path)
            array, axes, _ = entries[path]
            wanted = tuple(size if a == "step" else n for a, n in zip(axes, layout.shape, strict=True))
            if tuple(array.shape) != wanted:
                raise TraceError("WRITING_SHAPE_PIECE", path=path, shape=tuple(array.shape), wanted=wanted)
        lengths = np.asarray(piece.lengths)
        if lengths.shape != ended.shape or ((lengths < 0) | (lengths > size)).any():
            raise TraceError("WRITING_PIECE_STEPS_SAYS_SEQUENCES", size=size, lengths=lengths)
        if ((ended < self.steps) & (lengths > 0)).any():
            row = int(((ended < self.steps) & (lengths > 0)).argmax())
            raise TraceError("WRITING_SEQUENCE_ENDED_STEP_GO", row=row, ended=ended[row])

    def _commit(self) -> None:
        """Write what the arrays are now: each array's own zarr.json first, then the root's, which lists them all."""
        group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        nodes: dict[str, Any] = dict.fromkeys(self._groups, group)
        nodes |= {path: layout.to_json() for path, layout in self._layouts.items()}
        # The zarr library needs the children of a group side by side in the list.
        nodes = {path: nodes[path] for path in sorted(nodes, key=lambda path: path.rpartition("/")[0])}
        for path, node in nodes.items():
            if node["node_type"] == "array" or self._pieces == 1:
                (self._root / path).mkdir(parents=True, exist_ok=True)
                write_bytes(self._root / path / "zarr.json", json.dumps(node).encode(), sync=False)
        listed = {"kind": "inline", "must_understand": False, "metadata": nodes}
        root = {**group, "attributes": self._attributes, "consolidated_metadata": listed}
        write_bytes(self._root / "zarr.json", json.dumps(root).encode())


def save_trace(
    trace: Trace, directory: str | os.PathLike[str], dtype: str = "float16", overwrite: bool = False
) -> None:
    """Write a whole trace into a directory; see `Writer`.

    Raises:
        TraceError: the directory may not be written, or the dtype cannot hold a value of the trace.
    """
    with Writer(directory, dtype, overwrite) as writer:
        for piece in pieces_of(trace):
            writer.append(piece)


def pieces_of(trace: Trace) -> Iterator[Trace]:
    """A trace in pieces that a `Writer` takes; one of up to 65,536 steps as it is."""
    length = trace.steps["token"].shape[1]
    size = max(1, _even(length, MAXIMUM_ROWS))
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
    """Where each array of a trace lies, with its axes and what is said about it."""
    entries: dict[str, _Entry] = {
        name: (array, STEP_AXES[name], {"title": TITLES[name]}) for name, array in piece.steps.items()
    }
    extra = {*piece.initial, *piece.parameters} - set(piece.layers)
    if extra:
        raise TraceError("WRITING_STATES_PARAMETERS_GIVEN_LAYER", extra=", ".join(sorted(extra)))
    for layer, signals in piece.layers.items():
        known = piece.attributes.get("layers", {}).get(layer, {}).get("arrays", {})
        kinds = (("", LAYER_AXES, signals), ("initial/", STATE_AXES, piece.initial.get(layer, {})))
        kinds = (*kinds, ("parameters/", ("neuron",), piece.parameters.get(layer, {})))
        for folder, axes, arrays in kinds:
            for name, array in arrays.items():
                if not (is_plain(layer) and is_plain(name)):
                    raise TraceError("WRITING_STORED_PLAIN_NAME_ANOTHER", layer=layer, name=name)
                title = f"{name} before the first step" if folder == "initial/" else name
                about = {"title": title} if folder == "initial/" else plain_json(known.get(name, {"title": title}))
                entries[f"{layer}/{folder}{name}"] = (array, axes, about)
    for path, (array, axes, _) in entries.items():
        if array.ndim != len(axes):
            raise TraceError("WRITING_AXES", path=path, ndim=array.ndim, axes=", ".join(axes))
    return entries


def _prepare(directory: Path, overwrite: bool) -> bool:
    """Whether the trace must be written beside the directory, because there is one in it.

    Raises:
        TraceError: the directory may not be written to.
    """
    new, old = sibling(directory, "new"), sibling(directory, "old")
    if not directory.exists() and is_trace(old) and overwrite:
        old.rename(directory)  # a writer was killed just between moving the old trace away and the new one in
    if directory.exists() and not directory.is_dir():
        raise TraceError("WRITING_FILE_TRACE_DIRECTORY_ANOTHER", directory=directory)
    if not directory.exists() or all(entry.name.endswith(PARTIAL) for entry in directory.iterdir()):
        return False
    if not is_trace(directory):
        raise TraceError("WRITING_HOLDS_SOMETHING_TRACE_LEFT", directory=directory)
    if not overwrite:
        raise TraceError("WRITING_ALREADY_HOLDS_TRACE_ANOTHER", directory=directory)
    for leftover in (new, old):
        if leftover.exists():
            if not is_trace(leftover) and any(not e.name.endswith(PARTIAL) for e in leftover.iterdir()):
                raise TraceError("WRITING_WAY_TRACE_MOVE_AWAY", leftover=leftover)
            _remove(leftover)
    return True


def _remove(directory: Path) -> None:
    """Remove a trace, what says that it is one last: what a kill leaves of it is still known for what it was."""
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "zarr.json":
            entry.unlink()
    (directory / "zarr.json").unlink(missing_ok=True)
    directory.rmdir()


def _even(total: int, limit: int) -> int:
    """The size of equal parts of `total`, none larger than `limit`."""
    return ceil(total / ceil(total / limit)) if total else 0
