"""Every score against scikit-learn and scipy; the size of the chunks makes no difference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from gatescope import Vocabulary
from gatescope.features import Feature
from gatescope.studies import Steps, StudyError
from gatescope.studies.common import scores
from gatescope.trace import Trace


def steps(*lengths: int) -> Steps:
    """Make sequences of these lengths; sequences of one length are equal."""
    tokens = np.full((len(lengths), max(lengths)), -1, np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = 0
    attributes = {"vocabulary": Vocabulary(("a",)).to_json(), "layers": {}}
    return Steps(Trace(np.array(lengths), {"token": tokens}, {}, {}, {}, attributes))


def drawn(seed: int, places: int, neurons: int, levels: int) -> np.ndarray:
    """Draw values from this number of levels; few levels give many ties."""
    random = np.random.default_rng(seed)
    return (random.integers(0, levels, (places, neurons)) / levels).astype(np.float32)


def correlation(on: np.ndarray, predicted: np.ndarray) -> float:
    # scikit-learn warns if there is a single value in both; the correlation is 0 then by definition.
    return float(matthews_corrcoef(on, predicted)) if len({*on, *predicted}) > 1 else 0.0


sizes = {"seed": st.integers(0, 2**31), "places": st.integers(2, 60), "levels": st.sampled_from([1, 2, 5, 10**6])}


@given(**sizes)
def test_centred_ranks_equal_scipy(seed: int, places: int, levels: int) -> None:
    values = drawn(seed, places, 3, levels)
    expected = rankdata(values, axis=0) - (places + 1) / 2
    assert np.array_equal(scores.centred_ranks(values), expected)


@pytest.mark.parametrize("shape", [(1100, 3), (3, 1100), (1, 1), (600, 600)])
def test_transposed_equals_numpy(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(shape, np.float32)
    found = scores.transposed(values)
    assert np.array_equal(found, values.T)
    assert found.flags.c_contiguous


@given(**sizes)
def test_areas_equal_scikit_learn(seed: int, places: int, levels: int) -> None:
    values, random = drawn(seed, places, 3, levels), np.random.default_rng(seed)
    on = random.random((places + 1, 4)) < [0.5, 0.1, 0.9, 0.5]
    on[-1] = False
    rows = np.stack([np.arange(places), np.roll(np.arange(places), 1)])
    areas = scores.areas(scores.centred_ranks(values), on, rows)
    for neuron in range(3):
        for lag in range(2):
            for column in range(4):
                truth = on[rows[lag], column]
                expected = roc_auc_score(truth, values[:, neuron]) if 0 < truth.sum() < places else 0.5
                assert abs(areas[neuron, lag, column] - expected) < 1e-12


@given(**sizes)
def test_best_threshold_equals_scikit_learn(seed: int, places: int, levels: int) -> None:
    values, random = drawn(seed, places, 1, levels)[:, 0], np.random.default_rng(seed)
    on = random.random(places) < 0.4
    ranks = scores.centred_ranks(values[:, None])[:, 0]
    cuts = np.unique(values).astype(np.float64)
    between = (cuts[1:] + cuts[:-1]) / 2
    for above in (True, False):
        threshold = scores.Thresholds(values, ranks).best(np.flatnonzero(on), above=above)
        predicted = (values > threshold) == above
        every = [correlation(on, (values > cut) == above) for cut in between]
        if every:
            assert threshold in between
            assert correlation(on, predicted) == pytest.approx(max(every), abs=1e-12)
        assert scores.matthews(predicted, on) == pytest.approx(correlation(on, predicted), abs=1e-12)


@given(seed=st.integers(0, 2**31), chunk=st.integers(1, 400))
def test_areas_do_not_depend_on_chunks(seed: int, chunk: int) -> None:
    random = np.random.default_rng(seed)
    ranks = scores.centred_ranks(random.normal(size=(50, 3)).astype(np.float32))
    on, rows = random.random((51, 4)) < 0.5, np.stack([np.arange(50), np.roll(np.arange(50), 3)])
    whole = scores.areas(ranks, on, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "CHUNK_NUMBERS", chunk)
        assert np.abs(whole - scores.areas(ranks, on, rows)).max() < 1e-9


def test_halves_by_sequences_or_by_steps() -> None:
    many = scores.halves(steps(2, 3, 1, 4, 2, 3))  # held out: the second and the fourth of the lengths 1, 2, 3, 4
    assert many.held_out.tolist() == [0, 1, 6, 7, 8, 9, 10, 11]
    assert many.fit.tolist() == [2, 3, 4, 5, 12, 13, 14]
    few = scores.halves(steps(5, 4))
    assert few.fit.tolist() == [0, 1, 5, 6]
    assert few.held_out.tolist() == [2, 3, 4, 7, 8]
    with pytest.raises(StudyError, match="longer text"):
        scores.halves(steps(2))


def test_lagged_rows_stay_in_their_sequence() -> None:
    where = steps(3, 2)
    columns = scores.Columns([], where, 1, scores.halves(where))
    rows = columns.rows(np.arange(5), (0, 1, -2))
    assert rows.tolist() == [[0, 1, 2, 3, 4], [5, 0, 1, 5, 3], [2, 5, 5, 5, 5]]


def test_columns_leave_out_constant_features() -> None:
    where = steps(20)
    half = np.arange(20) % 10
    features = [
        Feature("x.rare", "", half == 3),
        Feature("x.often", "", half % 2 == 0),
        Feature("x.category", "", (half % 3).astype(np.int16), ("p", "q", "r")),
        Feature("x.constant", "", np.full(20, 2, np.float32)),
        Feature("x.count", "", half.astype(np.float32)),
        Feature("x.undefined", "", np.where(half > 1, np.nan, half).astype(np.float32)),
    ]
    columns = scores.Columns(features, where, 2, scores.halves(where))
    assert [feature.name for feature in columns.binaries] == ["x.often", *(f"x.category={k}" for k in "pqr")]
    assert [feature.name for feature in columns.counts] == ["x.count"]
    with pytest.raises(StudyError, match=r"Feature x\.short: expected one value for each of 20 steps, got 3 values"):
        scores.Columns([Feature("x.short", "", np.zeros(3, np.bool_))], where, 2, scores.halves(where))
