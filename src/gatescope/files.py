"""Opening files from elsewhere safely, and writing files so that a killed process leaves them whole.

All files of runs, traces and foreign networks are opened by `open_regular`: a named pipe, a socket, a device or a
folder is refused without waiting for it, and a file that is too large before a byte of it is read.
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

PARTIAL = ".partial"  # suffix of a file that is still being written

# O_NONBLOCK: do not wait for a named pipe that replaced the file after its status was read. Windows has neither flag.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_WRITE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_KINDS = (
    (stat.S_ISDIR, "FILE_IS_FOLDER"),
    (stat.S_ISFIFO, "FILE_IS_PIPE"),
    (stat.S_ISSOCK, "FILE_IS_SOCKET"),
    (stat.S_ISCHR, "FILE_IS_DEVICE"),
    (stat.S_ISBLK, "FILE_IS_DEVICE"),
    (stat.S_ISLNK, "FILE_IS_LINK"),
)


class FileError(GatescopeError):
    """A file that cannot be read or written; the message names the file and the reason.

    Attributes:
        missing: whether the file does not exist.
        denied: whether only a permission is missing.
    """

    def __init__(
        self, message: str | Message, /, *, missing: bool = False, denied: bool = False, **values: Any
    ) -> None:
        super().__init__(message, **values)
        self.missing, self.denied = missing, denied


def open_regular(
    path: str | os.PathLike[str], largest: int, *, inside: Path | None = None, follow: bool = True
) -> BinaryIO:
    """Open a regular file for reading, without waiting for a pipe or a device of this name.

    Args:
        path: the file.
        largest: the most bytes that the file may have.
        inside: a folder that links must not leave.
        follow: whether the file itself may be a link.

    Returns:
        The open file. Its reader must bound how much it reads, because the file can grow.

    Raises:
        FileError: the file does not exist, is not regular, is too large, is outside, or may not be read.
    """
    try:
        file = Path(path)
        _check_regular(file, file.stat(follow_symlinks=follow), largest)
        if inside is not None and not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(inside)):
            raise FileError("FILE_OUTSIDE", path=file, folder=inside, target=os.path.realpath(file))
        descriptor = os.open(file, _READ | (0 if follow else _NO_LINK))
        try:
            _check_regular(file, os.fstat(descriptor), largest)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise unreadable(path, error) from error
    except FileError:
        raise
    except ValueError as error:  # NUL or another character that file names cannot have
        raise FileError("FILE_NAME_INVALID", path=str(path)) from error


def read_regular(
    path: str | os.PathLike[str], largest: int, *, inside: Path | None = None, follow: bool = True
) -> bytes:
    """Return the content of a regular file.

    Args:
        path: as in `open_regular`.
        largest: as in `open_regular`.
        inside: as in `open_regular`.
        follow: as in `open_regular`.

    Raises:
        FileError: the file cannot be opened or read, or has more than `largest` bytes.
    """
    with open_regular(path, largest, inside=inside, follow=follow) as file:
        try:
            # Read in pieces, because file.read(largest) allocates all these bytes, whatever the size of the file.
            left, piece, parts = largest + 1, os.fstat(file.fileno()).st_size + 1, []
            while left > 0 and (part := file.read(min(left, piece))):
                parts.append(part)
                left, piece = left - len(part), 1 << 20
            content = parts[0] if len(parts) == 1 else b"".join(parts)
        except OSError as error:
            raise unreadable(path, error) from error
    if len(content) > largest:
        raise FileError("FILE_GROWN_TOO_LARGE", path=path, most=largest)
    return content


def unreadable(path: str | os.PathLike[str], error: OSError) -> FileError:
    """Return the error for a file that the system refuses to read.

    Args:
        path: the file.
        error: the error of the system.
    """
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileError("FILE_NOT_FOUND", path=path, missing=error.errno == errno.ENOENT)
    if isinstance(error, PermissionError):
        return FileError("FILE_READ_DENIED", path=path, denied=True)
    return FileError("FILE_UNREADABLE", path=path, reason=error.strerror or error)


def open_for_appending(path: Path) -> BinaryIO:
    """Open a regular file at its end, or create it, without waiting for a pipe or a device of this name.

    Args:
        path: the file.

    Raises:
        FileError: something else has this name, or the file may not be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _WRITE | _NO_LINK, 0o666)
    except OSError as error:
        raise unwritable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileError(_code_of(path.stat()), path=path)
    return os.fdopen(descriptor, "ab")


def unwritable(path: str | os.PathLike[str], error: OSError, *, unchanged: bool = False) -> FileError:
    """Return the error for a file that the system refuses to write.

    Args:
        path: the file.
        error: the error of the system.
        unchanged: whether the file has kept its previous content.
    """
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        code = "DISK_FULL_FILE_UNCHANGED" if unchanged else "DISK_FULL"
        return FileError(code, path=path, reason=error.strerror)
    if isinstance(error, PermissionError):
        return FileError("FILE_WRITE_DENIED", path=path, denied=True)
    if error.errno == errno.ELOOP:
        return FileError("FILE_IS_LINK", path=path)
    return FileError("FILE_UNWRITABLE", path=path, reason=error.strerror or error)


def write_bytes(path: Path, content: bytes | memoryview, *, sync: bool = True) -> None:
    """Replace a file atomically: write a file next to it, sync it and rename it.

    Args:
        path: the file.
        content: its new content.
        sync: whether the rename must survive a loss of power at once. To write many files of one folder, pass False and
            call `sync_folder` after the last one.

    Raises:
        FileError: the file cannot be written, for example on a full disk; it then keeps its previous content.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        # Creates a new file, so that nothing is ever written through a link that has this name.
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
        raise unwritable(path, error, unchanged=True) from error


def write_json(path: Path, content: Any) -> None:
    """Replace a file by JSON. NaN and infinity are refused, because other readers do not accept them.

    Args:
        path: the file.
        content: a value that JSON can hold.

    Raises:
        FileError: the file cannot be written.
    """
    write_bytes(path, (json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder survive a loss of power."""
    if os.name == "nt":  # Windows cannot open folders, and writes renames to disk by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_regular(path: Path, status: os.stat_result, largest: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileError(_code_of(status), path=path)
    if status.st_size > largest:
        raise FileError("FILE_TOO_LARGE", path=path, most=largest, size=status.st_size)


def _code_of(status: os.stat_result) -> str:
    """Return the code of the error for a file that is not regular."""
    return next((code for test, code in _KINDS if test(status.st_mode)), "FILE_IS_SPECIAL")
