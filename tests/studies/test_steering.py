"""Steering: the text written while a neuron is held, by networks whose weights determine that text."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import Choice, Network, Vocabulary, clamp, configure, sample
from gatescope.features import Family, Feature, FeatureError
from gatescope.readout import classes
from gatescope.sampling import SamplingError
from gatescope.studies import StudyError, Table
from gatescope.studies.common.resampling import resampled
from gatescope.studies.steering import steer
from tests.networks import network, seeds


def is_a(text: str) -> np.ndarray:
    return np.array([character == "a" for character in text], bool)


def latch() -> Network:
    """Make a network whose neuron 0 holds the sign of the first symbol for ever, and which writes that symbol only."""
    net = Network(configure(Vocabulary(tuple("ab")), "elman", (2,))).double()
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        net.parameters_of(0).input_weights[0, 0] = torch.tensor([1.0, -1.0])
        net.parameters_of(0).recurrent_weights[0, 0, 0] = 9.0
        net.readout_weights[:, 0] = torch.tensor([50.0, -50.0])
    return net


def test_steering_a_latch_decides_the_text() -> None:
    table = steer(latch(), 0, "h", 0, [1.0, -1.0], prime="b", feature=is_a, samples=5, length=30)
    assert table["feature"].tolist() == ["is_a"] * 3
    np.testing.assert_array_equal(table["value"], [math.nan, 1, -1])
    assert table["share"].tolist() == [0, 1, 0]
    assert table["texts"].tolist() == [0, 1, 0]
    assert table["change"].tolist() == [0, 1, 0]
    assert table["example"].tolist() == ["b" * 30, "a" * 30, "b" * 30]
    assert table["characters"].tolist() == [150] * 3
    for name in ("share", "texts", "change"):  # all texts are equal, so all draws are
        assert table[f"{name}_low"].tolist() == table[f"{name}_high"].tolist() == table[name].tolist()


def test_steering_an_unused_neuron_changes_nothing() -> None:
    net = latch()
    with torch.no_grad():
        net.readout_weights.div_(200)  # now both symbols are written
    table = steer(net, 0, "h", 1, [-3.0, 5.0], prime="a", feature=is_a, samples=8, length=50)
    assert 0 < table["share"][0] < 1
    assert len(set(table["example"])) == 1
    assert table["change"].tolist() == [0, 0, 0]
    assert table["change_low"].tolist() == table["change_high"].tolist() == [0, 0, 0]


def test_steering_between_values_writes_both() -> None:
    """The logits are 50 v and -50 v, so a has the probability 1 / (1 + exp(-100 v)) at every step."""
    values = [-0.02, 0.0, 0.01]
    table = steer(latch(), 0, "h", 0, values, prime="a", feature=is_a, samples=40, length=50, seed=1)
    for value, row in zip(values, list(table)[1:], strict=True):
        p = 1 / (1 + math.exp(-100 * value))
        error = math.sqrt(p * (1 - p) / 2000)
        assert abs(row["share"] - p) < 4 * error
        assert row["share_high"] - row["share_low"] == pytest.approx(2 * 1.96 * error, rel=0.3)


def test_steering_holds_only_the_chosen_steps() -> None:
    """The prime has 3 steps, so holding step 7 makes the sixth written symbol and all later ones a."""
    table = steer(latch(), 0, "h", 0, [1.0], prime="bbb", feature=is_a, samples=2, length=12, steps=slice(7, 8))
    assert table["example"].tolist() == ["b" * 12, "b" * 5 + "a" * 7]


@given(seeds, st.text("abcde", max_size=4), st.lists(st.floats(-3, 3), max_size=3), st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_steered_texts_equal_single_samples(seed: int, prime: str, values: list[float], samples: int) -> None:
    net, choice = network("lstm", (4,), seed), Choice(0.8, top_k=4)
    table = steer(
        net,
        0,
        "c",
        1,
        values,
        prime=prime,
        feature=is_a,
        samples=samples,
        length=9,
        choice=choice,
        stop="d",
        seed=seed,
    )
    assert len(table) == len(values) + 1
    for row, held in zip(table, [[], *[[clamp(0, "c", 1, value)] for value in values]], strict=True):
        texts = [
            "".join(sample(net, prime, length=9, choice=choice, stop="d", seed=seed + k, interventions=held))
            for k in range(samples)
        ]
        assert row["example"] == texts[0]
        assert row["characters"] == sum(map(len, texts))
        assert row["share"] == pytest.approx("".join(texts).count("a") / sum(map(len, texts)), rel=1e-12)
        assert row["texts"] == pytest.approx(sum("a" in text for text in texts) / samples, rel=1e-12)


def test_steering_intervals_equal_a_plain_loop() -> None:
    net, values, samples = network("gru", (4,), 4), [-1.0, 2.0], 7
    table = steer(net, 0, "h", 2, values, prime="c", feature=is_a, samples=samples, length=20, stop="e", draws=60)
    texts = [
        ["".join(sample(net, "c", length=20, stop="e", seed=k, interventions=held)) for k in range(samples)]
        for held in ([], *[[clamp(0, "h", 2, value)] for value in values])
    ]
    assert len({len(text) for row in texts for text in row}) > 1
    drawn: list[list[tuple[float, float, float]]] = [[], [], []]
    for times in resampled(samples, 60, 0):
        taken = [k for k in range(samples) for _ in range(int(times[k]))]
        first = 0.0
        for v, row in enumerate(texts):
            whole = "".join(row[k] for k in taken)
            share = whole.count("a") / len(whole)
            first = share if v == 0 else first
            drawn[v].append((share, sum("a" in row[k] for k in taken) / samples, share - first))
    for v, row in enumerate(table):
        for k, name in enumerate(("share", "texts", "change")):
            ends = np.percentile([draw[k] for draw in drawn[v]], [2.5, 97.5])
            np.testing.assert_allclose([row[f"{name}_low"], row[f"{name}_high"]], ends, rtol=1e-12, atol=1e-12)


def test_steering_counts_after_the_prime() -> None:
    def features(text: str) -> list[Feature]:
        first = np.array([character == text[0] for character in text])
        kind = np.array(["ab".index(character) for character in text], np.int16)
        return [
            Feature("test.first", "as the first of the text", first),
            Feature("test.place", "place", np.arange(len(text), dtype=np.float32)),
            Feature("test.kind", "which", kind, ("a", "b")),
        ]

    table = steer(latch(), 0, "h", 0, [-1.0], prime="aab", feature=Family("test", "", features), samples=2, length=5)
    assert table["feature"].tolist() == ["test.first", "test.kind=a", "test.kind=b"] * 2
    assert table["share"].tolist() == [1, 1, 0, 0, 0, 1]
    assert table.about["left_out"] == ["test.place"]
    back = Table.from_json(json.loads(json.dumps(table.to_json(), allow_nan=False)))
    for name, column in table.columns.items():
        np.testing.assert_array_equal(back[name], column)


def test_steering_counts_empty_texts() -> None:
    single = steer(latch(), 0, "h", 0, [], prime="a", feature=is_a, samples=1, length=4)
    assert single["share"].tolist() == [1]
    assert np.isnan(single["share_low"]).all()
    nothing = steer(latch(), 0, "h", 0, [1.0], prime="a", feature=is_a, samples=3, length=0)
    assert np.isnan(nothing["share"]).all()
    assert np.isnan(nothing["share_high"]).all()
    assert nothing["texts"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layer": 1}, "expected one of layer0, got 1"),
        ({"signal": "c"}, "Signal of layer0: expected one of h, got 'c'"),
        ({"neuron": 2}, "Neuron of layer0: expected a number from 0 to 1, got 2"),
        ({"values": [math.nan]}, "finite"),
        ({"samples": 0}, "samples: expected at least 1, got 0"),
        ({"draws": 0}, "draws: expected at least 1, got 0"),
    ],
)
def test_steering_refuses_invalid_arguments(changes: dict[str, Any], words: str) -> None:
    arguments = {"network": latch(), "layer": 0, "signal": "h", "neuron": 0, "values": [1.0], "prime": "a"}
    with pytest.raises(StudyError, match=words):
        steer(**{**arguments, "feature": is_a, **changes})


def test_steering_refuses_unsuitable_functions() -> None:
    functions: list[tuple[Any, str]] = [
        (lambda text: np.ones(len(text)), "float64"),
        (lambda _: np.ones(2, bool), "got 2"),
    ]
    for function, words in functions:
        with pytest.raises(FeatureError, match=words):
            steer(latch(), 0, "h", 0, [1.0], prime="a", feature=function, length=3)
    with pytest.raises(SamplingError, match="cannot write"):
        steer(network("elman", (2,), readout=classes("abc")), 0, "h", 0, [1.0], prime="a", feature=is_a)
