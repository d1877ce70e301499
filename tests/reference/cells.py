"""References of all cells, written by hand in NumPy from their papers or from torch's documentation.

Nothing here is imported from gatescope: its equations, engines and self-check are compared with these loops. One
function is one step of one sequence. It takes the input vector `x` (I,), the states `s` one step earlier (N,) and the
weights, and returns every drive and every signal by name.

`x.k` = W_k x + b_k, `u.k` = U_k h of the step before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Weights:
    """W (N, I), b (N,) and U (N, N) of each drive, p (N,) of each parameter."""

    W: Mapping[str, np.ndarray]
    b: Mapping[str, np.ndarray]
    U: Mapping[str, np.ndarray]
    p: Mapping[str, np.ndarray]

    def input_drive(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.W[name] @ x + self.b[name]


def logistic(a: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-a)), computed with tanh, which never overflows."""
    return (np.tanh(a / 2) + 1) / 2


def feedforward(x: np.ndarray, s: Values, w: Weights) -> Values:
    a = w.input_drive("h", x)
    return {"x.h": a, "h": np.tanh(a)}


def elman(x: np.ndarray, s: Values, w: Weights) -> Values:
    # torch.nn.RNN with tanh; its two biases are one bias here
    a, r = w.input_drive("h", x), w.U["h"] @ s["h"]
    return {"x.h": a, "u.h": r, "h": np.tanh(a + r)}


def elman_sigmoid(x: np.ndarray, s: Values, w: Weights) -> Values:
    # Elman 1990: units with values from 0 to 1
    a, r = w.input_drive("h", x), w.U["h"] @ s["h"]
    return {"x.h": a, "u.h": r, "h": logistic(a + r)}


def elman_relu(x: np.ndarray, s: Values, w: Weights) -> Values:
    # torch.nn.RNN with relu
    a, r = w.input_drive("h", x), w.U["h"] @ s["h"]
    return {"x.h": a, "u.h": r, "h": (a + r) * (a + r > 0)}


def lstm_1997(x: np.ndarray, s: Values, w: Weights) -> Values:
    # Greff et al. 2017, variant NFG: an LSTM without forget gate, and without peepholes
    v = _drives(x, s, w, "igo")
    v["i"] = logistic(v["x.i"] + v["u.i"])
    v["g"] = np.tanh(v["x.g"] + v["u.g"])
    v["o"] = logistic(v["x.o"] + v["u.o"])
    v["c"] = s["c"] + v["i"] * v["g"]
    v["h"] = v["o"] * np.tanh(v["c"])
    return v


def lstm(x: np.ndarray, s: Values, w: Weights) -> Values:
    # torch.nn.LSTM
    v = _drives(x, s, w, "ifgo")
    v["i"] = logistic(v["x.i"] + v["u.i"])
    v["f"] = logistic(v["x.f"] + v["u.f"])
    v["g"] = np.tanh(v["x.g"] + v["u.g"])
    v["o"] = logistic(v["x.o"] + v["u.o"])
    v["c"] = v["f"] * s["c"] + v["i"] * v["g"]
    v["h"] = v["o"] * np.tanh(v["c"])
    return v


def peephole(x: np.ndarray, s: Values, w: Weights) -> Values:
    # Gers, Schraudolph and Schmidhuber 2002; Graves 2013, equations 7 to 11: the output gate sees the new cell
    v = _drives(x, s, w, "ifgo")
    v["i"] = logistic(v["x.i"] + v["u.i"] + w.p["i"] * s["c"])
    v["f"] = logistic(v["x.f"] + v["u.f"] + w.p["f"] * s["c"])
    v["g"] = np.tanh(v["x.g"] + v["u.g"])
    v["c"] = v["f"] * s["c"] + v["i"] * v["g"]
    v["o"] = logistic(v["x.o"] + v["u.o"] + w.p["o"] * v["c"])
    v["h"] = v["o"] * np.tanh(v["c"])
    return v


def coupled(x: np.ndarray, s: Values, w: Weights) -> Values:
    # Greff et al. 2017, variant CIFG: i = 1 - f
    v = _drives(x, s, w, "fgo")
    v["f"] = logistic(v["x.f"] + v["u.f"])
    v["i"] = 1 - v["f"]
    v["g"] = np.tanh(v["x.g"] + v["u.g"])
    v["o"] = logistic(v["x.o"] + v["u.o"])
    v["c"] = v["f"] * s["c"] + (1 - v["f"]) * v["g"]
    v["h"] = v["o"] * np.tanh(v["c"])
    return v


