"""The task sentiment: a class for each text."""

from gatescope.tasks.sentiment.sentiment import Sentiment

__all__ = ["Sentiment"]
