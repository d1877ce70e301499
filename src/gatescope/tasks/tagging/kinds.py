"""What tokens and frames do each in their own way, for the task tagging. All of it is learnt from the training part.

`T` step, `I` number of a frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Int

from gatescope.tasks.base.task import TaskError
from gatescope.tasks.measures.baselines import MostFrequentLabel
from gatescope.tasks.tagging.tagged import Raw, Tagged
from gatescope.vocabulary import PADDING, Ids, Numbers, Vocabulary

END = "\n"
"""Ends a sentence."""

EXAMPLES = 4
LENGTHS = (8, 30)  # steps of an example sentence
SHOWN = 200  # frames of an example
CANDIDATES = 8  # places of frames that are compared as a whole

# --- sentences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tokens:
    """Sentences of tokens, each closed by a newline, of which nothing is asked.

    Arguments:
        vocabulary: the tokens that occur often enough in the training part, and the newline.
    """

    vocabulary: Vocabulary
    thing: ClassVar[str] = "token"

    @classmethod
    def of(cls, training: Tagged, least: int) -> Self:
        """The tokens that occur at least so many times. Raises: TaskError where there are none."""
        words = chain.from_iterable(training.raw)
        try:
            return cls(Vocabulary.of_words(words, END, unit="token", least=least))
        except ValueError as error:
            raise TaskError("KINDS_TOKEN_TRAINING_PART_OCCURS", least=least) from error

    def encode(self, raw: Raw) -> Ids:
        """The ids of the tokens, and of the newline behind them."""
        return self.vocabulary.ids_of((*raw, END))

    def targets(self, tags: Int[np.ndarray, " T"]) -> Ids:
        """The labels, and none for the newline."""
        return np.append(tags, PADDING).astype(np.int32)

    def text(self, sequences: Sequence[Raw]) -> str:
        """One sentence a line, its tokens with a space between them."""
        return "".join(" ".join(map(str, raw)) + END for raw in sequences)

    def baseline(self, training: Tagged) -> Callable[[Any], Int[np.ndarray, " T"]]:
        """The label that each token has most often: of tokens, the numbers of their labels."""
        return MostFrequentLabel.fit(training.raw, training.tags, len(training.classes)).predict

    def to_json(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"vocabulary": self.vocabulary.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What `to_json` wrote. Raises: KeyError, ValueError."""
        return cls(Vocabulary.from_json(data["vocabulary"]))


@dataclass(frozen=True)
class Lexicon:
    """What the training part says of each token by itself.

    Arguments:
        counts: token -> how often each of its labels was seen.
    """

    counts: dict[str, Counter[int]]

    @classmethod
    def of(cls, training: Tagged) -> Self:
        """All tokens, those that are no symbols too."""
        counts: dict[str, Counter[int]] = {}
        for raw, tags in zip(training.raw, training.tags, strict=True):
            for token, tag in zip(raw, tags.tolist(), strict=True):
                counts.setdefault(str(token), Counter())[tag] += 1
        return cls(counts)

    @cached_property
    def entropy(self) -> dict[str, float]:
        """Token -> the entropy of its labels in bits: 0 where it always has the same."""
        found = {}
        for token, seen in self.counts.items():
            shares = np.array(list(seen.values())) / seen.total()
            found[token] = max(0.0, -float((shares * np.log2(shares)).sum()))
        return found


