"""Sequences of frames (vectors of numbers) with a label for each, read from arrays of NumPy and a file of labels."""

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

from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.labelled import judged, none_of, ordered, spelled_alike
from gatescope.tasks.data.tables import LARGEST, LISTED, Fault, read_bytes, read_lines, refuse, undecoded

_ARCHIVE = b"PK"

# All that reading an archive can end in that is damaged, has a password, or is a trap.
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError)

# The header of an array is a literal of Python; this is all that reading one that is none can end in.
_BAD_HEADER = (ValueError, KeyError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Frames:
    """Sequences of frames, each frame with one of the classes.

    Arguments:
        names: of the N sequences.
        values: of each sequence, (T, I) float32, I = the numbers of a frame.
        labels: of each sequence, (T,) numbers of the classes.
        classes: the names of the classes, in the order of the alphabet or, where all are numbers, of the numbers.
    """

    names: tuple[str, ...]
    values: tuple[Float[np.ndarray, "_ I"], ...]
    labels: tuple[Int[np.ndarray, " _"], ...]
    classes: tuple[str, ...]


def read_frames(
    path: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    largest: int = LARGEST,
    *,
    encoding: str | None = None,
    merge_labels: bool = False,
) -> Frames:
    """The frames of an .npy of (T, I), or of an .npz with several sequences, and the label of each from a text file.

    The file of labels has one a line, for the sequences in the order in which they are in the archive; blank lines
    between the sequences are welcome. Nothing is unpickled, and no more than `largest` bytes of numbers are read.

    Arguments:
        classes: the names the labels must be of; None: those that occur.
        encoding, merge_labels: of the file of labels, as in `read_labelled`.

    Raises: TaskError, which lists every frame and every line that cannot be used.
    """
    arrays = _arrays(path, largest)
    widths = {name: array.shape[1] for name, array in arrays.items()}
    if len(set(widths.values())) > 1:
        raise TaskError("FRAMES_SEQUENCES_FRAMES_SIZE_THEY", path=path, listed=_listed(widths))
    names = tuple(arrays)
    faults: list[Fault] = []
    values = [_single_precision(name, array, faults) for name, array in arrays.items()]
    if faults:
        count = sum(int((~np.isfinite(part)).sum()) for part in values)
        refuse(path, faults, unlisted=count - len(faults))
    lines = read_lines(labels, largest, encoding)
    groups = _groups(labels, lines, {name: len(array) for name, array in arrays.items()}, path)
    for number, name in (pair for group in groups for pair in group):
        if (wrong := undecoded(name)) or (wrong := none_of(name, classes, merge_labels)):
            faults.append(Fault(number, wrong))
    spelled = spelled_alike([name for group in groups for _, name in group], classes, merge_labels)
    judged(labels, faults, False, spelled, classes)
    found = tuple(classes) if classes is not None else ordered(set(spelled))
    index = {name: k for k, name in enumerate(found)}
    every = np.array([index[name] for name in spelled], dtype=np.int64)
    ids = tuple(np.split(every, np.cumsum([len(group) for group in groups])[:-1]))
    return Frames(names, tuple(values), ids, found)


def _groups(
    labels: str | os.PathLike[str], lines: Sequence[str], lengths: dict[str, int], path: str | os.PathLike[str]
) -> list[list[tuple[int, str]]]:
    """The lines with labels of each sequence, with their numbers.

    Raises: TaskError where there are not as many as frames.
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
        everything, groups, start = groups[0], [], 0
        for length in lengths.values():
            groups.append(everything[start : start + length])
            start += length
        if start != len(everything):
            raise TaskError(
                "FRAMES_LABELS_FRAMES_WRITE_LABEL", labels=labels, count=len(everything), path=path, start=start
            )
        return groups
    if len(groups) != len(lengths):
        raise TaskError(
            "FRAMES_LABELS_SEQUENCES_BLANK_LINES",
            labels=labels,
            count=len(groups),
            path=path,
            count2=len(lengths),
            listed=_listed(lengths),
        )
    faults = [
        Fault(group[0][0], f"{len(group):,} labels begin here, and the sequence {name} has {length:,} frames")
        for group, (name, length) in zip(groups, lengths.items(), strict=True)
        if len(group) != length
    ]
    if faults:
        refuse(labels, faults)
    return groups


def _single_precision(name: str, array: np.ndarray[Any, Any], faults: list[Fault]) -> Float[np.ndarray, "T I"]:
    """The frames in float32; the first numbers that are not finite in it are added to the faults."""
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, dtype=np.float32)
    for step, column in np.argwhere(~np.isfinite(values))[:LISTED].tolist():
        number = array[step, column]
        too_large = ", too large for single precision" if np.isfinite(number) else ""
        faults.append(Fault(None, f"sequence {name}, frame {step:,}, number {column}: {number}{too_large}"))
    return values


def _arrays(path: str | os.PathLike[str], largest: int) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a file by name, in their order; that of an .npy has the name of the file."""
    data = read_bytes(path, largest)
    if not data.startswith(_ARCHIVE):
        return {Path(path).stem: _array(io.BytesIO(data), len(data), f"{path}")}
    contents = _unpacked(path, data, largest)
    if not contents:
        raise TaskError("FRAMES_ARRAYS_WRITE_PER_SEQUENCE", path=path)
    return {name: _array(io.BytesIO(part), len(part), f"{name} in {path}") for name, part in contents.items()}


def _unpacked(path: str | os.PathLike[str], data: bytes, largest: int) -> dict[str, bytes]:
    """What the arrays of an archive are stored as. Their sizes are looked at before any of them is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if (total := sum(member.file_size for member in members)) > largest:
                raise TaskError("FRAMES_UNPACKS_BYTES_MOST_READ", path=path, total=total, largest=largest)
            if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
                raise TaskError("FRAMES_COMPRESSED_UNUSUAL_WAY_WRITE", path=path)
            contents = {}
            for member in members:
                with archive.open(member) as file:  # a size that is a lie bounds what is unpacked all the same
                    contents[member.filename.removesuffix(".npy")] = file.read(member.file_size)
            return contents
    except TaskError:
        raise
    except _BAD_ARCHIVE as error:
        raise TaskError("FRAMES_DAMAGED_ARCHIVE_WRITE_AGAIN", path=path, error=error) from error


def _array(file: io.BytesIO, size: int, where: str) -> np.ndarray[Any, Any]:
    """One array of (T, I) numbers, after its header was compared with how many bytes there are.

    Raises: TaskError for anything else, arrays of Python objects among it.
    """
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        shape, fortran, dtype = readers[npy.read_magic(file)](file)
    except _BAD_HEADER as error:
        raise TaskError("FRAMES_ARRAY_NUMPY_NPY_NPZ", where=where) from error
    if dtype.kind not in "fiub":
        raise TaskError("FRAMES_ELEMENTS_NUMBERS_SAVE_ARRAY", where=where, dtype=dtype)
    if len(shape) != 2 or min(shape) < 1:
        raise TaskError("FRAMES_SHAPE_FRAMES_NUMBERS_FRAME", where=where, shape=shape)
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise TaskError("FRAMES_CUT_SHORT_LONGER_SHAPE", where=where, shape=shape)
    flat = np.frombuffer(file.read(), dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _listed(numbers: dict[str, int], most: int = 8) -> str:
    """Sequences with a number each, in words."""
    parts = [f"{name} {number:,}" for name, number in list(numbers.items())[:most]]
    return ", ".join(parts) + (", ..." if len(numbers) > most else "")
