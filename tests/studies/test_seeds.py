"""Seeds: every study that draws random numbers gives the same table for the same seed, and another for another seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from gatescope import Vocabulary, record
from gatescope.features import Feature, of_arrays
from gatescope.studies.ablation import ablation
from gatescope.studies.common.chance import chance_of
from gatescope.studies.common.resampling import resampled
from gatescope.studies.comparison import reach
from gatescope.studies.gradients.growth import lyapunov, singular_values
from gatescope.studies.gradients.influence import influence
from gatescope.studies.gradients.jacobians import jacobians_of
from gatescope.studies.gradients.products import product_map
from gatescope.studies.horizon import horizon
from gatescope.studies.labels import Search, labels
from gatescope.studies.steering import steer
from gatescope.studies.text_errors import errors
from tests.networks import network

TEXT = "".join(np.random.default_rng(0).choice(list("abcde"), 240))
BRACKETS = Vocabulary(tuple("ab()"))
BRACKETED = "".join(np.random.default_rng(1).choice(["(a)", "(ab)", "b", "a"], 120))


def label_table(seed: int) -> Any:
    """Return the scores that chance reaches; the labels depend on the seed only if a score lies between them."""
    random = np.random.default_rng(2)
    features = of_arrays("x", {f"on{k}": random.random(len(TEXT)) < 0.4 for k in range(6)}, {})
    trace = record(network("lstm", [6], 3), TEXT, drives=False)
    with patch("gatescope.studies.common.label_tables.chance_of", wraps=chance_of) as compared:
        labels(trace, features, search=Search(lags=(0, 1), chances=40, seed=seed))
    return compared.call_args_list[0].args[1]["AUROC"].tolist()


def ablation_table(seed: int) -> Any:
    on = Feature("f.on", "", np.arange(len(TEXT)) % 3 == 0)
    return ablation(network("gru", [2], 1), TEXT, features=[on], draws=20, block=20, seed=seed).to_json()


def steering_table(seed: int) -> Any:
    def vowel(text: str) -> np.ndarray:
        return np.array([character in "ae" for character in text], np.bool_)

    net = network("gru", [2], 1)
    table = steer(net, 0, "h", 0, [0.5], prime="a", feature=vowel, samples=4, length=20, draws=20, seed=seed)
    return {**table.to_json(), "about": None}


def error_tables(seed: int) -> Any:
    net = network("lstm", [3], 1, BRACKETS)
    training = BRACKETS.encode(BRACKETED[:150])
    tables = errors(record(net, BRACKETED[150:], drives=False), training, [1, 2], resamples=20, seed=seed)
    assert len(tables.closings)
    return tables.closings.to_json()["columns"]


def horizon_table(seed: int) -> Any:
    return horizon(network("lstm", [3], 1), TEXT, furthest=8, samples=5, seed=seed).table().to_json()["columns"]


def replacement_changes(seed: int) -> Any:
    """Measure a horizon with every step as a sample, so that only the drawn replacements can depend on the seed."""
    table = horizon(network("lstm", [3], 1), TEXT[:40], furthest=8, samples=1000, seed=seed).table()
    return table.where(measure="change").to_json()["columns"]


def influence_values(seed: int) -> Any:
    net = network("lstm", [3], 1)
    measured = influence(net, net.configuration.vocabulary.encode(TEXT[:30]), furthest=5, seed=seed)
    return measured.replaced.tolist(), measured.divergence.tolist()


def reach_tables(seed: int) -> Any:
    measured = reach(network("lstm", [3], 1), TEXT[:60], furthest=8, samples=5, seed=seed)
    return measured.horizons.to_json()["columns"]


def product_estimate(seed: int) -> Any:
    estimate = product_map(jacobians_of(network("lstm", [4], 1), TEXT[:12]), vectors=3, seed=seed)
    return estimate.norm.tolist()


def lyapunov_exponents(seed: int) -> Any:
    return lyapunov(jacobians_of(network("lstm", [4], 1), TEXT[:12]), 2, seed=seed).tolist()


STUDIES: list[Callable[[int], Any]] = [
    *(label_table, ablation_table, steering_table, error_tables, horizon_table),
    *(replacement_changes, influence_values, reach_tables, product_estimate, lyapunov_exponents),
    lambda seed: resampled(9, 5, seed).tolist(),
]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.__name__)
def test_seed_decides_the_table(study: Callable[[int], Any]) -> None:
    """The same seed gives the same table; four other seeds all give other tables."""
    table = repr(study(0))
    assert repr(study(0)) == table
    assert table not in {repr(study(seed)) for seed in (1, 2, 3, 4)}


def test_singular_values_do_not_depend_on_the_seed() -> None:
    """The power iterations converge, so the seed of their first vectors does not matter."""
    jacobians = jacobians_of(network("lstm", [4], 1), TEXT[:12])
    first, second = (singular_values(jacobians, 5, 3, count=2, seed=seed, iterations=200) for seed in (0, 1))
    np.testing.assert_allclose(first, second, rtol=1e-6)
