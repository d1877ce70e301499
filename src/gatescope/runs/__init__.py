"""The run directory: everything that a training leaves behind."""

from gatescope.runs.errors import RunError
from gatescope.runs.run import HISTORY, LOCK, SAMPLES, STUDIES, WEIGHTS, Checkpoint, Run, find_runs

__all__ = ["HISTORY", "LOCK", "SAMPLES", "STUDIES", "WEIGHTS", "Checkpoint", "Run", "RunError", "find_runs"]
