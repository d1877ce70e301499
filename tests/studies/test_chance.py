"""The scores that chance reaches: p-values, their tail, and the false discovery rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import expon, false_discovery_control, genpareto

from gatescope.studies.common.chance import UNCORRELATED, ByChance, chance_of, largest_discovery


def test_p_value_is_the_share_of_moved_scores() -> None:
    """One of 20 moved scores reaches 0.8, so the p-value of 0.8 is 2/21, and that of 0.9 is 1/21."""
    chance = ByChance(np.array([0.7] * 19 + [0.8]))
    assert chance.p_values(np.array([0.6, 0.7, 0.8, 0.9])).tolist() == [1, 1, 2 / 21, 1 / 21]
    assert chance.least(0.1) == np.nextafter(0.7, 1)
    assert chance.least(0.05) == np.nextafter(0.8, 1)
    assert chance.least(0.04) == np.inf


def test_least_is_the_lowest_score_with_the_p_value() -> None:
    scores = np.random.default_rng(0).random(200)
    chance = ByChance(scores)
    for limit in (0.01, 0.05, 0.2, 1.0):
        least = chance.least(limit)
        assert chance.p_values(np.array([least]))[0] <= limit
        below = np.nextafter(least, -np.inf)
        assert limit == 1 or chance.p_values(np.array([below]))[0] > limit


@pytest.mark.parametrize("distribution", [expon(), genpareto(0.2), expon(0, 0.01)])
def test_tail_gives_small_p_values(distribution: object) -> None:
    """Scores of a known distribution: p-values of 1e-3 and 1e-4 from 2,000 scores are right within a factor of 3."""
    ratios = []
    for seed in range(30):
        scores = distribution.rvs(2000, random_state=seed)  # type: ignore[attr-defined]
        chance = ByChance(scores)
        for p in (1e-3, 1e-4):
            score = distribution.isf(p)  # type: ignore[attr-defined]
            ratios.append(chance.p_values(np.array([score]))[0] / p)
            assert chance.p_values(np.array([chance.least(p)]))[0] == pytest.approx(p, rel=1e-6)
    assert 1 / 3 < np.exp(np.mean(np.log(ratios))) < 3


def test_tail_of_bounded_scores_is_on_the_safe_side() -> None:
    """A distribution that ends at 1 has p-value 0 there; the tail never says so."""
    chance = ByChance(np.random.default_rng(1).beta(5, 5, 2000))
    assert chance.shape == 0
    assert chance.p_values(np.array([1.0]))[0] >= 1 / (100 * 2000)


def test_discoveries_equal_scipy() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        p_values = np.concatenate([random.random(30), random.random(5) / 1000])
        limit = largest_discovery([p_values[:10], p_values[10:]], 0.1)
        assert np.array_equal(p_values <= limit, false_discovery_control(p_values) <= 0.1)
    assert largest_discovery([np.array([0.9, 0.8])], 0.1) == 0


@pytest.mark.parametrize(("measure", "best", "least"), [("AUROC", 0.45, 0.5), ("AUROC", 0.6, 0.5), ("R2", -0.2, 0.0)])
def test_scores_below_a_constant_are_never_shown(measure: str, best: float, least: float) -> None:
    """A constant has an AUROC of 0.5 and an R2 of 0, however low the scores by chance are."""
    moved = {measure: np.full(20, -0.9)}
    assert chance_of({measure: np.array([best])}, moved, 0.1).least[measure] == least


def test_correlations_may_be_below_the_area_of_a_constant() -> None:
    """The correlation of a constant is 0, also with a binary feature: only its AUROC is 0.5."""
    moved = {"AUROC": np.linspace(0, 0.3, 200)}
    assert chance_of({"AUROC": np.array([0.4] * 9)}, moved, 0.1, UNCORRELATED).least["AUROC"] < 0.31
    assert chance_of({"AUROC": np.array([-0.1])}, {"AUROC": np.full(20, -0.9)}, 0.1, UNCORRELATED).least["AUROC"] == 0


def test_nothing_is_shown_without_a_discovery() -> None:
    chance = chance_of({"AUROC": np.array([0.6, 0.7])}, {"AUROC": np.linspace(0.5, 0.9, 100), "R2": np.zeros(0)}, 0.05)
    assert chance.least["AUROC"] > 0.9
    assert np.isnan(chance.least["R2"])
