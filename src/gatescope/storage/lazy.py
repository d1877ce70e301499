"""An array on disk that is read like NumPy's, as much of it as is asked for."""

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


class LazyArray:
    """An array on disk that is indexed like NumPy's and reads only what is asked for.

    The index has whole numbers, slices and at most one array of whole numbers, with NumPy's meaning.
    """

    def __init__(self, root: Path, path: str, layout: Layout) -> None:
        self.shape, self.dtype, self.ndim = layout.shape, layout.numpy, len(layout.shape)
        self._root, self._path, self._layout = root, path, layout
        self._folder = f"{root}{os.sep}{path.replace('/', os.sep)}{os.sep}"
        self._identity = identity(root)

    @property
    def size(self) -> int:
        """How many values the array has."""
        return prod(self.shape)

    @property
    def chunk_steps(self) -> int:
        """The steps in one chunk of an array of steps."""
        return self._layout.chunks[1]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Title, range and formula, as they are stored beside the array."""
        return self._layout.attributes

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"LazyArray({self._path}, shape={self.shape}, dtype={self.dtype})"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"{self._path} lies on disk and cannot become an array without a copy.")
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        dots = [k for k, item in enumerate(items) if item is Ellipsis]
        if len(dots) > 1 or len(items) - len(dots) > self.ndim:
            raise IndexError(f"{self._path} has {self.ndim} axes; it was indexed with {index!r}.")
        rest = (slice(None),) * (self.ndim - len(items) + len(dots))
        items = (*items[: dots[0]], *rest, *items[dots[0] + 1 :]) if dots else (*items, *rest)
        plans = [self._plan(item, axis) for axis, item in enumerate(items)]
        if sum(isinstance(wanted, np.ndarray) for wanted, _ in plans) > 1:
            raise IndexError(f"{self._path} takes one array of whole numbers in its index; {index!r} has more.")
        return self._read([wanted for wanted, _ in plans])[tuple(final for _, final in plans)]

    def _plan(self, item: Any, axis: int) -> tuple[range | Array, Any]:
        """What to read along one axis, and how NumPy would index what was read."""
        size = self.shape[axis]
        if isinstance(item, slice):
            steps = range(*item.indices(size))
            return (steps, slice(None)) if steps.step > 0 else (steps[::-1], slice(None, None, -1))
        if not isinstance(item, list | np.ndarray) and not isinstance(item, bool | np.bool_):
            place = operator.index(item)
            if not -size <= place < size:
                raise IndexError(f"{self._path} has {size} along axis {axis}; number {place} does not exist.")
            place %= size
            return range(place, place + 1), 0
        numbers = np.asarray(item, dtype=np.intp) if isinstance(item, list) and not item else np.asarray(item)
        if numbers.dtype.kind not in "iu":
            raise IndexError(f"{self._path} is indexed with whole numbers and slices, not with {numbers.dtype}.")
        if numbers.size and not -size <= int(numbers.min()) <= int(numbers.max()) < size:
            raise IndexError(f"{self._path} has {size} along axis {axis}; a number outside was asked for.")
        return numbers.astype(np.intp).ravel() % max(1, size), np.arange(numbers.size).reshape(numbers.shape)

    def _read(self, wanted: Sequence[range | Array]) -> Array:
        if identity(self._root) != self._identity:
            raise TraceError("LAZY_REPLACED_AFTER_OPENED_OPEN", root=self._root)
        shape = tuple(map(len, wanted))
        try:
            result = np.empty(shape, self.dtype)
        except (MemoryError, ValueError) as error:
            raise TraceError("LAZY_ASKED_VALUES_ONCE_FIT", path=self._path, shape=shape) from error
        if not result.size:
            return result
        axes = [_parts(values, size) for values, size in zip(wanted, self._layout.chunks, strict=True)]
        for parts in product(*axes):
            chunk = self._chunk([number for number, _, _ in parts])
            outside = tuple(part for _, _, part in parts)
            result[outside] = self._layout.fill if chunk is None else chunk[tuple(part for _, part, _ in parts)]
        return result

    def _chunk(self, place: list[int]) -> Array | None:
        """One chunk, mapped into memory; None when it was never written."""
        file = self._folder + self._layout.key(place)
        expected = prod(self._layout.chunks) * self.dtype.itemsize
        try:
            with open_regular(file, expected, follow=False) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size != expected:
                    raise FileError("LAZY_BYTES", file=file, expected=expected, size=size)
                buffer = mmap.mmap(stream.fileno(), expected, access=mmap.ACCESS_READ)
        except FileError as error:
            if error.missing:
                return None
            raise TraceError("LAZY_TRACE_DAMAGED_RECORD_AGAIN", error=error) from error
        chunk = np.frombuffer(buffer, self.dtype).reshape(self._layout.stored)
        return chunk.swapaxes(-1, -2) if self._layout.swapped else chunk


def _parts(wanted: range | Array, size: int) -> list[tuple[int, Any, Any]]:
    """Which chunks hold the wanted places of one axis: the number of each, where inside it, and where in the result."""
    if isinstance(wanted, range):
        found = []
        for number in range(wanted.start // size, wanted[-1] // size + 1):
            first = max(0, -((wanted.start - number * size) // wanted.step))
            last = min(len(wanted), -((wanted.start - (number + 1) * size) // wanted.step))
            if first < last:
                inside = range(wanted[first] - number * size, wanted[last - 1] - number * size + 1, wanted.step)
                found.append((number, slice(inside.start, inside.stop, inside.step), slice(first, last)))
        return found
    numbers = wanted // size
    places = [(int(number), np.flatnonzero(numbers == number)) for number in np.unique(numbers)]
    return [(number, wanted[place] - number * size, place) for number, place in places]
