"""The microscope for recurrent networks: every gate of every neuron at every step, exact and checked."""

from gatescope.cells import CELLS, Cell, define
from gatescope.checking import Report, Residual, check
from gatescope.engine import Intervention, ablate, clamp, nudge, patch
from gatescope.network import Configuration, Layer, Network, configure, predict
from gatescope.recording import check_with, record, record_to
from gatescope.runs import Run, find_runs
from gatescope.sampling import Choice, sample
from gatescope.storage import open_trace, save
from gatescope.tasks import TASKS
from gatescope.text import Vocabulary
from gatescope.trace import Trace
from gatescope.training import Settings, create, train
from gatescope.version import __version__

__all__ = [
    "CELLS",
    "TASKS",
    "Cell",
    "Choice",
    "Configuration",
    "Intervention",
    "Layer",
    "Network",
    "Report",
    "Residual",
    "Run",
    "Settings",
    "Trace",
    "Vocabulary",
    "__version__",
    "ablate",
    "check",
    "check_with",
    "clamp",
    "configure",
    "create",
    "define",
    "find_runs",
    "nudge",
    "open_trace",
    "patch",
    "predict",
    "record",
    "record_to",
    "sample",
    "save",
    "train",
]
