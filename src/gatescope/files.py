"""Opening files that others made, and writing files that a killed process leaves whole.

`open_regular` is the one way to a file of a run, of a trace and of a foreign network: a named pipe, a socket, a device
or a folder in its place is refused without waiting, and a file beyond a bound before a byte of it is read.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from gatescope.errors import GatescopeError
from gatescope.messages import Message

PARTIAL = ".partial"  # ends the name of a file that is still being written

# O_NONBLOCK: a named pipe that takes the place of a file after it was looked at is not waited for. Windows has neither.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_WRITE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link"),
)


class FileError(GatescopeError):
    """A file cannot be read or written; the message names it and says why.

    Attributes:
        missing: whether nothing has this name.
        denied: whether only permissions are in the way.
    """

    def __init__(
        self, message: str | Message, /, *, missing: bool = False, denied: bool = False, **values: Any
    ) -> None:
        super().__init__(message, **values)
        self.missing, self.denied = missing, denied


def open_regular(
    path: str | os.PathLike[str], largest: int, *, inside: Path | None = None, follow: bool = True
) -> BinaryIO:
    """Open a regular file for reading, without waiting for anything else that has its name.

    Args:
        path: the file.
        largest: the most bytes it may have.
        inside: a folder that links must not lead out of.
        follow: whether the file itself may be a link.

    Returns:
        The open file. Who reads from it bounds what is read: a file can grow.

    Raises:
        FileError: there is no such file, it is of another kind, too large, outside, or may not be read.
    """
    try:
        file = Path(path)
        _expect_regular(file, file.stat(follow_symlinks=follow), largest)
        if inside is not None and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(inside)):
            raise FileError("FILES_FILE_INSIDE_LINK_PUT", file=file, inside=inside, realpath=os.path.realpath(file))
        descriptor = os.open(file, _READ | (0 if follow else _NO_LINK))
        try:
            _expect_regular(file, os.fstat(descriptor), largest)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise unreadable(path, error) from error
    except FileError:
        raise
    except ValueError as error:  # a NUL in the name, or a character that no file name can have
        raise FileError("FILES_FILE_NAME_IMPOSSIBLE_CHARACTERS", path=str(path)) from error


def read_regular(
    path: str | os.PathLike[str], largest: int, *, inside: Path | None = None, follow: bool = True
) -> bytes:
    """Return the bytes of a regular file; see `open_regular`.

    Raises:
        FileError: it cannot be opened or read, or has more than `largest` bytes.
    """
    with open_regular(path, largest, inside=inside, follow=follow) as file:
        try:
            # In pieces: a read of `largest` bytes would allocate all of them, whatever the size of the file.
            left, piece, parts = largest + 1, os.fstat(file.fileno()).st_size + 1, []
            while left > 0 and (part := file.read(min(left, piece))):
                parts.append(part)
                left, piece = left - len(part), 1 << 20
            content = parts[0] if len(parts) == 1 else b"".join(parts)
        except OSError as error:
            raise unreadable(path, error) from error
    if len(content) > largest:
        raise _too_large(path, largest, f"more than {largest:,}")
    return content


def unreadable(path: str | os.PathLike[str], error: OSError) -> FileError:
    """Return the sentence for a file that the system refuses to read."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileError("FILES_FILE_NOTHING_CHECK_PATH", path=path, missing=error.errno == errno.ENOENT)
    if isinstance(error, PermissionError):
        advice = f"Give yourself permission, as with `chmod u+r {path}`."
        return FileError("FILES_READABLE_FILE_PERMISSION_DENIED", path=path, advice=advice, denied=True)
    return FileError("FILES_READABLE_FILE_COPY_FILE", path=path, value=error.strerror or error)


def open_for_appending(path: Path) -> BinaryIO:
    """Open a regular file at its end, or a new one, without waiting for anything else that has its name.

    Raises:
        FileError: something else has this name, or it may not be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _WRITE | _NO_LINK, 0o666)
    except OSError as error:
        raise unwritable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError("FILES_REGULAR_FILE_MOVE_AWAY", path=path, kind=_kind(path.stat()))
    return os.fdopen(descriptor, "ab")


def unwritable(path: str | os.PathLike[str], error: OSError, kept: str = "") -> FileError:
    """Return the sentence for a file that the system refuses to write, and what is kept of a full disk."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        advice = f"{kept}Free some space, and run the command again."
        return FileError("FILES_ROOM_DISK", path=path, strerror=error.strerror, advice=advice)
    if isinstance(error, PermissionError):
        advice = "Give yourself permission to write there, or name another place."
        return FileError("FILES_WRITABLE_FILE_PERMISSION_DENIED", path=path, advice=advice, denied=True)
    if error.errno == errno.ELOOP:
        return FileError("FILES_REGULAR_FILE_LINK_MOVE", path=path)
    return FileError("FILES_WRITABLE_FILE_NAME_ANOTHER", path=path, value=error.strerror or error)


def write_bytes(path: Path, content: bytes | memoryview, *, sync: bool = True) -> None:
    """Replace a file as a whole: written beside it, synced, renamed.

    Args:
        path: the file.
        content: all of it.
        sync: whether the rename is made to survive a loss of power at once; who writes many files of one folder says
            False and calls `sync_folder` after the last.

    Raises:
        FileError: it cannot be written, as on a full disk; the file then holds what it held before.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        # A new file each time: what has this name already, a link perhaps, is never written through.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _WRITE, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error, "What the file held before is unchanged. ") from error


def write_json(path: Path, content: Any) -> None:
    """Replace a file by JSON; NaN and infinity are refused, because no other reader would take them.

    Raises:
        FileError: it cannot be written.
    """
    write_bytes(path, (json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a loss of power."""
    if os.name == "nt":  # Windows opens no folders, and writes renames through by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _expect_regular(path: Path, status: os.stat_result, largest: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileError("FILES_REGULAR_FILE_PUT_FILE", path=path, kind=_kind(status))
    if status.st_size > largest:
        raise _too_large(path, largest, f"{status.st_size:,}")


def _too_large(path: str | os.PathLike[str], largest: int, found: str) -> FileError:
    return FileError("FILES_MOST_BYTES_SMALLER_FILE", path=path, largest=largest, found=found)


def _kind(status: os.stat_result) -> str:
    return next((name for test, name in _KINDS if test(status.st_mode)), "something else")
