"""Requests of the page: one parser for all of them, and the error for a request that cannot be served."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatescope.errors import GatescopeError
from gatescope.messages import Message

QUOTED_CHARACTERS = 60
QUOTED_FIELDS = 9
REQUIRED = object()
"""The default of a field that a request must have."""

_KINDS = {
    str: "REQUEST_KIND_TEXT",
    bool: "REQUEST_KIND_BOOLEAN",
    int: "REQUEST_KIND_INTEGER",
    float: "REQUEST_KIND_NUMBER",
    dict: "REQUEST_KIND_OBJECT",
}


class RequestError(GatescopeError):
    """A request that cannot be served.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, message: str | Message, /, *, status: int = 400, **values: Any) -> None:
        super().__init__(message, **values)
        self.status = status


@dataclass(frozen=True)
class Field:
    """One field of a request.

    Attributes:
        kind: str, bool, int, float or dict. A float field also takes integers; both must be finite.
        default: the value of a missing field; REQUIRED if the request must have it.
        nullable: whether null is accepted.
        is_list: whether the field is a list of values of this kind, which becomes a tuple.
        max_items: the longest list that is accepted.
        choices: the accepted values; empty for every value of the kind.
    """

    kind: type
    default: Any = REQUIRED
    nullable: bool = False
    is_list: bool = False
    max_items: int | None = None
    choices: tuple[str, ...] = ()

    def parse(self, value: Any) -> Any:
        """Return the value of the field.

        Raises:
            ValueError: the field does not accept the value.
        """
        if value is None and self.nullable:
            return None
        if not self.is_list:
            self._check(value)
            return value
        if not isinstance(value, list) or (self.max_items is not None and len(value) > self.max_items):
            raise ValueError
        for item in value:
            self._check(item)
        return tuple(value)

    def _check(self, value: Any) -> None:
        is_number = self.kind is float and type(value) in (int, float)
        if (type(value) is not self.kind and not is_number) or (self.choices and value not in self.choices):
            raise ValueError
        # JSON can hold integers that are too large for a float.
        if is_number and not (math.isfinite(value) if isinstance(value, float) else abs(value) < 1 << 1000):
            raise ValueError

    def description(self) -> str | Message:
        """Describe the accepted values."""
        if self.choices:
            return ", ".join(self.choices)
        kind = Message(_KINDS[self.kind])
        if self.is_list and self.max_items is None:
            kind = Message("REQUEST_KIND_LIST", kind=kind)
        elif self.is_list:
            kind = Message("REQUEST_KIND_SHORT_LIST", kind=kind, max_items=self.max_items)
        return Message("REQUEST_KIND_OR_NULL", kind=kind) if self.nullable else kind


CHECKPOINT = Field(int, default=None, nullable=True)
"""The training step of the weights; null or missing for the best weights."""


def parse_request(endpoint: str, data: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the value of every field of a request.

    Args:
        endpoint: the last part of the address, such as "trace".
        data: the JSON value that was sent.
        fields: name -> field.

    Raises:
        RequestError: the value is not an object, or a field is missing, unknown or has an impossible value.
    """
    if not isinstance(data, dict):
        raise RequestError("REQUEST_NOT_OBJECT", endpoint=endpoint, fields=", ".join(fields), value=quoted(data))
    if unknown := sorted(set(data) - set(fields)):
        names = ", ".join(map(quoted, unknown[:QUOTED_FIELDS]))
        raise RequestError("REQUEST_FIELD_UNKNOWN", endpoint=endpoint, fields=", ".join(fields), unknown=names)
    values = {}
    for name, field in fields.items():
        if name in data:
            try:
                values[name] = field.parse(data[name])
            except ValueError as error:
                raise RequestError(
                    "REQUEST_FIELD_VALUE",
                    endpoint=endpoint,
                    field=name,
                    expected=field.description(),
                    value=quoted(data[name]),
                ) from error
        elif field.default is REQUIRED:
            raise RequestError("REQUEST_FIELD_MISSING", endpoint=endpoint, field=name, expected=field.description())
        else:
            values[name] = field.default
    return values


def check_step(step: int, steps: int) -> None:
    """Refuse a step that a text of `steps` steps does not have.

    Raises:
        RequestError: the text has no such step.
    """
    if steps == 0:
        raise RequestError("EXPLORER_TEXT_EMPTY")
    if not 0 <= step < steps:
        raise RequestError("EXPLORER_STEP_UNKNOWN", step=step, last=steps - 1)


def quoted(value: Any) -> str:
    """Quote a value of a request in a message. A long value is cut."""
    if not isinstance(value, str | int | float | bool | None):
        return {dict: "an object", list: "a list"}.get(type(value), f"a {type(value).__name__}")
    # Python writes no integer of more than 4,300 digits; JSON can hold one.
    text = "a very large number" if type(value) is int and value.bit_length() > 4096 else repr(value)
    return text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]}…"
