"""The native engine: against hand-written loops, the plain engine and finite differences, and as a good citizen."""

from __future__ import annotations

import gc
import inspect
import multiprocessing
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, Cell, Intervention, clamp, define, nudge, patch
from gatescope import engine as engines
from gatescope.engine import Engine, Parameters, native, run
from gatescope.equations import sigmoid, tanh
from tests.engine.problems import NEURONS, Problem, agree, drawn, identical, make, weights_for
from tests.networks import EACH_CELL, numbers, seeds
from tests.reference import cells as reference

pytestmark = pytest.mark.usefixtures("compiled")

FLOAT64 = 1e-12  # a few thousand roundings of 1e-16
LEVELS = native._native.levels() if native._native is not None else []


def everything(cell: Cell) -> tuple[str, ...]:
    return (*cell.signals, *cell.drives)


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every set of instructions that this processor has."""
    assert native._native is not None
    before = native._native.level()
    native._native.use_level(request.param)
    yield request.param
    native._native.use_level(before)


@pytest.fixture
def with_threads() -> Iterator[Any]:
    """A function that sets the number of threads; afterwards it is what it was."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- the numbers ------------------------------------------------------------------------------------------------------


def by_reference(problem: Problem) -> dict[str, Tensor]:
    """Every signal, drive and final state as the loops of tests/reference have them, row by row."""
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
    found = {name: np.zeros((steps, rows, neurons)) for name in everything(cell)}
    found |= {f"final {name}": np.zeros((rows, neurons)) for name in cell.states}
    for row in range(rows):
        length = steps if problem.lengths is None else int(problem.lengths[row])
        state = {k: np.zeros(neurons) if problem.state is None else problem.state[k][row].numpy() for k in cell.states}
        order = np.arange(length)[:: -1 if problem.reverse else 1]
        values = reference.run(cell.name, loop, x[order, row], state)
        for name, value in values.items():
            found[name][order, row] = value
        for name in cell.states:
            found[f"final {name}"][row] = values[name][-1] if length else state[name]
    return {name: torch.from_numpy(value) for name, value in found.items()}


@pytest.mark.parametrize("name", EACH_CELL)
@given(data=st.data())
@settings(max_examples=20)
def test_it_computes_what_the_hand_written_loops_do(name: str, data: st.DataObject) -> None:
    problem = drawn(data, [name])
    agree(problem.forward(keep=everything(problem.cell)), by_reference(problem), FLOAT64)


