"""Memories of signals whose memory is known by a formula."""

from __future__ import annotations

import numpy as np
import pytest

from gatescope.studies.common.scores import centred_ranks
from gatescope.studies.common.signal_memory import memories
from tests.studies.noise import slow


def _memory(values: np.ndarray) -> np.ndarray:
    return memories(centred_ranks(values.astype(np.float32)).T)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_memory_is_the_sum_of_squared_correlations(share: float) -> None:
    """Noise that retains a share s of its value has correlations s^|k|, whose squares sum to (1 + s²) / (1 - s²).

    Ranks of normal values correlate by 6/pi arcsin(r/2), a little less than r.
    """
    lags = np.arange(-3000, 3001)
    expected = ((6 / np.pi * np.arcsin(share ** np.abs(lags) / 2)) ** 2).sum()
    measured = _memory(slow(np.random.default_rng(0), [2048], 200, share)[0])
    assert measured.mean() == pytest.approx(expected, rel=0.15)


def test_memory_of_a_long_text_leaves_out_what_is_fast() -> None:
    """Averages of 20 steps hide what is faster; what is slower is measured as in a short text."""
    random = np.random.default_rng(1)
    assert _memory(random.normal(size=(40_000, 20))).max() == 1
    share = np.exp(-1 / 200)
    assert _memory(slow(random, [40_000], 100, share)[0]).mean() == pytest.approx(200, rel=0.15)


@pytest.mark.parametrize("period", [6, 24, 31.4])
@pytest.mark.parametrize("size", [1500, 9000])
def test_season_has_no_memory_of_its_own(period: float, size: int) -> None:
    """A season is a line of the spectrum, and so are its harmonics; what is slow beside a season is still measured."""
    random = np.random.default_rng(2)
    step = np.arange(size)[:, None]
    noise = 0.2 * random.normal(size=(size, 4))
    assert _memory(np.cos(2 * np.pi * step / period) + noise).max() < 6
    assert _memory((step % period < period / 4) + noise).max() < 6
    mixed = np.cos(2 * np.pi * step / period) + 2 * slow(random, [size], 4, 0.98)[0] / 5
    assert _memory(mixed).min() > 12


def test_trend_has_few_independent_values() -> None:
    """The power of a trend falls with the square of the frequency: M · zeta(4) / (4 zeta(2)²) = M / 10."""
    trend = np.arange(2000.0)[:, None]
    assert _memory(trend)[0] == pytest.approx(2000 / 10, rel=0.01)
    assert _memory(np.zeros((50, 2))).tolist() == [1, 1]
    assert _memory(np.ones((1, 2))).tolist() == [1, 1]
