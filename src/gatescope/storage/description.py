"""What a trace on disk says about itself: the root's zarr.json, its attributes, and names that can be folders."""

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

MAXIMUM_METADATA = 32 << 20  # bytes of a zarr.json that is believed
IDS = ("token", "target", "top_token")
CHECKED = ("token", "target")  # arrays of ids whose damage no equation would show
RESERVED = {*STEP_AXES, "length", "initial", "parameters", "zarr.json", ".", ".."}


def read_root(root: Path) -> dict[str, Any]:
    """What the root's zarr.json says.

    Raises:
        TraceError: there is none, or it is too large or no JSON.
    """
    file = root / "zarr.json"
    try:
        text = read_regular(file, MAXIMUM_METADATA, follow=False)
    except FileError as error:
        if error.missing or not root.is_dir():
            reason = "holds no zarr.json" if root.exists() else "does not exist"
            raise TraceError("DESCRIPTION_TRACE_GATESCOPE_RECORD_MAKES", root=root, reason=reason) from error
        raise TraceError(str(error)) from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TraceError("DESCRIPTION_JSON_TRACE_DAMAGED_RECORD", file=file) from error
    if not isinstance(data, dict) or data.get("zarr_format") != 3 or data.get("node_type") != "group":
        raise TraceError("DESCRIPTION_DESCRIBE_ZARR_GROUP_TRACE", file=file, root=root)
    return data


def is_trace(directory: Path) -> bool:
    """Whether a directory was made by a `Writer`, of whatever version, finished or not."""
    try:
        attributes = read_root(directory)["attributes"]
    except (TraceError, OSError, KeyError):
        return False
    return isinstance(attributes, dict) and type(attributes.get("format")) is int


def checked_attributes(data: dict[str, Any], layers: tuple[str, ...], where: str) -> dict[str, Any]:
    """The attributes, when they hold what every reader of a trace relies on."""
    about = data.get("layers")
    if data.get("precision") not in PRECISIONS:
        raise TraceError(
            "DESCRIPTION_PRECISION", where=where, get=data.get("precision"), precisions=", ".join(PRECISIONS)
        )
    if not isinstance(data.get("vocabulary"), dict):
        raise TraceError("DESCRIPTION_ATTRIBUTES_VOCABULARY_IDS_SYMBOLS", where=where)
    if data["vocabulary"].get("symbols") != []:  # vectors without a text have none
        try:
            Vocabulary.from_json(data["vocabulary"])
        except ValueError as error:
            raise TraceError("DESCRIPTION_VOCABULARY_DAMAGED_RECORD_TRACE", where=where, error=error) from error
    if not isinstance(about, dict):
        raise TraceError("DESCRIPTION_ATTRIBUTES_DESCRIBE_LAYERS_RECORD", where=where)
    for layer in layers:
        one = about.get(layer)
        if not isinstance(one, dict) or not isinstance(one.get("cell"), dict):
            raise TraceError("DESCRIPTION_ATTRIBUTES_SAY_CELL_RECORD", where=where, layer=layer)
        arrays = one.get("arrays")
        if not isinstance(arrays, dict) or not all(isinstance(value, dict) for value in arrays.values()):
            raise TraceError("DESCRIPTION_ATTRIBUTES_DESCRIBE_ARRAYS_RECORD", where=where, layer=layer)
    return data


def checksum(array: Any, before: int = 0) -> int:
    """Return the CRC-32 of ids as 32-bit (lengths as 64-bit) little-endian numbers, after that of the piece before.

    Ids go step by step, all sequences of one and then of the next, so that it is the same however they are in pieces.
    """
    values = np.asarray(array).T
    return crc32(np.ascontiguousarray(values, "<i8" if values.ndim == 1 else "<i4").tobytes(), before)


def is_plain(name: Any) -> bool:
    """Whether a name can be a folder: no path, nothing hidden, nothing that means something else here."""
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
    """A value as JSON can hold it; NaN and the infinities, which it cannot, become their names.

    Raises:
        TraceError: the value has no such form.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.generic):
        return plain_json(value.item())
    if isinstance(value, float):
        return value if isfinite(value) else "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TraceError("DESCRIPTION_ATTRIBUTES_TRACE_JSON_WHOSE", value=list(value)[:3])
        return {key: plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    raise TraceError("DESCRIPTION_ATTRIBUTES_TRACE_JSON", name=type(value).__name__, value=str(value)[:40])


def sibling(directory: Path, kind: str) -> Path:
    """Where a trace waits while another takes its place."""
    return directory.with_name(f".{directory.name}.{kind}")


def identity(root: Path) -> tuple[int, int]:
    """Which directory this is, also after another one took its name."""
    try:
        found = root.stat()
    except OSError as error:
        raise TraceError("DESCRIPTION_GONE_OPEN_TRACE_WHERE", root=root, strerror=error.strerror) from error
    return found.st_dev, found.st_ino