@pytest.mark.parametrize("name", EACH_CELL)
@given(data=st.data())
@settings(max_examples=20)
def test_its_gradients_are_those_of_the_plain_engine(name: str, data: st.DataObject) -> None:
    """Of all signals and drives, of the signals alone, and of some of them."""
    problem = drawn(data, [name])
    found = [*everything(problem.cell), *(f"final {state}" for state in problem.cell.states)]
    for keep in (everything(problem.cell), problem.cell.signals):
        available = [name for name in found if name in keep or name.startswith("final")]
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
def test_its_gradients_are_those_of_finite_differences(
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
def test_float32_is_as_near_as_float32_can_be(name: str, symbols: bool, reverse: bool) -> None:
    """Signals of 25 steps to 2e-6.

    Gradients to 1e-5 of the largest of their array: each is a sum of 25 · 6 terms that carry the errors of the signals.
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
def test_every_level_of_instructions_computes_the_same(level: str, name: str, dtype: torch.dtype) -> None:
    tolerance = 1e-5 if dtype == torch.float32 else FLOAT64
    for neurons in (1, 9, 16, 31, 70):
        problem = make(name, 5, 5, 3, neurons, 11, lengths=[5, 2, 0, 5, 3]).to(dtype)
        exact = problem.to(torch.float64)
        agree(problem.forward(keep=everything(problem.cell)), by_reference(exact), tolerance)
        agree(problem.gradients(), exact.gradients("plain"), tolerance)


def test_a_level_that_is_not_there_is_refused() -> None:
    assert native._native is not None
    with pytest.raises(ValueError, match="no level 'sse9'"):
        native._native.use_level("sse9")
    assert native._native.level() == LEVELS[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize("rows", [2, 13])
def test_the_number_of_threads_changes_no_bit(name: str, rows: int, dtype: torch.dtype, with_threads: Any) -> None:
    """2 rows are divided by neurons, 13 by rows (with up to 3 threads).

    Gradients of weights are sums over all rows, and are added in another order by other threads.
    """
    lengths = [30, 11, 0, 30, 29, 1, 17, 30, 30, 5, 8, 30, 2][:rows]
    for given_lengths in (None, lengths):
        problem = make(name, 30, rows, 12, 130, 2, lengths=given_lengths).to(dtype)
        with_threads(1)
        values, gradients = problem.forward(), problem.gradients()
        for threads in (2, 3, 5):
            with_threads(threads)
            identical(problem.forward(), values)
            agree(problem.gradients(), gradients, 1e-5 if dtype == torch.float32 else FLOAT64)


@given(data=st.data(), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=60)
def test_a_row_of_a_batch_is_that_row_alone_to_the_last_bit(data: st.DataObject, dtype: torch.dtype) -> None:
    problem = drawn(data, steps=8, rows=12).to(dtype)
    whole = problem.forward()
    for row in range(problem.inputs.shape[1]):
        alone = problem.row(row).forward()
        identical(
            alone, {k: v[row : row + 1] if k.startswith("final") else v[:, row : row + 1] for k, v in whole.items()}
        )


def assert_accurate(found: Tensor, expected: np.ndarray, largest: float) -> None:
    """Relative to the exact value, where that is a normal number of the type."""
    normal = np.abs(expected) > torch.finfo(found.dtype).tiny
    error = np.abs(found.double().numpy() - expected)[normal] / np.abs(expected[normal])
    assert error.max() <= largest, error.max()
    assert (np.abs(found.double().numpy())[~normal] <= 2 * torch.finfo(found.dtype).tiny).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_are_accurate_to_the_last_bits_wherever_they_are_asked(level: str, dtype: torch.dtype) -> None:
    """tanh, sigmoid, exp and log_sigmoid, each as a signal of a layer whose drives are what it is given.

    Against NumPy in long double, in relative error: float32 to 3e-7 (2.5 of its last bits), float64 to 1e-15 (4.5).
    """
    largest = 3e-7 if dtype == torch.float32 else 1e-15
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

    assert_accurate(signal("feedforward", "h", "h"), np.tanh(exact).astype(float), largest)
    assert_accurate(signal("mingru", "z", "z"), (1 / (1 + np.exp(-exact))).astype(float), largest)

    slstm = CELLS["slstm"]
    rows = x[None, :, None]
    low = layer_of("slstm", {"f": (1.0, 0.0), "i": (0.0, -1e30)})  # m = max(log σ(x.f) + 0, -1e30)
    m = run(slstm, low, rows, keep=["m"], engine="native")[0]["m"][0]
    log_sigmoid = np.where(exact < 0, exact, 0) - np.log1p(np.exp(-np.abs(exact)))
    assert_accurate(m, log_sigmoid.astype(float), largest)

    # With m held at 0, f = exp(log σ(1e4) + s.m): e to the power of the state.
    wide = layer_of("slstm", {"f": (0.0, 1e4)})
    start = {k: x[:, None].repeat(1, 16) if k == "m" else torch.ones(len(x), 16, dtype=dtype) for k in slstm.states}
    held = [clamp(0, "m", slice(None), 0.0)]
    f = run(slstm, wide, rows, start, keep=["f"], interventions=held, engine="native")[0]["f"][0]
    assert_accurate(f, np.exp(exact).astype(float), largest)


@pytest.mark.parametrize("name", EACH_CELL)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
def test_nan_and_infinity_go_where_they_go_on_the_plain_engine(level: str, name: str, value: float) -> None:
    """In one number of one row at one step.

    The plain engine's NaN are the native one's too. Only where an input is infinite, what is not finite may be NaN on
    one and infinite on the other: the native σ(-∞) is not quite 0, and 0 · ∞ is NaN.
    """
    for dtype in (torch.float32, torch.float64):
        problem = make(name, 5, 3, 2, 20, 1).to(dtype)
        problem.inputs[2, 1, 0] = value
        found, expected = problem.forward(), problem.forward("plain")
        for key, wanted in expected.items():
            assert torch.equal(found[key].isfinite(), wanted.isfinite()), key
            if abs(value) != float("inf"):
                assert torch.equal(found[key].isnan(), wanted.isnan()), key
            finite = wanted.isfinite()
            torch.testing.assert_close(found[key][finite], wanted[finite], rtol=1e-5, atol=1e-5, msg=key)


# --- what can be asked ------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=60)
def test_what_is_kept_is_what_was_asked_for(data: st.DataObject) -> None:
    """In its order, each name once, and the same numbers whatever else is kept."""
    problem = drawn(data)
    everywhere = problem.forward(keep=everything(problem.cell))
    keep = data.draw(st.lists(st.sampled_from(everything(problem.cell)), max_size=5))
    found = problem.forward(keep=keep)
    assert [name for name in found if not name.startswith("final")] == list(dict.fromkeys(keep))
    identical(found, {name: everywhere[name] for name in found})


def places(count: int) -> st.SearchStrategy[int | slice]:
    bounds = st.none() | st.integers(-count, count)
    return st.integers(0, count - 1) | st.builds(slice, bounds, bounds, st.sampled_from([None, 2]))


def drawn_changes(data: st.DataObject, problem: Problem) -> list[Intervention]:
    """Clamps, nudges, scalings and patches; on a row, a step, a neuron, or slices of them."""
    (steps, rows), neurons = problem.inputs.shape[:2], problem.parameters.biases.shape[1]
    made = []
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
        when = data.draw(st.builds(slice, bounds, bounds, st.sampled_from([None, 2])))
        scale = data.draw(st.sampled_from([0.0, 1.0, 0.5, -1.0]))
        # An sLSTM whose normaliser or stabiliser is moved about divides by 0.
        signals = [
            name for name in problem.cell.signals if problem.cell.name != "slstm" or name in ("g", "o", "c", "h")
        ]
        made.append(Intervention(0, data.draw(st.sampled_from(signals)), neuron, when, scale, shift, row))
    return made


@given(data=st.data())
@settings(max_examples=150)
def test_interventions_do_what_they_do_on_the_plain_engine(data: st.DataObject) -> None:
    problem = drawn(data)
    changes = drawn_changes(data, problem)
    keep = data.draw(st.sampled_from([problem.cell.signals, everything(problem.cell), ("h",)]))
    agree(problem.forward("native", keep, changes), problem.forward("plain", keep, changes), FLOAT64)
    agree(problem.gradients("native", keep, changes), problem.gradients("plain", keep, changes), FLOAT64)


@given(data=st.data())
@settings(max_examples=150)
def test_known_hidden_states_are_read_as_on_the_plain_engine(data: st.DataObject) -> None:
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
def test_the_own_hidden_states_change_no_bit(data: st.DataObject) -> None:
    problem = drawn(data)
    found = problem.forward()
    identical(replace(problem, hidden=found["h"]).forward(), found)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [3, 40])
@pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if "h" in cell.states])
def test_nor_in_runs_that_are_too_large_for_a_cache(cell: str, rows: int, dtype: torch.dtype, reverse: bool) -> None:
    """With 3 rows several steps are computed together, with 40 one."""
    lengths = [1800 // rows - 2 * k for k in range(rows)] if rows == 3 else None
    problem = make(cell, 1800 // rows, rows, 5, 64, reverse=reverse, lengths=lengths).to(dtype)
    found = problem.forward()
    identical(replace(problem, hidden=found["h"]).forward(), found)


def test_the_stabiliser_of_an_slstm_can_be_changed_too() -> None:
    problem = make("slstm", 6, 3, 2, 19, reverse=True, lengths=[6, 0, 4])
    values = numbers(3, 6, 19) * 0.1
    for changes in (
        [nudge(0, "m", slice(None), 0.3)],
        [clamp(0, "m", 3, 0.1), nudge(0, "n", 5, 2.0)],
        [patch(0, "m", slice(None), values), Intervention(0, "i", 2, scale=0.5), Intervention(0, "f", 4, scale=0.9)],
    ):
        agree(problem.forward("native", None, changes), problem.forward("plain", None, changes), FLOAT64)
        agree(problem.gradients("native", None, changes), problem.gradients("plain", None, changes), FLOAT64)


@pytest.mark.parametrize("kind", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_symbols_of_every_integer_type(kind: torch.dtype) -> None:
    problem = make("lstm", 5, 3, 4, 9, symbols=True)
    expected = replace(problem, inputs=problem.inputs.clamp(min=0)).forward("plain")
    agree(replace(problem, inputs=problem.inputs.clamp(min=0).to(kind)).forward(), expected, FLOAT64)


def test_arrays_that_are_not_laid_out_in_order() -> None:
    """Transposed, expanded and sliced: inputs, ids, weights, states, lengths."""
    cell = CELLS["peephole"]
    plain = make("peephole", 4, 3, 5, 6, lengths=[4, 1, 3])
    assert plain.state is not None
    assert plain.lengths is not None

    def transposed(value: Tensor) -> Tensor:
        return value.transpose(0, -1).contiguous().transpose(0, -1)

    def sliced(value: Tensor) -> Tensor:
        return torch.stack([value, torch.full_like(value, 1000)], -1)[..., 0]

    expected, gradients = plain.forward("plain"), plain.gradients("plain")
    for relaid in (transposed, sliced):
        state = {name: relaid(value) for name, value in plain.state.items()}
        problem = replace(
            plain,
            parameters=Parameters(**{name: relaid(value) for name, value in plain.parameters.by_name().items()}),
            inputs=relaid(plain.inputs),
            state=state,
            lengths=relaid(plain.lengths),
        )
        agree(problem.forward(), expected, FLOAT64)
        leaves = [problem.inputs, *problem.parameters.by_name().values(), *state.values()]
        for leaf in leaves:
            leaf.requires_grad_()
        found = problem.forward()
        total = torch.stack([(value * weights_for(name, value)).sum() for name, value in found.items()]).sum()
        names = ["x", *problem.parameters.by_name(), *(f"initial {state}" for state in plain.state)]
        agree(dict(zip(names, torch.autograd.grad(total, leaves), strict=True)), gradients, FLOAT64)
    rows = plain.inputs[:, :1].expand(-1, 3, -1)
    identical(replace(plain, inputs=rows).forward(), replace(plain, inputs=rows.contiguous()).forward())
    ids = torch.tensor([[1, 3, 0, 7]]).expand(3, -1).t()
    parameters, state = plain.parameters, plain.state
    by_ids = Problem(cell, parameters, ids, state)
    identical(by_ids.forward(), replace(by_ids, inputs=ids.contiguous()).forward())


def test_gradients_may_arrive_laid_out_in_any_way() -> None:
    problem, leaves = make("lstm", 5, 3, 2, 7).leaves()
    found = problem.forward()
    arriving = {
        "h": torch.ones(1, 1, 1, dtype=torch.float64).expand(5, 3, 7),
        "c": numbers(1, 7, 3, 5).permute(2, 1, 0),
        "i": numbers(2, 3, 5, 7).transpose(0, 1),
        "o": numbers(3, 5, 1, 7).expand(5, 3, 7),
        "g": numbers(4, 5, 3, 14)[:, :, ::2],
        "final c": numbers(5, 7, 3).t(),
        "final h": torch.ones(1, 1, dtype=torch.float64).expand(3, 7),
    }

    def of(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs = [found[name] for name in gradients]
        asked = torch.autograd.grad(outputs, list(leaves.values()), list(gradients.values()), retain_graph=True)
        return dict(zip(leaves, asked, strict=True))

    identical(of(arriving), of({name: value.contiguous() for name, value in arriving.items()}))


@pytest.mark.parametrize("name", ["lstm", "gru", "feedforward"])
def test_gradients_are_computed_for_what_requires_them(name: str) -> None:
    everything_asked = make(name, 4, 3, 2, 9).gradients()
    for chosen in everything_asked:
        problem, leaves = make(name, 4, 3, 2, 9).leaves()
        for other, leaf in leaves.items():
            leaf.requires_grad_(other == chosen)
        found = problem.forward()
        total = torch.stack([(value * weights_for(key, value)).sum() for key, value in found.items()]).sum()
        if not leaves[chosen].numel():
            continue
        (gradient,) = torch.autograd.grad(total, leaves[chosen])
        agree({chosen: gradient}, {chosen: everything_asked[chosen]}, FLOAT64)
        assert all(not value.requires_grad for key, value in leaves.items() if key != chosen)


def test_without_gradients_nothing_is_remembered() -> None:
    problem = make("lstm", 4, 3, 2, 9)
    expected = problem.forward("plain")
    assert not any(value.requires_grad for value in problem.forward().values())
    grown, _ = problem.leaves()
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            found = grown.forward()
            assert not any(value.requires_grad for value in found.values())
            agree(found, {name: value.detach() for name, value in expected.items()}, FLOAT64)


def test_using_a_result_twice_and_changing_it_in_place_is_seen_by_autograd() -> None:
    """What backward needs is guarded: changed in place, it is an error and not a wrong gradient."""
    problem, leaves = make("lstm", 4, 3, 2, 9).leaves()
    found = problem.forward()
    total = found["h"].sum()
    with pytest.raises(RuntimeError, match=r"in-?place"):
        found["c"].mul_(2)
        torch.autograd.grad(total, leaves["biases"])


# --- memory, threads, processes ---------------------------------------------------------------------------------------


def taken(problem: Problem) -> tuple[int, dict[str, Tensor]]:
    """The bytes of the engine's own memory that a run took, its results too: freed, they are back in the pool."""
    assert native._native is not None
    gc.collect()
    native._native.release()
    found = problem.forward(keep=("h",))
    copies = {name: value.detach().clone() for name, value in found.items()}
    del found
    return native._native.release(), copies


def test_memory_is_paid_for_what_is_kept() -> None:
    """One array of 8 MiB without gradients; with them the six signals that backward reads."""
    problem = make("lstm", 1024, 16, 4, 128, state=False).to(torch.float32)
    one = 1024 * 16 * 128 * 4
    alone, values = taken(problem)
    assert one <= alone < 1.5 * one
    grown, _ = problem.leaves()
    more, again = taken(grown)
    assert 6 * one <= more < 6.5 * one
    identical(again, values)


def test_memory_that_is_used_again_is_nobody_elses() -> None:
    problem = make("gru", 300, 16, 4, 64).to(torch.float32)
    other = make("gru", 300, 16, 4, 64, seed=9).to(torch.float32)
    assert native.POOLED <= 300 * 16 * 64 * 4
    first = problem.forward()
    copies = {name: value.clone() for name, value in first.items()}
    gradients = problem.gradients()
    for _ in range(3):
        other.forward()
        other.gradients()
        identical(first, copies)
        identical(problem.gradients(), gradients)
    del first
    identical(problem.forward(), copies)


def test_large_final_states() -> None:
    """So many rows that one state is as large as what comes from the pool."""
    problem = make("lstm", 3, 600, 2, 70).to(torch.float32)
    assert native.POOLED <= 600 * 70 * 4
    agree(problem.forward(), problem.forward("plain"), 2e-6)
    agree(problem.gradients(), problem.gradients("plain"), 1e-5)


def test_a_part_of_a_result_keeps_it_alive() -> None:
    problem = make("lstm", 300, 16, 4, 64).to(torch.float32)
    part = problem.forward()["h"][7]
    copy = part.clone()
    for seed in range(3):
        make("lstm", 300, 16, 4, 64, seed=seed + 1).to(torch.float32).forward()
    assert torch.equal(part, copy)


def test_several_python_threads_at_once(with_threads: Any) -> None:
    with_threads(2)
    problems = [make(name, 40, 6, 5, 70, seed) for seed, name in enumerate(("lstm", "gru", "slstm", "mingru"))]
    expected = [(one.forward(), one.gradients()) for one in problems]
    found: list[list[tuple[dict[str, Tensor], dict[str, Tensor]]]] = [[] for _ in problems]

    def work(k: int) -> None:
        found[k].extend((problems[k].forward(), problems[k].gradients()) for _ in range(6))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(problems))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results, (values, gradients) in zip(found, expected, strict=True):
        assert len(results) == 6
        for each, derived in results:
            identical(each, values)
            agree(derived, gradients, FLOAT64)


