"""Strings as walks: a state after every symbol, the probability of each symbol there, and a limit to the length.

With a limit, strings that would become longer are drawn again. That makes the end of a string more probable the nearer
the limit is; here it is computed exactly, by counting back from the limit, and so are the entropy and the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gatescope.tasks.base.task import Predict, Score
from gatescope.tasks.languages.language import Language, details, first_rejected, gap, judge, loss_text

TRIED = 400  # the longest strings that are looked at, in symbols


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk through S states by A actions, from state 0, until it ends.

    Arguments:
        rule: (S, A + 1) the probability of each action in each state; the last one is to end.
        to: (S, A) the state after each action; anything where the action's probability is 0.
        longest: the most actions; None: no limit. A walk has at least one action.

    A state beyond the last is taken for the last one, whose rows then hold for all of them.
    """

    rule: NDArray[np.float64]
    to: NDArray[np.int64]
    longest: int | None

    @cached_property
    def ends(self) -> NDArray[np.float64]:
        """(L + 1, S) the probability that a walk in a state ends after at most so many further actions."""
        assert self.longest is not None
        found = np.empty((self.longest + 1, len(self.rule)))
        found[0] = self.rule[:, -1]
        for left in range(1, self.longest + 1):
            found[left] = self.rule[:, -1] + (self.rule[:, :-1] * found[left - 1][self.to]).sum(1)
        return found

    def chances(
        self, states: NDArray[np.int64], done: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The probability of each action after `done` actions in these states, and whether a walk can be there at all.

        It cannot where the limit is too near, and the probabilities are 0.

        Arguments: (T,) each. Returns: (T, A + 1), (T,).
        """
        rows = np.minimum(states, len(self.rule) - 1)
        plain = self.rule[rows]
        if self.longest is None:
            return plain, np.ones(len(rows), np.bool_)
        left = np.maximum(self.longest - done, 0)
        can_end = self.ends[left, rows]
        after = np.where((left > 0)[:, None], self.ends[np.maximum(left - 1, 0)[:, None], self.to[rows]], 0)
        drawn = (done <= self.longest) & (can_end > 0) & (states < len(self.rule))
        limited = plain * np.append(after, np.ones((len(rows), 1)), axis=1)
        return np.where(drawn[:, None], limited / np.where(drawn, can_end, 1)[:, None], 0), drawn

    def draw(self, random: np.random.Generator, count: int) -> list[NDArray[np.int64]]:
        """The actions of `count` walks."""
        actions = self.rule.shape[1] - 1
        states, alive, columns = np.zeros(count, np.int64), np.arange(count), []
        while len(alive):
            chances, _ = self.chances(states, np.full(len(alive), len(columns)))
            if not columns:
                chances[:, -1] = 0
                chances /= chances.sum(1, keepdims=True)
            edges = np.cumsum(
                chances, axis=1
            )  # divided by their end, which is then exactly 1: nothing impossible is drawn
            drawn = (edges / edges[:, -1:] <= random.random(len(alive))[:, None]).sum(1)
            column = np.full(count, actions)
            column[alive] = drawn
            columns.append(column)
            on = drawn < actions
            states, alive = self._after(states[on], drawn[on]), alive[on]
        table = np.stack(columns, axis=1)
        return [row[:length] for row, length in zip(table, (table < actions).sum(1).tolist(), strict=True)]

    def _after(self, states: NDArray[np.int64], actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next states; a state beyond the last row moves as far as the last row does."""
        rows = np.minimum(states, len(self.rule) - 1)
        return states + self.to[rows, actions] - rows

    @cached_property
    def entropy(self) -> float:
        """The entropy of a prediction in nats: that of all after the first action, over their mean number.

        Without a limit every state must have the same uncertainty, which then is the answer.
        """
        if self.longest is None:
            return float(_entropies(self.rule)[0])
        size = len(self.rule)
        states = np.arange(size)
        first, _ = self.chances(np.zeros(1, np.int64), np.zeros(1, np.int64))
        first[:, -1] = 0
        there = np.zeros(size)
        np.add.at(there, self.to[0], first[0, :-1] / first.sum())
        nats = steps = 0.0
        for done in range(1, self.longest + 1):
            chances, _ = self.chances(states, np.full(size, done))
            nats += float(there @ _entropies(chances))
            steps += float(there.sum())
            moved = there[:, None] * chances[:, :-1]
            there = np.zeros(size)
            np.add.at(there, self.to, moved)
        return nats / steps


def _entropies(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The entropy of each row, in nats."""
    return -(chances * np.log(np.where(chances > 0, chances, 1))).sum(1)


def score(
    predict: Predict,
    language: Language,
    sample: Sequence[str],
    longer: Callable[[], Iterable[tuple[int, Sequence[str]]]],
    chance: float,
) -> Score:
    """The share of `sample` that is accepted, and the first length of which a string is not.

    Arguments:
        sample: strings as they are drawn; the gap is taken on them.
        longer: strings of each length, shortest first, that are looked at once the whole sample is accepted.
        chance: the share that the best guess accepts which knows the present symbol only.
    """
    found = judge(predict, language, sample)
    above = gap(found)
    rejected = [len(string) - 1 for string, one in zip(sample, found, strict=True) if not one.accepted]
    accepted = len(sample) - len(rejected)
    if rejected:
        first: int | None = min(rejected)
        text = f"accepts {accepted} of {len(sample)} strings; the shortest it rejects has {first} symbols"
    else:
        first = first_rejected(predict, language, longer())[0]
        text = f"accepts all {len(sample)} strings"
        text += (
            f"; the first length at which it rejects one is {first}"
            if first
            else f", and all others up to {TRIED} symbols"
        )
    return Score(
        value=accepted / len(sample),
        chance=chance,
        solved=not rejected,
        text=f"{text}; {loss_text(language.optimum, above)}",
        details={"accepted": accepted, "strings": len(sample), **details(first, TRIED, language.optimum, above)},
    )
