"""Symbols that record the operations on them: a cell's function, called with these, yields its expressions.

An `Expression` is a leaf (a drive, a parameter, a state, a constant) or an operation on expressions. An expression that
is written twice is one object, so the resulting graph has no duplicates.
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
    """A cell's function that cannot be written as equations; the message names a replacement."""


@dataclass(frozen=True, eq=False)
class Expression:
    """One node of the graph.

    Attributes:
        kind: the name of an operation, or one of `LEAVES`.
        arguments: the operands of an operation.
        label: the name of a leaf: "x.i" or "u.i" (drive), "i" (parameter), "c" (state); or the value of a constant.
    """

    kind: str
    arguments: tuple[Expression, ...] = ()
    label: str | float = ""

    # Makes NumPy's numbers leave the arithmetic to the operators below.
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
        raise EquationError("EQUATION_BRANCHES")

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse

    def _refuse_power(self, _: object) -> NoReturn:
        raise EquationError("EQUATION_POWER")

    __pow__ = __rpow__ = _refuse_power


class _Pool:
    """One object for each distinct expression of the function being traced."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[object, ...], Expression] = {}
        self.ids: set[int] = set()  # of the nodes

    def get(self, kind: str, arguments: tuple[Expression, ...] = (), label: str | float = "") -> Expression:
        key = (kind, tuple(map(id, arguments)), label)
        if key not in self.nodes:
            self.nodes[key] = Expression(kind, arguments, label)
            self.ids.add(id(self.nodes[key]))
        return self.nodes[key]

    def check_own(self, value: Expression) -> Expression:
        """Return the expression, if it belongs to the function being traced.

        Raises:
            EquationError: the expression belongs to another function.
        """
        if id(value) not in self.ids:
            raise EquationError("EQUATION_FOREIGN_QUANTITY", value=value)
        return value


class _Pools(threading.local):
    """The pools of the functions being traced in this thread, the innermost last."""

    def __init__(self) -> None:
        self.open: list[_Pool] = []


_pools = _Pools()


def _pool() -> _Pool:
    if not _pools.open:
        raise EquationError("EQUATION_OUTSIDE_CELL")
    return _pools.open[-1]


def leaf(kind: str, label: str | float) -> Expression:
    """Return a named quantity or a constant of the function being traced."""
    return _pool().get(kind, (), label)


def operation(kind: str, *arguments: Expression | float) -> Expression:
    """Return the expression `kind(arguments)`; numbers become constants.

    Raises:
        EquationError: an argument is neither a quantity of the cell nor a number.
    """
    return _pool().get(kind, tuple(map(_expression, arguments)))


def _expression(value: Expression | float) -> Expression:
    if isinstance(value, Expression):
        return _pool().check_own(value)
    if isinstance(value, Real) and isfinite(value):
        return leaf("constant", float(value))
    raise EquationError("EQUATION_OPERAND_INVALID", value=value, kind=type(value).__name__)


class Namespace:
    """The argument `x`, `u`, `p` or `s` of a cell's function: using a name declares it."""

    def __init__(self, kind: str, prefix: str) -> None:
        self._kind, self._prefix = kind, prefix

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        return leaf(self._kind, self._prefix + name)


class tracing:  # noqa: N801  a context manager, used like a function
    """A block in which equal expressions are one object."""

    def __enter__(self) -> _Pool:
        _pools.open.append(_Pool())
        return _pools.open[-1]

    def __exit__(self, *_: object) -> None:
        _pools.open.pop()


def sigmoid(x: Expression) -> Expression:
    """Return 1 / (1 + exp(-x)): a gate, from 0 (closed) to 1 (open)."""
    return operation("sigmoid", x)


def tanh(x: Expression) -> Expression:
    """Return the hyperbolic tangent, from -1 to 1."""
    return operation("tanh", x)


def relu(x: Expression) -> Expression:
    """Return x where it is positive, otherwise 0."""
    return operation("relu", x)


def exp(x: Expression) -> Expression:
    """Return e to the power of x."""
    return operation("exp", x)


def log_sigmoid(x: Expression) -> Expression:
    """Return log(sigmoid(x)), computed without losing digits where the sigmoid is near 0."""
    return operation("log_sigmoid", x)


def maximum(x: Expression | float, y: Expression | float) -> Expression:
    """Return the larger of two quantities."""
    return operation("maximum", x, y)
