"""An array on disk that is indexed like a NumPy array and read as far as needed."""

from __future__ import annotations

import mmap
import operator
import os
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gatescope.files import FileError, open_regular
from gatescope.storage.description import identity
from gatescope.storage.layout import Layout
from gatescope.trace import TraceError

Array = NDArray[Any]


class TraceIndexError(TraceError, IndexError):
    """An index that an array of a trace does not have."""


class LazyArray:
    """An array on disk that is indexed like a NumPy array and reads the selected values only.

    An index consists of whole numbers, slices and at most one array of whole numbers, with the meaning they have in
    NumPy.

    Args:
        root: the directory of the trace.
        path: the path of the array in the trace.
        layout: how the array is stored.

    Attributes:
        shape: the shape of the array.
        dtype: the type of its values.
        ndim: the number of axes.
    """

    def __init__(self, root: Path, path: str, layout: Layout) -> None:
        self.shape, self.dtype, self.ndim = layout.shape, layout.numpy, len(layout.shape)
        self._root, self._path, self._layout = root, path, layout
        self._folder = f"{root}{os.sep}{path.replace('/', os.sep)}{os.sep}"
        self._identity = identity(root)

    @property
    def size(self) -> int:
        """The number of values of the array."""
        return prod(self.shape)

    @property
    def chunk_steps(self) -> int:
        """The number of steps in one chunk; only for an array of steps."""
        return self._layout.chunks[1]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Title, range and formula of the array."""
        return self._layout.attributes

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray({self._path}, shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise TraceError("TRACE_COPY_REQUIRED", path=self._path)
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        dots = [k for k, item in enumerate(items) if item is Ellipsis]
        if len(dots) > 1 or len(items) - len(dots) > self.ndim:
            raise TraceIndexError("TRACE_INDEX_AXES", path=self._path, axes=self.ndim, index=repr(index)[:60])
        rest = (slice(None),) * (self.ndim - len(items) + len(dots))
        items = (*items[: dots[0]], *rest, *items[dots[0] + 1 :]) if dots else (*items, *rest)
        plans = [self._plan(item, axis) for axis, item in enumerate(items)]
        if sum(isinstance(numbers, np.ndarray) for numbers, _ in plans) > 1:
            raise TraceIndexError("TRACE_INDEX_TWO_ARRAYS", path=self._path, index=repr(index)[:60])
        return self._read([numbers for numbers, _ in plans])[tuple(selection for _, selection in plans)]

    def _plan(self, item: Any, axis: int) -> tuple[range | Array, Any]:
        """Return the numbers to read along one axis, and the index to apply to the values that were read."""
        size = self.shape[axis]
        if isinstance(item, slice):
            steps = range(*item.indices(size))
            return (steps, slice(None)) if steps.step > 0 else (steps[::-1], slice(None, None, -1))
        if not isinstance(item, list | np.ndarray) and not isinstance(item, bool | np.bool_):
            number = operator.index(item)
            if not -size <= number < size:
                raise self._outside(axis, number)
            number %= size
            return range(number, number + 1), 0
        numbers = np.asarray(item, dtype=np.intp) if isinstance(item, list) and not item else np.asarray(item)
        if numbers.dtype.kind not in "iu":
            raise TraceIndexError("TRACE_INDEX_INVALID", path=self._path, dtype=numbers.dtype)
        outside = numbers[(numbers < -size) | (numbers >= size)]
        if outside.size:
            raise self._outside(axis, int(outside.flat[0]))
        return numbers.astype(np.intp).ravel() % max(1, size), np.arange(numbers.size).reshape(numbers.shape)

    def _outside(self, axis: int, number: int) -> TraceIndexError:
        size = self.shape[axis]
        return TraceIndexError(
            "TRACE_INDEX_OUTSIDE", path=self._path, axis=axis, least=-size, most=size - 1, number=number
        )

    def _read(self, numbers: Sequence[range | Array]) -> Array:
        if identity(self._root) != self._identity:
            raise TraceError("TRACE_REPLACED", root=self._root)
        shape = tuple(map(len, numbers))
        try:
            result = np.empty(shape, self.dtype)
        except (MemoryError, ValueError) as error:
            raise TraceError("TRACE_SELECTION_TOO_LARGE", path=self._path, shape=shape) from error
        if not result.size:
            return result
        axes = [_parts(values, size) for values, size in zip(numbers, self._layout.chunks, strict=True)]
        for parts in product(*axes):
            chunk = self._chunk([number for number, _, _ in parts])
            target = tuple(part for _, _, part in parts)
            result[target] = self._layout.fill if chunk is None else chunk[tuple(part for _, part, _ in parts)]
        return result

    def _chunk(self, number: list[int]) -> Array | None:
        """Return one chunk, mapped into memory; None if it was never written."""
        file = self._folder + self._layout.key(number)
        expected = prod(self._layout.chunks) * self.dtype.itemsize
        try:
            with open_regular(file, expected, follow=False) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size != expected:
                    raise FileError("TRACE_CHUNK_SIZE", file=file, expected=expected, size=size)
                buffer = mmap.mmap(stream.fileno(), expected, access=mmap.ACCESS_READ)
        except FileError as error:
            if error.missing:
                return None
            raise TraceError("TRACE_CHUNK_DAMAGED", error=error) from error
        chunk = np.frombuffer(buffer, self.dtype).reshape(self._layout.stored)
        return chunk.swapaxes(-1, -2) if self._layout.swapped else chunk


def _parts(positions: range | Array, size: int) -> list[tuple[int, Any, Any]]:
    """Return, for each chunk along one axis: its number, the index inside it, and the index in the result.

    Args:
        positions: the positions to read along the axis.
        size: the length of a chunk.
    """
    if isinstance(positions, range):
        parts = []
        for number in range(positions.start // size, positions[-1] // size + 1):
            first = max(0, -((positions.start - number * size) // positions.step))
            last = min(len(positions), -((positions.start - (number + 1) * size) // positions.step))
            if first < last:
                start, stop = positions[first] - number * size, positions[last - 1] - number * size + 1
                parts.append((number, slice(start, stop, positions.step), slice(first, last)))
        return parts
    numbers = positions // size
    targets = [(int(number), np.flatnonzero(numbers == number)) for number in np.unique(numbers)]
    return [(number, positions[target] - number * size, target) for number, target in targets]
