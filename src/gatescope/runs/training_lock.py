"""The lock of a run in training. It ends with the process that holds it, however the process ends.

The lock is filelock's, which is the system's own on every platform. To find out whether it is free, a process takes it
for an instant, on POSIX together with all others that ask: they must not take each other for a training. Windows has no
such shared lock here, so they try more than once. A training tries for longer than any of them holds it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from gatescope.files import FileError, open_for_appending, open_regular, unreadable
from gatescope.runs.run_errors import RunError

LOCK = "training.lock"
MAX_LOCK_BYTES = 1 << 20  # of a lock file that is opened; gatescope writes an empty one
TRAINING_TRIES, QUERY_TRIES = 50, 3
PAUSE_SECONDS = 0.01


@contextmanager
def hold_lock(path: Path) -> Iterator[bool]:
    """Hold a lock file. Yields whether the lock was free.

    Raises:
        FileError: something else has the name of the file, or it cannot be written.
        RunError: the disk has no locks, or the file was moved between its opening and its locking, with its run.
    """
    with open_for_appending(path) as file:
        is_free = _acquire(file, path, TRAINING_TRIES)
        if is_free and not _is_at(file, path):
            raise RunError("RUN_MISSING", path=path.parent)
        yield is_free


def is_locked(path: Path) -> bool:
    """Return whether another process, or another object of this one, holds a lock file."""
    try:
        with open_regular(path, MAX_LOCK_BYTES) as file:
            return not (_acquire(file, path, QUERY_TRIES) if fcntl is None else _share(file))
    except (FileError, RunError, OSError):
        return False


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _share(file: BinaryIO) -> bool:
    """Take the lock together with others that share it. Returns whether no process holds it alone.

    Raises:
        OSError: the disk has no locks.
    """
    assert fcntl is not None
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _acquire(file: BinaryIO, path: Path, tries: int) -> bool:
    for attempt in range(tries):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            if lock_descriptor(file.fileno(), blocking=False):
                return True
        except OSError as error:
            raise RunError("LOCK_UNSUPPORTED", reason=unreadable(path, error).message) from error
    return False
