"""Runs of a layer: laws of time, batches, padding and ids, for every cell and engine."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, Cell, clamp, define
from gatescope.engine import Engine, EngineError, Parameters, initial_state, run
from gatescope.engine.interventions import InterventionError
from gatescope.equations import sigmoid, tanh
from tests.engine.problems import everything
from tests.networks import EACH_CELL, cells, few, layer, numbers, seeds


def drawn(cell: Cell, data: st.DataObject, steps: int = 6) -> tuple[Parameters, Tensor]:
    seed = data.draw(seeds, label="seed")
    inputs, neurons = data.draw(few, label="inputs"), data.draw(few, label="neurons")
    x = numbers(seed + 50, data.draw(st.integers(1, steps), label="steps"), data.draw(few, label="batch"), inputs)
    return layer(cell, inputs, neurons, seed), x


def assert_near(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_run_step_by_step_equals_whole_sequence(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    whole, final = run(cell, parameters, x, keep=everything(cell), engine=engine)
    state = None
    for t in range(len(x)):
        results, state = run(cell, parameters, x[t : t + 1], state, keep=everything(cell), engine=engine)
        for name, values in results.items():
            assert_near(values[0], whole[name][t])
    assert state is not None
    for name in cell.states:
        assert_near(state[name], final[name])


@given(cell=cells, data=st.data(), reverse=st.booleans())
@settings(max_examples=60)
def test_run_with_hidden_reads_it_at_every_step(engine: Engine, cell: Cell, data: st.DataObject, reverse: bool) -> None:
    parameters, x = drawn(cell, data)
    hidden = numbers(7, *x.shape[:2], parameters.biases.shape[1])
    whole, final = run(
        cell,
        parameters,
        x,
        reverse=reverse,
        keep=everything(cell),
        hidden=hidden if "h" in cell.states else None,
        engine=engine,
    )
    state: dict[str, Tensor] | None = None
    order = range(len(x) - 1, -1, -1) if reverse else range(len(x))
    for t in order:
        results, state = run(cell, parameters, x[t : t + 1], state, keep=everything(cell), engine=engine)
        for name, values in results.items():
            assert_near(values[0], whole[name][t])
        if "h" in state:
            state["h"] = hidden[t]
    assert state is not None
    for name in cell.states:
        assert_near(state[name], final[name])


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_run_row_of_batch_equals_row_alone(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    whole, final = run(cell, parameters, x, keep=everything(cell), engine=engine)
    row = data.draw(st.integers(0, x.shape[1] - 1))
    alone, after = run(cell, parameters, x[:, row : row + 1], keep=everything(cell), engine=engine)
    for name in everything(cell):
        assert_near(alone[name][:, 0], whole[name][:, row])
    for name in cell.states:
        assert_near(after[name][0], final[name][row])


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_run_does_not_depend_on_later_inputs(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    t = data.draw(st.integers(0, len(x) - 1))
    other = x.clone()
    other[t:] += 3
    before, _ = run(cell, parameters, x, keep=everything(cell), engine=engine)
    after, _ = run(cell, parameters, other, keep=everything(cell), engine=engine)
    for name in everything(cell):
        assert torch.equal(before[name][:t], after[name][:t])
    assert not torch.equal(before[f"x.{cell.tape.input_drives[0]}"][t], after[f"x.{cell.tape.input_drives[0]}"][t])


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_run_padding_has_no_effect_and_returns_0(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    lengths = [data.draw(st.integers(0, len(x))) for _ in range(x.shape[1])]
    padded = x.clone()
    for row, length in enumerate(lengths):
        padded[length:, row] = data.draw(st.sampled_from([1e3, float("nan")]))
    settings: dict[str, Any] = dict(reverse=data.draw(st.booleans()), keep=everything(cell), engine=engine)
    results, final = run(cell, parameters, padded, lengths=torch.tensor(lengths), **settings)
    for row, length in enumerate(lengths):
        alone, after = run(cell, parameters, x[:length, row : row + 1], **settings)
        for name in everything(cell):
            assert_near(results[name][:length, row], alone[name][:, 0])
            assert (results[name][length:, row] == 0).all()
        for name in cell.states:
            assert_near(final[name][row], after[name][0])


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_run_reverse_equals_run_of_reversed_inputs(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    settings: dict[str, Any] = dict(keep=everything(cell), engine=engine)
    backwards, final = run(cell, parameters, x, reverse=True, **settings)
    forwards, after = run(cell, parameters, x.flip(0), **settings)
    for name in everything(cell):
        assert_near(backwards[name], forwards[name].flip(0))
    for name in cell.states:
        assert_near(final[name], after[name])


@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("symbols", [False, True])
def test_run_without_steps_returns_initial_state(engine: Engine, name: str, rows: int, symbols: bool) -> None:
    cell = CELLS[name]
    parameters = layer(cell, 2, 3, 0)
    x = torch.zeros(0, rows, dtype=torch.int64) if symbols else numbers(1, 0, rows, 2)
    initial = {name: numbers(k, rows, 3).requires_grad_() for k, name in enumerate(cell.states)}
    for start in (None, initial):
        for lengths in (None, torch.zeros(rows, dtype=torch.int64)):
            results, final = run(cell, parameters, x, start, lengths=lengths, keep=everything(cell), engine=engine)
            assert {values.shape for values in results.values()} == {(0, rows, 3)}
            assert set(final) == set(cell.states)
            for state, value in final.items():
                assert torch.equal(value, torch.zeros(rows, 3).double() if start is None else start[state])
                if start is not None:
                    (gradient,) = torch.autograd.grad(value.sum(), start[state], retain_graph=True)
                    assert (gradient == 1).all()


def test_run_padding_has_no_gradient(engine: Engine) -> None:
    for cell in CELLS.values():
        parameters = layer(cell, 2, 3, 0)
        x = numbers(1, 5, 2, 2).requires_grad_()
        _, final = run(cell, parameters, x, lengths=torch.tensor([2, 5]), keep=(), engine=engine)
        if final:
            sum(value.sum() for value in final.values()).backward()  # type: ignore[union-attr]
            assert x.grad is not None
            assert (x.grad[2:, 0] == 0).all()
            assert (x.grad[1, 0] != 0).any()


@given(cell=cells, data=st.data())
@settings(max_examples=40)
def test_run_keeping_more_changes_no_value(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    """Returned drives are computed separately, others as one sum."""
    parameters, x = drawn(cell, data)
    only_h, final = run(cell, parameters, x, keep=("h",), engine=engine)
    some = data.draw(st.lists(st.sampled_from(everything(cell)), unique=True))
    for keep in (everything(cell), some):
        results, after = run(cell, parameters, x, keep=keep, engine=engine)
        assert list(results) == list(keep)
        if "h" in results:
            assert_near(results["h"], only_h["h"])
        for name in cell.states:
            assert_near(after[name], final[name])
    for name, values in run(cell, parameters, x, keep=everything(cell), engine=engine)[0].items():
        assert values.shape == (len(x), x.shape[1], parameters.biases.shape[1]), name


@given(cell=cells, data=st.data())
@settings(max_examples=30)
def test_run_ids_equal_one_hot_and_unknown_ids_zero_vectors(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    size = x.shape[2]
    tokens = torch.randint(-2, size + 3, x.shape[:2], generator=torch.Generator().manual_seed(data.draw(seeds)))
    vectors = torch.zeros(*tokens.shape, size, dtype=torch.float64)
    for step, row in (tokens.clamp(0, size - 1) == tokens).nonzero().tolist():
        vectors[step, row, int(tokens[step, row])] = 1
    of_ids, _ = run(cell, parameters, tokens, keep=everything(cell), engine=engine)
    of_vectors, _ = run(cell, parameters, vectors, keep=everything(cell), engine=engine)
    for name in everything(cell):
        assert_near(of_ids[name], of_vectors[name])


@given(cell=cells, data=st.data())
@settings(max_examples=30)
def test_run_values_stay_in_ranges_of_tape(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    seed = data.draw(seeds)
    neurons = data.draw(few)
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    parameters = layer(cell, 2, neurons, seed, scale=data.draw(st.sampled_from([0.1, 1.0, 8.0])), dtype=dtype)
    results, _ = run(cell, parameters, numbers(seed, 12, 2, 2, dtype=dtype), keep=cell.signals, engine=engine)
    ulp = 4 * torch.finfo(dtype).eps
    for name, (low, high) in cell.tape.ranges.items():
        assert low - ulp <= results[name].min()
        assert results[name].max() <= high + ulp


@given(cell=cells, data=st.data())
@settings(max_examples=20)
def test_run_with_and_without_gradients_is_equal(engine: Engine, cell: Cell, data: st.DataObject) -> None:
    parameters, x = drawn(cell, data)
    with torch.inference_mode():
        without, _ = run(cell, parameters, x, engine=engine)
    with_gradients, _ = run(cell, parameters, x.requires_grad_(), engine=engine)
    assert torch.equal(without["h"], with_gradients["h"].detach())


def test_run_signal_of_parameters_has_shape_of_signals() -> None:
    """A signal such as a time constant per neuron, which does not depend on the input."""

    @define(paper="")
    def leaky(x, u, p, s):
        keep = sigmoid(p.keep)
        return dict(keep=keep, raw=p.raw, h=keep * s.h + (1 - keep) * tanh(x.h + u.h + p.raw))

    parameters = layer(leaky, 2, 3, 0)
    for lengths in (None, torch.tensor([2, 5])):
        results, final = run(leaky, parameters, numbers(1, 5, 2, 2), keep=leaky.signals, lengths=lengths)
        assert {name: values.shape for name, values in results.items()} == dict.fromkeys(leaky.signals, (5, 2, 3))
        assert final["h"].shape == (2, 3)
        assert torch.equal(results["keep"][3, 1], parameters.neuron_weights[0].sigmoid())


def test_run_invalid_arguments_are_refused(engine: Engine) -> None:
    """They are refused before anything is computed: the native engine gets addresses without shapes."""
    cell = CELLS["peephole"]
    parameters, inputs = layer(cell, 2, 3, 0), numbers(1, 4, 2, 2)
    start = initial_state(cell, parameters.biases, 2, 3)
    assert set(start) == {"c", "h"}

    def refused(words: str, x: Tensor = inputs, **settings: Any) -> None:
        # Unwrapped, because the type checks of the tests would refuse some of these first.
        with pytest.raises(EngineError, match=words):
            inspect.unwrap(run)(settings.pop("cell", cell), parameters, x, **{"engine": engine, **settings})

    refused(r"Values to keep: expected .*x\.i.*, got x\.q", keep=("h", "x.q"))
    refused("Engine: expected one of auto, native, plain, got 'fast'", engine="fast")
    refused(r"all states of peephole \(c, h\), got none for c", state={"h": start["h"]})
    refused(r"state\['c'\]: expected the shape \(2, 3\), got \(2, 4\)", state=start | {"c": numbers(0, 2, 4)})
    refused(r"state\['h'\]: expected the shape \(2, 3\), got \(1, 3\)", state=start | {"h": numbers(0, 1, 3)})
    refused(r"lengths: expected the shape \(2,\), got \(3,\)", lengths=torch.tensor([1, 2, 3]))
    refused("Lengths: expected 0 to 4, got 1 to 5", lengths=torch.tensor([5, 1]))
    refused("Lengths: expected 0 to 4, got -1 to 2", lengths=torch.tensor([2, -1]))
    refused(r"hidden: expected the shape \(4, 2, 3\), got \(4, 2, 2\)", hidden=numbers(1, 4, 2, 2))
    refused(r"input_weights: expected the shape \(4, 3, 5\), got \(4, 3, 2\)", numbers(1, 4, 2, 5))
    refused(r"input_weights: expected the shape \(3, 3, 2\), .*fits gru", cell=CELLS["gru"], state=None)
    refused(r"neuron_weights: expected the shape \(0, 3\), got \(3, 3\).*fits lstm", cell=CELLS["lstm"])
    with pytest.raises(InterventionError, match="neuron of an intervention: expected 0 to 2, got 3"):
        run(cell, parameters, inputs, interventions=[clamp(0, "c", 3, 0.0)], engine=engine)
