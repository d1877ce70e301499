"""Labelled sequences of frames (vectors of numbers), read from arrays of NumPy and a file of labels."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.lib import format as npy

from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.class_names import check_labels, label_problem, sorted_classes, unified_labels
from gatescope.tasks.data.tables import (
    MAX_FILE_BYTES,
    MAX_LISTED_FAULTS,
    Fault,
    read_bytes,
    read_lines,
    refuse,
    undecoded,
)

_ARCHIVE = b"PK"

# The exceptions of reading an archive that is damaged, encrypted, or made to exhaust memory.
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError)

# The header of an array is a literal of Python. These are the exceptions of reading anything else.
_BAD_HEADER = (ValueError, KeyError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Frames:
    """N sequences of frames with a label for each frame.

    Attributes:
        names: the name of each sequence.
        values: (T, I) float32 for each sequence, with I numbers in a frame.
        labels: (T,) the label of each frame, for each sequence.
        classes: the names of the labels in alphabetical order, or in numerical order if all are numbers.
    """

    names: tuple[str, ...]
    values: tuple[Float[np.ndarray, "_ I"], ...]
    labels: tuple[Int[np.ndarray, " _"], ...]
    classes: tuple[str, ...]


def read_frames(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    largest: int = MAX_FILE_BYTES,
    *,
    encoding: str | None = None,
    merge_labels: bool = False,
) -> Frames:
    """Read the frames of an .npy of (T, I), or of an .npz with several sequences, and their labels from a text file.

    The file of labels has one label a line, with the sequences in the order of the archive; blank lines may stand
    between sequences. Nothing is unpickled, and no more than `largest` bytes of numbers are read.

    Args:
        path: the .npy or .npz.
        labels: the file of labels.
        classes: the allowed labels; None: those that occur.
        largest: the most bytes of a file, and of the unpacked arrays.
        encoding: the encoding of the file of labels, as in `read_labelled`.
        merge_labels: take spellings of one label for the same label, as in `read_labelled`.

    Raises:
        TaskError: a file cannot be used; the message lists every wrong frame or line.
    """
    arrays = _arrays(path, largest)
    widths = {name: array.shape[1] for name, array in arrays.items()}
    if len(set(widths.values())) > 1:
        raise TaskError("FRAMES_WIDTHS_DIFFER", path=path, widths=_listed(widths))
    names = tuple(arrays)
    faults: list[Fault] = []
    values = [_single_precision(name, array, faults) for name, array in arrays.items()]
    if faults:
        count = sum(int((~np.isfinite(part)).sum()) for part in values)
        refuse(path, faults, unlisted=count - len(faults))
    lines = read_lines(labels, largest, encoding)
    groups = _groups(labels, lines, {name: len(array) for name, array in arrays.items()}, path)
    for number, name in (pair for group in groups for pair in group):
        if problem := undecoded(name) or label_problem(name, classes, merge_labels):
            faults.append(Fault(number, problem))
    spelled = unified_labels([name for group in groups for _, name in group], classes, merge_labels)
    check_labels(labels, faults, False, spelled, classes)
    label_names = tuple(classes) if classes is not None else sorted_classes(set(spelled))
    index = {name: k for k, name in enumerate(label_names)}
    tags = np.array([index[name] for name in spelled], dtype=np.int64)
    tags_of_sequences = tuple(np.split(tags, np.cumsum([len(group) for group in groups])[:-1]))
    return Frames(names, tuple(values), tags_of_sequences, label_names)


def _groups(
    labels: str | os.PathLike[str], lines: Sequence[str], lengths: dict[str, int], path: str | os.PathLike[str]
) -> list[list[tuple[int, str]]]:
    """Return the labels of each sequence, with their line numbers.

    Raises:
        TaskError: the number of labels is not the number of frames.
    """
    groups: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(lines, 1):
        if line.strip():
            groups[-1].append((number, line.strip()))
        elif groups[-1]:
            groups.append([])
    if not groups[-1]:
        groups.pop()
    if len(groups) == 1:
        all_lines, groups, start = groups[0], [], 0
        for length in lengths.values():
            groups.append(all_lines[start : start + length])
            start += length
        if start != len(all_lines):
            raise TaskError("FRAMES_LABEL_COUNT", labels=labels, count=len(all_lines), path=path, frames=start)
        return groups
    if len(groups) != len(lengths):
        raise TaskError(
            "FRAMES_LABEL_GROUPS",
            labels=labels,
            groups=len(groups),
            path=path,
            sequences=len(lengths),
            lengths=_listed(lengths),
        )
    faults = [
        Fault(group[0][0], Message("FAULT_FRAMES_LABELS", expected=length, name=name, count=len(group)))
        for group, (name, length) in zip(groups, lengths.items(), strict=True)
        if len(group) != length
    ]
    if faults:
        refuse(labels, faults)
    return groups


def _single_precision(name: str, array: np.ndarray[Any, Any], faults: list[Fault]) -> Float[np.ndarray, "T I"]:
    """Return the frames in float32; numbers that are not finite are added to the faults, up to a limit."""
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, dtype=np.float32)
    for step, column in np.argwhere(~np.isfinite(values))[:MAX_LISTED_FAULTS].tolist():
        number = array[step, column]
        code = "FAULT_FRAMES_TOO_LARGE" if np.isfinite(number) else "FAULT_FRAMES_NOT_FINITE"
        faults.append(Fault(None, Message(code, name=name, frame=step, column=column, number=number)))
    return values


def _arrays(path: str | os.PathLike[str], largest: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a file by name, in order; the array of an .npy has the name of the file."""
    data = read_bytes(path, largest)
    if not data.startswith(_ARCHIVE):
        return {Path(path).stem: _array(io.BytesIO(data), len(data), f"{path}")}
    contents = _unpacked(path, data, largest)
    if not contents:
        raise TaskError("FRAMES_ARCHIVE_EMPTY", path=path)
    return {name: _array(io.BytesIO(part), len(part), f"{name} in {path}") for name, part in contents.items()}


