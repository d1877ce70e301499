"""The state of a run: whether it starts, trains, can be resumed, or has ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatescope.runs.training_lock import LOCK, is_locked

WEIGHTS = "weights.safetensors"
START_SECONDS = 60.0  # in which a training reads its data, after it has made the directory and before it locks it


def state_of(path: Path, last: Mapping[str, Any]) -> str:
    """Return the state of the training of a run.

    Args:
        path: the run directory.
        last: the last record of the history; empty if the history is empty.

    Returns:
        "training" if a process trains the run now; "starting" if the directory is new and nothing was trained yet;
        "created" if training has not begun; "interrupted" if it can be resumed; otherwise "finished" or "failed".
    """
    # A training takes the lock before it writes weights. Read in the other order, a start could look like an end.
    has_weights = (path / WEIGHTS).exists()
    if is_locked(path / LOCK):
        return "training"
    if not last and not has_weights:
        return "starting" if is_new(path) else "created"
    if last.get("event") != "end" or last.get("reason") == "interrupted":
        return "interrupted"
    return "failed" if last.get("reason") == "failed" else "finished"


def is_new(path: Path) -> bool:
    """Return whether a run directory was made a moment ago.

    Args:
        path: the run directory.
    """
    try:
        age_seconds = time.time() - (path / "network.json").stat().st_mtime
    except OSError:
        return False
    return 0 <= age_seconds < START_SECONDS
