"""The memory horizon: on curves and networks with a known memory, and against whole runs with a replaced character."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import Network, Vocabulary
from gatescope.network import predict
from gatescope.sources import RecordingError
from gatescope.studies import StudyError, horizon
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.gradients.jacobians import exact
from gatescope.studies.horizon import crossing, influence
from tests.networks import EACH_CELL, network, seeds

TEXT = "abcdeabbcedaeecbdacb" * 3


def ids_of(net: Network, text: str) -> np.ndarray:
    return net.configuration.vocabulary.encode(text)


# --- curves ----------------------------------------------------------------------------------------------------------


@given(st.floats(0.05, 0.95), st.floats(0.02, 0.9), st.floats(1e-6, 1e6))
def test_crossing_of_an_exponential(factor: float, share: float, size: float) -> None:
    curve = size * factor ** np.arange(200)
    expected = math.log(share) / math.log(factor)
    np.testing.assert_allclose(crossing(curve, share), expected if expected <= 199 else math.inf, rtol=1e-9)


def test_crossing_of_curves_by_hand() -> None:
    assert crossing(np.array([1.0, 0.5, 0.25]), 0.5) == 1.0
    assert crossing(np.array([1.0, 2.0, 0.5, 3.0, 0.1]), 0.5) == 2.0  # the first crossing counts
    # Between the distances 1 and 2 the curve falls as 4, 2, 1, 1/2, 1/4.
    assert crossing(np.array([1.0, 4.0, 0.25]), 0.5) == pytest.approx(1.75)
    assert crossing(np.array([8.0, 0.0]), 0.01) == 1.0
    assert crossing(np.array([8.0, 7.0]), 0.5) == math.inf
    assert crossing(np.array([8.0]), 0.5) == math.inf
    assert math.isnan(crossing(np.array([0.0, 0.0]), 0.5))
    assert math.isnan(crossing(np.array([math.nan, 1.0]), 0.5))
    several = np.array([[1.0, 0.0, 8.0], [0.5, 1.0, 7.0]])
    np.testing.assert_array_equal(crossing(several, 0.5), [1.0, math.nan, math.inf])
    assert crossing(np.empty((3, 0)), 0.5).shape == (0,)


# --- replaced characters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EACH_CELL)
def test_influence_equals_whole_runs(name: str) -> None:
    net = exact(network(name, [3, 2], 4))
    ids = ids_of(net, "abcadbecaa")
    measured = influence(net, ids, furthest=6, seed=3)
    assert measured.places.tolist() == list(range(10))
    before = predict(net, [ids])[0]
    for row, place in enumerate(measured.places):
        other = ids.copy()
        other[place] = measured.replaced[row]
        assert other[place] != ids[place]
        after = predict(net, [other])[0]
        for distance in range(7):
            step = place + distance
            if step >= len(ids):
                assert math.isnan(measured.divergence[row, distance])
                continue
            expected = sum(math.exp(p) * (p - q) for p, q in zip(before[step], after[step], strict=True))
            np.testing.assert_allclose(measured.divergence[row, distance], expected, rtol=1e-9, atol=1e-14)


@given(st.text("abcde?", min_size=1, max_size=6), seeds, st.integers(0, 8), st.data())
@settings(max_examples=25)
def test_influence_of_any_places(text: str, seed: int, furthest: int, data: st.DataObject) -> None:
    net = network("lstm", [2], 1)
    ids = ids_of(net, text)
    places = data.draw(st.lists(st.integers(0, len(ids) - 1)))
    measured = influence(net, ids, places, furthest=furthest, seed=seed)
    assert measured.divergence.shape == (len(places), min(furthest, len(ids) - 1) + 1)
    assert (measured.replaced != ids[places]).all() if places else True
    assert (measured.divergence[~np.isnan(measured.divergence)] >= 0).all()


def test_influence_draws_by_frequency() -> None:
    net = network("lstm", [2], 1)
    ids = ids_of(net, "a" + "b" * 29 + "c" * 10)
    drawn = influence(net, ids, [0] * 2000, furthest=0).replaced
    assert set(drawn) == {1, 2}
    assert abs((drawn == 1).mean() - 29 / 39) < 4 * math.sqrt(29 / 39 * 10 / 39 / 2000)
    alone = influence(net, ids_of(net, "aaaa"), [1] * 50, furthest=0).replaced
    assert set(alone) == {1, 2, 3, 4}


def test_influence_refuses_invalid_steps() -> None:
    net = network("lstm", [2], 1)
    with pytest.raises(StudyError, match="from 0 to 2"):
        influence(net, ids_of(net, "abc"), [3])
    lonely = network("lstm", [2], 1, Vocabulary(("a",)))
    with pytest.raises(StudyError, match="one symbol only"):
        influence(lonely, np.zeros(3, np.int32))


# --- networks --------------------------------------------------------------------------------------------------------


def leaky(share: float, size: float = 1e-4) -> Network:
    """Make a minGRU with a constant gate: the state retains this share at every step, and inputs have small weights."""
    net = network("mingru", [4], 2)
    with torch.no_grad():
        parameters = net.parameters_of(0)
        gate, candidate = (net.configuration.layers[0].cell.tape.input_drives.index(k) for k in "zn")
        parameters.input_weights[gate] = 0.0
        parameters.biases[gate] = math.log((1 - share) / share)  # z = 1 - share
        parameters.input_weights[candidate] *= size
    return net


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
def test_horizon_of_a_known_memory(share: float) -> None:
    """Every gradient falls by the same factor at every step, and so does the root of every small change."""
    measured = horizon.horizon(leaky(share), 4 * TEXT, furthest=50, samples=30)
    table = measured.table()
    falls = {"1/e": -1 / math.log(share), "1 %": math.log(0.01) / math.log(share)}
    for name, distance in falls.items():
        expected = distance if distance <= 50 else math.inf
        exactly = table.take(np.flatnonzero(np.isin(table["measure"], ["gradient", "median neuron"])))
        np.testing.assert_allclose(exactly[name], expected, rtol=1e-6)  # weights are float32 numbers
        np.testing.assert_allclose(measured.by_neuron()[name], expected, rtol=1e-5)  # stored in float32
        # The median over places is as exact as the linear approximation of a small change.
        np.testing.assert_allclose(table.where(measure="root of change")[name], expected, rtol=2e-2)
    half = table.where(measure="change")["1/e"]
    np.testing.assert_allclose(half, -0.5 / math.log(share), rtol=2e-2)


def test_horizon_medians_over_all_places() -> None:
    net = network("lstm", [4, 3], 5)
    measured = horizon.horizon(net, TEXT, furthest=4, samples=1000)
    assert (measured.places, measured.changed) == (59, 60)
    ids = ids_of(net, TEXT)
    every = saliency(net, ids, furthest=4, neurons=True)
    np.testing.assert_allclose(measured.gradient, np.nanmedian(every.inputs, 0), rtol=1e-12)
    for key, values in every.states.items():
        np.testing.assert_allclose(measured.states[key], np.nanmedian(values, 0), rtol=1e-12)
        np.testing.assert_allclose(measured.neurons[key], np.nanmedian(every.neurons[key], 0), rtol=1e-6)
    assert measured.curves()["layer1 c"].tolist() == measured.states["layer1", "c"].tolist()
    assert len(measured.by_neuron()) == 14


def test_horizon_places_reach_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    places_seen: list[list[int]] = []

    def watched(net: Network, ids: np.ndarray, places: list[int], **settings: object) -> object:
        places_seen.append(places)
        return saliency(net, ids, places, furthest=10, neurons=True)

    monkeypatch.setattr(horizon, "saliency", watched)
    horizon.horizon(network("gru", [2], 0), TEXT, furthest=10, samples=20)
    (places,) = places_seen
    assert len(set(places)) == 20
    assert min(places) >= 10


def test_horizon_uses_places_of_exactly_that_distance() -> None:
    """In a text of 60 steps, 49 steps have a next symbol and at least 10 steps before them."""
    net = network("gru", [2], 0)
    measured = horizon.horizon(net, TEXT, furthest=10, samples=49)
    expected = saliency(net, ids_of(net, TEXT), list(range(10, 59)), furthest=10).inputs
    assert expected.shape[:2] == (49, 11)
    np.testing.assert_allclose(measured.gradient, np.median(expected, axis=0), rtol=1e-12)


def test_median_neuron_of_two_is_the_slower_one() -> None:
    """If one neuron forgets at once and the other never, the median neuron remembers for ever."""
    curves = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    impulse = np.array([1.0, 0.0, 0.0])
    measured = horizon.Horizon(
        impulse, impulse, {("layer0", "h"): impulse}, {("layer0", "h"): curves}, places=1, changed=1
    )
    assert measured.by_neuron()["1/e"].tolist() == [1.0, math.inf]
    assert measured.table().where(measure="median neuron")["1/e"].tolist() == [math.inf]


def test_horizon_of_a_feedforward_network_is_zero() -> None:
    measured = horizon.horizon(network("feedforward", [3], 1), TEXT, furthest=5)
    assert not measured.gradient[1:].any()
    assert not measured.change[1:].any()
    assert (measured.table()["1/e"] == 1.0).all()


@given(st.lists(st.text("abcde", min_size=1, max_size=6), min_size=1, max_size=4), seeds)
@settings(max_examples=15)
def test_horizon_of_short_sequences(texts: list[str], seed: int) -> None:
    net = network("gru", [2], seed)
    sequences = [ids_of(net, text) for text in texts]
    if max(map(len, sequences)) == 1:
        with pytest.raises(StudyError, match="at least 2 steps, got only sequences of one step"):
            horizon.horizon(net, sequences)
        return
    measured = horizon.horizon(net, sequences, seed=seed)
    assert len(measured.gradient) == max(map(len, sequences)) - 1
    assert measured.places == sum(len(ids) - 1 for ids in sequences)
    assert not np.isnan(measured.gradient).any()


def test_horizon_same_seed_gives_same_curves() -> None:
    net = network("lstm", [3], 0)
    first, second = (horizon.horizon(net, TEXT, furthest=8, samples=10, seed=4) for _ in range(2))
    assert first.table().to_json() == second.table().to_json()
    assert first.table().about == {"places": 10, "changed": 10, "furthest": 8}


def test_horizon_refuses_invalid_arguments() -> None:
    net = network("lstm", [2], 0)
    with pytest.raises(StudyError, match="largest distance: expected at least 1, got 0"):
        horizon.horizon(net, TEXT, furthest=0, samples=5)
    with pytest.raises(StudyError, match="at least one step whose target"):
        horizon.horizon(net, "a??")
    with pytest.raises(RecordingError, match="nothing to record"):
        horizon.horizon(net, "")
