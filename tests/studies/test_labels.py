"""Labels: planted features are found, noise is not, and the size of the blocks makes no difference."""

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from gatescope import Network, Trace, record
from gatescope.features import Feature, of_arrays
from gatescope.studies import Steps, StudyError
from gatescope.studies.common import label_search
from gatescope.studies.common.table import Table
from gatescope.studies.labels import Search, best_binary_features, binary_labels, labels
from tests.studies import handmade
from tests.studies.planted import planted

LENGTH = 4000
QUICK = Search(chances=1000)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return record(handmade.network(), handmade.text(LENGTH, 1), drives=False)


@pytest.fixture(scope="module")
def features() -> list[Feature]:
    return handmade.truth(handmade.text(LENGTH, 1))


@pytest.fixture(scope="module")
def label_table(trace: Trace, features: list[Feature]) -> Table:
    return labels(trace, features, signals=["c"], search=Search(top=2, chances=2000))


def test_handmade_network_follows_its_features(trace: Trace, features: list[Feature]) -> None:
    cell_state = trace["layer0"]["c"][0]
    truth = {feature.name: feature.values.astype(float) for feature in features}
    assert np.abs(cell_state[:, handmade.COUNTER] / 0.5 - truth["planted.owed"]).max() < 1e-3
    assert np.abs(cell_state[:, handmade.DEPTH] / 0.5 - truth["planted.depth"]).max() < 1e-3
    assert np.abs(cell_state[:, handmade.SPREAD].sum(1) / 0.5 - truth["planted.spread"]).max() < 1e-3
    noise = trace["layer0"]["h"][0][:, handmade.NOISE]
    assert noise.std(0).min() > 0.1
    assert len(np.unique(noise.round(3), axis=0)) > 0.9 * LENGTH  # the noise is not constant and not periodic


@pytest.mark.parametrize(
    ("neuron", "feature", "measure"),
    [
        (handmade.COUNTER, "planted.owed", "R2"),
        (handmade.LATCH, "planted.latched", "AUROC"),
        (handmade.DEPTH, "planted.depth", "R2"),
    ],
)
def test_labels_find_planted_features(label_table: Table, neuron: int, feature: str, measure: str) -> None:
    (row,) = label_table.where(neuron=neuron, place=0)
    assert (row["feature"], row["measure"], row["lag"], row["direction"]) == (feature, measure, 0, 1)
    assert row["score"] > 0.999
    if measure == "R2":
        assert row["slope"] == pytest.approx(2, abs=1e-2)  # the neuron counts in halves
    else:
        assert row["matthews"] == 1
        assert -0.5 < row["threshold"] < 0.5


def test_labels_leave_out_noise(label_table: Table) -> None:
    assert not set(label_table["neuron"].tolist()) & set(handmade.NOISE)
    assert not [name for name in label_table["feature"] if "nothing" in name or "no_count" in name]


def test_labels_of_a_distributed_feature_are_weak(label_table: Table) -> None:
    for neuron in handmade.SPREAD:
        (row,) = label_table.where(neuron=neuron, place=0)
        assert row["feature"] == "planted.spread"
        assert row["score"] < 0.5


def test_label_scores_equal_scikit_learn(trace: Trace, features: list[Feature], label_table: Table) -> None:
    feature_values = {feature.name: feature.values for feature in features}
    half = LENGTH // 2
    for row in label_table:
        values = trace["layer0"]["c"][0, :, row["neuron"]].astype(np.float64)
        truth = np.roll(feature_values[row["feature"]].astype(float), row["lag"])[half + 10 : -10]
        values = values[half + 10 : -10]
        if row["measure"] == "AUROC":
            expected = roc_auc_score(truth, row["direction"] * values)
        else:
            expected = r2_score(truth, row["slope"] * values + row["intercept"])
        # Ten places at both ends are left out here, because np.roll mixes them.
        assert row["score"] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("neurons", [1, 5])
