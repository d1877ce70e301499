"""The operations a cell may be written with, each defined once.

One row of `OPERATIONS` says everything the derived programs need to know of an operation: how torch computes it, how
NumPy computes it (independently, for the self-check), how it is printed, and what range its result has. Adding an
operation means adding a row, nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
import torch

Interval = tuple[float, float]
Numbers = np.ndarray | np.floating

# How tightly a printed form binds; an argument that binds less tightly than it needs to is put in parentheses.
NEGATED, SUM, PRODUCT, ATOM = range(4)


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    `text` and `latex` are format strings over the printed arguments; `binding` says how tightly the result binds
    and `needs` what each argument must at least bind (empty for functions, which bring their own parentheses).
    `interval` maps the closed ranges of the arguments to a range that contains every result.
    """

    torch: Callable[..., torch.Tensor]
    numpy: Callable[..., Numbers]
    text: str
    latex: str
    interval: Callable[..., Interval]
    binding: int = ATOM
    needs: tuple[int, ...] = ()


def _product(a: float, b: float) -> float:
    """0 times infinity is 0 here: an endpoint is a limit, and 0 bounds every product with exactly 0."""
    return 0.0 if a == 0 or b == 0 else a * b


def _multiply_interval(a: Interval, b: Interval) -> Interval:
    corners = [_product(x, y) for x in a for y in b]
    return min(corners), max(corners)


def _divide_interval(a: Interval, b: Interval) -> Interval:
    if b[0] < 0 < b[1] or b == (0, 0):
        return -inf, inf
    reciprocal = (1 / b[1] if b[1] else -inf, 1 / b[0] if b[0] else inf)
    return _multiply_interval(a, reciprocal)


def _monotone(function: Callable[..., Numbers]) -> Callable[..., Interval]:
    def interval(*arguments: Interval) -> Interval:
        with np.errstate(over="ignore"):
            ends = [float(function(*(np.float64(a[end]) for a in arguments))) for end in (0, 1)]
        return ends[0], ends[1]

    return interval


def _sigmoid(x: Numbers) -> Numbers:
    """The logistic function without overflow: exp is only taken of numbers below 0."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _log_sigmoid(x: Numbers) -> Numbers:
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _relu(x: Numbers) -> Numbers:
    return np.maximum(x, 0.0)


def _add_interval(a: Interval, b: Interval) -> Interval:
    return a[0] + b[0], a[1] + b[1]


def _subtract_interval(a: Interval, b: Interval) -> Interval:
    return a[0] - b[1], a[1] - b[0]


OPERATIONS: dict[str, Operation] = {
    "add": Operation(torch.add, np.add, "{} + {}", "{} + {}", _add_interval, SUM, (SUM, SUM)),
    "subtract": Operation(torch.sub, np.subtract, "{} - {}", "{} - {}", _subtract_interval, SUM, (SUM, PRODUCT)),
    "multiply": Operation(
        torch.mul, np.multiply, "{} · {}", r"{} \odot {}", _multiply_interval, PRODUCT, (PRODUCT, PRODUCT)
    ),
    "divide": Operation(torch.div, np.divide, "{} / {}", "{} / {}", _divide_interval, PRODUCT, (PRODUCT, ATOM)),
    "negate": Operation(torch.neg, np.negative, "-{}", "-{}", lambda a: (-a[1], -a[0]), NEGATED, (PRODUCT,)),
    "sigmoid": Operation(torch.sigmoid, _sigmoid, "σ({})", r"\sigma({})", _monotone(_sigmoid)),
    "tanh": Operation(torch.tanh, np.tanh, "tanh({})", r"\tanh({})", _monotone(np.tanh)),
    "relu": Operation(torch.relu, _relu, "relu({})", r"\mathrm{{relu}}({})", _monotone(_relu)),
    "exp": Operation(torch.exp, np.exp, "exp({})", r"\exp({})", _monotone(np.exp)),
    "log_sigmoid": Operation(
        torch.nn.functional.logsigmoid, _log_sigmoid, "log σ({})", r"\log\sigma({})", _monotone(_log_sigmoid)
    ),
    "maximum": Operation(torch.maximum, np.maximum, "max({}, {})", r"\max({}, {})", _monotone(np.maximum)),
}
