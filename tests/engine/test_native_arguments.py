"""The arguments of the native engine: names to keep, types and layouts of arrays, gradients that are required."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS
from gatescope.engine import Parameters, native
from tests.engine.problems import FLOAT64, Problem, agree, drawn, everything, identical, make, weighted_sum
from tests.networks import numbers

pytestmark = pytest.mark.usefixtures("compiled")


@given(data=st.data())
@settings(max_examples=60)
def test_native_keep_returns_requested_names(data: st.DataObject) -> None:
    """Names are in the requested order, each once; the numbers do not depend on the other names."""
    problem = drawn(data)
    complete = problem.forward(keep=everything(problem.cell))
    keep = data.draw(st.lists(st.sampled_from(everything(problem.cell)), max_size=5))
    results = problem.forward(keep=keep)
    assert [name for name in results if not name.startswith("final")] == list(dict.fromkeys(keep))
    identical(results, {name: complete[name] for name in results})


@pytest.mark.parametrize("kind", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_native_ids_of_every_integer_type_agree(kind: torch.dtype) -> None:
    problem = make("lstm", 5, 3, 4, 9, symbols=True)
    expected = replace(problem, inputs=problem.inputs.clamp(min=0)).forward("plain")
    agree(replace(problem, inputs=problem.inputs.clamp(min=0).to(kind)).forward(), expected, FLOAT64)


def test_native_strided_arguments_agree() -> None:
    """Transposed, expanded and sliced inputs, ids, weights, states and lengths."""
    cell = CELLS["peephole"]
    plain = make("peephole", 4, 3, 5, 6, lengths=[4, 1, 3])
    assert plain.state is not None
    assert plain.lengths is not None

    def transposed(value: Tensor) -> Tensor:
        return value.transpose(0, -1).contiguous().transpose(0, -1)

    def sliced(value: Tensor) -> Tensor:
        return torch.stack([value, torch.full_like(value, 1000)], -1)[..., 0]

    expected, gradients = plain.forward("plain"), plain.gradients("plain")
    for with_layout in (transposed, sliced):
        state = {name: with_layout(value) for name, value in plain.state.items()}
        problem = replace(
            plain,
            parameters=Parameters(**{name: with_layout(value) for name, value in plain.parameters.by_name().items()}),
            inputs=with_layout(plain.inputs),
            state=state,
            lengths=with_layout(plain.lengths),
        )
        agree(problem.forward(), expected, FLOAT64)
        leaves = [problem.inputs, *problem.parameters.by_name().values(), *state.values()]
        for leaf in leaves:
            leaf.requires_grad_()
        total = weighted_sum(problem.forward())
        names = ["x", *problem.parameters.by_name(), *(f"initial {state}" for state in plain.state)]
        agree(dict(zip(names, torch.autograd.grad(total, leaves), strict=True)), gradients, FLOAT64)
    rows = plain.inputs[:, :1].expand(-1, 3, -1)
    identical(replace(plain, inputs=rows).forward(), replace(plain, inputs=rows.contiguous()).forward())
    ids = torch.tensor([[1, 3, 0, 7]]).expand(3, -1).t()
    parameters, state = plain.parameters, plain.state
    by_ids = Problem(cell, parameters, ids, state)
    identical(by_ids.forward(), replace(by_ids, inputs=ids.contiguous()).forward())


def test_native_strided_gradients_agree() -> None:
    problem, leaves = make("lstm", 5, 3, 2, 7).leaves()
    results = problem.forward()
    strided = {
        "h": torch.ones(1, 1, 1, dtype=torch.float64).expand(5, 3, 7),
        "c": numbers(1, 7, 3, 5).permute(2, 1, 0),
        "i": numbers(2, 3, 5, 7).transpose(0, 1),
        "o": numbers(3, 5, 1, 7).expand(5, 3, 7),
        "g": numbers(4, 5, 3, 14)[:, :, ::2],
        "final c": numbers(5, 7, 3).t(),
        "final h": torch.ones(1, 1, dtype=torch.float64).expand(3, 7),
    }

    def backward(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = [results[name] for name in gradients]
        derivatives = torch.autograd.grad(outputs, list(leaves.values()), list(gradients.values()), retain_graph=True)
        return dict(zip(leaves, derivatives, strict=True))

    identical(backward(strided), backward({name: value.contiguous() for name, value in strided.items()}))


@pytest.mark.parametrize("name", ["lstm", "gru", "feedforward"])
def test_native_gradients_only_where_required(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """C++ gets the address of an array for the required gradient, and 0 for all others."""
    assert native._native is not None
    backward = native._native.backward_double
    addresses: list[int] = []

    def spy(*arguments: Any) -> None:
        d_x, d_initial, d_weights = arguments[-3:]
        addresses[:] = [*d_weights, *d_initial, d_x]
        backward(*arguments)

    monkeypatch.setattr(native._native, "backward_double", spy)
    all_gradients = make(name, 4, 3, 2, 9).gradients()
    for chosen in all_gradients:
        problem, leaves = make(name, 4, 3, 2, 9).leaves()
        for other, leaf in leaves.items():
            leaf.requires_grad_(other == chosen)
        total = weighted_sum(problem.forward())
        if not leaves[chosen].numel():
            continue
        (gradient,) = torch.autograd.grad(total, leaves[chosen])
        agree({chosen: gradient}, {chosen: all_gradients[chosen]}, FLOAT64)
        assert [key for key, address in zip(leaves, addresses, strict=True) if address] == [chosen]


def test_native_without_gradients_builds_no_graph() -> None:
    problem = make("lstm", 4, 3, 2, 9)
    expected = problem.forward("plain")
    assert not any(value.requires_grad for value in problem.forward().values())
    grown, _ = problem.leaves()
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            results = grown.forward()
            assert not any(value.requires_grad for value in results.values())
            agree(results, {name: value.detach() for name, value in expected.items()}, FLOAT64)


def test_native_result_changed_in_place_is_an_error() -> None:
    """Changing a value that backward reads is an error and not a wrong gradient."""
    problem, leaves = make("lstm", 4, 3, 2, 9).leaves()
    results = problem.forward()
    total = results["h"].sum()
    with pytest.raises(RuntimeError, match=r"in-?place"):
        results["c"].mul_(2)
        torch.autograd.grad(total, leaves["biases"])
