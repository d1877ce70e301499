"""Chunked arrays of HDF5: pieces of one size, listed in a B-tree and perhaps compressed."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from gatescope.adopting.hdf5_bytes import ADDRESS_BYTES, Bytes, Hdf5Error

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
MAX_CHUNKS = 100_000
SLACK_BYTES = 16 << 20  # of the chunks of an array beyond the array itself


@dataclass(frozen=True)
class Chunked:
    """An array that is stored in chunks.

    Attributes:
        content: the bytes of the file.
        name: the name of the array.
        shape: the lengths of its axes.
        size: the bytes of an element.
    """

    content: memoryview
    name: str
    shape: tuple[int, ...]
    size: int


def chunked_values(array: Chunked, layout: Bytes, filters: Bytes | None) -> bytes:
    """Return the elements of a chunked array, row by row.

    Args:
        array: the array.
        layout: its layout message, from after the class on.
        filters: the message of its filters; None without filters.

    Raises:
        Hdf5Error: a chunk is missing, damaged, or larger than its array allows.
    """
    axes = layout.number(1) - 1
    tree = layout.number(ADDRESS_BYTES)
    sides = tuple(layout.number(4) for _ in range(axes))
    if axes != len(array.shape) or not all(sides) or layout.number(4) != array.size:
        raise Hdf5Error("HDF5_CHUNKS_SHAPE_DIFFERS", name=array.name, shape=array.shape, sides=sides)
    counts = [-(-length // side) for length, side in zip(array.shape, sides, strict=True)]
    chunks, chunk_bytes = math.prod(counts), math.prod(sides) * array.size
    total_bytes = math.prod(array.shape) * array.size
    if chunks > MAX_CHUNKS or chunks * chunk_bytes > 2 ** (axes + 1) * total_bytes + SLACK_BYTES:
        raise Hdf5Error(
            "HDF5_CHUNKS_TOO_LARGE",
            name=array.name,
            array_bytes=total_bytes,
            chunks=chunks,
            chunk_bytes=chunk_bytes,
        )
    elements = np.zeros((*array.shape, array.size), np.uint8)
    if not elements.size:
        return b""
    steps = _filters(array, filters)
    records = dict(_chunk_records(array, tree, axes, chunks))
    for origin in np.ndindex(*counts):
        corner = tuple(k * side for k, side in zip(origin, sides, strict=True))
        if corner not in records:
            raise Hdf5Error("HDF5_CHUNK_MISSING", name=array.name, corner=corner)
        start, stored, mask = records[corner]
        content = np.frombuffer(_unpacked(array, start, stored, mask, steps, chunk_bytes), np.uint8)
        chunk = content.reshape(*sides, array.size)
        inside = tuple(slice(c, c + side) for c, side in zip(corner, sides, strict=True))
        target = elements[inside]
        target[...] = chunk[tuple(slice(0, length) for length in target.shape[:-1])]
    return elements.tobytes()


def _filters(array: Chunked, message: Bytes | None) -> list[tuple[int, int]]:
    """Return the number of each filter and its first value, in the order in which they were applied."""
    if message is None:
        return []
    message = message.copy()
    version, count = message.number(1), message.number(1)
    message.skip(6 if version == 1 else 0)
    filters = []
    for _ in range(count):
        kind = message.number(2)
        name = message.number(2) if version == 1 or kind >= 256 else 0
        message.skip(2)
        values = message.number(2)
        message.skip(-(-name // 8) * 8 if version == 1 else name)
        parameters = [message.number(4) for _ in range(values)]
        message.skip(4 if version == 1 and values % 2 else 0)
        if kind not in (DEFLATE, SHUFFLE, CHECKSUM):
            raise Hdf5Error("HDF5_FILTER_UNKNOWN", name=array.name, kind=kind)
        filters.append((kind, parameters[0] if parameters else 0))
    return filters


def _chunk_records(
    array: Chunked, tree: int, axes: int, limit: int
) -> list[tuple[tuple[int, ...], tuple[int, int, int]]]:
    """Return the corner of each chunk with its address, its stored bytes and its mask of filters left out."""
    records: list[tuple[tuple[int, ...], tuple[int, int, int]]] = []
    waiting: list[tuple[int, int | None]] = [(tree, None)]
    nodes = 0
    while waiting:
        address, level = waiting.pop()
        nodes += 1
        if address > len(array.content) or nodes > limit + 64:
            raise Hdf5Error("HDF5_CHUNK_TREE_DAMAGED", name=array.name)
        node = Bytes(array.content[address:])
        node.expect(b"TREE")
        kind, own, count = node.number(1), node.number(1), node.number(2)
        if kind != 1 or (level is not None and own != level) or len(records) + count > limit + 64:
            raise Hdf5Error("HDF5_CHUNK_TREE_DAMAGED", name=array.name)
        node.skip(2 * ADDRESS_BYTES)
        for _ in range(count):
            stored, mask = node.number(4), node.number(4)
            corner = tuple(node.number(8) for _ in range(axes))
            node.skip(8)
            child = node.number(ADDRESS_BYTES)
            if own:
                waiting.append((child, own - 1))
            else:
                records.append((corner, (child, stored, mask)))
    return records


def _unpacked(array: Chunked, start: int, stored: int, mask: int, steps: list[tuple[int, int]], size: int) -> bytes:
    """Return the elements of one chunk."""
    if start > len(array.content):
        raise Hdf5Error("HDF5_ADDRESS_BEYOND_END", address=start, size=len(array.content))
    content = Bytes(array.content[start:]).take(stored).tobytes()
    for k in reversed(range(len(steps))):
        kind, value = steps[k]
        if mask >> k & 1:
            continue
        if kind == CHECKSUM:
            content = content[:-4]
        elif kind == DEFLATE:
            try:
                content = zlib.decompressobj().decompress(content, size + 8)
            except zlib.error as error:
                raise Hdf5Error("HDF5_CHUNK_DAMAGED", name=array.name, error=error) from error
        elif value > 1 and len(content) % value == 0:
            content = np.frombuffer(content, np.uint8).reshape(value, -1).T.tobytes()
    if len(content) != size:
        raise Hdf5Error("HDF5_CHUNK_SIZE_DIFFERS", name=array.name, expected=size, size=len(content))
    return content
