"""A slice of a file that is read from its start to its end, and never beyond."""

from __future__ import annotations

from gatescope.errors import GatescopeError

ADDRESS_BYTES = 8  # of an address, and of a length
NOWHERE = (1 << 64) - 1  # the address of what does not exist


class Hdf5Error(GatescopeError):
    """The bytes of an HDF5 file are damaged, or need something that is not supported."""


class Bytes:
    """A slice of a file and a position in it."""

    def __init__(self, content: memoryview, position: int = 0) -> None:
        self.content, self.position = content, position

    @property
    def left(self) -> int:
        """The count of bytes that follow."""
        return len(self.content) - self.position

    def copy(self) -> Bytes:
        """Return the same slice with a position of its own."""
        return Bytes(self.content, self.position)

    def take(self, size: int) -> memoryview:
        """Return the next bytes.

        Args:
            size: the count of bytes.

        Raises:
            Hdf5Error: fewer bytes follow.
        """
        if not 0 <= size <= self.left:
            raise Hdf5Error("HDF5_BYTES_MISSING", size=size, left=self.left)
        self.position += size
        return self.content[self.position - size : self.position]

    def part(self, size: int) -> Bytes:
        """Return the next bytes as a slice of their own.

        Args:
            size: the count of bytes.
        """
        return Bytes(self.take(size))

    def rest(self) -> bytes:
        """Return all bytes that follow."""
        return self.take(self.left).tobytes()

    def skip(self, size: int) -> None:
        """Move on.

        Args:
            size: the count of bytes.
        """
        self.take(size)

    def number(self, size: int) -> int:
        """Return an integer, whose lowest byte comes first.

        Args:
            size: the count of bytes.
        """
        return int.from_bytes(self.take(size), "little")

    def expect(self, signature: bytes) -> None:
        """Refuse any other bytes than a signature.

        Args:
            signature: the bytes that must follow.

        Raises:
            Hdf5Error: other bytes follow.
        """
        content = bytes(self.take(len(signature)))
        if content != signature:
            raise Hdf5Error("HDF5_SIGNATURE_DIFFERS", signature=signature, content=content)

    def text_at(self, position: int) -> str:
        """Return the text up to the next zero byte.

        Args:
            position: the start of the text in the slice.
        """
        Bytes(self.content).skip(position)  # refuses a position beyond the end
        content = bytes(self.content[position : position + 4096])
        return content.split(b"\0", 1)[0].decode()
