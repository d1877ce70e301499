"""The studies: one file, one question, from a trace or a network to a labelled table."""

from gatescope.studies.steps import Steps
from gatescope.studies.table import StudyError, Table

__all__ = ["Steps", "StudyError", "Table"]
