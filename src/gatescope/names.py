"""Names that people type: errors that list the valid names, and suggest the one that was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

from gatescope.errors import GatescopeError
from gatescope.messages import Message

Value = TypeVar("Value")
Class = TypeVar("Class", bound=type)


class UnknownNameError(GatescopeError, KeyError, TypeError):
    """A name that does not exist; the message lists the names that do."""


class UnknownAttributeError(UnknownNameError, AttributeError):
    """An attribute that does not exist; the message lists the attributes that do."""


def unknown(what: object, name: object, names: Iterable[object]) -> Message:
    """Return the sentence about a name that does not exist.

    Args:
        what: the kind of thing, such as "Task".
        name: the name that was typed.
        names: the names that exist.
    """
    known = [str(known_name) for known_name in names]
    values = {"what": what, "names": ", ".join(known) or "none", "name": name}
    close = get_close_matches(str(name), known, 1)
    return Message("UNKNOWN_NAME_CLOSE", **values, close=close[0]) if close else Message("UNKNOWN_NAME", **values)


class Catalogue(dict[str, Value]):
    """A dictionary whose error for a missing name lists its names.

    Args:
        what: the kind of its values, such as "Task".
        values: name -> value.
    """

    def __init__(self, what: str, values: dict[str, Value]) -> None:
        super().__init__(values)
        self._what = what

    def __getitem__(self, name: str) -> Value:
        """Return the value of a name.

        Raises:
            UnknownNameError: there is no such name.
        """
        try:
            missing = name not in self
        except TypeError:  # an object without a hash, such as a list
            missing = True
        if missing:
            raise UnknownNameError(unknown(self._what, name, self))
        return super().__getitem__(name)

    def __reduce__(self) -> Any:
        return type(self), (self._what, dict(self))


def layer_name(layer: int | str, names: Sequence[str]) -> str | None:
    """Return the full name of a layer.

    A number k stands for "layer0", "layer1", ... where only one layer has it: not in a network that reads in both
    directions, where "layer0" and "layer0_reverse" have the number 0.

    Args:
        layer: a name or a number.
        names: the names of all layers.

    Returns:
        The name; None if no layer, or more than one, is meant.
    """
    if isinstance(layer, str):
        return layer if layer in names else None
    numbered = [name for name in names if name in (f"layer{layer}", f"layer{layer}_reverse")]
    return numbered[0] if len(numbered) == 1 else None


def check_names(what: str, typed: Iterable[str], names: Iterable[str]) -> None:
    """Refuse keyword arguments that do not exist.

    Args:
        what: the kind of argument, such as "Setting of Network".
        typed: the names that were typed.
        names: the names that exist.

    Raises:
        UnknownNameError: a typed name does not exist.
    """
    known = list(names)
    for name in typed:
        if name not in known:
            raise UnknownNameError(unknown(what, name, known))


def named_settings(decorated: Class) -> Class:
    """Make a class list its settings if one is misspelt, in place of Python's TypeError."""
    decorated.__init__ = _checking_names(decorated.__init__, f"Setting of {decorated.__name__}")
    return decorated


def named_arguments(function: Callable[..., Value]) -> Callable[..., Value]:
    """Make a function list its arguments if one is misspelt, in place of Python's TypeError."""
    return _checking_names(function, f"Argument of {function.__name__}")


def _checking_names(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    parameters = inspect.signature(function).parameters.values()
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [parameter.name for parameter in parameters if parameter.kind in keywords]
    known = frozenset(names)
    shown = [name for name in names if name != "self"]

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not kwargs.keys() <= known:
            check_names(what, kwargs, shown)
        return function(*args, **kwargs)

    return checked
