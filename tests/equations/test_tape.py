"""Tapes: tracing a cell's function, joining its drives, and the ranges of its signals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gatescope import CELLS, define
from gatescope.equations import (
    EquationError,
    Evaluator,
    Tape,
    drive_order,
    maximum,
    relu,
    sigmoid,
    tanh,
    trace_function,
)
from tests.networks import EACH_CELL


def lstm(x, u, p, s):
    i = sigmoid(x.i + u.i)
    f = sigmoid(x.f + u.f)
    g = tanh(x.g + u.g)
    o = sigmoid(x.o + u.o)
    c = f * s.c + i * g
    h = o * tanh(c)
    return dict(i=i, f=f, g=g, o=o, c=c, h=h)


def test_trace_used_names_are_declared() -> None:
    tape = trace_function(lstm)
    assert tape.input_drives == tape.recurrent_drives == ("i", "f", "g", "o")
    assert tape.parameters == ()
    assert tape.states == ("c", "h")
    assert tuple(tape.signals) == ("i", "f", "g", "o", "c", "h")


def test_trace_signals_keep_order_of_computation() -> None:
    def cell(x, u, p, s):
        first = sigmoid(x.a)
        second = first * s.h
        return dict(h=tanh(second), second=second, first=first)

    assert tuple(trace_function(cell).signals) == ("first", "second", "h")


def test_trace_lines_use_earlier_lines_only() -> None:
    for cell in CELLS.values():
        for number, node in enumerate(cell.tape.nodes):
            assert all(argument < number for argument in node.arguments)


def test_trace_equal_expressions_share_a_line() -> None:
    def cell(x, u, p, s):
        return dict(a=sigmoid(x.a + u.a), h=sigmoid(x.a + u.a) * (1 - sigmoid(x.a + u.a)) + s.h * 2 + p.k * 2.0)

    tape = trace_function(cell)
    kinds = [node.kind for node in tape.nodes]
    assert kinds.count("sigmoid") == 1
    assert kinds.count("drive") == 2
    assert [node.label for node in tape.nodes if node.kind == "constant"] == [1.0, 2.0]


def test_trace_different_expressions_stay_apart() -> None:
    def cell(x, u, p, s):
        return dict(a=x.a - u.a, b=u.a - x.a, h=s.h * 1 + p.a + 1)

    tape = trace_function(cell)
    assert tape.signals["a"] != tape.signals["b"]
    assert [node.kind for node in tape.nodes].count("subtract") == 2


def test_trace_reversed_operators_keep_their_order() -> None:
    def cell(x, u, p, s):
        return dict(a=3 - x.a, b=3 / x.b, c=2 * x.c, d=1 + x.d, h=-(x.a - 4))

    tape = trace_function(cell)
    values = Evaluator(tape, "numpy", np.float64)({f"x.{k}": np.float64(8) for k in "abcd"}, {}, {})
    assert values == {"a": -5, "b": 0.375, "c": 16, "d": 9, "h": -4}


def test_trace_recurrent_drive_makes_h_a_state() -> None:
    tape = trace_function(lambda x, u, p, s: dict(h=tanh(u.h)))
    assert tape.states == ("h",)
    assert trace_function(lambda x, u, p, s: dict(h=tanh(x.h))).states == ()


def _branches(x, u, p, s):
    return dict(h=tanh(x.h) if x.h else x.h)


BROKEN: list[tuple[Callable[..., Any], str]] = [
    (_branches, "branch or comparison"),
    (lambda x, u, p, s: dict(h=tanh(x.h) if x.h > 0 else x.h), "comparison"),
    (lambda x, u, p, s: dict(h=tanh(x.h) if x.h <= u.h else x.h), "comparison"),
    (lambda x, u, p, s: dict(h=u.h if x.h == 0 else x.h), "comparison"),
    (lambda x, u, p, s: dict(h=u.h if x.h != 0 else x.h), "comparison"),
    (lambda x, u, p, s: dict(h=max(x.h, u.h)), "maximum"),
    (lambda x, u, p, s: dict(h=x.h**2), "power"),
    (lambda x, u, p, s: dict(h=2**x.h), "power"),
    (lambda x, u, p, s: dict(h=math.exp(x.h)), "exp"),
    (lambda x, u, p, s: dict(h=torch.tanh(x.h)), "gatescope"),
    (lambda x, u, p, s: dict(h=np.tanh(x.h)), "gatescope"),
    (lambda x, u, p, s: dict(h=abs(x.h)), "gatescope"),
    (lambda x, u, p, s: dict(h=x.h @ u.h), "gatescope"),
    (lambda x, u, p, s: dict(h=x.h[0]), "gatescope"),
    (lambda x, u, p, s: dict(h=x.h + "1"), "'1'"),
    (lambda x, u, p, s: dict(h=x.h + None), "None"),
    (lambda x, u, p, s: dict(h=x.h + 1j), "1j"),
    (lambda x, u, p, s: dict(h=x.h + math.nan), "nan"),
    (lambda x, u, p, s: dict(h=x.h * math.inf), "inf"),
    (lambda x, u, p, s: dict(h=x + 1), "expected equations only"),
    (lambda x, u, p, s: dict(c=tanh(x.h)), "expected a signal h among those returned, got c"),
    (lambda x, u, p, s: dict(h=tanh(x.h) * s.c), "every state s.k to be returned as k, got none for c"),
    (lambda x, u, p, s: tanh(x.h), "return dict"),
    (lambda x, u, p, s: (tanh(x.h), x.h), "return dict"),
    (lambda x, u, p, s: {}, "return dict"),
    (lambda x, u, p, s: None, "return dict"),
    (lambda x, u, p, s: dict(h=x.h, k=1.0), "Signal k .*got 1.0"),
    (lambda x, u, p, s: dict(h=x), "Signal h"),
    (lambda x, u, p, s: {"h": x.h, "x.i": x.i}, "identifier"),
    (lambda x, u, p, s: {"h": x.h, 3: x.i}, "identifier"),
    (lambda x, h: dict(h=x.h), r"\(x, u, p, s\)"),
    (lambda x, u, p, s: dict(h=tanh(x.h), k=maximum(1.0, 2.0)), "Signal k .*constant"),
]


@pytest.mark.parametrize(("function", "words"), BROKEN)
def test_trace_invalid_function_says_what_to_write(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(EquationError, match=words):
        trace_function(function)


def test_trace_after_an_error_stops_tracing() -> None:
    with pytest.raises(ZeroDivisionError):
        trace_function(lambda x, u, p, s: dict(h=x.h / (1 / 0)))
    with pytest.raises(EquationError, match="inside a cell's function"):
        maximum(0.5, 1.0)


def test_operation_outside_a_cell_is_refused() -> None:
    leaked = []

    def cell(x, u, p, s):
        leaked.append(x.h)
        return dict(h=tanh(x.h))

    trace_function(cell)
    for attempt in (lambda: leaked[0] + 1, lambda: tanh(leaked[0]), lambda: maximum(1.0, 2.0), lambda: -leaked[0]):
        with pytest.raises(EquationError, match="inside a cell's function"):
            attempt()


def test_trace_quantity_of_another_cell_is_refused() -> None:
    leaked = []

    def first(x, u, p, s):
        leaked.append(tanh(x.h))
        return dict(h=tanh(x.h))

    trace_function(first)
    with pytest.raises(EquationError, match="another cell"):
        trace_function(lambda x, u, p, s: dict(h=x.h * leaked[0]))
    with pytest.raises(EquationError, match="another cell"):
        trace_function(lambda x, u, p, s: dict(h=leaked[0]))


def test_trace_numpy_numbers_are_constants() -> None:
    tape = trace_function(lambda x, u, p, s: dict(h=np.float64(2) * x.h + np.float64(0.5) - x.h * True))
    assert Evaluator(tape, "numpy", np.float64)({"x.h": np.float64(4)}, {}, {})["h"] == 4.5


def test_trace_too_long_formula_is_refused() -> None:
    def doubling(x, u, p, s):
        h = x.h
        for _ in range(40):
            h = h + h
        return dict(h=h)

    with pytest.raises(EquationError, match="at most 200 terms, got a longer one"):
        trace_function(doubling)


# --- joined drives ---------------------------------------------------------------------------------------------------


def test_drive_order_joins_sums_that_are_only_used_as_sums() -> None:
    lstm_order = drive_order(CELLS["lstm"].tape)
    assert lstm_order.labels == lstm_order.joined == ("i", "f", "g", "o")
    assert [node.label for node in lstm_order.tape.nodes if node.kind == "drive"] == ["i", "f", "g", "o"]
    gru_order = drive_order(CELLS["gru"].tape)
    assert (gru_order.input_alone, gru_order.joined, gru_order.recurrent_alone) == (("n",), ("r", "z"), ("n",))
    assert {"x.n", "u.n"} <= {node.label for node in gru_order.tape.nodes}


def test_drive_order_numbers_input_joined_recurrent() -> None:
    """The order of the C++ structs: input drives alone, joined drives, recurrent drives alone."""
    tape = CELLS["gru"].tape
    order = drive_order(tape)
    assert order.labels == ("x.n", "r", "z", "u.n")
    assert [tape.input_drives[k] for k in order.input_indices(tape)[:3]] == ["n", "r", "z"]
    assert [tape.recurrent_drives[k] for k in order.recurrent_indices(tape)[1:]] == ["r", "z", "n"]
    assert (order.input_indices(tape)[3], order.recurrent_indices(tape)[0]) == (-1, -1)


def test_drive_order_leaves_drives_apart_on_request() -> None:
    order = drive_order(CELLS["lstm"].tape, apart=("u.f",))
    assert (order.input_alone, order.joined, order.recurrent_alone) == (("f",), ("i", "g", "o"), ("f",))
    assert order.labels == ("x.f", "i", "g", "o", "u.f")


def test_drive_order_does_not_join_drives_with_other_uses() -> None:
    tapes = [
        trace_function(lambda x, u, p, s: dict(h=tanh(x.h + u.h) * x.h)),
        trace_function(lambda x, u, p, s: dict(a=x.h + u.h, b=u.h + x.h, h=relu(x.h + u.h))),
        trace_function(lambda x, u, p, s: dict(u=u.h, h=tanh(x.h + u.h))),
        trace_function(lambda x, u, p, s: dict(h=tanh(x.h - u.h))),
        trace_function(lambda x, u, p, s: dict(h=tanh(x.a + u.b))),
    ]
    for tape in tapes:
        order = drive_order(tape)
        assert (order.tape, order.joined) == (tape, ())
        assert (order.input_alone, order.recurrent_alone) == (tape.input_drives, tape.recurrent_drives)


@pytest.mark.parametrize("name", EACH_CELL)
def test_drive_order_keeps_the_values_of_signals(name: str) -> None:
    tape = CELLS[name].tape
    order = drive_order(tape)
    random = np.random.default_rng(0)
    drives = {f"x.{k}": random.normal(size=5) for k in tape.input_drives}
    drives |= {f"u.{k}": random.normal(size=5) for k in tape.recurrent_drives}
    parameters = {k: random.normal(size=5) for k in tape.parameters}
    states = {k: random.uniform(0.5, 1, size=5) for k in tape.states}
    sums = {k: drives[f"x.{k}"] + drives[f"u.{k}"] for k in order.joined}
    separate = Evaluator(tape, "numpy", np.float64)(drives, parameters, states)
    joined = Evaluator(order.tape, "numpy", np.float64)({**drives, **sums}, parameters, states)
    assert {k: v.tolist() for k, v in separate.items()} == {k: v.tolist() for k, v in joined.items()}


# --- ranges ----------------------------------------------------------------------------------------------------------


def test_ranges_of_known_cells() -> None:
    gate, squashed, anything = (0.0, 1.0), (-1.0, 1.0), (-math.inf, math.inf)
    assert CELLS["lstm"].tape.ranges == dict(i=gate, f=gate, g=squashed, o=gate, c=anything, h=squashed)
    assert CELLS["gru"].tape.ranges == dict(r=gate, z=gate, n=squashed, h=squashed)
    assert CELLS["elman_relu"].tape.ranges == dict(h=(0.0, math.inf))
    assert CELLS["mingru"].tape.ranges == dict(z=gate, n=anything, h=anything)
    assert CELLS["slstm"].tape.ranges["f"][0] == CELLS["slstm"].tape.ranges["i"][0] == 0


def delay_line(length: int) -> Tape:
    def cell(x, u, p, s):
        states = {f"d{k}": getattr(s, f"d{k - 1}") + 0 for k in range(1, length)}
        return {"d0": relu(x.a), **states, "h": tanh(getattr(s, f"d{length - 1}"))}

    return trace_function(cell)


@pytest.mark.parametrize("length", [1, 3, 12])
def test_ranges_of_a_delay_line_reach_its_last_state(length: int) -> None:
    """The range of the first state is, `length` steps later, the range of the last one."""
    assert delay_line(length).ranges[f"d{length - 1}"] == (0.0, math.inf)


def test_ranges_of_convex_combinations_are_bounded() -> None:
    def leaky(x, u, p, s):
        z = sigmoid(x.z)
        return dict(z=z, h=z * tanh(x.n) + s.h * (1 - z))

    def not_convex(x, u, p, s):
        z = 2 * sigmoid(x.z)
        return dict(z=z, h=z * tanh(x.n) + s.h * (1 - z))

    def wrong_share(x, u, p, s):
        return dict(h=sigmoid(x.z) * tanh(x.n) + s.h * (1 - sigmoid(x.y)))

    assert trace_function(leaky).ranges["h"] == (-1, 1)
    assert trace_function(not_convex).ranges["h"] == (-math.inf, math.inf)
    assert trace_function(wrong_share).ranges["h"] == (-math.inf, math.inf)


def test_define_with_bias_of_unused_drive_is_refused() -> None:
    with pytest.raises(EquationError, match=r"expected input drives \(x.i, x.f, x.g, x.o\), got x\.q"):
        define(paper="", biases=dict(q=1.0))(lstm)
