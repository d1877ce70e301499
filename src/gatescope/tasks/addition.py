"""The task addition: the sum of the two numbers that are marked.

S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997) 1735-1780, experiment 4, with the
numbers between 0 and 1 and the marks 0 and 1, as in Q. V. Le, N. Jaitly and G. Hinton, arXiv:1504.00941, section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float

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
CLOSE = 0.04  # what an answer may be off by, as in the paper (where it is a share of a range half as wide)
CHANCE = 1 / 6  # the variance of the sum of two even numbers between 0 and 1, each 1/12
SAMPLE = 500  # sequences that the score is taken on
PER_LENGTH = 20  # sequences of each longer length that are tried
RIGHT = 0.9  # the share of them that must be close for the length to be done
FURTHEST = 8  # how many times the longest trained length is tried
MOST = 10_000  # the longest length there may be

Sequences = list[Float[np.ndarray, "_ 2"]]


class Addition(SavedTask):
    """Pairs of a number and a mark; after the last, the sum of the two numbers whose mark is 1.

    The numbers are drawn evenly between 0 and 1. One mark is in the first half of the sequence and one in the second,
    so the first number is held over half of the sequence on average. Lengths are drawn evenly.

    Arguments:
        batch: sequences in a batch; None: the recommended number.
        shortest: the fewest pairs of a sequence, at least 2.
        longest: the most pairs of a sequence.

    Raises: TaskError where the numbers make no sense.
    """

    name: ClassVar[str] = "addition"
    title: ClassVar[str] = "Addition"
    question: ClassVar[str] = (
        "Two of many numbers are marked, and after the last one the network must say their sum: "
        "which neuron adds at a mark and stays where it is at all other numbers?"
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
        if not 2 <= shortest <= longest <= MOST:
            raise TaskError("ADDITION_LENGTHS_RANGE", most=MOST, shortest=shortest, longest=longest)
        self.shortest, self.longest = shortest, longest
        self.vocabulary: Vocabulary = Vocabulary(("value", "marker"), unit="number")
        self.recommended: Recommended = self.settings if batch is None else replace(self.settings, batch=batch)

    @property
    def readout(self) -> Readout:
        """The sum, after the last step."""
        return numbers(["sum"], (), "last step")

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts: none."""
        return []

    def draw(self, random: np.random.Generator, lengths: Sequence[int]) -> Sequences:
        """One sequence of each length."""
        drawn: Sequences = []
        for length in lengths:
            pairs = np.zeros((length, 2), np.float32)
            pairs[:, 0] = random.random(length)
            pairs[[random.integers(0, length // 2), random.integers(length // 2, length)], 1] = 1
            drawn.append(pairs)
        return drawn

    def batch(self, seed: int, step: int) -> Batch:
        """The sequences of one training step; the sum is asked for at the last pair of each."""
        random = generator(TRAINING, seed, step)
        lengths = random.integers(self.shortest, self.longest + 1, self.recommended.batch)
        tokens = np.full((len(lengths), int(lengths.max()), 2), np.nan, np.float32)
        targets = np.full((*tokens.shape[:2], 1), np.nan, np.float32)
        for k, pairs in enumerate(self.draw(random, lengths.tolist())):
            tokens[k, : len(pairs)] = pairs
            targets[k, len(pairs) - 1] = _sum(pairs)
        return Batch(tokens, targets)

    def evaluation(self) -> Sequences:
        """500 sequences as they are drawn."""
        random = generator(EVALUATION, 0)
        return self.draw(random, random.integers(self.shortest, self.longest + 1, SAMPLE).tolist())

    def validation(self, predict: Predict) -> float:
        """The mean squared error on the sequences of `evaluation`."""
        return float(np.mean(_errors(predict, self.evaluation()) ** 2))

    def score(self, predict: Predict) -> Score:
        """The mean squared error on 500 sequences beside that of always answering 1, and how many are close.

        It is solved when it is below 0.01 and nine in ten answers are within 0.04. Then longer sequences are tried, 20
        of each length, a tenth longer each time, up to 8 times the longest trained one: the first length at which less
        than nine in ten are within 0.04 is the first failure.
        """
        errors = _errors(predict, self.evaluation())
        value, close = float(np.mean(errors**2)), float(np.mean(np.abs(errors) < CLOSE))
        solved = value < 0.01 and close >= RIGHT
        first, tried = self._first_failure(predict) if solved else (None, self.longest)
        if not solved:
            beyond = ""
        elif first is None:
            beyond = f"; every length tried is done, up to {tried}"
        else:
            beyond = f"; the first length it fails at is {first}"
        return Score(
            value=value,
            chance=CHANCE,
            solved=solved,
            text=f"mean squared error {value:.2g}, where always answering 1 has {CHANCE:.3f}; {close:.0%} of the sums "
            f"are within {CLOSE}{beyond}",
            details={"close": close, "first_failure": first, "tried": tried},
            better="lower",
        )

    def _first_failure(self, predict: Predict) -> tuple[int | None, int]:
        """The first longer length at which too few sums are close, and the last that was tried."""
        length = self.longest
        while length < FURTHEST * self.longest:
            length = min(math.ceil(1.1 * length), FURTHEST * self.longest)
            errors = _errors(predict, self.draw(generator(EVALUATION, 0, length), [length] * PER_LENGTH))
            if np.mean(np.abs(errors) < CLOSE) < RIGHT:
                return length, length
        return None, length

    def examples(self) -> list[str]:
        """A sequence as it is trained on; a short one; marks at both ends; one beyond the trained lengths."""
        drawn = self.draw(generator(EVALUATION, 1), [self.longest, max(2, self.shortest // 5), 2 * self.longest])
        ends = drawn[0].copy()
        ends[:, 1] = 0
        ends[[0, -1], 1] = 1
        return [self._text([drawn[0]]), self._text([drawn[1]]), self._text([ends]), self._text([drawn[2]])]

    def held_out(self, characters: int) -> str:
        """Sequences that are drawn as for training and never trained on, until there are so many characters."""
        sequences, random = self.evaluation(), generator(EVALUATION, 2)
        text: list[str] = []
        while not text or sum(map(len, text)) < characters:
            text += [self._text([sequences[k]]) + "\n" for k in random.permutation(len(sequences)).tolist()]
        sizes = np.cumsum([len(part) for part in text])
        return "".join(text[: int(np.searchsorted(sizes, characters)) + 1])

    def _text(self, sequences: Sequences) -> str:
        """Sequences as text: one pair a line, an empty line between two sequences."""
        return "\n".join(
            "".join(f"{value:.6g},{marker:g}\n" for value, marker in pairs.tolist()) for pairs in sequences
        )

    def answers(self, text: str) -> Numbers:
        """The sum at the last pair; before it nothing is asked."""
        pairs = self._pairs(text)
        answers = np.full((len(pairs), 1), np.nan, np.float32)
        answers[-1:] = _sum(pairs)
        return answers

    def _pairs(self, text: str) -> Numbers:
        """The pairs of one sequence. Raises: TaskError for a text that has none."""
        try:
            return self.vocabulary.encode(text)
        except ValueError as error:
            raise TaskError(str(error)) from error

    def quantities(self, text: str) -> dict[str, Quantity]:
        """The sum and the number of marks so far. A mark is a marker nearer to 1 than to 0; there may be any number."""
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
    """How far off the answer to each sequence is; infinite where it is no number."""
    answers = np.array([rows[0, 0] for rows in predictions(predict, sequences, 1, once=True)], np.float64)
    return np.where(np.isnan(answers), np.inf, answers - [_sum(pairs) for pairs in sequences])
