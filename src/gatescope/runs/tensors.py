"""Tensors of a run in safetensors files, with a checksum that also detects damage to single numbers."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gatescope.files import FileError, open_regular, read_regular, write_bytes
from gatescope.runs.records import shortened
from gatescope.runs.run_errors import RunError

HEADER_BYTES = 16 << 20  # the most for names, shapes and metadata
VALUE_BYTES = 8  # of the widest numbers
FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], step: int) -> None:
    """Write tensors, the step of the training, and the checksum of both.

    Raises:
        FileError: the file cannot be written.
    """
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, {"step": str(step), "format": "pt", "sha256": checksum(plain, step)}))


def load_tensors(
    path: Path, run: Path, expected: Mapping[str, tuple[int, ...]] | None, largest: int | None = None
) -> tuple[dict[str, Tensor], int | None]:
    """Return the tensors of a file and their step, after a check of names, shapes, numbers and checksum.

    Args:
        path: the file.
        run: the run directory; links must not lead out of it.
        expected: the shape of every tensor; None: any tensors.
        largest: the most bytes of the file; None: those that the expected tensors can take.

    Raises:
        RunError: the file is damaged, or belongs to another network.
        FileError: the file is missing, or cannot be opened or read.
    """
    content = read_regular(path, largest_file(expected or {}) if largest is None else largest, inside=run)
    return parse_tensors(content, path, expected)


def stored_step(path: Path, run: Path) -> int | None:
    """Return the step in the metadata of a file of tensors, without reading the tensors; None if it has none.

    Args:
        path: the file.
        run: the run directory; links must not lead out of it.
    """
    try:
        # At most the header of the file is read, whatever its size.
        with open_regular(path, sys.maxsize, inside=run) as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size <= HEADER_BYTES else {}
        return int(header["__metadata__"]["step"])
    except (FileError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def largest_file(expected: Mapping[str, tuple[int, ...]]) -> int:
    """Return the most bytes of a file with tensors of these shapes."""
    return HEADER_BYTES + VALUE_BYTES * sum(map(math.prod, expected.values()))


def parse_tensors(
    content: bytes, path: Path, expected: Mapping[str, tuple[int, ...]] | None
) -> tuple[dict[str, Tensor], int | None]:
    """Return the tensors in the content of a file and their step, after the checks of `load_tensors`.

    Args:
        content: the bytes of the file.
        path: the file, for messages.
        expected: as in `load_tensors`.

    Raises:
        RunError: the file is damaged, or belongs to another network.
    """
    try:
        tensors = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__") or {}
        step = None if metadata.get("step") is None else int(metadata["step"])
    # safetensors raises KeyError for dtypes that torch does not have, and torch RuntimeError for wrong sizes.
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, RecursionError) as error:
        raise RunError("TENSORS_DAMAGED", path=path, reason=shortened(error)) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected is not None and shapes != dict(expected):
        name = sorted({*shapes.items()} ^ {*expected.items()})[0][0]
        if name not in expected:
            raise RunError("TENSORS_WEIGHT_UNKNOWN", path=path, name=name)
        if name not in shapes:
            raise RunError("TENSORS_WEIGHT_MISSING", path=path, name=name, expected=expected[name])
        raise RunError("TENSORS_SHAPE", path=path, name=name, expected=expected[name], shape=shapes[name])
    if "sha256" in metadata and metadata["sha256"] != checksum(tensors, step or 0):
        raise RunError("TENSORS_CHECKSUM", path=path)
    for name, tensor in tensors.items() if expected is not None else ():
        if tensor.dtype not in FLOAT_TYPES:
            raise RunError("TENSORS_TYPE", path=path, name=name, dtype=tensor.dtype)
        if not bool(torch.isfinite(tensor).all()):
            raise RunError("TENSORS_NOT_FINITE", path=path)
    if step is not None and step < 0:
        raise RunError("TENSORS_STEP", path=path, step=step)
    return tensors, step


def checksum(tensors: Mapping[str, Tensor], step: int) -> str:
    """Return the SHA-256 of a step and of the names, types, shapes and bytes of tensors."""
    digest = hashlib.sha256(f"step {step}\n".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode("utf-8", "surrogatepass"))
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
