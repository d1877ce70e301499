"""Planted neurons and features for the tests of labels: what is noise, and what is not, is known.

Lengths say how many steps each sequence has: one long text, sequences of one length, or of different lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gatescope import Trace
from gatescope.features import Feature, of_arrays
from tests.studies.planted import planted

NEURONS = 8
Lengths = Sequence[int]


def lengths_of(kind: str, random: np.random.Generator) -> list[int]:
    """Return the lengths of the sequences of a kind of text."""
    return {
        "one text": [4000],
        "two texts": [1500, 2500],
        "equal, 8 steps": [8] * 30,
        "equal, 30 steps": [30] * 40,
        "different, 4 to 40 steps": random.integers(4, 41, 40).tolist(),
        "ten, 4 to 40 steps": np.linspace(4, 40, 10).round().astype(int).tolist(),
    }[kind]


def slow(random: np.random.Generator, lengths: Lengths, count: int, memory: float) -> list[NDArray[np.float64]]:
    """Return stationary noise of each sequence that retains a share of its value at each step, (T, N)."""
    rows = []
    for length in lengths:
        noise = random.normal(size=(length, count))
        noise[0] /= np.sqrt(1 - memory**2)
        for step in range(1, length):
            noise[step] += memory * noise[step - 1]
        rows.append(noise)
    return rows


def features(random: np.random.Generator, lengths: Lengths) -> list[Feature]:
    """Return features of a text: of the position, of the sequence, fast and slow ones, counts, and lines."""
    size = sum(lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    number = np.repeat(np.arange(len(lengths)), lengths)
    chunks = [np.repeat(random.random((size // run + 1, 3)) < 0.4, run, axis=0)[:size] for run in (1, 4, 15)]
    arrays: dict[str, NDArray] = {f"on{k}": column for k, column in enumerate(np.concatenate(chunks, axis=1).T)}
    arrays |= {f"of_sequence{k}": (random.random(len(lengths)) < 0.4)[number] for k in range(3)}
    arrays |= {"early": step < 3, "third": step == 2, "alternating": step % 2 == 0, "step": step.astype(float)}
    arrays |= {"in_line": (step % 17).astype(float), "line_start": step % 17 == 0}
    walk = np.concatenate(slow(random, lengths, 3, 0.9))
    arrays |= {f"walk{k}": column for k, column in enumerate(walk.T)}
    flags = random.random(size) < 0.3
    arrays["so_far"] = np.concatenate([np.cumsum(part) for part in np.split(flags, np.cumsum(lengths)[:-1])]).astype(
        float
    )
    return of_arrays("planted", arrays, {})


def slow_features(random: np.random.Generator, lengths: Lengths, steps: float) -> list[Feature]:
    """Return three binary features and a count that change as slowly as noise with a memory of some steps."""
    walk = np.concatenate(slow(random, lengths, 4, float(np.exp(-1 / steps))))
    walk /= walk.std(0)
    arrays = {"half": walk[:, 0] > 0, "seldom": walk[:, 1] > 0.8, "mostly": walk[:, 3] > -1, "level": walk[:, 2]}
    return of_arrays("slow", arrays, {})


POSITION = (
    "planted.early",
    "planted.third",
    "planted.alternating",
    "planted.step",
    "planted.in_line",
    "planted.line_start",
)


def _trace(random: np.random.Generator, rows: Sequence[NDArray[np.float64]]) -> Trace:
    """Return a trace of one layer; the sequences have different texts."""
    texts = ["".join(random.choice(list("abcdefgh"), len(row))) for row in rows]
    return planted({"h": rows}, cell="elman", texts=texts)


def noise(random: np.random.Generator, lengths: Lengths, memory: float = 0.8) -> Trace:
    """Return neurons that have nothing to do with the text."""
    return _trace(random, slow(random, lengths, NEURONS, memory))


def positional(random: np.random.Generator, lengths: Lengths, memory: float = 0.5, loud: float = 0.3) -> Trace:
    """Return neurons that are a smooth function of the position, and noise that is `loud` times as large as a step."""
    profile = np.cumsum(random.normal(size=(max(lengths), NEURONS)), axis=0)
    rows = slow(random, lengths, NEURONS, memory)
    return _trace(random, [profile[: len(row)] + loud * row for row in rows])


def following(
    random: np.random.Generator, lengths: Lengths, given: Sequence[Feature], names: Sequence[str], loud: float
) -> Trace:
    """Return neurons that follow features, with noise of `loud` standard deviations of the feature."""
    by_name = {feature.name: feature.values.astype(float) for feature in given}
    ends = np.cumsum(lengths)[:-1]
    columns = [np.split(by_name[name] / by_name[name].std(), ends) for name in names]
    rows = slow(random, lengths, len(names), 0.8)
    parts = [np.stack([column[k] for column in columns], 1) + loud * 0.6 * row for k, row in enumerate(rows)]
    return _trace(random, parts)


Maker = Callable[[np.random.Generator, Lengths], Trace]
