"""Running sequences of steps: the laws of time, batches, padding and symbols, for every cell."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, Cell, define
from gatescope.engine import Parameters, initial_state, initialise, run, shapes
from gatescope.equations import sigmoid, tanh
from tests.networks import EACH_CELL, cells, few, layer, numbers, seeds


def everything(cell: Cell) -> tuple[str, ...]:
    return (*cell.signals, *cell.drives)


def drawn(cell: Cell, data: st.DataObject, steps: int = 6) -> tuple[Parameters, Tensor]:
    seed = data.draw(seeds, label="seed")
    inputs, neurons = data.draw(few, label="inputs"), data.draw(few, label="neurons")
    x = numbers(seed + 50, data.draw(st.integers(1, steps), label="steps"), data.draw(few, label="batch"), inputs)
    return layer(cell, inputs, neurons, seed), x


def near(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@given(cells, st.data())
@settings(max_examples=40)
def test_step_by_step_equals_the_whole_sequence(cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    whole, final = run(cell, parameters, x, keep=everything(cell))
    state = None
    for t in range(len(x)):
        found, state = run(cell, parameters, x[t : t + 1], state, keep=everything(cell))
        for name, values in found.items():
            near(values[0], whole[name][t])
    assert state is not None
    for name in cell.states:
        near(state[name], final[name])


@given(cells, st.data())
@settings(max_examples=40)
def test_a_row_of_a_batch_equals_that_row_alone(cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    whole, final = run(cell, parameters, x, keep=everything(cell))
    row = data.draw(st.integers(0, x.shape[1] - 1))
    alone, after = run(cell, parameters, x[:, row : row + 1], keep=everything(cell))
    for name in everything(cell):
        near(alone[name][:, 0], whole[name][:, row])
    for name in cell.states:
        near(after[name][0], final[name][row])


@given(cells, st.data())
@settings(max_examples=40)
def test_the_past_does_not_know_the_future(cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    t = data.draw(st.integers(0, len(x) - 1))
    other = x.clone()
    other[t:] += 3
    before, _ = run(cell, parameters, x, keep=everything(cell))
    after, _ = run(cell, parameters, other, keep=everything(cell))
    for name in everything(cell):
        assert torch.equal(before[name][:t], after[name][:t])
    assert not torch.equal(before[f"x.{cell.tape.input_drives[0]}"][t], after[f"x.{cell.tape.input_drives[0]}"][t])


@given(cells, st.data())
@settings(max_examples=40)
def test_what_stands_behind_the_end_changes_nothing(cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    lengths = [data.draw(st.integers(1, len(x))) for _ in range(x.shape[1])]
    padded = x.clone()
    for row, length in enumerate(lengths):
        padded[length:, row] = 1e3
    found, final = run(cell, parameters, padded, lengths=torch.tensor(lengths), keep=everything(cell))
    for row, length in enumerate(lengths):
        alone, after = run(cell, parameters, x[:length, row : row + 1], keep=everything(cell))
        for name in everything(cell):
            near(found[name][:length, row], alone[name][:, 0])
        for name in cell.states:
            near(final[name][row], after[name][0])


def test_padding_gets_no_gradient() -> None:
    for cell in CELLS.values():
        parameters = layer(cell, 2, 3, 0)
        x = numbers(1, 5, 2, 2).requires_grad_()
        _, final = run(cell, parameters, x, lengths=torch.tensor([2, 5]), keep=())
        if final:
            sum(value.sum() for value in final.values()).backward()  # type: ignore[union-attr]
            assert x.grad is not None
            assert (x.grad[2:, 0] == 0).all()
            assert (x.grad[1, 0] != 0).any()


@given(cells, st.data())
@settings(max_examples=40)
def test_keeping_more_changes_nothing(cell: Cell, data: st.DataObject) -> None:
    """Where drives are kept they are computed apart from each other, otherwise as one sum."""
    parameters, x = drawn(cell, data)
    few_kept, final = run(cell, parameters, x, keep=("h",))
    some = data.draw(st.lists(st.sampled_from(everything(cell)), unique=True))
    for keep in (everything(cell), some):
        found, after = run(cell, parameters, x, keep=keep)
        assert list(found) == list(keep)
        if "h" in found:
            near(found["h"], few_kept["h"])
        for name in cell.states:
            near(after[name], final[name])
    for name, values in run(cell, parameters, x, keep=everything(cell))[0].items():
        assert values.shape == (len(x), x.shape[1], parameters.biases.shape[1]), name


@given(cells, st.data())
@settings(max_examples=30)
def test_symbols_are_one_hot_vectors_and_unknown_ones_are_nothing(cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    size = x.shape[2]
    tokens = torch.randint(-2, size + 3, x.shape[:2], generator=torch.Generator().manual_seed(data.draw(seeds)))
    vectors = torch.zeros(*tokens.shape, size, dtype=torch.float64)
    for place in (tokens.clamp(0, size - 1) == tokens).nonzero().tolist():
        vectors[(*place, int(tokens[*place]))] = 1
    by_symbol, by_vector = (
        run(cell, parameters, tokens, keep=everything(cell)),
        run(cell, parameters, vectors, keep=everything(cell)),
    )
    for name in everything(cell):
        near(by_symbol[0][name], by_vector[0][name])


@given(cells, st.data())
@settings(max_examples=30)
def test_values_stay_in_the_ranges_that_the_tape_promises(cell: Cell, data: st.DataObject) -> None:
    seed = data.draw(seeds)
    neurons = data.draw(few)
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    parameters = layer(cell, 2, neurons, seed, scale=data.draw(st.sampled_from([0.1, 1.0, 8.0])), dtype=dtype)
    found, _ = run(cell, parameters, numbers(seed, 12, 2, 2, dtype=dtype), keep=cell.signals)
    ulp = 4 * torch.finfo(dtype).eps
    for name, (low, high) in cell.tape.ranges.items():
        assert low - ulp <= found[name].min()
        assert found[name].max() <= high + ulp


@given(cells, st.data())
@settings(max_examples=20)
def test_no_gradients_no_difference(cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    with torch.inference_mode():
        quiet, _ = run(cell, parameters, x)
    loud, _ = run(cell, parameters, x.requires_grad_())
    assert torch.equal(quiet["h"], loud["h"].detach())


def test_a_signal_of_parameters_alone_has_a_value_for_every_row() -> None:
    """A time constant per neuron, say: it does not depend on the input."""

    @define(paper="")
    def leaky(x, u, p, s):
        keep = sigmoid(p.keep)
        return dict(keep=keep, raw=p.raw, h=keep * s.h + (1 - keep) * tanh(x.h + u.h + p.raw))

    parameters = layer(leaky, 2, 3, 0)
    for lengths in (None, torch.tensor([2, 5])):
        found, final = run(leaky, parameters, numbers(1, 5, 2, 2), keep=leaky.signals, lengths=lengths)
        assert {name: values.shape for name, values in found.items()} == dict.fromkeys(leaky.signals, (5, 2, 3))
        assert final["h"].shape == (2, 3)
        assert torch.equal(found["keep"][3, 1], parameters.neuron_weights[0].sigmoid())


@pytest.mark.parametrize("name", EACH_CELL)
def test_initial_weights_are_as_stated(name: str) -> None:
    cell = CELLS[name]
    made = initialise(cell, 7, 20, torch.Generator().manual_seed(1))
    again = initialise(cell, 7, 20, torch.Generator().manual_seed(1))
    assert {k: tuple(v.shape) for k, v in made.by_name().items()} == shapes(cell, 7, 20)
    assert all(torch.equal(v, again.by_name()[k]) for k, v in made.by_name().items())
    bound = (6 / 27) ** 0.5
    assert made.input_weights.abs().max() <= bound
    assert made.input_weights.abs().max() > 0.9 * bound
    for matrix in made.recurrent_weights:
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(20), rtol=0, atol=1e-5)
    assert (made.neuron_weights == 0).all()
    for k, drive in enumerate(cell.tape.input_drives):
        assert (made.biases[k] == cell.biases.get(drive, 0.0)).all()
    if "f" in cell.tape.input_drives:
        assert cell.biases["f"] == 1.0


def test_what_cannot_be_run_is_refused() -> None:
    cell = CELLS["lstm"]
    parameters, x = layer(cell, 2, 3, 0), numbers(1, 4, 2, 2)
    with pytest.raises(ValueError, match="no steps"):
        run(cell, parameters, x[:0])
    with pytest.raises(ValueError, match=r"x\.q.*x\.i"):
        run(cell, parameters, x, keep=("h", "x.q"))
    with pytest.raises(ValueError, match="initial state has no c"):
        run(cell, parameters, x, {"h": torch.zeros(2, 3, dtype=torch.float64)})
    assert set(initial_state(cell, parameters.biases, 2, 3)) == {"c", "h"}
