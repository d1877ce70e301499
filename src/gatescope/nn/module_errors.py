"""The errors of the modules: of the same types as in torch.nn, so that programs catch them as before."""

from gatescope.errors import GatescopeError


class ModuleError(GatescopeError):
    """Arguments that a module cannot take; a ValueError, as in torch.nn."""


class ModuleRuntimeError(ModuleError, RuntimeError):
    """Arguments for which torch.nn raises a RuntimeError."""


class ModuleIndexError(ModuleError, IndexError):
    """Arguments for which torch.nn raises an IndexError."""
