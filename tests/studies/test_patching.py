"""Activation patching: against an LSTM written out in NumPy, and on cases with a known result."""

from __future__ import annotations

import numpy as np
import pytest

import gatescope
from gatescope.readout import classes
from gatescope.studies import StudyError
from gatescope.studies.patching import patching

VOCABULARY = gatescope.Vocabulary(tuple("aXb\n"), "\n")
CLEAN, CORRUPTED = "aaaXb", "aXaXb"


@pytest.fixture(scope="module")
def network() -> gatescope.Network:
    """Make an untrained LSTM in float64, so that the reference is exact."""
    return gatescope.Network(gatescope.configure(VOCABULARY, "lstm", [4]), seed=2).double()


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _run(
    network: gatescope.Network, text: str, patched: tuple[int, str, int, float] | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run the LSTM in NumPy, with at most one replaced value.

    Returns:
        The log-probabilities after the last step, and "c" and "h", (T, N).
    """
    parameters = {name: value.detach().numpy() for name, value in network.parameters_of(0).by_name().items()}
    drives = list(network.configuration.layers[0].cell.tape.input_drives)
    h, c, states = np.zeros(4), np.zeros(4), {name: [] for name in "ch"}
    for step, k in enumerate(VOCABULARY.encode(text)):
        total = {
            gate: parameters["input_weights"][g][:, k]
            + parameters["biases"][g]
            + parameters["recurrent_weights"][g] @ h
            for g, gate in enumerate(drives)
        }
        c = _sigmoid(total["f"]) * c + _sigmoid(total["i"]) * np.tanh(total["g"])
        if patched and patched[:2] == (step, "c"):
            c[patched[2]] = patched[3]
        h = _sigmoid(total["o"]) * np.tanh(c)
        if patched and patched[:2] == (step, "h"):
            h[patched[2]] = patched[3]
        states["c"].append(c.copy())
        states["h"].append(h.copy())
    logits = network.readout_weights.detach().numpy() @ h + network.readout_biases.detach().numpy()
    return logits - np.log(np.exp(logits).sum()), {name: np.array(rows) for name, rows in states.items()}


@pytest.mark.parametrize("signal", ["c", "h"])
def test_patching_equals_an_lstm_by_hand(network: gatescope.Network, signal: str) -> None:
    """Every patched run gives the log-probability that NumPy computes with the same value replaced."""
    table = patching(network, CLEAN, CORRUPTED, signal=signal, answer="b")
    clean, values = _run(network, CLEAN)
    corrupted, _ = _run(network, CORRUPTED)
    place = VOCABULARY.symbols.index("b")
    assert table.about["clean"] == pytest.approx(clean[place], rel=1e-12)
    assert table.about["corrupted"] == pytest.approx(corrupted[place], rel=1e-12)
    for row in table:
        if row["neuron"] >= 0:
            value = values[signal][row["step"], row["neuron"]]
            expected, _ = _run(network, CORRUPTED, (row["step"], signal, row["neuron"], float(value)))
            assert row["metric"] == pytest.approx(expected[place], rel=1e-12)
            share = (expected[place] - corrupted[place]) / (clean[place] - corrupted[place])
            assert row["recovered"] == pytest.approx(share, abs=1e-9)


def test_patching_the_last_hidden_state_recovers_everything(network: gatescope.Network) -> None:
    """The readout reads h alone, so patching all of h at the step of the answer recovers everything."""
    table = patching(network, CLEAN, CORRUPTED)
    (last,) = table.where(step=len(CLEAN) - 1, neuron=-1)
    assert last["recovered"] == pytest.approx(1.0, abs=1e-12)


def test_patching_before_the_texts_differ_changes_nothing(network: gatescope.Network) -> None:
    """As long as both runs are equal, the patch does not change the value."""
    table = patching(network, CLEAN, CORRUPTED, signal="c")
    assert np.abs(table.where(step=0)["effect"]).max() < 1e-12


def test_patching_a_second_layer_and_some_neurons(network: gatescope.Network) -> None:
    """Only the chosen neurons are patched; the whole layer is a row of its own; layers are named."""
    deep = gatescope.Network(gatescope.configure(VOCABULARY, "gru", [3, 5]), seed=1)
    table = patching(deep, CLEAN, CORRUPTED, layer="layer1", neurons=[4, 0, 4], at=3)
    assert table["neuron"].tolist() == [-1, 4, 0] * len(CLEAN)
    assert table.about["layer_name"] == "layer1"
    assert np.abs(table.where(step=4)["effect"]).max() < 1e-6  # after the step of the answer


def test_patching_a_network_of_classes() -> None:
    """The answer is a class by name; the most probable one when none is given."""
    words = gatescope.Vocabulary(("good", "bad", "not", "\n"), "\n", "word")
    network = gatescope.Network(
        gatescope.configure(words, "lstm", [3], readout=classes(["+", "-"], "last step")), seed=0
    )
    table = patching(network, "good\n", "bad\n", answer="-")
    assert table.about["answer"] == "-"
    assert table.where(step=1, neuron=-1)["recovered"][0] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("texts", "options", "sentence"),
    [
        (("aX", "aaX"), {}, "expected the same number of steps, got 2 .clean. and 3 .corrupted."),
        (("aX", "aX"), {}, "there is nothing to bring back"),
        (("aX\naX", "aX\naa"), {}, "expected one sequence, got 2 in the clean text"),
        ((CLEAN, CORRUPTED), {"signal": "z"}, "Signal of layer0: expected one of i, f, g, o, c, h, got 'z'"),
        ((CLEAN, CORRUPTED), {"neurons": [9]}, "expected a number from 0 to 3, got 9"),
        ((CLEAN, CORRUPTED), {"at": 8}, "expected a number from 0 to 4, got 8"),
        ((CLEAN, CORRUPTED), {"answer": "q"}, "Answer: expected one of 'a', 'X', 'b'"),
        ((CLEAN, CORRUPTED), {"layer": 3}, "layer"),
    ],
)
def test_patching_refuses_invalid_arguments(
    network: gatescope.Network, texts: tuple[str, str], options: dict, sentence: str
) -> None:
    with pytest.raises(StudyError, match=sentence):
        patching(network, *texts, **options)
