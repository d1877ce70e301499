"""Interventions and known hidden states on the native engine, against the plain engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import CELLS, Intervention, clamp, nudge, patch
from tests.engine.problems import FLOAT64, Problem, agree, drawn, everything, identical, make
from tests.networks import numbers, seeds

pytestmark = pytest.mark.usefixtures("compiled")


def places(count: int) -> st.SearchStrategy[int | slice]:
    bounds = st.none() | st.integers(-count, count)
    return st.integers(0, count - 1) | st.builds(slice, bounds, bounds, st.sampled_from([None, 2]))


def drawn_changes(data: st.DataObject, problem: Problem) -> list[Intervention]:
    """Draw clamps, nudges, scalings and patches of a row, a step, a neuron, or slices of them."""
    (steps, rows), neurons = problem.inputs.shape[:2], problem.parameters.biases.shape[1]
    interventions = []
    for seed in data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=3)):
        neuron, row = data.draw(places(neurons)), data.draw(places(rows))
        sizes = [
            len(range(*place.indices(count)))
            for place, count in ((row, rows), (neuron, neurons))
            if isinstance(place, slice)
        ]
        shape = [steps, *sizes[data.draw(st.integers(0, len(sizes))) :]]
        shift = data.draw(st.sampled_from([0.0, 0.5, -0.25]) | st.just(0.5 * numbers(seed, *shape)))
        bounds = st.none() | st.integers(-6, 6)
        at_steps = data.draw(st.builds(slice, bounds, bounds, st.sampled_from([None, 2])))
        scale = data.draw(st.sampled_from([0.0, 1.0, 0.5, -1.0]))
        # With random changes of its normaliser or stabiliser, an sLSTM would divide by 0.
        signals = [
            name for name in problem.cell.signals if problem.cell.name != "slstm" or name in ("g", "o", "c", "h")
        ]
        interventions.append(Intervention(0, data.draw(st.sampled_from(signals)), neuron, at_steps, scale, shift, row))
    return interventions


@given(data=st.data())
@settings(max_examples=150)
def test_native_interventions_agree_with_plain_engine(data: st.DataObject) -> None:
    problem = drawn(data)
    changes = drawn_changes(data, problem)
    keep = data.draw(st.sampled_from([problem.cell.signals, everything(problem.cell), ("h",)]))
    agree(problem.forward("native", keep, changes), problem.forward("plain", keep, changes), FLOAT64)
    agree(problem.gradients("native", keep, changes), problem.gradients("plain", keep, changes), FLOAT64)


@given(data=st.data())
@settings(max_examples=150)
def test_native_known_hidden_states_agree_with_plain_engine(data: st.DataObject) -> None:
    problem = drawn(data)
    steps, rows = problem.inputs.shape[:2]
    hidden = numbers(data.draw(seeds), steps, rows, 2 * problem.parameters.biases.shape[1])[:, :, ::2]
    if data.draw(st.booleans()):
        hidden = hidden.contiguous()
    problem = replace(problem, hidden=hidden)
    changes = drawn_changes(data, problem) if data.draw(st.booleans()) else []
    keep = data.draw(
        st.sampled_from([problem.cell.signals, everything(problem.cell), ("h",), problem.cell.signals[:-1]])
    )
    with torch.no_grad():
        agree(problem.forward("native", keep, changes), problem.forward("plain", keep, changes), FLOAT64)


@given(data=st.data())
@settings(max_examples=60)
def test_native_own_hidden_states_change_no_bit(data: st.DataObject) -> None:
    problem = drawn(data)
    results = problem.forward()
    identical(replace(problem, hidden=results["h"]).forward(), results)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [3, 40])
@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if "h" in cell.states])
def test_native_own_hidden_states_change_no_bit_in_large_runs(
    cell: str, rows: int, dtype: torch.dtype, reverse: bool
) -> None:
    """Runs larger than the cache. With 3 rows several steps are computed together, with 40 one step at a time."""
    lengths = [1800 // rows - 2 * k for k in range(rows)] if rows == 3 else None
    problem = make(cell, 1800 // rows, rows, 5, 64, reverse=reverse, lengths=lengths).to(dtype)
    results = problem.forward()
    identical(replace(problem, hidden=results["h"]).forward(), results)


def test_native_interventions_on_slstm_stabiliser_agree() -> None:
    problem = make("slstm", 6, 3, 2, 19, reverse=True, lengths=[6, 0, 4])
    values = numbers(3, 6, 19) * 0.1
    for changes in (
        [nudge(0, "m", slice(None), 0.3)],
        [clamp(0, "m", 3, 0.1), nudge(0, "n", 5, 2.0)],
        [patch(0, "m", slice(None), values), Intervention(0, "i", 2, scale=0.5), Intervention(0, "f", 4, scale=0.9)],
    ):
        agree(problem.forward("native", None, changes), problem.forward("plain", None, changes), FLOAT64)
        agree(problem.gradients("native", None, changes), problem.gradients("plain", None, changes), FLOAT64)
