"""Networks: symbols in, predictions out, and the JSON from which they are rebuilt."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gatescope.network
from gatescope import CELLS, Configuration, Layer, Network, Vocabulary, clamp, configure, define
from gatescope.cells import CellError
from gatescope.configuration import NetworkError
from gatescope.equations import EquationError, tanh
from gatescope.network import expected_tensors, padded, passes, predict
from gatescope.readout import SYMBOLS, Readout, Reads, classes, numbers
from tests.networks import ALPHABET, EACH_CELL, cells, few, network, seeds

READS: tuple[Reads, ...] = ("every step", "last step")
drawn: dict[str, Any] = dict(
    layers=st.lists(st.tuples(cells, few), min_size=1, max_size=3),
    embedding=st.none() | few,
    dropout=st.sampled_from([0.0, 0.25]),
    readout=st.sampled_from([made for reads in READS for made in (Readout(reads=reads), classes(["x", "y"], reads))]),
)
both = st.booleans()


def configuration_of(layers: list[tuple[Any, int]], both_ways: bool = False, **fields: Any) -> Configuration:
    directions = (False, True) if both_ways else (False,)
    made = tuple(Layer(*layer, reverse) for layer in layers for reverse in directions)
    return Configuration(ALPHABET, made, **fields)


@given(both_ways=both, **drawn)
@settings(max_examples=25)
def test_configuration_survives_json(**fields: Any) -> None:
    configuration = configuration_of(**fields)
    data = json.loads(json.dumps(configuration.to_json(), allow_nan=False))
    assert Configuration.from_json(data) == configuration
    weights = {name: tuple(value.shape) for name, value in Network(configuration).state_dict().items()}
    assert expected_tensors(configuration) == weights


@given(steps=few, batch=few, both_ways=both, **drawn)
@settings(max_examples=20)
def test_logits_have_the_documented_shape(steps: int, batch: int, **fields: Any) -> None:
    configuration = configuration_of(**fields)
    output = Network(configuration)(torch.zeros(steps, batch, dtype=torch.long))
    size = (batch, configuration.predicted)
    assert output.logits.shape == (size if configuration.readout.reads == "last step" else (steps, *size))
    assert len(output.state) == len(output.signals) == len(configuration.layers)
    assert not any(output.signals)


@pytest.mark.parametrize("embedding", [None, 3])
@pytest.mark.parametrize("name", EACH_CELL)
def test_unknown_symbol_is_read_as_the_zero_vector(name: str, embedding: int | None) -> None:
    made = network(name, (3, 2), embedding=embedding)
    unknown = torch.tensor([[0, 1], [ALPHABET.unknown, -1], [2, ALPHABET.unknown]])
    drives = [f"x.{k}" for k in CELLS[name].tape.input_drives]
    values = made(unknown, keep=(drives, ("h",))).signals[0]
    biases = made.parameters_of(0).biases
    for k, drive in enumerate(drives):
        for place in ((1, 0), (1, 1), (2, 1)):
            assert torch.equal(values[drive][place], biases[k])
        assert not torch.equal(values[drive][0, 0], biases[k])
    if embedding is not None:
        sum(values[drive].sum() for drive in drives).backward()  # type: ignore[union-attr]
        assert made.embedding is not None
        assert made.embedding.grad is not None
        used = made.embedding.grad.abs().sum(1) > 0
        assert used.tolist() == [True, True, True, False, False]


def test_last_step_is_the_last_of_each_sequence() -> None:
    every, last = network("gru", (4,)), network("gru", (4,), readout=Readout(reads="last step"))
    tokens = torch.tensor([[0, 1, 2], [3, 4, 0], [1, -1, 2], [2, -1, -1]])
    lengths = torch.tensor([4, 2, 3])
    all_steps = every(tokens).logits
    logits = last(tokens, lengths=lengths).logits
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(logits[row], all_steps[length - 1, row])
    torch.testing.assert_close(last(tokens).logits, all_steps[-1])


def test_dropout_acts_in_training_on_all_but_one_hot_inputs() -> None:
    tokens = torch.randint(0, 5, (20, 4), generator=torch.Generator().manual_seed(0))
    single, two = network("elman", (30,), dropout=0.5), network("elman", (30, 30), dropout=0.5)
    clean = network("elman", (30, 30))
    keep = (("h",), ("x.h", "h"))
    torch.manual_seed(0)
    single.train()
    two.train()
    outputs = [single(tokens, keep=(("h",),)) for _ in range(2)]
    assert torch.equal(outputs[0].signals[0]["h"], outputs[1].signals[0]["h"])  # one-hot inputs are never dropped
    assert not torch.equal(outputs[0].logits, outputs[1].logits)
    first, second = two(tokens, keep=keep), two(tokens, keep=keep)
    assert torch.equal(first.signals[0]["h"], second.signals[0]["h"])
    assert not torch.equal(first.signals[1]["x.h"], second.signals[1]["x.h"])
    # The values that are not dropped are scaled up, so that the mean input of the next layer stays the same.
    weights = two.parameters_of(1)
    inputs = (first.signals[1]["x.h"] - weights.biases[0]) @ torch.linalg.inv(weights.input_weights[0]).T
    dropped = inputs.abs() < 1e-2 * first.signals[0]["h"].abs()
    assert 0.4 < dropped.float().mean() < 0.6
    torch.testing.assert_close(inputs[~dropped], (2 * first.signals[0]["h"])[~dropped], rtol=1e-2, atol=1e-2)
    two.eval()
    assert torch.equal(two(tokens).logits, clean(tokens).logits)


@given(cells, st.lists(st.integers(1, 40), max_size=70), few, seeds)
@settings(max_examples=12)
def test_predict_equals_each_sequence_alone(cell: Any, lengths: list[int], layers: int, seed: int) -> None:
    made = network(cell, (3,) * layers, seed)
    random = np.random.default_rng(seed)
    sequences = [random.integers(0, 6, length).astype(np.int32) for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.network, "PASS_STEPS", 7)
        predictions = predict(made, sequences)
    assert len(predictions) == len(sequences)
    with torch.no_grad():
        for ids, rows in zip(sequences[:4], predictions, strict=False):
            alone = made(torch.from_numpy(ids).long().unsqueeze(1)).logits[:, 0].log_softmax(1)
            np.testing.assert_allclose(rows, alone.numpy(), rtol=1e-5, atol=2e-5)
    for ids, rows in zip(sequences, predictions, strict=True):
        assert rows.shape == (len(ids), 5)
        np.testing.assert_allclose(np.exp(rows).sum(1), 1, atol=1e-5)


def test_predict_of_empty_sequences_is_empty() -> None:
    made = network("lstm", (2,))
    assert predict(made, []) == []
    empty, some = predict(made, [np.array([], np.int32), np.array([1, 2], np.int32)])
    assert (empty.shape, some.shape) == ((0, 5), (2, 5))
    assert predict(made, [np.array([], np.int32)])[0].shape == (0, 5)


def test_predict_once_equals_the_last_step() -> None:
    sequences = [np.array(ids, np.int32) for ids in ([1, 2], [0, 3, 3, 4], [], [2])]
    every = predict(network("lstm", (3,)), sequences)
    once = predict(network("lstm", (3,), readout=Readout(reads="last step")), sequences)
    for rows, row in zip(every, once, strict=True):
        assert row.shape == (min(1, len(rows)), 5)
        np.testing.assert_allclose(row, rows[-1:], atol=1e-6)


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("reads", READS)
def test_passes_in_pieces_equal_one_forward_pass(reads: Reads, both_ways: bool) -> None:
    """Logits, kept signals and final states, with an intervention at steps of the whole run."""
    made = Network(configure(ALPHABET, "lstm", (3, 2), both_ways=both_ways, readout=Readout(reads=reads)), 1)
    tokens, lengths = torch.randint(0, 5, (11, 2)), torch.tensor([11, 7])
    keep = [("c",)] * len(made.configuration.layers)
    changes = [clamp("layer0", "c", 1, 0.5, slice(4, 9))]
    with torch.no_grad():
        expected = made(tokens, lengths=lengths, keep=keep, interventions=changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.network, "PASS_STEPS", 6)
        runs = list(passes(made, tokens, lengths, keep=keep, interventions=changes))
    whole = both_ways or reads == "last step"
    starts = [0] if whole else [0, 3, 6, 9]
    assert [run.steps.start for run in runs] == starts
    mask = torch.cat([run.mask for run in runs])
    assert torch.equal(mask, torch.arange(11)[:, None] < lengths)
    signals = torch.cat([run.output.signals[0]["c"] for run in runs])
    torch.testing.assert_close(signals[mask], expected.signals[0]["c"][mask])
    logits = runs[0].output.logits if reads == "last step" else torch.cat([run.output.logits for run in runs])
    rows = slice(None) if reads == "last step" else mask
    torch.testing.assert_close(logits[rows], expected.logits[rows])
    torch.testing.assert_close(runs[-1].output.state[0]["c"][0], expected.state[0]["c"][0])


def test_passes_go_on_from_a_state_and_repeat_the_batch() -> None:
    made, tokens = network("gru", (3,), 1), torch.randint(0, 5, (6, 2))
    (first,) = passes(made, tokens[:4])
    (second,) = passes(made, tokens[4:], state=first.output.state, first=4, total=6, interventions=[])
    (whole,) = passes(made, tokens, copies=3)
    assert whole.output.logits.shape == (6, 6, 5)
    for copy in range(3):
        rows = whole.output.logits[:, 2 * copy : 2 * copy + 2]
        torch.testing.assert_close(torch.cat([first.output.logits, second.output.logits]), rows)


@pytest.mark.parametrize("reads", ["every step", "last step"])
@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_both_directions_equal_torch(cell: str, reads: Any) -> None:
    configuration = configure(ALPHABET, cell, (3, 4), both_ways=True, readout=classes(["x", "y"], reads))
    made, kind = Network(configuration, 3), {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    sequences = [np.array(ids, np.int32) for ids in ([1, 2, 0], [0, 3, 3, 4, 1], [2])]
    tokens, lengths = padded(sequences)
    inputs: Any = torch.nn.functional.one_hot(torch.from_numpy(tokens).long().clamp(min=0), 5).float()
    for width, level in ((3, 0), (4, 1)):
        torch_layer = kind(inputs.shape[2], width, bidirectional=True, batch_first=True)
        for k, end in enumerate(("", "_reverse")):
            _load_weights(torch_layer, made.parameters_of(2 * level + k), f"_l0{end}", cell)
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            inputs, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
        )
        out, final = torch_layer(packed)
        inputs = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0]
        final = final[0] if cell == "lstm" else final
    hidden = torch.cat([final[0], final[1]], 1) if reads == "last step" else inputs
    expected = torch.nn.functional.linear(hidden, made.readout_weights, made.readout_biases).log_softmax(-1)
    for k, predictions in enumerate(predict(made, sequences)):
        rows = expected[k : k + 1] if reads == "last step" else expected[k, : lengths[k]]
        np.testing.assert_allclose(predictions, rows.detach().numpy(), atol=2e-6)


def _load_weights(layer: torch.nn.Module, parameters: Any, end: str, cell: str) -> None:
    """Copy weights to a layer of torch.nn, drive by drive; its second biases are 0, as the initial p.n of the GRU."""
    order = {"elman": ["h"], "gru": ["r", "z", "n"], "lstm": ["i", "f", "g", "o"]}[cell]
    tape = CELLS[cell].tape
    inputs, recurrent = list(tape.input_drives), list(tape.recurrent_drives)
    with torch.no_grad():
        getattr(layer, f"weight_ih{end}").copy_(torch.cat([parameters.input_weights[inputs.index(k)] for k in order]))
        getattr(layer, f"weight_hh{end}").copy_(
            torch.cat([parameters.recurrent_weights[recurrent.index(k)] for k in order])
        )
        getattr(layer, f"bias_ih{end}").copy_(torch.cat([parameters.biases[inputs.index(k)] for k in order]))
        getattr(layer, f"bias_hh{end}").zero_()


def test_predict_of_numbers_equals_each_sequence_alone() -> None:
    names = Vocabulary(("warm", "wet"), unit="number")
    made = Network(configure(names, "gru", (3,), readout=numbers(["tomorrow"], (0.1, 0.5, 0.9))), 1)
    sequences = [np.array([[0.5, 1], [2, 3], [1, 1]], np.float32), np.array([[7, 8]], np.float32)]
    predictions = predict(made, sequences)
    assert [rows.shape for rows in predictions] == [(3, 3), (1, 3)]
    alone = made(torch.from_numpy(sequences[0])[:, None]).logits[:, 0].detach().numpy()
    np.testing.assert_allclose(predictions[0], alone, atol=1e-6)
    steps, lengths = padded(sequences)
    logits = made(torch.from_numpy(steps).transpose(0, 1), lengths=torch.from_numpy(lengths)).logits
    logits[:, 0].sum().backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in made.parameters() if weight.grad is not None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(layers=(Layer(CELLS["gru"], 2, True),)), "expected a layer that reads from the beginning before it"),
        (dict(vocabulary=Vocabulary(("x",), unit="number"), embedding=3), "expected a vocabulary of symbols"),
        (dict(vocabulary=Vocabulary(("x",), unit="number")), "expected classes or numbers"),
    ],
)
def test_configuration_that_cannot_run_is_refused(wrong: dict[str, Any], message: str) -> None:
    usual = dict(vocabulary=ALPHABET, layers=(Layer(CELLS["gru"], 2),), readout=SYMBOLS)
    with pytest.raises(NetworkError, match=message):
        Configuration(**{**usual, **wrong})


def test_configuration_of_format_1_is_read() -> None:
    data = configure(ALPHABET, "lstm", (2,)).to_json()
    del data["readout"]
    for layer in data["layers"]:
        del layer["reverse"]
    old = {**data, "format": 1, "vocabulary": {"bytes": False, "end": None, "symbols": list(ALPHABET.symbols)}}
    every = {**old, "outputs": None, "reads": "every step"}
    assert Configuration.from_json(every) == configure(ALPHABET, "lstm", (2,))
    three = Configuration.from_json({**old, "outputs": 3, "reads": "last step"})
    assert three.readout == classes(["0", "1", "2"], "last step")


def test_padded_fills_rows_with_padding() -> None:
    tokens, lengths = padded([np.array([1, 2, 3], np.int32), np.array([4], np.int32)])
    assert tokens.tolist() == [[1, 2, 3], [4, -1, -1]]
    assert lengths.tolist() == [3, 1]


def test_seed_decides_the_weights() -> None:
    configuration = configure(ALPHABET, "lstm", (3,), embedding=2)
    first, same, other = (Network(configuration, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert not any(torch.equal(first[name], other[name]) for name in ("embedding", "readout_weights"))


def test_intervention_acts_on_its_layer_only() -> None:
    made, tokens = network("lstm", (2, 2)), torch.zeros(3, 1, dtype=torch.long)
    with pytest.raises(ValueError, match=r"expected one of layer0, layer1, got 2"):
        made(tokens, interventions=[clamp(2, "c", 0, 1.0)])
    signals = made(tokens, keep=(("c",), ("c",)), interventions=[clamp(1, "c", 0, 1.0)]).signals
    assert (signals[1]["c"][..., 0] == 1).all()
    assert (signals[0]["c"][..., 0] != 1).all()


def _own(x, u, p, s):
    return dict(h=tanh(x.h + p.k * s.h))


def test_own_cell_is_rebuilt_without_its_code() -> None:
    cell = define(paper="mine", title="Mine")(_own)
    data = json.loads(json.dumps(configure(ALPHABET, cell, (2,)).to_json()))
    assert Configuration.from_json(data).layers[0].cell == cell


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(layers=()), "Layers of a network: expected 1 or more"),
        (dict(layers=(Layer(CELLS["lstm"], 0),)), "Neurons of layer 0: expected 1 or more, got 0"),
        (dict(embedding=0), "size of the embedding: expected 1 or more, got 0"),
        (dict(dropout=1.0), r"\[0, 1\), got 1.0"),
        (dict(dropout=-0.1), r"\[0, 1\), got -0.1"),
        (dict(dropout=float("nan")), "Dropout"),
    ],
)
def test_setting_out_of_range_is_refused(change: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {"vocabulary": ALPHABET, "layers": (Layer(CELLS["lstm"], 2),), **change}
    with pytest.raises(NetworkError, match=words):
        Configuration(**fields)


def test_unknown_cell_error_lists_the_cells() -> None:
    with pytest.raises(CellError, match=r"feedforward.*lstm.*'lsmt'"):
        configure(ALPHABET, "lsmt", (2,))


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        {"format": 4},
        {"format": "1"},
        {"format": None},
        {"format": True},
        {"format": 0},
        {"vocabulary": None},
        {"vocabulary": {"bytes": False, "end": None, "symbols": []}},
        {"layers": {}},
        {"layers": []},
        {"layers": [1]},
        {"layers": [{"cell": "gru", "neurons": 2}]},
        {"layers": [{"cell": "lstm", "neurons": "2"}]},
        {"layers": [{"cell": "lstm", "neurons": "many"}]},
        {"layers": [{"cell": "lstm", "neurons": 2.5}]},
        {"layers": [{"cell": "lstm", "neurons": True}]},
        {"layers": [{"cell": "lstm"}]},
        {"layers": [{"cell": ["lstm"], "neurons": 1}]},
        {"cells": []},
        {"cells": {"lstm": {}}},
        {"embedding": "3"},
        {"embedding": 2.5},
        {"embedding": [3]},
        {"dropout": "a bit"},
        {"dropout": None},
        {"readout": None},
        {"readout": {**SYMBOLS.to_json(), "kind": "sounds"}},
        {"readout": {**SYMBOLS.to_json(), "reads": []}},
        {"readout": {**SYMBOLS.to_json(), "names": 3}},
        {"readout": {**SYMBOLS.to_json(), "kind": "numbers", "names": ["a"], "quantiles": [0.9, 0.1]}},
        {"readout": {**SYMBOLS.to_json(), "kind": "classes"}},
    ],
    ids=str,
)
def test_damaged_json_is_refused_with_a_sentence(change: Any) -> None:
    good = configure(ALPHABET, "lstm", (2,)).to_json()
    with pytest.raises((NetworkError, EquationError, ValueError)) as refused:
        Configuration.from_json(good | change if isinstance(change, dict) else change)
    assert "type" not in type(refused.value).__name__.lower()
    assert len(str(refused.value)) > 20
    if change == {"format": 4}:
        assert "Upgrade" in str(refused.value)


def test_bytes_and_end_marks_survive_json() -> None:
    for vocabulary in (Vocabulary.of_bytes("\n"), Vocabulary.of_bytes(), Vocabulary(tuple("ab\n"), "\n")):
        again = Configuration.from_json(json.loads(json.dumps(configure(vocabulary, "elman", (1,)).to_json())))
        assert again.vocabulary == vocabulary
