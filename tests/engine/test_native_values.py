"""The values and gradients of the native engine: against references, the plain engine and finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, clamp
from gatescope.engine import Parameters, native, run
from tests.engine.problems import FLOAT64, NEURONS, Problem, agree, drawn, everything, identical, make
from tests.networks import EACH_CELL
from tests.reference import cells as reference

pytestmark = pytest.mark.usefixtures("compiled")


def by_reference(problem: Problem) -> dict[str, Tensor]:
    """Return every signal, drive and final state from the loops of tests/reference, row by row."""
    cell, weights = problem.cell, problem.parameters
    tape, size = cell.tape, weights.input_weights.shape[2]
    loop = reference.Weights(
        W={k: weights.input_weights[j].numpy() for j, k in enumerate(tape.input_drives)},
        b={k: weights.biases[j].numpy() for j, k in enumerate(tape.input_drives)},
        U={k: weights.recurrent_weights[j].numpy() for j, k in enumerate(tape.recurrent_drives)},
        p={k: weights.neuron_weights[j].numpy() for j, k in enumerate(tape.parameters)},
    )
    steps, rows = problem.inputs.shape[:2]
    x = problem.inputs.numpy()
    if not problem.inputs.is_floating_point():
        x = (x[:, :, None] == np.arange(size)).astype(np.float64)
    neurons = weights.biases.shape[1]
    results = {name: np.zeros((steps, rows, neurons)) for name in everything(cell)}
    results |= {f"final {name}": np.zeros((rows, neurons)) for name in cell.states}
    for row in range(rows):
        length = steps if problem.lengths is None else int(problem.lengths[row])
        state = {k: np.zeros(neurons) if problem.state is None else problem.state[k][row].numpy() for k in cell.states}
        order = np.arange(length)[:: -1 if problem.reverse else 1]
        values = reference.run(cell.name, loop, x[order, row], state)
        for name, value in values.items():
            results[name][order, row] = value
        for name in cell.states:
            results[f"final {name}"][row] = values[name][-1] if length else state[name]
    return {name: torch.from_numpy(value) for name, value in results.items()}


@pytest.mark.parametrize("name", EACH_CELL)
@given(data=st.data())
@settings(max_examples=20)
def test_native_values_agree_with_reference(name: str, data: st.DataObject) -> None:
    problem = drawn(data, [name])
    agree(problem.forward(keep=everything(problem.cell)), by_reference(problem), FLOAT64)


@pytest.mark.parametrize("name", EACH_CELL)
@given(data=st.data())
@settings(max_examples=20)
def test_native_gradients_agree_with_plain_engine(name: str, data: st.DataObject) -> None:
    """The gradients of all signals and drives, of the signals alone, and of some of them."""
    problem = drawn(data, [name])
    names = [*everything(problem.cell), *(f"final {state}" for state in problem.cell.states)]
    for keep in (everything(problem.cell), problem.cell.signals):
        available = [name for name in names if name in keep or name.startswith("final")]
        used = data.draw(st.none() | st.lists(st.sampled_from(available), min_size=1, unique=True))
        agree(problem.gradients("native", keep, used=used), problem.gradients("plain", keep, used=used), FLOAT64)


@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize(
    ("steps", "rows", "inputs", "neurons", "symbols", "lengths", "reverse"),
    [
        (4, 2, 3, 17, False, None, False),
        (3, 1, 1, 1, False, None, True),
        (3, 3, 2, 33, True, [2, 0, 3], True),
        (4, 5, 2, 7, False, [4, 1, 0, 3, 2], False),
    ],
)
def test_native_gradients_agree_with_differences(
    name: str,
    steps: int,
    rows: int,
    inputs: int,
    neurons: int,
    symbols: bool,
    lengths: Sequence[int] | None,
    reverse: bool,
) -> None:
    problem = make(name, steps, rows, inputs, neurons, 5, symbols=symbols, lengths=lengths, reverse=reverse)
    problem, leaves = problem.leaves()
    names = [name for name, leaf in leaves.items() if leaf.numel()]

    def function(*values: Tensor) -> tuple[Tensor, ...]:
        changed = leaves | dict(zip(names, values, strict=True))
        return tuple(
            replace(
                problem,
                parameters=Parameters(**{k: changed[k] for k in problem.parameters.by_name()}),
                inputs=changed.get("x", problem.inputs),
                state={k: changed[f"initial {k}"] for k in problem.cell.states},
            )
            .forward()
            .values()
        )

    start = [leaves[name] for name in names]
    assert torch.autograd.gradcheck(function, start, eps=1e-6, atol=1e-6, rtol=1e-5, fast_mode=True)


@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize(("symbols", "reverse"), [(False, False), (True, True)])
def test_native_float32_is_accurate(name: str, symbols: bool, reverse: bool) -> None:
    """Signals of 25 steps are accurate to 2e-6.

    Gradients are accurate to 1e-5 of the largest of their array: each is a sum of 25 · 6 terms with the errors of the
    signals.
    """
    problem = make(name, 25, 6, 20, 65, 3, symbols=symbols, reverse=reverse).to(torch.float32)
    exact = problem.to(torch.float64)
    for name, value in problem.forward().items():
        expected = exact.forward("plain")[name]
        assert value.dtype == torch.float32
        assert ((value - expected).abs() <= 2e-6 * expected.abs().clamp(min=1)).all(), name
    agree(problem.gradients(), exact.gradients("plain"), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EACH_CELL)
def test_native_instruction_sets_agree(level: str, name: str, dtype: torch.dtype) -> None:
    tolerance = 1e-5 if dtype == torch.float32 else FLOAT64
    for neurons in (1, 9, 16, 31, 70):
        problem = make(name, 5, 5, 3, neurons, 11, lengths=[5, 2, 0, 5, 3]).to(dtype)
        exact = problem.to(torch.float64)
        agree(problem.forward(keep=everything(problem.cell)), by_reference(exact), tolerance)
        agree(problem.gradients(), exact.gradients("plain"), tolerance)


def test_native_unknown_level_is_refused() -> None:
    assert native._native is not None
    with pytest.raises(ValueError, match="expected one that this processor has, got 'sse9'"):
        native._native.use_level("sse9")
    assert native._native.level() == native._native.levels()[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize("rows", [2, 13])
def test_native_thread_count_changes_no_bit(name: str, rows: int, dtype: torch.dtype, with_threads: Any) -> None:
    """2 rows are divided by neurons, 13 by rows (with up to 3 threads).

    Gradients of weights are sums over all rows, whose order depends on the threads.
    """
    lengths = [30, 11, 0, 30, 29, 1, 17, 30, 30, 5, 8, 30, 2][:rows]
    for row_lengths in (None, lengths):
        problem = make(name, 30, rows, 12, 130, 2, lengths=row_lengths).to(dtype)
        with_threads(1)
        values, gradients = problem.forward(), problem.gradients()
        for threads in (2, 3, 5):
            with_threads(threads)
            identical(problem.forward(), values)
            agree(problem.gradients(), gradients, 1e-5 if dtype == torch.float32 else FLOAT64)


@given(data=st.data(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=60)
def test_native_row_of_batch_equals_row_alone_bitwise(data: st.DataObject, dtype: torch.dtype) -> None:
    problem = drawn(data, steps=8, rows=12).to(dtype)
    whole = problem.forward()
    for row in range(problem.inputs.shape[1]):
        alone = problem.row(row).forward()
        identical(
            alone, {k: v[row : row + 1] if k.startswith("final") else v[:, row : row + 1] for k, v in whole.items()}
        )


def assert_accurate(actual: Tensor, expected: np.ndarray, tolerance: float) -> None:
    """Assert that the error relative to the exact value is small, wherever that is a normal number of the dtype."""
    normal = np.abs(expected) > torch.finfo(actual.dtype).tiny
    error = np.abs(actual.double().numpy() - expected)[normal] / np.abs(expected[normal])
    assert error.max() <= tolerance, error.max()
    assert (np.abs(actual.double().numpy())[~normal] <= 2 * torch.finfo(actual.dtype).tiny).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_native_functions_are_accurate_everywhere(level: str, dtype: torch.dtype) -> None:
    """tanh, sigmoid, exp and log_sigmoid, each as a signal of a layer whose drives are the argument.

    The relative error to NumPy in long double is at most 3e-7 in float32 (2.5 units in the last place) and 1e-15 in
    float64 (4.5 units).
    """
    tolerance = 3e-7 if dtype == torch.float32 else 1e-15
    spread = 80.0 if dtype == torch.float32 else 650.0
    random = np.random.default_rng(0)
    values = np.concatenate([
        random.uniform(-spread, spread, 4000),
        random.uniform(-2, 2, 4000),
        np.concatenate([[1], [-1]]).repeat(1000) * 10.0 ** random.uniform(-30, 0, 2000),
        [0.0],
    ])  # fmt: skip
    x = torch.from_numpy(values).to(dtype)
    exact = x.numpy().astype(np.longdouble)
    exact = exact[:, None].repeat(16, 1)

    def layer_of(name: str, weights: dict[str, tuple[float, float]]) -> Parameters:
        tape = CELLS[name].tape
        slopes, offsets = zip(*[weights.get(k, (0.0, 0.0)) for k in tape.input_drives], strict=True)
        return Parameters(
            torch.tensor(slopes, dtype=dtype)[:, None, None].repeat(1, 16, 1),
            torch.tensor(offsets, dtype=dtype)[:, None].repeat(1, 16),
            torch.zeros(len(tape.recurrent_drives), 16, 16, dtype=dtype),
            torch.zeros(len(tape.parameters), 16, dtype=dtype),
        )

    def signal(name: str, key: str, drive: str) -> Tensor:
        return run(CELLS[name], layer_of(name, {drive: (1.0, 0.0)}), x[:, None, None], keep=[key], engine="native")[0][
            key
        ][:, 0]

    assert_accurate(signal("feedforward", "h", "h"), np.tanh(exact).astype(float), tolerance)
    assert_accurate(signal("mingru", "z", "z"), (1 / (1 + np.exp(-exact))).astype(float), tolerance)

    slstm = CELLS["slstm"]
    rows = x[None, :, None]
    low = layer_of("slstm", {"f": (1.0, 0.0), "i": (0.0, -1e30)})  # m = max(log σ(x.f) + 0, -1e30)
    m = run(slstm, low, rows, keep=["m"], engine="native")[0]["m"][0]
    log_sigmoid = np.where(exact < 0, exact, 0) - np.log1p(np.exp(-np.abs(exact)))
    assert_accurate(m, log_sigmoid.astype(float), tolerance)

    # With m clamped to 0, f = exp(log σ(1e4) + s.m): e to the power of the state.
    wide = layer_of("slstm", {"f": (0.0, 1e4)})
    start = {k: x[:, None].repeat(1, 16) if k == "m" else torch.ones(len(x), 16, dtype=dtype) for k in slstm.states}
    clamped = [clamp(0, "m", slice(None), 0.0)]
    f = run(slstm, wide, rows, start, keep=["f"], interventions=clamped, engine="native")[0]["f"][0]
    assert_accurate(f, np.exp(exact).astype(float), tolerance)


@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_native_nan_and_infinity_spread_as_on_plain_engine(level: str, name: str, value: float) -> None:
    """One input of one row is not finite, or huge, at one step.

    Both engines return the same NaN. Only for an infinite input, one may return NaN and the other infinity: the native
    σ(-∞) is not exactly 0, and 0 · ∞ is NaN.
    """
    for dtype in (torch.float32, torch.float64):
        problem = make(name, 5, 3, 2, 20, 1).to(dtype)
        problem.inputs[2, 1, 0] = value
        native_values, plain_values = problem.forward(), problem.forward("plain")
        for key, expected in plain_values.items():
            actual = native_values[key]
            assert torch.equal(actual.isfinite(), expected.isfinite()), key
            if abs(value) != float("inf"):
                assert torch.equal(actual.isnan(), expected.isnan()), key
            finite = expected.isfinite()
            torch.testing.assert_close(actual[finite], expected[finite], rtol=1e-5, atol=1e-5, msg=key)


def test_native_engine_serves_every_built_in_cell() -> None:
    assert native._native is not None
    assert {cell.key for cell in CELLS.values()} <= set(native._native.keys())
    for name in EACH_CELL:
        problem = make(name, 2, 2, 2, 3)
        assert native.unserved(problem.cell, problem.parameters, problem.inputs, problem.state or {}, []) == ""


def test_drawn_sizes_surround_vector_sizes() -> None:
    assert {15, 16, 17, 63, 64, 65} < set(NEURONS)
