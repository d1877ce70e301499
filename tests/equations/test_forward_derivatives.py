"""The forward derivatives of a step: against autograd, place by place, and the names of the places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatescope import CELLS
from gatescope.equations import Forward, Place, Tape, exp, forward, from_json, sigmoid, tanh, trace_function
from tests.equations.backward import Lines, Step, drawn_lines, drawn_names, drawn_tape, is_well_conditioned, random_step
from tests.equations.backward import forward as run
from tests.networks import EACH_CELL


def slopes_of(step: Step) -> dict[str, dict[Place, np.ndarray]]:
    """Return the derivatives of `forward`, evaluated on the values of the step."""
    sources = {**step.read, "signal": step.signals}
    slopes = forward(step.tape).evaluate(lambda kind, label: sources[kind][label].numpy())
    shape = next(iter(step.signals.values())).shape
    return {
        output: {p: np.broadcast_to(np.asarray(v), shape) for p, v in row.items()} for output, row in slopes.items()
    }


def by_autograd(step: Step, output: str, kind: str, label: str) -> np.ndarray:
    value = step.read[kind][label].clone().requires_grad_()
    signals = run(step.tape, {**step.read, kind: {**step.read[kind], label: value}}, {}).signals
    total = signals[output].sum()
    if not total.requires_grad:
        return np.zeros(value.shape)
    return torch.autograd.grad(total, value, materialize_grads=True, allow_unused=True)[0].numpy()


def assert_agree(step: Step) -> None:
    """Assert for every leaf that the slopes at all its places in the equations sum to the derivative by the leaf."""
    for output, row in slopes_of(step).items():
        assert {p.kind for p in row} <= {"state", "drive", "parameter", "signal"}
        for kind in ("state", "drive", "parameter"):
            for label in step.read[kind]:
                parts = [value for place, value in row.items() if (place.kind, place.label) == (kind, label)]
                expected = by_autograd(step, output, kind, label)
                size = max([1.0, *(np.abs(part).max() for part in parts)])
                np.testing.assert_allclose(
                    sum(parts, np.zeros(expected.shape)), expected, rtol=1e-12, atol=1e-12 * size, err_msg=label
                )


@pytest.mark.parametrize("name", EACH_CELL)
def test_forward_of_cell_agrees_with_autograd(name: str) -> None:
    for seed in range(3):
        assert_agree(random_step(CELLS[name].tape, seed, {}))


@given(drawn_lines, drawn_names, st.integers(0, 2**31))
@settings(max_examples=100)
def test_forward_of_random_equations_agrees_with_autograd(lines: Lines, named: list[int], seed: int) -> None:
    step = random_step(drawn_tape(lines, named), seed, {})
    assume(is_well_conditioned(step))
    assert_agree(step)


@pytest.mark.parametrize("name", EACH_CELL)
def test_forward_by_state_of_same_step_agrees_with_differences(name: str) -> None:
    """The derivative by a state that is changed where it is computed, against central differences."""
    tape = CELLS[name].tape
    step = random_step(tape, 4, {})
    slopes = slopes_of(step)
    width = 1e-6
    for changed in tape.states:
        ends = [run(tape, step.read, {changed: (1.0, sign * width)}).signals for sign in (1, -1)]
        for output in tape.states:
            slope = ((ends[0][output] - ends[1][output]) / (2 * width)).numpy()
            actual = slopes[output].get(Place("signal", changed, changed), np.zeros(slope.shape))
            # The error of a central difference: width squared, and the rounding of its ends (1e-16) over the width.
            np.testing.assert_allclose(actual, slope, rtol=1e-7, atol=1e-8)


def formulas(derivatives: Forward, output: str) -> dict[str, str]:
    """Return name of a place -> formula, for the places of states and recurrent drives."""
    return {
        place.name if place.kind == "drive" else f"{place.name} s.{place.label}": derivatives.formula(output, place)
        for place in derivatives.slopes[output]
        if place.kind == "state" or place.label.startswith("u.")
    }


def test_forward_of_lstm_cell_state_has_four_terms() -> None:
    assert formulas(forward(CELLS["lstm"].tape), "c") == {
        "u.i": "g · i · (1 - i)",
        "u.f": "c₋₁ · f · (1 - f)",
        "u.g": "i · (1 - g · g)",
        "direct s.c": "f",
    }


def test_forward_of_peephole_cell_names_peepholes() -> None:
    terms = formulas(forward(CELLS["peephole"].tape), "c")
    assert set(terms) == {"u.i", "u.f", "u.g", "direct s.c", "peephole i s.c", "peephole f s.c"}
    assert terms["peephole f s.c"] == "c₋₁ · f · (1 - f) · p.f"
    assert terms["direct s.c"] == "f"


def test_forward_formulas_of_other_cells() -> None:
    assert formulas(forward(CELLS["elman"].tape), "h") == {"u.h": "1 - h · h"}
    assert formulas(forward(CELLS["gru"].tape), "h")["direct s.h"] == "z"
    assert formulas(forward(CELLS["mingru"].tape), "h") == {"direct s.h": "1 - z"}
    assert formulas(forward(CELLS["lstm_1997"].tape), "c")["direct s.c"] == "1"
    assert formulas(forward(CELLS["feedforward"].tape), "h") == {}
    assert forward(CELLS["feedforward"].tape).outputs == ("h",)


def names(function: Any) -> set[tuple[str, str, str]]:
    slopes = forward(trace_function(function)).slopes
    return {(output, p.label, p.name) for output, row in slopes.items() for p in row if p.kind == "state"}


def test_forward_uses_of_a_state_have_different_names() -> None:
    def twice(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(h=sigmoid(x.a) * s.h + tanh(x.b) * s.h)

    def square(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(h=s.h * s.h * x.a)

    def crossed(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(c=tanh(x.c + s.h), h=exp(x.h) * s.c)

    def delay(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(h=s.c, c=x.a + p.k * s.c)

    assert names(twice) == names(square) == {("h", "h", "direct"), ("h", "h", "direct 2")}
    assert names(crossed) == {("c", "h", "in c"), ("h", "c", "in h")}
    assert names(delay) == {("h", "c", "in h"), ("c", "c", "direct")}
    for function in (twice, square, crossed, delay):
        assert_agree(random_step(trace_function(function), 1, {}))


def test_forward_ignores_unused_lines() -> None:
    nodes = [["drive", "x.h"], ["state", "h"], ["multiply", 0, 1], ["tanh", 0]]
    tape = from_json({"nodes": nodes, "signals": {"h": 3}}, "idle")
    assert [place.label for place in forward(tape).slopes["h"]] == ["x.h", "h"]
    assert {place.kind for place in forward(tape).slopes["h"]} == {"drive", "signal"}


def test_forward_formula_too_long_is_empty() -> None:
    def long(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        value = s.h
        for _ in range(30):
            value = tanh(value + x.a)
        return dict(h=value)

    derivatives = forward(trace_function(long))
    (place,) = [place for place in derivatives.slopes["h"] if place.kind == "state"]
    assert derivatives.formula("h", place) == ""
    assert_agree(random_step(trace_function(long), 2, {}))


def test_forward_is_deterministic() -> None:
    for cell in CELLS.values():
        assert forward(cell.tape) == forward(Tape(cell.tape.nodes, dict(cell.tape.signals)))
