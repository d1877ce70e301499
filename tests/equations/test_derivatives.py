"""The reverse derivative of a step: against torch's autograd, against finite differences, and what it may read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatescope import CELLS
from gatescope.equations import OPERATIONS, Tape, from_json, join_drives, relu, reverse, sigmoid, tanh, trace_function
from gatescope.equations.expression import operation
from gatescope.equations.operations import JUMPS
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
    harmless,
    labels,
    random_step,
)
from tests.networks import EACH_CELL


def gradients_of(step: Step, seed: int) -> Values:
    random = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=random).double() for name, value in step.signals.items()}


def assert_agree(step: Step, seed: int = 0) -> None:
    gradients = gradients_of(step, seed)
    ours, largest = by_reverse(step, gradients)
    theirs = by_autograd(step, gradients)
    assert {kind: list(values) for kind, values in ours.items()} == {kind: list(v) for kind, v in theirs.items()}
    for kind, values in ours.items():
        for label, value in values.items():
            smallest = 1e-12 * max(1.0, largest)  # where large numbers cancel, their rounding remains
            torch.testing.assert_close(
                value, theirs[kind][label], rtol=1e-12, atol=smallest, msg=lambda m, k=(kind, label): f"{k}: {m}"
            )


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("name", EACH_CELL)
def test_every_cell_agrees_with_autograd(name: str, joined: bool) -> None:
    tape = join_drives(CELLS[name].tape)[0] if joined else CELLS[name].tape
    nothing: Changes = {}
    each: list[Changes] = [{signal: (0.5, 0.1)} for signal in tape.stops.values()]
    ablated: list[Changes] = [{signal: (0.0, 0.7)} for signal in tape.stops.values()]
    everything: Changes = dict.fromkeys(tape.stops.values(), (0.9, 0.05))
    for seed, changes in enumerate([nothing, *each, *ablated, everything]):
        assert_agree(random_step(tape, seed, changes), seed)


@given(drawn_lines, drawn_names, st.booleans(), st.integers(0, 2**31), st.data())
@settings(max_examples=200)
def test_drawn_equations_agree_with_autograd(
    lines: Lines, named: list[int], joined: bool, seed: int, data: st.DataObject
) -> None:
    tape = drawn_tape(lines, named)
    tape = join_drives(tape)[0] if joined else tape
    changed = data.draw(st.lists(st.sampled_from(list(tape.stops.values())), unique=True))
    changes = {name: data.draw(st.sampled_from([(0.5, 0.1), (0.0, 0.3), (-1.5, 0.0)])) for name in changed}
    step = random_step(tape, seed, changes)
    assume(harmless(step))
    assert_agree(step, seed)


@pytest.mark.parametrize("name", EACH_CELL)
def test_every_cell_agrees_with_finite_differences(name: str) -> None:
    tape = join_drives(CELLS[name].tape)[0]
    changes = {"h": (0.5, 0.1)}
    step = random_step(tape, 5, changes)
    gradients = gradients_of(step, 6)
    ours = by_reverse(step, gradients)[0]
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
            # A central difference is off by width squared, and by the rounding of the ends (1e-16) over its width.
            torch.testing.assert_close(ours[kind][label], slope, rtol=1e-7, atol=1e-8)


NUMBERS = torch.from_numpy(np.concatenate([np.linspace(-40, 40, 161), [1e-300, -1e-300, 0.0, -0.0, 700, -700]]))


@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_partials_of_every_operation(kind: str) -> None:
    """Everywhere, at 0 and where two arguments are equal too."""
    arity = len(OPERATIONS[kind].partials)
    assert arity == OPERATIONS[kind].text.count("{}") == OPERATIONS[kind].cpp.count("{}")
    tape = trace_function(lambda x, u, p, s: dict(h=operation(kind, *(x.a, x.b)[:arity])))
    a, b = (grid.flatten() for grid in torch.meshgrid(NUMBERS, NUMBERS, indexing="ij")) if arity == 2 else [NUMBERS] * 2
    if kind == "divide":
        b = torch.where(b.abs() < 1e-9, 1.0, b)
    step = forward(tape, {"drive": {"x.a": a, "x.b": b}, "parameter": {}, "state": {}}, {})
    ones = {"h": torch.ones_like(a)}
    ours, theirs = by_reverse(step, ones)[0]["drive"], by_autograd(step, ones)["drive"]
    # Near 1, only so many digits of the result y are left in 1 - y * y.
    smallest = 2e-16 if kind == "tanh" else 1e-300
    for label, value in ours.items():
        torch.testing.assert_close(value, theirs[label], rtol=1e-14, atol=smallest)


def test_jumps_have_no_slope_and_are_no_equations() -> None:
    assert not JUMPS.keys() & OPERATIONS.keys()
    for row in JUMPS.values():
        assert [partial(None, *row.partials) for partial in row.partials] == [0.0] * row.text.count("{}")


# --- what is read ----------------------------------------------------------------------------------------------------


def reads(tape: Tape, kind: str) -> set[str]:
    return {str(node.label) for node in reverse(tape).nodes if node.kind == kind}


def test_what_the_forward_step_has_to_keep() -> None:
    residuals = {name: reverse(join_drives(cell.tape)[0]).residuals for name, cell in CELLS.items()}
    assert residuals.pop("gru") == ("u.n",)
    assert residuals.pop("slstm") == ("f", "i")
    assert set(residuals.values()) == {()}


def test_the_value_before_a_change_is_read_only_where_a_derivative_needs_it() -> None:
    before = {name: reads(join_drives(cell.tape)[0], "before") for name, cell in CELLS.items()}
    assert before["lstm"] == set("ifgo")
    assert before["coupled"] == set("fgo")
    assert before["mingru"] == {"z"}
    assert before["slstm"] == set("goif")


@pytest.mark.parametrize("name", EACH_CELL)
def test_nothing_is_computed_for_nothing(name: str) -> None:
    nodes = reverse(join_drives(CELLS[name].tape)[0]).nodes
    assert len(set(nodes)) == len(nodes)
    for node in nodes:
        numbers = {nodes[k].label for k in node.arguments if nodes[k].kind == "constant"}
        assert not (node.kind in ("multiply", "add") and numbers & {0.0, 1.0, -1.0})
        assert not (node.kind == "negate" and nodes[node.arguments[0]].kind in ("negate", "constant"))
    read = {k for node in nodes for k in node.arguments}
    results = reverse(join_drives(CELLS[name].tape)[0])
    read |= {*results.drives.values(), *results.states.values(), *results.parameters.values()}
    assert read == set(range(len(nodes)))


def test_a_named_value_is_read_and_not_computed_again() -> None:
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
def test_names_of_leaves_and_of_each_other(function: Any, joined: bool) -> None:
    tape = trace_function(function)
    tape = join_drives(tape)[0] if joined else tape
    for changes in ({}, *({name: (0.5, 0.1)} for name in tape.stops.values())):
        assert_agree(random_step(tape, 3, changes))


def test_what_nothing_uses_has_derivative_zero() -> None:
    nodes = [["drive", "x.h"], ["drive", "x.idle"], ["parameter", "idle"], ["multiply", 1, 2], ["tanh", 0]]
    tape = from_json({"nodes": nodes, "signals": {"h": 4}}, "idle")
    step = random_step(tape, 0, {})
    assert_agree(step)
    assert not by_reverse(step, gradients_of(step, 0))[0]["drive"]["x.idle"].any()
    assert reverse(tape).residuals == ()
    assert labels(tape, "parameter") == list(reverse(tape).parameters) == ["idle"]


def test_the_derivative_of_equations_that_read_nothing_of_a_kind() -> None:
    backward = reverse(trace_function(lambda x, u, p, s: dict(h=tanh(x.h))))
    assert backward.states == backward.parameters == {}
    assert list(backward.drives) == ["x.h"]


def test_it_is_the_same_every_time() -> None:
    for cell in CELLS.values():
        assert reverse(cell.tape) == reverse(Tape(cell.tape.nodes, dict(cell.tape.signals)))
