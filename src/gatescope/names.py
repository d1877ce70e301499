"""Names that people type: what there is where a name is misspelt, and which one was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

from gatescope.errors import GatescopeError
from gatescope.messages import Message

Value = TypeVar("Value")
Made = TypeVar("Made", bound=type)


class UnknownNameError(GatescopeError, KeyError, TypeError):
    """There is nothing of this name; the message says what there is."""


def unknown(what: object, given: object, names: Iterable[object]) -> Message:
    """Return the sentence about a name that does not exist.

    Args:
        what: the kind of thing, such as "Task".
        given: what was typed.
        names: those that there are.
    """
    known = [str(name) for name in names]
    values = {"what": what, "names": ", ".join(known) or "none", "given": given}
    close = get_close_matches(str(given), known, 1)
    return Message("UNKNOWN_NAME_CLOSE", **values, close=close[0]) if close else Message("UNKNOWN_NAME", **values)


class Catalogue(dict[str, Value]):
    """A dictionary whose missing names give an error that says what there is.

    Args:
        what: the kind of its values, such as "Task".
        values: name -> value.
    """

    def __init__(self, what: str, values: dict[str, Value]) -> None:
        super().__init__(values)
        self.what = what

    def __missing__(self, name: object) -> Value:
        raise UnknownNameError(unknown(self.what, name, self))

    def __reduce__(self) -> Any:
        return Catalogue, (self.what, dict(self))


def check_names(what: str, given: Iterable[str], names: Iterable[str]) -> None:
    """Refuse keyword arguments that do not exist.

    Raises:
        UnknownNameError: one of them is not among the names.
    """
    known = list(names)
    for name in given:
        if name not in known:
            raise UnknownNameError(unknown(what, name, known))


def named_settings(made: Made) -> Made:
    """Let a class name its settings when one is misspelt, in place of Python's TypeError."""
    made.__init__ = _naming(made.__init__, f"Setting of {made.__name__}")
    return made


def named_arguments(function: Callable[..., Value]) -> Callable[..., Value]:
    """Let a function name its arguments when one is misspelt, in place of Python's TypeError."""
    return _naming(function, f"Argument of {function.__name__}")


def _naming(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    named = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    known = frozenset(named)
    shown = [name for name in named if name != "self"]

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not kwargs.keys() <= known:
            check_names(what, kwargs, shown)
        return function(*args, **kwargs)

    return checked
