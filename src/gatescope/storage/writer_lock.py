"""A lock that allows one writer at a time for a trace: a lock on a file next to it, which ends with its process.

The file is removed with the lock. A killed writer leaves the file without a lock, and the next writer takes it over.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from gatescope.files import PARTIAL, FileError, open_for_appending, unwritable
from gatescope.storage.description import sibling
from gatescope.trace import TraceError

MAX_ATTEMPTS = 100  # every writer that removes the file while it is being opened costs one


class Lock:
    """The lock of a trace, held until `release` or until the object is deleted.

    Args:
        directory: the directory of the trace, which need not exist; its parent must exist.

    Raises:
        TraceError: another writer, in this process or another one, holds the lock.
        FileError: the file can be created neither next to the directory nor in it, or the disk has no locks.
    """

    def __init__(self, directory: Path) -> None:
        path = sibling(directory, "lock")
        for _ in range(MAX_ATTEMPTS):
            try:
                file = open_for_appending(path)
            except FileError:
                if path.parent == directory or path.exists() or not directory.is_dir():
                    raise
                path = directory / f"lock{PARTIAL}"  # for a mounted volume, whose parent is read-only
                continue
            if not _try_lock(file, path):
                file.close()
                break
            if _is_at(file, path):
                self.release = weakref.finalize(self, _release, file, path)
                return
            file.close()  # another writer has just removed it
        raise TraceError("WRITER_LOCKED", directory=directory)


def _try_lock(file: BinaryIO, path: Path) -> bool:
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        file.close()
        raise unwritable(path, error) from error


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether the open file still has this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _release(file: BinaryIO, path: Path) -> None:
    removed = _try_remove(path)  # while the lock is held, so that it cannot be the file of another writer
    file.close()
    if not removed:  # Windows does not remove open files, so the file of another writer is safe now
        _try_remove(path)


def _try_remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