# --- frames ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frames:
    """Sequences of frames. The network reads each number less its mean, divided by its deviation.

    Arguments:
        vocabulary: the names of the numbers.
        mean, deviation: (I,) of the training part; 1 instead of the deviation of a number that never changes.
    """

    vocabulary: Vocabulary
    mean: Float[np.ndarray, " I"]
    deviation: Float[np.ndarray, " I"]
    thing: ClassVar[str] = "frame"

    @classmethod
    def of(cls, training: Tagged, names: Sequence[str] | None) -> Self:
        """Scaled by the training part; names None: x0, x1, ... Raises: TaskError for names that do not fit."""
        values = np.concatenate(list(training.raw)).astype(np.float64)
        width = values.shape[1]
        names = [f"x{k}" for k in range(width)] if names is None else list(names)
        if len(names) != width or len(set(names)) != width or not all(names):
            raise TaskError("KINDS_NUMBERS_FRAME_NEED_MANY", width=width, names=", ".join(names))
        deviation = values.std(0)
        changes = np.ptp(values, axis=0) > 0
        return cls(Vocabulary(tuple(names), None, "number"), values.mean(0), np.where(changes, deviation, 1.0))

    def encode(self, raw: Raw) -> Numbers:
        """The scaled numbers, (T, I)."""
        return ((np.asarray(raw, np.float64) - self.mean) / self.deviation).astype(np.float32)

    def targets(self, tags: Int[np.ndarray, " T"]) -> Ids:
        """The labels."""
        return tags.astype(np.int32)

    def text(self, sequences: Sequence[Raw]) -> str:
        """The scaled numbers, a line for each frame, and an empty line between two sequences."""
        return "\n".join(self.vocabulary.decode(self.encode(raw)) for raw in sequences)

    def baseline(self, training: Tagged) -> Callable[[Any], Int[np.ndarray, " T"]]:
        """Linear discriminants: of scaled frames, each by itself, the numbers of their labels.

        The classes are taken for normal distributions of one covariance.

        Source: T. Hastie, R. Tibshirani, J. Friedman, The elements of statistical learning, 2009, section 4.3. A
        thousandth of the mean variance is added to each, for numbers that depend on each other.
        """
        values = np.concatenate([self.encode(raw) for raw in training.raw]).astype(np.float64)
        tags = np.concatenate(list(training.tags))
        seen = np.unique(tags)
        means = np.stack([values[tags == k].mean(0) for k in seen])
        rest = values - means[np.searchsorted(seen, tags)]
        covariance = rest.T @ rest / len(rest)
        ridge = max(1e-3 * float(np.trace(covariance)) / len(covariance), 1e-9)
        weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), means.T)
        shares = np.array([(tags == k).mean() for k in seen])
        biases = np.log(shares) - 0.5 * (means * weights.T).sum(1)
        return lambda frames: seen[(frames.astype(np.float64) @ weights + biases).argmax(1)]

    def to_json(self) -> dict[str, Any]:
        """Names and scale."""
        scale = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return {"vocabulary": self.vocabulary.to_json(), **scale}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What `to_json` wrote. Raises: KeyError, TypeError, ValueError."""
        scale = [np.array(data[name], np.float64) for name in ("mean", "deviation")]
        vocabulary = Vocabulary.from_json(data["vocabulary"])
        if (
            not all(each.shape == (vocabulary.size,) and np.isfinite(each).all() for each in scale)
            or not scale[1].all()
        ):
            raise ValueError("'mean' and 'deviation' are no scale of the numbers.")
        return cls(vocabulary, *scale)


def find(frames: Numbers, among: Sequence[Numbers]) -> tuple[int, int] | None:
    """Where these frames stand in some sequences: the number of the sequence and of the step; None: nowhere."""
    if not len(frames) or not among:
        return None
    for number, sequence in enumerate(among):
        places = np.arange(len(sequence) - len(frames) + 1)
        for step, frame in enumerate(frames):
            if len(places) <= CANDIDATES:
                break
            places = places[(sequence[places + step] == frame).all(1)]
        for place in places.tolist():
            if np.array_equal(sequence[place : place + len(frames)], frames):
                return number, place
    return None


def examples_of(kind: Tokens | Frames, test: Tagged) -> list[tuple[str, list[int]]]:
    """Texts of the test part with their answers; sentences with many labels and few unknown tokens."""
    if isinstance(kind, Frames):
        chosen = list(range(min(EXAMPLES, len(test.raw))))
        return [(kind.text([test.raw[k][:SHOWN]]), test.tags[k][:SHOWN].tolist()) for k in chosen]
    some = []
    for places in np.array_split(np.arange(len(test.raw)), EXAMPLES):
        if len(places):
            some.append(max(places.tolist(), key=lambda k: _interest(kind, test, k)))
    return [(kind.text([test.raw[k]]), kind.targets(test.tags[k]).tolist()) for k in some]


def _interest(kind: Tokens, test: Tagged, number: int) -> tuple[bool, float]:
    """How much there is to see in a sentence."""
    ids = kind.encode(test.raw[number])
    fits = LENGTHS[0] <= len(ids) <= LENGTHS[1]
    return fits, len(np.unique(test.tags[number])) - 2.0 * int((ids == kind.vocabulary.unknown).sum())
