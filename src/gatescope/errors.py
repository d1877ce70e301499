"""The base class of all errors that a user can resolve, and the spelling of settings in messages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from gatescope.messages import Message

_AS_OPTIONS: ContextVar[bool] = ContextVar("as_options", default=False)


class GatescopeError(ValueError):
    """The base class of all errors that a user can resolve.

    The command line and the explorer show its message alone. Any other exception is a bug of the program and is shown
    with a report.

    Args:
        message: a code of the message catalogue, a Message, or, for errors of your own, a sentence.
        **values: the named values of the sentence.

    Attributes:
        code: the code of the sentence, such as "UNKNOWN_NAME".
        values: name -> value.
    """

    def __init__(self, message: str | Message, /, **values: Any) -> None:
        if not isinstance(message, Message):
            message = Message(message, **values)
        self.message = message
        super().__init__(message)

    @property
    def code(self) -> str:
        """Return the code of the sentence."""
        return self.message.code

    @property
    def values(self) -> dict[str, Any]:
        """Return the named values of the sentence."""
        return self.message.values

    def __str__(self) -> str:
        # The sentence is formatted when someone reads it: many errors are caught and never shown.
        return str(self.message)


def setting(name: str, value: bool | float | str | None = True) -> str:
    """Return a setting as the user types it: as a keyword or as an option.

    Args:
        name: the keyword in Python. The option has the same name with hyphens.
        value: the suggested value. True means a flag, and None any value of the user's choice.

    Returns:
        `skip_bad=True` or `encoding='cp1252'` in Python, `--skip-bad` or `--encoding cp1252` at the command line.
    """
    if not _AS_OPTIONS.get():
        return f"{name}={'...' if value is None else repr(value)}"
    option = f"--{name.replace('_', '-')}"
    return option if value is None or value is True else f"{option} {shlex.quote(str(value))}"


@contextmanager
def settings_as_options() -> Iterator[None]:
    """Let `setting` return options of the command line inside the block."""
    token = _AS_OPTIONS.set(True)
    try:
        yield
    finally:
        _AS_OPTIONS.reset(token)
