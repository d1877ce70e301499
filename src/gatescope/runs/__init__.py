"""The run directory: everything that a training writes."""

from gatescope.runs.errors import RunError
from gatescope.runs.find import find_runs
from gatescope.runs.run import HISTORY, LOCK, SAMPLES, STUDIES, WEIGHTS, Checkpoint, Run

__all__ = ["HISTORY", "LOCK", "SAMPLES", "STUDIES", "WEIGHTS", "Checkpoint", "Run", "RunError", "find_runs"]
