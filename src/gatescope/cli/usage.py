"""Errors about what was typed: names that do not exist, and options that do not fit."""

from __future__ import annotations

from collections.abc import Iterable

from gatescope.errors import GatescopeError
from gatescope.names import unknown


class UsageError(GatescopeError):
    """An unknown name, or options that do not go together."""


def unknown_name(what: str, name: object, known_names: Iterable[object]) -> UsageError:
    """Return the error for an unknown name, with the known names and the closest one.

    Args:
        what: the kind of thing, such as "Layer".
        name: the name that was typed.
        known_names: every name of this kind.
    """
    return UsageError(unknown(what, name, known_names))


def check_at_least_one(**options: int | None) -> None:
    """Refuse counts below 1. An option that was not given is None.

    Raises:
        UsageError: a count is below 1.
    """
    for name, count in options.items():
        if count is not None and count < 1:
            raise UsageError("CLI_OPTION_TOO_SMALL", option=name.replace("_", "-"), count=count)
