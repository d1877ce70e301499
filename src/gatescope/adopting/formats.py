"""Which format a file has: by its first bytes, and by its name only where these say too little."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from gatescope.adopting import keras, npz, onnx_file, safetensors_file, state_dict
from gatescope.adopting.foreign import AdoptingError, Foreign
from gatescope.adopting.torch_names import Nonlinearity

LARGEST = 8 << 30  # bytes of a file
KNOWN = "a PyTorch state dict (.pt, .pth), .safetensors, .npz, a Keras model (.keras, .h5) or an ONNX model (.onnx)"

Reader = Callable[[Path, Nonlinearity | None], Foreign]


def read(path: Path | str, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights of a file of any known format. Nothing in the file is executed.

    Args:
        path: the file.
        nonlinearity: of the simple recurrent networks (torch.nn.RNN) in a file of weights, which does not say it.

    Raises:
        AdoptingError: it is of no known format, damaged, or holds no recurrent layer.
        ImportError: the format needs an extra.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise AdoptingError("FORMATS_FOLDER_FILE", path=path, known=KNOWN)
        if size > LARGEST:
            raise AdoptingError("FORMATS_BYTES_MOST_READ", path=path, size=size, largest=LARGEST)
        found = _reader(path)(path, nonlinearity)
    except OSError as error:
        raise AdoptingError("FORMATS_READ", path=path, value=error.strerror or error) from error
    for layers in found.stacks.values():
        for layer in layers:
            if not layer.finite():
                raise AdoptingError("FORMATS_WEIGHTS_FINITE_TRAINING_FAILED", path=path, name=layer.name)
    return found


def _reader(path: Path) -> Reader:
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise AdoptingError("FORMATS_EMPTY", path=path)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return keras.read
    if start.startswith(b"PK\x03\x04"):
        return _archive(path)
    # Eight bytes for the length of the header, then the header, which is JSON.
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        return safetensors_file.read
    if path.suffix == ".onnx":
        return onnx_file.read
    if start[:1] == b"\x80" or path.suffix in (".pt", ".pth"):
        return state_dict.read
    if start[:1] == b"\x08":  # the first field of an ONNX model, its version
        return onnx_file.read
    raise AdoptingError("FORMATS_NONE_FILES_ADOPTED", path=path, known=KNOWN)


def _archive(path: Path) -> Reader:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise AdoptingError("FORMATS_TRUNCATED_DAMAGED_COPY_ANEW", path=path, error=error) from error
    if "config.json" in names and "model.weights.h5" in names:
        return keras.read
    if any(name.endswith("data.pkl") for name in names):
        return state_dict.read
    if any(name.endswith(".npy") for name in names):
        return npz.read
    raise AdoptingError("FORMATS_ARCHIVE_BUT_KIND_ADOPTED", path=path, known=KNOWN)
