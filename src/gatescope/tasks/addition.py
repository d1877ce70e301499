"""The task addition: the sum of two marked numbers.

A network must add at the marks and hold the sum over all other numbers, so its cell states show a long memory.

Source: S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997) 1735-1780, experiment 4,
with the numbers between 0 and 1 and the marks 0 and 1, as in Q. V. Le, N. Jaitly and G. Hinton, arXiv:1504.00941,
section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.readout import Readout, numbers
from gatescope.tasks.base.saved_task import SavedTask, whole_number
from gatescope.tasks.base.task import (
    EVALUATION,
    TRAINING,
    Batch,
    Predict,
    Quantity,
    Recommended,
    Score,
    TaskError,
    generator,
    predictions,
)
from gatescope.vocabulary import Numbers, Vocabulary

SHORTEST, LONGEST = 50, 55  # pairs of a sequence: T to T + T / 10, as in the paper
CLOSE_ERROR = 0.04  # the largest error of a close sum, as in the paper (where the range of the sum is half as wide)
CHANCE = 1 / 6  # the variance of the sum of two uniform numbers between 0 and 1, 1/12 each
SCORED_SEQUENCES = 500
SEQUENCES_PER_LENGTH = 20  # of each longer length that is tried
CLOSE_SHARE = 0.9  # the share of close sums with which a length is solved
LONGEST_FACTOR = 8  # longer lengths are tried up to this multiple of the longest trained one
MAX_PAIRS = 10_000

Sequences = list[Float[np.ndarray, "_ 2"]]


class Addition(SavedTask):
    """Predict, after a sequence of pairs (number, mark), the sum of the two numbers whose mark is 1.

    The numbers are uniform between 0 and 1. One mark is in the first half of the sequence and one in the second, so the
    first number is held over half of the sequence on average. Lengths are uniform.

    Args:
        batch: sequences in a batch; None: the recommended number.
        shortest: the fewest pairs of a sequence, at least 2.
        longest: the most pairs of a sequence.

    Raises:
        TaskError: a number is out of its range.
    """

    name: ClassVar[str] = "addition"
    title: ClassVar[str] = "Addition"
    question: ClassVar[str] = (
        "Two of many numbers are marked, and it must predict their sum: "
        "which neuron adds at a mark and stays where it is elsewhere?"
    )
    settings: ClassVar[Recommended] = Recommended(
        layers=(32,),
        steps=6000,
        batch=32,
        learning_rate=0.01,
        final_learning_rate=0.01,
        score_every=500,
        until_solved=True,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "sum": "sum of the marked numbers so far",
        "marks": "marks so far",
        "marked": "this number is marked",
        "first": "the first marked number, from its mark on",
    }

    def __init__(self, batch: int | None = None, shortest: int = SHORTEST, longest: int = LONGEST) -> None:
        if batch is not None and batch < 1:
            raise TaskError("TASK_BATCH_RANGE", batch=batch)
        if not 2 <= shortest <= longest <= MAX_PAIRS:
            raise TaskError("ADDITION_LENGTHS_RANGE", most=MAX_PAIRS, shortest=shortest, longest=longest)
        self.shortest, self.longest = shortest, longest
        self.vocabulary: Vocabulary = Vocabulary(("value", "marker"), unit="number")
        self.recommended: Recommended = self.settings if batch is None else replace(self.settings, batch=batch)

    @property
    def readout(self) -> Readout:
        """The estimate of the sum, after the last step."""
        return numbers(["sum"], (), "last step")

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts: none."""
        return []

    def draw(self, random: np.random.Generator, lengths: Sequence[int]) -> Sequences:
        """Return one random sequence of each length."""
        drawn: Sequences = []
        for length in lengths:
            pairs = np.zeros((length, 2), np.float32)
            pairs[:, 0] = random.random(length)
            pairs[[random.integers(0, length // 2), random.integers(length // 2, length)], 1] = 1
            drawn.append(pairs)
        return drawn

    def batch(self, seed: int, step: int) -> Batch:
        """Return the sequences of one training step. The target of each is the sum, at its last pair."""
        random = generator(TRAINING, seed, step)
        lengths = random.integers(self.shortest, self.longest + 1, self.recommended.batch)
        tokens = np.full((len(lengths), int(lengths.max()), 2), np.nan, np.float32)
        targets = np.full((*tokens.shape[:2], 1), np.nan, np.float32)
        for k, pairs in enumerate(self.draw(random, lengths.tolist())):
            tokens[k, : len(pairs)] = pairs
            targets[k, len(pairs) - 1] = _sum(pairs)
        return Batch(tokens, targets)

    def evaluation(self) -> Sequences:
        """Return 500 fixed sequences, drawn as for training."""
        random = generator(EVALUATION, 0)
        return self.draw(random, random.integers(self.shortest, self.longest + 1, SCORED_SEQUENCES).tolist())

    def validation(self, predict: Predict) -> float:
        """Return the mean squared error on the sequences of `evaluation`."""
        return float(np.mean(_errors(predict, self.evaluation()) ** 2))

    def score(self, predict: Predict) -> Score:
        """Return the mean squared error on 500 sequences, that of always predicting 1, and the share of close sums.

        The task is solved if the error is below 0.01 and nine in ten sums are within 0.04. Then longer sequences are
        tried, 20 of each length, each length a tenth longer, up to 8 times the longest trained one. The first failure
        is the first length at which fewer than nine in ten sums are within 0.04.
        """
        errors = _errors(predict, self.evaluation())
        value, close = float(np.mean(errors**2)), float(np.mean(np.abs(errors) < CLOSE_ERROR))
        solved = value < 0.01 and close >= CLOSE_SHARE
        first, tried = self._first_failure(predict) if solved else (None, self.longest)
        text = Message("SCORE_ADDITION", error=value, chance=CHANCE, close=close, limit=CLOSE_ERROR)
        if solved and first is None:
            text = Message("SCORE_ADDITION_ALL", sums=text, tried=tried)
        elif solved:
            text = Message("SCORE_ADDITION_FAILS", sums=text, first=first)
        return Score(
            value=value,
            chance=CHANCE,
            solved=solved,
            text=str(text),
            message=text,
            details={"close": close, "first_failure": first, "tried": tried},
            better="lower",
        )

    def _first_failure(self, predict: Predict) -> tuple[int | None, int]:
        """Return the first longer length at which too few sums are close (None: none), and the last length tried."""
        length = self.longest
        while length < LONGEST_FACTOR * self.longest:
            length = min(math.ceil(1.1 * length), LONGEST_FACTOR * self.longest)
            errors = _errors(predict, self.draw(generator(EVALUATION, 0, length), [length] * SEQUENCES_PER_LENGTH))
            if np.mean(np.abs(errors) < CLOSE_ERROR) < CLOSE_SHARE:
                return length, length
        return None, length

    def examples(self) -> list[str]:
        """Return a sequence of a trained length, a short one, one with marks at both ends, and a longer one."""
        drawn = self.draw(generator(EVALUATION, 1), [self.longest, max(2, self.shortest // 5), 2 * self.longest])
        ends = drawn[0].copy()
        ends[:, 1] = 0
        ends[[0, -1], 1] = 1
        return [self._text([drawn[0]]), self._text([drawn[1]]), self._text([ends]), self._text([drawn[2]])]

    def held_out(self, characters: int) -> str:
        """Return sequences of `evaluation` in random order, as text of at least this number of characters."""
        sequences, random = self.evaluation(), generator(EVALUATION, 2)
        text: list[str] = []
        while not text or sum(map(len, text)) < characters:
            text += [self._text([sequences[k]]) + "\n" for k in random.permutation(len(sequences)).tolist()]
        sizes = np.cumsum([len(part) for part in text])
        return "".join(text[: int(np.searchsorted(sizes, characters)) + 1])

    def _text(self, sequences: Sequences) -> str:
        """Return sequences as text: one pair on each line, an empty line between two sequences."""
        return "\n".join(
            "".join(f"{value:.6g},{marker:g}\n" for value, marker in pairs.tolist()) for pairs in sequences
        )

    def answers(self, text: str) -> Numbers:
        """Return the targets, (T, 1): the sum at the last pair, NaN before it."""
        pairs = self._pairs(text)
        answers = np.full((len(pairs), 1), np.nan, np.float32)
        answers[-1:] = _sum(pairs)
        return answers

    def _pairs(self, text: str) -> Numbers:
        """Return the pairs of one sequence.

        Raises:
            TaskError: a line of the text is not a pair.
        """
        try:
            return self.vocabulary.encode(text)
        except GatescopeError as error:
            raise TaskError(error.message) from error

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the sum and the number of marks so far. A mark is a marker above 0.5; any number may occur."""
        pairs = self._pairs(text)
        value, marked = pairs[:, 0].astype(np.float64), _marked(pairs)
        marks = np.cumsum(marked)
        return {
            "sum": np.cumsum(np.where(marked, value, 0)),
            "marks": marks,
            "marked": marked,
            "first": np.where(marks > 0, value[np.argmax(marked)] if len(value) else 0.0, 0.0),
        }

    def _to_fields(self) -> dict[str, Any]:
        return {
            "batch": self.recommended.batch,
            "shortest": self.shortest,
            "longest": self.longest,
            "vocabulary": self.vocabulary.to_json(),
            "examples": self.examples(),
        }

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Self:
        return cls(**{key: whole_number(fields, key) for key in ("batch", "shortest", "longest") if key in fields})


def _marked(pairs: Float[np.ndarray, "T 2"]) -> Any:
    return pairs[:, 1] > 0.5


def _sum(pairs: Float[np.ndarray, "T 2"]) -> float:
    return float(pairs[_marked(pairs), 0].sum(dtype=np.float64))


def _errors(predict: Predict, sequences: Sequences) -> Float[np.ndarray, " S"]:
    """Return the error of the sum of each sequence; infinite if the prediction is NaN."""
    estimates = np.array([rows[0, 0] for rows in predictions(predict, sequences, 1, once=True)], np.float64)
    return np.where(np.isnan(estimates), np.inf, estimates - [_sum(pairs) for pairs in sequences])
