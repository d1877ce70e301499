"""One writer at a time for the place of a trace: a lock on a file beside it, which ends with the process that holds it.

The file is removed with the lock. A killed writer leaves it, empty and free, and the next writer takes it over.
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

TRIES = 100  # each writer that leaves while its file is opened costs one


class Lock:
    """Holds the place of a trace until `release`, or until nobody holds the lock any more.

    Args:
        directory: of the trace, whether it exists or not; its parent exists.

    Raises:
        TraceError: another writer, of this process or of another one, holds it.
        FileError: the lock can be put neither beside the directory nor into it, or the disk has no locks.
    """

    def __init__(self, directory: Path) -> None:
        path = sibling(directory, "lock")
        for _ in range(TRIES):
            try:
                file = open_for_appending(path)
            except FileError:
                if path.parent == directory or path.exists() or not directory.is_dir():
                    raise
                path = directory / f"lock{PARTIAL}"  # as where a volume is mounted, whose parent cannot be written
                continue
            if not _locked(file, path):
                file.close()
                break
            if _is_at(file, path):
                self.release = weakref.finalize(self, _release, file, path)
                return
            file.close()  # its writer has just removed it
        raise TraceError("LOCK_OTHER_WRITER_WORK_WAIT", directory=directory)


def _locked(file: BinaryIO, path: Path) -> bool:
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        file.close()
        raise unwritable(path, error) from error


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _release(file: BinaryIO, path: Path) -> None:
    removed = _removed(path)  # while the lock is held, so that it is nobody else's
    file.close()
    if not removed:  # Windows keeps open files, and so nobody else's can be removed now
        _removed(path)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
