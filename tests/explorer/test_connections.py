"""Connections lie at the steps they connect, for every kind of network that predicts symbols."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load

from gatescope import Network, Vocabulary
from gatescope.cells import CELLS
from gatescope.configuration import Configuration, Layer
from gatescope.explorer.connections import encode_changes, encode_gradients
from gatescope.explorer.exact_recording import ExactRecording
from gatescope.explorer.requests import RequestError
from gatescope.readout import SYMBOLS, Readout, numbers
from gatescope.studies.gradients.influence import influence

VOCABULARY = Vocabulary(("a", "b", "c", "d", "e", "f"))
TEXT = "fbdace"
BOTH_WAYS = (Layer(CELLS["lstm"], 3), Layer(CELLS["lstm"], 2, reverse=True))
FORWARD = (Layer(CELLS["gru"], 3),)


def recording_of(layers: tuple[Layer, ...], readout: Readout = SYMBOLS) -> ExactRecording:
    generator = torch.Generator().manual_seed(7)
    network = Network(Configuration(VOCABULARY, layers, 4, 0.0, readout, ()))
    with torch.no_grad():
        for weights in network.state_dict().values():
            weights.copy_(torch.randn(weights.shape, generator=generator) * 0.5)
    return ExactRecording.of(network.eval(), 0, TEXT, list(TEXT))


def connections(body: bytes) -> NDArray[np.float32]:
    return load(body)["connections"]


@pytest.mark.parametrize("layers", [FORWARD, BOTH_WAYS], ids=["forward", "both ways"])
def test_connections_by_gradient_equal_autograd(layers: tuple[Layer, ...]) -> None:
    """Every symbol occurs once, so the gradient of its embedding is that of the input at its step."""
    recording = recording_of(layers)
    network, (ids,) = recording.network, recording.sequences
    embedding = network.get_parameter("embedding").requires_grad_()
    logits = network(torch.from_numpy(ids.astype(np.int64))[:, None], engine="plain").logits[:, 0]
    measured = connections(encode_gradients(recording, 0, recording.steps))
    last = len(ids) - 1
    for step in range(last):
        loss = -logits[step].log_softmax(0)[int(ids[step + 1])]
        (gradient,) = torch.autograd.grad(loss, [embedding], retain_graph=True)
        expected = gradient[torch.from_numpy(ids.astype(np.int64))].norm(dim=1).numpy()
        reach = last + 1 if len(layers) > 1 else step + 1
        np.testing.assert_allclose(measured[step, :reach], expected[:reach], rtol=1e-6)
        assert np.isnan(measured[step, reach:]).all()
    assert np.isnan(measured[last]).all()


def test_connections_by_change_of_one_prediction() -> None:
    """A network that predicts once is compared after the last step, whatever was replaced."""
    recording = recording_of(FORWARD, Readout(reads="last step"))
    network, (ids,) = recording.network, recording.sequences

    def predicted(sequence: NDArray[np.int32]) -> torch.Tensor:
        logits = network(torch.from_numpy(sequence.astype(np.int64))[:, None]).logits
        return logits.reshape(-1).log_softmax(0)

    measured = connections(encode_changes(recording))
    assert np.isnan(measured[:-1]).all()
    before = predicted(ids)
    for step, instead in enumerate(influence(network, ids).replaced):
        changed = ids.copy()
        changed[step] = instead
        expected = (before.exp() * (before - predicted(changed))).sum()
        assert measured[-1, step] == pytest.approx(float(expected.detach()), rel=1e-5)


def test_connections_of_estimates_are_refused() -> None:
    recording = recording_of(FORWARD, numbers(("level",)))
    for encode in (lambda: encode_gradients(recording, 0, 3), lambda: encode_changes(recording)):
        with pytest.raises(RequestError, match="predicts numbers"):
            encode()
