"""Datatypes and shapes of HDF5 arrays and attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gatescope.adopting.hdf5_bytes import ADDRESS_BYTES, Bytes, Hdf5Error

MAX_AXES = 32  # of an array, HDF5's own limit
FLOATS: dict[tuple[int, ...], str] = {  # precision, exponent's place and size, mantissa's place and size, bias -> kind
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
        size: the bytes of one element.
        order: "<" or ">".
    """

    kind: str
    size: int
    order: str = "<"


def datatype_of(message: Bytes) -> Datatype:
    """Return the datatype in a datatype message.

    Args:
        message: the bytes of the message.
    """
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


def shape_of(message: Bytes) -> tuple[int, ...]:
    """Return the shape in a dataspace message.

    Args:
        message: the bytes of the message.

    Raises:
        Hdf5Error: the message has an unknown version, or too many axes.
    """
    version, axes, _ = message.number(1), message.number(1), message.number(1)
    if version not in (1, 2) or axes > MAX_AXES:
        raise Hdf5Error("HDF5_SHAPE_UNKNOWN", limit=MAX_AXES, axes=axes, version=version)
    kind = message.number(1)
    message.skip(4 if version == 1 else 0)
    if version == 2 and kind == 2:
        return (0,)
    return tuple(message.number(ADDRESS_BYTES) for _ in range(axes))


def element_bytes(shape: tuple[int, ...], datatype: Datatype) -> int:
    """Return the bytes of all elements of an array.

    Args:
        shape: the lengths of its axes.
        datatype: the type of its elements.
    """
    return math.prod(shape) * datatype.size
