"""Tests of the baselines against scikit-learn, plain loops, and series with a known season."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from gatescope.tasks.measures.baselines import BagOfWords, MostFrequentLabel, find_season, seasonal_naive
from tests.drawing import lists_with

WORDS = ["good", "Bad", "film", "not", "!", "it's", "the", "映画", "x1"]
TEXTS = st.lists(st.tuples(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), st.integers(0, 2)), min_size=1)


@given(TEXTS, st.lists(st.sampled_from([*WORDS, "unseen"]), max_size=5).map(" ".join))
def test_bag_of_words_equals_scikit_learn(data: list[tuple[str, int]], other: str) -> None:
    texts, labels = [text for text, _ in data], np.array([label for _, label in data])
    bag = BagOfWords.fit(texts, labels, 3)
    unseen = [*texts, other, ""]
    log_probs = bag.log_probabilities(unseen)
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-12)
    occurring = np.unique(labels)
    assert np.isneginf(np.delete(log_probs, occurring, axis=1)).all()
    if not any(text.strip() for text in texts):
        np.testing.assert_allclose(np.exp(log_probs[0]), np.bincount(labels, minlength=3) / len(labels))
        return
    count = CountVectorizer(token_pattern=r"[映画]|[^\W映画]+(?:'[^\W映画]+)*|[^\w\s]")
    reference = MultinomialNB(alpha=1.0).fit(count.fit_transform(texts), labels)
    expected = reference.predict_log_proba(count.transform(unseen))
    np.testing.assert_allclose(log_probs[:, occurring], expected, rtol=1e-9, atol=1e-9)
    assert bag.predict(unseen).tolist() == log_probs.argmax(axis=1).tolist()


def test_bag_of_words_by_hand() -> None:
    bag = BagOfWords.fit(["good film", "bad", "bad film"], np.array([1, 0, 0]), 2)
    # Counts plus one: class 0 has good 1, film 2, bad 3 of 6; class 1 good 2, film 2, bad 1 of 5; priors 2/3 and 1/3.
    joint = np.array([2 / 3 * 1 / 6 * 2 / 6, 1 / 3 * 2 / 5 * 2 / 5])
    np.testing.assert_allclose(np.exp(bag.log_probabilities(["Film: good"]))[0], joint / joint.sum(), rtol=1e-14)
    assert bag.predict(["Film: good", "", "BAD"]).tolist() == [1, 0, 0]
    assert bag.log_probabilities([]).shape == (0, 2)
    assert list(BagOfWords.fit(["很好 a_1 ひと-b!"], np.array([0]), 1).words) == [
        "很",
        "好",
        "a_1",
        "ひ",
        "と",
        "-",
        "b",
        "!",
    ]
    with pytest.raises(ValueError, match="got 0 texts and 0 labels"):
        BagOfWords.fit([], np.array([], dtype=np.int64), 2)
    with pytest.raises(ValueError, match="got 1 text and 2 labels"):
        BagOfWords.fit(["a"], np.array([0, 1]), 2)


TAGGED = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2))


@given(lists_with(st.lists(TAGGED, min_size=1, max_size=5), st.lists(TAGGED, max_size=5), max_size=6))
def test_most_frequent_label_equals_a_plain_loop(sentences: list[list[tuple[str, int]]]) -> None:
    tokens = [[token for token, _ in row] for row in sentences]
    tags = [np.array([tag for _, tag in row], dtype=np.int64) for row in sentences]
    fitted = MostFrequentLabel.fit(tokens, tags, 3)
    counts: dict[str, Counter[int]] = {}
    for row in sentences:
        for token, tag in row:
            counts.setdefault(token, Counter())[tag] += 1

    def first_most_frequent(counter: Counter[int]) -> int:
        return min(counter, key=lambda tag: (-counter[tag], tag))

    rare = [counter for counter in counts.values() if counter.total() == 1]
    unknown = first_most_frequent(sum(rare or counts.values(), Counter()))
    unseen_and_seen = ["zz", *"abcdefgh"]
    expected = [first_most_frequent(counts[token]) if token in counts else unknown for token in unseen_and_seen]
    assert fitted.predict(unseen_and_seen).tolist() == expected
    assert fitted.predict([]).shape == (0,)


def test_most_frequent_label_refuses_other_lengths() -> None:
    with pytest.raises(ValueError, match="got 0 tokens"):
        MostFrequentLabel.fit([[]], [np.array([], dtype=np.int64)], 2)
    with pytest.raises(ValueError, match="one label for each, got"):
        MostFrequentLabel.fit([["a"]], [np.array([0, 1])], 2)


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(3, 12), st.integers(1, 2)), elements=st.floats(-9, 9)),
    st.integers(1, 3),
    st.integers(1, 8),
)
def test_seasonal_naive_repeats_the_last_known_season(values: np.ndarray, season: int, horizon: int) -> None:
    origins = np.arange(season, len(values) + 1)
    forecasts = seasonal_naive(values, origins, horizon, season)
    assert forecasts.shape == (len(origins), horizon, values.shape[1])
    for forecast, origin in zip(forecasts, origins.tolist(), strict=True):
        known = values[:origin].tolist()
        for step in range(horizon):
            known.append(known[-season])  # the forecast stands for unknown values
            assert forecast[step].tolist() == known[-1]


def test_seasonal_naive_refuses_origins_out_of_range() -> None:
    values = np.zeros((4, 1))
    for origin in (1, 5):
        with pytest.raises(ValueError, match=f"from 2 to 4, got {origin} to {origin}"):
            seasonal_naive(values, np.array([origin]), 1, 2)
    with pytest.raises(ValueError, match="at least one step each, got 0 and 1"):
        seasonal_naive(values, np.array([2]), 1, 0)
    assert seasonal_naive(values, np.array([], dtype=np.int64), 3).shape == (0, 3, 1)


@pytest.mark.parametrize("season", [2, 3, 7, 12, 24, 60])
@pytest.mark.parametrize("slope", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_find_season_under_noise_and_a_trend(season: int, slope: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pattern = np.sin(2 * np.pi * np.arange(season) / season + 1) if season > 3 else np.arange(season) - 1.0
    values = np.tile(pattern, 600 // season) + slope * np.arange(600 // season * season)
    values += 0.3 * generator.normal(size=len(values))
    # The peak of a smooth pattern is flat, so noise may move that of a long season by a step.
    assert abs(find_season(values[:, None]) - season) <= season // 30


def test_find_season_is_1_without_a_season() -> None:
    T = 600
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=(T, 1))
        assert find_season(noise) == 1
        assert find_season(np.cumsum(noise, axis=0)) == 1  # its autocorrelation has high and wide peaks
    assert find_season(np.ones((50, 1))) == 1
    assert find_season(np.arange(50.0)[:, None]) == 1
    for T in range(6):
        assert find_season(np.tile([[0.0], [1.0]], (3, 1))[:T]) == 1


def test_find_season_does_not_depend_on_units() -> None:
    wave = np.tile(np.sin(2 * np.pi * np.arange(12) / 12), 20)[:, None]
    walk = np.cumsum(np.random.default_rng(0).normal(size=(240, 1)), axis=0)
    assert find_season(np.hstack([wave, 1e6 * wave, np.zeros((240, 1))])) == 12
    both = np.hstack([wave, walk])
    assert find_season(both) == find_season(both * [1e-3, 1e3])
    assert find_season(wave, longest=11) == 1
    assert find_season(wave[:36]) == 12
