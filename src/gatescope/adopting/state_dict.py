"""PyTorch's files, `.pt` and `.pth`: state dicts, checkpoints and whole models, read without running what is pickled.

Both layouts of torch.save are read here: a zip archive with one entry for each storage, and, before torch 1.6, five
pickles with the storages behind them. Only the numbers of weights are read.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from gatescope.adopting import pickles
from gatescope.adopting.foreign import AdoptingError, Foreign, allowed, check_size
from gatescope.adopting.pickles import UNREADABLE, Placeholder, Storage, StoredTensor
from gatescope.adopting.torch_names import Nonlinearity, recurrent

ZIP = b"PK\x03\x04"
DEEPEST = 12  # levels of dicts and modules in a checkpoint that are looked through
MAX_ENTRIES = 500_000  # values of a checkpoint that are looked at
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of torch before 1.6
OF_TRAINING = ("optim", "lr_sched", "scheduler", "rng", "callbacks", "loops")
OF_MODELS = re.compile("temp|scale|gain|alpha|beta|gamma|weight|bias|tau")  # numbers beside models that belong to them
OF_NUMPY = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")

Read = Callable[[Storage], bytes]
T = TypeVar("T", StoredTensor, Tensor)


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights of a state dict, of a checkpoint or of a whole model.

    Raises:
        AdoptingError: the file is damaged, is a TorchScript program, or holds no weights.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == ZIP
            file.seek(0)
            if zipped:
                with zipfile.ZipFile(file) as archive:
                    arrays = _arrays(path, *_unzipped(path, archive))
            else:
                arrays = _arrays(path, *_legacy(path, file))
    except (AdoptingError, OSError):
        raise
    except Exception as error:  # a stack machine run on nonsense raises errors of any kind
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise AdoptingError("STATE_DICT_TRUNCATED_DAMAGED_FILE_TORCH", path=path, what=what[:200]) from error
    if not arrays:
        raise AdoptingError("STATE_DICT_TENSORS_UNDER_NAMES_SAVE", path=path)
    return recurrent(arrays, "PyTorch state dict", nonlinearity)


def _unzipped(path: Path, archive: zipfile.ZipFile) -> tuple[Any, Read]:
    """What the pickle of an archive describes, and what reads its storages."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise AdoptingError("STATE_DICT_ENTRIES_DIFFERENT_NAMES_TWO", path=path)
    # torch packs without compression, so the entries together are no larger than the file.
    check_size(path, sum(entry.file_size for entry in entries.values()))
    inside = [name.partition("/")[2] for name in entries]
    if any(name.startswith("code/") or name == "constants.pkl" for name in inside):
        raise AdoptingError("STATE_DICT_TORCHSCRIPT_PROGRAM_CODE_LOAD", path=path)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise AdoptingError("STATE_DICT_COMPRESSED_ARCHIVE_TORCH_SAVE", path=path)
    roots = [name.removesuffix("data.pkl") for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise AdoptingError("STATE_DICT_ARCHIVE_WITHOUT_DATA_PKL", path=path)
    (root,) = roots
    if entries[f"{root}data.pkl"].file_size > pickles.MAX_PICKLE_BYTES:
        raise AdoptingError(
            "STATE_DICT_PICKLE_BYTES_MOST_READ",
            path=path,
            file_size=entries[f"{root}data.pkl"].file_size,
            max_pickle_bytes=pickles.MAX_PICKLE_BYTES,
        )
    if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
        raise AdoptingError("STATE_DICT_NUMBERS_LITTLE_ENDIAN_ORDER", path=path)
    content = pickles.load(io.BytesIO(archive.read(f"{root}data.pkl")))
    return content, lambda storage: archive.read(f"{root}data/{storage.key}")


def _legacy(path: Path, file: io.BufferedIOBase) -> tuple[Any, Read]:
    """What the fourth of five pickles describes, and what reads the storages behind the fifth."""
    start = file.tell()
    magic = pickles.load(file)
    if magic != MAGIC:
        file.seek(start)
        return magic, _no_storages  # a plain pickle, in which tensors cannot be
    version, system = pickles.load(file), pickles.load(file)
    if version != 1001 or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise AdoptingError("STATE_DICT_PROTOCOL_LITTLE_ENDIAN_NUMBERS", path=path, version=version, system=system)
    storages: dict[str, Storage] = {}
    content, keys = pickles.load(file, storages), pickles.load(file)
    if not isinstance(keys, list) or len(keys) > MAX_ENTRIES:
        raise AdoptingError("STATE_DICT_LIST_STORAGES_DAMAGED_COPY", path=path)
    return content, _Behind(file, [str(key) for key in keys], storages)


def _no_storages(storage: Storage) -> bytes:
    raise KeyError(storage.key)


class _Behind:
    """Reads storages that lie one behind the other: 8 bytes for the count of numbers, then the numbers."""

    def __init__(self, file: io.BufferedIOBase, keys: list[str], storages: Mapping[str, Storage]) -> None:
        self.file, self.places = file, dict[str, int]()
        end = file.tell()
        for key in keys:
            self.places[key] = end
            end += 8 + storages[key].count * _item(storages[key])
        if end > file.seek(0, io.SEEK_END):
            raise EOFError("the storages are longer than the file")

    def __call__(self, storage: Storage) -> bytes:
        self.file.seek(self.places[storage.key])
        count = int.from_bytes(self.file.read(8), "little", signed=True)
        if count != storage.count:
            raise EOFError(f"storage {storage.key} has {count:,} numbers, and {storage.count:,} were announced")
        return self.file.read(count * _item(storage))


def _item(storage: Storage) -> int:
    return getattr(torch, storage.dtype).itemsize


# --- what is in it ---------------------------------------------------------------------------------------------------


def _arrays(path: Path, content: Any, read_storage: Read) -> dict[str, Tensor]:
    """The tensors of the state dict: the mapping, at any depth, that has the most numbers in it."""
    search = _Search()
    best: dict[str, Any] = {}
    for found in search.state_dicts(content, 0):
        if sum(map(_size, found.values())) > sum(map(_size, best.values())):
            best = found
    room, numbers = allowed(path), dict[str, bytes]()
    arrays: dict[str, Tensor] = {}
    for name, stored in without_averages(best).items():
        room -= _size(stored) * _item(stored.storage)
        if room < 0:  # a tensor may be a small one that is repeated; weights are not
            check_size(path, allowed(path) - room)
        arrays[name] = _tensor(stored, numbers, read_storage)
    return arrays


def _size(stored: StoredTensor) -> int:
    count = 1
    for length in stored.shape:
        count *= length
    return count


def _tensor(stored: StoredTensor, numbers: dict[str, bytes], read_storage: Read) -> Tensor:
    storage, dtype = stored.storage, getattr(torch, stored.storage.dtype)
    if stored is UNREADABLE:
        return torch.zeros(stored.shape, dtype=dtype)
    last = stored.offset + sum((n - 1) * step for n, step in zip(stored.shape, stored.strides, strict=True))
    if _size(stored) == 0:
        return torch.empty(stored.shape, dtype=dtype)
    if storage.key not in numbers:
        numbers[storage.key] = read_storage(storage)
    values = numbers[storage.key]
    if len(values) != storage.count * dtype.itemsize or last >= storage.count:
        raise EOFError(f"storage {storage.key} has {len(values):,} bytes, which are not its tensors")
    flat = torch.frombuffer(bytearray(values), dtype=dtype)
    return flat.as_strided(stored.shape, stored.strides, stored.offset).clone()


def without_averages(tensors: Mapping[str, T]) -> dict[str, T]:
    """Return the tensors without the moving averages of other ones, whose names have a part "ema".

    Args:
        tensors: name -> tensor, in memory or stored. If an average has no partner, all tensors are returned.
    """
    plain = {name: value for name, value in tensors.items() if not _is_average(name)}
    shapes = {(_last_names(name), tuple(value.shape)) for name, value in plain.items()}
    averages = {name: value for name, value in tensors.items() if name not in plain}
    if plain and all((_last_names(name), tuple(value.shape)) in shapes for name, value in averages.items()):
        return plain
    return dict(tensors)


def _is_average(name: str) -> bool:
    return any("ema" in part.lower().split("_") for part in name.split("."))


def _last_names(name: str) -> str:
    return ".".join(name.split(".")[-2:])


class _Search:
    """Looks for mappings from names to tensors."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.entries = 0

    def state_dicts(self, content: Any, depth: int) -> Iterator[dict[str, StoredTensor]]:
        """Yield every mapping from names to tensors.

        A checkpoint of several models, {"encoder": {...}, "decoder": {...}}, is one with their names in front. Lists
        count as mappings from 0, 1, ... and a module as one of its parameters, buffers and modules.
        """
        entries = _entries(content)
        self.entries += len(entries)
        if not entries or depth > DEEPEST or id(content) in self.seen or self.entries > MAX_ENTRIES:
            return
        self.seen.add(id(content))
        entries = {name: UNREADABLE if _is_numpy(value) else value for name, value in entries.items()}
        flat = {name: value for name, value in entries.items() if isinstance(value, StoredTensor)}
        inner = {
            name: found
            for name, value in entries.items()
            if not isinstance(value, StoredTensor) and (_is_module(content) or not _is_training(name, value))
            for found in self.state_dicts(value, depth + 1)
        }
        if inner and not _is_module(content):  # the best loss beside models is none of their weights
            tensors = {name for name, value in flat.items() if value.shape and value is not UNREADABLE}
            flat = {name: value for name, value in flat.items() if name in tensors or OF_MODELS.search(name.lower())}
        together = {f"{outer}.{name}": value for outer, found in inner.items() for name, value in found.items()}
        if len(inner) == 1 and not flat and not _is_module(content):
            yield next(iter(inner.values()))
        elif flat or together:
            yield flat | together


def _is_training(name: str, value: object) -> bool:
    """Whether an entry of a checkpoint is what only training needs: an optimizer, a schedule, random states."""
    if isinstance(value, Mapping) and value.keys() >= {"state", "param_groups"}:
        return True
    return name.lower() == "opt" or name.lower().startswith(OF_TRAINING)


def _is_numpy(content: Any) -> bool:
    """Whether this is an array of NumPy, which is not read, and must not be lost either."""
    return isinstance(content, Placeholder) and content.called and content.name in OF_NUMPY


def _is_module(content: Any) -> bool:
    return isinstance(content, Placeholder)


def _entries(content: Any) -> dict[str, Any]:
    """The named values of a mapping, a list or a pickled module."""
    if isinstance(content, Mapping):
        return {str(name): value for name, value in content.items() if isinstance(name, str | int)}
    if isinstance(content, list | tuple):
        return {str(k): value for k, value in enumerate(content)} if len(content) < MAX_ENTRIES else {}
    if isinstance(content, Placeholder) and content.state and isinstance(content.state[-1], dict):
        state = content.state[-1]
        hidden = state.get("_non_persistent_buffers_set")
        left_out = hidden if isinstance(hidden, list) else hidden.state[0][0] if isinstance(hidden, Placeholder) else ()
        found: dict[str, Any] = {}
        for kind in ("_parameters", "_buffers", "_modules"):
            part = state.get(kind)
            if isinstance(part, Mapping):
                found |= {name: value for name, value in part.items() if isinstance(name, str) and name not in left_out}
        return found
    return {}
