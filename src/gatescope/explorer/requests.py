"""Requests that cannot be served, and how what they hold is quoted."""

from __future__ import annotations

from typing import Any

from gatescope.errors import GatescopeError
from gatescope.messages import Message

QUOTED_CHARACTERS = 60


class RequestError(GatescopeError):
    """A request that cannot be served; the message goes to the page as it is.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, message: str | Message, /, *, status: int = 400, **values: Any) -> None:
        super().__init__(message, **values)
        self.status = status


def quoted(value: Any) -> str:
    """A value of a request as a message quotes it: a long one is cut."""
    if not isinstance(value, str | int | float | bool | None):
        return {dict: "an object", list: "a list"}.get(type(value), f"a {type(value).__name__}")
    # Python writes no integer of more than 4,300 digits; a JSON text can hold one.
    text = "a very large number" if type(value) is int and value.bit_length() > 4096 else repr(value)
    return text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]}…"
