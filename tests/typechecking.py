"""The type checker that tests/conftest.py puts around every annotated function of the package."""

from collections.abc import Callable
from typing import Any, Never, NoReturn

from beartype import BeartypeConf, beartype
from beartype.door import is_bearable
from beartype.roar import BeartypeDecorHintException

# As in every type checker: an int is welcome where a float is asked for.
SETTINGS = BeartypeConf(is_pep484_tower=True)


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check arguments and result of each call against the annotations. `function` is a copy made for the checking."""
    hints = function.__annotations__
    function.__annotations__ = {name: hint if _can_be_checked(hint) else Any for name, hint in hints.items()}
    return beartype(conf=SETTINGS)(function)


def _can_be_checked(hint: Any) -> bool:
    """Whether beartype can check this on a function alone. Not so: `Self`, and protocols that say nothing at run time.

    A function that never returns has no result, and beartype stumbles over operators that promise to.
    """
    if hint in (Never, NoReturn):
        return False
    if isinstance(hint, str):  # a class further down in the same file: looked up when the function is called
        return True
    try:
        is_bearable(None, hint, conf=SETTINGS)
    except BeartypeDecorHintException:
        return False
    return True
