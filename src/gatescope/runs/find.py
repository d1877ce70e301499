"""The search for run directories."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gatescope.runs.run import Run
from gatescope.runs.run_errors import RunError


def find_runs(places: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Run]:
    """Find the runs among directories: each directory that is a run, and the runs directly inside each other one.

    Args:
        places: one directory, or several.

    Raises:
        RunError: a place is not a path.
    """
    try:
        paths = [Path(places)] if isinstance(places, str | os.PathLike) else [Path(place) for place in places]
    except TypeError as error:
        raise RunError("RUN_PLACES_INVALID", type=type(places).__name__) from error
    runs: dict[Path, Run] = {}
    for path in paths:
        candidates = [path] if Run(path).exists else sorted(path.glob("*/")) if path.is_dir() else []
        for candidate in candidates:
            # A hidden folder is the trash, or a run that is being written.
            if Run(candidate).exists and not (candidate != path and candidate.name.startswith(".")):
                runs.setdefault(candidate.resolve(), Run(candidate))
    return list(runs.values())
