"""The layout of one array of a trace on disk, as its zarr.json says it; docs/trace.md is the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from gatescope.trace import TraceError

MAXIMUM_VALUES = 1 << 48  # of one array
PRECISIONS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Layout:
    """How one array is stored.

    Attributes:
        shape: of the whole array.
        chunks: of each chunk, all of which are full: what lies outside the shape is the fill value.
        dtype: the type of the values, by Zarr's name, which is NumPy's.
        axes: their names.
        swapped: whether the last two axes lie swapped in the file, so that one neuron's steps are side by side.
        fill: the value of what was never written.
        separator: between the numbers in the name of a chunk's file.
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
        """The shape of a chunk as it lies in its file."""
        return (*self.chunks[:-2], self.chunks[-1], self.chunks[-2]) if self.swapped else self.chunks

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of the values in the files."""
        return np.dtype(self.dtype).newbyteorder("<")

    def key(self, place: Sequence[int]) -> str:
        """The name of the file of one chunk."""
        return self.separator.join(("c", *map(str, place)))

    def to_json(self) -> dict[str, Any]:
        """What zarr.json says."""
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
        """The layout of the array at `path`, every value checked.

        Raises:
            TraceError: it is no array with these axes, or is stored in a way that is not read here.
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
                raise TraceError("LAYOUT_DESCRIBED_ZARR_ARRAY_REGULAR", path=path)
        configuration = encoding.get("configuration", {})
        separator = configuration.get("separator", "/") if isinstance(configuration, dict) else None
        attributes, names = data.get("attributes", {}), data.get("dimension_names")
        sizes = (*shape, *chunks)
        if not all(type(size) is int and 0 <= size <= MAXIMUM_VALUES for size in sizes) or 0 in chunks:
            raise TraceError("LAYOUT_SHAPE_CHUNKS_SIZES_WHOLE", path=path, shape=shape, chunks=chunks)
        if len(shape) != len(axes) or len(chunks) != len(axes) or names != list(axes):
            raise TraceError("LAYOUT_AXES_SIZES_TRACE", path=path, names=names, shape=shape, axes=", ".join(axes))
        if prod(shape) > MAXIMUM_VALUES or prod(chunks) > MAXIMUM_VALUES:
            raise TraceError("LAYOUT_SHAPE_CHUNKS_ANY_TRACE", path=path, shape=shape, chunks=chunks)
        if dtype not in (PRECISIONS if kind == "f" else ("int32", "int64")):
            raise TraceError("LAYOUT_HOLDS_TRACE_HOLDS_FLOATING", path=path, dtype=dtype)
        if separator not in ("/", ".") or not isinstance(attributes, dict) or data.get("storage_transformers"):
            raise TraceError("LAYOUT_NAMES_CHUNKS_STORES_WAY", path=path)
        swapped = _swapped(codecs, len(shape), path)
        layout = cls(tuple(shape), tuple(chunks), dtype, axes, swapped, np.nan, separator, attributes)
        return replace(layout, fill=_fill_value(fill, layout, path))


def _swapped(codecs: list[Any], axes: int, path: str) -> bool:
    """Whether the chunks lie with their last two axes swapped, which with plain bytes is all that is read here."""
    named = [(c.get("name"), c.get("configuration", {})) if isinstance(c, dict) else c for c in codecs]
    *before, last = named or [None]
    swap = [*range(axes - 2), axes - 1, axes - 2]
    plain = last == ("bytes", {"endian": "little"})
    if plain and not before:
        return False
    if plain and axes > 1 and before in ([("transpose", {"order": swap})], [("transpose", {"order": [*range(axes)]})]):
        return before == [("transpose", {"order": swap})]
    raise TraceError("LAYOUT_STORED_UNCOMPRESSED_LITTLE_ENDIAN", path=path, dumps=json.dumps(codecs)[:200])


def _fill_value(value: Any, layout: Layout, path: str) -> float:
    floating = layout.numpy.kind == "f"
    if floating and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) is int or (floating and type(value) is float):
        limit = 2**31 if not floating else 65504
        if -limit <= value < limit:
            return value
    raise TraceError("LAYOUT_FILLS_WRITTEN", path=path, value=str(value)[:40], dtype=layout.dtype)
