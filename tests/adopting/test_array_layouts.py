"""The mapping of docs/adopting.md for arrays of Flax, MLX and TensorFlow 1, against their cells written out in NumPy.

`I` input, `N` neuron. Sources of the equations: Flax `linen/recurrent.py` (LSTMCell, GRUCell, SimpleCell), MLX
`nn/layers/recurrent.py` (LSTM, GRU), TensorFlow 1 `rnn_cell_impl.py` (BasicLSTMCell).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import gatescope

SYMBOLS, NEURONS, STEPS = 5, 4, 7
VOCABULARY = gatescope.Vocabulary(tuple("abcde"))
Arrays = dict[str, np.ndarray]
Step = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _random(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _flax_lstm() -> tuple[Step, Arrays]:
    """Kernels (I, N) named by gate; only the recurrent part has biases."""
    own = {f"i{k}": _random(SYMBOLS, NEURONS, seed=n) for n, k in enumerate("ifgo")}
    own |= {f"h{k}": _random(NEURONS, NEURONS, seed=10 + n) for n, k in enumerate("ifgo")}
    biases = {k: _random(NEURONS, seed=20 + n) for n, k in enumerate("ifgo")}

    def step(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i, f, g, o = (x @ own[f"i{k}"] + h @ own[f"h{k}"] + biases[k] for k in "ifgo")
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c

    return step, {
        "weight_ih_l0": np.concatenate([own[f"i{k}"].T for k in "ifgo"]),
        "weight_hh_l0": np.concatenate([own[f"h{k}"].T for k in "ifgo"]),
        "bias_ih_l0": np.zeros(4 * NEURONS, np.float32),
        "bias_hh_l0": np.concatenate([biases[k] for k in "ifgo"]),
    }


def _flax_gru() -> tuple[Step, Arrays]:
    """Input kernels have biases; of the recurrent ones only that of the candidate."""
    own = {f"i{k}": _random(SYMBOLS, NEURONS, seed=n) for n, k in enumerate("rzn")}
    own |= {f"h{k}": _random(NEURONS, NEURONS, seed=10 + n) for n, k in enumerate("rzn")}
    biases = {k: _random(NEURONS, seed=20 + n) for n, k in enumerate("rzn")}
    hidden = _random(NEURONS, seed=30)

    def step(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r = _sigmoid(x @ own["ir"] + biases["r"] + h @ own["hr"])
        z = _sigmoid(x @ own["iz"] + biases["z"] + h @ own["hz"])
        n = np.tanh(x @ own["in"] + biases["n"] + r * (h @ own["hn"] + hidden))
        return (1 - z) * n + z * h, c

    return step, {
        "weight_ih_l0": np.concatenate([own[f"i{k}"].T for k in "rzn"]),
        "weight_hh_l0": np.concatenate([own[f"h{k}"].T for k in "rzn"]),
        "bias_ih_l0": np.concatenate([biases[k] for k in "rzn"]),
        "bias_hh_l0": np.concatenate([np.zeros(2 * NEURONS, np.float32), hidden]),
    }


def _mlx_lstm() -> tuple[Step, Arrays]:
    """Gates i f g o in torch's layout, one bias."""
    wx, wh = _random(4 * NEURONS, SYMBOLS, seed=1), _random(4 * NEURONS, NEURONS, seed=2)
    bias = _random(4 * NEURONS, seed=3)

    def step(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i, f, g, o = np.split(wx @ x + bias + wh @ h, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c

    return step, {
        "weight_ih_l0": wx,
        "weight_hh_l0": wh,
        "bias_ih_l0": bias,
        "bias_hh_l0": np.zeros(4 * NEURONS, np.float32),
    }


def _mlx_gru() -> tuple[Step, Arrays]:
    """Gates r z n in torch's layout, and a bias of the recurrent candidate alone."""
    wx, wh = _random(3 * NEURONS, SYMBOLS, seed=1), _random(3 * NEURONS, NEURONS, seed=2)
    bias, hidden = _random(3 * NEURONS, seed=3), _random(NEURONS, seed=4)

    def step(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xr, xz, xn = np.split(wx @ x + bias, 3)
        hr, hz, hn = np.split(wh @ h, 3)
        r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
        n = np.tanh(xn + r * (hn + hidden))
        return (1 - z) * n + z * h, c

    return step, {
        "weight_ih_l0": wx,
        "weight_hh_l0": wh,
        "bias_ih_l0": bias,
        "bias_hh_l0": np.concatenate([np.zeros(2 * NEURONS, np.float32), hidden]),
    }


def _tf1_lstm() -> tuple[Step, Arrays]:
    """Return a step with one kernel, gates i j f o and a forget bias of 1 that no file has, and its arrays."""
    kernel, bias = _random(SYMBOLS + NEURONS, 4 * NEURONS, seed=1), _random(4 * NEURONS, seed=2)

    def step(x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
        c = c * _sigmoid(f + 1.0) + _sigmoid(i) * np.tanh(j)
        return np.tanh(c) * _sigmoid(o), c

    i, j, f, o = np.split(kernel.T, 4)
    bi, bj, bf, bo = np.split(bias, 4)
    whole = np.concatenate([i, f, j, o])
    return step, {
        "weight_ih_l0": whole[:, :SYMBOLS].copy(),
        "weight_hh_l0": whole[:, SYMBOLS:].copy(),
        "bias_ih_l0": np.concatenate([bi, bf + 1.0, bj, bo]),
        "bias_hh_l0": np.zeros(4 * NEURONS, np.float32),
    }


@pytest.mark.parametrize("made", [_flax_lstm, _flax_gru, _mlx_lstm, _mlx_gru, _tf1_lstm])
def test_array_layouts_as_documented_give_the_cells_own_states(
    tmp_path: Path, made: Callable[[], tuple[Step, Arrays]]
) -> None:
    """Arrays that were put into torch's layout as the table says are adopted with the original's hidden states."""
    step, arrays = made()
    save_file(
        {f"rnn.{name}": np.ascontiguousarray(value) for name, value in arrays.items()}, tmp_path / "arrays.safetensors"
    )
    adoption = gatescope.adopt(tmp_path / "arrays.safetensors", tmp_path / "run", VOCABULARY, readout="none")
    ids = np.random.default_rng(5).integers(0, SYMBOLS, STEPS)
    trace = gatescope.record(adoption.run.network()[0], [ids])
    h, c = np.zeros(NEURONS), np.zeros(NEURONS)
    for t, k in enumerate(ids):
        h, c = step(np.eye(SYMBOLS)[k], h, c)
        np.testing.assert_allclose(trace["layer0"]["h"][0, t], h, atol=1e-6)
