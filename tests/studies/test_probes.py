"""Probes: against scikit-learn, and on planted features of one neuron or of several."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score

from gatescope import record
from gatescope.features import of_arrays
from gatescope.studies import StudyError
from gatescope.studies import probes as module
from gatescope.studies.common.table import Table
from gatescope.studies.probes import probes
from tests.studies import handmade
from tests.studies.planted import planted

LENGTH = 4000


@pytest.fixture(scope="module")
def probe_table() -> Table:
    text = handmade.text(LENGTH, 1)
    trace = record(handmade.network(), text, drives=False)
    return probes(trace, handmade.truth(text), layer="layer0", signal="c")


def verdict(probe_table: Table, feature: str) -> int:
    return probe_table.where(feature=feature)["verdict"][0]


def test_probes_find_a_planted_neuron(probe_table: Table) -> None:
    for feature, neuron in (
        ("planted.owed", handmade.COUNTER),
        ("planted.depth", handmade.DEPTH),
        ("planted.latched", handmade.LATCH),
    ):
        assert verdict(probe_table, feature) == 1
        assert probe_table.where(feature=feature, size=1)["neurons"].tolist() == [str(neuron)]


def test_probes_find_a_distributed_feature(probe_table: Table) -> None:
    assert verdict(probe_table, "planted.spread") == 8  # the smallest size with all five neurons
    scores = dict(
        zip(*(probe_table.where(feature="planted.spread")[name].tolist() for name in ("size", "score")), strict=True)
    )
    assert scores[1] < 0.5
    assert scores[8] > 0.999
    chosen = probe_table.where(feature="planted.spread", size=8)["neurons"][0].split()
    assert {int(neuron) for neuron in chosen[:5]} == set(handmade.SPREAD)


def test_probes_fail_on_noise(probe_table: Table) -> None:
    nothing = probe_table.where(measure="AUROC", size=handmade.NEURONS)
    scores = {row["feature"]: row["score"] for row in nothing if "nothing" in row["feature"]}
    assert len(scores) == 10
    # Six standard deviations of the area by chance, for runs of ten among 2,000 places.
    assert max(abs(score - 0.5) for score in scores.values()) < 0.15


@pytest.fixture(scope="module")
def random_case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    values = (random.normal(size=(600, 6)) @ random.normal(size=(6, 6)) + 2).astype(np.float32)
    count = (values @ random.normal(size=6) + random.normal(size=600)).astype(np.float32)
    count[random.integers(0, 600, 40)] = np.nan
    on = values[:, 0] - 0.5 * values[:, 3] + random.normal(size=600) > 1
    return values, count, on


def test_probe_of_all_neurons_equals_scikit_learn(
    random_case: tuple[np.ndarray, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RIDGE", 0.0)
    values, count, on = random_case
    trace = planted({"h": [values]}, cell="elman")
    probe_table = probes(trace, of_arrays("x", {"count": count, "on": on}, {}), layer="layer0")
    x = values.astype(np.float64)
    line = LinearRegression().fit(x[:300][~np.isnan(count[:300])], count[:300][~np.isnan(count[:300])])
    known = ~np.isnan(count[300:])
    expected = r2_score(count[300:][known], line.predict(x[300:][known]))
    assert probe_table.where(feature="x.count", size=6)["score"][0] == pytest.approx(expected, abs=1e-9)
    disc = LinearDiscriminantAnalysis().fit(x[:300], on[:300])
    area = roc_auc_score(on[300:], disc.decision_function(x[300:]))
    assert probe_table.where(feature="x.on", size=6)["score"][0] == pytest.approx(area, abs=1e-9)


def test_probe_selection_minimises_the_residual(
    random_case: tuple[np.ndarray, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RIDGE", 0.0)
    values, count, _ = random_case
    trace = planted({"h": [values]}, cell="elman")
    probe_table = probes(trace, of_arrays("x", {"count": count}, {}), layer="layer0", sizes=(1, 2, 3, 4, 5))
    known = ~np.isnan(count[:300])
    x, y = values[:300][known].astype(np.float64), count[:300][known].astype(np.float64)
    chosen: list[int] = []
    for size in range(1, 6):

        def rest(neuron: int) -> float:
            some = x[:, [*chosen, neuron]]
            return float(((y - LinearRegression().fit(some, y).predict(some)) ** 2).sum())

        chosen.append(min(set(range(6)) - set(chosen), key=rest))
        assert probe_table.where(size=size)["neurons"][0] == " ".join(map(str, chosen))


def test_probes_do_not_depend_on_chunks(
    random_case: tuple[np.ndarray, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    values, count, on = random_case
    trace, features = planted({"h": [values]}, cell="elman"), of_arrays("x", {"count": count, "on": on}, {})
    whole = probes(trace, features, layer="layer0")
    monkeypatch.setattr(module, "CHUNK_PLACES", 7)
    assert np.abs(probes(trace, features, layer="layer0")["score"] - whole["score"]).max() < 1e-9


def test_probes_of_equal_and_constant_neurons() -> None:
    random = np.random.default_rng(0)
    on = random.random(200) < 0.5
    values = np.stack([on, on, np.ones(200), np.zeros(200)], axis=1).astype(np.float32)
    probe_table = probes(planted({"h": [values]}, cell="elman"), of_arrays("x", {"on": on}, {}), layer="layer0")
    assert probe_table["score"].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert probe_table["verdict"].tolist() == [1, 1, 1]


def test_probes_refuse_constant_features() -> None:
    trace = planted({"h": [np.zeros((20, 2))]}, cell="elman")
    with pytest.raises(StudyError, match="none is on, and off"):
        probes(trace, of_arrays("x", {"on": np.zeros(20, bool)}, {}), layer="layer0")
