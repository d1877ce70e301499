"""HDF5 files, read in Python: groups, attributes of text and arrays of floating-point numbers.

libhdf5 believes the sizes in a file: one changed byte in 16 kB makes it allocate gigabytes or search for half a minute.
Here no size is believed. Each structure is a slice of the file, a slice beyond its end is an error, and the number of
structures is bounded. Links to other places or files are refused.

Supported: superblocks 0 to 3, object headers 1 and 2, groups of every version, contiguous and compact arrays, and
chunked arrays with a version 1 B-tree, deflate, shuffle and checksums.

Source: HDF5 File Format Specification 3.0, The HDF Group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.hdf5_bytes import ADDRESS, NOWHERE, Bytes, Hdf5Error
from gatescope.adopting.hdf5_chunks import Chunked, chunked_values
from gatescope.adopting.hdf5_links import dense_links

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_STRUCTURES = 50_000  # messages, links and heap objects of one file
MAX_AXES = 32  # of an array, HDF5's own limit
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT = 1, 2, 3, 6, 7, 8
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS, ATTRIBUTE_INFO = 11, 12, 16, 17, 21
FLOATS: dict[tuple[int, ...], str] = {  # precision, exponent's place and size, mantissa's place and size, bias -> bytes
    (16, 10, 5, 0, 10, 15): "f2",
    (32, 23, 8, 0, 23, 127): "f4",
    (64, 52, 11, 0, 52, 1023): "f8",
    (16, 7, 8, 0, 7, 127): "bfloat16",
}
TEXT, VARIABLE_TEXT = "text", "variable text"


@dataclass(frozen=True)
class Datatype:
    """The type of the elements of an array or attribute.

    Attributes:
        kind: "f2", "f4", "f8", "bfloat16", "text", "variable text", or "" for any other type.
        size: bytes of one element.
        order: "<" or ">".
    """

    kind: str
    size: int
    order: str = "<"


@dataclass(frozen=True)
class Dataset:
    """One array.

    Attributes:
        name: its path in the file.
        shape: the lengths of its axes.
        datatype: of its elements.
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
        return _product(self.shape) * self.datatype.size

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers of a known layout."""
        return self.datatype.kind in FLOATS.values()

    def read(self) -> NDArray[np.float32]:
        """Return the elements in float32. The caller bounds `nbytes` first."""
        content, kind = self._content(), self.datatype.kind
        if kind == "bfloat16":
            raised = np.frombuffer(content, f"{self.datatype.order}u2").astype(np.uint32) << 16
            return raised.view(np.float32).reshape(self.shape)
        found = np.frombuffer(content, np.dtype(f"{self.datatype.order}{kind}"))
        with np.errstate(over="ignore"):
            return found.astype(np.float32).reshape(self.shape)

    def _content(self) -> bytes:
        if self.layout is None:
            raise Hdf5Error(f"the array {self.name} has no layout")
        about = self.layout.copy()
        version = about.number(1)
        if version not in (3, 4):
            raise Hdf5Error(f"the array {self.name} has a layout of version {version}")
        kind = about.number(1)
        if kind == 0:
            return about.take(about.number(2)).tobytes()[: self.nbytes] if self.nbytes else b""
        if kind == 1:
            place = about.number(ADDRESS)
            return self.file.at(place).take(self.nbytes).tobytes() if self.nbytes else b""
        if kind == 2 and version == 3:
            chunked = Chunked(self.file.content, self.name, self.shape, self.datatype.size)
            return chunked_values(chunked, about, self.filters)
        raise Hdf5Error(f"the array {self.name} is stored in a way that Keras never uses; write it contiguously")


@dataclass(frozen=True)
class Group:
    """One group: its attributes of text, and what it holds."""

    file: Hdf5File = field(repr=False)
    name: str
    attributes: dict[str, list[str]]
    links: tuple[tuple[str, int], ...]

    def items(self, skip: tuple[str, ...] = ()) -> Iterator[tuple[str, Group | Dataset]]:
        """Yield each member with its name, in the order of the file, without those of some names."""
        for name, place in self.links:
            if name not in skip:
                yield name, self.file.member(f"{self.name}/{name}".lstrip("/"), place)

    def member(self, name: str) -> Group | Dataset | None:
        """Return one member; None if there is none of that name."""
        return next((self.file.member(name, place) for found, place in self.links if found == name), None)


class Hdf5File:
    """A file as bytes."""

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = memoryview(content)
        self.remaining = MAX_STRUCTURES
        self.opened = set[int]()

    def at(self, place: int) -> Bytes:
        """Return the bytes from an address on."""
        if place == NOWHERE or place > len(self.content):
            raise Hdf5Error(f"the address {place:,} is beyond the end of the file")
        return Bytes(self.content[place:])

    def member(self, name: str, place: int) -> Group | Dataset:
        """Return the group or array whose header is at an address.

        Raises:
            Hdf5Error: the header is damaged, or was opened under another name: groups that hold each other never end.
        """
        if place in self.opened:
            raise Hdf5Error(f"{name} has a second name in it; Keras gives each group and array one")
        self.opened.add(place)
        messages = list(self._messages(place))
        by_kind: dict[int, Bytes] = {}
        for kind, message in messages:
            by_kind.setdefault(kind, message)
        attributes = dict(_attribute(self, body) for kind, body in messages if kind == ATTRIBUTE)
        if ATTRIBUTE_INFO in by_kind and _is_dense(by_kind[ATTRIBUTE_INFO]):
            raise Hdf5Error(f"{name or 'the file'} has more attributes than any model's")
        if EXTERNAL in by_kind:
            raise Hdf5Error(f"the array {name} is kept in another file; Keras never does that")
        if DATATYPE in by_kind and DATASPACE in by_kind:
            datatype, shape = _datatype(by_kind[DATATYPE].copy()), _dataspace(by_kind[DATASPACE].copy())
            return Dataset(self, name, shape, datatype, by_kind.get(LAYOUT), by_kind.get(FILTERS))
        links = []
        for kind, message in messages:
            if kind == LINK:
                links.append(link_of(message))
            elif kind == LINK_INFO:
                links += [link_of(one) for one in dense_links(self, message)]
            elif kind == SYMBOLS:
                links += self._symbols(message)
        if len({found for found, _ in links}) < len(links):
            raise Hdf5Error(f"the group {name!r} has two members of one name")
        return Group(self, name, attributes, tuple(links))

    def count(self) -> None:
        """Count one structure.

        Raises:
            Hdf5Error: there are more than any model's.
        """
        self.remaining -= 1
        if self.remaining < 0:
            raise Hdf5Error(f"it has more than {MAX_STRUCTURES:,} parts")

    def root(self) -> Group:
        """Return the first group.

        Raises:
            Hdf5Error: the bytes are no HDF5 file, are truncated, or need what is not supported.
        """
        start = self.at(0)
        start.expect(SIGNATURE)
        version = start.number(1)
        if version in (0, 1):
            start.skip(4)
            sizes = (start.number(1), start.number(1))
            start.skip(9 if version == 0 else 13)
            base, _, end, _ = (start.number(ADDRESS) for _ in range(4))
            start.skip(ADDRESS)
        elif version in (2, 3):
            sizes = (start.number(1), start.number(1))
            start.skip(1)
            base, _, end = (start.number(ADDRESS) for _ in range(3))
        else:
            raise Hdf5Error(f"its superblock has the version {version}")
        if sizes != (ADDRESS, ADDRESS) or base != 0:
            raise Hdf5Error("its addresses are of another size or place than Keras writes")
        if end > len(self.content):
            raise Hdf5Error(f"it has {len(self.content):,} bytes of {end:,}")
        root = self.member("", start.number(ADDRESS))
        if not isinstance(root, Group):
            raise Hdf5Error("its root is no group")
        return root

    def _messages(self, place: int) -> Iterator[tuple[int, Bytes]]:
        """Yield the kind and the bytes of each message of an object header, and of its continuations."""
        start = self.at(place)
        second = bytes(start.copy().take(4)) == b"OHDR"
        flags = 0
        if second:
            start.skip(5)
            flags = start.number(1)
            start.skip((16 if flags & 32 else 0) + (4 if flags & 16 else 0))
            waiting = [start.part(start.number(1 << (flags & 3)))]
        else:
            if start.number(1) != 1:
                raise Hdf5Error(f"there is no object at the address {place:,}")
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
                    there, length = message.number(ADDRESS), message.number(ADDRESS)
                    if there in seen:
                        raise Hdf5Error("an object header continues in itself")
                    seen.add(there)
                    more = self.at(there).part(length)
                    if second:
                        more.expect(b"OCHK")
                        more = more.part(more.left - 4)
                    waiting.append(more)
                    continue
                if shared and kind in (DATASPACE, DATATYPE, ATTRIBUTE, FILTERS, LAYOUT):
                    raise Hdf5Error("it shares its types between arrays, which Keras never does")
                yield kind, message

    def _symbols(self, message: Bytes) -> list[tuple[str, int]]:
        """Return the members of a group of the first version: names in a local heap, addresses in a B-tree."""
        tree, heap = message.number(ADDRESS), self.at(message.number(ADDRESS))
        heap.expect(b"HEAP")
        heap.skip(4)
        size = heap.number(ADDRESS)
        heap.skip(ADDRESS)
        names = self.at(heap.number(ADDRESS)).part(size)
        found: list[tuple[str, int]] = []
        for place in self._leaves(tree):
            node = self.at(place)
            node.expect(b"SNOD")
            node.skip(2)
            for _ in range(node.number(2)):
                self.count()
                offset, header, cached = node.number(8), node.number(ADDRESS), node.number(4)
                node.skip(20)
                name = names.text_at(offset)
                if cached == 2:
                    raise Hdf5Error(f"it has a link at {name}; Keras writes none, and none is followed")
                found.append((name, header))
        return found

    def _leaves(self, tree: int) -> Iterator[int]:
        """Yield the addresses of the symbol tables that a B-tree points to."""
        waiting: list[tuple[int, int | None]] = [(tree, None)]
        while waiting:
            place, level = waiting.pop(0)
            self.count()
            node = self.at(place)
            node.expect(b"TREE")
            kind, own, count = node.number(1), node.number(1), node.number(2)
            if kind != 0 or (level is not None and own != level):
                raise Hdf5Error("the tree of a group is damaged")
            node.skip(2 * ADDRESS + ADDRESS)
            for _ in range(count):
                child = node.number(ADDRESS)
                node.skip(ADDRESS)
                if own:
                    waiting.append((child, own - 1))
                else:
                    self.count()
                    yield child


def link_of(message: Bytes) -> tuple[str, int]:
    """Return the name and the address of a hard link.

    Raises:
        Hdf5Error: the link is of another kind.
    """
    message = message.copy()
    if message.number(1) != 1:
        raise Hdf5Error("a link is of an unknown version")
    flags = message.number(1)
    kind = message.number(1) if flags & 8 else 0
    message.skip((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = message.take(message.number(1 << (flags & 3))).tobytes().decode()
    if kind != 0:
        raise Hdf5Error(f"it has a link at {name}; Keras writes none, and none is followed")
    return name, message.number(ADDRESS)


def _is_dense(message: Bytes) -> bool:
    message = message.copy()
    message.skip(1)
    message.skip(2 if message.number(1) & 1 else 0)
    return message.number(ADDRESS) != NOWHERE


def _attribute(file: Hdf5File, message: Bytes) -> tuple[str, list[str]]:
    """Return the name and the texts of an attribute; of one that is no text, none."""
    version, flags = message.number(1), message.number(1)
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise Hdf5Error("an attribute is of a form that Keras never writes")
    sizes = [message.number(2) for _ in range(3)]
    message.skip(1 if version == 3 else 0)
    parts = [message.part(-(-size // 8) * 8 if version == 1 else size) for size in sizes]
    name = parts[0].text_at(0)
    datatype, shape = _datatype(parts[1]), _dataspace(parts[2])
    if datatype.kind not in (TEXT, VARIABLE_TEXT):
        return name, []
    count = _product(shape)
    if count * datatype.size > message.left:
        raise Hdf5Error(f"the attribute {name} is longer than its header")
    found = []
    for _ in range(count if datatype.size else 0):
        file.count()
        value = message.part(datatype.size)
        text = value.rest() if datatype.kind == TEXT else _variable(file, value)
        found.append(text.rstrip(b"\0").decode())
    return name, found


def _variable(file: Hdf5File, value: Bytes) -> bytes:
    """Return a text of variable length: an object of a global heap."""
    length, place, index = value.number(4), value.number(ADDRESS), value.number(4)
    if not length:
        return b""
    heap = file.at(place)
    heap.expect(b"GCOL")
    heap.skip(4)
    objects = heap.part(heap.number(ADDRESS) - 16)
    while objects.left >= 16:
        file.count()
        number = objects.number(2)
        objects.skip(6)
        size = objects.number(ADDRESS)
        if number == index and number:
            return objects.take(size).tobytes()[:length]
        if not number:
            break
        objects.skip(-(-size // 8) * 8)
    raise Hdf5Error(f"a text of {length:,} bytes is missing")


def _datatype(message: Bytes) -> Datatype:
    kind, bits = message.number(1) & 15, message.number(3)
    size = message.number(4)
    order = ">" if bits & 1 else "<"
    if kind == 1:
        offset, precision = message.number(2), message.number(2)
        fields = (precision, *(message.number(count) for count in (1, 1, 1, 1, 4)))
        known = FLOATS.get(fields, "") if offset == 0 and not bits & 64 else ""
        return Datatype(known if size * 8 == precision else "", size, order)
    if kind == 3:
        return Datatype(TEXT, size)
    if kind == 9 and bits & 15 == 1 and size == 16:
        return Datatype(VARIABLE_TEXT, size)
    return Datatype("", size)


def _dataspace(message: Bytes) -> tuple[int, ...]:
    version, axes, _ = message.number(1), message.number(1), message.number(1)
    if version not in (1, 2) or axes > MAX_AXES:
        raise Hdf5Error(f"an array has {axes} axes, or a shape of version {version}")
    kind = message.number(1)
    message.skip(4 if version == 1 else 0)
    if version == 2 and kind == 2:
        return (0,)
    return tuple(message.number(ADDRESS) for _ in range(axes))


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count
