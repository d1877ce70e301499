"""Saturation, idle and duplicate neurons, and retention: on planted values, NumPy and the reference cells."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.cells import CELLS, define
from gatescope.equations import relu, sigmoid, tanh
from gatescope.studies import StudyError
from gatescope.studies.health import ALIKE, MIN_RETENTION, health, retention, saturation
from gatescope.trace import TraceError
from tests.drawing import lists_with
from tests.reference import cells as reference
from tests.reference.traces import make
from tests.studies.planted import column, pieces_of, places, planted, stored


def _lstm(lengths: list[int], neurons: int, **signals: Any) -> Any:
    """Make a trace of an LSTM with these signals; all other signals are random."""
    random = np.random.default_rng(len(lengths) + neurons)
    drawn = {
        name: [random.uniform(0.2, 0.8, (length, neurons)) for length in lengths] for name in ("i", "f", "o", "c", "h")
    }
    return planted({**drawn, **signals})


# --- saturation ------------------------------------------------------------------------------------------------------


def test_saturation_counts_shares() -> None:
    f = np.array([[0.05, 0.95], [0.1, 0.9], [0.0, 1.0], [0.5, 0.91]])
    trace = _lstm([3, 1], 2, f=[f[:3], f[3:]])
    table = saturation(trace).where(gate="f")
    assert table["neuron"].tolist() == [0, 1]
    assert table["left"].tolist() == [0.5, 0.0]  # 0.1 itself is not below 0.1
    assert table["right"].tolist() == [0.0, 0.75]
    assert set(table["title"]) == {"forget gate"}
    assert set(saturation(trace)["gate"]) == {"i", "f", "o"}


@pytest.mark.parametrize(
    ("cell", "gates"),
    [("gru", {"r", "z"}), ("elman", set()), ("elman_sigmoid", set()), ("coupled", {"f", "i", "o"}), ("mingru", {"z"})],
)
def test_saturation_covers_signals_between_0_and_1(cell: str, gates: set[str]) -> None:
    trace = planted({name: [np.full((2, 1), 0.5)] for name in (*CELLS[cell].signals, *CELLS[cell].drives)}, cell=cell)
    assert set(saturation(trace)["gate"]) == gates


@settings(max_examples=40)
@given(
    lengths=lists_with(st.integers(1, 9), st.integers(0, 9), max_size=4),
    neurons=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_saturation_equals_a_plain_loop(lengths: list[int], neurons: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    trace = _lstm(lengths, neurons, f=[random.uniform(0, 1, (length, neurons)).round(1) for length in lengths])
    for row in saturation(trace).where(gate="f"):
        values = places(trace, "f")[:, row["neuron"]].tolist()
        assert row["left"] == pytest.approx(sum(value < 0.1 for value in values) / len(values), abs=1e-15)
        assert row["right"] == pytest.approx(sum(value > 0.9 for value in values) / len(values), abs=1e-15)


# --- idle and duplicate neurons --------------------------------------------------------------------------------------


def test_health_finds_planted_neurons() -> None:
    random = np.random.default_rng(0)
    h = random.uniform(-0.9, 0.9, (60, 8))
    h[:, 1] = 0.25
    h[:, 2] = 0.25 + 1e-4 * h[:, 0]
    h[:, 4] = 0.5 * h[:, 3] + 0.1
    h[:, 6] = -h[:, 5]
    c = random.uniform(-2, 2, (60, 8))
    c[:, 7] = 1.5
    f = random.uniform(0.2, 0.8, (60, 8))
    f[:, 3] = 1.0
    o = random.uniform(0.2, 0.8, (60, 8))
    o[:, 1] = 0.001
    trace = _lstm([25, 0, 35], 8, **{k: [v[:25], v[:0], v[25:]] for k, v in {"h": h, "c": c, "f": f, "o": o}.items()})
    table = health(trace)
    assert table["verdict"].tolist() == [
        "ordinary",
        "dead: h is constant, output gate always closed",
        "dead: h hardly moves",
        "duplicate of 4, forget gate always open, forgets nothing",
        "duplicate of 3",
        "mirror image of 6",
        "mirror image of 5",
        "its memory does not move",
    ]
    assert table["findings"].tolist() == [
        "",
        "HEALTH_DEAD_CONSTANT HEALTH_GATE_CLOSED:o",
        "HEALTH_DEAD_STILL",
        "HEALTH_DUPLICATE HEALTH_GATE_OPEN:f HEALTH_FORGETS_NOTHING",
        "HEALTH_DUPLICATE",
        "HEALTH_MIRROR",
        "HEALTH_MIRROR",
        "HEALTH_MEMORY_STILL",
    ]
    assert table["twin"].tolist() == [-1, -1, -1, 4, 3, 6, 5, -1]
    assert table["correlation"][3:7].tolist() == pytest.approx([1, 1, -1, -1], abs=1e-12)
    assert table["deviation"].tolist() == pytest.approx(np.std(h, axis=0).tolist(), abs=1e-12)
    assert table["memory_deviation"].tolist() == pytest.approx(np.std(c, axis=0).tolist(), abs=1e-12)
    assert json.loads(json.dumps(table.to_json()))["columns"]["time_constant"][3] is None  # JSON has no infinity


@settings(max_examples=40)
@given(noise=st.floats(0, 0.4), seed=st.integers(0, 99), size=st.sampled_from([1, 50, 1 << 22]))
def test_twins_equal_corrcoef(noise: float, seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    base = random.standard_normal((40, 3))
    h = np.concatenate([base, base[:, ::-1] + noise * random.standard_normal((40, 3)), -base[:, :1]], axis=1)
    with pieces_of(size):
        table = health(_lstm([15, 25], 7, h=[h[:15], h[15:]]))
    expected = np.asarray(np.corrcoef(h.T))
    for k, twin in enumerate(table["twin"]):
        alike = [j for j in range(7) if j != k and abs(expected[k, j]) >= ALIKE]
        assert twin == (alike[0] if alike else -1)
        if alike:
            assert table["correlation"][k] == pytest.approx(expected[k, twin], abs=1e-12)


def test_twins_of_three_equal_neurons() -> None:
    wave = np.sin(np.arange(50.0))
    table = health(_lstm([50], 3, h=[np.stack([wave, wave, wave], axis=1)]))
    assert table["twin"].tolist() == [1, 0, 0]


# --- retention -------------------------------------------------------------------------------------------------------

# d memory / d memory one step earlier, worked out by hand from the equations of tests/reference/cells.py.
FORMULAS = {
    "lstm": lambda v: v["f"],
    "coupled": lambda v: v["f"],
    "slstm": lambda v: v["f"],
    "gru": lambda v: v["z"],
    "mingru": lambda v: 1 - v["z"],
    "lstm_1997": lambda v: np.ones_like(v["i"]),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("drives", [True, False])
def test_retention_equals_the_formula_by_hand(name: str, drives: bool) -> None:
    trace = make([name, name], [4, 0, 6], dtype="float64", padding=1).trace
    if not drives:
        signals = {layer: {k: v for k, v in arrays.items() if "." not in k} for layer, arrays in trace.layers.items()}
        trace = replace(trace, layers=signals)
    for layer in ("layer0", "layer1"):
        values = {signal: places(trace, signal, layer) for signal in trace[layer]}
        expected = FORMULAS[name](values)
        assert np.abs(retention(trace, layer) - expected.T).max() < 1e-15
        assert np.abs(retention(trace, layer, slice(1, 3)) - expected.T[1:3]).max() < 1e-15
        rows = list(health(trace).where(layer=layer))
        for row in rows:
            logs = [math.log(value) for value in expected[:, row["neuron"]]]
            mean = math.fsum(logs) / len(logs)
            assert row["retention"] == pytest.approx(math.exp(mean), abs=1e-12)
            assert row["time_constant"] == (pytest.approx(-1 / mean, rel=1e-12) if mean else math.inf)


def test_retention_includes_peepholes() -> None:
    case = make(["peephole"], [6, 5], dtype="float64")
    trace, weights, delta = case.trace, case.layers[0], 1e-5
    retained, place = retention(trace, "layer0"), 0
    for sequence, length in enumerate(trace.lengths):
        state = {name: trace.initial["layer0"][name][sequence] for name in ("c", "h")}
        for step in range(length):
            x = np.eye(3)[trace.steps["token"][sequence, step]]
            # The drives read h, not c, so they stay fixed while c alone moves.
            up, down = (
                reference.peephole(x, {**state, "c": state["c"] + move}, weights)["c"] for move in (delta, -delta)
            )
            assert retained[:, place] == pytest.approx((up - down) / (2 * delta), abs=1e-8)
            state = {name: trace["layer0"][name][sequence, step] for name in ("c", "h")}
            place += 1


def test_retention_of_a_custom_cell() -> None:
    @define(paper="")
    def leaky(x, u, p, s):
        a = relu(x.a)
        v = s.v - p.leak * s.v * s.v + a
        return dict(a=a, v=v, h=tanh(v) * sigmoid(x.o + u.o))

    v = np.array([[0.5, -1.0], [2.0, 0.25], [1.0, 1.0]])
    trace = planted(
        {"a": [v[:2], v[2:]], "v": [v[:2], v[2:]], "h": [v[:2], v[2:]]},
        cell=leaky,
        initial={"v": [[0.1, 0.2], [0.3, 0.4]]},
        parameters={"leak": [0.5, 0.25]},
    )
    before = np.array([[0.1, 0.2], [0.5, -1.0], [0.3, 0.4]])
    assert retention(trace, "layer0") == pytest.approx((1 - 2 * np.array([0.5, 0.25]) * before).T, abs=1e-15)
    assert health(trace).about["layers"]["layer0"]["memory"] == "v"


@pytest.mark.parametrize(
    ("f", "time"),
    [
        ([0.9, 0.9, 0.9], -1 / math.log(0.9)),
        ([0.5, 1.0, 0.5, 1.0], 2 / math.log(2)),
        ([1.0, 1.0], math.inf),
        ([0.0], -1 / math.log(MIN_RETENTION)),
        ([0.0, 1.0], -2 / math.log(MIN_RETENTION)),
    ],
)
def test_time_constant_equals_the_formula(f: list[float], time: float) -> None:
    some = [np.linspace(-1, 1, len(f)).reshape(-1, 1)]
    trace = planted({"f": [column(*f)], "c": some, "h": some})
    assert health(trace)["time_constant"][0] == pytest.approx(time, rel=1e-12)


def test_retention_refuses_cells_without_memory() -> None:
    for name in ("elman", "feedforward"):
        trace = make([name], [5]).trace
        table = health(trace)
        assert np.isnan(table["retention"]).all()
        assert np.isnan(table["time_constant"]).all()
        assert table.about["layers"]["layer0"] == {"memory": "", "retention": "", "missing": []}
        assert table["memory_deviation"].tolist() == table["deviation"].tolist()
        with pytest.raises(StudyError, match="no state that one neuron keeps by itself"):
            retention(trace, "layer0")


def test_retention_names_missing_signals() -> None:
    some = [np.linspace(-1, 1, 4).reshape(-1, 1)]
    table = health(planted({"c": some, "h": some}))
    assert np.isnan(table["retention"]).all()
    assert table.about["layers"]["layer0"]["missing"] == ["f"]
    with pytest.raises(StudyError, match=r"lacks f\. Record"):
        retention(planted({"c": some, "h": some}), "layer0")
    with pytest.raises(StudyError, match="got 'h'"):
        health(planted({"c": some}))
    with pytest.raises(StudyError, match="got 'c'"):
        health(planted({"h": some, "f": some}))
    with pytest.raises(TraceError, match="layer3"):
        retention(planted({"h": some}), "layer3")
    trace = make(["peephole"], [3]).trace
    about = health(replace(trace, parameters={}, initial={})).about["layers"]["layer0"]
    assert about["missing"] == ["c before step 0", "p.f", "p.i"]


def test_health_skips_nan() -> None:
    h = np.linspace(-1, 1, 6).reshape(-1, 1)
    broken = h.copy()
    broken[2] = np.nan
    f = [np.full((6, 1), 0.5)]
    table = health(planted({"f": f, "c": [h], "h": [broken]}))
    assert table["deviation"][0] == pytest.approx(np.nanstd(broken), abs=1e-12)
    assert table["verdict"][0] == "not all of its values are numbers"
    broken[2] = np.inf
    for signals in ({"c": [h], "h": [broken]}, {"c": [broken], "h": [h]}):
        assert health(planted({"f": f, **signals}))["verdict"][0] == "not all of its values are numbers"


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole", "slstm", "elman"])
def test_health_on_disk_equals_memory(name: str, tmp_path: object) -> None:
    trace = make([name, name], [30, 0, 17, 5], neurons=6, dtype="float64").trace
    trace["layer1"]["h"][..., 4] = -trace["layer1"]["h"][..., 1]
    lazy = stored(trace, f"{tmp_path}/trace")
    expected, gates = health(trace), saturation(trace).to_json()
    assert expected["twin"][[7, 10]].tolist() == [4, 1]
    for source in (trace, lazy):
        for size in (1, 60, 400):
            with pieces_of(size):
                table = health(source)
                assert saturation(source).to_json() == gates
            assert table["verdict"].tolist() == expected["verdict"].tolist()
            for key in ("deviation", "memory_deviation", "correlation", "retention", "time_constant", "twin"):
                assert np.allclose(table[key], expected[key], rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("lengths", [[], [0], [1], [0, 1]])
def test_health_of_very_short_texts(lengths: list[int]) -> None:
    trace = make(["lstm", "gru"], lengths, neurons=2).trace
    table = health(trace)
    assert table["neuron"].tolist() == [0, 1, 0, 1]
    assert (table["twin"] == -1).all()
    expected = "dead: h is constant" if sum(lengths) else "ordinary"
    assert all(row.startswith(expected) for row in table["verdict"])
    assert len(health(make(["lstm"], lengths, neurons=0).trace)) == 0
