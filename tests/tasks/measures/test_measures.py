"""Tests of the measures against scikit-learn, numbers worked by hand, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import accuracy_score, confusion_matrix, mean_pinball_loss, precision_recall_fscore_support

from gatescope.tasks.measures.measures import (
    accuracy,
    confusion,
    coverage,
    mean_absolute_error,
    mean_absolute_scaled_error,
    naive_scale,
    pinball_loss,
)

K = 4
LABELS = st.lists(st.tuples(st.integers(0, K - 1), st.integers(0, K - 1)), min_size=1, max_size=40)
NUMBERS = arrays.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.floats(-1e3, 1e3))


@given(LABELS)
def test_confusion_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    predicted, expected = np.array(pairs).T
    result = confusion(predicted, expected, K)
    np.testing.assert_array_equal(result.counts, confusion_matrix(expected, predicted, labels=range(K)))
    precision, recall, f1, support = precision_recall_fscore_support(
        expected,
        predicted,
        labels=range(K),
        zero_division=np.nan,  # pyright: ignore[reportArgumentType]
    )
    np.testing.assert_array_equal(result.precision, precision)
    np.testing.assert_array_equal(result.recall, recall)
    np.testing.assert_allclose(result.f1, f1, rtol=1e-14)
    np.testing.assert_array_equal(result.support, support)
    defined = [value for value in np.asarray(f1).tolist() if not math.isnan(value)]
    assert result.macro_f1 == pytest.approx(sum(defined) / len(defined), rel=1e-14)
    assert result.accuracy == accuracy(predicted, expected) == accuracy_score(expected, predicted)


def test_confusion_by_hand() -> None:
    # True classes 0 0 0 1 1 2, predicted 0 0 1 1 0 0; class 3 does not occur.
    result = confusion(np.array([0, 0, 1, 1, 0, 0]), np.array([0, 0, 0, 1, 1, 2]), 4)
    assert result.counts.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(result.precision, [2 / 4, 1 / 2, np.nan, np.nan])
    np.testing.assert_array_equal(result.recall, [2 / 3, 1 / 2, 0, np.nan])
    np.testing.assert_array_equal(result.f1, [4 / 7, 1 / 2, 0, np.nan])
    assert result.macro_f1 == pytest.approx((4 / 7 + 1 / 2) / 3, rel=1e-15)
    assert result.accuracy == 0.5


def test_measures_without_values_are_nan() -> None:
    empty_labels = np.array([], dtype=np.int64)
    result = confusion(empty_labels, empty_labels, 2)
    assert result.counts.tolist() == [[0, 0], [0, 0]]
    assert math.isnan(result.accuracy)
    assert math.isnan(result.macro_f1)
    assert math.isnan(accuracy(empty_labels, empty_labels))
    empty = np.empty((0, 2))
    assert np.isnan(mean_absolute_error(empty, empty)).tolist() == [True, True]
    assert np.isnan(naive_scale(np.ones((3, 2)), 3)).tolist() == [True, True]


def test_measures_refuse_values_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="one for each of 2 labels, got 1"):
        confusion(np.array([0]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="one for each of 1 label, got 2"):
        accuracy(np.array([0, 1]), np.array([0]))
    with pytest.raises(ValueError, match="from 0 to 1, got 0 to 2"):
        confusion(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="got -1 to 1"):
        confusion(np.array([0, 1]), np.array([-1, 1]), 2)
    with pytest.raises(ValueError, match="at least one step, got 0"):
        naive_scale(np.ones((3, 1)), 0)
    for quantile in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            pinball_loss(np.ones((1, 1)), np.ones((1, 1)), quantile)


def test_scaled_error_by_hand() -> None:
    # Column 0: one step apart 1, 2, 3, 4 (mean 2.5); two steps apart 3, 5, 7 (mean 5). Column 1 does not change.
    training = np.array([[1.0, 7], [2, 7], [4, 7], [7, 7], [11, 7]])
    assert naive_scale(training).tolist() == [2.5, 0]
    assert naive_scale(training, 2).tolist() == [5, 0]
    expected, predicted = np.array([[16.0, 7], [20, 7]]), np.array([[11.0, 7], [21, 8]])
    assert mean_absolute_error(predicted, expected).tolist() == [3, 0.5]
    assert mean_absolute_scaled_error(predicted, expected, training).tolist() == [1.2, math.inf]
    assert mean_absolute_scaled_error(predicted, expected, training, 2).tolist() == [0.6, math.inf]


@given(NUMBERS, st.integers(1, 5), st.floats(0.5, 100), st.floats(-100, 100))
def test_scaled_error_does_not_depend_on_units(training: np.ndarray, season: int, factor: float, shift: float) -> None:
    """The scaled error is 1 for the naive forecast of the training part, and the same in any unit."""
    forecast, truth = training[:-season], training[season:]
    error = mean_absolute_scaled_error(forecast, truth, training, season)
    scale = naive_scale(training, season)
    np.testing.assert_array_equal(error[scale > 0], 1.0)
    assert np.isnan(error[~(scale > 0)]).all()
    clear = scale > 1e-3  # far above the rounding errors of numbers of this size
    moved = mean_absolute_scaled_error(
        forecast * factor + shift, truth * factor + shift, training * factor + shift, season
    )
    np.testing.assert_allclose(moved[clear], error[clear], rtol=1e-6)


@given(NUMBERS, NUMBERS, st.floats(0.01, 0.99))
def test_pinball_loss_equals_scikit_learn(a: np.ndarray, b: np.ndarray, quantile: float) -> None:
    rows, columns = min(len(a), len(b)), min(a.shape[1], b.shape[1])
    a, b = a[:rows, :columns], b[:rows, :columns]
    reference = mean_pinball_loss(a, b, alpha=quantile, multioutput="raw_values")
    np.testing.assert_allclose(pinball_loss(b, a, quantile), reference, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(pinball_loss(b, a, 0.5), mean_absolute_error(b, a) / 2, rtol=1e-12, atol=1e-12)
    blocks = pinball_loss(np.stack([b, b]), np.stack([a, a]), quantile)
    np.testing.assert_allclose(blocks, reference, rtol=1e-12, atol=1e-12)


def test_pinball_loss_is_smallest_at_the_quantile() -> None:
    values = np.arange(11.0)[:, None]
    losses = [pinball_loss(np.full((11, 1), guess), values, 0.8)[0] for guess in np.arange(11.0)]
    assert int(np.argmin(losses)) == 8
    assert losses[8] == pytest.approx((0.8 * (1 + 2) + 0.2 * sum(range(1, 9))) / 11, rel=1e-14)


def test_coverage_counts_the_ends() -> None:
    lower, upper = np.zeros((2, 2, 1)), np.ones((2, 2, 1))
    expected = np.array([[[0.0], [1.0]], [[1.0 + 1e-12], [0.5]]])
    assert coverage(lower, upper, expected).tolist() == [0.75]
    assert coverage(upper, lower, expected).tolist() == [0.0]
