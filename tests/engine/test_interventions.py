"""Interventions: changes of named signals while a layer runs."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, Cell, Intervention, ablate, clamp, define, nudge, patch
from gatescope.engine import Engine, run
from gatescope.equations import tanh
from tests.networks import cells, layer, numbers, seeds

STEPS, ROWS, NEURONS = 6, 3, 4


def run_with(engine: Engine, cell: Cell, *interventions: Intervention, seed: int = 0) -> dict[str, Tensor]:
    """Return all signals and drives of a random layer on random inputs."""
    parameters = layer(cell, 2, NEURONS, seed)
    keep = (*cell.signals, *cell.drives)
    return run(
        cell, parameters, numbers(seed + 9, STEPS, ROWS, 2), keep=keep, interventions=interventions, engine=engine
    )[0]


steps = st.builds(slice, st.none() | st.integers(-7, 7), st.none() | st.integers(-7, 7), st.sampled_from([None, 1, 2]))


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_intervention_of_scale_1_and_shift_0_changes_nothing(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    seed = data.draw(seeds)
    signal = data.draw(st.sampled_from(cell.signals))
    no_change = Intervention(0, signal, data.draw(st.integers(0, NEURONS - 1)), data.draw(steps), scale=1.0, shift=0.0)
    before, after = run_with(engine, cell, seed=seed), run_with(engine, cell, no_change, seed=seed)
    for name in before:
        assert torch.equal(before[name], after[name]), name


@given(cell=cells, data=st.data())
@settings(max_examples=60)
def test_intervention_acts_on_its_target_only(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    """The target: a neuron, a row and steps. Other rows and earlier steps do not change."""
    seed = data.draw(seeds)
    signal = data.draw(st.sampled_from(cell.signals))
    at_steps, row = data.draw(steps), data.draw(st.integers(0, ROWS - 1))
    neuron = data.draw(st.integers(0, NEURONS - 1))
    changed_steps = list(range(STEPS))[at_steps]
    before = run_with(engine, cell, seed=seed)
    after = run_with(engine, cell, Intervention(0, signal, neuron, at_steps, 0.0, 0.25, row), seed=seed)
    for t in range(STEPS):
        assert (after[signal][t, row, neuron] == 0.25) == (t in changed_steps)
    for name in before:
        others = [r for r in range(ROWS) if r != row]
        assert torch.equal(before[name][:, others], after[name][:, others])
        first = min(changed_steps, default=STEPS)
        assert torch.equal(before[name][:first], after[name][:first])
        if name == signal and changed_steps:
            rest = [n for n in range(NEURONS) if n != neuron]
            assert torch.equal(before[name][first][:, rest], after[name][first][:, rest])


def test_clamp_ablate_nudge_and_scale_act_as_named(engine: Engine) -> None:
    cell = CELLS["lstm"]
    before = run_with(engine, cell)
    assert (run_with(engine, cell, clamp(0, "f", 2, 0.5))["f"][:, :, 2] == 0.5).all()
    assert (run_with(engine, cell, ablate(0, "c", slice(None)))["h"] == 0).all()
    assert (run_with(engine, cell, ablate(0, "c", 1, mean=0.3))["c"][:, :, 1] == 0.3).all()
    nudged = run_with(engine, cell, nudge(0, "g", 3, 0.1, slice(2, 3)))
    torch.testing.assert_close(nudged["g"][2, :, 3], before["g"][2, :, 3] + 0.1, rtol=0, atol=0)
    torch.testing.assert_close(
        nudged["c"][2, :, 3], before["c"][2, :, 3] + 0.1 * before["i"][2, :, 3], rtol=1e-12, atol=1e-12
    )
    halved = run_with(engine, cell, Intervention(0, "o", 0, scale=0.5))
    assert torch.equal(halved["o"][0, :, 0], before["o"][0, :, 0] * 0.5)


def test_patch_of_cell_state_reaches_hidden_state(engine: Engine) -> None:
    """h is computed from the patched c, and the next step reads both."""
    cell = CELLS["lstm"]
    source = run_with(engine, cell, seed=5)
    for neuron, values in ((slice(None), source["c"][:, 1]), (2, source["c"][:, 1, 2])):
        after = run_with(engine, cell, patch(0, "c", neuron, values))
        for row in range(ROWS):
            torch.testing.assert_close(after["c"][:, row, neuron], values, rtol=0, atol=0)
        torch.testing.assert_close(after["h"], after["o"] * after["c"].tanh(), rtol=1e-12, atol=1e-12)


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_patch_with_own_recording_changes_no_bit(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    """The result is equal bit for bit, because an engine has one order of operations."""
    seed, signal = data.draw(seeds), data.draw(st.sampled_from(cell.signals))
    before = run_with(engine, cell, seed=seed)
    row, neuron = data.draw(st.integers(0, ROWS - 1)), data.draw(st.integers(0, NEURONS - 1))
    whole = slice(None)
    for rows, neurons, values in (
        (whole, whole, before[signal]),
        (row, whole, before[signal][:, row]),
        (whole, neuron, before[signal][:, :, neuron]),
        (row, neuron, before[signal][:, row, neuron]),
        (slice(row, row + 1), slice(neuron, None), before[signal][:, row : row + 1, neuron:]),
    ):
        patched = Intervention(0, signal, neurons, data.draw(steps), 0.0, values, rows)
        after = run_with(engine, cell, patched, seed=seed)
        for name in before:
            assert torch.equal(before[name], after[name]), name


def test_interventions_of_rows_act_as_in_separate_runs(engine: Engine) -> None:
    cell = CELLS["gru"]
    clamps = [clamp(0, "h", k, 0.0) for k in range(ROWS)]
    batch = run_with(engine, cell, *[Intervention(0, "h", k, shift=0.0, row=k) for k in range(ROWS)])
    for row in range(ROWS):
        alone = run_with(engine, cell, clamps[row])
        for name in alone:
            torch.testing.assert_close(batch[name][:, row], alone[name][:, row], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("downwards", "upwards"), [(slice(None, None, -1), slice(None)), (slice(2, 0, -1), slice(1, 3))]
)
@pytest.mark.parametrize("axes", [("row",), ("neuron",), ("row", "neuron")])
def test_slice_that_counts_down_reverses_the_shift(
    engine: Engine, downwards: slice, upwards: slice, axes: tuple[str, ...]
) -> None:
    counts = [len(range(*upwards.indices(count))) for count in (ROWS, NEURONS)]
    shift = numbers(5, STEPS, *counts)
    flipped = shift.flip([1 + ("row", "neuron").index(axis) for axis in axes])
    selections = dict.fromkeys(("row", "neuron"), upwards)
    down = Intervention(0, "c", scale=0.5, shift=shift, **selections | dict.fromkeys(axes, downwards))
    up = Intervention(0, "c", scale=0.5, shift=flipped, **selections)
    expected = run_with(engine, CELLS["lstm"], up)
    for name, values in run_with(engine, CELLS["lstm"], down).items():
        torch.testing.assert_close(values, expected[name], rtol=0, atol=0)


def test_interventions_act_in_their_order(engine: Engine) -> None:
    cell = CELLS["elman"]
    first = run_with(engine, cell, clamp(0, "h", 0, 0.5), nudge(0, "h", 0, 0.25))
    assert (first["h"][:, :, 0] == 0.75).all()
    assert (run_with(engine, cell, nudge(0, "h", 0, 0.25), clamp(0, "h", 0, 0.5))["h"][:, :, 0] == 0.5).all()


def test_gradients_pass_a_nudge_and_stop_at_a_clamp(engine: Engine) -> None:
    cell = CELLS["lstm"]
    parameters, x = layer(cell, 2, 2, 0), numbers(1, 3, 1, 2).requires_grad_()
    clamped, _ = run(cell, parameters, x, interventions=[clamp(0, "h", slice(None), 0.1)], engine=engine)
    assert torch.autograd.grad(clamped["h"].sum(), x)[0].abs().max() == 0
    nudged, _ = run(cell, parameters, x, interventions=[nudge(0, "h", slice(None), 0.1)], engine=engine)
    assert torch.autograd.grad(nudged["h"].sum(), x)[0].abs().min() > 0


def test_intervention_changes_all_names_of_a_quantity() -> None:
    @define(paper="")
    def twice(x, u, p, s):
        c = tanh(x.c + u.c)
        return dict(c=c, h=c)

    for name in ("c", "h"):
        after = run_with("auto", twice, clamp(0, name, 1, 0.5))
        assert (after["c"][:, :, 1] == 0.5).all()
        assert (after["h"][:, :, 1] == 0.5).all()


@given(
    cell=cells,
    data=st.data(),
    cuts=st.lists(st.integers(0, STEPS), max_size=3).map(sorted),
    scale=st.sampled_from([0.0, 0.5]),
    varies=st.booleans(),
)
@settings(max_examples=60)
def test_intervention_in_pieces_acts_as_in_one_run(
    engine: Engine, cell: Cell, data: st.DataObject, cuts: list[int], scale: float, varies: bool
) -> None:
    shift = numbers(3, STEPS) if varies else 0.25
    whole_change = Intervention(0, data.draw(st.sampled_from(cell.signals)), 1, data.draw(steps), scale, shift, 2)
    parameters, x, state = layer(cell, 2, NEURONS, 0), numbers(9, STEPS, ROWS, 2), None
    whole, final = run(cell, parameters, x, keep=cell.signals, interventions=[whole_change], engine=engine)
    for start, stop in itertools.pairwise([0, *cuts, STEPS]):
        part = [whole_change.within(start, stop, STEPS)]
        signals, state = run(
            cell, parameters, x[start:stop], state, keep=cell.signals, interventions=part, engine=engine
        )
        for name, values in signals.items():
            torch.testing.assert_close(values, whole[name][start:stop], rtol=1e-12, atol=1e-12)
    assert state is not None
    for name, values in final.items():
        torch.testing.assert_close(state[name], values, rtol=1e-12, atol=1e-12)


def test_intervention_with_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one for each of the 6 steps of the run, got 5"):
        patch(0, "h", 0, torch.zeros(5)).within(0, 3, 6)


@pytest.mark.parametrize(
    ("intervention", "words"),
    [
        (clamp(0, "q", 0, 1.0), "i, f, g, o, c, h, got 'q'"),
        (clamp(0, "x.i", 0, 1.0), r"x\.i"),
        (clamp(0, "c", NEURONS, 1.0), f"neuron of an intervention: expected 0 to {NEURONS - 1}, got {NEURONS}"),
        (Intervention(0, "c", 0, row=ROWS), f"row of an intervention: expected 0 to {ROWS - 1}, got {ROWS}"),
        (patch(0, "c", 0, torch.zeros(STEPS - 1)), "steps"),
    ],
)
def test_intervention_on_missing_target_is_refused(engine: Engine, intervention: Intervention, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run_with(engine, CELLS["lstm"], intervention)
