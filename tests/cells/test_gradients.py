"""First and second derivatives of every cell, against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gatescope import CELLS
from gatescope.engine import Engine, Parameters, run
from tests.networks import EACH_CELL, layer, numbers


def run_as_function(name: str, engine: Engine, lengths: Tensor | None = None, reverse: bool = False):
    """Return all signals and final states as a function of inputs, initial states and weights, and its arguments."""
    cell = CELLS[name]
    weights = layer(cell, 2, 2, seed=3)
    state = {k: numbers(20 + j, 3, 2) for j, k in enumerate(cell.states)}
    if "n" in state:
        state["n"] = state["n"].abs() + 0.5
    start = [numbers(9, 3, 3, 2), *state.values(), *weights.by_name().values()]
    start = [value.requires_grad_() for value in start if value.numel()]
    empty = {k: v for k, v in weights.by_name().items() if not v.numel()}

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        x, *rest = values
        states = dict(zip(state, rest[: len(state)], strict=True))
        full = [k for k in weights.by_name() if k not in empty]
        parameters = Parameters(**{**empty, **dict(zip(full, rest[len(state) :], strict=True))})
        signals, final = run(
            cell, parameters, x, states, lengths=lengths, reverse=reverse, keep=cell.signals, engine=engine
        )
        return (*signals.values(), *final.values())

    return function, tuple(start)


@pytest.mark.parametrize("name", EACH_CELL)
def test_first_derivatives_agree_with_differences(engine: Engine, name: str) -> None:
    function, start = run_as_function(name, engine)
    assert torch.autograd.gradcheck(function, start, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm"])
@pytest.mark.parametrize("reverse", [False, True])
def test_first_derivatives_with_lengths_agree(engine: Engine, name: str, reverse: bool) -> None:
    function, start = run_as_function(name, engine, torch.tensor([0, 3, 2]), reverse)
    assert torch.autograd.gradcheck(function, start, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", EACH_CELL)
def test_second_derivatives_agree_with_differences(name: str) -> None:
    function, start = run_as_function(name, "plain")

    def last(*values: Tensor) -> Tensor:
        return function(*values)[-1]

    assert torch.autograd.gradgradcheck(last, start, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", EACH_CELL)
def test_native_second_derivatives_are_refused(name: str) -> None:
    function, start = run_as_function(name, "native")
    (first,) = torch.autograd.grad(function(*start)[-1].sum(), start[0])
    assert not first.requires_grad
    with pytest.raises(RuntimeError, match=r'expected first derivatives.*engine="plain"'):
        torch.autograd.grad(function(*start)[-1].sum(), start[0], create_graph=True)
