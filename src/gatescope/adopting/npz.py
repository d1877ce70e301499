"""`.npz`: NumPy's arrays with names. What is pickled in one is not read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError, Foreign, check_size
from gatescope.adopting.torch_names import Nonlinearity, recurrent

LARGEST_FLOAT = 8  # bytes; wider ones are of no use to torch
UNREAD = np.zeros(1, np.complex64)  # stands for an array that is not read


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights.

    Raises:
        AdoptingError: the file is truncated or damaged, or holds no arrays of numbers.
    """
    arrays = {name: torch.from_numpy(value) for name, value in _arrays(path).items()}
    return recurrent(arrays, ".npz", nonlinearity)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            check_size(path, sum(entry.file_size for entry in entries))
            if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
                raise AdoptingError("NPZ_PACKED_WAY_NUMPY_SAVEZ", path=path)
            if len({entry.filename for entry in entries}) != len(entries):
                raise AdoptingError("NPZ_ARRAYS_DIFFERENT_NAMES_TWO", path=path)
            if not entries:
                raise AdoptingError("NPZ_ARCHIVE_WITHOUT_ARRAYS_NPY", path=path)
            for entry in entries:
                with archive.open(entry) as file:
                    value = _array(file, entry.file_size)
                if value is not None:
                    found[entry.filename.removesuffix(".npy")] = value
    except (AdoptingError, OSError):
        raise
    except Exception as error:  # NumPy reads a header as Python, and raises whatever tokenizer and parser raise
        raise AdoptingError("NPZ_TRUNCATED_DAMAGED_SAVE_AGAIN", path=path, error=str(error)[:200]) from error
    return found


def _array(file: Any, size: int) -> NDArray[Any] | None:
    """One array; None for one of text or dates. Its header is believed only if the size agrees.

    What holds no floating-point numbers that torch has is not read. It may be weights, and so it is not lost either.
    """
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        return UNREAD
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.kind in "USMm":
        return None
    if dtype.kind not in "fiub" or dtype.itemsize > LARGEST_FLOAT:
        return UNREAD
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize != size - file.tell() or min(shape, default=0) < 0:
        raise ValueError(f"an array says that it is {shape}, which are not the numbers that follow")
    if dtype.kind == "u":  # torch has few types of these; which numbers they are makes no difference
        return np.zeros(shape, f"i{dtype.itemsize}")
    values = np.frombuffer(file.read(), dtype)
    native = values.astype(dtype.newbyteorder("="))  # a copy, which may be written to
    return native.reshape(shape, order="F" if fortran else "C")
