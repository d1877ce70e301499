"""The type checker that tests/conftest.py wraps around every annotated function of the package."""

import functools
import inspect
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any, Never, NoReturn

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.door import is_bearable
from beartype.roar import BeartypeDecorHintException

# As in static type checkers, an int is accepted for a float.
SETTINGS = BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError)


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that its arguments and result are checked; `function` is a copy made for this purpose."""
    hints = function.__annotations__
    function.__annotations__ = {name: hint if _can_be_checked(hint) else Any for name, hint in hints.items()}
    return beartype(conf=SETTINGS)(function)


jaxtyped = jaxtyping.jaxtyped
SHAPED = re.compile(r"\b(Float|Int|UInt|Bool|Complex|Num|Real|Inexact|Shaped|Key)\w*\[")


def jaxtyped_where_needed(decorated: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """Wrap a function as `jaxtyping.jaxtyped` does, or with the type checker alone if no annotation has a shape.

    Shapes have to be compared over all arguments of a call, which costs more than the call of a small function.
    """
    if decorated is None:
        return functools.partial(jaxtyped_where_needed, typechecker=typechecker)
    if inspect.isclass(decorated) and hasattr(decorated.__init__, "_is_checked"):
        return decorated  # a dataclass whose constructor is wrapped already
    if not isinstance(decorated, FunctionType) or inspect.isgeneratorfunction(decorated):
        return jaxtyped(decorated, typechecker=typechecker)
    try:
        hints = {
            name: eval(hint, decorated.__globals__) if isinstance(hint, str) else hint
            for name, hint in decorated.__annotations__.items()
        }
    except Exception:  # noqa: BLE001  a name that is defined later in the file, or for static checkers alone
        return jaxtyped(decorated, typechecker=typechecker)
    if SHAPED.search(repr(hints)):
        return jaxtyped(decorated, typechecker=typechecker)
    code, defaults, closure = decorated.__code__, decorated.__defaults__, decorated.__closure__
    copy = FunctionType(code, decorated.__globals__, decorated.__name__, defaults, closure)
    copy.__kwdefaults__, copy.__annotations__, copy.__module__ = decorated.__kwdefaults__, hints, decorated.__module__
    copy.__qualname__ = decorated.__qualname__
    wrapped: Any = functools.wraps(decorated)(typechecker(copy))
    wrapped._is_checked = True
    return wrapped


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
