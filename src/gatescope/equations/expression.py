"""Symbols that record what is done to them: running a cell's function on these gives its expressions.

An `Expression` is a leaf (a drive, a parameter, a state, a constant) or an operation on expressions. The same
expression written twice is the same object, so the graph that a function leaves behind is already free of
duplicates.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import NoReturn

from gatescope.errors import GatescopeError

LEAVES = ("drive", "parameter", "state", "constant")


class EquationError(GatescopeError):
    """A cell's function does something that equations cannot say; the message tells what, and what to write."""


@dataclass(frozen=True, eq=False)
class Expression:
    """One node of the graph: `kind` is an operation's name or one of `LEAVES`.

    `label` names a leaf: "x.i" or "u.i" (drive), "i" (parameter), "c" (state), or holds the constant's value.
    """

    kind: str
    arguments: tuple[Expression, ...] = ()
    label: str | float = ""

    # NumPy's numbers leave the arithmetic to the operators below.
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.label if self.kind in LEAVES else self.kind}>"

    def __add__(self, other: Expression | float) -> Expression:
        return operation("add", self, other)

    def __radd__(self, other: float) -> Expression:
        return operation("add", other, self)

    def __sub__(self, other: Expression | float) -> Expression:
        return operation("subtract", self, other)

    def __rsub__(self, other: float) -> Expression:
        return operation("subtract", other, self)

    def __mul__(self, other: Expression | float) -> Expression:
        return operation("multiply", self, other)

    def __rmul__(self, other: float) -> Expression:
        return operation("multiply", other, self)

    def __truediv__(self, other: Expression | float) -> Expression:
        return operation("divide", self, other)

    def __rtruediv__(self, other: float) -> Expression:
        return operation("divide", other, self)

    def __neg__(self) -> Expression:
        return operation("negate", self)

    def _refuse(self, *_: object) -> NoReturn:
        raise EquationError("EXPRESSION_CELL_EQUATIONS_BRANCHES_COMPARISONS")

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse

    def _refuse_power(self, _: object) -> NoReturn:
        raise EquationError("EXPRESSION_POWER_AMONG_OPERATIONS_GATESCOPE")

    __pow__ = __rpow__ = _refuse_power


class _Pool:
    """Hands out one object for each distinct expression while a function is being traced."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[object, ...], Expression] = {}
        self.made: set[int] = set()  # ids of the nodes

    def get(self, kind: str, arguments: tuple[Expression, ...] = (), label: str | float = "") -> Expression:
        key = (kind, tuple(map(id, arguments)), label)
        if key not in self.nodes:
            self.nodes[key] = Expression(kind, arguments, label)
            self.made.add(id(self.nodes[key]))
        return self.nodes[key]

    def own(self, value: Expression) -> Expression:
        """The expression itself, when it belongs to the function being traced."""
        if id(value) not in self.made:
            raise EquationError("EXPRESSION_QUANTITY_ANOTHER_CELL_EVERY", value=value)
        return value


class _Pools(threading.local):
    """The pools of the functions being traced in this thread, the innermost last."""

    def __init__(self) -> None:
        self.open: list[_Pool] = []


_pools = _Pools()


def _pool() -> _Pool:
    if not _pools.open:
        raise EquationError("EXPRESSION_SIGMOID_TANH_OTHER_OPERATIONS")
    return _pools.open[-1]


def leaf(kind: str, label: str | float) -> Expression:
    """A named quantity, or a constant, of the function being traced."""
    return _pool().get(kind, (), label)


def operation(kind: str, *arguments: Expression | float) -> Expression:
    """The expression `kind(arguments)`, numbers taken as constants.

    Raises:
        EquationError: an argument is neither a quantity of the cell nor a number.
    """
    return _pool().get(kind, tuple(map(_expression, arguments)))


def _expression(value: Expression | float) -> Expression:
    if isinstance(value, Expression):
        return _pool().own(value)
    if isinstance(value, Real) and isfinite(value):
        return leaf("constant", float(value))
    raise EquationError("EXPRESSION_EQUATION_GIVEN_TAKES_QUANTITIES", value=value, name=type(value).__name__)


class Namespace:
    """`x`, `u`, `p` or `s` of a cell's function: using a name declares it."""

    def __init__(self, kind: str, prefix: str) -> None:
        self._kind, self._prefix = kind, prefix

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        return leaf(self._kind, self._prefix + name)


class tracing:  # noqa: N801  a context manager, used like a function
    """Expressions made inside the block are shared: equal ones are one object."""

    def __enter__(self) -> _Pool:
        _pools.open.append(_Pool())
        return _pools.open[-1]

    def __exit__(self, *_: object) -> None:
        _pools.open.pop()


def sigmoid(x: Expression) -> Expression:
    """1 / (1 + exp(-x)): a gate, from 0 (closed) to 1 (open)."""
    return operation("sigmoid", x)


def tanh(x: Expression) -> Expression:
    """The hyperbolic tangent, from -1 to 1."""
    return operation("tanh", x)


def relu(x: Expression) -> Expression:
    """x where it is positive, otherwise 0."""
    return operation("relu", x)


def exp(x: Expression) -> Expression:
    """e to the power of x."""
    return operation("exp", x)


def log_sigmoid(x: Expression) -> Expression:
    """The logarithm of sigmoid(x), computed without losing digits where the sigmoid is near 0."""
    return operation("log_sigmoid", x)


def maximum(x: Expression | float, y: Expression | float) -> Expression:
    """The larger of two quantities."""
    return operation("maximum", x, y)