def test_labels_do_not_depend_on_blocks(
    trace: Trace, features: list[Feature], label_table: Table, neurons: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_search, "BLOCK_BYTES", 4 * LENGTH * neurons)
    again = labels(trace, features, signals=["c"], search=Search(top=2, chances=2000))
    assert len(again) == len(label_table)
    for name in ("score", "fit_score", "threshold", "matthews", "slope"):
        assert np.nanmax(np.abs(again[name] - label_table[name])) < 1e-9
    assert again["feature"].tolist() == label_table["feature"].tolist()


def test_labels_of_noise_keep_the_false_discovery_rate() -> None:
    rate, trials, wrong = 0.1, 40, 0
    random = np.random.default_rng(0)
    for trial in range(trials):
        # Signals and features change slowly (decaying random walks, and runs), which raises chance scores.
        noise = random.normal(size=(300, 6))
        values = np.zeros((300, 6))
        for step in range(1, 300):
            values[step] = 0.8 * values[step - 1] + noise[step]
        on = np.repeat(random.random((75, 8)) < 0.4, 4, axis=0)
        counts = np.cumsum(random.normal(size=(300, 3)), axis=0)
        arrays = {f"on{k}": on[:, k] for k in range(8)} | {f"count{k}": counts[:, k] for k in range(3)}
        trace = planted({"h": [values]}, cell="elman")
        search = Search(lags=(0, 1), rate=rate, chances=600, seed=trial)
        wrong += len(labels(trace, of_arrays("noise", arrays, {}), search=search)) > 0
    # More than 9 of 40 trials at 10 % have a probability of about 1 % (binomial).
    assert wrong <= 9


def test_labels_find_a_lag() -> None:
    random = np.random.default_rng(1)
    on = random.random(2000) < 0.3
    values = np.stack([np.roll(on, 3) + 0.1 * random.normal(size=2000), random.normal(size=2000)], axis=1)
    label_table = labels(planted({"h": [values]}, cell="elman"), of_arrays("x", {"on": on}, {}), search=QUICK)
    assert [(row["neuron"], row["lag"]) for row in label_table] == [(0, 3)]
    assert label_table["score"][0] > 0.999


def test_labels_find_a_pair_better_than_its_parts() -> None:
    random = np.random.default_rng(2)
    a, b, other = (random.random((3, 3000)) < 0.4).astype(bool)
    values = np.stack([(a & b), (a & ~b), b, random.random(3000)], axis=1) + 0.05 * random.normal(size=(3000, 4))
    trace = planted({"h": [values]}, cell="elman")
    features = of_arrays("x", {"a": a, "b": b, "other": other}, {})
    first = {row["neuron"]: row["feature"] for row in labels(trace, features, search=QUICK) if row["place"] == 0}
    assert first == {0: "x.a & x.b", 1: "x.a & not x.b", 2: "x.b"}
    alone = labels(trace, features, search=Search(pairs=False, chances=1000))
    assert not [name for name in alone["feature"] if "&" in name]


def test_labels_have_a_direction() -> None:
    random = np.random.default_rng(3)
    on = random.random(1000) < 0.3
    count = random.integers(0, 9, 1000).astype(np.float32)
    values = np.stack([-1.0 * on, -2.0 * count], axis=1) + 0.05 * random.normal(size=(1000, 2))
    label_table = labels(
        planted({"h": [values]}, cell="elman"), of_arrays("x", {"on": on, "count": count}, {}), search=QUICK
    )
    assert {(row["neuron"], row["feature"], row["direction"]) for row in label_table} == {
        (0, "x.on", -1),
        (1, "x.count", -1),
    }
    assert label_table["slope"][1] == pytest.approx(-0.5, abs=0.01)


