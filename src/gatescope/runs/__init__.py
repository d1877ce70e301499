"""The run directory: everything that a training writes."""

from gatescope.runs.find import find_runs
from gatescope.runs.run import HISTORY, LOCK, SAMPLES, STUDIES, WEIGHTS, Checkpoint, Run, check_run
from gatescope.runs.run_errors import RunError
from gatescope.runs.run_findings import Finding

__all__ = [
    "HISTORY",
    "LOCK",
    "SAMPLES",
    "STUDIES",
    "WEIGHTS",
    "Checkpoint",
    "Finding",
    "Run",
    "RunError",
    "check_run",
    "find_runs",
]
