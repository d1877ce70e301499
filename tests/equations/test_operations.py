"""The operations: torch and NumPy agree, nothing overflows without need, and intervals contain every result."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatescope.equations import OPERATIONS
from gatescope.equations.operations import JUMPS

UNARY = [name for name, row in OPERATIONS.items() if row.text.count("{}") == 1]
BINARY = [name for name in OPERATIONS if name not in UNARY]
NUMBERS = np.concatenate(
    [np.linspace(-1000, 1000, 401), np.linspace(-9, 9, 181), [1e-300, -1e-300, 0.0, -0.0, 709.0, -745.0]]
)

# A third implementation of the same functions, with Python's math.
PLAIN = {
    "negate": lambda x: -x,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "exp": math.exp,
    "log_sigmoid": lambda x: -math.log1p(math.exp(-x)) if x >= 0 else x - math.log1p(math.exp(x)),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary_operation_agrees_in_torch_numpy_and_math(name: str) -> None:
    numbers = NUMBERS[NUMBERS <= 709] if name == "exp" else NUMBERS
    with np.errstate(under="ignore"):
        by_numpy = OPERATIONS[name].numpy(numbers)
    by_torch = OPERATIONS[name].torch(torch.from_numpy(numbers)).numpy()
    plain = np.array([PLAIN[name](x) for x in numbers.tolist()])
    assert np.isfinite(by_numpy).all()
    # Allows for two roundings of exp, with an error of up to 1 in the last place, and one of the division.
    np.testing.assert_allclose(by_numpy, by_torch, rtol=2e-15, atol=1e-300)
    np.testing.assert_allclose(by_numpy, plain, rtol=2e-15, atol=1e-300)


@pytest.mark.parametrize("name", BINARY)
def test_binary_operation_agrees_in_torch_and_numpy(name: str) -> None:
    a, b = np.meshgrid(NUMBERS[::7], NUMBERS[3::7])
    if name == "divide":
        b = np.where(np.abs(b) < 1e-9, 1.0, b)
    by_numpy = OPERATIONS[name].numpy(a, b)
    by_torch = OPERATIONS[name].torch(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_array_equal(by_numpy, by_torch)


@pytest.mark.filterwarnings("error")
def test_squashing_operations_stay_in_range_without_warning() -> None:
    ends = np.array([-np.inf, -1e308, -1e3, 0.0, 1e3, 1e308, np.inf])
    for name, low, high in (("sigmoid", 0, 1), ("tanh", -1, 1), ("log_sigmoid", -np.inf, 0), ("relu", 0, np.inf)):
        values = np.asarray(OPERATIONS[name].numpy(ends))
        assert (np.diff(values) >= 0).all()
        assert values[0] == low
        assert values[-1] == high
    assert OPERATIONS["sigmoid"].numpy(np.array(0.0)) == 0.5
    assert OPERATIONS["log_sigmoid"].numpy(np.array(-800.0)) == -800.0


ordinary = st.floats(-50, 50) | st.floats(allow_nan=False, allow_infinity=False)  # of every size, including denormals
ends = st.tuples(*[ordinary | st.sampled_from([0.0, -math.inf, math.inf])] * 2)
EXACT = {"add", "subtract", "multiply", "divide", "negate", "relu"}  # correctly rounded, also at the ends


@given(st.sampled_from(list(OPERATIONS)), ends, ordinary, ends, ordinary.map(lambda y: y or 1.0))
@settings(max_examples=150)
@example("divide", (0.0, 0.0), 1.0, (-2.2250738585e-311, 0.0), -2.2250738585e-311)
@example("divide", (1e-310, 1e-310), 1e-310, (-2.2250738585e-311, 0.0), -1.1e-311)
def test_interval_contains_every_result(
    name: str, a: tuple[float, float], x: float, b: tuple[float, float], y: float
) -> None:
    """If the arguments lie in their ranges, the result lies in its range; divisors of 0 are left out."""
    a, b = (min(*a, x), max(*a, x)), (min(*b, y), max(*b, y))
    row = OPERATIONS[name]
    numbers, ranges = ((x, y), (a, b)) if name in BINARY else ((x,), (a,))
    with np.errstate(all="ignore"):
        value = float(row.numpy(*map(np.float64, numbers)))
        low, high = row.interval(*ranges)
    # A function that is not correctly rounded may exceed its value at an end by one unit in the last place.
    slack = 0.0 if name in EXACT or math.isinf(value) else 4e-16 * max(abs(value), 1e-300)
    assert low - slack <= value <= high + slack


def test_interval_of_infinite_ranges() -> None:
    whole = (-math.inf, math.inf)
    assert OPERATIONS["sigmoid"].interval(whole) == (0, 1)
    assert OPERATIONS["tanh"].interval(whole) == (-1, 1)
    assert OPERATIONS["exp"].interval(whole) == (0, math.inf)
    assert OPERATIONS["multiply"].interval((0, 1), whole) == whole
    assert OPERATIONS["multiply"].interval((0, 0), whole) == (0, 0)
    assert OPERATIONS["divide"].interval((1, 1), (0, math.inf)) == (0, math.inf)
    assert OPERATIONS["divide"].interval((1, 2), (-1, 1)) == whole
    assert OPERATIONS["divide"].interval((1, 2), (0, 0)) == whole
    assert OPERATIONS["divide"].interval((-1, 2), (-4, 0)) == whole
    assert OPERATIONS["divide"].interval((1, 2), (-4, 0)) == (-math.inf, -0.25)
    assert OPERATIONS["divide"].interval((1e-310, 1e-310), (-1e-310, 0)) == (-math.inf, -1)
    assert OPERATIONS["divide"].interval((1, math.inf), (2, math.inf)) == (0, math.inf)


def test_jumps_agree_in_torch_and_numpy_and_with_intervals() -> None:
    a, b = (grid.ravel() for grid in np.meshgrid(NUMBERS[::9], NUMBERS[::9]))
    for row, arguments in ((JUMPS["positive"], (a,)), (JUMPS["above"], (a, b))):
        by_numpy = np.asarray(row.numpy(*arguments))
        by_torch = row.torch(*map(torch.from_numpy, arguments)).numpy()
        assert by_numpy.dtype == by_torch.dtype == np.float64
        np.testing.assert_array_equal(by_numpy, by_torch)
        assert set(by_numpy.tolist()) <= {0.0, 0.5, 1.0}
    assert JUMPS["positive"].interval((-1, 0)) == (0, 0)
    assert JUMPS["positive"].interval((-1, 1)) == (0, 1)
    assert JUMPS["above"].interval((0, 1), (1, 2)) == (0, 0.5)
    assert JUMPS["above"].interval((1, 2), (0, 1)) == (0.5, 1)
    assert JUMPS["above"].interval((0, 3), (1, 2)) == (0, 1)
