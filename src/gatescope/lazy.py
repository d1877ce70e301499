"""Submodules that are imported when they are first used, as attributes of their package."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def submodule(package: str, name: str) -> ModuleType:
    """Import a submodule of a package; for the `__getattr__` of the package.

    Raises:
        AttributeError: the package has no such submodule.
    """
    if name.startswith("_") or find_spec(f"{package}.{name}") is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return import_module(f"{package}.{name}")


def submodules(path: Iterable[str]) -> list[str]:
    """Return the names of the public submodules in the folders of a package; for its `__dir__`."""
    return [module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_")]
