"""The error of run directories."""

from gatescope.errors import GatescopeError


class RunError(GatescopeError):
    """A run directory cannot be used as it is; the message says which file, what is wrong, and what to do."""