def _unpacked(path: str | os.PathLike[str], data: bytes, largest: int) -> dict[str, bytes]:
    """Return the stored bytes of the arrays of an archive. Their sizes are checked before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if (total := sum(member.file_size for member in members)) > largest:
                raise TaskError("FRAMES_ARCHIVE_TOO_LARGE", path=path, total=total, largest=largest)
            if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
                raise TaskError("FRAMES_ARCHIVE_COMPRESSION", path=path)
            contents = {}
            for member in members:
                with archive.open(member) as file:  # a wrong size in the archive still bounds what is unpacked
                    contents[member.filename.removesuffix(".npy")] = file.read(member.file_size)
            return contents
    except TaskError:
        raise
    except _BAD_ARCHIVE as error:
        raise TaskError("FRAMES_ARCHIVE_DAMAGED", path=path, error=error) from error


def _array(file: io.BytesIO, size: int, where: str) -> np.ndarray[Any, Any]:
    """Read an array of (T, I) numbers, after a check of its header against the number of bytes.

    Raises:
        TaskError: the file is something else, such as an array of Python objects.
    """
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        shape, fortran, dtype = readers[npy.read_magic(file)](file)
    except _BAD_HEADER as error:
        raise TaskError("FRAMES_ARRAY_INVALID", where=where) from error
    if dtype.kind not in "fiub":
        raise TaskError("FRAMES_ARRAY_TYPE", where=where, dtype=dtype)
    if len(shape) != 2 or min(shape) < 1:
        raise TaskError("FRAMES_ARRAY_SHAPE", where=where, shape=shape)
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise TaskError("FRAMES_ARRAY_SIZE", where=where, shape=shape)
    flat = np.frombuffer(file.read(), dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _listed(numbers: dict[str, int], most: int = 8) -> str:
    """Return the names of sequences with their numbers, as a list in words."""
    parts = [f"{name} {number:,}" for name, number in list(numbers.items())[:most]]
    return ", ".join(parts) + (", ..." if len(numbers) > most else "")
