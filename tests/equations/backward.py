"""Shared by tests of derivatives: random equations, and two ways to compute the derivatives of one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from hypothesis import reject
from hypothesis import strategies as st
from torch import Tensor

from gatescope.equations import OPERATIONS, EquationError, Evaluator, Reverse, Tape, reverse, tanh, trace_function
from gatescope.equations.operations import JUMPS
from gatescope.equations.symbolic import operation

constant = partial(torch.tensor, dtype=torch.float64)
LEAVES = {"drive": "drives", "state": "states", "parameter": "parameters"}
Values = dict[str, Tensor]
Changes = Mapping[str, tuple[float, float]]  # signal -> scale, shift


@dataclass
class Step:
    """One step forward: its arguments, its signals, and the signals before their changes."""

    tape: Tape
    read: dict[str, Values]  # kind of leaf -> label -> value
    changes: Changes
    signals: Values
    before: Values


def labels(tape: Tape, kind: str) -> list[str]:
    return [str(node.label) for node in tape.nodes if node.kind == kind]


def forward(tape: Tape, read: dict[str, Values], changes: Changes) -> Step:
    before: Values = {}

    def change(name: str, value: Tensor) -> Tensor:
        before[name] = value
        scale, shift = changes.get(name, (1.0, 0.0))
        return value * scale + shift

    signals = Evaluator(tape, "torch", constant)(read["drive"], read["parameter"], read["state"], change)
    return Step(tape, read, changes, signals, before)


def random_step(tape: Tape, seed: int, changes: Changes, size: int = 7) -> Step:
    """Return a step on random normal numbers; states are positive, as a normaliser must be."""
    random = torch.Generator().manual_seed(seed)
    read = {kind: {k: torch.randn(size, generator=random).double() for k in labels(tape, kind)} for kind in LEAVES}
    read["state"] = {k: v.abs() + 0.5 for k, v in read["state"].items()}
    return forward(tape, read, changes)


def by_reverse(step: Step, gradients: Values) -> tuple[dict[str, Values], float]:
    """Return the derivatives of `reverse` by kind of leaf and label, and the largest intermediate number."""
    backward = reverse(step.tape)
    residuals = {k: step.read["drive"][k] for k in backward.residuals}  # reading any other drive fails
    sources = dict(step.read, drive=residuals, gradient=gradients, signal=step.signals, before=step.before)
    values: list[Any] = []
    for node in backward.nodes:
        arguments = [values[k] for k in node.arguments]
        if node.kind in OPERATIONS or node.kind in JUMPS:
            values.append((OPERATIONS | JUMPS)[node.kind].torch(*arguments))
        elif node.kind == "back":
            values.append(arguments[0] * step.changes.get(str(node.label), (1.0, 0.0))[0])
        else:
            values.append(constant(node.label) if node.kind == "constant" else sources[node.kind][str(node.label)])
    largest = max((float(value.abs().max()) for value in values), default=0.0)
    return results(backward, values, step), largest


def results(backward: Reverse, values: list[Any], step: Step) -> dict[str, Values]:
    shape = next(iter(step.signals.values())).shape
    return {
        kind: {label: values[k].expand(shape) for label, k in getattr(backward, places).items()}
        for kind, places in LEAVES.items()
    }


def by_autograd(step: Step, gradients: Values) -> dict[str, Values]:
    """Return the same derivatives from torch, for the step computed anew."""
    read = {kind: {k: v.clone().requires_grad_() for k, v in values.items()} for kind, values in step.read.items()}
    signals = forward(step.tape, read, step.changes).signals
    loss = sum((signals[name] * gradients[name]).sum() for name in signals)
    assert isinstance(loss, Tensor)
    inputs = [value for values in read.values() for value in values.values()]
    computed = iter(torch.autograd.grad(loss, inputs, materialize_grads=True)) if inputs else iter(())
    return {kind: {k: next(computed) for k in values} for kind, values in read.items()}


NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0)
places = st.integers(0, 40)
Lines = list[tuple[str, int, int]]  # an operation, and how many lines back its arguments are
drawn_lines = st.lists(st.tuples(st.sampled_from(list(OPERATIONS)), places, places), min_size=1, max_size=14)
drawn_names = st.lists(places, min_size=1, max_size=7)


def drawn_tape(lines: Lines, named: list[int]) -> Tape:
    """Return equations with all operations, drives that can and cannot be joined, and names for any line."""

    def cell(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        values: list[Any] = [x.a + u.a, u.b + x.b, x.c, u.c, x.d, u.e, p.a, p.b, s.c, s.h, tanh(x.f + u.f)]
        for kind, back, other_back in lines:
            first, second = (values[-1 - place % len(values)] for place in (back, other_back))
            if OPERATIONS[kind].text.count("{}") == 1:
                values.append(operation(kind, first))
            else:  # sometimes with a constant
                values.append(operation(kind, first, NUMBERS[other_back % 5] if other_back > 32 else second))
        chosen = {f"q{k}": values[-1 - place % len(values)] for k, place in enumerate(named[1:])}
        return dict(c=values[-1 - named[0] % len(values)], **chosen, h=values[-1])

    try:
        return trace_function(cell)
    except EquationError:  # a signal is a constant, or a formula is too long
        reject()


def is_well_conditioned(step: Step) -> bool:
    """Return whether no line of the step is so large, or has so small a divisor, that digits are lost."""
    every = Tape(step.tape.nodes, {f"n{k}": k for k in range(len(step.tape.nodes))})
    scales = {f"n{index}": step.changes[name] for index, name in step.tape.stops.items() if name in step.changes}
    values = list(forward(every, step.read, scales).signals.values())
    divisors = [values[node.arguments[1]] for node in step.tape.nodes if node.kind == "divide"]
    return all(bool((v.abs() < 1e3).all()) for v in values) and all(bool((v.abs() > 0.05).all()) for v in divisors)
