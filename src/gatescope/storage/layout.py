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
                raise TraceError(f"{path} is not described as a Zarr v3 array with regular chunks; record it again.")
        configuration = encoding.get("configuration", {})
        separator = configuration.get("separator", "/") if isinstance(configuration, dict) else None
        attributes, names = data.get("attributes", {}), data.get("dimension_names")
        sizes = (*shape, *chunks)
        if not all(type(size) is int and 0 <= size <= MAXIMUM_VALUES for size in sizes) or 0 in chunks:
            raise TraceError(f"{path} has the shape {shape} in chunks of {chunks}; sizes are whole numbers from 0 on.")
        if len(shape) != len(axes) or len(chunks) != len(axes) or names != list(axes):
            raise TraceError(f"{path} has the axes {names} of sizes {shape}; a trace has {', '.join(axes)} there.")
        if prod(shape) > MAXIMUM_VALUES or prod(chunks) > MAXIMUM_VALUES:
            raise TraceError(f"{path} has the shape {shape} in chunks of {chunks}, more than any trace can hold.")
        if dtype not in (PRECISIONS if kind == "f" else ("int32", "int64")):
            raise TraceError(f"{path} holds {dtype}; a trace holds floating-point signals and whole-number ids.")
        if separator not in ("/", ".") or not isinstance(attributes, dict) or data.get("storage_transformers"):
            raise TraceError(f"{path} names its chunks or stores them in a way that is not read here.")
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
    raise TraceError(
        f"{path} is stored with {json.dumps(codecs)[:200]}; only uncompressed little-endian chunks are read here, so "
        "open it with the zarr library and save it again."
    )


def _fill_value(value: Any, layout: Layout, path: str) -> float:
    floating = layout.numpy.kind == "f"
    if floating and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) is int or (floating and type(value) is float):
        limit = 2**31 if not floating else 65504
        if -limit <= value < limit:
            return value
    raise TraceError(f"{path} fills what was not written with {str(value)[:40]!r}; a {layout.dtype} was expected.")
