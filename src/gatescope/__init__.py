"""The microscope for recurrent networks: every gate of every neuron at every step, exact and checked."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gatescope.lazy import submodule, submodules
from gatescope.version import __version__

# A name is imported when it is first used, so that `import gatescope`, and with it `gatescope --help`, does not wait
# for torch. Type checkers and editors read the imports below; tests/test_public_names.py holds the two lists together.
if TYPE_CHECKING:
    from gatescope.adopting import Adoption, adopt, from_keras, from_onnx, from_safetensors, from_torch, unpack_run
    from gatescope.cells import CELLS, Cell, define
    from gatescope.checking import Report, Residual, check
    from gatescope.configuration import Configuration, Layer, configure
    from gatescope.engine import Intervention, ablate, clamp, nudge, patch
    from gatescope.errors import GatescopeError
    from gatescope.explorer.notebook import explore
    from gatescope.features import feature, pattern
    from gatescope.network import Network
    from gatescope.recording import check_with, record, record_to
    from gatescope.runs import Run, find_runs
    from gatescope.sampling import Choice, sample
    from gatescope.storage import open_trace, save_trace
    from gatescope.studies.predictions import Predictions, predict
    from gatescope.tasks import TASKS
    from gatescope.trace import Trace
    from gatescope.training import Settings, create_run, train
    from gatescope.vocabulary import Vocabulary
    from gatescope.watching import watch

_NAMES = {
    "adopting": ("Adoption", "adopt", "from_keras", "from_onnx", "from_safetensors", "from_torch", "unpack_run"),
    "cells": ("CELLS", "Cell", "define"),
    "checking": ("Report", "Residual", "check"),
    "engine": ("Intervention", "ablate", "clamp", "nudge", "patch"),
    "errors": ("GatescopeError",),
    "explorer.notebook": ("explore",),
    "features": ("feature", "pattern"),
    "configuration": ("Configuration", "Layer", "configure"),
    "network": ("Network",),
    "recording": ("check_with", "record", "record_to"),
    "runs": ("Run", "find_runs"),
    "sampling": ("Choice", "sample"),
    "storage": ("open_trace", "save_trace"),
    "studies.predictions": ("Predictions", "predict"),
    "tasks": ("TASKS",),
    "vocabulary": ("Vocabulary",),
    "trace": ("Trace",),
    "training": ("Settings", "create_run", "train"),
    "watching": ("watch",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "CELLS",
    "TASKS",
    "Adoption",
    "Cell",
    "Choice",
    "Configuration",
    "GatescopeError",
    "Intervention",
    "Layer",
    "Network",
    "Predictions",
    "Report",
    "Residual",
    "Run",
    "Settings",
    "Trace",
    "Vocabulary",
    "__version__",
    "ablate",
    "adopt",
    "check",
    "check_with",
    "clamp",
    "configure",
    "create_run",
    "define",
    "explore",
    "feature",
    "find_runs",
    "from_keras",
    "from_onnx",
    "from_safetensors",
    "from_torch",
    "nudge",
    "open_trace",
    "patch",
    "pattern",
    "predict",
    "record",
    "record_to",
    "sample",
    "save_trace",
    "train",
    "unpack_run",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    return submodule(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *submodules(__path__)})
