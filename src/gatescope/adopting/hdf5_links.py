"""Groups of HDF5 with many members in the order of creation: links in a fractal heap, listed in a B-tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatescope.adopting.hdf5_bytes import ADDRESS_BYTES, NOWHERE, Bytes, Hdf5Error

if TYPE_CHECKING:
    from gatescope.adopting.hdf5 import Hdf5File

BY_NAME = 5  # the type of a B-tree of links


def dense_links(file: Hdf5File, message: Bytes) -> Iterator[Bytes]:
    """Yield the link messages of a group that stores them outside of its header.

    Args:
        file: the file.
        message: the group's link info.

    Raises:
        Hdf5Error: the heap or the tree is damaged, or larger than any model's.
    """
    message = message.copy()
    message.skip(1)
    message.skip(8 if message.number(1) & 1 else 0)
    heap, tree = message.number(ADDRESS_BYTES), message.number(ADDRESS_BYTES)
    if NOWHERE in (heap, tree):
        return
    objects = _Heap(file, heap)
    for record in _records(file, tree):
        file.count()
        yield objects.object(record)


def _records(file: Hdf5File, address: int) -> Iterator[Bytes]:
    """Yield the heap ID of each record of a version 2 B-tree of at most two levels."""
    header = file.at(address)
    header.expect(b"BTHD")
    header.skip(1)
    kind, node_bytes, record_bytes, depth = (header.number(size) for size in (1, 4, 2, 2))
    header.skip(2)
    root, count = header.number(ADDRESS_BYTES), header.number(2)
    if kind != BY_NAME or record_bytes < 5 or depth > 1:
        raise Hdf5Error("HDF5_TREE_KIND_UNKNOWN", kind=kind, depth=depth)
    if not depth:
        yield from _leaf(file, root, count, record_bytes)
        return
    max_records = max(1, (node_bytes - 10) // record_bytes)
    width = -(-max_records.bit_length() // 8)
    node = file.at(root)
    node.expect(b"BTIN")
    node.skip(2)
    own = [node.part(record_bytes) for _ in range(count)]
    for _ in range(count + 1):
        child, records = node.number(ADDRESS_BYTES), node.number(width)
        yield from _leaf(file, child, records, record_bytes)
    for record in own:
        record.skip(4)
        yield record


def _leaf(file: Hdf5File, address: int, count: int, record_bytes: int) -> Iterator[Bytes]:
    """Yield the heap IDs in a leaf of a B-tree."""
    node = file.at(address)
    node.expect(b"BTLF")
    node.skip(2)
    for _ in range(count):
        record = node.part(record_bytes)
        record.skip(4)  # the hash of the name
        yield record


class _Heap:
    """A fractal heap whose root is a direct block, or an indirect block of direct ones."""

    def __init__(self, file: Hdf5File, address: int) -> None:
        self.file = file
        header = file.at(address)
        header.expect(b"FRHP")
        header.skip(3)
        filters, flags, largest = header.number(2), header.number(1), header.number(4)
        header.skip(12 * 8)
        self.width, self.first, direct = header.number(2), header.number(8), header.number(8)
        bits = header.number(2)
        header.skip(2)
        self.root, self.rows = header.number(ADDRESS_BYTES), header.number(2)
        if filters or not self.width or not self.first or bits > 64 or self.rows > 64:
            raise Hdf5Error("HDF5_HEAP_DAMAGED")
        self.offset_bytes = -(-bits // 8)
        self.length_bytes = min(-(-direct.bit_length() // 8), -(-largest.bit_length() // 8))
        self.direct, self.overhead = direct, 4 + 1 + ADDRESS_BYTES + self.offset_bytes + (4 if flags & 2 else 0)

    def object(self, identity: Bytes) -> Bytes:
        """Return the bytes of a managed object.

        Args:
            identity: its heap ID.

        Raises:
            Hdf5Error: the object is stored outside of the heap.
        """
        if identity.number(1) & 0xF0:
            raise Hdf5Error("HDF5_LINK_TOO_LONG")
        offset, length = identity.number(self.offset_bytes), identity.number(self.length_bytes)
        block, inside = self._block(offset)
        block.expect(b"FHDB")
        return Bytes(block.content[inside:]).part(length)

    def _block(self, offset: int) -> tuple[Bytes, int]:
        """Return the direct block that holds an offset of the heap, and the position in it."""
        if not self.rows:
            return self.file.at(self.root), offset
        table = self.file.at(self.root)
        table.expect(b"FHIB")
        table.skip(1 + ADDRESS_BYTES + self.offset_bytes)
        start = 0
        for row in range(self.rows):
            size = self.first << max(0, row - 1)
            for _ in range(self.width):
                child = table.number(ADDRESS_BYTES)
                if start <= offset < start + size and size <= self.direct:
                    return self.file.at(child), offset - start
                start += size
        raise Hdf5Error("HDF5_HEAP_DAMAGED")
