"""Writing files so that a killed process leaves the old content or the new one, never half of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

PARTIAL = ".partial"  # ends the name of a file that is still being written


def write_bytes(path: Path, content: bytes | memoryview, *, sync: bool = True) -> None:
    """Replace a file as a whole: written beside it, synced, renamed.

    Args:
        path: the file.
        content: all of it.
        sync: whether the rename is made to survive a loss of power at once; who writes many files of one folder says
            False and calls `sync_folder` after the last.
    """
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    if sync:
        sync_folder(path.parent)


def write_json(path: Path, content: Any) -> None:
    """Replace a file by JSON; NaN and infinity are refused, because no other reader would take them."""
    write_bytes(path, (json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
