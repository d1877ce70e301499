"""The base of tasks with short strings: a string such as aaXbb, closed by an end mark, is one sequence."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.readout import SYMBOLS, Readout
from gatescope.tasks.base.saved_task import SavedTask, whole_number
from gatescope.tasks.base.scoring import ScoredString, Scoring, TaskData, strings_as_data
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
    loss_sum,
    predictions,
)
from gatescope.vocabulary import PADDING, Ids, Vocabulary

END = "\n"
SAMPLED_STRINGS, SAMPLE = 4096, 1 << 32  # of a language without end, and the step of the generator that draws them
REMEMBERED_CHARACTERS = 600  # of the strings that show what must be remembered, about
NO_SETTINGS = ("name", "title", "question", "vocabulary", "examples")  # of task.json


def recommended(*layers: int, learning_rate: float = 0.02) -> Recommended:
    """Return settings at which seeds 0-4 of an LSTM solve their task, most often within 500 steps.

    The limit is higher, because simpler cells take longer. The network is scored every 100 steps, and training ends
    when the task is solved at two scores in a row.

    Args:
        layers: neurons of each layer.
        learning_rate: at the first step.
    """
    return Recommended(
        layers=layers,
        steps=2000,
        batch=32,
        learning_rate=learning_rate,
        final_learning_rate=0.1,
        score_every=100,
        until_solved=True,
    )


class StringTask(SavedTask):
    """A task of strings that end with END. A subclass draws and scores them.

    Args:
        batch: strings in a batch; None: the recommended number.

    Raises:
        TaskError: the batch has no strings.
    """

    alphabet: ClassVar[str]
    settings: ClassVar[Recommended]
    quantity_titles: ClassVar[dict[str, str]]
    remembered: ClassVar[tuple[str, ...]]  # the quantities without which the task cannot be solved

    def __init__(self, batch: int | None = None) -> None:
        if batch is not None and batch < 1:
            raise TaskError("TASK_BATCH_RANGE", batch=batch)
        self.vocabulary: Vocabulary = Vocabulary((*self.alphabet, END), end=END)
        self.recommended: Recommended = self.settings if batch is None else replace(self.settings, batch=batch)

    @abstractmethod
    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Return `count` strings to train on, including the end mark."""

    @abstractmethod
    def evaluation(self) -> list[str]:
        """Return the fixed strings of `validation`, including the end mark."""

    @abstractmethod
    def score(self, predict: Predict) -> Score:
        """Return the score of a network, including generalisation."""

    @abstractmethod
    def scoring(self) -> Scoring:
        """Return the score as data: its strings and the rule that `score` applies to them."""

    @abstractmethod
    def examples(self) -> list[str]:
        """Return texts to look at; the first is the default."""

    def answers(self, text: str) -> Ids | None:
        """Return None: the target is the next symbol."""
        return None

    def held_out(self, characters: int) -> str:
        """Return strings of `evaluation` in a random order, repeatedly, with at least this number of characters."""
        strings, random, drawn = self.evaluation(), generator(EVALUATION, 0), []
        while sum(map(len, drawn)) < characters:
            drawn += [strings[k] for k in random.permutation(len(strings))]
        sizes = np.cumsum([len(string) for string in drawn])
        return "".join(drawn[: int(np.searchsorted(sizes, characters)) + 1])

    @abstractmethod
    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return what must be remembered after each symbol of one string, (T,) each, named by `quantity_titles`."""

    def training_data(self) -> dict[str, Any]:
        """Return strings that stand for those that `draw` draws: a fixed sample of them, of a language without end."""
        return strings_as_data(self.draw(generator(EVALUATION, 0, SAMPLE), SAMPLED_STRINGS))

    def validation_data(self) -> dict[str, Any]:
        """Return the rule and the strings of `validation`."""
        return {"rule": "nats", "strings": {"text": self.evaluation()}}

    def task_data(self) -> TaskData:
        """Return the strings to train, validate and score on, for another program."""
        settings = {name: value for name, value in self.to_json().items() if name not in NO_SETTINGS}
        return TaskData(
            settings, self.training_data(), self.validation_data(), self.scoring().to_json(), self.remembered_data()
        )

    def remembered_data(self) -> dict[str, Any]:
        """Return the values of what must be remembered, over strings of `evaluation` by rising length.

        Of many strings, every so many-th is there, so that all have about `REMEMBERED_CHARACTERS`.
        """
        strings = sorted(dict.fromkeys(self.evaluation()), key=lambda string: (len(string), string))
        strings = strings[:: -(-sum(map(len, strings)) // REMEMBERED_CHARACTERS)]
        quantities = [self.quantities(string) for string in strings]
        values = {name: np.concatenate([part[name] for part in quantities]) for name in self.remembered}
        return {
            "strings": strings,
            "quantities": [
                {"name": name, "title": self.quantity_titles[name], "count": of.dtype != bool, "values": of.tolist()}
                for name, of in values.items()
            ],
        }

    @property
    def readout(self) -> Readout:
        """The next symbol, after every step."""
        return SYMBOLS

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts: none."""
        return []

    def batch(self, seed: int, step: int) -> Batch:
        """Return the strings of one training step. The end mark is a target only; nothing is predicted after it."""
        return self.rows(self.draw(generator(TRAINING, seed, step), self.recommended.batch))

    def rows(self, strings: Sequence[str]) -> Batch:
        """Return strings as the rows of a batch, padded to the longest."""
        length = np.array([len(string) for string in strings])
        filled = np.arange(length.max()) < length[:, None]
        ids = np.full(filled.shape, PADDING, dtype=np.int32)
        ids[filled] = self.vocabulary.encode(
            "".join(strings)
        )  # a mask is filled row by row, in the order of the joined strings
        targets = ids[:, 1:].copy()
        return Batch(np.where(targets == PADDING, np.int32(PADDING), ids[:, :-1]), targets)

    def validation(self, predict: Predict) -> float:
        """Return the mean loss in nats per symbol on the strings of `evaluation`."""
        ids = [self.vocabulary.encode(string) for string in self.evaluation()]
        rows = predictions(predict, [sequence[:-1] for sequence in ids], self.vocabulary.size)
        sums = [loss_sum(r, i[1:], self.vocabulary.unknown) for r, i in zip(rows, ids, strict=True)]
        return sum(nats for nats, _ in sums) / sum(count for _, count in sums)

    def right(self, predict: Predict, problems: Sequence[tuple[str, str]]) -> list[NDArray[np.bool_]]:
        """Return for each (prefix, answer) the mask of symbols of the answer that are the most probable ones.

        The answer is what must follow the prefix, including the end mark. All of its symbols are right exactly if
        greedy completion of the prefix gives the answer: take the most probable symbol, read it, and go on until the
        end mark. Up to the first wrong choice, completion reads the same symbols as this pass over the known string,
        so both choose the same. One pass thus replaces a loop of single steps.

        Args:
            predict: the network.
            problems: (prefix, answer) pairs.
        """
        ids = [self.vocabulary.encode(prefix + answer) for prefix, answer in problems]
        results = predictions(predict, [sequence[:-1] for sequence in ids], self.vocabulary.size)
        masks = []
        for (prefix, _), sequence, rows in zip(problems, ids, results, strict=True):
            answers = rows[len(prefix) - 1 :]
            choice = np.where(np.isnan(answers).any(-1), PADDING, answers.argmax(-1))  # NaN counts as wrong
            masks.append(choice == sequence[len(prefix) :])
        return masks

    def scored(self, level: int, prefix: str, answer: str) -> ScoredString:
        """Return a string of `scoring` whose answer counts from the first symbol after the prefix."""
        return ScoredString(prefix + answer, level, len(prefix) - 1)

    def _to_fields(self) -> dict[str, Any]:
        return {
            "batch": self.recommended.batch,
            "vocabulary": self.vocabulary.to_json(),
            "examples": self.examples(),
        }

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Self:
        task = cls(None if fields.get("batch") is None else whole_number(fields, "batch"))
        vocabulary = Vocabulary.from_json(fields.get("vocabulary", task.vocabulary.to_json()))
        if vocabulary != task.vocabulary:
            raise TaskError(
                "TASK_JSON_SYMBOLS_DIFFER",
                name=cls.name,
                expected="".join(task.vocabulary.symbols),
                actual="".join(vocabulary.symbols),
            )
        return task


