"""PyTorch files, `.pt` and `.pth`: state dicts, checkpoints and whole models, read without running what is pickled.

Both layouts of torch.save are read: a zip archive with one entry for each storage, and, before torch 1.6, five pickles
followed by the storages. Only the numbers of weights are read.
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
from gatescope.adopting.foreign import AdoptingError, Foreign, check_size, max_array_bytes, reason_of
from gatescope.adopting.pickles import UNREADABLE, PickleError, Placeholder, Storage, StoredTensor
from gatescope.adopting.torch_names import Nonlinearity, recurrent

ZIP_START = b"PK\x03\x04"
MAX_DEPTH = 12  # levels of dicts and modules in a checkpoint that are searched
MAX_ENTRIES = 500_000  # values of a checkpoint that are searched
MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of torch before 1.6
TRAINING_WORDS = ("optim", "lr_sched", "scheduler", "rng", "callbacks", "loops")
# Numbers beside models that belong to them.
MODEL_WORDS = re.compile("temp|scale|gain|alpha|beta|gamma|weight|bias|tau")
NUMPY_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")

ReadStorage = Callable[[Storage], bytes]
T = TypeVar("T", StoredTensor, Tensor)


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights of a state dict, of a checkpoint or of a whole model.

    Args:
        path: the file.
        nonlinearity: activation of simple recurrent layers. Weight files do not record it.

    Raises:
        AdoptingError: the file is damaged, is a TorchScript program, or holds no weights.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == ZIP_START
            file.seek(0)
            if is_zip:
                with zipfile.ZipFile(file) as archive:
                    arrays = _arrays(path, *_from_archive(path, archive))
            else:
                arrays = _arrays(path, *_from_pickles(path, file))
    except (AdoptingError, OSError):
        raise
    except Exception as error:  # a stack machine run on nonsense raises errors of any kind
        raise AdoptingError("TORCH_FILE_DAMAGED", path=path, reason=reason_of(error)) from error
    if not arrays:
        raise AdoptingError("TORCH_FILE_WITHOUT_TENSORS", path=path)
    return recurrent(arrays, "PyTorch state dict", nonlinearity)


def _from_archive(path: Path, archive: zipfile.ZipFile) -> tuple[Any, ReadStorage]:
    """Return the content of the pickle of an archive, and a function that reads its storages."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise AdoptingError("TORCH_ARCHIVE_NAME_REPEATED", path=path)
    # torch packs without compression, so the entries together are no larger than the file.
    check_size(path, sum(entry.file_size for entry in entries.values()))
    names = [name.partition("/")[2] for name in entries]
    if any(name.startswith("code/") or name == "constants.pkl" for name in names):
        raise AdoptingError("TORCH_FILE_IS_PROGRAM", path=path)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise AdoptingError("TORCH_ARCHIVE_COMPRESSED", path=path)
    roots = [name.removesuffix("data.pkl") for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise AdoptingError("TORCH_ARCHIVE_WITHOUT_PICKLE", path=path, count=len(roots))
    (root,) = roots
    pickle_bytes = entries[f"{root}data.pkl"].file_size
    if pickle_bytes > pickles.MAX_PICKLE_BYTES:
        raise AdoptingError(
            "TORCH_PICKLE_TOO_LARGE", path=path, pickle_bytes=pickle_bytes, limit=pickles.MAX_PICKLE_BYTES
        )
    if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
        raise AdoptingError("TORCH_BYTE_ORDER_DIFFERS", path=path)
    content = pickles.load(io.BytesIO(archive.read(f"{root}data.pkl")))
    return content, lambda storage: archive.read(f"{root}data/{storage.key}")


def _from_pickles(path: Path, file: io.BufferedIOBase) -> tuple[Any, ReadStorage]:
    """Return the content of the fourth of five pickles, and a function that reads the storages after the fifth."""
    start = file.tell()
    magic = pickles.load(file)
    if magic != MAGIC:
        file.seek(start)
        return magic, _no_storages  # a plain pickle, in which tensors cannot be
    version, system = pickles.load(file), pickles.load(file)
    if version != 1001 or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise AdoptingError("TORCH_PROTOCOL_UNKNOWN", path=path, version=version, system=system)
    storages: dict[str, Storage] = {}
    content, keys = pickles.load(file, storages), pickles.load(file)
    if not isinstance(keys, list) or len(keys) > MAX_ENTRIES:
        raise AdoptingError("TORCH_STORAGES_MISSING", path=path)
    return content, _StorageReader(file, [str(key) for key in keys], storages)


def _no_storages(storage: Storage) -> bytes:
    raise PickleError("PICKLE_STORAGE_MISSING", key=storage.key)


class _StorageReader:
    """Reads storages that follow each other: 8 bytes for the count of numbers, then the numbers."""

    def __init__(self, file: io.BufferedIOBase, keys: list[str], storages: Mapping[str, Storage]) -> None:
        self.file, self.offsets = file, dict[str, int]()
        end = file.tell()
        for key in keys:
            self.offsets[key] = end
            end += 8 + storages[key].count * _number_bytes(storages[key])
        if end > file.seek(0, io.SEEK_END):
            raise PickleError("PICKLE_STORAGES_TOO_LONG", expected=end)

    def __call__(self, storage: Storage) -> bytes:
        self.file.seek(self.offsets[storage.key])
        count = int.from_bytes(self.file.read(8), "little", signed=True)
        if count != storage.count:
            raise PickleError("PICKLE_STORAGE_COUNT_DIFFERS", key=storage.key, expected=storage.count, count=count)
        return self.file.read(count * _number_bytes(storage))


def _number_bytes(storage: Storage) -> int:
    """Return the bytes of one number."""
    return getattr(torch, storage.dtype).itemsize


# --- the tensors -----------------------------------------------------------------------------------------------------


def _arrays(path: Path, content: Any, read_storage: ReadStorage) -> dict[str, Tensor]:
    """Return the tensors of the state dict: the mapping, at any depth, that has the most numbers in it."""
    largest: dict[str, Any] = {}
    for state_dict in _Search().state_dicts(content, 0):
        if sum(map(_count, state_dict.values())) > sum(map(_count, largest.values())):
            largest = state_dict
    limit, numbers = max_array_bytes(path), dict[str, bytes]()
    arrays: dict[str, Tensor] = {}
    total_bytes = 0
    for name, stored in without_averages(largest).items():
        total_bytes += _count(stored) * _number_bytes(stored.storage)
        if total_bytes > limit:  # a tensor may be a small one that is repeated; weights are not
            check_size(path, total_bytes)
        arrays[name] = _tensor(stored, numbers, read_storage)
    return arrays


def _count(stored: StoredTensor) -> int:
    """Return the count of numbers of a tensor."""
    count = 1
    for length in stored.shape:
        count *= length
    return count


def _tensor(stored: StoredTensor, numbers: dict[str, bytes], read_storage: ReadStorage) -> Tensor:
    """Return a tensor with its numbers; `numbers` caches the storages that were read."""
    storage, dtype = stored.storage, getattr(torch, stored.storage.dtype)
    if stored is UNREADABLE:
        return torch.zeros(stored.shape, dtype=dtype)
    last = stored.offset + sum((n - 1) * step for n, step in zip(stored.shape, stored.strides, strict=True))
    if _count(stored) == 0:
        return torch.empty(stored.shape, dtype=dtype)
    if storage.key not in numbers:
        numbers[storage.key] = read_storage(storage)
    values = numbers[storage.key]
    if len(values) != storage.count * dtype.itemsize or last >= storage.count:
        raise PickleError(
            "PICKLE_STORAGE_SIZE_DIFFERS",
            key=storage.key,
            expected=storage.count * dtype.itemsize,
            size=len(values),
            last=last,
        )
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
    """Searches a checkpoint for mappings from names to tensors."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.entries = 0

    def state_dicts(self, content: Any, depth: int) -> Iterator[dict[str, StoredTensor]]:
        """Yield every mapping from names to tensors.

        A checkpoint of several models, {"encoder": {...}, "decoder": {...}}, is one mapping with their names in front.
        Lists count as mappings from 0, 1, ... and a module as one of its parameters, buffers and modules.

        Args:
            content: a part of the checkpoint.
            depth: the count of mappings around it.
        """
        entries = _entries(content)
        self.entries += len(entries)
        if not entries or depth > MAX_DEPTH or id(content) in self.seen or self.entries > MAX_ENTRIES:
            return
        self.seen.add(id(content))
        entries = {name: UNREADABLE if _is_numpy(value) else value for name, value in entries.items()}
        flat = {name: value for name, value in entries.items() if isinstance(value, StoredTensor)}
        inner = {
            name: state_dict
            for name, value in entries.items()
            if not isinstance(value, StoredTensor) and (_is_module(content) or not _is_training(name, value))
            for state_dict in self.state_dicts(value, depth + 1)
        }
        if inner and not _is_module(content):  # the best loss beside models is none of their weights
            tensors = {name for name, value in flat.items() if value.shape and value is not UNREADABLE}
            flat = {name: value for name, value in flat.items() if name in tensors or MODEL_WORDS.search(name.lower())}
        joined = {f"{outer}.{name}": value for outer, part in inner.items() for name, value in part.items()}
        if len(inner) == 1 and not flat and not _is_module(content):
            yield next(iter(inner.values()))
        elif flat or joined:
            yield flat | joined


def _is_training(name: str, value: object) -> bool:
    """Return whether only training needs an entry of a checkpoint: an optimizer, a schedule, random states."""
    if isinstance(value, Mapping) and value.keys() >= {"state", "param_groups"}:
        return True
    return name.lower() == "opt" or name.lower().startswith(TRAINING_WORDS)


def _is_numpy(content: Any) -> bool:
    """Return whether this is an array of NumPy, which is not read, and must not be lost either."""
    return isinstance(content, Placeholder) and content.called and content.name in NUMPY_ARRAYS


def _is_module(content: Any) -> bool:
    return isinstance(content, Placeholder)


def _entries(content: Any) -> dict[str, Any]:
    """Return the named values of a mapping, a list or a pickled module."""
    if isinstance(content, Mapping):
        return {str(name): value for name, value in content.items() if isinstance(name, str | int)}
    if isinstance(content, list | tuple):
        return {str(k): value for k, value in enumerate(content)} if len(content) < MAX_ENTRIES else {}
    if isinstance(content, Placeholder) and content.state and isinstance(content.state[-1], dict):
        state = content.state[-1]
        hidden = state.get("_non_persistent_buffers_set")
        left_out = hidden if isinstance(hidden, list) else hidden.state[0][0] if isinstance(hidden, Placeholder) else ()
        entries: dict[str, Any] = {}
        for kind in ("_parameters", "_buffers", "_modules"):
            part = state.get(kind)
            if isinstance(part, Mapping):
                entries |= {
                    name: value for name, value in part.items() if isinstance(name, str) and name not in left_out
                }
        return entries
    return {}
