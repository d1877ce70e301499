"""Languages of blocks of equal length, a^n b^n and a^n b^n c^n: how n is drawn, what may follow, what is counted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.tasks.base.strings import END, is_symbol
from gatescope.tasks.base.task import Batch, Predict, Quantity, Score, TaskError
from gatescope.tasks.languages.language import (
    LanguageTask,
    Places,
    details,
    first_rejected,
    gap,
    judge,
    loss_text,
    share,
    symbols,
    whole,
)
from gatescope.vocabulary import PADDING, Vocabulary

LONGEST = 1000  # the largest n that can be trained on
TRIED = 1000  # the largest n that is looked at beyond the trained ones
TARGETS = ("drawn", "allowed")
RARE, NEVER = 1e-3, 1e-9  # shares of drawn strings: larger n are not scored; larger n are left out of the gap


@dataclass(frozen=True)
class Blocks:
    """n times each letter, one letter after the other, and the end mark.

    Arguments:
        letters: the letters in their order, at least two.
        shortest: the smallest n that is drawn.
        longest: the largest n that is drawn; None: there is none, which needs `stop`.
        stop: None: every n from `shortest` to `longest` is as likely. Otherwise n is geometric, as by a rule S -> a S b
            of a probabilistic grammar: at the smallest n and at every further one it stops with this probability.
            Numbers beyond `longest` are drawn again.
        targets: what a network is taught after a letter. "drawn": the symbol that comes next in the drawn string.
            "allowed": all that the rule allows, each as probable as the others, as in Suzgun, Belinkov and Shieber
            (2019); then it has nothing to learn of how n is drawn, and the optimum is the entropy of these.

    Raises: TaskError where the numbers make no sense.
    """

    letters: str
    shortest: int = 1
    longest: int | None = None
    stop: float | None = None
    targets: str = "drawn"

    def __post_init__(self) -> None:
        if self.targets not in TARGETS:
            raise TaskError("BLOCKS_TARGETS_GIVEN", targets=" or ".join(TARGETS), targets2=self.targets)
        whole("shortest", self.shortest, 1, LONGEST)
        if self.longest is not None:
            whole("longest", self.longest, self.shortest, LONGEST)
        if self.stop is not None:
            share("stop", self.stop, 0.01, 0.99)
        if self.longest is None and self.stop is None:
            raise TaskError("BLOCKS_WITHOUT_LONGEST_STRING_LIMIT")

    @property
    def vocabulary(self) -> Vocabulary:
        """The letters and the end mark."""
        return symbols(self.letters)

    @cached_property
    def chances(self) -> NDArray[np.float64]:
        """The probability of n = shortest, shortest + 1, ...; without a longest, until one string in 10^9 is left."""
        if self.stop is None:
            return np.full(self._count(), 1 / self._count())
        keep = math.log1p(-self.stop)
        count = math.ceil(math.log(NEVER) / keep) if self.longest is None else self._count()
        found = np.exp(np.arange(count) * keep) * self.stop
        return found if self.longest is None else found / found.sum()

    def _count(self) -> int:
        assert self.longest is not None
        return self.longest - self.shortest + 1

    @property
    def numbers(self) -> range:
        """Every n that is drawn, but for one string in 10^9 where there is no largest one."""
        return range(self.shortest, self.shortest + len(self.chances))

    @property
    def scored(self) -> range:
        """Every n that is drawn, but for one string in 1000 where there is no largest one."""
        if self.longest is not None:
            return self.numbers
        return range(self.shortest, self.shortest + int((np.cumsum(self.chances) < 1 - RARE).sum()) + 1)

    @property
    def floor(self) -> float:
        """Half of the smallest probability of one more a, or of the first b, where both can come."""
        if self.targets == "allowed":
            return 0.25
        if self.stop is None:
            return 0.5 / max(2, self._count())
        return 0.5 * min(self.stop, 1 - self.stop)

    @property
    def optimum(self) -> float:
        """The entropy of n over the mean number of predicted symbols, in nats.

        Nothing but n is uncertain. A string has as many predictions as letters: none for the first, one for the end.
        Where all that is allowed is taught, a and b are as probable after every a, whatever n.
        """
        if self.targets == "allowed":
            return math.log(2) / len(self.letters)
        if self.longest is None:
            assert self.stop is not None
            entropy = -(math.log(self.stop) + (1 / self.stop - 1) * math.log1p(-self.stop))
            mean = self.shortest + 1 / self.stop - 1
        else:
            entropy = -float((self.chances * np.log(self.chances)).sum())
            mean = float(self.chances @ np.array(self.numbers))
        return entropy / (len(self.letters) * mean)

    def string(self, n: int) -> str:
        """The string of this n."""
        return "".join(letter * n for letter in self.letters) + END

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` strings."""
        if self.stop is None:
            n = random.integers(self.shortest, self.shortest + self._count(), count)
        elif self.longest is None:
            n = random.geometric(self.stop, count) + self.shortest - 1
        else:
            edges = np.cumsum(self.chances)
            n = self.shortest + np.searchsorted(edges[:-1], random.random(count), side="right")
        return [self.string(k) for k in n.tolist()]

    def places(self, string: str) -> Places:
        """What may follow each letter of the string of some n: a or b after an a, one symbol only after any other."""
        ids = self.vocabulary.encode(string)
        length = len(ids) - 1
        n = length // len(self.letters)
        allowed = np.zeros((length, self.vocabulary.size), np.bool_)
        allowed[np.arange(length), ids[1:]] = True
        likely = allowed.astype(np.float64)
        allowed[:n, :2] = True
        first = self._first_b(n)
        likely[:n, 0], likely[:n, 1] = 1 - first, first
        unknown = np.isnan(first)
        likely[:n][unknown] = 0
        drawn = np.full(length, self.longest is None or n <= self.longest) & (n >= self.shortest)
        drawn[:n] = ~unknown  # a string with fewer a's begins like one with more
        if self.targets == "allowed":
            likely = allowed / allowed.sum(1, keepdims=True)
        return Places(allowed, likely, drawn)

    def _first_b(self, n: int) -> NDArray[np.float64]:
        """The probability that the a's end after each of the first n, (n,); NaN where so many are never drawn."""
        so_far = np.arange(1, n + 1)
        ends = np.zeros(n)
        if self.longest is None:
            assert self.stop is not None
            ends[so_far >= self.shortest] = self.stop
            return ends
        left = np.cumsum(self.chances[::-1])[::-1]
        inside = (so_far >= self.shortest) & (so_far <= self.longest)
        ends[inside] = (self.chances / left)[so_far[inside] - self.shortest]
        ends[so_far > self.longest] = np.nan
        return ends

    def validation(self, predict: Predict) -> float:
        """The mean loss of a drawn string's predicted symbol, in nats: each n counts as often as it is drawn."""
        judged = judge(predict, self, [self.string(n) for n in self.numbers])
        return self.optimum + gap(judged, self.chances.tolist())

    def rows(self, batch: Batch) -> Batch:
        """A batch of drawn strings with what is taught after each letter."""
        if self.targets == "drawn":
            return batch
        taught = np.eye(self.vocabulary.size, dtype=np.float32)[batch.targets.astype(np.int64)]
        taught[batch.tokens == 0] = np.eye(self.vocabulary.size, dtype=np.float32)[:2].mean(0)  # after an a, either
        taught[batch.tokens == PADDING] = 0
        return replace(batch, targets=taught)

    def score(self, predict: Predict) -> Score:
        """The share of trained n whose string is accepted; beyond them, the first that is not.

        Chance: a guess that knows only the present letter must write the same after every b, so of all n it can accept
        n = 1 only.
        """
        found = judge(predict, self, [self.string(n) for n in self.numbers])
        above = gap(found, self.chances.tolist())
        exact = [n for n, one in zip(self.numbers, found, strict=True) if one.accepted and n in self.scored]
        solved, tried = len(exact) == len(self.scored), max(TRIED, self.scored[-1])
        if solved:
            first = first_rejected(predict, self, self._beyond(tried))[0]
        else:
            first = min(set(self.scored) - set(exact))
        low, high = self.scored[0], self.scored[-1]
        if not solved:
            text = (
                f"accepts {len(exact)} of the {len(self.scored)} values of n from {low} to {high}; the first it rejects"
            )
        else:
            text = f"accepts every n from {low} to {high}; the first it rejects"
        text += f" is {first}" if first is not None else f" is none up to {tried}"
        return Score(
            value=len(exact) / len(self.scored),
            chance=1 / len(self.scored) if self.shortest == 1 else 0.0,
            solved=solved,
            text=f"{text}; {loss_text(self.optimum, above)}",
            details={"exact": exact, **details(first, tried, self.optimum, above)},
        )

    def _beyond(self, tried: int) -> Iterator[tuple[int, Sequence[str]]]:
        for n in range(self.scored[-1] + 1, tried + 1):
            yield n, [self.string(n)]

    def quantities(self, text: str) -> tuple[list[NDArray[np.bool_]], Quantity, list[Quantity]]:
        """Return the quantities of any text: its block, the a's so far, and how many of each later letter are owed.

        A block begins with its first letter, and letters of earlier blocks then count for nothing. Every a makes one of
        each later letter owed; each of these pays one in its block, never below 0. No block goes on after an end mark.
        """
        ids = self.vocabulary.encode(text)
        ended = np.cumsum(ids == len(self.letters)) > 0
        block = np.maximum.accumulate(np.where(ids < len(self.letters), ids, 0)) if len(ids) else ids
        inside = [(block == k) & ~ended for k in range(len(self.letters))]
        so_far = np.cumsum(is_symbol(text, self.letters[0]) & inside[0])
        owed: list[Quantity] = [
            np.maximum(so_far - np.cumsum(is_symbol(text, letter) & here), 0)
            for letter, here in zip(self.letters[1:], inside[1:], strict=True)
        ]
        return inside, so_far, owed

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {"shortest": self.shortest, "longest": self.longest, "stop": self.stop, "targets": self.targets}


