"""Cells that are special cases of each other, and states that follow from a trace alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, clamp, record
from gatescope.engine import Engine, Parameters, run
from tests.networks import few, layer, network, numbers, seeds

LSTM = CELLS["lstm"]


def rearranged(parameters: Parameters, source: str, target: str) -> Parameters:
    """Return the weights of the drives of another cell, in its order; its numbers per neuron are 0."""
    ours, theirs = CELLS[source].tape, CELLS[target].tape
    inputs = [ours.input_drives.index(k) for k in theirs.input_drives]
    recurrent = [ours.recurrent_drives.index(k) for k in theirs.recurrent_drives]
    neurons = parameters.biases.shape[1]
    return Parameters(
        parameters.input_weights[inputs],
        parameters.biases[inputs],
        parameters.recurrent_weights[recurrent],
        parameters.biases.new_zeros(len(theirs.parameters), neurons),
    )


def assert_near(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


sizes = dict(steps=st.integers(1, 8), batch=few, inputs=few, neurons=few, seed=seeds)


@given(**sizes)
@settings(max_examples=15)
def test_peephole_lstm_without_peepholes_is_an_lstm(
    engine: Engine, steps: int, batch: int, inputs: int, neurons: int, seed: int
) -> None:
    parameters, x = layer(LSTM, inputs, neurons, seed), numbers(seed + 9, steps, batch, inputs)
    lstm, _ = run(LSTM, parameters, x, keep=LSTM.signals, engine=engine)
    peephole, _ = run(
        CELLS["peephole"], rearranged(parameters, "lstm", "peephole"), x, keep=LSTM.signals, engine=engine
    )
    for name in LSTM.signals:
        assert_near(lstm[name], peephole[name])


@given(**sizes)
@settings(max_examples=15)
def test_lstm_with_input_gate_1_minus_forget_gate_is_coupled(
    engine: Engine, steps: int, batch: int, inputs: int, neurons: int, seed: int
) -> None:
    """σ(-a) = 1 - σ(a), so an LSTM whose i has the negated weights of f is a coupled LSTM."""
    parameters, x = layer(LSTM, inputs, neurons, seed), numbers(seed + 9, steps, batch, inputs)
    i, f = (LSTM.tape.input_drives.index(k) for k in "if")
    for array in (parameters.input_weights, parameters.biases, parameters.recurrent_weights):
        array[i] = -array[f]
    lstm, _ = run(LSTM, parameters, x, keep=LSTM.signals, engine=engine)
    coupled, _ = run(CELLS["coupled"], rearranged(parameters, "lstm", "coupled"), x, keep=LSTM.signals, engine=engine)
    for name in LSTM.signals:
        assert_near(lstm[name], coupled[name])


@given(**sizes)
@settings(max_examples=15)
def test_lstm_that_never_forgets_is_the_lstm_of_1997(
    engine: Engine, steps: int, batch: int, inputs: int, neurons: int, seed: int
) -> None:
    parameters, x = layer(LSTM, inputs, neurons, seed), numbers(seed + 9, steps, batch, inputs)
    open_gate = [clamp(0, "f", slice(None), 1.0)]
    lstm, _ = run(LSTM, parameters, x, keep=LSTM.signals, interventions=open_gate, engine=engine)
    old, _ = run(
        CELLS["lstm_1997"],
        rearranged(parameters, "lstm", "lstm_1997"),
        x,
        keep=CELLS["lstm_1997"].signals,
        engine=engine,
    )
    for name in old:
        assert_near(lstm[name], old[name])


@given(seed=seeds, neurons=few, text=st.text("abcde", min_size=1, max_size=30))
@settings(max_examples=15)
def test_trace_alone_reproduces_the_state(seed: int, neurons: int, text: str) -> None:
    """c = f · c₋₁ + i · g and h = o · tanh(c) from the recorded values, in float32."""
    layer0 = record(network("lstm", (neurons,), seed), text)["layer0"]
    i, f, g, o, c, h = (layer0[name][0].astype(np.float64) for name in "ifgoch")
    state = np.zeros(neurons)
    for t in range(len(text)):
        state = f[t] * state + i[t] * g[t]
        np.testing.assert_allclose(state, c[t], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(o[t] * np.tanh(state), h[t], rtol=1e-5, atol=1e-5)


@given(seed=seeds, neurons=few, text=st.text("abcde", min_size=1, max_size=30))
@settings(max_examples=10)
def test_gru_mixes_its_candidate_and_its_past(seed: int, neurons: int, text: str) -> None:
    layer0 = record(network("gru", (neurons,), seed), text)["layer0"]
    z, n, h = (layer0[name][0].astype(np.float64) for name in "znh")
    before = np.concatenate([np.zeros((1, neurons)), h[:-1]])
    np.testing.assert_allclose((1 - z) * n + z * before, h, rtol=1e-6, atol=1e-6)


def test_slstm_does_not_depend_on_its_stabiliser(engine: Engine) -> None:
    """c / n without the division by exp(m) gives the same h, as long as the numbers are small enough."""
    cell = CELLS["slstm"]
    parameters, x = layer(cell, 2, 3, 4), numbers(5, 12, 2, 2)
    signals, _ = run(cell, parameters, x, keep=(*cell.signals, *cell.drives), engine=engine)
    c = n = torch.zeros(2, 3, dtype=torch.float64)
    for t in range(len(x)):
        i, f = (signals["x.i"][t] + signals["u.i"][t]).exp(), (signals["x.f"][t] + signals["u.f"][t]).sigmoid()
        c, n = f * c + i * signals["g"][t], f * n + i
        assert_near(signals["o"][t] * c / n, signals["h"][t])


def test_copies_of_a_layer_do_not_share_weights() -> None:
    """`rearranged` returns copies, so that a law cannot hold because two cells share an array."""
    parameters = layer(LSTM, 2, 3, 0)
    other = rearranged(parameters, "lstm", "peephole")
    other.biases[0] += 1
    assert torch.equal(parameters.biases, replace(layer(LSTM, 2, 3, 0)).biases)
