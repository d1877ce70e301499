"""The language of equal blocks: a^n b^n, a^n b^n c^n and so on. `anbn` has the tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.tasks.base.scoring import Scoring, strings_as_data
from gatescope.tasks.base.strings import END, is_symbol
from gatescope.tasks.base.task import Batch, Predict, Quantity, Score, TaskError
from gatescope.tasks.languages.coding import Coder
from gatescope.tasks.languages.language import (
    LanguageTask,
    Places,
    checked_integer,
    checked_probability,
    details,
    first_rejected,
    gap,
    judge,
    loss_text,
)
from gatescope.vocabulary import PADDING

MAX_TRAINED_N = 1000
MAX_TRIED_N = 1000  # the score looks for the first failure up to this n
TARGETS = ("drawn", "allowed")
UNSCORED_SHARE = 1e-3  # share of the drawn strings that may be longer than the longest scored one
IGNORED_SHARE = 1e-9  # share of the drawn strings that may be longer than the longest one in the gap


class EqualBlocks(LanguageTask):
    """n times each letter of the alphabet, one letter after the other, and the end mark.

    After a letter a, an a or a b may follow; from the first b on, the rest is certain.

    Args:
        batch: strings in a batch; None: the recommended number.
        shortest: the smallest n that is drawn.
        longest: the largest n that is drawn; None: no limit, which needs `stop`.
        stop: None: every n from `shortest` to `longest` is equally likely. Otherwise n is geometric, as from a rule
            S -> a S b of a probabilistic grammar: at the smallest n and at each later n it stops with this probability.
            An n beyond `longest` is drawn again.
        targets: what the network learns to predict after a letter. "drawn": the next symbol of the drawn string.
            "allowed": equal probabilities for all symbols that the rule allows, as in Suzgun, Belinkov and Shieber
            (2019). The network then learns nothing about the distribution of n, and the optimum is the entropy of these
            targets.

    Raises:
        TaskError: a setting is out of its range.
    """

    example_numbers: ClassVar[tuple[int, ...]]
    wrong_examples: ClassVar[str]

    def __init__(self, batch: int | None, shortest: int, longest: int | None, stop: float | None, targets: str) -> None:
        super().__init__(batch)
        if targets not in TARGETS:
            raise TaskError("ANBN_TARGETS_UNKNOWN", known=" or ".join(map(repr, TARGETS)), targets=targets)
        if longest is None and stop is None:
            raise TaskError("ANBN_LONGEST_AND_STOP_MISSING")
        self.shortest = checked_integer("shortest", shortest, 1, MAX_TRAINED_N)
        self.longest = None if longest is None else checked_integer("longest", longest, shortest, MAX_TRAINED_N)
        self.stop = None if stop is None else checked_probability("stop", stop, 0.01, 0.99)
        self.targets = targets

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """The probability of n = shortest, shortest + 1, ...

        Without a longest n the array ends where only one string in 10^9 is longer.
        """
        if self.stop is None:
            return np.full(self._trained_count, 1 / self._trained_count)
        log_continue = math.log1p(-self.stop)
        count = math.ceil(math.log(IGNORED_SHARE) / log_continue) if self.longest is None else self._trained_count
        geometric = np.exp(np.arange(count) * log_continue) * self.stop
        return geometric if self.longest is None else geometric / geometric.sum()

    @property
    def _trained_count(self) -> int:
        assert self.longest is not None
        return self.longest - self.shortest + 1

    @property
    def drawn_numbers(self) -> range:
        """Every n that is drawn; without a longest n, all but one string in 10^9."""
        return range(self.shortest, self.shortest + len(self.probabilities))

    @property
    def scored_numbers(self) -> range:
        """Every n that is drawn; without a longest n, all but one string in 1000."""
        if self.longest is not None:
            return self.drawn_numbers
        count = int((np.cumsum(self.probabilities) < 1 - UNSCORED_SHARE).sum()) + 1
        return range(self.shortest, self.shortest + count)

    @property
    def floor(self) -> float:
        """Half of the smallest probability of another a, or of the first b, where both may follow."""
        if self.targets == "allowed":
            return 0.25
        if self.stop is None:
            return 0.5 / max(2, self._trained_count)
        return 0.5 * min(self.stop, 1 - self.stop)

    @property
    def optimum(self) -> float:
        """The best possible loss in nats per predicted symbol: the entropy of n over the mean number of predictions.

        Only n is uncertain. A string has as many predictions as letters: none for the first letter, one for the end
        mark. With `targets="allowed"`, a and b are equally probable after every a.
        """
        letters = len(self.alphabet)
        if self.targets == "allowed":
            return math.log(2) / letters
        if self.longest is None:
            assert self.stop is not None
            entropy = -(math.log(self.stop) + (1 / self.stop - 1) * math.log1p(-self.stop))
            mean = self.shortest + 1 / self.stop - 1
        else:
            entropy = -float((self.probabilities * np.log(self.probabilities)).sum())
            mean = float(self.probabilities @ np.array(self.drawn_numbers))
        return entropy / (letters * mean)

    def string(self, n: int) -> str:
        """Return the string of this n."""
        return "".join(letter * n for letter in self.alphabet) + END

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Draw `count` strings."""
        if self.stop is None:
            n = random.integers(self.shortest, self.shortest + self._trained_count, count)
        elif self.longest is None:
            n = random.geometric(self.stop, count) + self.shortest - 1
        else:
            edges = np.cumsum(self.probabilities)
            n = self.shortest + np.searchsorted(edges[:-1], random.random(count), side="right")
        return [self.string(k) for k in n.tolist()]

    def rows(self, strings: Sequence[str]) -> Batch:
        """Return strings as the rows of a batch, padded, with the targets that `targets` names."""
        batch = super().rows(strings)
        if self.targets == "drawn":
            return batch
        one_hot = np.eye(self.vocabulary.size, dtype=np.float32)
        distributions = one_hot[batch.targets.astype(np.int64)]
        distributions[batch.tokens == 0] = one_hot[:2].mean(0)  # after an a: an a or a b
        distributions[batch.tokens == PADDING] = 0
        return replace(batch, targets=distributions)

    def evaluation(self) -> list[str]:
        """Return the string of each scored n."""
        return [self.string(n) for n in self.scored_numbers]

    def places(self, string: str) -> Places:
        """Return what may follow each letter of the string of some n: a or b after an a, one symbol after any other."""
        ids = self.vocabulary.encode(string)
        length = len(ids) - 1
        n = length // len(self.alphabet)
        allowed = np.zeros((length, self.vocabulary.size), np.bool_)
        allowed[np.arange(length), ids[1:]] = True
        likely = allowed.astype(np.float64)
        allowed[:n, :2] = True
        first_b = self._first_b_probabilities(n)
        likely[:n, 0], likely[:n, 1] = 1 - first_b, first_b
        never_drawn = np.isnan(first_b)
        likely[:n][never_drawn] = 0
        drawn = np.full(length, self.longest is None or n <= self.longest) & (n >= self.shortest)
        drawn[:n] = ~never_drawn  # a string with fewer a's begins like a string with more
        if self.targets == "allowed":
            likely = allowed / allowed.sum(1, keepdims=True)
        return Places(allowed, likely, drawn)

    def _first_b_probabilities(self, n: int) -> NDArray[np.float64]:
        """Return the probability that a b follows each of the first n a's, (n,); NaN after more a's than are drawn."""
        so_far = np.arange(1, n + 1)
        probabilities = np.zeros(n)
        if self.longest is None:
            assert self.stop is not None
            probabilities[so_far >= self.shortest] = self.stop
            return probabilities
        at_least = np.cumsum(self.probabilities[::-1])[::-1]
        inside = (so_far >= self.shortest) & (so_far <= self.longest)
        probabilities[inside] = (self.probabilities / at_least)[so_far[inside] - self.shortest]
        probabilities[so_far > self.longest] = np.nan
        return probabilities

    def validation(self, predict: Predict) -> float:
        """Return the mean loss in nats per predicted symbol; each n is weighted by its probability."""
        judgements = judge(predict, self, [self.string(n) for n in self.drawn_numbers])
        return self.optimum + gap(judgements, self.probabilities.tolist())

    def score(self, predict: Predict) -> Score:
        """Return the share of trained n whose string is accepted, and the smallest n whose string is rejected.

        `gatescope.tasks.languages.language` defines when a string is accepted. Once every trained string is, the first
        failure is searched up to n = 1000.

        Chance: a guess that knows only the present letter always predicts the same after a b, so it accepts n = 1 only.
        """
        judgements = judge(predict, self, [self.string(n) for n in self.drawn_numbers])
        loss_gap = gap(judgements, self.probabilities.tolist())
        scored = self.scored_numbers
        accepted = [n for n, result in zip(self.drawn_numbers, judgements, strict=True) if result.accepted]
        exact = [n for n in accepted if n in scored]
        solved, tried = len(exact) == len(scored), max(MAX_TRIED_N, scored[-1])
        if solved:
            first = first_rejected(predict, self, self._longer_strings(tried))[0]
            accepts = Message("SCORE_BLOCKS_ALL", low=scored[0], high=scored[-1])
        else:
            first = min(set(scored) - set(exact))
            values = {"low": scored[0], "high": scored[-1]}
            accepts = Message("SCORE_BLOCKS_SOME", exact=len(exact), scored=len(scored), **values)
        loss = loss_text(self.optimum, loss_gap)
        if first is None:
            text = Message("SCORE_BLOCKS_REJECTS_NONE", accepts=accepts, tried=tried, loss=loss)
        else:
            text = Message("SCORE_BLOCKS_REJECTS", accepts=accepts, first=first, loss=loss)
        return Score(
            value=len(exact) / len(scored),
            chance=self.chance([self.string(n) for n in scored]),
            solved=solved,
            text=str(text),
            message=text,
            details={"exact": exact, **details(first, tried, self.optimum, loss_gap)},
        )

    def _longer_strings(self, tried: int) -> Iterator[tuple[int, Sequence[str]]]:
        for n in range(self.scored_numbers[-1] + 1, tried + 1):
            yield n, [self.string(n)]

    def chance(self, strings: Sequence[str]) -> float:
        """Return the share of strings with one of each letter."""
        return strings.count(self.string(1)) / len(strings)

    @cached_property
    def _coder(self) -> Coder:
        return Coder(self)

    def scoring(self) -> Scoring:
        """Return the score as data. A string that is drawn but too rare to be scored counts for the divergence only."""
        coder, scored = self._coder, self.scored_numbers
        tried = max(MAX_TRIED_N, scored[-1])
        drawn = zip(self.drawn_numbers, self.probabilities.tolist(), strict=True)
        longer = [coder.longer(string, n) for n, group in self._longer_strings(tried) for string in group]
        strings = [coder.drawn(self.string(n), n, weight, n in scored) for n, weight in drawn]
        chance = self.chance([string.text for string in strings if string.scored])
        return Scoring("possible", "strings", chance, strings, longer, tried, coder.rows, self.optimum)

    def training_data(self) -> dict[str, Any]:
        """Return the string of each n that is drawn, and its probability.

        With `targets="allowed"` the targets are the probabilities of the rows of the score.
        """
        strings = [self.string(n) for n in self.drawn_numbers]
        data = strings_as_data(strings, self.probabilities.tolist())
        if self.targets == "drawn":
            return data
        codes = [self._coder.codes(string) for string in strings]
        return {**data, "targets": "likely", "strings": {"text": strings, "codes": codes}}

    def validation_data(self) -> dict[str, Any]:
        """Return the rule of the validation loss: the optimum plus the gap, on the strings of the score."""
        return {"rule": "divergence"}

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the block of each symbol, the a's so far, and how many of each later letter are owed.

        A block begins with its first letter, and letters of earlier blocks then count for nothing. Every a adds one to
        what is owed of each later letter; each of these pays one in its block, never below 0. All blocks end at the
        first end mark; what is owed there stays owed.
        """
        ids = self.vocabulary.encode(text)
        ended = np.cumsum(ids == len(self.alphabet)) > 0
        block = np.maximum.accumulate(np.where(ids < len(self.alphabet), ids, 0)) if len(ids) else ids
        in_block = [(block == k) & ~ended for k in range(len(self.alphabet))]
        so_far = np.cumsum(is_symbol(text, self.alphabet[0]) & in_block[0])
        owed = [
            np.maximum(so_far - np.cumsum(is_symbol(text, letter) & inside), 0)
            for letter, inside in zip(self.alphabet[1:], in_block[1:], strict=True)
        ]
        return dict(zip(self.quantity_titles, (*in_block, so_far, *owed), strict=True))

    def examples(self) -> list[str]:
        """Return short and longer strings, one longer than any trained string, and wrong strings."""
        n = self.scored_numbers[-1]
        return [
            "".join(map(self.string, self.example_numbers)),
            self.string(n + n // 2 + 1),
            self.wrong_examples,
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a string task, with the distribution of n."""
        return {
            **super().to_json(),
            "shortest": self.shortest,
            "longest": self.longest,
            "stop": self.stop,
            "targets": self.targets,
        }
