"""Sentences as JSON: the English text, and the code and the values by which the page writes it in another language."""

from __future__ import annotations

import math
from typing import Any

from gatescope.messages import Message, english


def error_json(sentence: Message) -> dict[str, Any]:
    """Return an error as the page reads it.

    Args:
        sentence: the message.

    Returns:
        `error`, the English sentence; `code`, null if the sentence is not one of the catalogue; and `values`, in which
        a sentence within the sentence is an object with the same three fields.
    """
    if sentence.code not in english():
        return {"error": str(sentence), "code": None, "values": {}}
    values = {name: _value(value) for name, value in sentence.values.items()}
    return {"error": str(sentence), "code": sentence.code, "values": values}


def _value(value: Any) -> Any:
    """Return a value of a sentence as JSON."""
    message = getattr(value, "message", value)  # an error stands in another one
    if isinstance(message, Message):
        return error_json(message)
    if value is None or isinstance(value, bool | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and abs(value) < 1 << 53:
        return value
    return str(value)
