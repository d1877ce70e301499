"""A part of a file that is read from its start to its end, and never beyond."""

from __future__ import annotations

ADDRESS = 8  # bytes of an address, and of a length
NOWHERE = (1 << 64) - 1  # the address of what does not exist


class Hdf5Error(ValueError):
    """The bytes are damaged, or need what is not supported; the message is a clause about the file."""


class Bytes:
    """A slice of a file and a place in it."""

    def __init__(self, content: memoryview, place: int = 0) -> None:
        self.content, self.place = content, place

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self.content) - self.place

    def copy(self) -> Bytes:
        """Return the same slice with a place of its own."""
        return Bytes(self.content, self.place)

    def take(self, size: int) -> memoryview:
        """Return the next bytes.

        Raises:
            Hdf5Error: fewer follow.
        """
        if not 0 <= size <= self.left:
            raise Hdf5Error(f"a part of it has {size:,} bytes, and {self.left:,} follow")
        self.place += size
        return self.content[self.place - size : self.place]

    def part(self, size: int) -> Bytes:
        """Return the next bytes as a slice of their own."""
        return Bytes(self.take(size))

    def rest(self) -> bytes:
        """Return all bytes that follow."""
        return self.take(self.left).tobytes()

    def skip(self, size: int) -> None:
        """Move on."""
        self.take(size)

    def number(self, size: int) -> int:
        """Return a whole number of so many bytes, the lowest first."""
        return int.from_bytes(self.take(size), "little")

    def expect(self, signature: bytes) -> None:
        """Refuse any other bytes than these.

        Raises:
            Hdf5Error: others follow.
        """
        found = bytes(self.take(len(signature)))
        if found != signature:
            raise Hdf5Error(f"{signature!r} is expected in it, and {found!r} is there")

    def text_at(self, place: int) -> str:
        """Return the text from a place of the slice up to the next zero byte."""
        rest = Bytes(self.content, 0)
        rest.skip(place)
        content = bytes(rest.content[place : place + 4096])
        return content.split(b"\0", 1)[0].decode()
