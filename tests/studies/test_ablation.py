"""Ablation: the batched pass equals a run per neuron, and the intervals equal a plain bootstrap."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gatescope import Intervention, Network, Vocabulary, configure
from gatescope.features import Feature
from gatescope.readout import Readout, classes
from gatescope.sources import RecordingError
from gatescope.studies import StudyError, Table
from gatescope.studies.ablation import ablation
from gatescope.studies.common import ablated_losses
from gatescope.studies.common.resampling import interval, resampled
from tests.networks import cells, network, seeds

SYMBOLS = 5  # of the alphabet of tests.networks
CONDITIONS = ("on", "off", "difference")


def losses(net: Network, ids: np.ndarray, *held: Intervention) -> list[float | None]:
    """Return -log p of each next symbol of a single sequence; None where there is no target."""
    with torch.no_grad():
        log_probs = net(torch.from_numpy(ids).long().unsqueeze(1), interventions=held).logits[:, 0].log_softmax(1)
    following = [*ids[1:].tolist(), -1]
    return [-float(log_probs[t, k]) if 0 <= k < SYMBOLS else None for t, k in enumerate(following)]


def mean_of(net: Network, sequences: Sequence[np.ndarray], layer: int, signal: str, neuron: int) -> float:
    values: list[float] = []
    for ids in sequences:
        keep = [(signal,) if k == layer else () for k in range(len(net.configuration.layers))]
        with torch.no_grad():
            recorded = net(torch.from_numpy(ids).long().unsqueeze(1), keep=keep).signals[layer][signal]
        values += recorded[:, 0, neuron].tolist()
    return math.fsum(values) / len(values)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def expected(
    changes: list[tuple[int, float, bool]], units: int, draws: int, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Return the means and intervals of (unit, change, whether the feature is on) by a plain bootstrap over units."""
    by_unit: list[list[tuple[float, bool]]] = [[] for _ in range(units)]
    for unit, change, on in changes:
        by_unit[unit].append((change, on))

    def means(taken: Sequence[int]) -> tuple[float, float, float]:
        steps = [step for unit in taken for step in by_unit[unit]]
        on, off = mean([c for c, is_on in steps if is_on]), mean([c for c, is_on in steps if not is_on])
        return on, off, on - off

    drawn = []
    for times in resampled(units, draws, seed):
        drawn.append(means([unit for unit in range(units) for _ in range(int(times[unit]))]))
    results = {}
    for k, (name, value) in enumerate(zip(CONDITIONS, means(range(units)), strict=True)):
        values = [draw[k] for draw in drawn if not math.isnan(draw[k])]
        enough = units > 1 and values
        low, high = np.percentile(values, [2.5, 97.5]) if enough else (math.nan, math.nan)
        results[name] = (value, float(low), float(high))
    return results


STEPS = st.sampled_from([slice(None), slice(2, None), slice(1, 30, 3), slice(4, 5)])