class BlocksTask(LanguageTask):
    """A task whose strings are such blocks.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        blocks: the language.
    """

    def __init__(self, batch: int | None, blocks: Blocks) -> None:
        super().__init__(batch)
        self.blocks = blocks

    @property
    def floor(self) -> float:
        """Half of the smallest probability of one more a, or of the first b, where both can come."""
        return self.blocks.floor

    @property
    def optimum(self) -> float:
        """The best possible loss, in nats per predicted symbol."""
        return self.blocks.optimum

    def places(self, string: str) -> Places:
        """What may follow each symbol of a string of the language."""
        return self.blocks.places(string)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` strings."""
        return self.blocks.draw(random, count)

    def rows(self, strings: Sequence[str]) -> Batch:
        """Strings as the rows of a batch, with what is taught after each letter."""
        return self.blocks.rows(super().rows(strings))

    def evaluation(self) -> list[str]:
        """The string of each n that is drawn; without a longest one, of those that only one string in 1000 exceeds."""
        return [self.blocks.string(n) for n in self.blocks.scored]

    def validation(self, predict: Predict) -> float:
        """The mean loss in nats per predicted symbol, each n counted as often as it is drawn."""
        return self.blocks.validation(predict)

    def score(self, predict: Predict) -> Score:
        """The share of trained n that are accepted, the first n that is not, the loss beside the best possible one.

        `gatescope.tasks.languages` says what is accepted. The first failure is the smallest n whose string is not
        accepted, looked for up to 1000 once every trained one is.
        """
        return self.blocks.score(predict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a task of strings, with the distribution of n."""
        return {**super().to_json(), **self.blocks.to_json()}
