"""The self-check confirms traces of independent loops, and names the equation that a fault breaks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatescope.cells import CELLS
from gatescope.checking import TOLERANCES, Report, check
from gatescope.storage import open_trace, save_trace
from gatescope.trace import Trace
from tests.reference.cells import REFERENCES, run
from tests.reference.traces import Made, make

CELL_NAMES = sorted(REFERENCES)

# Written by hand: the equations that read each gate, in this step.
READERS = {
    "lstm_1997": {"i": {"c"}, "o": {"h"}},
    "lstm": {"i": {"c"}, "f": {"c"}, "o": {"h"}},
    "peephole": {"i": {"c"}, "f": {"c"}, "o": {"h"}},
    "coupled": {"f": {"i", "c"}, "i": {"c"}, "o": {"h"}},
    "gru": {"r": {"n"}, "z": {"h"}},
    "mingru": {"z": {"h"}},
    "slstm": {"i": {"c", "n"}, "f": {"c", "n"}, "o": {"h"}},
}
SWAPS = [
    ("lstm_1997", "i", "o", {"i", "o", "c", "h"}),
    ("lstm", "i", "f", {"i", "f", "c"}),
    ("lstm", "f", "o", {"f", "o", "c", "h"}),
    ("peephole", "i", "f", {"i", "f", "c"}),
    # i = 1 - f still holds when the two are exchanged, so the fault only shows in f and c.
    ("coupled", "i", "f", {"f", "c"}),
    ("gru", "r", "z", {"r", "z", "n", "h"}),
    # The one gate of a minGRU, and its candidate.
    ("mingru", "z", "n", {"z", "n"}),
    ("slstm", "i", "f", {"i", "f", "c", "n"}),
]


def test_every_cell_has_a_reference() -> None:
    assert set(CELLS) == set(REFERENCES)


@pytest.mark.parametrize("name", CELL_NAMES)
def test_references_use_the_names_of_the_cells(name: str) -> None:
    tape, reference = CELLS[name].tape, REFERENCES[name]
    assert set(tape.input_drives) == set(reference.inputs)
    assert set(tape.recurrent_drives) == set(reference.recurrent)
    assert set(tape.parameters) == set(reference.parameters)
    assert set(tape.states) == set(reference.states)


@pytest.mark.parametrize("name", CELL_NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_check_confirms_every_cell(name: str, data: st.DataObject) -> None:
    made = make(
        [name] * data.draw(st.integers(1, 2), label="layers"),
        data.draw(st.lists(st.integers(0, 9), max_size=3), label="lengths"),
        neurons=data.draw(st.integers(1, 5), label="neurons"),
        symbols=data.draw(st.integers(1, 5), label="symbols"),
        dtype=data.draw(st.sampled_from(["float32", "float64"]), label="dtype"),
        seed=data.draw(st.integers(0, 2**32 - 1), label="seed"),
        padding=data.draw(st.integers(0, 2), label="padding"),
    )
    cell = CELLS[name]
    alone, full = check(made.trace), check(made.trace, made.weights)
    assert alone.holds, _failing(alone)
    assert full.holds, _failing(full)
    assert not alone.unchecked
    assert not full.unchecked
    for layer in made.trace.layers:
        assert [r.name for r in alone.residuals if r.layer == layer] == list(cell.signals)
        assert [r.name for r in full.residuals if r.layer == layer] == [*cell.drives, *cell.signals]


@settings(max_examples=25)
@given(data=st.data())
def test_check_confirms_layers_of_different_cells(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(CELL_NAMES), min_size=1, max_size=4))
    made = make(names, [7, 3], seed=data.draw(st.integers(0, 2**32 - 1)))
    report = check(made.trace, made.weights)
    assert report.holds, _failing(report)


@pytest.mark.parametrize("name", CELL_NAMES)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_check_confirms_a_trace_stored_in_float16(
    name: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = make([name], [12, 5], neurons=5, seed=seed)
    directory = tmp_path_factory.mktemp("stored") / "trace"
    save_trace(made.trace, directory)
    report = check(open_trace(directory))
    assert report.holds, _failing(report)
    assert report.tolerance == TOLERANCES["float16"]


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([3.0, 10.0, 30.0]), dtype=st.sampled_from(["f2", "f4"]))
@settings(max_examples=30)
@example(seed=173029, scale=30.0, dtype="f2")
def test_rounding_of_large_values_is_not_a_fault(seed: int, scale: float, dtype: str) -> None:
    """exp(a - b) of values in the hundreds, each rounded to float16, differs by more than any tolerance for gates."""
    made = make(["slstm"], [12, 5], seed=seed, scale=scale)
    rounded = {key: array.astype(dtype) for key, array in made.trace["layer0"].items()}
    states = {key: array.astype(dtype) for key, array in made.trace.initial["layer0"].items()}
    precision = np.dtype(dtype).name
    trace = replace(_with(made.trace, rounded), initial={"layer0": states})
    trace = replace(trace, attributes={**trace.attributes, "precision": precision})
    report = check(trace)
    assert report.holds, _failing(report)
    swapped = check(_with(trace, {"i": rounded["f"], "f": rounded["i"]}))
    assert {"i", "f"} <= set(_failing(swapped))


def test_check_names_a_missing_initial_state() -> None:
    made = make(["lstm"], [6, 4])
    report = check(replace(made.trace, initial={}, parameters={}))
    assert {r.name: r.missing for r in report.unchecked} == {"c": ("c before step 0",)}
    assert report.holds


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(READERS))
def test_check_catches_gates_of_the_step_before(name: str, dtype: str) -> None:
    for gate, readers in READERS[name].items():
        made = make([name], [8, 6], dtype=dtype, seed=1)
        late = made.trace["layer0"][gate].copy()
        late[:, 1:] = made.trace["layer0"][gate][:, :-1]
        report = check(_with(made.trace, {gate: _blank(late, made.trace)}))
        assert not report.holds
        assert set(_failing(report)) == {gate, *readers}


@pytest.mark.parametrize("name", [name for name in sorted(READERS) if REFERENCES[name].recurrent])
def test_check_catches_gates_from_h_of_the_wrong_step(name: str) -> None:
    """A fault of a published explorer: every gate agrees with its drives, but these use h of their own step."""
    made = make([name], [8, 6], seed=2)
    report = check(_with_h_of_the_same_step(made, name))
    broken = {"gru": {"h"}, "peephole": {"o", "c", "h"}, "slstm": {"m", "i", "f", "c", "n", "h"}}
    assert not report.holds
    assert set(_failing(report)) == broken.get(name, {"c", "h"})
    with_weights = check(_with_h_of_the_same_step(made, name), made.weights)
    assert {f"u.{k}" for k in REFERENCES[name].recurrent} <= set(_failing(with_weights))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "first", "second", "broken"), SWAPS)
def test_check_catches_two_swapped_gates(name: str, first: str, second: str, broken: set[str], dtype: str) -> None:
    made = make([name], [8, 6], dtype=dtype, seed=3)
    signals = made.trace["layer0"]
    report = check(_with(made.trace, {first: signals[second], second: signals[first]}))
    assert not report.holds
    assert broken <= set(_failing(report))
    assert set(_failing(report)) <= broken | {"h"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in sorted(READERS) if "o" in READERS[name]])
def test_check_catches_h_without_the_output_gate(name: str, dtype: str) -> None:
    made = make([name], [8, 6], dtype=dtype, seed=4)
    signals = made.trace["layer0"]
    bare = signals["c"] / signals["n"] if name == "slstm" else np.tanh(signals["c"])
    trace = _with(made.trace, {"h": bare})
    report = check(trace)
    assert not report.holds
    assert _failing(report) == ["h"]
    with_weights = check(trace, made.weights)
    assert set(_failing(with_weights)) == {"h", *(f"u.{k}" for k in REFERENCES[name].recurrent)}


@pytest.mark.parametrize("name", ["elman", "elman_sigmoid", "elman_relu", "feedforward"])
def test_check_catches_h_one_step_late(name: str) -> None:
    made = make([name], [8, 6], seed=5)
    late = made.trace["layer0"]["h"].copy()
    late[:, 1:] = made.trace["layer0"]["h"][:, :-1]
    report = check(_with(made.trace, {"h": _blank(late, made.trace)}))
    assert not report.holds
    assert _failing(report) == ["h"]


@pytest.mark.parametrize("name", CELL_NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_check_locates_a_missing_value(name: str, data: st.DataObject) -> None:
    made = make([name], [6, 4], neurons=3, seed=data.draw(st.integers(0, 1000)))
    signal = data.draw(st.sampled_from(CELLS[name].signals))
    row = data.draw(st.integers(0, 1))
    place = (row, data.draw(st.integers(0, [5, 3][row])), data.draw(st.integers(0, 2)))
    changed = made.trace["layer0"][signal].copy()
    changed[place] = np.nan
    report = check(_with(made.trace, {signal: changed}))
    (residual,) = [r for r in report.residuals if r.name == signal]
    assert not report.holds
    assert residual.largest == np.inf
    assert (residual.sequence, residual.step, residual.neuron) == place


@pytest.mark.parametrize("name", CELL_NAMES)
def test_check_locates_a_wrong_value(name: str) -> None:
    for signal in CELLS[name].signals:
        made = make([name], [6, 9], neurons=3, seed=6)
        changed = made.trace["layer0"][signal].copy()
        changed[1, 8, 2] += 0.01  # no later step reads the last one
        report = check(_with(made.trace, {signal: changed}))
        (residual,) = [r for r in report.residuals if r.name == signal]
        assert signal in _failing(report)
        assert (residual.sequence, residual.step, residual.neuron) == (1, 8, 2)


@pytest.mark.parametrize("name", [name for name in CELL_NAMES if REFERENCES[name].states])
def test_check_catches_a_wrong_initial_state(name: str) -> None:
    for state in REFERENCES[name].states:
        made = make([name], [6, 4], seed=7)
        initial = dict(made.trace.initial["layer0"])
        initial[state] = initial[state] + 0.5
        trace = replace(made.trace, initial={"layer0": initial})
        # The recurrent drives, which only the weights can check, and the h of a GRU contain h of the step before.
        readers = {
            ("peephole", "c"): {"i", "f", "c"},
            ("slstm", "m"): {"m", "f"},
            ("gru", "h"): {"h", "u.r", "u.z", "u.n"},
            ("mingru", "h"): {"h"},
        }.get((name, state), {state} if state != "h" else {f"u.{k}" for k in REFERENCES[name].recurrent})
        report = check(trace, made.weights)
        assert set(_failing(report)) == readers
        assert {r.step for r in report.residuals if r.name in readers} == {0}


@pytest.mark.parametrize("name", CELL_NAMES)
def test_check_names_equations_that_need_drives(name: str) -> None:
    made = make([name], [6, 4], seed=8)
    signals = {key: made.trace["layer0"][key] for key in CELLS[name].signals}
    trace = replace(made.trace, layers={"layer0": signals})
    report = check(trace)
    for residual in report.unchecked:
        assert residual.missing
        assert all(key.startswith(("x.", "u.")) for key in residual.missing)
    checked = {r.name for r in report.residuals} - {r.name for r in report.unchecked}
    assert checked == {
        "lstm_1997": {"c", "h"},
        "lstm": {"c", "h"},
        "peephole": {"c", "h"},
        "coupled": {"i", "c", "h"},
        "gru": {"h"},
        "mingru": {"h"},
        "slstm": {"c", "n", "h"},
    }.get(name, set())
    assert report.holds == bool(checked)


def test_check_reports_a_fault_in_its_layer() -> None:
    made = make(["lstm", "gru"], [8, 6], seed=9)
    layers = {layer: dict(signals) for layer, signals in made.trace.layers.items()}
    layers["layer1"]["z"] = 1 - layers["layer1"]["z"]
    report = check(replace(made.trace, layers=layers), made.weights)
    assert {(r.layer, r.name) for r in report.residuals if (r.largest or 0) > report.tolerance} == {
        ("layer1", "z"),
        ("layer1", "h"),
    }
    data = report.to_json()
    assert data["holds"] is False
    assert data["largest"] == report.largest


def test_check_notices_weights_of_another_network() -> None:
    made, other = make(["lstm"], [8], seed=10), make(["lstm"], [8], seed=11)
    failing = set(_failing(check(made.trace, other.weights)))
    assert failing == set(CELLS["lstm"].drives)


def test_check_covers_the_borders_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.recorded_pieces.PIECE_VALUES", 8)
    made = make(["lstm"], [9, 4, 7], neurons=3, seed=12)
    assert check(made.trace, made.weights).holds
    changed = made.trace["layer0"]["c"].copy()
    changed[2, 4, 1] += 0.1
    report = check(_with(made.trace, {"c": changed}))
    (residual,) = [r for r in report.residuals if r.name == "c"]
    assert (residual.sequence, residual.neuron) == (2, 1)
    assert residual.step in (4, 5)


def _failing(report: Report) -> list[str]:
    """Return the names of the equations that do not hold, in the order of the report."""
    return [r.name for r in report.residuals if r.largest is not None and not r.largest <= report.tolerance]


def _with(trace: Trace, changed: dict[str, Any]) -> Trace:
    return replace(trace, layers={"layer0": {**trace["layer0"], **changed}})


def _blank(values: np.ndarray, trace: Trace) -> np.ndarray:
    values[np.arange(values.shape[1]) >= trace.lengths[:, None]] = np.nan
    return values


def _with_h_of_the_same_step(made: Made, name: str) -> Trace:
    """Return a trace whose drives and gates are recomputed from h of the same step; its states are unchanged."""
    trace, weights = made.trace, made.layers[0]
    wrong: dict[str, np.ndarray] = {}
    states = {"m", "c", "h"} | ({"n"} if name == "slstm" else set())
    eye = np.eye(len(trace.vocabulary.symbols), dtype=np.float32)
    for row, length in enumerate(trace.lengths):
        for step in range(int(length)):
            before = {key: trace["layer0"][key][row, step - 1] for key in REFERENCES[name].states}
            if step == 0:
                before = {key: value[row] for key, value in trace.initial["layer0"].items()}
            before = {**before, "h": trace["layer0"]["h"][row, step]}
            values = run(name, weights, eye[trace.steps["token"][row, step]][None], before)
            for key, value in values.items():
                if key not in states:
                    wrong.setdefault(key, np.full_like(trace["layer0"][key], np.nan))[row, step] = value[0]
    return _with(trace, wrong)