@dataclass(frozen=True)
class Phases:
    """The symbols of a string before the mark, at it and after it. All masks are false from the end mark on.

    Attributes:
        reading: (T,) before the first mark.
        at_mark: (T,) at the first mark.
        writing: (T,) after the first mark.
    """

    reading: NDArray[np.bool_]
    at_mark: NDArray[np.bool_]
    writing: NDArray[np.bool_]

    @classmethod
    def of(cls, text: str, mark: str) -> Phases:
        """Return the phases of one string, right or wrong. A second mark is an ordinary symbol."""
        steps = np.arange(len(text))
        end = _place(text, END)
        first = min(_place(text, mark), end)
        return cls(steps < first, (steps == first) & (steps < end), (steps > first) & (steps < end))


def _place(text: str, symbol: str) -> int:
    """Return the first place of a symbol; the length of the text if it does not occur."""
    place = text.find(symbol)
    return place if place >= 0 else len(text)


def is_symbol(text: str, symbol: str) -> NDArray[np.bool_]:
    """Return the mask of the characters that are this symbol, (T,)."""
    return np.array([character == symbol for character in text], dtype=np.bool_)


def exact_text(exact: Sequence[int], trained: range, unit: str, first_failure: int | None, tried: int) -> Message:
    """Return the sentence about a task that counts: the trained numbers that are exact, and the first failure.

    Args:
        exact: the trained numbers that are exact.
        trained: all trained numbers.
        unit: the name of the number, such as "N".
        first_failure: the first number that is wrong; None: none.
        tried: the largest number that was tried.
    """
    low, high = trained[0], trained[-1]
    if first_failure is None:
        return Message("SCORE_EXACT_FOR_ALL", unit=unit, low=low, tried=tried)
    values = {"unit": unit, "low": low, "high": high, "first": first_failure}
    if len(exact) == len(trained):
        return Message("SCORE_EXACT_FOR_TRAINED", **values)
    return Message("SCORE_EXACT_FOR_SOME", exact=len(exact), trained=len(trained), **values)
