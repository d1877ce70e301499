"""Chunked arrays of HDF5: pieces of one size, found by a B-tree and perhaps compressed."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np

from gatescope.adopting.hdf5_bytes import ADDRESS, Bytes, Hdf5Error

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
MAX_CHUNKS = 100_000
SLACK_BYTES = 16 << 20  # of the chunks of an array beyond the array itself


@dataclass(frozen=True)
class Chunked:
    """An array that is kept in chunks.

    Attributes:
        content: the file.
        name: of the array.
        shape: of the array.
        size: bytes of an element.
    """

    content: memoryview
    name: str
    shape: tuple[int, ...]
    size: int


def chunked_values(array: Chunked, layout: Bytes, filters: Bytes | None) -> bytes:
    """Return the elements of a chunked array, row by row.

    Args:
        array: what is read.
        layout: the layout message behind its class.
        filters: the message of its filters.

    Raises:
        Hdf5Error: a chunk is missing, damaged, or larger than its array allows.
    """
    axes = layout.number(1) - 1
    tree = layout.number(ADDRESS)
    sides = tuple(layout.number(4) for _ in range(axes))
    if axes != len(array.shape) or not all(sides) or layout.number(4) != array.size:
        raise Hdf5Error(f"the chunks of {array.name} do not fit its shape")
    counts = [-(-length // side) for length, side in zip(array.shape, sides, strict=True)]
    chunks, chunk_bytes = math.prod(counts), math.prod(sides) * array.size
    total_bytes = math.prod(array.shape) * array.size
    if chunks > MAX_CHUNKS or chunks * chunk_bytes > 2 ** (axes + 1) * total_bytes + SLACK_BYTES:
        raise Hdf5Error(f"the chunks of {array.name} are larger or more than the array needs")
    found = np.zeros((*array.shape, array.size), np.uint8)
    if not found.size:
        return b""
    steps = _filters(array, filters)
    places = dict(_places(array, tree, axes, chunks))
    for origin in np.ndindex(*counts):
        corner = tuple(k * side for k, side in zip(origin, sides, strict=True))
        if corner not in places:
            raise Hdf5Error(f"the array {array.name} lacks a chunk")
        start, stored, mask = places[corner]
        piece = np.frombuffer(_unpacked(array, start, stored, mask, steps, chunk_bytes), np.uint8)
        block = piece.reshape(*sides, array.size)
        inside = tuple(slice(c, c + side) for c, side in zip(corner, sides, strict=True))
        target = found[inside]
        target[...] = block[tuple(slice(0, length) for length in target.shape[:-1])]
    return found.tobytes()


def _filters(array: Chunked, message: Bytes | None) -> list[tuple[int, int]]:
    """Return the number of each filter and its first value, in the order in which they were applied."""
    if message is None:
        return []
    message = message.copy()
    version, count = message.number(1), message.number(1)
    message.skip(6 if version == 1 else 0)
    found = []
    for _ in range(count):
        kind = message.number(2)
        name = message.number(2) if version == 1 or kind >= 256 else 0
        message.skip(2)
        values = message.number(2)
        message.skip(-(-name // 8) * 8 if version == 1 else name)
        given = [message.number(4) for _ in range(values)]
        message.skip(4 if version == 1 and values % 2 else 0)
        if kind not in (DEFLATE, SHUFFLE, CHECKSUM):
            raise Hdf5Error(f"the array {array.name} is packed by the filter {kind}, which is not read")
        found.append((kind, given[0] if given else 0))
    return found


def _places(array: Chunked, tree: int, axes: int, most: int) -> list[tuple[tuple[int, ...], tuple[int, int, int]]]:
    """Return the corner of each chunk with its address, its stored bytes and its mask of filters left out."""
    found: list[tuple[tuple[int, ...], tuple[int, int, int]]] = []
    waiting: list[tuple[int, int | None]] = [(tree, None)]
    nodes = 0
    while waiting:
        place, level = waiting.pop()
        nodes += 1
        if place > len(array.content) or nodes > most + 64:
            raise Hdf5Error(f"the tree of the chunks of {array.name} is damaged")
        node = Bytes(array.content[place:])
        node.expect(b"TREE")
        kind, own, count = node.number(1), node.number(1), node.number(2)
        if kind != 1 or (level is not None and own != level) or len(found) + count > most + 64:
            raise Hdf5Error(f"the tree of the chunks of {array.name} is damaged")
        node.skip(2 * ADDRESS)
        for _ in range(count):
            stored, mask = node.number(4), node.number(4)
            corner = tuple(node.number(8) for _ in range(axes))
            node.skip(8)
            child = node.number(ADDRESS)
            if own:
                waiting.append((child, own - 1))
            else:
                found.append((corner, (child, stored, mask)))
    return found


def _unpacked(array: Chunked, start: int, stored: int, mask: int, steps: list[tuple[int, int]], size: int) -> bytes:
    """Return the elements of one chunk."""
    if start > len(array.content):
        raise Hdf5Error(f"a chunk of {array.name} is beyond the end of the file")
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
                raise Hdf5Error(f"a chunk of {array.name} is damaged ({error})") from error
        elif value > 1 and len(content) % value == 0:
            content = np.frombuffer(content, np.uint8).reshape(value, -1).T.tobytes()
    if len(content) != size:
        raise Hdf5Error(f"a chunk of {array.name} has {len(content):,} bytes of {size:,}")
    return content
