"""The operations of a cell's equations, each defined once.

One row of `OPERATIONS` has everything that is derived from an operation: its functions in torch and in NumPy
(independent of each other, for the self-check), its printed form, its C++, the range of its result and its derivatives.
A new operation is a new row, and a function on vectors in the native engine if C++ has no operator for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import copysign, inf, isinf

import numpy as np
import torch

from gatescope.equations.symbolic import Expression, operation, sigmoid

Interval = tuple[float, float]
Numbers = np.ndarray | np.floating

# How tightly a printed form binds. An argument that binds less tightly than required gets parentheses.
NEGATED, SUM, PRODUCT, ATOM = range(4)


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    Attributes:
        torch: the function on torch tensors.
        numpy: the function on NumPy arrays; `out` is an array for the result.
        text: format string of the printed arguments, for the terminal.
        latex: the same for LaTeX.
        cpp: the same for C++.
        interval: maps the closed ranges of the arguments to a range that contains every result.
        partials: for each argument, a function of the symbols (result, *arguments) that returns the derivative of the
            result by this argument. It uses the result if possible, because a trace contains results.
        binding: how tightly the printed result binds.
        needs: how tightly each argument must bind; empty for functions, which have parentheses of their own.
    """

    torch: Callable[..., torch.Tensor]
    numpy: Callable[..., Numbers]
    text: str
    latex: str
    cpp: str
    interval: Callable[..., Interval]
    partials: tuple[Callable[..., Expression | float], ...]
    binding: int = ATOM
    needs: tuple[int, ...] = ()


def _product(a: float, b: float) -> float:
    """Return a * b as a limit at the end of a range: 0 times infinity is 0."""
    return 0.0 if a == 0 or b == 0 else a * b


def _multiply_interval(a: Interval, b: Interval) -> Interval:
    corners = [_product(x, y) for x in a for y in b]
    return min(corners), max(corners)


def _divide_interval(a: Interval, b: Interval) -> Interval:
    if b[0] < 0 < b[1] or b == (0, 0):
        return -inf, inf
    side = -1.0 if b[0] < 0 else 1.0  # the sign of the divisors, with which a bound of 0 is approached
    corners = [_quotient(x, y, side) for x in a for y in b]
    return min(corners), max(corners)


def _quotient(a: float, b: float, side: float) -> float:
    """Return a / b as a limit at the end of a range: 0 / 0 is 0, and so is a finite number over infinity."""
    if a == 0 or isinf(b):
        return 0.0
    return a / b if b else copysign(inf, a * side)


def _monotone(function: Callable[..., Numbers]) -> Callable[..., Interval]:
    def interval(*arguments: Interval) -> Interval:
        with np.errstate(over="ignore"):
            ends = [float(function(*(np.float64(a[end]) for a in arguments))) for end in (0, 1)]
        return ends[0], ends[1]

    return interval


def _sigmoid(x: Numbers, out: np.ndarray | None = None) -> Numbers:
    """Return the logistic function. If exp is infinite, the result is 0, as it should be."""
    with np.errstate(over="ignore"):
        return np.divide(1.0, np.add(1.0, np.exp(np.negative(x, out=out), out=out), out=out), out=out)


def _log_sigmoid(x: Numbers, out: np.ndarray | None = None) -> Numbers:
    return np.subtract(np.minimum(x, 0.0), np.log1p(np.exp(-np.abs(x))), out=out)


def _relu(x: Numbers, out: np.ndarray | None = None) -> Numbers:
    return np.maximum(x, 0.0, out=out)


def _add_interval(a: Interval, b: Interval) -> Interval:
    return a[0] + b[0], a[1] + b[1]


def _subtract_interval(a: Interval, b: Interval) -> Interval:
    return a[0] - b[1], a[1] - b[0]


def _positive(x: Numbers | float) -> Numbers:
    return np.heaviside(x, 0.0)


def _torch_positive(x: torch.Tensor) -> torch.Tensor:
    return (x > 0).to(x.dtype)


def _above(a: Numbers | float, b: Numbers | float) -> Numbers:  # a constant of an equation is a float
    return np.where(np.equal(a, b), 0.5, np.greater(a, b))


