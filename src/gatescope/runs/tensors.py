"""Arrays of a run in safetensors files, with a checksum: damage that leaves every number plausible is found, too."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gatescope.files import read_regular, write_bytes
from gatescope.runs.errors import RunError
from gatescope.runs.records import shortened

HEADER_BYTES = 16 << 20  # of names, shapes and metadata
VALUE_BYTES = 8  # of the widest numbers
ADVICE = "Copy the file anew; the folders in checkpoints/ hold the weights of earlier steps."
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], step: int) -> None:
    """Write tensors, the step of the training that they are of, and the checksum of both.

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
        run: the run directory, which links must not lead out of.
        expected: the shape of every tensor; None: whatever there is.
        largest: the most bytes of the file; None: what the expected tensors can take.

    Raises:
        RunError: the file is damaged, or of another network.
        FileError: it is missing, or cannot be opened or read.
    """
    if largest is None:
        largest = HEADER_BYTES + VALUE_BYTES * sum(math.prod(shape) for shape in (expected or {}).values())
    content = read_regular(path, largest, inside=run)
    try:
        tensors = load(content)
        about = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__") or {}
        step = None if about.get("step") is None else int(about["step"])
    # The library raises KeyError for dtypes that torch does not have, and torch RuntimeError for sizes.
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, RecursionError) as error:
        raise RunError("TENSORS_TRUNCATED_DAMAGED", path=path, shortened=shortened(error), advice=ADVICE) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected is not None and shapes != dict(expected):
        wrong = sorted({*shapes.items()} ^ {*expected.items()})[0][0]
        raise RunError(
            "TENSORS_FIT_NETWORK_JSON_TWO",
            path=path,
            wrong=wrong,
            get=shapes.get(wrong, "missing"),
            get2=expected.get(wrong, "no such weight"),
        )
    if "sha256" in about and about["sha256"] != checksum(tensors, step or 0):
        raise RunError("TENSORS_DAMAGED_NUMBERS_CHECKSUM_THEY", path=path, advice=ADVICE)
    for name, tensor in tensors.items() if expected is not None else ():
        if tensor.dtype not in FLOATS:
            raise RunError(
                "TENSORS_DAMAGED_HOLDS_FLOATING_POINT", path=path, name=name, dtype=tensor.dtype, advice=ADVICE
            )
        if not bool(torch.isfinite(tensor).all()):
            raise RunError("TENSORS_HOLDS_NUMBERS_FINITE_TRAINING", path=path, advice=ADVICE)
    if step is not None and step < 0:
        raise RunError("TENSORS_DAMAGED_WEIGHTS_STEP", path=path, step=step, advice=ADVICE)
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