@given(
    cell=cells,
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    to=st.sampled_from(["zero", "mean", 0.5]),
    data=st.data(),
    steps=STEPS,
    seed=seeds,
)
@settings(max_examples=25, phases=(Phase.generate,), deadline=None)
def test_ablation_equals_each_neuron_held_alone(
    cell: Any, lengths: list[int], to: Any, data: st.DataObject, steps: slice, seed: int
) -> None:
    random = np.random.default_rng(seed)
    net = network(cell, (3, 4), seed).double()
    sequences = [random.integers(0, SYMBOLS + 1, length).astype(np.int32) for length in lengths]
    layer = data.draw(st.integers(0, 1))
    signal = data.draw(st.sampled_from(cell.signals))
    on = random.random(sum(lengths)) < 0.4
    with pytest.MonkeyPatch.context() as patch:  # small sizes, so that there are many pieces, groups and chunks
        for name, values in (("BATCH_ROWS", [2, 256]), ("CHUNK_VALUES", [1, 999]), ("GROUP_SEQUENCES", [2, 64])):
            patch.setattr(ablated_losses, name, data.draw(st.sampled_from(values)))
        patch.setattr("gatescope.network.PASS_STEPS", data.draw(st.sampled_from([7, 999])))
        table = ablation(
            net, sequences, layer, signal, to=to, features=[Feature("f.on", "", on)], steps=steps, draws=20, block=6
        )
    units = [0 * t + k for k, ids in enumerate(sequences) for t in range(len(ids))]
    if len(sequences) == 1:
        units = [t // 6 for t in range(lengths[0])]
    before = [loss for ids in sequences for loss in losses(net, ids)]
    for neuron in range((3, 4)[layer]):
        held = mean_of(net, sequences, layer, signal, neuron) if to == "mean" else 0.0 if to == "zero" else to
        change = Intervention(net.configuration.names[layer], signal, neuron, steps, 0.0, held)
        after = [loss for ids in sequences for loss in losses(net, ids, change)]
        for feature, values in (("", np.ones_like(on)), ("f.on", on)):
            (row,) = table.where(neuron=neuron, feature=feature)
            changes = [
                (unit, a - b, bool(is_on))
                for unit, a, b, is_on in zip(units, after, before, values, strict=True)
                if a is not None and b is not None
            ]
            assert row["held"] == pytest.approx(held, rel=1e-12, abs=1e-12)
            assert (row["steps_on"], row["steps_off"]) == tuple(
                sum(is_on == state for *_, is_on in changes) for state in (True, False)
            )
            losses_before = [(b, bool(is_on)) for b, is_on in zip(before, values, strict=True) if b is not None]
            for name, state in (("loss_on", True), ("loss_off", False)):
                expectation = mean([b for b, is_on in losses_before if is_on == state])
                assert row[name] == pytest.approx(expectation, rel=1e-12, nan_ok=True)
            for name, numbers in expected(changes, units[-1] + 1, 20, 0).items():
                measured = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
                np.testing.assert_allclose(measured, numbers, rtol=1e-10, atol=1e-12)


def test_ablation_in_float32_equals_single_runs() -> None:
    net = network("lstm", (6, 5), 3)
    ids = np.random.default_rng(0).integers(0, SYMBOLS, 300).astype(np.int32)
    table = ablation(net, [ids], 1, "c", draws=1)
    before = np.array(losses(net, ids)[:-1], float)
    for row in table:
        after = np.array(losses(net, ids, Intervention(1, "c", row["neuron"], shift=row["held"]))[:-1], float)
        assert row["on"] == pytest.approx((after - before).mean(), abs=1e-6)


def by_hand(weight: float = 1.5) -> Network:
    """Make a network: neuron 0 is tanh(2) after a, -tanh(2) after b, and favours that symbol; nothing reads 1."""
    net = Network(configure(Vocabulary(tuple("ab")), "elman", (2,))).double()
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        net.parameters_of(0).input_weights[0, 0] = torch.tensor([2.0, -2.0])
        net.parameters_of(0).input_weights[0, 1] = torch.tensor([1.0, 0.5])
        net.readout_weights[:, 0] = torch.tensor([weight, -weight])
    return net


def test_ablation_of_a_known_neuron_equals_its_loss() -> None:
    text = "aaabaabbba" * 3
    after_a = Feature("test.a", "after a", np.array([character == "a" for character in text]))
    table = ablation(by_hand(), text, 0, features=[after_a], to="zero", block=5)
    # The network repeats the last symbol with the probability 1 / (1 + exp(-3 tanh 2)); without the neuron, one half.
    right = math.log(1 + math.exp(-3 * math.tanh(2)))
    wrong = math.log(1 + math.exp(3 * math.tanh(2)))
    pairs = list(pairwise(text))
    for feature, where in (("", "ab"), ("test.a", "a")):
        (row,) = table.where(neuron=0, feature=feature)
        loss = mean([right if symbol == next_ else wrong for symbol, next_ in pairs if symbol in where])
        assert row["loss_on"] == pytest.approx(loss, rel=1e-12)
        assert row["on"] == pytest.approx(math.log(2) - loss, rel=1e-12)
        assert row["on_low"] < row["on"] < row["on_high"]
    assert row["difference"] == pytest.approx(row["on"] - row["off"], rel=1e-12)
    for row in table.where(neuron=1):
        assert row["on"] == 0
        assert row["on_low"] == row["on_high"] == 0


def test_ablation_at_the_own_value_changes_nothing() -> None:
    table = ablation(by_hand(), "a" * 20, 0, to="mean", neurons=[0])
    assert table["held"].tolist() == pytest.approx([math.tanh(2)], rel=1e-12)
    assert table["on"].tolist() == pytest.approx([0], abs=1e-12)


def test_ablation_changes_only_the_chosen_steps() -> None:
    net = by_hand()
    last = Feature("test.last", "", np.arange(20) >= 15)
    (row,) = ablation(net, "a" * 20, 0, to="zero", neurons=[0], features=[last], steps=slice(-5, None)).where(
        feature="test.last"
    )
    assert row["off"] == 0
    assert row["on"] == pytest.approx(math.log(2) - math.log(1 + math.exp(-3 * math.tanh(2))), rel=1e-12)


def test_ablation_of_features_of_each_kind() -> None:
    category = Feature("kind", "kind", np.array([0, 1, -1, 1, 0, 0], np.int16), ("x", "y"))
    count = Feature("count", "", np.arange(6, dtype=np.float32))
    always = Feature("always", "", np.ones(6, bool))
    table = ablation(by_hand(), "abaabb", 0, features=[count, category, always], block=2)
    assert table["feature"].tolist() == ["", "kind=x", "kind=y", "always"] * 2
    assert table["steps_on"].tolist() == [5, 2, 2, 5] * 2  # the last step has no target
    assert table.about["left_out"] == ["count"]
    assert table.about["features"] == {"kind=x": "kind: x", "kind=y": "kind: y", "always": "always" * 0}
    for row in table.where(feature="always"):
        assert math.isnan(row["off"])
        assert math.isnan(row["difference_low"])
        assert not math.isnan(row["on_low"])


def test_ablation_of_layers_equals_each_layer_alone() -> None:
    net, text = network("lstm", (3, 2), 1), "abcde" * 9
    feature = Feature("f.on", "", np.arange(45) % 3 == 0)
    table = ablation(net, text, features=[feature], draws=20, block=5)
    alone = [ablation(net, text, layer, features=[feature], draws=20, block=5) for layer in (0, 1)]
    assert table.about["layers"] == ["layer0", "layer1"]
    assert [part.about["layers"] for part in alone] == [["layer0"], ["layer1"]]
    for name, column in table.columns.items():
        np.testing.assert_array_equal(column, np.concatenate([part[name] for part in alone]))
    assert ablation(net, text, ["layer1", 1], draws=1)["layer"].tolist() == ["layer1"] * 2
    with pytest.raises(StudyError, match="at least one layer"):
        ablation(net, text, [])


def test_ablation_neuron_features_have_own_rows() -> None:
    net, text = network("lstm", (2, 1), 1), "abcde" * 9
    shared, first, second = (Feature(f"f.{k}", f"{k}", np.arange(45) % k == 0) for k in (2, 3, 5))
    own = {("layer0", 1): first, ("layer1", 0): second}
    table = ablation(net, text, features=[shared], neuron_features=own, draws=20, block=5)
    assert list(zip(table["layer"], table["neuron"].tolist(), table["feature"], strict=True)) == [
        *[("layer0", 0, name) for name in ("", "f.2")],
        *[("layer0", 1, name) for name in ("", "f.2", "f.3")],
        *[("layer1", 0, name) for name in ("", "f.2", "f.5")],
    ]
    assert table.about["features"] == {"f.2": "2", "f.3": "3", "f.5": "5"}
    shared_by_all = ablation(net, text, features=[shared, first, second], draws=20, block=5)
    for row in table:
        (same,) = shared_by_all.where(layer=row["layer"], neuron=row["neuron"], feature=row["feature"])
        np.testing.assert_equal(row, same)


def test_ablation_of_one_step_or_no_neuron() -> None:
    alone = ablation(by_hand(), "a", 0)
    assert alone["steps_on"].tolist() == [0, 0]
    assert np.isnan(alone["on"]).all()
    assert len(ablation(by_hand(), "ab", 0, neurons=[])) == 0
    short = ablation(by_hand(), "aab", 0, neurons=[0, 0])  # one block, so there is nothing to resample
    assert len(short) == 1
    assert not np.isnan(short["on"]).any()
    assert np.isnan(short["on_low"]).all()


def test_ablation_table_survives_json_and_has_a_seed() -> None:
    net, text = network("gru", (3,), 1), "abcde" * 30
    first, same, other = (ablation(net, text, 0, block=10, seed=seed, draws=50) for seed in (1, 1, 2))
    assert first.to_json() == same.to_json()
    assert first["on"].tolist() == other["on"].tolist()
    assert first["on_low"].tolist() != other["on_low"].tolist()
    back = Table.from_json(json.loads(json.dumps(first.to_json(), allow_nan=False)))
    for name, column in first.columns.items():
        np.testing.assert_array_equal(back[name], column)


def test_ablation_disables_dropout_and_reports_progress() -> None:
    net = network("lstm", (4, 4), dropout=0.5)
    net.train()
    reports: list[tuple[int, int]] = []
    first = ablation(net, "abcab" * 9, 0, draws=1, progress=lambda done, total: reports.append((done, total)))
    assert net.training
    assert first.to_json() == ablation(net, "abcab" * 9, 0, draws=1).to_json()
    assert reports[-1] == (45 * 5, 45 * 5)
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": 1}, "expected one of layer0, got 1"),
        ({"signal": "c"}, "Signal of layer0: expected one of h, got 'c'"),
        ({"neurons": [0, 2]}, "Neuron of layer0: expected a number from 0 to 1, got 2"),
        ({"to": math.nan}, "held neuron: .* got nan"),
        ({"draws": 0}, "draws: expected at least 1, got 0"),
        ({"block": 0}, "steps of a block: expected at least 1, got 0"),
        (
            {"features": [Feature("f", "", np.ones(3, bool))]},
            "Feature f: expected one value for each of 2 steps, got 3 values",
        ),
    ],
)
def test_ablation_refuses_invalid_arguments(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        ablation(**{"network": by_hand(), "source": "ab", "layers": 0, **changes})


def test_ablation_refuses_missing_targets_and_empty_text() -> None:
    for net in (
        network("lstm", (2,), readout=Readout(reads="last step")),
        network("lstm", (2,), readout=classes("abc")),
    ):
        with pytest.raises(StudyError, match="without targets there is no loss"):
            ablation(net, "ab", 0)
    with pytest.raises(RecordingError):
        ablation(by_hand(), "", 0)


def test_intervals_cover_the_true_mean() -> None:
    """Intervals at 95 % cover 380 +- 4.4 of 400 true means; percentile intervals of 100 units cover slightly fewer."""
    random = np.random.default_rng(5)
    units, sets = 100, 400
    steps_on, steps_off = random.integers(0, 9, units), random.integers(5, 30, units)
    # Steps of a unit share a component, so intervals that resample single steps would cover far less often.
    common = 0.5 * random.standard_normal((units, sets))
    noise = random.standard_normal((2, units, sets))
    on = steps_on[:, None] * (0.3 + common) + np.sqrt(steps_on)[:, None] * noise[0]
    off = steps_off[:, None] * (0.1 + common) + np.sqrt(steps_off)[:, None] * noise[1]
    sums, counts = np.stack([on + off, on], 1), np.stack([steps_on + steps_off, steps_on], 1).astype(float)
    intervals = ablated_losses.means_and_intervals(sums, counts, resampled(units, 1000, 1))
    for name, truth in (("on", 0.3), ("off", 0.1), ("difference", 0.2)):
        covered = (intervals[f"{name}_low"][1] <= truth) & (truth <= intervals[f"{name}_high"][1])
        assert 0.92 <= covered.mean() <= 0.975, name


def test_intervals_equal_scipy() -> None:
    random = np.random.default_rng(2)
    counts = np.stack([np.full(60, 10), random.integers(1, 9, 60)], 1).astype(float)
    sums = random.standard_normal((60, 2, 1)) * counts[:, :, None]
    intervals = ablated_losses.means_and_intervals(sums, counts, resampled(60, 20_000, 0))
    reference = scipy.stats.bootstrap(
        (sums[:, 1, 0], counts[:, 1], sums[:, 0, 0], counts[:, 0]),
        lambda s, n, S, N, axis: s.sum(-1) / n.sum(-1) - (S.sum(-1) - s.sum(-1)) / (N.sum(-1) - n.sum(-1)),
        paired=True,
        vectorized=True,
        axis=-1,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = reference.high - reference.low
    # Both use their own 20,000 draws, and the error of a percentile is about 0.5 % of the width.
    assert intervals["difference_low"][1, 0] == pytest.approx(reference.low, abs=0.03 * width)
    assert intervals["difference_high"][1, 0] == pytest.approx(reference.high, abs=0.03 * width)


def test_resampled_draws_with_replacement() -> None:
    weights = resampled(50, 4000, 3)
    assert weights.shape == (4000, 50)
    assert (weights.sum(1) == 50).all()
    # Each count is binomial with 50 trials of probability 1/50; the counts of a draw are negatively dependent.
    assert weights.mean(0) == pytest.approx(np.ones(50), abs=0.08)
    assert weights.var() == pytest.approx(0.98, abs=0.02)
    assert np.array_equal(weights, resampled(50, 4000, 3))
    assert not np.array_equal(weights, resampled(50, 4000, 4))
    assert (resampled(1, 3, 0) == 1).all()


def test_interval_without_draws_is_nan() -> None:
    low, high = interval(np.empty((0, 3)))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    low, high = interval(np.arange(1001.0)[:, None])
    assert (low[0], high[0]) == pytest.approx((25, 975))
