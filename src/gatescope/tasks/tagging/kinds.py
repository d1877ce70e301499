"""The two kinds of steps of the task tagging, tokens and frames: their encoding, targets, texts and baselines.

Everything is fitted to the training part. T is the number of steps, I that of the numbers of a frame.
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
from gatescope.tasks.tagging.tagging_parts import Raw, Tagged
from gatescope.vocabulary import PADDING, Ids, Numbers, Vocabulary

END = "\n"
"""The end of a sentence."""

EXAMPLES = 4
EXAMPLE_STEPS = (8, 30)  # the preferred length of an example sentence
MAX_EXAMPLE_FRAMES = 200
MAX_CANDIDATES = 8  # places whose frames are compared as a whole

# --- sentences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tokens:
    """Sentences of tokens, each closed by a newline, which has no target.

    Attributes:
        vocabulary: the tokens that occur often enough in the training part, and the newline.
    """

    vocabulary: Vocabulary
    step_name: ClassVar[str] = "token"

    @classmethod
    def of(cls, training: Tagged, least: int) -> Self:
        """Fit the vocabulary: the tokens that occur at least this many times.

        Raises:
            TaskError: no token occurs often enough.
        """
        words = chain.from_iterable(training.raw)
        try:
            return cls(Vocabulary.of_words(words, END, unit="token", least=least))
        except ValueError as error:
            raise TaskError("TAGGING_LEAST_TOO_LARGE", least=least) from error

    def encode(self, raw: Raw) -> Ids:
        """Return the ids of the tokens and the newline."""
        return self.vocabulary.ids_of((*raw, END))

    def targets(self, tags: Int[np.ndarray, " T"]) -> Ids:
        """Return the labels, and -1 for the newline."""
        return np.append(tags, PADDING).astype(np.int32)

    def text(self, sequences: Sequence[Raw]) -> str:
        """Return the sentences as text: one a line, tokens separated by spaces."""
        return "".join(" ".join(map(str, raw)) + END for raw in sequences)

    def baseline(self, training: Tagged) -> Callable[[Any], Int[np.ndarray, " T"]]:
        """Return the baseline: tokens -> the most frequent label of each token."""
        return MostFrequentLabel.fit(training.raw, training.tags, len(training.classes)).predict

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as JSON."""
        return {"vocabulary": self.vocabulary.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild what `to_json` returned.

        Raises:
            KeyError: the vocabulary is missing.
            ValueError: the vocabulary is damaged.
        """
        return cls(Vocabulary.from_json(data["vocabulary"]))


@dataclass(frozen=True)
class Lexicon:
    """The labels of each token in the training part.

    Attributes:
        counts: token -> the number of occurrences with each label.
    """

    counts: dict[str, Counter[int]]

    @classmethod
    def of(cls, training: Tagged) -> Self:
        """Count the labels of all tokens, including those that are not in the vocabulary."""
        counts: dict[str, Counter[int]] = {}
        for raw, tags in zip(training.raw, training.tags, strict=True):
            for token, tag in zip(raw, tags.tolist(), strict=True):
                counts.setdefault(str(token), Counter())[tag] += 1
        return cls(counts)

    @cached_property
    def entropy(self) -> dict[str, float]:
        """Token -> the entropy of its labels in bits; 0 if it always has the same label."""
        entropies = {}
        for token, labels in self.counts.items():
            shares = np.array(list(labels.values())) / labels.total()
            entropies[token] = max(0.0, -float((shares * np.log2(shares)).sum()))
        return entropies


# --- frames ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frames:
    """Sequences of frames. The network reads each number less its mean, divided by its standard deviation.

    Attributes:
        vocabulary: the names of the numbers.
        mean: (I,) the mean of each number in the training part.
        deviation: (I,) the standard deviation of each number; 1 for a number that never changes.
    """

    vocabulary: Vocabulary
    mean: Float[np.ndarray, " I"]
    deviation: Float[np.ndarray, " I"]
    step_name: ClassVar[str] = "frame"

    @classmethod
    def of(cls, training: Tagged, names: Sequence[str] | None) -> Self:
        """Fit the scale.

        Args:
            training: the training part.
            names: the names of the numbers; None: x0, x1, ...

        Raises:
            TaskError: the number of names is wrong, or two names are the same.
        """
        values = np.concatenate(list(training.raw)).astype(np.float64)
        width = values.shape[1]
        names = [f"x{k}" for k in range(width)] if names is None else list(names)
        if len(names) != width or len(set(names)) != width or not all(names):
            raise TaskError("TAGGING_FRAME_NAMES", width=width, names=", ".join(names))
        deviation = values.std(0)
        changes = np.ptp(values, axis=0) > 0
        return cls(Vocabulary(tuple(names), None, "number"), values.mean(0), np.where(changes, deviation, 1.0))

    def encode(self, raw: Raw) -> Numbers:
        """Return the scaled numbers, (T, I)."""
        return ((np.asarray(raw, np.float64) - self.mean) / self.deviation).astype(np.float32)

    def targets(self, tags: Int[np.ndarray, " T"]) -> Ids:
        """Return the labels."""
        return tags.astype(np.int32)

    def text(self, sequences: Sequence[Raw]) -> str:
        """Return the scaled numbers as text: one frame a line, an empty line between sequences."""
        return "\n".join(self.vocabulary.decode(self.encode(raw)) for raw in sequences)

    def baseline(self, training: Tagged) -> Callable[[Any], Int[np.ndarray, " T"]]:
        """Return the baseline, linear discriminant analysis: scaled frames -> the label of each frame alone.

        The classes are modelled as normal distributions with one covariance. A thousandth of the mean variance is added
        to each variance, in case some numbers depend linearly on others.

        Source: T. Hastie, R. Tibshirani, J. Friedman, The elements of statistical learning, 2009, section 4.3.
        """
        values = np.concatenate([self.encode(raw) for raw in training.raw]).astype(np.float64)
        tags = np.concatenate(list(training.tags))
        labels = np.unique(tags)
        means = np.stack([values[tags == k].mean(0) for k in labels])
        residuals = values - means[np.searchsorted(labels, tags)]
        covariance = residuals.T @ residuals / len(residuals)
        ridge = max(1e-3 * float(np.trace(covariance)) / len(covariance), 1e-9)
        weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), means.T)
        shares = np.array([(tags == k).mean() for k in labels])
        biases = np.log(shares) - 0.5 * (means * weights.T).sum(1)
        return lambda frames: labels[(frames.astype(np.float64) @ weights + biases).argmax(1)]

    def to_json(self) -> dict[str, Any]:
        """Return the names and the scale as JSON."""
        scale = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return {"vocabulary": self.vocabulary.to_json(), **scale}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild what `to_json` returned.

        Raises:
            KeyError: the names or the scale are missing.
            TypeError: the scale is not a list of numbers.
            ValueError: the names are damaged.
            TaskError: the scale does not fit the names.
        """
        scale = [np.array(data[name], np.float64) for name in ("mean", "deviation")]
        vocabulary = Vocabulary.from_json(data["vocabulary"])
        if (
            not all(values.shape == (vocabulary.size,) and np.isfinite(values).all() for values in scale)
            or not scale[1].all()
        ):
            raise TaskError("TAGGING_SCALE_INVALID", count=vocabulary.size)
        return cls(vocabulary, *scale)


def find_frames(frames: Numbers, sequences: Sequence[Numbers]) -> tuple[int, int] | None:
    """Find frames in sequences; return the number of the sequence and the first step, or None."""
    if not len(frames) or not sequences:
        return None
    for number, sequence in enumerate(sequences):
        places = np.arange(len(sequence) - len(frames) + 1)
        for step, frame in enumerate(frames):
            if len(places) <= MAX_CANDIDATES:
                break
            places = places[(sequence[places + step] == frame).all(1)]
        for place in places.tolist():
            if np.array_equal(sequence[place : place + len(frames)], frames):
                return number, place
    return None


def examples_of(kind: Tokens | Frames, test: Tagged) -> list[tuple[str, list[int]]]:
    """Choose example texts of the test part with their targets; sentences with many labels and few unknown tokens."""
    if isinstance(kind, Frames):
        chosen = list(range(min(EXAMPLES, len(test.raw))))
        return [
            (kind.text([test.raw[k][:MAX_EXAMPLE_FRAMES]]), test.tags[k][:MAX_EXAMPLE_FRAMES].tolist()) for k in chosen
        ]
    examples = []
    for places in np.array_split(np.arange(len(test.raw)), EXAMPLES):
        if len(places):
            examples.append(max(places.tolist(), key=lambda k: _interest(kind, test, k)))
    return [(kind.text([test.raw[k]]), kind.targets(test.tags[k]).tolist()) for k in examples]


def _interest(kind: Tokens, test: Tagged, number: int) -> tuple[bool, float]:
    """Return a key by which sentences are preferred as examples."""
    ids = kind.encode(test.raw[number])
    fits = EXAMPLE_STEPS[0] <= len(ids) <= EXAMPLE_STEPS[1]
    return fits, len(np.unique(test.tags[number])) - 2.0 * int((ids == kind.vocabulary.unknown).sum())
