"""Layers that read from the end alone: what torch.nn computes on sequences that were turned round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gatescope import Network, check_with, record
from gatescope.adopting import AdoptingError, assemble, read, save
from gatescope.cells import CELLS
from gatescope.configuration import Configuration, Layer, NetworkError
from gatescope.network import expected_tensors, predict
from gatescope.readout import Reads, classes
from gatescope.vocabulary import Vocabulary
from tests.adopting.models import VOCABULARY

WAYS = [[True], [False, True], [True, False], [True, True]]


def network_of(ways: list[bool], reads: Reads = "every step") -> Network:
    layers = tuple(Layer(CELLS["lstm"], 4 + k, way, stacked=way) for k, way in enumerate(ways))
    network = Network(Configuration(VOCABULARY, layers, 3, readout=classes("xyz", reads)), seed=1)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
    return network.eval()


def reference(network: Network, ids: np.ndarray) -> np.ndarray:
    """Logits (T, 3), or (3,) of a network that reads out once, with torch.nn.LSTM and flip."""
    assert network.embedding is not None
    values, final = network.embedding[torch.from_numpy(ids)], torch.zeros(0)
    for k, layer in enumerate(network.configuration.layers):
        parameters = network.parameters_of(k)
        theirs = torch.nn.LSTM(values.shape[1], layer.neurons)
        state = {
            "weight_ih_l0": parameters.input_weights.flatten(0, 1),
            "weight_hh_l0": parameters.recurrent_weights.flatten(0, 1),
            "bias_ih_l0": parameters.biases.flatten(),
            "bias_hh_l0": torch.zeros(4 * layer.neurons),
        }
        theirs.load_state_dict(state)
        outputs, (last, _) = theirs(values.flip(0) if layer.reverse else values)
        values, final = outputs.flip(0) if layer.reverse else outputs, last[0]
    read_out = final if network.configuration.readout.reads == "last step" else values
    return torch.nn.functional.linear(read_out, network.readout_weights, network.readout_biases).detach().numpy()


@pytest.mark.parametrize("ways", WAYS)
@pytest.mark.parametrize("reads", ["every step", "last step"])
def test_network_with_backward_levels_gives_what_torch_gives(ways: list[bool], reads: Reads, tmp_path: Path) -> None:
    """In batches of several lengths, written to JSON and back, exported to ONNX and back, and in a checked trace."""
    network = network_of(ways, reads)
    network.configuration = Configuration.from_json(network.configuration.to_json())
    assert network.configuration.levels == [[k] for k in range(len(ways))]
    assert {n: tuple(v.shape) for n, v in network.state_dict().items()} == expected_tensors(network.configuration)
    save(network, tmp_path / "m.onnx", "onnx")
    back = assemble(read(tmp_path / "m.onnx"), VOCABULARY, names="xyz", predicts="classes").network
    assert [layer.reverse for layer in back.configuration.layers] == ways
    sequences = [np.array(ids, np.int32) for ids in ([0, 3, 6, 1, 1], [2], [5, 4, 0])]
    for one in (network, back):
        for ids, log_probs in zip(sequences, predict(one, sequences), strict=True):
            expected = torch.from_numpy(np.atleast_2d(reference(network, ids))).log_softmax(-1)
            np.testing.assert_allclose(log_probs, expected, atol=2e-6)
    trace = record(network, "adgbb")
    assert list(trace.layers) == [f"layer{k}{'_reverse' if way else ''}" for k, way in enumerate(ways)]
    assert check_with(network, trace).holds
    with pytest.raises(AdoptingError, match="got one that reads from the end alone"):
        save(network, tmp_path / "m.pt", "torch")


def test_configuration_refuses_a_backward_layer_alone() -> None:
    vocabulary, lstm = Vocabulary(tuple("ab")), CELLS["lstm"]
    with pytest.raises(NetworkError, match=r"Layer 0, which reads from the end.*stacked=True"):
        Configuration(vocabulary, (Layer(lstm, 3, reverse=True),))
    with pytest.raises(NetworkError, match="expected reverse=True beside stacked=True"):
        Configuration(vocabulary, (Layer(lstm, 3, stacked=True),))
