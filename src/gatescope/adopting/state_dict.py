"""PyTorch's state dicts, `.pt` and `.pth`: read without running what is pickled in them.

torch.load(weights_only=True) makes tensors and plain containers and refuses everything else. Before that, the names of
all functions that the pickle would call are looked through, so that a refusal says what was found.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, Foreign, check_size
from gatescope.adopting.torch_names import Nonlinearity, recurrent, usable

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
DEEPEST = 6  # levels of dicts in a checkpoint that are looked through
LONGEST_PICKLE = 256 << 20  # bytes of names and containers; the numbers are beside them
PLAIN = ("torch.", "collections.OrderedDict", "collections.defaultdict", "numpy.", "_codecs.encode", "builtins.set")
PICKLES = 5  # one after the other in a file of torch before 1.6, the numbers behind them
REFUSED_OF_TORCH = ("torch.hub.", "torch.load", "torch.jit.", "torch.package.", "torch.utils.", "torch.serialization.")


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights of a state dict, or of a checkpoint that has one in it.

    Raises:
        AdoptingError: the file is damaged, is a whole pickled model, holds code, or no weights.
    """
    with path.open("rb") as file:
        zipped = file.read(4) == ZIP
    _look_through(path, zipped)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # torch raises whatever its readers and its unpickler raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AdoptingError(f"{path} cannot be read as a state dict of PyTorch: {first[:200]}") from error
    arrays = _arrays(content)
    # A tensor may be a small one that is repeated, of any size; weights are not.
    check_size(path, sum(value.numel() * value.element_size() for value in arrays.values()))
    if not arrays:
        raise AdoptingError(
            f"{path} has no tensors under names: save model.state_dict(), or a dict that has it as an entry."
        )
    return recurrent(arrays, "PyTorch state dict", nonlinearity)


def _look_through(path: Path, zipped: bool) -> None:
    """Refuse a file whose pickle names code, or that unpacks to more than it could hold."""
    try:
        if not zipped:
            with path.open("rb") as file:
                for _ in range(PICKLES):
                    _check_pickle(path, file, 0)
            return
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # torch packs without compression, so the entries together are no larger than the file.
            check_size(path, sum(entry.file_size for entry in entries if entry.file_size > 0))
            if any(entry.filename.partition("/")[2].startswith("code/") for entry in entries):
                raise AdoptingError(
                    f"{path} is a TorchScript program, which is code: load it where it comes from, and save its "
                    "state_dict() with torch.save."
                )
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise AdoptingError(f"{path} is a compressed archive, which torch.save never writes; is it a .npz?")
            pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
            if not any(entry.filename.endswith("data.pkl") for entry in pickles):
                raise AdoptingError(f"{path} is an archive without data.pkl, so torch.save did not write it.")
            for entry in pickles:
                with archive.open(entry) as file:
                    _check_pickle(path, file, entry.file_size)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise AdoptingError(f"{path} is truncated or damaged: {error}. Copy it anew.") from error


def _check_pickle(path: Path, file: Any, size: int) -> None:
    """Read the instructions of a pickle, which calls nothing, and refuse names that are no containers of numbers."""
    if size > LONGEST_PICKLE:
        raise AdoptingError(f"{path} is one pickle of {size:,} bytes; at most {LONGEST_PICKLE:,} are read.")
    try:
        for name in _names(file):
            if not name.startswith(PLAIN) or name.startswith(REFUSED_OF_TORCH):
                raise AdoptingError(
                    f"{path} holds more than weights: its pickle names {name}, which is code and is not run. Load it "
                    "where you trust it, and save model.state_dict() alone with torch.save."
                )
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError, MemoryError) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError(f"{path} is truncated or is no file of torch.save: {error}.") from error


def _names(file: Any) -> Iterator[str]:
    """The functions and classes that a pickle names."""
    strings: list[str] = []
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif operation.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:]) if len(strings) > 1 else "something that it does not name plainly"
        elif operation.name in ("EXT1", "EXT2", "EXT4"):
            yield "an extension code"
        elif isinstance(argument, str) and "UNICODE" in operation.name:
            strings = [*strings[-1:], argument]


def _arrays(content: Any) -> dict[str, Tensor]:
    """The tensors of the state dict: the mapping, at any depth, that has the most numbers in it."""
    best: dict[str, Tensor] = {}
    for found in _state_dicts(content, 0, set()):
        if sum(t.numel() for t in found.values()) > sum(t.numel() for t in best.values()):
            best = found
    return best


def _state_dicts(content: Any, depth: int, seen: set[int]) -> Iterator[dict[str, Tensor]]:
    """Every mapping from names to tensors. An optimiser's is keyed by numbers, and so is none.

    A checkpoint of several models, {"encoder": {...}, "decoder": {...}}, is one with their names in front.
    """
    if not isinstance(content, Mapping) or depth > DEEPEST or id(content) in seen:
        return
    seen.add(id(content))
    flat = {name: value.detach() for name, value in content.items() if isinstance(name, str) and usable(value)}
    inner = {
        name: found
        for name, value in content.items()
        if isinstance(name, str) and not name.startswith("optim")
        for found in _state_dicts(value, depth + 1, seen)
    }
    together = {f"{outer}.{name}": value for outer, found in inner.items() for name, value in found.items()}
    if len(inner) == 1 and not flat:
        yield next(iter(inner.values()))
    elif flat or together:
        yield flat | together
