"""Places from which moved signals are read: they keep what a signal has of its own, and break the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.studies.common.relocations import Relocations


@given(lengths=st.lists(st.integers(1, 900), min_size=1, max_size=4), seed=st.integers(0, 2**31))
def test_a_text_with_blocks_has_each_place_once(lengths: list[int], seed: int) -> None:
    """A text is shifted and its blocks are rotated at every level but the last, where it is read without a jump."""
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    relocations = Relocations(sequence, exchange=False)
    for level in range(relocations.last_level + 1):
        places = relocations.draw(np.random.default_rng(seed), level)
        assert np.array_equal(sequence[places], sequence)
        if relocations.reads_once(level):
            assert np.array_equal(np.sort(places), np.arange(len(sequence)))
        else:
            assert level == relocations.last_level
            for part in np.split(places, np.cumsum(lengths)[:-1]):
                assert np.abs(np.diff(part)).max(initial=0) <= 1


def test_blocks_are_long_beside_the_memory() -> None:
    """Blocks have at least 20 memories, counted from the jumps, or there are none."""
    size = 10_000
    relocations = Relocations(np.zeros(size, np.int64), exchange=False)
    memory = np.array([1, 10, 20, 60, 240, 1000.0])
    levels = relocations.levels(memory)
    assert levels[:2].tolist() == [0, 1]  # 157 steps suffice for a memory of 1, not of 10
    assert levels[-1] == relocations.last_level
    assert (np.diff(levels) >= 0).all()
    for level, steps in zip(levels.tolist(), memory, strict=True):
        places = relocations.draw(np.random.default_rng(0), level)
        jumps = np.flatnonzero(np.abs(np.diff(places)) > 1)
        blocks = (len(jumps) + 1) / 2  # each block has a jump inside, and one at its end
        assert level == relocations.last_level or size / blocks >= 20 * steps


@given(lengths=st.lists(st.integers(1, 40), min_size=2, max_size=9), seed=st.integers(0, 2**31))
def test_exchanged_sequences_are_read_without_jumps(lengths: list[int], seed: int) -> None:
    """Each sequence reads one other sequence, place after place, forwards or backwards."""
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    places = Relocations(sequence, exchange=True).draw(np.random.default_rng(seed))
    sources = [set(sequence[part].tolist()) for part in np.split(places, np.cumsum(lengths)[:-1])]
    assert [len(source) for source in sources] == [1] * len(lengths)
    assert sorted(next(iter(source)) for source in sources) == list(range(len(lengths)))
    for part in np.split(places, np.cumsum(lengths)[:-1]):
        assert np.abs(np.diff(part)).max(initial=0) <= 1


@pytest.mark.parametrize(("lengths", "period"), [([8] * 26, 8), ([4000], 24)])
def test_nothing_periodic_survives(lengths: list[int], period: int) -> None:
    """A function of the position, or of the season, has no correlation of 1 with itself at any lag."""
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    signal = np.cos(2 * np.pi * (step % period) / period)
    relocations, random = Relocations(sequence, exchange=len(lengths) > 1), np.random.default_rng(0)
    # The last level is that of signals which no season describes.
    assert len(lengths) > 1 or relocations.last_level > 0
    correlations = [
        abs(np.corrcoef(signal[relocations.draw(random)], np.roll(signal, lag))[0, 1])
        for _ in range(100)
        for lag in range(period)
    ]
    assert max(correlations) < 0.9
    assert np.median(correlations) < 0.3


def test_slow_changes_of_one_text_survive() -> None:
    """Noise that changes more slowly than a block keeps the variance of its sums over long parts."""
    random = np.random.default_rng(1)
    noise = np.cumsum(random.normal(size=20000))
    noise -= np.convolve(noise, np.ones(4001) / 4001, mode="same")
    relocations = Relocations(np.zeros(20000, np.int64), exchange=False)
    feature = (np.arange(20000) // 1000) % 2 == 0
    moved = [abs(noise[relocations.draw(random)][feature].mean()) for _ in range(200)]
    shifted = [abs(np.roll(noise, random.integers(20000))[feature].mean()) for _ in range(200)]
    assert 0.6 < np.mean(moved) / np.mean(shifted) < 1.6
