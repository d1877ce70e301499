"""The type checker that tests/conftest.py wraps around every annotated function of the package."""

from collections.abc import Callable
from typing import Any, Never, NoReturn

from beartype import BeartypeConf, beartype
from beartype.door import is_bearable
from beartype.roar import BeartypeDecorHintException

# As in static type checkers, an int is accepted for a float.
SETTINGS = BeartypeConf(is_pep484_tower=True)


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that its arguments and result are checked; `function` is a copy made for this purpose."""
    hints = function.__annotations__
    function.__annotations__ = {name: hint if _can_be_checked(hint) else Any for name, hint in hints.items()}
    return beartype(conf=SETTINGS)(function)


def _can_be_checked(hint: Any) -> bool:
    """Return whether beartype can check this annotation: not `Self`, nor protocols without run-time checks.

    Annotations of functions that never return are left out too, because beartype fails on operators with them.
    """
    if hint in (Never, NoReturn):
        return False
    if isinstance(hint, str):  # a class defined later in the file; beartype resolves it at the first call
        return True
    try:
        is_bearable(None, hint, conf=SETTINGS)
    except BeartypeDecorHintException:
        return False
    return True