def gru(x: np.ndarray, s: Values, w: Weights) -> Values:
    # torch.nn.GRU: n = tanh(W_in x + b_in + r * (W_hn h + b_hn)); p.n is b_hn
    v = _drives(x, s, w, "rzn")
    v["r"] = logistic(v["x.r"] + v["u.r"])
    v["z"] = logistic(v["x.z"] + v["u.z"])
    v["n"] = np.tanh(v["x.n"] + v["r"] * (v["u.n"] + w.p["n"]))
    v["h"] = (1 - v["z"]) * v["n"] + v["z"] * s["h"]
    return v


def mingru(x: np.ndarray, s: Values, w: Weights) -> Values:
    # Feng et al. 2024, section 3.1.3: z = sigma(Linear(x)), h~ = Linear(x), h = (1 - z) * h_before + z * h~
    a, b = w.input_drive("z", x), w.input_drive("n", x)
    z = logistic(a)
    return {"x.z": a, "x.n": b, "z": z, "n": b, "h": (1 - z) * s["h"] + z * b}


def slstm(x: np.ndarray, s: Values, w: Weights) -> Values:
    # Beck et al. 2024: equations 8 to 17, with f = sigma(f~), stabilised by m
    v = _drives(x, s, w, "gofi")
    v["g"] = np.tanh(v["x.g"] + v["u.g"])
    v["o"] = logistic(v["x.o"] + v["u.o"])
    log_f = -np.logaddexp(0, -(v["x.f"] + v["u.f"]))
    log_i = v["x.i"] + v["u.i"]
    v["m"] = np.maximum(log_f + s["m"], log_i)
    v["i"] = np.exp(log_i - v["m"])
    v["f"] = np.exp(log_f + s["m"] - v["m"])
    v["c"] = v["f"] * s["c"] + v["i"] * v["g"]
    v["n"] = v["f"] * s["n"] + v["i"]
    v["h"] = v["o"] * v["c"] / v["n"]
    return v


def _drives(x: np.ndarray, s: Values, w: Weights, names: str) -> Values:
    return {f"x.{k}": w.input_drive(k, x) for k in names} | {f"u.{k}": w.U[k] @ s["h"] for k in names}


@dataclass(frozen=True)
class Reference:
    """A step and the names it uses: drives from the input and from h, parameters per neuron, states."""

    step: Callable[[np.ndarray, Values, Weights], Values]
    inputs: str
    recurrent: str
    parameters: str
    states: str


REFERENCES = {
    "feedforward": Reference(feedforward, "h", "", "", ""),
    "elman": Reference(elman, "h", "h", "", "h"),
    "elman_sigmoid": Reference(elman_sigmoid, "h", "h", "", "h"),
    "elman_relu": Reference(elman_relu, "h", "h", "", "h"),
    "lstm_1997": Reference(lstm_1997, "igo", "igo", "", "ch"),
    "lstm": Reference(lstm, "ifgo", "ifgo", "", "ch"),
    "peephole": Reference(peephole, "ifgo", "ifgo", "ifo", "ch"),
    "coupled": Reference(coupled, "fgo", "fgo", "", "ch"),
    "gru": Reference(gru, "rzn", "rzn", "n", "h"),
    "mingru": Reference(mingru, "zn", "", "", "h"),
    "slstm": Reference(slstm, "gofi", "gofi", "", "mcnh"),
}


def draw(name: str, inputs: int, neurons: int, random: np.random.Generator, dtype: str, scale: float = 1.0) -> Weights:
    """Return random weights of a cell, none of them 0."""
    reference = REFERENCES[name]

    def normal(*shape: int) -> np.ndarray:
        return (scale * random.standard_normal(shape)).astype(dtype)

    return Weights(
        W={k: normal(neurons, inputs) for k in reference.inputs},
        b={k: normal(neurons) for k in reference.inputs},
        U={k: normal(neurons, neurons) / root_of(dtype, neurons) for k in reference.recurrent},
        p={k: normal(neurons) for k in reference.parameters},
    )


def root_of(dtype: str, neurons: int) -> np.floating:
    """Return the square root of the number of neurons, which keeps recurrent drives near 1 for any size."""
    return np.dtype(dtype).type(np.sqrt(max(1, neurons)))


def run(name: str, weights: Weights, x: np.ndarray, state: Values) -> Values:
    """Return name -> (T, N) of one sequence x (T, I) that starts from a state."""
    reference = REFERENCES[name]
    results: dict[str, list[np.ndarray]] = {}
    for row in x:
        values = reference.step(row, state, weights)
        state = {key: values[key] for key in reference.states}
        for key, value in values.items():
            results.setdefault(key, []).append(value)
    return {key: np.stack(value) for key, value in results.items()}
