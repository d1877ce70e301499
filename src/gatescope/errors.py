"""The one base of every error that a person can do something about, and how a message spells a setting."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_AS_OPTIONS: ContextVar[bool] = ContextVar("as_options", default=False)


class GatescopeError(ValueError):
    """What was given cannot be used; the message is for a person and says what to do.

    Every error of the package derives from it, so that the command line and the explorer can tell a wrong input,
    which gets one sentence, from a fault of the program, which gets a report.
    """


def setting(name: str, value: bool | float | str | None = True) -> str:
    """Return a setting as the reader of a message types it.

    Args:
        name: the keyword of the Python call. The option has the same name, with hyphens.
        value: the suggested value; True: a flag; None: the reader chooses the value.

    Returns:
        `skip_bad=True` or `encoding='cp1252'` in Python, `--skip-bad` or `--encoding cp1252` at the command line.
    """
    if not _AS_OPTIONS.get():
        return f"{name}={'...' if value is None else repr(value)}"
    option = f"--{name.replace('_', '-')}"
    return option if value is None or value is True else f"{option} {shlex.quote(str(value))}"


@contextmanager
def settings_as_options() -> Iterator[None]:
    """Let `setting` spell options of the command line while the block runs."""
    token = _AS_OPTIONS.set(True)
    try:
        yield
    finally:
        _AS_OPTIONS.reset(token)
