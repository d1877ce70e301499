"""Traces computed without gatescope's engines: random networks, run by the loops of tests/reference/cells.py."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatescope.cells import CELLS
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary
from tests.reference import cells

LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Made:
    """A trace, and the weights of its layers in the form that `check` expects and in the form of the reference."""

    trace: Trace
    weights: dict[str, dict[str, np.ndarray]]
    layers: list[cells.Weights]


def make(
    names: list[str],
    lengths: list[int],
    neurons: int = 4,
    symbols: int = 3,
    dtype: str = "float32",
    seed: int = 0,
    scale: float = 1.0,
    padding: int = 0,
    top: int = 2,
) -> Made:
    """Return a recording of stacked layers on random sequences, with `padding` more steps than the longest."""
    random = np.random.default_rng(seed)
    sequences, steps = len(lengths), max([0, *lengths]) + padding
    token = random.integers(0, symbols, (sequences, steps)).astype(np.int32)
    padded = np.arange(steps) >= np.array(lengths, dtype=np.int64).reshape(-1, 1)
    token[padded] = -1
    arrays: dict[str, dict[str, np.ndarray]] = {}
    initial: dict[str, dict[str, np.ndarray]] = {}
    drawn = []
    inputs = [np.eye(symbols, dtype=dtype)[row[:length]] for row, length in zip(token, lengths, strict=True)]
    for k, name in enumerate(names):
        weights = cells.draw(name, symbols if k == 0 else neurons, neurons, random, dtype, scale)
        states = cells.REFERENCES[name].states
        first = {s: (scale * random.standard_normal((sequences, neurons))).astype(dtype) for s in states}
        if name == "slstm":  # the normaliser is a sum of positive gates
            first["n"] = np.abs(first["n"]) + 1
        rows = [
            cells.run(name, weights, inputs[row], {s: value[row] for s, value in first.items()})
            for row in range(sequences)
        ]
        arrays[f"layer{k}"] = {
            key: _padded([row.get(key, np.zeros((0, neurons), dtype)) for row in rows], steps, neurons, dtype)
            for key in (*CELLS[name].signals, *CELLS[name].drives)
        }
        initial[f"layer{k}"] = first
        drawn.append(weights)
        inputs = [row.get("h", np.zeros((0, neurons), dtype)) for row in rows]
    probability = random.random((sequences, steps, top)).astype(np.float32)
    probability[padded] = np.nan
    trace = Trace(
        lengths=np.array(lengths, dtype=np.int64),
        steps={
            "token": token,
            "target": np.concatenate([token[:, 1:], np.full((sequences, min(1, steps)), -1, np.int32)], axis=1),
            "log_probability": np.log(probability[..., 0]) if top else np.full((sequences, steps), np.nan, np.float32),
            "top_token": np.where(padded[..., None], -1, random.integers(0, symbols, (sequences, steps, top))),
            "top_probability": probability,
        },
        layers=arrays,
        initial=initial,
        parameters={
            f"layer{k}": {f"p.{key}": value for key, value in weights.p.items()} for k, weights in enumerate(drawn)
        },
        attributes={
            "format": 1,
            "version": "0.0.0",
            "precision": dtype,
            "vocabulary": Vocabulary(tuple(LETTERS[:symbols])).to_json(),
            "layers": {f"layer{k}": _description(name, neurons) for k, name in enumerate(names)},
        },
    )
    return Made(trace, {f"layer{k}": _as_engine(names[k], w, neurons) for k, w in enumerate(drawn)}, drawn)


def _padded(rows: list[np.ndarray], steps: int, neurons: int, dtype: str) -> np.ndarray:
    result = np.full((len(rows), steps, neurons), np.nan, dtype)
    for k, row in enumerate(rows):
        result[k, : len(row)] = row
    return result


def _description(name: str, neurons: int) -> dict[str, Any]:
    cell = CELLS[name]
    arrays = {
        key: {"title": f"the {key} of {name}", "range": [None, 1.0], "formula": f"formula of {key}"}
        for key in (*cell.signals, *cell.drives)
    }
    return {"cell": cell.to_json(), "neurons": neurons, "arrays": arrays}


def _as_engine(name: str, weights: cells.Weights, neurons: int) -> dict[str, np.ndarray]:
    """Return the weights as stacked arrays, in the order of the cell's drives."""
    tape = CELLS[name].tape
    none = np.zeros((0, neurons, neurons))
    return {
        "input_weights": np.stack([weights.W[k] for k in tape.input_drives]),
        "biases": np.stack([weights.b[k] for k in tape.input_drives]),
        "recurrent_weights": np.stack([weights.U[k] for k in tape.recurrent_drives]) if weights.U else none,
        "neuron_weights": np.stack([weights.p[k] for k in tape.parameters]) if weights.p else np.zeros((0, neurons)),
    }
