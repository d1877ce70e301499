"""HDF5 files, read in Python: groups, attributes of text and arrays of floating-point numbers.

libhdf5 trusts the sizes in a file: one changed byte in 16 kB makes it allocate gigabytes or search for half a minute.
Here no size is trusted. Each structure is a slice of the file, a slice beyond its end is an error, and the number of
structures is bounded. Links to other places or files are refused.

Supported: superblocks 0 to 3, object headers 1 and 2, groups of every version, contiguous and compact arrays, and
chunked arrays with a version 1 B-tree, deflate, shuffle and checksums.

Source: HDF5 File Format Specification 3.0, The HDF Group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.hdf5_bytes import ADDRESS_BYTES, NOWHERE, Bytes, Hdf5Error
from gatescope.adopting.hdf5_chunks import Chunked, chunked_values
from gatescope.adopting.hdf5_links import dense_links
from gatescope.adopting.hdf5_types import FLOATS, TEXT, VARIABLE_TEXT, Datatype, datatype_of, element_bytes, shape_of

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_STRUCTURES = 50_000  # messages, links and heap objects of one file
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT = 1, 2, 3, 6, 7, 8
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS, ATTRIBUTE_INFO = 11, 12, 16, 17, 21


@dataclass(frozen=True)
class Dataset:
    """One array.

    Attributes:
        file: the file that it is in.
        name: its path in the file.
        shape: the lengths of its axes.
        datatype: the type of its elements.
        layout: the message that says how it is stored.
        filters: the message that says how it is compressed.
    """

    file: Hdf5File = field(repr=False)
    name: str
    shape: tuple[int, ...]
    datatype: Datatype
    layout: Bytes | None = field(repr=False)
    filters: Bytes | None = field(repr=False)

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return element_bytes(self.shape, self.datatype)

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers of a known layout."""
        return self.datatype.kind in FLOATS.values()

    def read(self) -> NDArray[np.float32]:
        """Return the elements in float32. The caller bounds `nbytes` first."""
        content, kind = self._content(), self.datatype.kind
        if kind == "bfloat16":
            bits = np.frombuffer(content, f"{self.datatype.order}u2").astype(np.uint32) << 16
            return bits.view(np.float32).reshape(self.shape)
        elements = np.frombuffer(content, np.dtype(f"{self.datatype.order}{kind}"))
        with np.errstate(over="ignore"):
            return elements.astype(np.float32).reshape(self.shape)

    def _content(self) -> bytes:
        """Return the bytes of the elements."""
        if self.layout is None:
            raise Hdf5Error("HDF5_LAYOUT_MISSING", name=self.name)
        layout = self.layout.copy()
        version, kind = layout.number(1), layout.number(1)
        if version in (3, 4) and kind == 0:
            return layout.take(layout.number(2)).tobytes()[: self.nbytes] if self.nbytes else b""
        if version in (3, 4) and kind == 1:
            address = layout.number(ADDRESS_BYTES)
            return self.file.at(address).take(self.nbytes).tobytes() if self.nbytes else b""
        if version == 3 and kind == 2:
            chunked = Chunked(self.file.content, self.name, self.shape, self.datatype.size)
            return chunked_values(chunked, layout, self.filters)
        raise Hdf5Error("HDF5_LAYOUT_UNKNOWN", name=self.name, version=version, kind=kind)


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        file: the file that it is in.
        name: its path in the file.
        attributes: name -> texts; no texts for attributes of numbers.
        links: the name and the address of each member.
    """

    file: Hdf5File = field(repr=False)
    name: str
    attributes: dict[str, list[str]]
    links: tuple[tuple[str, int], ...]

    def items(self, skip: tuple[str, ...] = ()) -> Iterator[tuple[str, Group | Dataset]]:
        """Yield each member with its name, in the order of the file.

        Args:
            skip: names of members to leave out.
        """
        for name, address in self.links:
            if name not in skip:
                yield name, self.file.member(f"{self.name}/{name}".lstrip("/"), address)

    def member(self, name: str) -> Group | Dataset | None:
        """Return one member; None if there is none of that name.

        Args:
            name: its name in the group.
        """
        address = dict(self.links).get(name)
        return None if address is None else self.file.member(name, address)


class Hdf5File:
    """The bytes of a file, and the bounds on what is read from them."""

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = memoryview(content)
        self.remaining = MAX_STRUCTURES
        self.opened = set[int]()

    def at(self, address: int) -> Bytes:
        """Return the bytes from an address on.

        Args:
            address: the address.

        Raises:
            Hdf5Error: the address is beyond the end of the file.
        """
        if address == NOWHERE or address > len(self.content):
            raise Hdf5Error("HDF5_ADDRESS_BEYOND_END", address=address, size=len(self.content))
        return Bytes(self.content[address:])

    def member(self, name: str, address: int) -> Group | Dataset:
        """Return the group or array whose header is at an address.

        Args:
            name: its path in the file.
            address: the address of its header.

        Raises:
            Hdf5Error: the header is damaged, or was opened under another name: groups that hold each other never end.
        """
        if address in self.opened:
            raise Hdf5Error("HDF5_OBJECT_NAMED_TWICE", name=name)
        self.opened.add(address)
        messages = list(self._messages(address))
        by_kind: dict[int, Bytes] = {}
        for kind, message in messages:
            by_kind.setdefault(kind, message)
        attributes = dict(_attribute(self, body) for kind, body in messages if kind == ATTRIBUTE)
        if ATTRIBUTE_INFO in by_kind and _is_dense(by_kind[ATTRIBUTE_INFO]):
            raise Hdf5Error("HDF5_ATTRIBUTES_TOO_MANY", name=name)
        if EXTERNAL in by_kind:
            raise Hdf5Error("HDF5_ARRAY_EXTERNAL", name=name)
        if DATATYPE in by_kind and DATASPACE in by_kind:
            datatype, shape = datatype_of(by_kind[DATATYPE].copy()), shape_of(by_kind[DATASPACE].copy())
            return Dataset(self, name, shape, datatype, by_kind.get(LAYOUT), by_kind.get(FILTERS))
        links = []
        for kind, message in messages:
            if kind == LINK:
                links.append(link_of(message))
            elif kind == LINK_INFO:
                links += [link_of(link) for link in dense_links(self, message)]
            elif kind == SYMBOLS:
                links += self._symbols(message)
        if len(dict(links)) < len(links):
            raise Hdf5Error("HDF5_MEMBER_REPEATED", name=name)
        return Group(self, name, attributes, tuple(links))

    def count(self) -> None:
        """Count one structure.

        Raises:
            Hdf5Error: there are more than any model has.
        """
        self.remaining -= 1
        if self.remaining < 0:
            raise Hdf5Error("HDF5_STRUCTURES_TOO_MANY", limit=MAX_STRUCTURES)

    def root(self) -> Group:
        """Return the root group.

        Raises:
            Hdf5Error: the bytes are no HDF5 file, are truncated, or need something that is not supported.
        """
        start = self.at(0)
        start.expect(SIGNATURE)
        version = start.number(1)
        if version in (0, 1):
            start.skip(4)
            sizes = (start.number(1), start.number(1))
            start.skip(9 if version == 0 else 13)
            base, _, end, _ = (start.number(ADDRESS_BYTES) for _ in range(4))
            start.skip(ADDRESS_BYTES)
        elif version in (2, 3):
            sizes = (start.number(1), start.number(1))
            start.skip(1)
            base, _, end = (start.number(ADDRESS_BYTES) for _ in range(3))
        else:
            raise Hdf5Error("HDF5_SUPERBLOCK_UNKNOWN", version=version)
        if sizes != (ADDRESS_BYTES, ADDRESS_BYTES) or base != 0:
            raise Hdf5Error("HDF5_ADDRESSES_UNKNOWN", address_bytes=sizes[0], length_bytes=sizes[1], base=base)
        if end > len(self.content):
            raise Hdf5Error("HDF5_FILE_TRUNCATED", expected=end, size=len(self.content))
        root = self.member("", start.number(ADDRESS_BYTES))
        if not isinstance(root, Group):
            raise Hdf5Error("HDF5_ROOT_NO_GROUP")
        return root

    def _messages(self, address: int) -> Iterator[tuple[int, Bytes]]:
        """Yield the kind and the bytes of each message of an object header and its continuations."""
        start = self.at(address)
        second = bytes(start.copy().take(4)) == b"OHDR"
        flags = 0
        if second:
            start.skip(5)
            flags = start.number(1)
            start.skip((16 if flags & 32 else 0) + (4 if flags & 16 else 0))
            waiting = [start.part(start.number(1 << (flags & 3)))]
        else:
            if start.number(1) != 1:
                raise Hdf5Error("HDF5_OBJECT_MISSING", address=address)
            start.skip(7)
            size = start.number(4)
            start.skip(4)
            waiting = [start.part(size)]
        smallest = (6 if flags & 4 else 4) if second else 8
        seen = set[int]()
        while waiting:
            block = waiting.pop(0)
            while block.left >= smallest:
                self.count()
                kind, size = block.number(1 if second else 2), block.number(2)
                shared = block.number(1) & 2
                block.skip(smallest - (4 if second else 5))
                message = block.part(size)
                if kind == CONTINUATION:
                    place, length = message.number(ADDRESS_BYTES), message.number(ADDRESS_BYTES)
                    if place in seen:
                        raise Hdf5Error("HDF5_HEADER_CIRCULAR", address=address)
                    seen.add(place)
                    more = self.at(place).part(length)
                    if second:
                        more.expect(b"OCHK")
                        more = more.part(more.left - 4)
                    waiting.append(more)
                    continue
                if shared and kind in (DATASPACE, DATATYPE, ATTRIBUTE, FILTERS, LAYOUT):
                    raise Hdf5Error("HDF5_TYPE_SHARED", address=address)
                yield kind, message

    def _symbols(self, message: Bytes) -> list[tuple[str, int]]:
        """Return the members of a group of the first version: names in a local heap, addresses in a B-tree."""
        tree, heap = message.number(ADDRESS_BYTES), self.at(message.number(ADDRESS_BYTES))
        heap.expect(b"HEAP")
        heap.skip(4)
        size = heap.number(ADDRESS_BYTES)
        heap.skip(ADDRESS_BYTES)
        names = self.at(heap.number(ADDRESS_BYTES)).part(size)
        members: list[tuple[str, int]] = []
        for address in self._leaves(tree):
            node = self.at(address)
            node.expect(b"SNOD")
            node.skip(2)
            for _ in range(node.number(2)):
                self.count()
                offset, header, cached = node.number(8), node.number(ADDRESS_BYTES), node.number(4)
                node.skip(20)
                name = names.text_at(offset)
                if cached == 2:
                    raise Hdf5Error("HDF5_LINK_NOT_HARD", name=name)
                members.append((name, header))
        return members

    def _leaves(self, tree: int) -> Iterator[int]:
        """Yield the addresses of the symbol tables that a B-tree points to."""
        waiting: list[tuple[int, int | None]] = [(tree, None)]
        while waiting:
            address, level = waiting.pop(0)
            self.count()
            node = self.at(address)
            node.expect(b"TREE")
            kind, own, count = node.number(1), node.number(1), node.number(2)
            if kind != 0 or (level is not None and own != level):
                raise Hdf5Error("HDF5_TREE_DAMAGED", address=address)
            node.skip(2 * ADDRESS_BYTES + ADDRESS_BYTES)
            for _ in range(count):
                child = node.number(ADDRESS_BYTES)
                node.skip(ADDRESS_BYTES)
                if own:
                    waiting.append((child, own - 1))
                else:
                    self.count()
                    yield child


def link_of(message: Bytes) -> tuple[str, int]:
    """Return the name and the address of a hard link.

    Args:
        message: the link message.

    Raises:
        Hdf5Error: the link is of another kind.
    """
    message = message.copy()
    if message.number(1) != 1:
        raise Hdf5Error("HDF5_LINK_VERSION_UNKNOWN")
    flags = message.number(1)
    kind = message.number(1) if flags & 8 else 0
    message.skip((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = message.take(message.number(1 << (flags & 3))).tobytes().decode()
    if kind != 0:
        raise Hdf5Error("HDF5_LINK_NOT_HARD", name=name)
    return name, message.number(ADDRESS_BYTES)


def _is_dense(message: Bytes) -> bool:
    """Return whether an object stores its attributes outside of its header."""
    message = message.copy()
    message.skip(1)
    message.skip(2 if message.number(1) & 1 else 0)
    return message.number(ADDRESS_BYTES) != NOWHERE


def _attribute(file: Hdf5File, message: Bytes) -> tuple[str, list[str]]:
    """Return the name and the texts of an attribute; no texts if it holds something else."""
    version, flags = message.number(1), message.number(1)
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise Hdf5Error("HDF5_ATTRIBUTE_FORM_UNKNOWN", version=version)
    sizes = [message.number(2) for _ in range(3)]
    message.skip(1 if version == 3 else 0)
    parts = [message.part(-(-size // 8) * 8 if version == 1 else size) for size in sizes]
    name = parts[0].text_at(0)
    datatype, shape = datatype_of(parts[1]), shape_of(parts[2])
    if datatype.kind not in (TEXT, VARIABLE_TEXT):
        return name, []
    if element_bytes(shape, datatype) > message.left:
        raise Hdf5Error("HDF5_ATTRIBUTE_TOO_LONG", name=name)
    texts = []
    for _ in range(math.prod(shape) if datatype.size else 0):
        file.count()
        value = message.part(datatype.size)
        text = value.rest() if datatype.kind == TEXT else _variable(file, value)
        texts.append(text.rstrip(b"\0").decode())
    return name, texts


def _variable(file: Hdf5File, value: Bytes) -> bytes:
    """Return a text of variable length, which is an object of a global heap."""
    length, address, index = value.number(4), value.number(ADDRESS_BYTES), value.number(4)
    if not length:
        return b""
    heap = file.at(address)
    heap.expect(b"GCOL")
    heap.skip(4)
    objects = heap.part(heap.number(ADDRESS_BYTES) - 16)
    while objects.left >= 16:
        file.count()
        number = objects.number(2)
        objects.skip(6)
        size = objects.number(ADDRESS_BYTES)
        if number == index and number:
            return objects.take(size).tobytes()[:length]
        if not number:
            break
        objects.skip(-(-size // 8) * 8)
    raise Hdf5Error("HDF5_TEXT_MISSING", length=length)
