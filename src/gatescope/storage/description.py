"""The description of a trace on disk: the root's zarr.json, its attributes, and valid names of folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from gatescope.files import PARTIAL, FileError, read_regular
from gatescope.storage.layout import PRECISIONS
from gatescope.trace import STEP_AXES, TraceError
from gatescope.vocabulary import Vocabulary

MAX_METADATA_BYTES = 32 << 20  # a larger zarr.json is refused
IDS = ("token", "target", "top_token")
CHECKED = ("token", "target")  # ids need a checksum, because no equation would reveal damage
RESERVED = {*STEP_AXES, "length", "initial", "parameters", "zarr.json", ".", ".."}


def read_root(root: Path) -> dict[str, Any]:
    """Return the content of the root's zarr.json.

    Args:
        root: the directory of the trace.

    Raises:
        TraceError: the file does not exist, is too large, or does not describe a Zarr group.
    """
    file = root / "zarr.json"
    try:
        text = read_regular(file, MAX_METADATA_BYTES, follow=False)
    except FileError as error:
        if error.missing or not root.is_dir():
            if root.exists():
                raise TraceError("TRACE_NO_DESCRIPTION", root=root) from error
            raise TraceError("TRACE_NOT_FOUND", root=root) from error
        raise TraceError(error.message) from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TraceError("TRACE_JSON_INVALID", file=file) from error
    if not isinstance(data, dict) or data.get("zarr_format") != 3 or data.get("node_type") != "group":
        raise TraceError("TRACE_GROUP_INVALID", file=file)
    return data


def is_trace(directory: Path) -> bool:
    """Return whether a directory was written by a `Writer` of any version, finished or not."""
    try:
        attributes = read_root(directory)["attributes"]
    except (TraceError, OSError, KeyError):
        return False
    return isinstance(attributes, dict) and type(attributes.get("format")) is int


def check_attributes(data: dict[str, Any], layers: tuple[str, ...], directory: Path) -> dict[str, Any]:
    """Return the attributes, if they have everything that readers of a trace need.

    Args:
        data: the attributes.
        layers: the names of the layers of the trace.
        directory: the directory of the trace, for messages.

    Raises:
        TraceError: the precision, the vocabulary, or the description of a layer is missing or invalid.
    """
    descriptions = data.get("layers")
    if data.get("precision") not in PRECISIONS:
        precisions = ", ".join(PRECISIONS)
        raise TraceError(
            "TRACE_PRECISION_INVALID", directory=directory, precision=data.get("precision"), precisions=precisions
        )
    if not isinstance(data.get("vocabulary"), dict):
        raise TraceError("TRACE_VOCABULARY_MISSING", directory=directory)
    if data["vocabulary"].get("symbols") != []:  # vectors without a text have no symbols
        try:
            Vocabulary.from_json(data["vocabulary"])
        except ValueError as error:
            raise TraceError("TRACE_VOCABULARY_INVALID", directory=directory, error=error) from error
    if not isinstance(descriptions, dict):
        raise TraceError("TRACE_LAYERS_MISSING", directory=directory)
    for layer in layers:
        description = descriptions.get(layer)
        if not isinstance(description, dict) or not isinstance(description.get("cell"), dict):
            raise TraceError("TRACE_CELL_MISSING", directory=directory, layer=layer)
        arrays = description.get("arrays")
        if not isinstance(arrays, dict) or not all(isinstance(value, dict) for value in arrays.values()):
            raise TraceError("TRACE_ARRAYS_MISSING", directory=directory, layer=layer)
    return data


def checksum(array: Any, before: int = 0) -> int:
    """Return the CRC-32 of ids as 32-bit (lengths as 64-bit) little-endian numbers.

    Ids are ordered by step and then by sequence, so that the result does not depend on the size of the pieces.

    Args:
        array: ids (sequence, step, ...) or lengths (sequence,).
        before: the checksum of the pieces before.
    """
    values = np.asarray(array).T
    return crc32(np.ascontiguousarray(values, "<i8" if values.ndim == 1 else "<i4").tobytes(), before)


def is_plain(name: Any) -> bool:
    """Return whether a name can be a folder of a trace: not a path, not hidden, and without another meaning."""
    return (
        isinstance(name, str)
        and 0 < len(name.encode("utf-8", "replace")) <= 200
        and name.isprintable()
        and not set(name) & set('/\\:*?"<>|')
        and not name.startswith((".", "__"))
        and not name.endswith(PARTIAL)
        and name not in RESERVED
    )


def plain_json(value: Any) -> Any:
    """Return a value that JSON can hold; NaN and the infinities become their names.

    Args:
        value: numbers, texts, lists and mappings of these.

    Raises:
        TraceError: JSON cannot hold the value.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.generic):
        return plain_json(value.item())
    if isinstance(value, float):
        return value if isfinite(value) else "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TraceError("TRACE_ATTRIBUTE_KEY_INVALID", keys=list(value)[:3])
        return {key: plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    raise TraceError("TRACE_ATTRIBUTE_INVALID", kind=type(value).__name__, value=str(value)[:40])


def sibling(directory: Path, kind: str) -> Path:
    """Return the path next to a trace, for a new or an old trace or a lock.

    Args:
        directory: the directory of the trace.
        kind: "new", "old" or "lock".
    """
    return directory.with_name(f".{directory.name}.{kind}")


def identity(root: Path) -> tuple[int, int]:
    """Return the device and inode of a directory, which identify it even after another one takes its name.

    Raises:
        TraceError: the directory does not exist.
    """
    try:
        status = root.stat()
    except OSError as error:
        raise TraceError("TRACE_GONE", root=root, reason=error.strerror) from error
    return status.st_dev, status.st_ino
