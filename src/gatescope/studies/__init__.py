"""The studies: one file, one question, from a trace or a network to a labelled table."""

from types import ModuleType

from gatescope.lazy import submodule, submodules
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.subjects import Subject, features_of, load, save, subject
from gatescope.studies.common.table import StudyError, Table

__all__ = ["Steps", "StudyError", "Subject", "Table", "features_of", "load", "save", "subject"]


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *submodules(__path__)})
