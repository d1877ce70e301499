"""The lock of a run in training: it ends with the process that holds it, however the process ends.

The lock is filelock's, the system's own on every platform. A process that only looks takes it for an instant; whoever
wants to train tries for longer than that, and whoever looks looks more than once, so that two of them do not take each
other for a training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from gatescope.files import FileError, open_for_appending, open_regular, unreadable
from gatescope.runs.errors import RunError

LOCK_BYTES = 1 << 20  # of a lock file that is opened: it is empty when we make it
TRAINER_TRIES, LOOKER_TRIES = 50, 3
PAUSE_SECONDS = 0.01


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock file. Yields whether the lock was free.

    Raises:
        FileError: something else has its name, or it cannot be written.
        RunError: the disk has no locks.
    """
    with open_for_appending(path) as file:
        yield _acquired(file, path, TRAINER_TRIES)


def is_held(path: Path) -> bool:
    """Return whether another process, or another object of this one, holds a lock file."""
    try:
        with open_regular(path, LOCK_BYTES) as file:
            return not _acquired(file, path, LOOKER_TRIES)
    except (FileError, RunError):
        return False


def _acquired(file: BinaryIO, path: Path, tries: int) -> bool:
    for attempt in range(tries):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            if lock_descriptor(file.fileno(), blocking=False):
                return True
        except OSError as error:
            raise RunError("LOCK_RUN_TRAINED_DISK_FILE", unreadable=unreadable(path, error)) from error
    return False
