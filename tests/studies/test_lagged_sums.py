"""Sums over the places of features: equal to sums one by one, whatever the sequences, the lags and the chunks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.studies.common import lagged_sums
from gatescope.studies.common.lagged_sums import BinarySums, CountSums
from gatescope.studies.common.place_layout import Layout, lags_inside
from gatescope.studies.common.scores import Halves, halves
from gatescope.studies.common.steps import Steps
from tests.studies.planted import column, planted

LAGS = (0, 2, -1)
drawn = {"seed": st.integers(0, 2**31), "lengths": st.lists(st.integers(1, 12), min_size=1, max_size=7)}


def text(seed: int, lengths: list[int]) -> tuple[np.random.Generator, Steps, Halves]:
    random = np.random.default_rng(seed)
    lengths = [max(lengths[0], 4), *lengths[1:]]
    texts = ["".join(random.choice(list("abcdefgh"), length)) for length in lengths]
    steps = Steps(planted({"h": [column(*([0] * length)) for length in lengths]}, texts=texts))
    return random, steps, halves(steps)


def lagged(steps: Steps, values: np.ndarray, lag: int, outside: float) -> np.ndarray:
    """Return the values some steps before each place of the same sequence, independently of the package."""
    parts = []
    for start, end in pairwise(steps.starts.tolist()):
        part = values[start:end]
        moved = [
            part[step - lag] if 0 <= step - lag < end - start else np.full_like(part[0], outside)
            for step in range(end - start)
        ]
        parts += moved
    return np.array(parts)


@given(**drawn, chunk=st.integers(1, 20))
def test_sums_of_binary_features_equal_sums_one_by_one(seed: int, lengths: list[int], chunk: int) -> None:
    random, steps, divided = text(seed, lengths)
    on = random.random((len(steps), 3)) < [0.1, 0.5, 0.95]
    layout = Layout(steps, divided, LAGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lagged_sums, "CHUNK_ROWS", chunk)
        for half, places in enumerate((divided.fit, divided.held_out)):
            values = random.integers(-9, 9, (len(places), 2)).astype(np.float32)
            sums = BinarySums(layout, half, [layout.rows_of(feature) for feature in on.T], LAGS)
            found = sums.at(sums.window.spread([values.T]))
            for number, lag in enumerate(LAGS):
                expected = lagged(steps, on, lag, False)[places].astype(float).T @ values
                assert np.array_equal(found[number], expected)


@given(**drawn, combinations=st.integers(2, 8))
def test_sums_of_related_features_equal_sums_one_by_one(seed: int, lengths: list[int], combinations: int) -> None:
    """Features that are another one at another lag, opposites, unions and constant features."""
    random, steps, divided = text(seed, lengths)
    first, second = random.random((2, len(steps))) < [[0.3], [0.6]]
    shifted = [lagged(steps, first, lag, False) for lag in (1, 2, -1, -3)]
    constant = np.ones_like(first)
    features = [first, *shifted, ~first, second, first | second, first & second, constant, ~constant, first]
    layout = Layout(steps, divided, LAGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lagged_sums, "MAX_COMBINATIONS", combinations)
        for half, places in enumerate((divided.fit, divided.held_out)):
            values = random.integers(-9, 9, (2, len(places))).astype(np.float32)
            sums = BinarySums(layout, half, [layout.rows_of(feature) for feature in features], LAGS)
            found = sums.at(sums.window.spread([values]))
            for number, lag in enumerate(LAGS):
                for column, feature in enumerate(features):
                    expected = values @ lagged(steps, feature, lag, False)[places]
                    assert np.array_equal(found[number, column], expected)


@given(**drawn, chunk=st.integers(1, 20))
def test_sums_of_counts_equal_sums_one_by_one(seed: int, lengths: list[int], chunk: int) -> None:
    random, steps, divided = text(seed, lengths)
    numbers = random.integers(-5, 5, (len(steps), 3)).astype(np.float32)
    numbers[random.random((len(steps), 3)) < [0, 0.4, 0.4]] = np.nan
    numbers[0] = 1  # known somewhere
    layout = Layout(steps, divided, LAGS)
    in_rows = np.full((layout.size, 3), np.nan, np.float32)
    in_rows[layout.row] = numbers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lagged_sums, "CHUNK_ROWS", chunk)
        for half, places in enumerate((divided.fit, divided.held_out)):
            x = random.integers(-9, 9, (len(places), 2)).astype(np.float32)
            sums = CountSums(layout, half, in_rows, LAGS)
            of_x, of_xx, of_xy = sums.at(sums.window.padded(x.T, np.zeros(2)))
            for number, lag in enumerate(LAGS):
                y = lagged(steps, numbers, lag, np.nan)[places].astype(float)
                known = ~np.isnan(y)
                y = np.where(known, y - np.nanmean(numbers, axis=0), 0)
                expected = known.sum(0), y.sum(0), (y * y).sum(0), x.T @ known, (x * x).T @ known, x.T @ y
                actual = (
                    *(part[number] for part in (sums.n, sums.y, sums.yy)),
                    *(part[:, number] for part in (of_x, of_xx, of_xy)),
                )
                for a, b in zip(actual, expected, strict=True):
                    assert np.abs(a - b).max() < 1e-4


def test_lags_longer_than_most_sequences_are_left_out() -> None:
    _, steps, divided = text(0, [8, 8, 8, 8])
    assert lags_inside(steps, divided, (0, 1, 2, 3, 5, 8, -1, -2)) == (0, 1, 2, -1, -2)
    assert lags_inside(steps, divided, (8,)) == (8,)


def test_window_spreads_only_the_rows_of_a_half() -> None:
    """A second call writes to the memory of the first one, and leaves nothing of it."""
    random, steps, divided = text(3, [5, 7, 4, 9, 6])
    window = Layout(steps, divided, LAGS).window(0)
    for width in (4, 2, 3):
        values, origin = random.normal(size=(width, len(divided.fit))).astype(np.float32), random.normal(size=width)
        spread = window.spread([values[:1], values[1:]])
        filled = (spread != 0).any(1)
        assert spread.shape == (window.size, width)
        assert np.array_equal(spread[filled], values.T)
        padded = window.padded(values, origin)
        assert padded.shape == (width, window.size)
        assert np.array_equal(padded[:, filled], (values - origin[:, None]).astype(np.float32))
        assert not padded[:, ~filled].any()