def _in_a_child(problem: Problem, pipe: Any) -> None:
    torch.set_num_threads(2)
    found = problem.forward() | problem.gradients()
    pipe.send_bytes(b"".join(value.detach().numpy().tobytes() for value in found.values()))


# Python 3.12 warns of every fork in a process that has threads; that ours bears it is what is tested.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(with_threads: Any) -> None:
    with_threads(2)
    # Of arrays of this size torch starts no threads of its own, whose library (OpenMP) does not bear a fork.
    problem = make("lstm", 40, 8, 5, 70)
    found = problem.forward() | problem.gradients()  # the parent's threads run
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=(problem, sender), daemon=True)
    child.start()
    assert receiver.poll(60)
    received = np.frombuffer(receiver.recv_bytes())
    child.join(60)
    assert child.exitcode == 0
    expected = np.concatenate([value.detach().numpy().ravel() for value in found.values()])
    np.testing.assert_allclose(received, expected, rtol=1e-10, atol=1e-10)


# --- what it cannot do ------------------------------------------------------------------------------------------------


@pytest.fixture
def unsaid() -> Iterator[None]:
    """As in a process in which no engine has warned of anything yet."""
    caches: Sequence[Any] = [inspect.unwrap(engines._say_plain, stop=lambda f: hasattr(f, "cache_clear"))]
    for one in caches:
        one.cache_clear()
    yield
    for one in caches:
        one.cache_clear()


