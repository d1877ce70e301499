"""Small JSON files in a run that people write on the page: read with bounds, and edited under a lock.

Two pages, or two servers, may edit the same file. Each edit reads the file, changes it and replaces it while it holds
`edits.lock`, so that none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatescope.runs.records import parse, shortened
from gatescope.runs.run_errors import RunError, file_errors, read_if_any
from gatescope.runs.training_lock import hold_lock

EDITS_LOCK = "edits.lock"
FORMAT = 1


def read_entries(path: Path, key: str, max_bytes: int) -> list[Any]:
    """Return the list of a file; an empty one if the file does not exist.

    Args:
        path: the file, directly inside its run.
        key: the name of the list.
        max_bytes: the most bytes that the file may have.

    Raises:
        RunError: the file cannot be read, is too large, damaged or of a newer version.
    """
    content = read_if_any(path, max_bytes)
    if content is None:
        return []
    try:
        data = parse(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RunError("RUN_JSON_INVALID", path=path, reason=shortened(error).rstrip(".")) from error
    version = data.get("format") if isinstance(data, dict) else None
    if type(version) is int and version > FORMAT:
        raise RunError("RUN_FORMAT_NEWER", path=path, newest=FORMAT, version=version)
    entries = data.get(key) if isinstance(data, dict) else None
    if type(version) is not int or version != FORMAT or not isinstance(entries, list):
        raise RunError("RUN_EDITS_DAMAGED", path=path, what=key)
    return entries


@contextmanager
def edits(run: Path) -> Iterator[None]:
    """Hold the lock of the edits of a run.

    Args:
        run: the run directory.

    Raises:
        RunError: the directory is no run or a link to one, somebody else holds the lock, or the folder cannot be
            written.
    """
    check_editable(run)
    with file_errors(run / EDITS_LOCK), hold_lock(run / EDITS_LOCK) as free:
        if not free:
            raise RunError("RUN_IN_EDIT", path=run)
        yield


def check_editable(run: Path) -> None:
    """Check that a directory is a run of its own, not a link that leads out of its folder.

    Args:
        run: the run directory.

    Raises:
        RunError: it is a link, or no run.
    """
    if run.is_symlink():
        raise RunError("RUN_IS_LINK", path=run)
    if not (run / "network.json").is_file():
        raise RunError("RUN_MISSING", path=run)
