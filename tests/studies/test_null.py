"""Labels of planted neurons: none of noise, none of the position under another name, and what was planted is found."""

from __future__ import annotations

import numpy as np
import pytest

from gatescope.features import of_arrays
from gatescope.studies.labels import Search, labels
from tests.studies.noise import (
    NEURONS,
    POSITION,
    features,
    following,
    lengths_of,
    noise,
    positional,
    slow,
    slow_features,
)
from tests.studies.planted import planted

KINDS = ("one text", "equal, 8 steps", "different, 4 to 40 steps")
TEXTS = 6


def _search(seed: int) -> Search:
    return Search(rate=0.1, chances=500, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_keeps_the_rate_in_texts_of_any_lengths(kind: str) -> None:
    """More than 3 of 6 texts with a label at 10 % have a probability of 0.1 % (binomial); the seeds are fixed."""
    with_label = 0
    for seed in range(TEXTS):
        random = np.random.default_rng(seed)
        lengths = lengths_of(kind, random)
        with_label += len(labels(noise(random, lengths), features(random, lengths), search=_search(seed))) > 0
    assert with_label <= 3


@pytest.mark.parametrize(("lengths", "steps"), [([2000], 4000), ([750, 1250], 128)])
def test_slow_noise_keeps_the_rate_in_few_texts(lengths: list[int], steps: int) -> None:
    """Noise remembers some steps, and features change as slowly.

    More than 8 of 30 texts with a label at 10 % have a probability of 0.2 % (binomial); the seeds are fixed. With
    blocks of 64 steps, whatever the memory, 10 and 9 of these texts had a label.
    """
    with_label = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        given = features(random, lengths) + slow_features(random, lengths, steps)
        search = Search(rate=0.1, chances=300, seed=seed)
        with_label += len(labels(noise(random, lengths, np.exp(-1 / steps)), given, search=search)) > 0
    assert with_label <= 8


@pytest.mark.parametrize("lengths", [[4000], [2000, 2000]])
def test_slow_features_are_found_in_few_texts(lengths: list[int]) -> None:
    """A neuron that follows a slow feature, with noise as slow and 0.6 times as large, is labelled with it."""
    names, correct = ["slow.half", "slow.level", "slow.seldom"], 0
    for seed in range(4):
        random = np.random.default_rng(seed)
        given = features(random, lengths) + slow_features(random, lengths, 16)
        by_name = {feature.name: feature.values.astype(float) for feature in given}
        whole = np.concatenate(slow(random, lengths, NEURONS, np.exp(-1 / 16)))
        whole *= 0.6 / whole.std(0)
        for k, name in enumerate(names):
            whole[:, k] += by_name[name] / by_name[name].std()
        texts = ["".join(random.choice(list("abcdefgh"), length)) for length in lengths]
        trace = planted({"h": np.split(whole, np.cumsum(lengths)[:-1])}, cell="elman", texts=texts)
        first = {row["neuron"]: row["feature"] for row in labels(trace, given, search=_search(seed)).where(place=0)}
        correct += sum(first.get(k) == name for k, name in enumerate(names))
    assert correct >= 10  # of 12


def test_neurons_too_slow_for_the_text_are_named() -> None:
    """A random walk has one trend in a text, which is too little for a label; another neuron is still labelled."""
    random = np.random.default_rng(2)
    on = random.random(2000) < 0.3
    walk = np.cumsum(random.normal(size=2000))
    values = np.stack([walk, on + 0.3 * random.normal(size=2000), np.arange(2000)], axis=1)
    trace = planted({"h": [values]}, cell="elman")
    given = of_arrays("x", {"on": on, "late": np.arange(2000) % 1000 > 500, "step": np.arange(2000)}, {})
    table = labels(trace, given, search=_search(0))
    assert table.about["too_slow"] == {"layer0.h": [0, 2]}
    assert {(row["neuron"], row["feature"]) for row in table.where(place=0)} == {(1, "x.on")}


def test_a_text_with_slow_neurons_only_has_no_labels() -> None:
    values = np.cumsum(np.random.default_rng(0).normal(size=(1000, 2)), axis=0)
    seen: list[tuple[int, int]] = []
    given = of_arrays("x", {"on": np.arange(1000) % 9 == 0, "step": np.arange(1000)}, {})
    trace = planted({"h": [values + np.arange(1000)[:, None]]}, cell="elman")
    table = labels(trace, given, search=_search(0), progress=lambda *both: seen.append(both))
    assert not len(table)
    assert table.about["too_slow"] == {"layer0.h": [0, 1]}
    assert seen[-1][0] <= seen[-1][1]


@pytest.mark.parametrize("period", [12, 24])
def test_a_season_is_labelled(period: int) -> None:
    """A neuron that is high at one time of every season follows this time, and noise follows nothing."""
    random = np.random.default_rng(period)
    step = np.arange(4000)
    values = random.normal(size=(4000, 4))
    values[:, 0] = np.cos(2 * np.pi * (step - 3) / period) + 0.2 * values[:, 0]
    values[:, 1] = (step % period == 5) + 0.2 * values[:, 1]
    given = of_arrays("at", {f"{k}": step % period == k for k in range(period)}, {})
    table = labels(planted({"h": [values]}, cell="elman"), given, search=_search(0))
    first = {row["neuron"]: row["feature"] for row in table.where(place=0)}
    assert set(first) == {0, 1}
    assert first[1] == "at.5"


@pytest.mark.parametrize("kind", KINDS[1:])
def test_functions_of_the_position_get_no_other_label(kind: str) -> None:
    random = np.random.default_rng(0)
    lengths = lengths_of(kind, random)
    given = features(random, lengths)
    table = labels(positional(random, lengths), given, search=_search(0))
    assert len(set(table["neuron"].tolist())) == 8
    parts = {part for name in table["feature"] for part in name.replace("not ", "").split(" & ")}
    assert parts <= set(POSITION)
    assert np.isnan(table["within"].astype(float)).all()


@pytest.mark.parametrize("memory", [0.5, 0.9])
def test_noise_varies_at_the_same_position_by_chance_alone(memory: float) -> None:
    """A neuron of the position and noise that has nothing to do with the text: no label says more than the position.

    More than 2 of 6 texts with another label at 10 % have a probability of 1.6 % (binomial); the seeds are fixed.
    """
    with_other = 0
    for seed in range(TEXTS):
        random = np.random.default_rng(seed)
        lengths = lengths_of("different, 4 to 40 steps", random)
        given = features(random, lengths)
        table = labels(positional(random, lengths, memory, loud=2.0), given, search=_search(seed))
        with_other += not np.isnan(table["within"].astype(float)).all()
    assert with_other <= 2


def test_weak_features_are_found_at_the_same_position() -> None:
    """A correlation of 0.4 is far above chance, though it is below 0.5, where an area under the ROC curve begins."""
    names, correct, lowest = [f"planted.{name}" for name in ("on0", "on5", "on8", "walk1")], 0, 1.0
    for seed in range(4):
        random = np.random.default_rng(seed)
        lengths = lengths_of("equal, 30 steps", random)
        given = features(random, lengths)
        table = labels(following(random, lengths, given, names, 2.0), given, search=_search(seed))
        first = {row["neuron"]: row for row in table.where(place=0)}
        right = [row for k, row in first.items() if row["feature"] == names[k]]
        correct, lowest = correct + len(right), min([lowest, *(row["within"] for row in right)])
    assert correct >= 12  # of 16
    assert lowest < 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_planted_features_are_found_in_texts_of_any_lengths(kind: str) -> None:
    random = np.random.default_rng(1)
    lengths = lengths_of(kind, random)
    given = features(random, lengths)
    names = ["planted.on0", "planted.on8", "planted.walk1"] + ["planted.of_sequence0"] * (len(lengths) > 1)
    table = labels(following(random, lengths, given, names, 0.5), given, search=_search(1))
    assert [row["feature"] for row in table.where(place=0)] == names
    assert table.about["chance"]["searches"] >= 500
    assert "exchanged" in table.about["chance"]["null"] or len(lengths) == 1
