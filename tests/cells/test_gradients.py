"""Gradients of every cell, first and second, against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gatescope import CELLS
from gatescope.engine import Parameters, run
from tests.networks import EACH_CELL, layer, numbers


def of_everything(name: str, lengths: Tensor | None = None):
    """All signals and final states as a function of inputs, initial states and weights, and where to start."""
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
        made = Parameters(**{**empty, **dict(zip(full, rest[len(state) :], strict=True))})
        found, final = run(cell, made, x, states, lengths=lengths, keep=cell.signals)
        return (*found.values(), *final.values())

    return function, tuple(start)


@pytest.mark.parametrize("name", EACH_CELL)
def test_first_derivatives(name: str) -> None:
    function, start = of_everything(name)
    assert torch.autograd.gradcheck(function, start, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm"])
def test_first_derivatives_of_sequences_that_end_early(name: str) -> None:
    function, start = of_everything(name, torch.tensor([1, 3, 2]))
    assert torch.autograd.gradcheck(function, start, eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", EACH_CELL)
def test_second_derivatives(name: str) -> None:
    function, start = of_everything(name)

    def last(*values: Tensor) -> Tensor:
        return function(*values)[-1]

    assert torch.autograd.gradgradcheck(last, start, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)
