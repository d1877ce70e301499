"""The reverse derivative of a step: against autograd and finite differences, and the values that it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatescope import CELLS
from gatescope.equations import OPERATIONS, Tape, drive_order, from_json, relu, reverse, sigmoid, tanh, trace_function
from gatescope.equations.operations import JUMPS
from gatescope.equations.symbolic import operation
from tests.equations.backward import (
    Changes,
    Lines,
    Step,
    Values,
    by_autograd,
    by_reverse,
    drawn_lines,
    drawn_names,
    drawn_tape,
    forward,
    is_well_conditioned,
    labels,
    random_step,
)
from tests.networks import EACH_CELL


def gradients_of(step: Step, seed: int) -> Values:
    random = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=random).double() for name, value in step.signals.items()}


def assert_agree(step: Step, seed: int = 0) -> None:
    gradients = gradients_of(step, seed)
    actual, largest = by_reverse(step, gradients)
    expected = by_autograd(step, gradients)
    assert {kind: list(values) for kind, values in actual.items()} == {kind: list(v) for kind, v in expected.items()}
    for kind, values in actual.items():
        for label, value in values.items():
            smallest = 1e-12 * max(1.0, largest)  # the rounding error that remains when large numbers cancel
            torch.testing.assert_close(
                value, expected[kind][label], rtol=1e-12, atol=smallest, msg=lambda m, k=(kind, label): f"{k}: {m}"
            )


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("name", EACH_CELL)
def test_reverse_of_cell_agrees_with_autograd(name: str, joined: bool) -> None:
    tape = drive_order(CELLS[name].tape).tape if joined else CELLS[name].tape
    no_change: Changes = {}
    scaled: list[Changes] = [{signal: (0.5, 0.1)} for signal in tape.stops.values()]
    ablated: list[Changes] = [{signal: (0.0, 0.7)} for signal in tape.stops.values()]
    all_changed: Changes = dict.fromkeys(tape.stops.values(), (0.9, 0.05))
    for seed, changes in enumerate([no_change, *scaled, *ablated, all_changed]):
        assert_agree(random_step(tape, seed, changes), seed)


@given(drawn_lines, drawn_names, st.booleans(), st.integers(0, 2**31), st.data())
@settings(max_examples=200)
def test_reverse_of_random_equations_agrees_with_autograd(
    lines: Lines, named: list[int], joined: bool, seed: int, data: st.DataObject
) -> None:
    tape = drawn_tape(lines, named)
    tape = drive_order(tape).tape if joined else tape
    changed = data.draw(st.lists(st.sampled_from(list(tape.stops.values())), unique=True))
    changes = {name: data.draw(st.sampled_from([(0.5, 0.1), (0.0, 0.3), (-1.5, 0.0)])) for name in changed}
    step = random_step(tape, seed, changes)
    assume(is_well_conditioned(step))
    assert_agree(step, seed)


@pytest.mark.parametrize("name", EACH_CELL)
def test_reverse_of_cell_agrees_with_finite_differences(name: str) -> None:
    tape = drive_order(CELLS[name].tape).tape
    changes = {"h": (0.5, 0.1)}
    step = random_step(tape, 5, changes)
    gradients = gradients_of(step, 6)
    actual = by_reverse(step, gradients)[0]
    width = 1e-6
    for kind, values in step.read.items():
        for label, value in values.items():
            ends = [
                sum(
                    signal * gradients[signal_name]
                    for signal_name, signal in forward(
                        tape, {**step.read, kind: {**values, label: value + sign * width}}, changes
                    ).signals.items()
                )
                for sign in (1, -1)
            ]
            slope = (ends[0] - ends[1]) / (2 * width)
            # The error of a central difference: width squared, and the rounding of its ends (1e-16) over the width.
            torch.testing.assert_close(actual[kind][label], slope, rtol=1e-7, atol=1e-8)


NUMBERS = torch.from_numpy(np.concatenate([np.linspace(-40, 40, 161), [1e-300, -1e-300, 0.0, -0.0, 700, -700]]))


@pytest.mark.parametrize("kind", OPERATIONS)
def test_partials_of_operation_agree_with_autograd(kind: str) -> None:
    """They agree everywhere, also at 0 and for equal arguments."""
    arity = len(OPERATIONS[kind].partials)
    assert arity == OPERATIONS[kind].text.count("{}") == OPERATIONS[kind].cpp.count("{}")
    tape = trace_function(lambda x, u, p, s: dict(h=operation(kind, *(x.a, x.b)[:arity])))
    a, b = (grid.flatten() for grid in torch.meshgrid(NUMBERS, NUMBERS, indexing="ij")) if arity == 2 else [NUMBERS] * 2
    if kind == "divide":
        b = torch.where(b.abs() < 1e-9, 1.0, b)
    step = forward(tape, {"drive": {"x.a": a, "x.b": b}, "parameter": {}, "state": {}}, {})
    ones = {"h": torch.ones_like(a)}
    actual, expected = by_reverse(step, ones)[0]["drive"], by_autograd(step, ones)["drive"]
    # Near y = 1, cancellation leaves few digits in 1 - y * y.
    smallest = 2e-16 if kind == "tanh" else 1e-300
    for label, value in actual.items():
        torch.testing.assert_close(value, expected[label], rtol=1e-14, atol=smallest)


def test_jumps_have_slope_zero() -> None:
    assert not JUMPS.keys() & OPERATIONS.keys()
    for row in JUMPS.values():
        assert [partial(None, *row.partials) for partial in row.partials] == [0.0] * row.text.count("{}")


# --- values that are read --------------------------------------------------------------------------------------------


def reads(tape: Tape, kind: str) -> set[str]:
    return {str(node.label) for node in reverse(tape).nodes if node.kind == kind}


def test_residuals_of_cells() -> None:
    residuals = {name: reverse(drive_order(cell.tape).tape).residuals for name, cell in CELLS.items()}
    assert residuals.pop("gru") == ("u.n",)
    assert residuals.pop("slstm") == ("f", "i")
    assert set(residuals.values()) == {()}


def test_reverse_reads_values_before_changes_only_if_needed() -> None:
    before = {name: reads(drive_order(cell.tape).tape, "before") for name, cell in CELLS.items()}
    assert before["lstm"] == set("ifgo")
    assert before["coupled"] == set("fgo")
    assert before["mingru"] == {"z"}
    assert before["slstm"] == set("goif")


@pytest.mark.parametrize("name", EACH_CELL)
def test_reverse_has_no_superfluous_lines(name: str) -> None:
    nodes = reverse(drive_order(CELLS[name].tape).tape).nodes
    assert len(set(nodes)) == len(nodes)
    for node in nodes:
        numbers = {nodes[k].label for k in node.arguments if nodes[k].kind == "constant"}
        assert not (node.kind in ("multiply", "add") and numbers & {0.0, 1.0, -1.0})
        assert not (node.kind == "negate" and nodes[node.arguments[0]].kind in ("negate", "constant"))
    read = {k for node in nodes for k in node.arguments}
    results = reverse(drive_order(CELLS[name].tape).tape)
    read |= {*results.drives.values(), *results.states.values(), *results.parameters.values()}
    assert read == set(range(len(nodes)))


def test_reverse_reads_named_values_instead_of_recomputing() -> None:
    def unnamed(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(h=x.a * tanh(x.b))

    def named(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(k=tanh(x.b), h=x.a * tanh(x.b))

    assert "tanh" in {node.kind for node in reverse(trace_function(unnamed)).nodes}
    assert "tanh" not in {node.kind for node in reverse(trace_function(named)).nodes}
    assert reverse(trace_function(unnamed)).residuals == ("x.a", "x.b")
    assert reverse(trace_function(named)).residuals == ("x.a",)


# --- unusual equations -----------------------------------------------------------------------------------------------


def two_names(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
    h = tanh(x.h + u.h)
    return dict(first=h, second=h, third=x.a, fourth=x.a, h=h * x.a)


def leaves(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
    return dict(drive=x.a, sum=x.b + u.b, old=s.h, number=p.k, h=sigmoid(x.a) * s.h + p.k * relu(x.b + u.b))


def delay(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
    return dict(h=s.c, c=x.a)


def squares(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
    a = x.a + u.a
    return dict(square=a * a, h=(a * a) / (a * a + 1) + (x.b - x.b) + s.h * 1 - 0 * s.h)


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("function", [two_names, leaves, delay, squares])
def test_reverse_of_renamed_signals_agrees_with_autograd(function: Any, joined: bool) -> None:
    tape = trace_function(function)
    tape = drive_order(tape).tape if joined else tape
    for changes in ({}, *({name: (0.5, 0.1)} for name in tape.stops.values())):
        assert_agree(random_step(tape, 3, changes))


def test_reverse_of_unused_leaf_is_zero() -> None:
    nodes = [["drive", "x.h"], ["drive", "x.idle"], ["parameter", "idle"], ["multiply", 1, 2], ["tanh", 0]]
    tape = from_json({"nodes": nodes, "signals": {"h": 4}}, "idle")
    step = random_step(tape, 0, {})
    assert_agree(step)
    assert not by_reverse(step, gradients_of(step, 0))[0]["drive"]["x.idle"].any()
    assert reverse(tape).residuals == ()
    assert labels(tape, "parameter") == list(reverse(tape).parameters) == ["idle"]


def test_reverse_without_states_or_parameters_has_none() -> None:
    backward = reverse(trace_function(lambda x, u, p, s: dict(h=tanh(x.h))))
    assert backward.states == backward.parameters == {}
    assert list(backward.drives) == ["x.h"]


def test_reverse_is_deterministic() -> None:
    for cell in CELLS.values():
        assert reverse(cell.tape) == reverse(Tape(cell.tape.nodes, dict(cell.tape.signals)))
