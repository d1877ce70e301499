"""Changing named signals while a layer runs."""

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


def changed(engine: Engine, cell: Cell, *interventions: Intervention, seed: int = 0) -> dict[str, Tensor]:
    parameters = layer(cell, 2, NEURONS, seed)
    keep = (*cell.signals, *cell.drives)
    return run(
        cell, parameters, numbers(seed + 9, STEPS, ROWS, 2), keep=keep, interventions=interventions, engine=engine
    )[0]


steps = st.builds(slice, st.none() | st.integers(-7, 7), st.none() | st.integers(-7, 7), st.sampled_from([None, 1, 2]))


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_scale_1_and_shift_0_change_nothing(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    seed = data.draw(seeds)
    signal = data.draw(st.sampled_from(cell.signals))
    nothing = Intervention(0, signal, data.draw(st.integers(0, NEURONS - 1)), data.draw(steps), scale=1.0, shift=0.0)
    before, after = changed(engine, cell, seed=seed), changed(engine, cell, nothing, seed=seed)
    for name in before:
        assert torch.equal(before[name], after[name]), name


@given(cell=cells, data=st.data())
@settings(max_examples=60)
def test_it_acts_on_its_neuron_row_and_steps_and_on_nothing_that_was_before(
    engine: Engine, cell: Cell, data: st.DataObject
) -> None:
    seed = data.draw(seeds)
    signal = data.draw(st.sampled_from(cell.signals))
    where, row, neuron = data.draw(steps), data.draw(st.integers(0, ROWS - 1)), data.draw(st.integers(0, NEURONS - 1))
    there = list(range(STEPS))[where]
    before = changed(engine, cell, seed=seed)
    after = changed(engine, cell, Intervention(0, signal, neuron, where, 0.0, 0.25, row), seed=seed)
    for t in range(STEPS):
        assert (after[signal][t, row, neuron] == 0.25) == (t in there)
    for name in before:
        others = [r for r in range(ROWS) if r != row]
        assert torch.equal(before[name][:, others], after[name][:, others])
        first = min(there, default=STEPS)
        assert torch.equal(before[name][:first], after[name][:first])
        if name == signal and there:
            rest = [n for n in range(NEURONS) if n != neuron]
            assert torch.equal(before[name][first][:, rest], after[name][first][:, rest])


def test_the_verbs_do_what_they_say(engine: Engine) -> None:
    cell = CELLS["lstm"]
    before = changed(engine, cell)
    assert (changed(engine, cell, clamp(0, "f", 2, 0.5))["f"][:, :, 2] == 0.5).all()
    assert (changed(engine, cell, ablate(0, "c", slice(None)))["h"] == 0).all()
    assert (changed(engine, cell, ablate(0, "c", 1, mean=0.3))["c"][:, :, 1] == 0.3).all()
    nudged = changed(engine, cell, nudge(0, "g", 3, 0.1, slice(2, 3)))
    torch.testing.assert_close(nudged["g"][2, :, 3], before["g"][2, :, 3] + 0.1, rtol=0, atol=0)
    torch.testing.assert_close(
        nudged["c"][2, :, 3], before["c"][2, :, 3] + 0.1 * before["i"][2, :, 3], rtol=1e-12, atol=1e-12
    )
    halved = changed(engine, cell, Intervention(0, "o", 0, scale=0.5))
    assert torch.equal(halved["o"][0, :, 0], before["o"][0, :, 0] * 0.5)


def test_patching_a_cell_state_brings_its_recording_along(engine: Engine) -> None:
    """h is computed of the patched c, and the next step starts from it."""
    cell = CELLS["lstm"]
    source = changed(engine, cell, seed=5)
    for neuron, values in ((slice(None), source["c"][:, 1]), (2, source["c"][:, 1, 2])):
        after = changed(engine, cell, patch(0, "c", neuron, values))
        for row in range(ROWS):
            torch.testing.assert_close(after["c"][:, row, neuron], values, rtol=0, atol=0)
        torch.testing.assert_close(after["h"], after["o"] * after["c"].tanh(), rtol=1e-12, atol=1e-12)


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_patching_with_what_was_recorded_gives_the_recording(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    """Bit for bit: within an engine there is one order of operations."""
    seed, signal = data.draw(seeds), data.draw(st.sampled_from(cell.signals))
    before = changed(engine, cell, seed=seed)
    row, neuron = data.draw(st.integers(0, ROWS - 1)), data.draw(st.integers(0, NEURONS - 1))
    every = slice(None)
    for where, which, values in (
        (every, every, before[signal]),
        (row, every, before[signal][:, row]),
        (every, neuron, before[signal][:, :, neuron]),
        (row, neuron, before[signal][:, row, neuron]),
        (slice(row, row + 1), slice(neuron, None), before[signal][:, row : row + 1, neuron:]),
    ):
        patched = Intervention(0, signal, which, data.draw(steps), 0.0, values, where)
        after = changed(engine, cell, patched, seed=seed)
        for name in before:
            assert torch.equal(before[name], after[name]), name


def test_every_row_can_carry_its_own(engine: Engine) -> None:
    cell = CELLS["gru"]
    each = [clamp(0, "h", k, 0.0) for k in range(ROWS)]
    one_batch = changed(engine, cell, *[Intervention(0, "h", k, shift=0.0, row=k) for k in range(ROWS)])
    for row in range(ROWS):
        alone = changed(engine, cell, each[row])
        for name in alone:
            torch.testing.assert_close(one_batch[name][:, row], alone[name][:, row], rtol=1e-12, atol=1e-12)


def test_several_act_in_their_order(engine: Engine) -> None:
    cell = CELLS["elman"]
    first = changed(engine, cell, clamp(0, "h", 0, 0.5), nudge(0, "h", 0, 0.25))
    assert (first["h"][:, :, 0] == 0.75).all()
    assert (changed(engine, cell, nudge(0, "h", 0, 0.25), clamp(0, "h", 0, 0.5))["h"][:, :, 0] == 0.5).all()


def test_gradients_pass_through_what_is_scaled_and_stop_at_what_is_held(engine: Engine) -> None:
    cell = CELLS["lstm"]
    parameters, x = layer(cell, 2, 2, 0), numbers(1, 3, 1, 2).requires_grad_()
    held, _ = run(cell, parameters, x, interventions=[clamp(0, "h", slice(None), 0.1)], engine=engine)
    assert torch.autograd.grad(held["h"].sum(), x)[0].abs().max() == 0
    free, _ = run(cell, parameters, x, interventions=[nudge(0, "h", slice(None), 0.1)], engine=engine)
    assert torch.autograd.grad(free["h"].sum(), x)[0].abs().min() > 0


def test_two_names_of_one_quantity_are_changed_together() -> None:
    @define(paper="")
    def twice(x, u, p, s):
        c = tanh(x.c + u.c)
        return dict(c=c, h=c)

    for name in ("c", "h"):
        after = changed("auto", twice, clamp(0, name, 1, 0.5))
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
def test_in_pieces_it_acts_as_in_one_run(
    engine: Engine, cell: Cell, data: st.DataObject, cuts: list[int], scale: float, varies: bool
) -> None:
    shift = numbers(3, STEPS) if varies else 0.25
    one = Intervention(0, data.draw(st.sampled_from(cell.signals)), 1, data.draw(steps), scale, shift, 2)
    parameters, x, state = layer(cell, 2, NEURONS, 0), numbers(9, STEPS, ROWS, 2), None
    whole, final = run(cell, parameters, x, keep=cell.signals, interventions=[one], engine=engine)
    for start, stop in itertools.pairwise([0, *cuts, STEPS]):
        held = [one.within(start, stop, STEPS)]
        found, state = run(cell, parameters, x[start:stop], state, keep=cell.signals, interventions=held, engine=engine)
        for name, values in found.items():
            torch.testing.assert_close(values, whole[name][start:stop], rtol=1e-12, atol=1e-12)
    assert state is not None
    for name, values in final.items():
        torch.testing.assert_close(state[name], values, rtol=1e-12, atol=1e-12)


def test_a_piece_of_one_with_values_for_other_steps_is_refused() -> None:
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
def test_what_could_not_act_is_refused(engine: Engine, intervention: Intervention, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        changed(engine, CELLS["lstm"], intervention)
