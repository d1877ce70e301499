"""Hidden layers of the readout and constant initial states, against torch, wherever a network is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gatescope import Network, Run, Vocabulary, predict, record, sample
from gatescope.adopting import AdoptingError, assemble, read, save
from gatescope.cells import CELLS
from gatescope.checking import check
from gatescope.configuration import Configuration, Layer, NetworkError
from gatescope.head import ACTIVATIONS, HeadError, HiddenLayer
from gatescope.recording import check_with
from gatescope.sampling import Choice
from gatescope.studies.common.table import StudyError
from gatescope.studies.gradients.backpropagation import contributions
from gatescope.studies.gradients.influence import influence
from gatescope.studies.gradients.paths import paths
from gatescope.tasks import Adopted

VOCABULARY = Vocabulary(tuple("abcdefg"))
IDS = np.array([0, 3, 6, 1, 2, 5], np.int32)


def made(cell: str = "lstm", activation: str = "relu", *, starts: bool = True, both: bool = False) -> Network:
    """Return a network with a head and initial states of random numbers."""
    layers = [
        Layer(CELLS[cell], 4, reverse, starts) for _ in range(2) for reverse in ((False, True) if both else (False,))
    ]
    hidden = (HiddenLayer(5, activation), HiddenLayer(3, "tanh"))
    network = Network(Configuration(VOCABULARY, tuple(layers), embedding=3, hidden=hidden), seed=3)
    generator = torch.Generator().manual_seed(5)
    for value in (*network.initial.buffers(), *network.hidden.parameters()):
        value.data.copy_(torch.randn(value.shape, generator=generator))
    return network.eval()


def by_torch(network: Network, ids: np.ndarray) -> Tensor:
    """Return the logits (T, V) of torch.nn.LSTM or GRU with the same weights, and of the head in torch operations."""
    configuration = network.configuration
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[configuration.layers[0].cell.name]
    module = kind(3, 4, 2, bidirectional=configuration.both_ways)
    state: dict[str, list[Tensor]] = {}
    for k, layer in enumerate(configuration.layers):
        p = network.parameters_of(k)
        recurrent_biases = torch.zeros_like(p.biases)
        if layer.cell.name == "gru":
            recurrent_biases[-1] = p.neuron_weights[0].detach()
        end = f"_l{k // 2 if configuration.both_ways else k}{'_reverse' if layer.reverse else ''}"
        values = {"weight_ih": p.input_weights.flatten(0, 1), "weight_hh": p.recurrent_weights.flatten(0, 1)}
        values |= {"bias_ih": p.biases.flatten(), "bias_hh": recurrent_biases.flatten()}
        for name, value in values.items():
            getattr(module, name + end).data.copy_(value)
        for name, value in network.initial[k].named_buffers():
            state.setdefault(name, []).append(value)
    assert network.embedding is not None
    start = tuple(torch.stack(state[name])[:, None] for name in ("h", "c") if name in state)
    embedded = network.embedding[torch.from_numpy(ids).long()][:, None]
    h = module(embedded, (start if len(start) == 2 else start[0]) if start else None)[0][:, 0]
    for k, layer in enumerate(configuration.hidden):
        weights, biases = network.hidden_weights(k)
        h = getattr(torch.nn.functional, layer.activation)(h @ weights.T + biases)
    return h @ network.readout_weights.T + network.readout_biases


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("starts", [False, True])
def test_predictions_equal_torch(cell: str, both: bool, starts: bool) -> None:
    network = made(cell, starts=starts, both=both)
    expected = by_torch(network, IDS).log_softmax(-1).detach().numpy()
    np.testing.assert_allclose(predict(network, [IDS, IDS[:3]])[0], expected, atol=2e-6)
    trace = record(network, [IDS])
    assert check(trace).holds
    assert check_with(network, trace).holds
    np.testing.assert_allclose(trace.steps["top_probability"][0, :, 0], np.exp(expected.max(1)), atol=1e-6)
    for k, name in enumerate(network.configuration.names):
        for state, value in network.initial[k].named_buffers():
            np.testing.assert_array_equal(trace.initial[name][state][0], value.numpy())


def test_check_uses_the_initial_states() -> None:
    """A trace that claims another initial state does not hold."""
    trace = record(made(), [IDS])
    for states in trace.initial.values():
        for value in states.values():
            value[:] = 0
    assert not check(trace).holds


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_equal_torch(activation: str) -> None:
    network = made(activation=activation)
    if activation == "none":
        (first, biases), (second, last) = network.hidden_weights(0), network.hidden_weights(1)
        h = torch.from_numpy(record(network, [IDS])["layer1"]["h"][0])
        h = ((h @ first.T + biases) @ second.T + last).tanh()
        expected = h @ network.readout_weights.T + network.readout_biases
    else:
        expected = by_torch(network, IDS)
    np.testing.assert_allclose(predict(network, [IDS])[0], expected.log_softmax(-1).detach().numpy(), atol=2e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_contributions_equal_the_gradients_of_training(cell: str) -> None:
    network = made(cell).double()
    loss = nn.functional.cross_entropy(
        network(torch.from_numpy(IDS[:-1]).long()[:, None]).logits[:, 0],
        torch.from_numpy(IDS[1:]).long(),
        reduction="sum",
    )
    loss.backward()
    parts = contributions(network, IDS)
    assert parts.losses.sum() == pytest.approx(float(loss.detach()), rel=1e-12)
    for name, value in network.named_parameters():
        if not value.numel():
            continue
        assert value.grad is not None
        if name in parts.deltas:
            np.testing.assert_allclose(parts.total(name), value.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
        else:
            drives = [key for key in parts.deltas if key.startswith(f"{name}.")]
            total = np.concatenate([parts.total(key) for key in drives]).reshape(-1)
            np.testing.assert_allclose(total, value.grad.numpy().reshape(-1), rtol=1e-9, atol=1e-12, err_msg=name)


def test_influence_begins_at_the_initial_states() -> None:
    """Replacing the first symbol, from the initial states, equals reading the changed text from its beginning."""
    network = made()
    study = influence(network, IDS, [0], furthest=3)
    changed = IDS.copy()
    changed[0] = study.replaced[0]
    before, after = (torch.from_numpy(predict(network.double(), [ids])[0]) for ids in (IDS, changed))
    expected = (before.exp() * (before - after)).sum(1)[:4]
    np.testing.assert_allclose(study.divergence[0], expected.numpy(), rtol=1e-9, atol=1e-12)


def test_paths_refuse_initial_states_and_heads() -> None:
    with pytest.raises(StudyError, match="initial states"):
        paths(made(), "abc", layer=1, drive="f", to=0, source=0)
    with pytest.raises(StudyError, match="hidden layers"):
        paths(made(starts=False), "abc", layer=1, drive="f", to=0, source=0)


def test_run_stores_head_and_initial_states(tmp_path: Path) -> None:
    network = made()
    run = Run.create(tmp_path / "run", network.configuration, Adopted(VOCABULARY, "x.pt"), {})
    run.save_weights(network.state_dict(), 0)
    again, _ = Run(tmp_path / "run").network()
    assert again.configuration == network.configuration
    np.testing.assert_array_equal(predict(again, [IDS])[0], predict(network, [IDS])[0])
    written = "".join(sample(again, "abc", length=6, choice=Choice(greedy=True)))
    ids = [0, 1, 2]
    for _ in range(6):
        ids.append(int(by_torch(network, np.array(ids))[-1].argmax()))
    assert written == "".join(VOCABULARY.symbols[k] for k in ids[3:])


def test_training_leaves_initial_states_constant() -> None:
    network = made()
    assert not any(name.startswith("initial") for name, _ in network.named_parameters())


@pytest.mark.parametrize("form", ["torch", "safetensors"])
def test_exported_weights_are_adopted_again(form: str, tmp_path: Path) -> None:
    network = made()
    path = tmp_path / ("out.pt" if form == "torch" else "out.safetensors")
    notes = save(network, path, form)
    assert any("h0" in note for note in notes)
    assert any("relu, tanh" in note for note in notes)
    again = assemble(read(path), VOCABULARY, head_activation="relu,tanh").network
    np.testing.assert_allclose(predict(again, [IDS])[0], predict(network, [IDS])[0], atol=1e-6)


def test_onnx_holds_the_head_and_refuses_initial_states(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    with pytest.raises(AdoptingError, match="initial states"):
        save(made(), tmp_path / "m.onnx", "onnx")
    network = made(starts=False)
    save(network, tmp_path / "m.onnx", "onnx")
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(onnx.load(str(tmp_path / "m.onnx")))
    (logits,) = model.run(["logits"], {"tokens": IDS.astype(np.int64)[:, None]})
    np.testing.assert_allclose(np.asarray(logits)[:, 0], by_torch(network, IDS).detach().numpy(), atol=2e-6)


def test_json_of_format_2_has_no_head_and_initial_states() -> None:
    data = json.loads(json.dumps(made(starts=False).configuration.to_json()))
    del data["hidden"]
    for layer in data["layers"]:
        del layer["initial"]
    old = Configuration.from_json({**data, "format": 2})
    assert old.hidden == ()
    assert not old.starts


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": None},
        {"hidden": [3]},
        {"hidden": [{"neurons": 0, "activation": "relu"}]},
        {"hidden": [{"neurons": True, "activation": "relu"}]},
        {"hidden": [{"neurons": 3, "activation": ["relu"]}]},
        {"hidden": [{"neurons": 3, "activation": "os.system"}]},
        {"layers": [{"cell": "lstm", "neurons": 4, "initial": 1}]},
    ],
    ids=str,
)
def test_damaged_json_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NetworkError):
        Configuration.from_json({**made().configuration.to_json(), **change})


def test_unknown_activation_is_refused() -> None:
    with pytest.raises(HeadError, match="expected one of none, relu"):
        HiddenLayer(3, "rely")
