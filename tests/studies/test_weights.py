"""The table of weights: complete, and enough to compute the network by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gatescope
from gatescope.head import HiddenLayer
from gatescope.readout import classes
from gatescope.studies import StudyError
from gatescope.studies.weights import weights

VOCABULARY = gatescope.Vocabulary(tuple("aXb\n"), "\n")


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_weights_suffice_to_compute_the_network() -> None:
    """An LSTM written out in NumPy from the names of the table alone gives the trace and the predictions."""
    network = gatescope.Network(gatescope.configure(VOCABULARY, "lstm", [3]), seed=5)
    cells = {(row["kind"], row["gate"], row["to"], row["source"]): row["value"] for row in weights(network)}
    h, c, text = np.zeros(3), np.zeros(3), "aaXb"
    trace = gatescope.record(network, text)
    for step, symbol in enumerate(text):
        drive = {
            gate: np.array(
                [
                    cells["input", gate, str(n), symbol]
                    + cells["bias", gate, str(n), ""]
                    + sum(cells["recurrent", gate, str(n), str(m)] * h[m] for m in range(3))
                    for n in range(3)
                ]
            )
            for gate in "ifgo"
        }
        c = _sigmoid(drive["f"]) * c + _sigmoid(drive["i"]) * np.tanh(drive["g"])
        h = _sigmoid(drive["o"]) * np.tanh(c)
        np.testing.assert_allclose(trace["layer0"]["h"][0, step], h, rtol=1e-5, atol=1e-6)
    logits = np.array(
        [
            cells["readout bias", "", symbol, ""] + sum(cells["readout", "", symbol, str(n)] * h[n] for n in range(3))
            for symbol in VOCABULARY.symbols
        ]
    )
    expected = gatescope.predict(network, [VOCABULARY.encode(text)])[0][-1]
    np.testing.assert_allclose(logits - np.log(np.exp(logits).sum()), expected, rtol=1e-5, atol=1e-6)


def test_weights_name_every_parameter_once() -> None:
    """The rows are as many as the network has numbers, with embedding, two directions, layers and classes."""
    configuration = gatescope.configure(
        VOCABULARY, "peephole", [3, 2], both_ways=True, embedding=4, readout=classes(["good", "bad"])
    )
    network = gatescope.Network(configuration)
    table = weights(network)
    assert len(table) == sum(parameter.numel() for parameter in network.parameters())
    names = {(r["layer"], r["kind"], r["gate"], r["to"], r["source"]) for r in table}
    assert len(names) == len(table)
    assert ("layer1", "input", "f", "0", "layer0_reverse.2") in names
    assert ("", "readout", "", "bad", "layer1.1") in names
    assert set(weights(network, layer="layer0_reverse", kinds=["recurrent"])["layer"]) == {"layer0_reverse"}


def test_weights_name_initial_states_and_hidden_layers() -> None:
    """Constant initial states and the hidden layers of a readout have rows too: every array of the state dict."""
    plain = gatescope.configure(VOCABULARY, "lstm", [3])
    layers = tuple(replace(layer, initial=True) for layer in plain.layers)
    network = gatescope.Network(replace(plain, layers=layers, hidden=(HiddenLayer(5, "relu"),)))
    table = weights(network)
    assert len(table) == sum(value.numel() for value in network.state_dict().values())
    assert table.where(kind="initial")["gate"].tolist() == ["c"] * 3 + ["h"] * 3
    assert table.where(kind="readout", to="a")["source"].tolist() == [f"hidden0.{n}" for n in range(5)]


def test_weights_refuse_an_unknown_kind_or_layer() -> None:
    """The error names the unknown kind or layer, and all that exist."""
    network = gatescope.Network(gatescope.configure(VOCABULARY, "gru", [2]))
    with pytest.raises(StudyError, match="Kind of weight: expected one of embedding, input"):
        weights(network, kinds=["gates"])
    with pytest.raises(StudyError, match="layer"):
        weights(network, layer="layer7")
