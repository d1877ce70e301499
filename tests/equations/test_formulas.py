"""Formulas in nested JSON, text and LaTeX: evaluated, each gives the value that the tape computes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import CELLS, Cell
from gatescope.equations import OPERATIONS, Evaluator, Tape, expression, latex, text, trace_function
from gatescope.equations.symbolic import Expression, operation
from tests.networks import EACH_CELL

Numbers = dict[str, float]

# The operations again, written independently, for the nested JSON that the page reads.
MEANING = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negate": lambda a: -a,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": np.tanh,
    "relu": lambda a: a if a > 0 else 0.0,
    "exp": np.exp,
    "log_sigmoid": lambda a: -np.log1p(np.exp(-a)),
    "maximum": max,
}


def nested_value(formula: dict[str, Any], numbers: dict[str, Numbers]) -> float:
    """Return the value of a formula in nested JSON."""
    if "operation" in formula:
        assert set(formula) == {"operation", "arguments"}
        return MEANING[formula["operation"]](*[nested_value(argument, numbers) for argument in formula["arguments"]])
    ((kind, name),) = formula.items()
    return name if kind == "constant" else numbers[kind][name]


def printed_value(printed: str, numbers: dict[str, Numbers]) -> float:
    """Return the value of the text, evaluated by Python after replacing its symbols."""
    names: dict[str, Any] = {f"op_{k}": v for k, v in MEANING.items()}
    code = printed
    for mark, name in (("log σ(", "op_log_sigmoid("), ("σ(", "op_sigmoid("), ("max(", "op_maximum(")):
        code = code.replace(mark, name)
    code = re.sub(r"\b(tanh|relu|exp)\(", r"op_\1(", code).replace("·", "*")
    for kind in ("drive", "parameter"):
        for name, value in numbers[kind].items():
            code = re.sub(rf"\b{re.escape(name)}\b", f"{kind}_{name.replace('.', '_')}", code)
            names[f"{kind}_{name.replace('.', '_')}"] = value
    for name, value in numbers["state"].items():
        code = code.replace(f"{name}₋₁", f"before_{name}")
        names[f"before_{name}"] = value
    return eval(code, {"__builtins__": {}}, {**names, **numbers["signal"]})


def latex_value(printed: str, numbers: dict[str, Numbers]) -> float:
    """Return the value of the LaTeX, evaluated by Python after replacing its symbols."""
    code = printed
    for name, value in numbers["drive"].items():
        source, k = name.split(".")
        shown = rf"W_{{{k}}} x_t + b_{{{k}}}" if source == "x" else rf"U_{{{k}}} h_{{t-1}}"
        # W x + b stays a sum of two terms, so that missing parentheses would change the value; the sum is exact.
        code = code.replace(shown, f"{value - 2:.17g} + 2" if source == "x" else f"({value:.17g})")
    for name, value in numbers["parameter"].items():
        code = code.replace(f"p_{{{name.removeprefix('p.')}}}", f"({value:.17g})")
    for name, value in numbers["state"].items():
        code = code.replace(f"{name}_{{t-1}}", f"({value:.17g})")
    for name, value in numbers["signal"].items():
        code = re.sub(rf"\b{name}_t\b", f"({value:.17g})", code)
    for mark, name in (
        (r"\log\sigma(", "log_sigmoid("),
        (r"\sigma(", "sigmoid("),
        (r"\tanh(", "tanh("),
        (r"\mathrm{relu}(", "relu("),
        (r"\exp(", "exp("),
        (r"\max(", "maximum("),
        (r"\odot", "*"),
    ):
        code = code.replace(mark, name)
    assert "\\" not in code, printed
    return eval(code, {"__builtins__": {}}, MEANING)


def random_numbers(tape: Tape, seed: int) -> tuple[dict[str, Numbers], Numbers]:
    """Return random numbers for every leaf, and the signals that the tape computes from them."""
    random = np.random.default_rng(seed)

    def draw(names: list[str]) -> Numbers:
        return {name: np.float64(random.integers(13, 128) / 64) for name in names}

    drives = draw([*(f"x.{k}" for k in tape.input_drives), *(f"u.{k}" for k in tape.recurrent_drives)])
    parameters, states = (
        draw(list(tape.parameters)),
        draw(sorted({str(n.label) for n in tape.nodes if n.kind == "state"})),
    )
    with np.errstate(all="ignore"):
        signals = Evaluator(tape, "numpy", np.float64)(drives, parameters, states)
    signals = {name: float(value) for name, value in signals.items()}
    named = {f"p.{name}": value for name, value in parameters.items()}
    return {"drive": drives, "parameter": named, "state": states, "signal": signals}, signals


@pytest.mark.parametrize("name", EACH_CELL)
def test_formulas_of_cells_have_the_values_of_the_tape(name: str) -> None:
    tape = CELLS[name].tape
    for seed in range(5):
        numbers, signals = random_numbers(tape, seed)
        for signal, value in signals.items():
            formula = expression(tape, signal)
            for computed in (
                nested_value(formula, numbers),
                printed_value(text(formula), numbers),
                latex_value(latex(formula), numbers),
            ):
                assert computed == pytest.approx(value, rel=1e-14, abs=1e-14)


# Random formulas: trees of operations on a few leaves.
trees = st.recursive(
    st.sampled_from(["a", "b", "c", "k", 2.0, -3.0, 0.5]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["add", "subtract", "multiply", "divide"]), inner, inner),
        st.tuples(st.sampled_from(["negate", "tanh", "sigmoid"]), inner),
    ),
    max_leaves=7,
)


def grow(tree: Any, leaves: dict[str, Expression]) -> Any:
    """Return the expression of a tree."""
    if isinstance(tree, tuple):
        return operation(tree[0], *[grow(argument, leaves) for argument in tree[1:]])
    return leaves.get(tree, tree)


@given(trees, st.integers(0, 1000))
@settings(max_examples=120)
def test_random_formula_is_printed_with_needed_parentheses(tree: Any, seed: int) -> None:
    def cell(x, u, p, s):
        return dict(h=x.a + grow(tree, {"a": x.a, "b": u.b, "c": s.h, "k": p.k}))

    tape = trace_function(cell)
    numbers, signals = random_numbers(tape, seed)
    if not np.isfinite(signals["h"]):
        return
    formula = expression(tape, "h")
    try:
        with np.errstate(all="ignore"):
            values = (
                nested_value(formula, numbers),
                printed_value(text(formula), numbers),
                latex_value(latex(formula), numbers),
            )
    except ZeroDivisionError:
        return
    # Differences of nearly equal numbers magnify the last digit, in which the two versions of σ may differ.
    assert values == pytest.approx((signals["h"],) * 3, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("function", "printed"),
    [
        (lambda a, b, c: a - (b - c), "x.a - (x.b - x.c)"),
        (lambda a, b, c: a - (b + c), "x.a - (x.b + x.c)"),
        (lambda a, b, c: a - b - c, "x.a - x.b - x.c"),
        (lambda a, b, c: a / (b / c), "x.a / (x.b / x.c)"),
        (lambda a, b, c: a / (b * c), "x.a / (x.b · x.c)"),
        (lambda a, b, c: a / b / c, "x.a / x.b / x.c"),
        (lambda a, b, c: a * b / c, "x.a · x.b / x.c"),
        (lambda a, b, c: -(a + b) * c, "(-(x.a + x.b)) · x.c"),
        (lambda a, b, c: -(a * b) + c, "(-x.a · x.b) + x.c"),
        (lambda a, b, c: a - -b + c, "x.a - (-x.b) + x.c"),
        (lambda a, b, c: (a + b) * c, "(x.a + x.b) · x.c"),
        (lambda a, b, c: a + b * c, "x.a + x.b · x.c"),
        (lambda a, b, c: a * -2 + b + c, "x.a · (-2) + x.b + x.c"),
    ],
)
def test_formula_has_only_needed_parentheses(function: Any, printed: str) -> None:
    tape = trace_function(lambda x, u, p, s: dict(h=function(x.a, x.b, x.c)))
    assert text(expression(tape, "h")) == printed


def test_formula_prints_constants_with_all_digits() -> None:
    tape = trace_function(lambda x, u, p, s: dict(h=1.00000025 * x.a + 1234567.0 + 1.0 * 2e-7 * x.a))
    printed = text(expression(tape, "h"))
    for digits in ("1.00000025", "1234567", "2e-07"):
        assert digits in printed


def test_formula_stops_at_named_signals() -> None:
    lstm: Cell = CELLS["lstm"]
    assert [lstm.formula(k) for k in lstm.signals] == [
        "σ(x.i + u.i)",
        "σ(x.f + u.f)",
        "tanh(x.g + u.g)",
        "σ(x.o + u.o)",
        "f · c₋₁ + i · g",
        "o · tanh(c)",
    ]
    assert latex(lstm.expression("c")) == r"f_t \odot c_{t-1} + i_t \odot g_t"
    assert CELLS["gru"].formula("n") == "tanh(x.n + r · (u.n + p.n))"


def test_formula_of_second_name_is_the_first_name() -> None:
    def cell(x, u, p, s):
        c = tanh_of(x.a)
        return dict(c=c, h=c)

    def tanh_of(value: Expression) -> Expression:
        return operation("tanh", value)

    tape = trace_function(cell)
    assert text(expression(tape, "c")) == "tanh(x.a)"
    assert text(expression(tape, "h")) == "c"
    assert OPERATIONS.keys() == MEANING.keys()
