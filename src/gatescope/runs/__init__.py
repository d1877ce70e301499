"""The run directory: everything that a training writes."""

from gatescope.runs.find import find_runs
from gatescope.runs.run import HISTORY, LOCK, SAMPLES, STUDIES, WEIGHTS, Checkpoint, Run, check_run
from gatescope.runs.run_errors import RunError

__all__ = [
    "HISTORY",
    "LOCK",
    "SAMPLES",
    "STUDIES",
    "WEIGHTS",
    "Checkpoint",
    "Run",
    "RunError",
    "check_run",
    "find_runs",
]
