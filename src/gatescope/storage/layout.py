"""The layout of one array of a trace on disk, as in its zarr.json; docs/trace.md is the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from gatescope.trace import TraceError

MAX_VALUES = 1 << 48  # of one array
PRECISIONS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Layout:
    """The storage of one array.

    Attributes:
        shape: the shape of the whole array.
        chunks: the shape of each chunk. All chunks are full: values outside the array are the fill value.
        dtype: the type of the values, named as in Zarr and NumPy.
        axes: the names of the axes.
        swapped: whether the last two axes are swapped in the file, so that the steps of a neuron are contiguous.
        fill: the value of chunks that were never written.
        separator: separates the numbers in the file name of a chunk.
        attributes: title, range and formula.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]
    swapped: bool
    fill: float
    separator: str
    attributes: Mapping[str, Any]

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of a chunk in its file."""
        return (*self.chunks[:-2], self.chunks[-1], self.chunks[-2]) if self.swapped else self.chunks

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of the values in the files."""
        return np.dtype(self.dtype).newbyteorder("<")

    def key(self, number: Sequence[int]) -> str:
        """Return the file name of one chunk, given its number along each axis."""
        return self.separator.join(("c", *map(str, number)))

    def to_json(self) -> dict[str, Any]:
        """Return the content of zarr.json."""
        order = [*range(len(self.shape) - 2), len(self.shape) - 1, len(self.shape) - 2]
        swap = [{"name": "transpose", "configuration": {"order": order}}] if self.swapped else []
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.chunks)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": self.separator}},
            "fill_value": "NaN" if np.isnan(self.fill) else int(self.fill),
            "codecs": [*swap, {"name": "bytes", "configuration": {"endian": "little"}}],
            "attributes": dict(self.attributes),
            "dimension_names": list(self.axes),
            "storage_transformers": [],
        }

    @classmethod
    def from_json(cls, data: Any, path: str, axes: tuple[str, ...], kind: str) -> Layout:
        """Return the layout of an array, after checking every value.

        Args:
            data: the content of zarr.json.
            path: the path of the array in the trace, for messages.
            axes: the expected axes.
            kind: "f" for an array of numbers, "i" for ids.

        Raises:
            TraceError: this is not an array with these axes, or its storage is not supported.
        """
        match data:
            case {
                "zarr_format": 3,
                "node_type": "array",
                "shape": [*shape],
                "data_type": str(dtype),
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*chunks]}},
                "chunk_key_encoding": {"name": "default", **encoding},
                "fill_value": fill,
                "codecs": [*codecs],
            }:
                pass
            case _:
                raise TraceError("ARRAY_DESCRIPTION_INVALID", path=path)
        configuration = encoding.get("configuration", {})
        separator = configuration.get("separator", "/") if isinstance(configuration, dict) else None
        attributes, names = data.get("attributes", {}), data.get("dimension_names")
        sizes = (*shape, *chunks)
        if not all(type(size) is int and 0 <= size <= MAX_VALUES for size in sizes) or 0 in chunks:
            raise TraceError("ARRAY_SIZES_INVALID", path=path, shape=shape, chunks=chunks)
        if len(shape) != len(axes) or len(chunks) != len(axes) or names != list(axes):
            raise TraceError("ARRAY_AXES_INVALID", path=path, names=names, shape=shape, axes=", ".join(axes))
        if prod(shape) > MAX_VALUES or prod(chunks) > MAX_VALUES:
            raise TraceError("ARRAY_TOO_LARGE", path=path, shape=shape, chunks=chunks)
        if dtype not in (PRECISIONS if kind == "f" else ("int32", "int64")):
            raise TraceError("ARRAY_DTYPE_INVALID", path=path, dtype=dtype)
        if separator not in ("/", ".") or not isinstance(attributes, dict) or data.get("storage_transformers"):
            raise TraceError("ARRAY_STORAGE_UNSUPPORTED", path=path)
        swapped = _swapped(codecs, len(shape), path)
        layout = cls(tuple(shape), tuple(chunks), dtype, axes, swapped, np.nan, separator, attributes)
        return replace(layout, fill=_fill_value(fill, layout, path))


def _swapped(codecs: list[Any], axes: int, path: str) -> bool:
    """Return whether the last two axes of the chunks are swapped; refuse every other codec than plain bytes."""
    named = [(c.get("name"), c.get("configuration", {})) if isinstance(c, dict) else c for c in codecs]
    *before, last = named or [None]
    swap = [*range(axes - 2), axes - 1, axes - 2]
    plain = last == ("bytes", {"endian": "little"})
    if plain and not before:
        return False
    if plain and axes > 1 and before in ([("transpose", {"order": swap})], [("transpose", {"order": [*range(axes)]})]):
        return before == [("transpose", {"order": swap})]
    raise TraceError("ARRAY_CODECS_UNSUPPORTED", path=path, codecs=json.dumps(codecs)[:200])


def _fill_value(value: Any, layout: Layout, path: str) -> float:
    floating = layout.numpy.kind == "f"
    if floating and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) is int or (floating and type(value) is float):
        limit = 2**31 if not floating else 65504
        if -limit <= value < limit:
            return value
    raise TraceError("ARRAY_FILL_INVALID", path=path, value=str(value)[:40], dtype=layout.dtype)
