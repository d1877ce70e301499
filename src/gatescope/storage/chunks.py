"""Writing the files of a trace, each whole or not at all."""

from __future__ import annotations

from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.files import sync_folder, write_bytes
from gatescope.storage.layout import Layout
from gatescope.trace import TraceError

Array = NDArray[Any]


def write_array(folder: Path, path: str, layout: Layout, array: Any, piece: int | None) -> None:
    """Write the chunks of one array, or of one piece of its steps.

    Args:
        folder: the folder of the array.
        path: the path of the array in the trace, for messages.
        layout: how the array is stored.
        array: the values.
        piece: the number of the piece; None for an array without steps.

    Raises:
        TraceError: the dtype on disk cannot hold a finite value.
    """
    has_sequences = layout.axes[0] == "sequence"
    count = ceil(array.shape[0] / layout.chunks[0])
    for row in range(count if prod(array.shape) else 0):
        part = array[row * layout.chunks[0] : (row + 1) * layout.chunks[0]] if has_sequences else array
        number = [row, *([0] * (len(layout.shape) - 1))]
        if piece is not None:
            number[1] = piece
        write_bytes(folder / layout.key(number), _chunk(np.asarray(part), layout, path).data, sync=False)
    sync_folder(folder)


def _chunk(values: Array, layout: Layout, path: str) -> Array:
    """Return one chunk of full size as it is stored in its file, filled up with the fill value."""
    if values.dtype.kind not in "iuf":
        raise TraceError("ARRAY_VALUES_INVALID", path=path, dtype=values.dtype)
    chunk = np.full(layout.stored, layout.fill, dtype=layout.numpy)
    target = chunk.swapaxes(-1, -2) if layout.swapped else chunk
    target = target[tuple(map(slice, values.shape))]
    with np.errstate(over="ignore", invalid="ignore"):
        target[...] = values
        if layout.numpy.kind == "f":
            lost = np.isinf(target) & np.isfinite(values) if np.isinf(target).any() else np.False_
        else:
            lost = target != values
    if lost.any():
        value = values[np.unravel_index(int(lost.argmax()), values.shape)]
        wider = {"float16": "float32", "float32": "float64"}.get(layout.dtype)
        if wider is None:
            raise TraceError("ARRAY_ID_INVALID", path=path, value=value, dtype=layout.dtype)
        raise TraceError("ARRAY_VALUE_TOO_LARGE", path=path, value=value, dtype=layout.dtype, wider=wider)
    return chunk
