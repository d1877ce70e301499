"""Trainings in processes of their own, for tests that begin some."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from gatescope import Run
from gatescope.runs.training_request import PAUSE, REQUEST


def folder_of_trainings(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty folder of runs, and end the trainings in it afterwards."""
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        run = Run(path)
        while run.exists and run.is_training:
            (path / REQUEST).write_text(PAUSE)
            time.sleep(0.05)
