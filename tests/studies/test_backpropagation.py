"""Contributions and saliency against torch's autograd, finite differences and chains worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import Intervention, Network, Vocabulary
from gatescope.cells import Cell
from gatescope.recording import record
from gatescope.studies import StudyError
from gatescope.studies.gradients.backpropagation import contributions, saliency
from gatescope.studies.gradients.jacobians import exact
from tests.networks import EACH_CELL, cells, few, network, seeds

Ids = np.ndarray


def ids_of(net: Network, text: str) -> Ids:
    return net.configuration.vocabulary.encode(text)


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def losses(net: Network, ids: Ids, changes: tuple[Intervention, ...] = ()) -> torch.Tensor:
    """Return -log p(target) after every step but the last, by the plain engine."""
    out = net(torch.from_numpy(ids).long()[:, None], interventions=changes, engine="plain")
    logs = out.logits[:-1, 0].log_softmax(1)
    return -logs.gather(1, torch.from_numpy(ids[1:]).long()[:, None]).squeeze(1)


@given(
    cells,
    st.lists(few, min_size=1, max_size=3),
    st.none() | few,
    st.lists(st.sampled_from("abcde?"), min_size=2, max_size=7),
    seeds,
    st.data(),
)
@settings(max_examples=40)
def test_contributions_sum_to_the_gradient(
    cell: Cell, neurons: list[int], embedding: int | None, text: list[str], seed: int, data: st.DataObject
) -> None:
    net = network(cell, neurons, seed, embedding=embedding)
    ids = ids_of(net, "".join([*text[:-1], "a"]))
    steps_with_target = [t for t in range(len(ids) - 1) if ids[t + 1] < 5]
    places = data.draw(st.lists(st.sampled_from(steps_with_target), unique=True, min_size=1).map(sorted))
    parts_of_gradient, expected = contributions(net, ids, places), by_autograd(net, ids, places)
    assert set(parts_of_gradient.deltas) == set(expected)
    for name, gradient in expected.items():
        close(parts_of_gradient.total(name), gradient)
        parts = [parts_of_gradient.of(name, step) for step in range(len(ids))]
        close(np.sum(parts, axis=0), gradient)
        close(parts_of_gradient.norms(name), np.array([np.linalg.norm(part) for part in parts]))
        shares = parts_of_gradient.along(name)
        if (gradient * gradient).sum() > 1e-12:
            np.testing.assert_allclose(shares.sum(), 1.0, rtol=1e-9)


def by_autograd(net: Network, ids: Ids, places: list[int]) -> dict[str, np.ndarray]:
    """Compute the gradient of the losses at the places by torch.

    No place has a target outside the vocabulary; elsewhere such a target is read as 0.
    """
    copy = exact(net)
    out = copy(torch.from_numpy(ids).long()[:, None], engine="plain")
    targets = torch.from_numpy(np.where(ids < 5, ids, 0)[1:]).long()
    total = -out.logits[:-1, 0].log_softmax(1).gather(1, targets[:, None]).squeeze(1)[places].sum()
    total.backward()
    gradients = {}
    for name, value in copy.named_parameters():
        gradient = (torch.zeros_like(value) if value.grad is None else value.grad).numpy()
        if not name.startswith("layers"):
            gradients[name] = gradient
            continue
        _, layer, kind = name.split(".")
        tape = copy.configuration.layers[int(layer)].cell.tape
        drives = {"recurrent_weights": tape.recurrent_drives, "neuron_weights": tape.parameters}
        gradients |= {f"{name}.{k}": g for k, g in zip(drives.get(kind, tape.input_drives), gradient, strict=True)}
    return gradients


def test_contribution_equals_finite_differences() -> None:
    """Change U.f at a single step, by changing x.f there by the same amount times h_{t-1}.

    A symbol that occurs at that step only makes this possible.
    """
    net = exact(network("lstm", [3], 4))
    ids = ids_of(net, "abcadb")
    by_step, width = contributions(net, ids), 1e-6
    trace = record(net, [ids])
    weights = net.parameters_of(0)
    drive = net.configuration.layers[0].cell.tape.input_drives.index("f")
    for step in (1, 3):
        before = trace["layer0"]["h"][0, step - 1]
        for to, source in ((0, 1), (2, 2)):
            ends = []
            for sign in (1, -1):
                # The spare symbol has the weights of the old one, except for W.f of the neuron.
                other = exact(network("lstm", [3], 4))
                rows = other.parameters_of(0).input_weights
                spare = 4  # "e" is read nowhere else
                changed = ids.copy()
                changed[step] = spare
                with torch.no_grad():
                    rows[:, :, spare] = weights.input_weights[:, :, int(ids[step])]
                    rows[drive, to, spare] += sign * width * before[source]
                    out = other(torch.from_numpy(changed).long()[:, None])
                    logs = out.logits[:-1, 0].log_softmax(1)
                    ends.append(-logs.gather(1, torch.from_numpy(ids[1:]).long()[:, None]).sum().item())
            slope = (ends[0] - ends[1]) / (2 * width)
            # The error of a central difference is width squared, plus the rounding of the ends (1e-16) over the width.
            ours = by_step.of("layers.0.recurrent_weights.f", step)[to, source]
            np.testing.assert_allclose(ours, slope, rtol=1e-6, atol=1e-8)


def test_contributions_of_an_elman_neuron_by_hand() -> None:
    """d loss_2 / d U is a sum over three steps, each a product of (1 - h²) U."""
    net = exact(network("elman", [1], 3))
    ids = ids_of(net, "abca")
    h = record(net, [ids])["layer0"]["h"][0, :, 0]
    u = net.parameters_of(0).recurrent_weights[0, 0, 0].item()
    readout, biases = net.readout_weights.detach().numpy()[:, 0], net.readout_biases.detach().numpy()
    chances = np.exp(readout * h[2] + biases)
    chances /= chances.sum()
    chances[ids[3]] -= 1
    arriving = (chances * readout).sum()
    by_step = contributions(net, ids, [2])
    by_hand = [
        arriving * (1 - h[2] ** 2) * u * (1 - h[1] ** 2) * u * (1 - h[0] ** 2) * 0.0,  # h before step 0 is 0
        arriving * (1 - h[2] ** 2) * u * (1 - h[1] ** 2) * h[0],
        arriving * (1 - h[2] ** 2) * h[1],
    ]
    ours = np.array([by_step.of("layers.0.recurrent_weights.h", t)[0, 0] for t in range(3)])
    close(ours, np.array(by_hand))
    states = saliency(net, ids, [2]).states["layer0", "h"][0]
    chain = [1.0, (1 - h[2] ** 2) * u, (1 - h[2] ** 2) * u * (1 - h[1] ** 2) * u]
    close(states, np.abs(arriving * np.array(chain)))


@pytest.mark.parametrize("name", EACH_CELL)
def test_saliency_of_inputs_equals_autograd(name: str) -> None:
    net = network(name, [3, 2], 1, embedding=4)
    ids = ids_of(net, "abcadbeca")
    measured = saliency(net, ids)
    assert measured.places.tolist() == list(range(8))
    copy = exact(net)
    table = copy.embedding
    assert table is not None
    for row, place in enumerate(measured.places):
        # An embedding with a row for every step, so that each input has a gradient of its own.
        wide = exact(net)
        with torch.no_grad():
            rows = table.detach()[torch.from_numpy(ids).long()].clone()
        wide.embedding = torch.nn.Parameter(rows)
        wide.configuration = replace(wide.configuration, vocabulary=Vocabulary(tuple("abcdefghi")))
        out = wide(torch.arange(len(ids))[:, None], engine="plain")
        logs = out.logits[place, 0].log_softmax(0)
        (-logs[int(ids[place + 1])]).backward()
        assert wide.embedding.grad is not None
        norms = wide.embedding.grad.norm(dim=1).numpy()[: place + 1][::-1]
        close(measured.inputs[row, : place + 1], norms)
        assert np.isnan(measured.inputs[row, place + 1 :]).all()


@pytest.mark.parametrize("name", [name for name in EACH_CELL if name != "feedforward"])
def test_saliency_of_states_equals_interventions(name: str) -> None:
    """Saliency equals central differences of each loss, for a small shift of a state at one step."""
    net = exact(network(name, [2, 2], 6))
    ids, width = ids_of(net, "abcadb"), 1e-6
    measured = saliency(net, ids, neurons=True)
    for (layer, state), own in measured.neurons.items():
        for step in (0, 2):
            for neuron in (0, 1):
                ends = []
                for sign in (1, -1):
                    change = Intervention(int(layer[5:]), state, neuron, slice(step, step + 1), 1.0, sign * width)
                    ends.append(losses(net, ids, (change,)).detach().numpy())
                slope = np.abs(ends[0] - ends[1]) / (2 * width)
                ours = [own[place, place - step, neuron] for place in range(step, 5)]
                # float32 has 7 digits; the error of the difference itself is 1e-9.
                np.testing.assert_allclose(ours, slope[step:], rtol=1e-5, atol=1e-8)
        norms = np.linalg.norm(own.astype(np.float64), axis=2)
        np.testing.assert_allclose(measured.states[layer, state], norms, rtol=1e-6)


@given(st.sampled_from(["lstm", "gru"]), st.integers(2, 8), st.integers(0, 9), seeds, st.data())
@settings(max_examples=25)
def test_saliency_of_some_places_and_distances(
    name: str, steps: int, furthest: int, seed: int, data: st.DataObject
) -> None:
    net = network(name, [3], seed)
    ids = ids_of(net, "abcdeabc"[:steps])
    places = data.draw(st.lists(st.integers(0, steps - 2), unique=True, min_size=1).map(sorted))
    some, every = saliency(net, ids, places, furthest=furthest), saliency(net, ids)
    width = some.inputs.shape[1]
    assert width == min(furthest, max(places)) + 1
    np.testing.assert_allclose(some.inputs, every.inputs[places, :width], rtol=1e-12)
    for key, values in some.states.items():
        np.testing.assert_allclose(values, every.states[key][places, :width], rtol=1e-12)


def test_contributions_table_and_unknown_weights() -> None:
    net = network("lstm", [3], 0)
    ids = ids_of(net, "abcde")
    by_step = contributions(net, ids)
    table = by_step.table()
    assert len(table) == 5 * len(by_step.deltas)
    of_forget_bias = by_step.table(["layers.0.biases.f"])
    np.testing.assert_allclose(of_forget_bias["share"].sum(), 1.0, rtol=1e-12)
    assert of_forget_bias.about["losses"] == 4
    with pytest.raises(StudyError, match="got 'W'"):
        by_step.total("W")
    for places in ([4], [-1], [9]):
        with pytest.raises(StudyError, match="from 0 to 3"):
            saliency(net, ids, places)


def test_contributions_without_any_loss() -> None:
    net = network("lstm", [3], 0)
    by_step = contributions(net, ids_of(net, "a"))
    assert by_step.losses.sum() == 0
    assert not by_step.total("layers.0.biases.f").any()
    assert np.isnan(by_step.along("layers.0.biases.f")).all()
    assert saliency(net, ids_of(net, "a")).inputs.size == 0
