"""The task tagging: a label for every token or frame."""

from gatescope.tasks.tagging.tagging import Tagging

__all__ = ["Tagging"]
