"""The next steps of a series."""

from gatescope.tasks.forecasting.forecasting import Forecasting

__all__ = ["Forecasting"]