def _torch_above(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a > b).to(a.dtype) + 0.5 * (a == b)


OPERATIONS: dict[str, Operation] = {
    "add": Operation(
        torch.add,
        np.add,
        "{} + {}",
        "{} + {}",
        "{} + {}",
        _add_interval,
        (lambda y, a, b: 1.0, lambda y, a, b: 1.0),
        SUM,
        (SUM, SUM),
    ),
    "subtract": Operation(
        torch.sub,
        np.subtract,
        "{} - {}",
        "{} - {}",
        "{} - {}",
        _subtract_interval,
        (lambda y, a, b: 1.0, lambda y, a, b: -1.0),
        SUM,
        (SUM, PRODUCT),
    ),
    "multiply": Operation(
        torch.mul,
        np.multiply,
        "{} · {}",
        r"{} \odot {}",
        "{} * {}",
        _multiply_interval,
        (lambda y, a, b: b, lambda y, a, b: a),
        PRODUCT,
        (PRODUCT, PRODUCT),
    ),
    "divide": Operation(
        torch.div,
        np.divide,
        "{} / {}",
        "{} / {}",
        "{} / {}",
        _divide_interval,
        (lambda y, a, b: 1 / b, lambda y, a, b: -(y * (1 / b))),  # one reciprocal serves both
        PRODUCT,
        (PRODUCT, ATOM),
    ),
    "negate": Operation(
        torch.neg,
        np.negative,
        "-{}",
        "-{}",
        "-{}",
        lambda a: (-a[1], -a[0]),
        (lambda y, a: -1.0,),
        NEGATED,
        (PRODUCT,),
    ),
    "sigmoid": Operation(
        torch.sigmoid,
        _sigmoid,
        "σ({})",
        r"\sigma({})",
        "sigmoid({})",
        _monotone(_sigmoid),
        (lambda y, x: y * (1 - y),),
    ),
    "tanh": Operation(
        torch.tanh,
        np.tanh,
        "tanh({})",
        r"\tanh({})",
        "tanh_({})",
        _monotone(np.tanh),
        (lambda y, x: 1 - y * y,),
    ),
    "relu": Operation(
        torch.relu,
        _relu,
        "relu({})",
        r"\mathrm{{relu}}({})",
        "relu({})",
        _monotone(_relu),
        (lambda y, x: operation("positive", y),),  # y > 0 exactly where x > 0
    ),
    "exp": Operation(
        torch.exp,
        np.exp,
        "exp({})",
        r"\exp({})",
        "exp_({})",
        _monotone(np.exp),
        (lambda y, x: y,),
    ),
    "log_sigmoid": Operation(
        torch.nn.functional.logsigmoid,
        _log_sigmoid,
        "log σ({})",
        r"\log\sigma({})",
        "log_sigmoid({})",
        _monotone(_log_sigmoid),
        (lambda y, x: sigmoid(-x),),  # 1 - exp(y) would lose its digits where y is near 0
    ),
    "maximum": Operation(
        torch.maximum,
        np.maximum,
        "max({}, {})",
        r"\max({}, {})",
        "maximum({}, {})",
        _monotone(np.maximum),
        (lambda y, a, b: operation("above", a, b), lambda y, a, b: operation("above", b, a)),
    ),
}

# Operations of derivatives only. A cell cannot use them: no gradient passes a jump.
JUMPS: dict[str, Operation] = {
    "positive": Operation(  # 1 where x > 0, otherwise 0: torch's derivative of relu, at 0 too
        _torch_positive,
        _positive,
        "[{} > 0]",
        "[{} > 0]",
        "positive({})",
        _monotone(_positive),
        (lambda y, x: 0.0,),
    ),
    "above": Operation(  # 1 where a > b, 1/2 where they are equal, otherwise 0: torch's derivatives of maximum
        _torch_above,
        _above,
        "[{} > {}]",
        "[{} > {}]",
        "above({}, {})",
        lambda a, b: (
            float(_above(np.float64(a[0]), np.float64(b[1]))),
            float(_above(np.float64(a[1]), np.float64(b[0]))),
        ),
        (lambda y, a, b: 0.0, lambda y, a, b: 0.0),
    ),
}
