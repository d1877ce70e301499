"""The errors of the engines."""

from gatescope.errors import GatescopeError


class EngineError(GatescopeError):
    """Arguments of a run that do not fit the cell, the layer or each other."""


class DerivativeError(EngineError, RuntimeError):
    """A derivative that the native engine cannot compute."""
