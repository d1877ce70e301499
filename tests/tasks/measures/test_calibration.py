"""Calibrated intervals: equality with a loop over single forecasts, and their coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.forecasting.calibration import calibrated

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def forecasts(values: np.ndarray, horizon: int, spread: float = 1.0) -> Arrays:
    """Return lower ends, points, upper ends and outcomes, (N, H, 1) each, of intervals 0 ± spread at N origins.

    N is len(values) + 1: the last origin is the end of the values.
    """
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    expected = padded[np.arange(len(values) + 1)[:, None] + np.arange(horizon)][..., None]
    point = np.zeros_like(expected)
    return point - spread, point, point + spread, expected


def calibrated_by_loops(
    lower: np.ndarray, point: np.ndarray, upper: np.ndarray, expected: np.ndarray, first: int, level: float, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the calibrated ends, (N - first, H, C) each, by loops over columns, steps ahead and origins."""
    count, horizon, columns = point.shape
    low, high = np.empty((count - first, horizon, columns)), np.empty((count - first, horizon, columns))
    for h in range(horizon):
        for c in range(columns):
            widths = [upper[k, h, c] - lower[k, h, c] for k in range(count)]
            floor = 0.1 * float(np.median(widths[:first]))
            widths = [width + floor or 1 for width in widths]
            outside = [
                max(lower[k, h, c] - expected[k, h, c], expected[k, h, c] - upper[k, h, c]) / widths[k]
                for k in range(count)
            ]
            aimed, used = 1 - level, {}
            for t in range(first, count):
                latest = t - h - 1  # the origin whose value h steps ahead has just become known
                if latest >= first:
                    aimed += rate * (1 - level - (1 if outside[latest] > used[latest] else 0))
                known = sorted(outside[: t - h][-min(first - horizon + 1, 500) :])
                rank = min(max(math.ceil((1 - aimed) * (len(known) + 1) - 1e-9), 1), len(known))
                used[t] = known[rank - 1]
                low[t - first, h, c] = min(lower[t, h, c] - used[t] * widths[t], point[t, h, c])
                high[t - first, h, c] = max(upper[t, h, c] + used[t] * widths[t], point[t, h, c])
    return low, high


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 2), st.floats(0.05, 0.95), st.floats(0, 0.2))
def test_against_a_loop(seed: int, horizon: int, columns: int, level: float, rate: float) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(horizon + 1, 40))
    first = int(random.integers(horizon, count))
    series = random.standard_normal((count - 1, columns)) * 2
    padded = np.concatenate([series, np.full((horizon, columns), np.nan)])
    expected = padded[np.arange(count)[:, None] + np.arange(horizon)]
    lower, point, upper = np.sort(random.standard_normal((3, *expected.shape)), axis=0)
    intervals = calibrated(lower, point, upper, expected, first, level, rate)
    for actual, expected_ends in zip(
        intervals, calibrated_by_loops(lower, point, upper, expected, first, level, rate), strict=True
    ):
        np.testing.assert_allclose(actual, expected_ends, atol=1e-12)
    assert (intervals[0] <= point[first:]).all()
    assert (intervals[1] >= point[first:]).all()


def test_nothing_is_known_before_it_comes() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(60)
    changed = values.copy()
    changed[45:] += 100
    first, horizon = 20, 3
    before = calibrated(*forecasts(values, horizon), first, 0.8)
    after = calibrated(*forecasts(changed, horizon), first, 0.8)
    for end, other_end in zip(before, after, strict=True):
        np.testing.assert_array_equal(end[: 45 - first + 1], other_end[: 45 - first + 1])
        assert not np.array_equal(end, other_end)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("spread", [0.2, 4.0])
def test_the_share_is_held_where_nothing_changes(level: float, spread: float) -> None:
    """The values are independent; the estimated intervals may be far too narrow or too wide."""
    for follow, tolerance in ((True, 0.015), (False, 0.03)):
        coverages = []
        for seed in range(20):
            arrays = forecasts(np.random.default_rng(seed).standard_normal(400), 2, spread)
            lower, upper = calibrated(*arrays, 100, level, follow=follow)
            outcomes = arrays[3][100:]
            coverages.append(((lower <= outcomes) & (outcomes <= upper))[~np.isnan(outcomes)].mean())
        assert np.mean(coverages) == pytest.approx(level, abs=tolerance)  # a standard error of the second is 0.01


def test_coverage_after_a_change_needs_following() -> None:
    random = np.random.default_rng(2)
    values = np.concatenate([random.standard_normal(400), random.standard_normal(800) * 3])
    arrays = forecasts(values, 2)
    outcomes = arrays[3][400:]
    shares = []
    for follow in (True, False):
        lower, upper = calibrated(*arrays, 400, 0.8, follow=follow)
        shares.append(((lower <= outcomes) & (outcomes <= upper))[~np.isnan(outcomes)].mean())
    assert shares[0] == pytest.approx(0.8, abs=0.03)
    assert shares[1] < 0.5


def test_intervals_of_no_width_are_calibrated() -> None:
    arrays = forecasts(np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), 1, 0.0)
    lower, upper = calibrated(*arrays, 4, 0.8)
    assert lower[:, 0, 0].tolist() == [-1.0, -1.0, -1.0]
    assert upper[:, 0, 0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("first", "level"), [(1, 0.8), (8, 0.8), (3, 0.0), (3, 1.0)])
def test_what_cannot_be_calibrated(first: int, level: float) -> None:
    with pytest.raises(TaskError, match=r"expected a number (from|between)"):
        calibrated(*forecasts(np.arange(6.0), 2), first, level)