def served_by_plain(problem: Problem, reason: str, changes: Sequence[Intervention] = ()) -> None:
    """By "auto" silently, by "native" with one warning; and all answer alike."""
    expected = problem.forward("plain", None, changes)
    identical(problem.forward("auto", None, changes), expected)
    with pytest.warns(RuntimeWarning, match=f"the plain engine is used instead of the native one: .*{reason}") as said:
        answers = [problem.forward("native", None, changes) for _ in range(2)]
    for answer in answers:
        identical(answer, expected)
    assert len(said) == 1


@pytest.mark.usefixtures("unsaid")
def test_a_cell_of_ones_own() -> None:
    @define(paper="")
    def leaky(x, u, p, s):
        keep = sigmoid(p.keep)
        return dict(h=keep * s.h + (1 - keep) * tanh(x.h + u.h))

    weights = Parameters(numbers(1, 1, 3, 2), numbers(2, 1, 3), numbers(3, 1, 3, 3), numbers(4, 1, 3))
    served_by_plain(Problem(leaky, weights, numbers(5, 4, 2, 2)), "no C.. was generated for the equations of leaky")


@pytest.mark.usefixtures("unsaid")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    kind = str(dtype).removeprefix("torch.")
    served_by_plain(make("gru", 3, 2, 2, 3).to(dtype), f"float32 or in float64, all of one, and was given {kind}")


