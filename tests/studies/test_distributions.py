"""Distributions of signals against NumPy on the flat values."""

from __future__ import annotations

import numpy as np
import pytest

import gatescope
from gatescope.studies import StudyError
from gatescope.studies.distributions import ALL_NEURONS, distributions, moments
from gatescope.trace import Trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Record three sequences of different lengths, so that two have padding."""
    vocabulary = gatescope.Vocabulary(tuple("aXb\n"), "\n")
    network = gatescope.Network(gatescope.configure(vocabulary, "lstm", [5, 3]), seed=3)
    return gatescope.record(network, "aaXbb\naXb\naaaaaaXbb\n")


def _flat(trace: Trace, layer: str, signal: str) -> np.ndarray:
    """Return the values of a signal without padding, (P, N)."""
    array = np.asarray(trace[layer][signal], dtype=np.float64)
    return np.concatenate([array[k, :n] for k, n in enumerate(trace.lengths.tolist())])


def test_distributions_count_what_numpy_counts(trace: Trace) -> None:
    """Every histogram equals numpy.histogram over the same edges; padding is not counted."""
    table = distributions(trace, bins=7, by_neuron=True)
    for layer in ("layer0", "layer1"):
        for signal in ("i", "f", "g", "o", "c", "h"):
            values = _flat(trace, layer, signal)
            for neuron in (ALL_NEURONS, *range(values.shape[1])):
                part = table.where(layer=layer, signal=signal, neuron=neuron)
                own = values if neuron == ALL_NEURONS else values[:, neuron]
                edges = np.append(part["low"], part["high"][-1])
                expected, _ = np.histogram(own, bins=edges)
                assert part["count"].tolist() == expected.tolist()
                assert part["count"].sum() == own.size
                np.testing.assert_allclose(part["share"], expected / own.size)


def test_distributions_span_the_range_of_a_gate(trace: Trace) -> None:
    """Bins of a gate go from 0 to 1 and those of a candidate from -1 to 1, whatever its values."""
    table = distributions(trace, signals=["f", "g"], bins=4)
    for signal, ends in (("f", (0.0, 1.0)), ("g", (-1.0, 1.0))):
        part = table.where(layer="layer0", signal=signal)
        assert (part["low"][0], part["high"][-1]) == ends


def test_moments_equal_numpy(trace: Trace) -> None:
    """Mean, deviation and extremes equal NumPy's on the flat values, of a layer and of each neuron."""
    table = moments(trace, by_neuron=True)
    for layer, signal in (("layer0", "c"), ("layer1", "h")):
        values = _flat(trace, layer, signal)
        for neuron in (ALL_NEURONS, *range(values.shape[1])):
            (row,) = table.where(layer=layer, signal=signal, neuron=neuron)
            own = values if neuron == ALL_NEURONS else values[:, neuron]
            expected = (own.mean(), own.std(), own.min(), own.max(), own.size)
            measured = tuple(row[name] for name in ("mean", "deviation", "smallest", "largest", "values"))
            np.testing.assert_allclose(measured, expected, rtol=1e-12)


def test_moments_of_values_far_from_zero_do_not_cancel() -> None:
    """The deviation stays exact when the mean is 10^8 times as large, over several pieces of a long sequence."""
    values = 1e8 + np.random.default_rng(0).standard_normal((1, 5000, 1000))
    trace = Trace(
        lengths=np.array([5000]),
        steps={"token": np.zeros((1, 5000), np.int32)},
        layers={"layer0": {"c": values}},
        initial={},
        parameters={},
        attributes={"layers": {"layer0": {"arrays": {}}}},
    )
    (row,) = moments(trace)
    assert row["deviation"] == pytest.approx(values.std(), rel=1e-7)


def test_moments_count_nonfinite_values_apart(trace: Trace) -> None:
    """NaN and infinity are in no bin and in `not_finite`."""
    array = np.array(trace["layer0"]["c"], dtype=np.float64)
    array[0, 0, 0], array[1, 1, 2] = np.nan, np.inf
    changed = Trace(
        trace.lengths, trace.steps, {"layer0": {"c": array}}, trace.initial, trace.parameters, trace.attributes
    )
    (row,) = moments(changed)
    assert row["not_finite"] == 2
    assert distributions(changed, bins=3)["count"].sum() == row["values"] == trace.lengths.sum() * 5 - 2
    assert np.isfinite(row["mean"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bins": 0}, "Number of bins: expected at least 1, got 0."),
        ({"signals": ["q"]}, "Signal of the trace: expected one of"),
        ({"bins": 3_000_000}, "expected at most 2,000,000 rows"),
    ],
)
def test_distributions_refuse_invalid_arguments(trace: Trace, options: dict, sentence: str) -> None:
    with pytest.raises(StudyError, match=sentence):
        distributions(trace, **options)
