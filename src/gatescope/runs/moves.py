"""Renaming and deleting runs, each by one rename of the whole directory, so that nothing trained is ever lost.

A deleted run moves to `.trash/<time>-<number>/<name>` of its folder, from where `restore_run` takes it back. Only
`empty_trash` removes anything. A process that is killed in between leaves the whole run in one of the two places.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatescope.files import sync_folder
from gatescope.runs.edited_json import check_editable
from gatescope.runs.run_errors import RunError, file_errors
from gatescope.runs.run_names import check_run_name
from gatescope.runs.states import WEIGHTS, is_new
from gatescope.runs.training_lock import LOCK, hold_lock, is_locked

TRASH = ".trash"
ENTRY = re.compile(r"(\d{8}T\d{6})Z-[0-9a-f]{8}")
EMPTYING = ".emptying"  # suffix of a run that is being removed for good


@dataclass(frozen=True)
class DeletedRun:
    """A run in the trash.

    Attributes:
        id: the name of its place in the trash, which begins with the time.
        name: the name that it had.
        deleted: when it was deleted, as in "2026-01-31T12:00:00Z".
        path: where it is.
    """

    id: str
    name: str
    deleted: str
    path: Path

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        return {"id": self.id, "name": self.name, "deleted": self.deleted}


def rename_run(run: Path, name: str) -> Path:
    """Give a run another name in its folder.

    Args:
        run: the run directory.
        name: the new name.

    Returns:
        The new directory.

    Raises:
        RunError: the name is taken or cannot be given, the run is in training, or it may not be moved.
    """
    check_run_name(name)
    target = run.parent / name
    if _is_taken(target, run):
        raise RunError("RUN_NAME_TAKEN", name=name)
    with _moving(run):
        _move(run, target)
    return target


def delete_run(run: Path) -> DeletedRun:
    """Move a run to the trash of its folder.

    Args:
        run: the run directory.

    Raises:
        RunError: the run is in training, or may not be moved.
    """
    with _moving(run):
        trash = _trash_of(run.parent, create=True)
        now = datetime.now(UTC)
        entry = trash / f"{now:%Y%m%dT%H%M%S}Z-{secrets.token_hex(4)}"
        with file_errors(trash):
            entry.mkdir()
        try:
            _move(run, entry / run.name)
        except BaseException:
            with suppress(OSError):
                entry.rmdir()  # fails if the run is in it
            raise
    return DeletedRun(entry.name, run.name, f"{now:%Y-%m-%dT%H:%M:%SZ}", entry / run.name)


def deleted_runs(folder: Path) -> list[DeletedRun]:
    """Return the runs in the trash of a folder, the last deleted one first.

    Args:
        folder: the folder of runs.

    Raises:
        RunError: the trash is no folder of this user, or cannot be read.
    """
    trash = folder / TRASH
    if not os.path.lexists(trash):
        return []
    _trash_of(folder, create=False)
    deleted = []
    with file_errors(trash):
        for entry in sorted(trash.iterdir(), reverse=True):
            match = ENTRY.fullmatch(entry.name)
            if match is None or entry.is_symlink() or not entry.is_dir():
                continue
            when = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            for path in sorted(entry.iterdir()):
                if path.is_dir() and not path.is_symlink():
                    deleted.append(DeletedRun(entry.name, path.name, f"{when:%Y-%m-%dT%H:%M:%SZ}", path))
    return deleted


def restore_run(folder: Path, entry_id: str, name: str | None = None) -> Path:
    """Take a run out of the trash.

    Args:
        folder: the folder of runs.
        entry_id: the id of the deleted run.
        name: a name for it; None: the one that it had.

    Returns:
        The run directory.

    Raises:
        RunError: there is no such run in the trash, or its name is taken.
    """
    deleted = next((run for run in deleted_runs(folder) if run.id == entry_id), None)
    if deleted is None:
        raise RunError("TRASH_RUN_UNKNOWN", folder=folder)
    if name is not None:
        check_run_name(name)
    target = folder / (deleted.name if name is None else name)
    if os.path.lexists(target):
        raise RunError("RUN_NAME_TAKEN", name=target.name)
    _move(deleted.path, target)
    with suppress(OSError):
        deleted.path.parent.rmdir()
    return target


def empty_trash(folder: Path) -> int:
    """Remove the runs in the trash of a folder for good.

    Args:
        folder: the folder of runs.

    Returns:
        The number of runs that were removed.

    Raises:
        RunError: the trash is no folder of this user, or a run in it cannot be removed.
    """
    removed = 0
    entries = dict.fromkeys(run.path.parent for run in deleted_runs(folder))
    for entry in entries:
        # A removal that is killed half way must not leave half a run that could be restored.
        doomed = entry.with_name(entry.name + EMPTYING)
        with file_errors(entry):
            entry.rename(doomed)
        removed += 1
    trash = folder / TRASH
    with file_errors(trash):
        for left in trash.iterdir() if trash.is_dir() else ():
            is_entry = ENTRY.fullmatch(left.name.removesuffix(EMPTYING)) is not None
            if is_entry and not left.is_symlink() and left.is_dir():
                if left.name.endswith(EMPTYING):
                    shutil.rmtree(left)
                else:
                    with suppress(OSError):
                        left.rmdir()  # an empty place, which a killed process left
    return removed


def _is_taken(target: Path, run: Path) -> bool:
    """Return whether a name is taken by something else; a disk may not distinguish capitals."""
    return os.path.lexists(target) and not (target.exists() and run.exists() and target.samefile(run))


@contextmanager
def _moving(run: Path) -> Iterator[None]:
    """Hold the lock of the training of a run while the run moves."""
    check_editable(run)
    _check_owner(run)
    if not (run / WEIGHTS).exists() and is_new(run):
        raise RunError("RUN_MOVE_IN_TRAINING", name=run.name)  # a training that starts has not locked it yet
    # Windows moves no folder with an open file in it; there, the lock file of a training keeps the run in its place.
    if os.name == "nt":
        if is_locked(run / LOCK):
            raise RunError("RUN_MOVE_IN_TRAINING", name=run.name)
        yield
        return
    with file_errors(run), hold_lock(run / LOCK) as free:
        if not free:
            raise RunError("RUN_MOVE_IN_TRAINING", name=run.name)
        yield


def _move(source: Path, target: Path) -> None:
    """Move a directory by one rename, which happens wholly or not at all.

    Raises:
        RunError: the system refuses it. The directory is where it was.
    """
    try:
        # A rename replaces an empty folder of that name at most, and never one that has a file in it.
        source.rename(target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EBUSY):
            raise RunError("RUN_MOVE_DISK", path=source) from error
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise RunError("RUN_NAME_TAKEN", name=target.name) from error
        if error.errno == errno.ENOENT:
            raise RunError("RUN_MISSING", path=source) from error
        raise RunError("RUN_MOVE_REFUSED", path=source, reason=error.strerror or error) from error
    with suppress(OSError):  # the move is done; only a loss of power could still undo it
        sync_folder(target.parent)
        sync_folder(source.parent)


def _trash_of(folder: Path, *, create: bool) -> Path:
    """Return the trash of a folder of runs.

    Raises:
        RunError: something else has its name, or it belongs to somebody else.
    """
    trash = folder / TRASH
    with file_errors(trash):
        if create:
            with suppress(FileExistsError):
                trash.mkdir()
        if not stat.S_ISDIR(trash.lstat().st_mode):
            raise RunError("TRASH_NO_FOLDER", path=trash)
    _check_owner(trash)
    return trash


def _check_owner(folder: Path) -> None:
    """Refuse a folder of another user, who could change it while it moves.

    Raises:
        RunError: the folder belongs to another user, or is gone.
    """
    try:
        status = folder.stat()
    except OSError as error:
        raise RunError("RUN_MISSING", path=folder) from error
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise RunError("RUN_OF_OTHER_USER", path=folder)
