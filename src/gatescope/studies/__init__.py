"""The studies: one file, one question, from a trace or a network to a labelled table."""

from gatescope.studies.steps import Steps
from gatescope.studies.subjects import Subject, features_of, keep, kept, subject
from gatescope.studies.table import StudyError, Table

__all__ = ["Steps", "StudyError", "Subject", "Table", "features_of", "keep", "kept", "subject"]
