"""Recording: a trace is complete, its equations hold, and it equals a run without recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gatescope.engine
import gatescope.network
from gatescope import (
    CELLS,
    Configuration,
    Layer,
    Network,
    Trace,
    Vocabulary,
    ablate,
    check,
    check_with,
    configure,
    define,
    nudge,
    open_trace,
    record,
    record_to,
    save_trace,
)
from gatescope.cells import Cell
from gatescope.engine import native
from gatescope.equations import exp, log_sigmoid, maximum, relu, sigmoid, tanh
from gatescope.network import predict
from gatescope.readout import classes, numbers
from gatescope.recording import record_pieces
from gatescope.sources import RecordingError
from tests.networks import ALPHABET, EACH_CELL, cells, few, network, seeds

LINES = Vocabulary((*"abc", "\n"), end="\n")


def assert_same(a: Trace, b: Trace, tolerance: float = 0.0) -> None:
    assert a.lengths.tolist() == b.lengths.tolist()
    for name in a.steps:
        np.testing.assert_allclose(a.steps[name], b.steps[name], rtol=tolerance, atol=tolerance, err_msg=name)
    for layer in a.layers:
        assert list(a[layer]) == list(b[layer])
        for name, array in a[layer].items():
            np.testing.assert_allclose(array, b[layer][name], rtol=tolerance, atol=tolerance, err_msg=name)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), few, few, seeds)
@settings(max_examples=15)
def test_trace_has_the_documented_shapes_and_padding(lengths: list[int], neurons: int, top: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    sequences = [random.integers(0, 6, length).astype(np.int32) for length in lengths]
    made = network("lstm", (neurons, 2), seed)
    trace = record(made, sequences, top=top)
    S, T = len(lengths), max(lengths)
    assert trace.lengths.tolist() == lengths
    padding = np.arange(T) >= np.array(lengths)[:, None]
    assert list(trace.layers) == ["layer0", "layer1"]
    for layer, size in zip(trace.layers, (neurons, 2), strict=True):
        assert set(trace[layer]) == {*CELLS["lstm"].signals, *CELLS["lstm"].drives}
        for array in trace[layer].values():
            assert array.shape == (S, T, size)
            assert array.dtype == np.float32
            assert np.isnan(array[padding]).all()
            assert np.isfinite(array[~padding]).all()
        assert {k: (v.shape, v.any()) for k, v in trace.initial[layer].items()} == dict.fromkeys(
            "ch", ((S, size), False)
        )
    assert trace.steps["token"].shape == trace.steps["target"].shape == (S, T)
    for row, ids in enumerate(sequences):
        assert trace.steps["token"][row].tolist() == [*ids, *[-1] * (T - len(ids))]
        assert trace.steps["target"][row].tolist() == [*ids[1:], *[-1] * (T - len(ids) + 1)]
    assert trace.steps["top_token"].shape == trace.steps["top_probability"].shape == (S, T, min(top, 5))
    assert (trace.steps["top_token"][padding] == -1).all()
    assert np.isnan(trace.steps["top_probability"][padding]).all()
    has_target = ~np.isnan(trace.steps["log_probability"])
    assert (has_target == ((trace.steps["target"] >= 0) & (trace.steps["target"] < 5))).all()


@given(cells, seeds, st.text("abcdex", min_size=1, max_size=20))
@settings(max_examples=15)
def test_predictions_equal_those_of_the_network(cell: Cell, seed: int, text: str) -> None:
    made = network(cell, (3,), seed)
    trace = record(made, text, top=5)
    with torch.no_grad():
        logits = made(torch.from_numpy(ALPHABET.encode(text)).long().unsqueeze(1)).logits[:, 0].double()
    probabilities = logits.softmax(1).numpy()
    best = np.sort(probabilities, axis=1)[:, ::-1]
    np.testing.assert_allclose(trace.steps["top_probability"][0], best, rtol=1e-5, atol=1e-6)
    chosen = np.take_along_axis(probabilities, trace.steps["top_token"][0].astype(int), 1)
    np.testing.assert_allclose(trace.steps["top_probability"][0], chosen, rtol=1e-5, atol=1e-6)
    for t, ids in enumerate(ALPHABET.encode(text)[1:]):
        if ids < 5:
            # One unit in the last place of a logit in the hundreds is 3e-5.
            expected = np.log(probabilities[t, ids])
            assert trace.steps["log_probability"][0, t] == pytest.approx(expected, abs=1e-5, rel=2e-7)


@given(cells, st.lists(st.integers(1, 12), min_size=1, max_size=3), st.integers(1, 9), seeds)
@settings(max_examples=15)
def test_pieces_equal_one_recording(cell: Cell, lengths: list[int], piece: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    sequences = [random.integers(0, 6, length).astype(np.int32) for length in lengths]
    made = network(cell, (3, 2), seed)
    whole = record(made, sequences)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.network, "PASS_STEPS", piece)
        pieces = list(record_pieces(made, sequences))
        joined = record(made, sequences)
    assert len(pieces) == -(-max(lengths) // max(1, piece // len(lengths)))
    assert_same(whole, joined, 2e-5)
    assert joined.attributes["residual"] == max(part.attributes["residual"] for part in pieces)
    for part in pieces:
        assert check_with(made, part).holds


def test_pieces_on_disk_equal_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, text = network("gru", (3, 2)), "abcabcdedeabc" * 3
    whole, calls = record(made, text), []
    monkeypatch.setattr(gatescope.network, "PASS_STEPS", 10)
    stored = record_to(tmp_path / "trace", made, text, dtype="float32", progress=lambda *call: calls.append(call))
    assert_same(whole, stored, 2e-5)
    assert calls == [(10, 39), (20, 39), (30, 39), (39, 39)]
    assert stored.attributes["residual"] <= 1e-5
    assert check_with(made, stored).holds


def test_interrupted_recording_keeps_the_finished_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatescope.network, "PASS_STEPS", 10)

    def interrupt(done: int, _: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_to(tmp_path / "trace", network("lstm", (2,)), "abc" * 20, progress=interrupt)
    assert gatescope.open_trace(tmp_path / "trace").lengths.tolist() == [20]


@pytest.mark.parametrize("name", EACH_CELL)
@given(
    neurons=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=seeds,
    length=st.integers(1, 40),
    embedded=st.booleans(),
)
@settings(max_examples=6)
def test_every_equation_of_every_cell_holds(
    name: str, neurons: tuple[int, int], seed: int, length: int, embedded: bool
) -> None:
    made = network(name, neurons, seed, embedding=3 if embedded else None)
    text = "".join(np.random.default_rng(seed).choice([*"abcdez"], length))
    trace = record(made, text)
    assert trace.attributes["residual"] <= 1e-5
    report = check_with(made, trace)
    assert report.holds
    assert not report.unchecked
    assert report.largest == trace.attributes["residual"]
    exact = record(made.double(), text)
    assert exact.attributes["precision"] == "float64"
    assert exact["layer0"]["h"].dtype == np.float64
    assert exact.attributes["residual"] <= 1e-12


def test_intervention_breaks_only_the_equation_it_changes() -> None:
    made, text = network("lstm", (4, 3)), "abcabcab"
    unchanged = record(made, text, interventions=[nudge(0, "c", 2, 0.0)])
    assert_same(record(made, text), unchanged)
    changed = record(made, text, interventions=[nudge(0, "c", 2, 0.5, slice(3, 4))])
    assert changed.attributes["residual"] > 0.1
    broken = [r for r in check_with(made, changed).residuals if r.largest is not None and r.largest > 1e-5]
    assert [(r.layer, r.name, r.sequence, r.step, r.neuron) for r in broken] == [("layer0", "c", 0, 3, 2)]
    assert record(made, text, interventions=[ablate(1, "h", 0)]).attributes["residual"] > 1e-3


def test_intervention_steps_count_the_whole_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatescope.network, "PASS_STEPS", 3)
    trace = record(network("lstm", (2,)), "abcabcab", interventions=[ablate(0, "c", 0, steps=slice(5, 6))])
    assert (trace["layer0"]["c"][0, :, 0] == 0).nonzero()[0].tolist() == [5]


def test_text_is_cut_after_end_marks_into_sequences() -> None:
    made = network("lstm", (3,), vocabulary=LINES)
    trace = record(made, "ab\ncab\n\na")
    assert trace.lengths.tolist() == [3, 4, 1, 1]
    assert [trace.text(k) for k in range(4)] == ["ab\n", "cab\n", "\n", "a"]
    for k, part in enumerate(("ab\n", "cab\n", "\n", "a")):
        assert_same(record(made, part), trace.sequence(k), 1e-6)


def test_trace_without_drives_was_still_checked() -> None:
    made = network("gru", (3,))
    trace = record(made, "abc", drives=False)
    assert set(trace["layer0"]) == set(CELLS["gru"].signals)
    assert 0 < trace.attributes["residual"] <= 1e-5
    assert {r.name for r in check(trace).unchecked} == {"r", "z", "n"}


@pytest.mark.parametrize("steps_of_piece", [None, 3])
def test_unchecked_recording_says_so_and_is_checked_later(tmp_path: Path, steps_of_piece: int | None) -> None:
    """The arrays are the same bits, the residual is absent also on disk, and `check_with` finds the same one."""
    net = network("lstm", (4, 3), seed=3)
    text = "abeacabba"
    checked = list(record_pieces(net, text, steps_of_piece=steps_of_piece))
    unchecked = list(record_pieces(net, text, check=False, steps_of_piece=steps_of_piece))
    for one, other in zip(checked, unchecked, strict=True):
        assert other.attributes["residual"] is None
        assert_same(one, other)
        assert check_with(net, other).largest == one.attributes["residual"]
    trace = record(net, text, check=False)
    save_trace(trace, tmp_path / "trace", dtype="float32")
    assert open_trace(tmp_path / "trace").attributes["residual"] is None
    assert trace.attributes["residual"] is None
    assert check_with(net, trace).holds


def test_attributes_describe_the_network() -> None:
    trace = record(network("peephole", (2,)), "abc")
    about = trace.attributes
    assert about["precision"] == "float32"
    assert about["version"] == gatescope.__version__
    assert about["tolerance"] == 1e-5
    layer = about["layers"]["layer0"]
    assert Cell.from_json(layer["cell"]) == CELLS["peephole"]
    assert layer["arrays"]["f"] == {
        "title": "forget gate",
        "range": [0.0, 1.0],
        "formula": CELLS["peephole"].formula("f"),
    }
    assert layer["arrays"]["c"]["range"] == [None, None]
    assert set(layer["arrays"]) == set(trace["layer0"])
    assert set(trace.parameters["layer0"]) == {"p.i", "p.f", "p.o"}


def test_attributes_name_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    @define(paper="")
    def halved(x: Any, u: Any, p: Any, s: Any) -> Any:
        return dict(h=tanh(x.h + u.h) / 2)

    vocabulary = Vocabulary.of("abc")
    built_in, own = (Network(configure(vocabulary, cell, [2, 3], embedding=4)) for cell in ("gru", halved))
    mixed = Network(Configuration(vocabulary, (Layer(CELLS["lstm"], 2), Layer(halved, 3))))

    # The other engine is replaced by None, so a call of it would fail.
    with monkeypatch.context() as only_plain:
        only_plain.setattr(gatescope.engine, "run_native", None)
        assert record(own, "abc").attributes["engine"] == "plain"
        only_plain.setattr(native, "_native", None)
        only_plain.setattr(native, "_problem", "The native engine was not compiled.")
        native._warn_of_missing.cache_clear()
        with pytest.warns(RuntimeWarning, match="The native engine was not compiled"):
            assert record(built_in, "abc").attributes["engine"] == "plain"
    if not native.describe().missing:
        assert record(mixed, "abc").attributes["engine"] == "native, plain"
        monkeypatch.setattr(gatescope.engine, "run_plain", None)
        assert record(built_in, "abc").attributes["engine"] == "native"
        assert record(built_in, "abc", interventions=[ablate(0, "z", 1)]).attributes["engine"] == "native"


def test_recording_does_not_change_the_network() -> None:
    made = network("lstm", (3, 3), dropout=0.5)
    made.train()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    assert_same(record(made, "abcabc"), record(made, "abcabc"))
    assert torch.equal(torch.rand(3), expected)
    assert made.training
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize(
    "source", ["", [], [np.array([], np.int32)], [np.array([1], np.int32), np.array([], np.int32)]]
)
def test_empty_source_is_refused(source: Any) -> None:
    with pytest.raises(RecordingError, match="expected 1 symbol or more"):
        record(network("lstm", (2,)), source)


def test_many_to_one_network_predicts_at_every_step() -> None:
    """The prediction at a step is the prediction if the text ended there."""
    made = network("lstm", (2,), readout=classes("xyz", "last step"))
    trace = record(made, "abcab", answers=lambda text: np.array([-1] * (len(text) - 1) + [2], np.int32))
    beginnings = [ALPHABET.encode("abcab"[:length]) for length in range(1, 6)]
    *_, last = rows = [row[0] for row in predict(made, beginnings)]
    for length, log_probs in enumerate(rows, 1):
        np.testing.assert_allclose(trace.steps["top_probability"][0, length - 1].sum(), 1, atol=1e-6)
        assert trace.steps["top_token"][0, length - 1, 0] == log_probs.argmax()
    assert trace.steps["target"].tolist() == [[-1, -1, -1, -1, 2]]
    np.testing.assert_allclose(trace.steps["log_probability"][0], [np.nan] * 4 + [last[2]], atol=1e-6)
    assert trace.attributes["readout"]["names"] == ["x", "y", "z"]


@pytest.mark.parametrize("cell", EACH_CELL)
def test_both_directions_are_recorded_and_checked(cell: str) -> None:
    made = Network(configure(ALPHABET, cell, (3, 2), both_ways=True), 1)
    sequences = [np.array(ids, np.int32) for ids in ([0, 1, 2, 3], [4], [1, 1, 0])]
    trace = record(made, sequences)
    assert list(trace.layers) == ["layer0", "layer0_reverse", "layer1", "layer1_reverse"]
    assert trace.attributes["residual"] < 1e-5
    assert check_with(made, trace).holds
    for k, ids in enumerate(sequences):
        alone, part = record(made, [ids]), trace.sequence(k)
        for layer, signals in alone.layers.items():
            for name, values in signals.items():
                np.testing.assert_allclose(values, part[layer][name], atol=2e-6, err_msg=f"{layer} {name}")
    # A later symbol changes earlier steps of the backward direction, but not of the lowest forward layer.
    other = record(made, [np.array([0, 1, 2, 0], np.int32)])
    first = trace.sequence(0)
    assert np.array_equal(other["layer0"]["h"][:, :3], first["layer0"]["h"][:, :3])
    if CELLS[cell].states:
        assert not np.array_equal(other["layer0_reverse"]["h"][:, :3], first["layer0_reverse"]["h"][:, :3])


def test_both_directions_predict_once_at_the_last_step() -> None:
    made = Network(configure(ALPHABET, "gru", (3,), both_ways=True, readout=classes("xy", "last step")))
    sequences = [np.array([0, 1, 2], np.int32), np.array([3], np.int32)]
    trace, log_probs = record(made, sequences), predict(made, sequences)
    assert trace.steps["top_token"][0, :, 0].tolist() == [-1, -1, log_probs[0].argmax()]
    assert trace.steps["top_token"][1, :, 0].tolist() == [log_probs[1].argmax(), -1, -1]
    assert np.isnan(trace.steps["top_probability"][0, :2]).all()


def test_numbers_are_recorded_and_checked() -> None:
    names = Vocabulary(("x", "y"), unit="number")
    made = Network(configure(names, "lstm", (3,), readout=numbers(["next"], (0.1, 0.9))), 2)
    text = "0.5, 1\n2;3\n\n-1 0\n"
    trace = record(made, text, answers=lambda part: np.full((len(names.encode(part)), 1), 7.0, np.float32))
    assert trace.lengths.tolist() == [2, 1]
    np.testing.assert_array_equal(trace.steps["input"][0], [[0.5, 1], [2, 3]])
    assert np.isnan(trace.steps["input"][1, 1]).all()
    assert trace.steps["token"].tolist() == [[-1, -1], [-1, -1]]
    estimates = predict(made, [names.encode("0.5,1\n2,3\n"), names.encode("-1,0")])
    np.testing.assert_allclose(trace.steps["estimate"][0], estimates[0], atol=1e-6)
    np.testing.assert_array_equal(trace.steps["value"], [[[7], [7]], [[7], [np.nan]]])
    assert check_with(made, trace).holds
    assert trace.text(0) == "0.5,1.0\n2.0,3.0\n"
    with pytest.raises(RecordingError, match="Line 2"):
        record(made, "1,2\n1,two\n")


def test_own_cell_works_like_a_built_in_one() -> None:
    """define -> Network -> record -> check -> formulas -> interventions, with every operation."""

    @define(paper="", titles=dict(m="memory"), biases=dict(keep=2.0))
    def mine(x, u, p, s):
        keep = sigmoid(x.keep + u.keep)
        speed = exp(log_sigmoid(p.speed))
        write = relu(x.write - u.write) / (1 + maximum(u.keep, x.write) * maximum(u.keep, x.write))
        m = keep * s.m - speed * write
        return dict(speed=speed, keep=keep, write=write, m=m, h=tanh(-m))

    made = Network(configure(ALPHABET, mine, (4, 3)), 1)
    trace = record(made, "abcabcdeabc")
    assert trace.attributes["residual"] <= 1e-5
    assert check_with(made, trace).holds
    assert mine.formula("m") == "keep · m₋₁ - speed · write"
    assert mine.tape.ranges["write"][0] == 0 or mine.tape.ranges["write"] == (-np.inf, np.inf)
    assert (trace["layer0"]["speed"] == 0.5).all()
    held = record(made, "abc", interventions=[ablate(0, "m", 1, mean=0.5)])
    np.testing.assert_allclose(held["layer0"]["h"][..., 1], -np.tanh(0.5), rtol=1e-6)
    assert Cell.from_json(trace.attributes["layers"]["layer1"]["cell"]) == mine


@pytest.mark.parametrize("embedding", [None, 3])
def test_both_directions_are_checked_from_their_inputs(embedding: int | None) -> None:
    made = Network(configure(ALPHABET, "lstm", (3, 2), both_ways=True, embedding=embedding), 1)
    assert check_with(made, record(made, "abcab")).holds


def test_long_text_in_both_directions_is_stored_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is run in one pass, as a network that reads from the end needs all of it; chunks on disk are bounded."""
    net = network("gru", [3], 2, both_ways=True)
    whole = record(net, "abcde" * 6)
    monkeypatch.setattr("gatescope.storage.writing.MAX_CHUNK_ROWS", 8)
    stored = record_to(tmp_path / "trace", net, "abcde" * 6, dtype="float32")
    assert stored.lengths.tolist() == [30]
    np.testing.assert_array_equal(np.asarray(stored.steps["token"]), whole.steps["token"])
    for layer in whole.layers:
        np.testing.assert_array_equal(np.asarray(stored[layer]["h"][:]), whole[layer]["h"])