@pytest.mark.usefixtures("unsaid")
def test_gradients_of_an_interventions_values() -> None:
    values = numbers(1, 4, 3).requires_grad_()
    problem = make("lstm", 4, 2, 2, 3)
    served_by_plain(problem, "no gradients to the values of an intervention", [patch(0, "c", slice(None), values)])
    found = problem.forward("auto", None, [patch(0, "c", slice(None), values)])
    assert torch.autograd.grad(found["h"].sum(), values)[0].abs().min() > 0


@pytest.mark.usefixtures("unsaid")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch.func's own
def test_transformations_of_torch_func() -> None:
    """vmap, jacfwd and jacrev go through the plain engine, whichever engine is asked."""
    problem = make("lstm", 3, 2, 2, 4)

    def hidden(x: Tensor, engine: Engine = "auto") -> Tensor:
        return replace(problem, inputs=x).forward(engine, ("h",))["h"]

    many = numbers(3, 5, 3, 2, 2)
    torch.testing.assert_close(torch.func.vmap(hidden)(many), torch.stack([hidden(x, "plain") for x in many]))
    expected = torch.autograd.functional.jacobian(hidden, many[0])
    torch.testing.assert_close(torch.func.jacfwd(hidden)(many[0]), expected)
    torch.testing.assert_close(torch.func.jacrev(hidden)(many[0]), expected)


