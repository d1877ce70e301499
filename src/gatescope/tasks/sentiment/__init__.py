"""A class for each text."""

from gatescope.tasks.sentiment.sentiment import Sentiment

__all__ = ["Sentiment"]
