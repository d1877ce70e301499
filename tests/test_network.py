"""Networks: symbols in, predictions out, and the description they are rebuilt from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gatescope.network
from gatescope import CELLS, Configuration, Layer, Network, Vocabulary, clamp, configure, define, predict
from gatescope.equations import EquationError, tanh
from gatescope.network import NetworkError, expected_tensors, padded
from tests.networks import ALPHABET, EACH_CELL, cells, few, network, seeds

drawn = dict(
    layers=st.lists(st.tuples(cells, few), min_size=1, max_size=3),
    embedding=st.none() | few,
    dropout=st.sampled_from([0.0, 0.25]),
    outputs=st.none() | few,
    reads=st.sampled_from(["every step", "last step"]),
)


def configuration_of(layers: list[tuple[Any, int]], **fields: Any) -> Configuration:
    return Configuration(ALPHABET, tuple(Layer(*layer) for layer in layers), **fields)


@given(**drawn)
@settings(max_examples=25)
def test_the_description_rebuilds_the_network(**fields: Any) -> None:
    configuration = configuration_of(**fields)
    data = json.loads(json.dumps(configuration.to_json(), allow_nan=False))
    assert Configuration.from_json(data) == configuration
    weights = {name: tuple(value.shape) for name, value in Network(configuration).state_dict().items()}
    assert expected_tensors(configuration) == weights


@given(steps=few, batch=few, **drawn)
@settings(max_examples=20)
def test_logits_have_the_shape_that_is_promised(steps: int, batch: int, **fields: Any) -> None:
    configuration = configuration_of(**fields)
    output = Network(configuration)(torch.zeros(steps, batch, dtype=torch.long))
    size = (batch, configuration.predicted)
    assert output.logits.shape == (size if configuration.reads == "last step" else (steps, *size))
    assert len(output.state) == len(output.signals) == len(configuration.layers)
    assert all(not kept for kept in output.signals)


@pytest.mark.parametrize("embedding", [None, 3])
@pytest.mark.parametrize("name", EACH_CELL)
def test_an_unknown_symbol_is_read_as_the_zero_vector(name: str, embedding: int | None) -> None:
    made = network(name, (3, 2), embedding=embedding)
    unknown = torch.tensor([[0, 1], [ALPHABET.unknown, -1], [2, 99]])
    wanted = [f"x.{k}" for k in CELLS[name].tape.input_drives]
    kept = made(unknown, keep=(wanted, ("h",))).signals[0]
    biases = made.parameters_of(0).biases
    for k, drive in enumerate(wanted):
        for place in ((1, 0), (1, 1), (2, 1)):
            assert torch.equal(kept[drive][place], biases[k])
        assert not torch.equal(kept[drive][0, 0], biases[k])
    if embedding is not None:
        sum(kept[drive].sum() for drive in wanted).backward()  # type: ignore[union-attr]
        assert made.embedding is not None
        assert made.embedding.grad is not None
        used = made.embedding.grad.abs().sum(1) > 0
        assert used.tolist() == [True, True, True, False, False]


def test_the_last_step_is_that_of_each_sequence() -> None:
    every, last = network("gru", (4,)), network("gru", (4,), reads="last step")
    tokens = torch.tensor([[0, 1, 2], [3, 4, 0], [1, -1, 2], [2, -1, -1]])
    lengths = torch.tensor([4, 2, 3])
    all_steps = every(tokens).logits
    found = last(tokens, lengths=lengths).logits
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row], all_steps[length - 1, row])
    torch.testing.assert_close(last(tokens).logits, all_steps[-1])


def test_dropout_acts_between_layers_while_training_only() -> None:
    tokens = torch.randint(0, 5, (20, 4), generator=torch.Generator().manual_seed(0))
    one, two = network("elman", (30,), dropout=0.5), network("elman", (30, 30), dropout=0.5)
    clean = network("elman", (30, 30))
    keep = (("h",), ("x.h", "h"))
    torch.manual_seed(0)
    one.train()
    two.train()
    assert torch.equal(one(tokens).logits, one(tokens).logits)
    first, second = two(tokens, keep=keep), two(tokens, keep=keep)
    assert torch.equal(first.signals[0]["h"], second.signals[0]["h"])
    assert not torch.equal(first.signals[1]["x.h"], second.signals[1]["x.h"])
    # What is not dropped is scaled up, so that the next layer hears as much as without.
    weights = two.parameters_of(1)
    heard = (first.signals[1]["x.h"] - weights.biases[0]) @ torch.linalg.inv(weights.input_weights[0]).T
    dropped = heard.abs() < 1e-2 * first.signals[0]["h"].abs()
    assert 0.4 < dropped.float().mean() < 0.6
    torch.testing.assert_close(heard[~dropped], (2 * first.signals[0]["h"])[~dropped], rtol=1e-2, atol=1e-2)
    two.eval()
    assert torch.equal(two(tokens).logits, clean(tokens).logits)


@given(cells, st.lists(st.integers(1, 40), max_size=70), few, seeds)
@settings(max_examples=12)
def test_predict_is_one_sequence_after_the_other(cell: Any, lengths: list[int], layers: int, seed: int) -> None:
    made = network(cell, (3,) * layers, seed)
    random = np.random.default_rng(seed)
    sequences = [random.integers(0, 6, length).astype(np.int32) for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatescope.network, "PIECE", 7)
        found = predict(made, sequences)
    assert len(found) == len(sequences)
    with torch.no_grad():
        for ids, rows in zip(sequences[:4], found, strict=False):
            alone = made(torch.from_numpy(ids).long().unsqueeze(1)).logits[:, 0].log_softmax(1)
            np.testing.assert_allclose(rows, alone.numpy(), rtol=1e-5, atol=2e-5)
    for ids, rows in zip(sequences, found, strict=True):
        assert rows.shape == (len(ids), 5)
        np.testing.assert_allclose(np.exp(rows).sum(1), 1, atol=1e-5)


def test_predict_of_nothing_is_nothing() -> None:
    made = network("lstm", (2,))
    assert predict(made, []) == []
    empty, some = predict(made, [np.array([], np.int32), np.array([1, 2], np.int32)])
    assert (empty.shape, some.shape) == ((0, 5), (2, 5))
    assert predict(made, [np.array([], np.int32)])[0].shape == (0, 5)


def test_predict_needs_a_prediction_at_every_step() -> None:
    with pytest.raises(NetworkError, match="last step"):
        predict(network("lstm", (2,), reads="last step"), [np.array([1, 2], np.int32)])


def test_padded() -> None:
    tokens, lengths = padded([np.array([1, 2, 3], np.int32), np.array([4], np.int32)])
    assert tokens.tolist() == [[1, 2, 3], [4, -1, -1]]
    assert lengths.tolist() == [3, 1]


def test_the_seed_decides_the_weights() -> None:
    configuration = configure(ALPHABET, "lstm", (3,), embedding=2)
    one, same, other = (Network(configuration, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not any(torch.equal(one[name], other[name]) for name in ("embedding", "readout_weights"))


def test_an_intervention_names_a_layer_that_is_there() -> None:
    made, tokens = network("lstm", (2, 2)), torch.zeros(3, 1, dtype=torch.long)
    with pytest.raises(ValueError, match=r"layer 2.*0 to 1"):
        made(tokens, interventions=[clamp(2, "c", 0, 1.0)])
    kept = made(tokens, keep=(("c",), ("c",)), interventions=[clamp(1, "c", 0, 1.0)]).signals
    assert (kept[1]["c"][..., 0] == 1).all()
    assert (kept[0]["c"][..., 0] != 1).all()


def _own(x, u, p, s):
    return dict(h=tanh(x.h + p.k * s.h))


def test_a_cell_of_ones_own_is_rebuilt_without_its_code() -> None:
    cell = define(paper="mine", title="Mine")(_own)
    data = json.loads(json.dumps(configure(ALPHABET, cell, (2,)).to_json()))
    assert Configuration.from_json(data).layers[0].cell == cell


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(layers=()), "at least one layer"),
        (dict(layers=(Layer(CELLS["lstm"], 0),)), "0 neurons"),
        (dict(embedding=0), "embedding"),
        (dict(dropout=1.0), "dropout is 1.0"),
        (dict(dropout=-0.1), "dropout is -0.1"),
        (dict(dropout=float("nan")), "dropout"),
        (dict(outputs=0), "0 outputs"),
    ],
)
def test_configurations_that_make_no_sense(change: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {"vocabulary": ALPHABET, "layers": (Layer(CELLS["lstm"], 2),), **change}
    with pytest.raises(NetworkError, match=words):
        Configuration(**fields)


def test_an_unknown_cell_is_named_with_those_that_exist() -> None:
    with pytest.raises(NetworkError, match=r"'lsmt'.*feedforward.*lstm"):
        configure(ALPHABET, "lsmt", (2,))


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        {"format": 2},
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
        {"outputs": {}},
        {"outputs": 1.5},
        {"reads": None},
        {"reads": "sometimes"},
        {"reads": []},
    ],
    ids=str,
)
def test_damaged_descriptions_are_refused_in_words(change: Any) -> None:
    good = configure(ALPHABET, "lstm", (2,)).to_json()
    with pytest.raises((NetworkError, EquationError, ValueError)) as refused:
        Configuration.from_json(good | change if isinstance(change, dict) else change)
    assert "type" not in type(refused.value).__name__.lower()
    assert len(str(refused.value)) > 20
    if change == {"format": 2}:
        assert "upgrade" in str(refused.value)


def test_bytes_and_end_marks_survive_the_description() -> None:
    for vocabulary in (Vocabulary.of_bytes("\n"), Vocabulary.of_bytes(), Vocabulary(tuple("ab\n"), "\n")):
        again = Configuration.from_json(json.loads(json.dumps(configure(vocabulary, "elman", (1,)).to_json())))
        assert again.vocabulary == vocabulary
