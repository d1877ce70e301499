"""Arrays in the safetensors layout whose bytes depend on nothing but the arrays.

The safetensors library writes the metadata in an order that changes from one process to the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT_BYTES = 8
TYPES = {"float16": "F16", "float32": "F32", "int32": "I32", "uint8": "U8"}


def tensor_bytes(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return arrays in the safetensors layout.

    Args:
        arrays: name -> array of one of TYPES.
        metadata: name -> text.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    bodies, offset = [], 0
    # The widest numbers first, so that each array begins at a multiple of the size of its numbers.
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        body = np.ascontiguousarray(arrays[name]).tobytes()
        header[name] = {
            "dtype": TYPES[arrays[name].dtype.name],
            "shape": list(arrays[name].shape),
            "data_offsets": [offset, offset + len(body)],
        }
        bodies.append(body)
        offset += len(body)
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % ALIGNMENT_BYTES)
    return b"".join([len(text).to_bytes(8, "little"), text, *bodies])
