"""LSTM, GRU and Elman networks against torch.nn: outputs, final states and every gradient, in float64 to 1e-12."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gatescope import CELLS, Network, configure
from gatescope.engine import Engine, Parameters, run
from tests.networks import ALPHABET, few, layer, numbers, seeds

# The drives of gatescope, in the order in which torch stacks its gates.
GATES = {"lstm": "ifgo", "gru": "rzn", "elman": "h", "elman_relu": "h"}
STATES = {"lstm": ("h", "c"), "gru": ("h",), "elman": ("h",), "elman_relu": ("h",)}


def torch_module(name: str, inputs: int, neurons: int, layers: int) -> nn.RNNBase:
    if name == "lstm":
        module: nn.RNNBase = nn.LSTM(inputs, neurons, layers)
    elif name == "gru":
        module = nn.GRU(inputs, neurons, layers)
    else:
        module = nn.RNN(inputs, neurons, layers, nonlinearity="relu" if name == "elman_relu" else "tanh")
    return module.double()


def copy_to_torch(module: nn.RNNBase, name: str, k: int, ours: Parameters, share: float) -> None:
    """Copy our weights of a layer to torch. Its two biases add up to ours, except for b_hn, which is p.n of a GRU."""
    tape, gates = CELLS[name].tape, GATES[name]
    order = [tape.input_drives.index(gate) for gate in gates]
    recurrent_order = [tape.recurrent_drives.index(gate) for gate in gates]
    with torch.no_grad():
        getattr(module, f"weight_ih_l{k}").copy_(ours.input_weights[order].flatten(0, 1))
        getattr(module, f"weight_hh_l{k}").copy_(ours.recurrent_weights[recurrent_order].flatten(0, 1))
        input_biases, recurrent_biases = ours.biases[order] * share, ours.biases[order] * (1 - share)
        if name == "gru":
            input_biases[2], recurrent_biases[2] = ours.biases[order][2], ours.neuron_weights[0]
        getattr(module, f"bias_ih_l{k}").copy_(input_biases.flatten())
        getattr(module, f"bias_hh_l{k}").copy_(recurrent_biases.flatten())


def compare_gradients(module: nn.RNNBase, name: str, k: int, ours: Parameters, neurons: int) -> None:
    tape, gates = CELLS[name].tape, GATES[name]
    order = [tape.input_drives.index(gate) for gate in gates]
    recurrent_order = [tape.recurrent_drives.index(gate) for gate in gates]

    def theirs(kind: str) -> torch.Tensor:
        gradient = getattr(module, f"{kind}_l{k}").grad
        assert gradient is not None
        return gradient

    def close(a: torch.Tensor | None, b: torch.Tensor) -> None:
        assert a is not None
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)

    close(ours.input_weights.grad[order].flatten(0, 1), theirs("weight_ih"))  # type: ignore[index]
    close(ours.recurrent_weights.grad[recurrent_order].flatten(0, 1), theirs("weight_hh"))  # type: ignore[index]
    close(ours.biases.grad[order].flatten(), theirs("bias_ih"))  # type: ignore[index]
    if name == "gru":
        close(ours.neuron_weights.grad[0], theirs("bias_hh")[2 * neurons :])  # type: ignore[index]
        close(ours.biases.grad[order][:2].flatten(), theirs("bias_hh")[: 2 * neurons])  # type: ignore[index]
    else:
        close(ours.biases.grad[order].flatten(), theirs("bias_hh"))  # type: ignore[index]


@pytest.mark.parametrize("name", list(GATES))
@given(steps=st.integers(1, 7), batch=few, inputs=few, neurons=st.integers(1, 6), seed=seeds, share=st.floats(-1, 2))
@settings(max_examples=12)
def test_layer_agrees_with_torch(
    engine: Engine, name: str, steps: int, batch: int, inputs: int, neurons: int, seed: int, share: float
) -> None:
    ours = layer(CELLS[name], inputs, neurons, seed)
    module = torch_module(name, inputs, neurons, 1)
    copy_to_torch(module, name, 0, ours, share)
    for value in ours.by_name().values():
        value.requires_grad_()
    x = numbers(seed + 10, steps, batch, inputs)
    start = [numbers(seed + 11 + k, batch, neurons) for k in range(len(STATES[name]))]
    weight = numbers(seed + 20, steps, batch, neurons)
    final_weight = [numbers(seed + 21 + k, batch, neurons) for k in range(len(start))]

    our_x, their_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    our_start = [value.clone().requires_grad_() for value in start]
    their_start = [value.clone().requires_grad_() for value in start]
    signals, final = run(CELLS[name], ours, our_x, dict(zip(STATES[name], our_start, strict=True)), engine=engine)
    wide = [value.unsqueeze(0) for value in their_start]
    output, after = module(their_x, tuple(wide) if name == "lstm" else wide[0])
    after = after if name == "lstm" else (after,)

    torch.testing.assert_close(signals["h"], output, rtol=1e-12, atol=1e-12)
    for key, value in zip(STATES[name], after, strict=True):
        torch.testing.assert_close(final[key], value[0], rtol=1e-12, atol=1e-12)

    (
        (signals["h"] * weight).sum()
        + sum((final[k] * w).sum() for k, w in zip(STATES[name], final_weight, strict=True))
    ).backward()
    ((output * weight).sum() + sum((v[0] * w).sum() for v, w in zip(after, final_weight, strict=True))).backward()
    compare_gradients(module, name, 0, ours, neurons)
    torch.testing.assert_close(our_x.grad, their_x.grad, rtol=1e-12, atol=1e-12)
    for a, b in zip(our_start, their_start, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(GATES))
@given(steps=st.integers(1, 6), batch=few, neurons=few, layers=st.integers(1, 3), seed=seeds, embedded=st.booleans())
@settings(max_examples=8)
def test_network_agrees_with_torch(
    engine: Engine, name: str, steps: int, batch: int, neurons: int, layers: int, seed: int, embedded: bool
) -> None:
    embedding = 3 if embedded else None
    network = Network(configure(ALPHABET, name, (neurons,) * layers, embedding=embedding), seed).double()
    with torch.no_grad():
        for k, value in enumerate(network.parameters()):
            value.add_(0.4 * numbers(seed + k, *value.shape))
    module = torch_module(name, embedding or ALPHABET.size, neurons, layers)
    for k in range(layers):
        copy_to_torch(module, name, k, network.parameters_of(k), 0.3)
    tokens = torch.randint(0, ALPHABET.size, (steps, batch), generator=torch.Generator().manual_seed(seed))
    weight = numbers(seed + 99, steps, batch, ALPHABET.size)

    output = network(tokens, engine=engine)
    (output.logits * weight).sum().backward()
    one_hot = torch.eye(ALPHABET.size, dtype=torch.float64)[tokens]
    table = None if network.embedding is None else network.embedding.detach().clone().requires_grad_()
    hidden, after = module(one_hot if table is None else one_hot @ table)
    readout = network.readout_weights.detach().clone().requires_grad_()
    logits = hidden @ readout.T + network.readout_biases.detach()
    (logits * weight).sum().backward()

    torch.testing.assert_close(output.logits, logits, rtol=1e-12, atol=1e-12)
    after = dict(zip(STATES[name], after if name == "lstm" else (after,), strict=True))
    for k in range(layers):
        compare_gradients(module, name, k, network.parameters_of(k), neurons)
        for key, value in after.items():
            torch.testing.assert_close(output.state[k][key], value[k], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network.readout_weights.grad, readout.grad, rtol=1e-12, atol=1e-12)
    if table is not None:
        assert network.embedding is not None
        torch.testing.assert_close(network.embedding.grad, table.grad, rtol=1e-12, atol=1e-12)