@pytest.mark.usefixtures("unsaid")
def test_without_the_library_everything_runs_and_how_to_build_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_problem", "No module of this name")
    monkeypatch.setattr(native, "_plans", {})
    warn: Any = inspect.unwrap(native._warn_of_missing, stop=lambda f: hasattr(f, "cache_clear"))
    warn.cache_clear()
    problem = make("lstm", 4, 3, 2, 5)
    with pytest.warns(
        RuntimeWarning, match=r"not there \(No module of this name.*install a C\+\+17 compiler.*scripts/install"
    ) as said:
        found, _ = problem.forward("auto"), problem.gradients("auto")
    assert len(said) == 1
    identical(found, problem.forward("plain"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        identical(problem.forward("native"), found)
        identical(problem.forward("native"), found)
    assert [str(one.message) for one in said] == [
        "the plain engine is used instead of the native one: No module of this name."
    ]
    assert not native.available()


def test_every_built_in_cell_has_a_native_engine() -> None:
    assert native._native is not None
    assert {cell.key for cell in CELLS.values()} <= set(native._native.keys())
    for name in EACH_CELL:
        problem = make(name, 2, 2, 2, 3)
        assert native.unserved(problem.cell, problem.parameters, problem.inputs, problem.state or {}, []) == ""


def test_the_drawn_sizes_are_around_those_of_vectors() -> None:
    assert {15, 16, 17, 63, 64, 65} < set(NEURONS)
