"""The formats of foreign files. The first bytes decide, and the file name only if these are not enough."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatescope.adopting import keras, npz, onnx_file, safetensors_file, state_dict
from gatescope.adopting.foreign import AdoptingError, Foreign
from gatescope.adopting.torch_names import Nonlinearity

MAX_FILE_BYTES = 8 << 30
KNOWN = "a PyTorch state dict (.pt, .pth), .safetensors, .npz, a Keras model (.keras, .h5) or an ONNX model (.onnx)"


@dataclass(frozen=True)
class Format:
    """A format of files with weights.

    Attributes:
        title: the format in words, with an article.
        function: the function of the package `gatescope` that reads it.
        read: the reader, a function of the path and of the activation of simple recurrent layers.
    """

    title: str
    function: str
    read: Callable[[Path, Nonlinearity | None], Foreign]


TORCH = Format("a PyTorch file", "from_torch", state_dict.read)
SAFETENSORS = Format("a safetensors file", "from_safetensors", safetensors_file.read)
NPZ = Format("a NumPy archive (.npz)", "adopt", npz.read)
KERAS = Format("a Keras model", "from_keras", keras.read)
ONNX = Format("an ONNX model", "from_onnx", onnx_file.read)


def check_file(path: Path) -> None:
    """Check that a path is a file of a size that can be read.

    Raises:
        AdoptingError: the path does not exist, is a folder, or the file is too large.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if path.is_dir():
        raise AdoptingError("FOREIGN_FILE_IS_FOLDER", path=path, known=KNOWN)
    if size > MAX_FILE_BYTES:
        raise AdoptingError("FOREIGN_FILE_TOO_LARGE", path=path, size=size, limit=MAX_FILE_BYTES)


def _unreadable(path: Path, error: OSError) -> AdoptingError:
    return AdoptingError("FOREIGN_FILE_UNREADABLE", path=path, reason=error.strerror or error)


def read(path: Path | str, nonlinearity: Nonlinearity | None = None, *, expected: Format | None = None) -> Foreign:
    """Read the recurrent layers and the other weights of a file. Nothing in the file is executed.

    Args:
        path: the file.
        nonlinearity: activation of the simple recurrent layers (torch.nn.RNN). Weight files do not record it.
        expected: the only format to accept; any by default.

    Returns:
        The layers and weights.

    Raises:
        AdoptingError: the file has no known format or not the expected one, is damaged, or holds no recurrent layer.
        ImportError: the format needs an extra that is not installed.
    """
    path = Path(path)
    check_file(path)
    try:
        file_format = format_of(path)
        if expected is not None and file_format is not expected:
            raise AdoptingError(
                "FOREIGN_FILE_OTHER_FORMAT",
                path=path,
                expected=expected.title,
                title=file_format.title,
                function=file_format.function,
            )
        foreign = file_format.read(path, nonlinearity)
    except OSError as error:
        raise _unreadable(path, error) from error
    for layers in foreign.stacks.values():
        for layer in layers:
            if not layer.is_finite():
                raise AdoptingError("FOREIGN_WEIGHTS_NOT_FINITE", name=f"{layer.name} in {path}")
    return foreign


def format_of(path: Path) -> Format:
    """Return the format of a file.

    Args:
        path: the file.

    Raises:
        AdoptingError: the file is empty, or has no known format.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise AdoptingError("FOREIGN_FILE_EMPTY", path=path, known=KNOWN)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return KERAS
    if start.startswith(b"PK\x03\x04"):
        return _format_of_archive(path)
    # A safetensors file starts with 8 bytes for the length of its header, then the header, which is JSON.
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        return SAFETENSORS
    if path.suffix == ".onnx":
        return ONNX
    if start[:1] == b"\x80" or path.suffix in (".pt", ".pth"):
        return TORCH
    if start[:1] == b"\x08":  # the first field of an ONNX model, its version
        return ONNX
    raise AdoptingError("FOREIGN_FILE_UNKNOWN", path=path, known=KNOWN)


def _format_of_archive(path: Path) -> Format:
    """Return the format of a zip archive, by the names of its entries."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise AdoptingError("FOREIGN_ARCHIVE_DAMAGED", path=path, error=error) from error
    if "config.json" in names and "model.weights.h5" in names:
        return KERAS
    if any(name.endswith("data.pkl") for name in names):
        return TORCH
    if any(name.endswith(".npy") for name in names):
        return NPZ
    raise AdoptingError("FOREIGN_ARCHIVE_UNKNOWN", path=path, known=KNOWN)
