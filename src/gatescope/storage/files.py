"""Writing the files of a trace: each one whole or not at all."""

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
    """Write the chunks of one array, or those of one piece of its steps."""
    sequences = layout.axes[0] == "sequence"
    count = ceil(array.shape[0] / layout.chunks[0])
    for row in range(count if prod(array.shape) else 0):
        part = array[row * layout.chunks[0] : (row + 1) * layout.chunks[0]] if sequences else array
        place = [row, *([0] * (len(layout.shape) - 1))]
        if piece is not None:
            place[1] = piece
        write_bytes(folder / layout.key(place), _chunk(np.asarray(part), layout, path).data, sync=False)
    sync_folder(folder)


def _chunk(values: Array, layout: Layout, path: str) -> Array:
    """One chunk as it lies in its file, full size: what the values do not reach is the fill value.

    Raises:
        TraceError: a finite value is beyond the range of the dtype on disk.
    """
    if values.dtype.kind not in "iuf":
        raise TraceError("FILES_HOLDS_NUMBERS", path=path, dtype=values.dtype)
    chunk = np.full(layout.stored, layout.fill, dtype=layout.numpy)
    inside = chunk.swapaxes(-1, -2) if layout.swapped else chunk
    inside = inside[tuple(map(slice, values.shape))]
    with np.errstate(over="ignore", invalid="ignore"):
        inside[...] = values
        if layout.numpy.kind == "f":
            lost = np.isinf(inside) & np.isfinite(values) if np.isinf(inside).any() else np.False_
        else:
            lost = inside != values
    if lost.any():
        value = values[np.unravel_index(int(lost.argmax()), values.shape)]
        wider = {"float16": "float32", "float32": "float64"}.get(layout.dtype)
        advice = f'store the trace with dtype="{wider}"' if wider else "ids are whole numbers of 32 bits"
        raise TraceError("FILES_REACHES_HOLD", path=path, value=value, dtype=layout.dtype, advice=advice)
    return chunk