def test_labels_refuse_invalid_arguments(trace: Trace, features: list[Feature]) -> None:
    with pytest.raises(StudyError, match=r"Signal of layer0: .*got 'r'"):
        labels(trace, features, signals=["r"])
    with pytest.raises(StudyError, match=r"at least one that is on, and off, .* none of 1 feature is"):
        labels(trace, [Feature("x.never", "", np.zeros(LENGTH, np.bool_))])
    with pytest.raises(StudyError, match=r"too few \(1 step\)"):
        labels(record(handmade.network(), "a"), [])
    with pytest.raises(StudyError, match="Lags: expected at least one and no repeats, got"):
        Search(lags=(1, 1))
    broken = planted({"h": [np.full((50, 2), np.inf)]}, cell="elman")
    with pytest.raises(StudyError, match="expected finite values"):
        labels(broken, of_arrays("x", {"on": np.arange(50) % 2 == 0}, {}))


def test_labels_progress_reaches_the_total(trace: Trace, features: list[Feature]) -> None:
    seen: list[tuple[int, int]] = []
    labels(
        trace,
        features,
        signals=["c"],
        search=Search(pairs=False, chances=100),
        progress=lambda *both: seen.append(both),
    )
    assert seen[-1] == (128, 128)  # 28 neurons, and 25 of them moved four times, for 100 chances
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_labels_of_two_layers(features: list[Feature]) -> None:
    assert isinstance(handmade.network(), Network)
    values = np.random.default_rng(0).normal(size=(LENGTH, 2))
    owed = next(feature for feature in features if feature.name == "planted.owed")
    trace = planted({"c": [np.stack([owed.values, values[:, 0]], 1)], "h": [values]})
    label_table = labels(trace, features, search=Search(top=1, pairs=False, chances=1000))
    assert [(row["signal"], row["neuron"], row["feature"]) for row in label_table] == [("c", 0, "planted.owed")]
    assert Steps(trace).texts()[0].startswith("abc")


def test_binary_labels_of_the_signal_come_first() -> None:
    rows = [
        ("layer0", "h", 0, "AUROC", "a", 0.5, 1),
        ("layer0", "c", 0, "AUROC", "b", 0.9, 0),
        ("layer0", "h", 0, "AUROC", "c & not d", 0.7, 0),
        ("layer0", "h", 0, "R2", "n", 1.0, 2),
        ("layer0", "c", 0, "AUROC", "a", 0.8, 1),
        ("layer1", "h", 0, "AUROC", "e", 1.0, 0),
    ]
    columns = ("layer", "signal", "neuron", "measure", "feature", "explained", "place")
    table = Table.of([dict(zip(columns, row, strict=True)) for row in rows], dict.fromkeys(columns, ""))
    assert binary_labels(table, "layer0", 0, "h") == ["c & not d", "a", "b"]
    assert binary_labels(table, "layer0", 0, "c") == ["b", "a", "c & not d"]
    assert binary_labels(table, "layer0", 1, "c") == []

    values = {"a": [0, 1, 1, 1], "b": [1, 1, 1, 1], "c": [0, 1, 0, 1], "d": [1, 1, 0, 0], "n": [0, 1, 2, 3]}
    features = [
        Feature(name, name, np.array(value, np.float32 if name == "n" else bool)) for name, value in values.items()
    ]
    everywhere = best_binary_features(table, features, "h", np.ones(4, bool))
    assert {neuron: feature.name for neuron, feature in everywhere.items()} == {("layer0", 0): "c & not d"}
    # The pair is off at the first three places; a varies there.
    start = best_binary_features(table, features, "h", np.array([True, True, True, False]))
    assert {neuron: feature.name for neuron, feature in start.items()} == {("layer0", 0): "a"}
    # The best label of the neuron is a count, which is on where it is above 0.
    best = Table.of([{**row, "place": int(row["feature"] != "n")} for row in table], dict(table.titles))
    counting = best_binary_features(best, features, "h", np.ones(4, bool))
    assert counting["layer0", 0].name == "n > 0"
    assert counting["layer0", 0].values.tolist() == [False, True, True, True]
