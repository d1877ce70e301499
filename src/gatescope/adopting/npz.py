"""`.npz` files: NumPy's arrays with names. Pickled objects in one are not read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError, Foreign, check_size, reason_of
from gatescope.adopting.torch_names import Nonlinearity, recurrent

MAX_FLOAT_BYTES = 8  # torch has no wider floating-point numbers
UNREAD = np.zeros(1, np.complex64)  # stands for an array that is not read, so that it can be refused


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights.

    Args:
        path: the file.
        nonlinearity: activation of simple recurrent layers. Weight files do not record it.

    Raises:
        AdoptingError: the file is truncated or damaged, or holds no arrays of numbers.
    """
    arrays = {name: torch.from_numpy(value) for name, value in _arrays(path).items()}
    return recurrent(arrays, ".npz", nonlinearity)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive by name."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            _check_entries(path, entries)
            for entry in entries:
                with archive.open(entry) as file:
                    value = _array(path, file, entry.file_size)
                if value is not None:
                    arrays[entry.filename.removesuffix(".npy")] = value
    except (AdoptingError, OSError):
        raise
    except Exception as error:  # NumPy reads a header as Python, and raises whatever tokenizer and parser raise
        raise AdoptingError("NPZ_FILE_DAMAGED", path=path, reason=reason_of(error)) from error
    return arrays


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that NumPy never writes, or that claims to hold more than it can."""
    check_size(path, sum(entry.file_size for entry in entries))
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise AdoptingError("NPZ_COMPRESSION_UNKNOWN", path=path)
    if len({entry.filename for entry in entries}) != len(entries):
        raise AdoptingError("NPZ_NAME_REPEATED", path=path)
    if not entries:
        raise AdoptingError("NPZ_WITHOUT_ARRAYS", path=path)


def _array(path: Path, file: Any, size: int) -> NDArray[Any] | None:
    """Return one array; None for text or dates. Its header is believed only if the size agrees.

    An array without floating-point numbers that torch has is not read, but it may be weights, so UNREAD stands for it.
    """
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        return UNREAD
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.kind in "USMm":
        return None
    if dtype.kind not in "fiub" or dtype.itemsize > MAX_FLOAT_BYTES:
        return UNREAD
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize != size - file.tell() or min(shape, default=0) < 0:
        raise AdoptingError("NPZ_ARRAY_SIZE_DIFFERS", path=path, shape=shape, size=size - file.tell())
    if dtype.kind == "u":  # torch has few unsigned types; the numbers make no difference
        return np.zeros(shape, f"i{dtype.itemsize}")
    values = np.frombuffer(file.read(), dtype)
    native = values.astype(dtype.newbyteorder("="))  # a writable copy
    return native.reshape(shape, order="F" if fortran else "C")
