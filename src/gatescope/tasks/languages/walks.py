"""Strings as walks through states, with a limit on the length.

Each state has a probability for each symbol. Strings that would become longer than the limit are drawn again, which
makes the end of a string more probable the nearer the limit is. These probabilities, the entropy and the drawing are
exact, computed backwards from the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.tasks.base.task import Predict, Score
from gatescope.tasks.languages.language import LanguageTask, details, first_rejected, gap, judge, loss_text

MAX_TRIED_SYMBOLS = 400  # the score looks for the first failure up to this length


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk through S states by A actions, from state 0 until it ends, with at least one action.

    The last state stands for all states after it, which have the same probabilities.

    Attributes:
        rule: (S, A + 1) the probability of each action in each state; the last one is to end.
        to: (S, A) the state after each action; any state if the action's probability is 0.
        longest: the most actions; None: no limit.
    """

    rule: NDArray[np.float64]
    to: NDArray[np.int64]
    longest: int | None

    @cached_property
    def end_probabilities(self) -> NDArray[np.float64]:
        """(L + 1, S) the probability that a walk in each state ends within 0 to L further actions."""
        assert self.longest is not None
        ends = np.empty((self.longest + 1, len(self.rule)))
        ends[0] = self.rule[:, -1]
        for left in range(1, self.longest + 1):
            ends[left] = self.rule[:, -1] + (self.rule[:, :-1] * ends[left - 1][self.to]).sum(1)
        return ends

    def probabilities(
        self, states: NDArray[np.int64], done: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the probability of each action after a number of actions.

        Args:
            states: (T,) the states.
            done: (T,) the numbers of actions so far.

        Returns:
            (T, A + 1) the probabilities, and (T,) whether a walk can be there at all. If not, because the limit is too
            near, the probabilities are 0.
        """
        rows = np.minimum(states, len(self.rule) - 1)
        unlimited = self.rule[rows]
        if self.longest is None:
            return unlimited, np.ones(len(rows), np.bool_)
        left = np.maximum(self.longest - done, 0)
        can_end = self.end_probabilities[left, rows]
        after = self.end_probabilities[np.maximum(left - 1, 0)[:, None], self.to[rows]]
        after = np.where((left > 0)[:, None], after, 0)
        drawn = (done <= self.longest) & (can_end > 0) & (states < len(self.rule))
        limited = unlimited * np.append(after, np.ones((len(rows), 1)), axis=1)
        return np.where(drawn[:, None], limited / np.where(drawn, can_end, 1)[:, None], 0), drawn

    def draw(self, random: np.random.Generator, count: int) -> list[NDArray[np.int64]]:
        """Draw `count` walks; return the actions of each."""
        end = self.rule.shape[1] - 1
        states, unfinished, columns = np.zeros(count, np.int64), np.arange(count), []
        while len(unfinished):
            probabilities, _ = self.probabilities(states, np.full(len(unfinished), len(columns)))
            if not columns:
                probabilities[:, -1] = 0
                probabilities /= probabilities.sum(1, keepdims=True)
            edges = np.cumsum(probabilities, axis=1)
            # Divided by their last entry, which is then exactly 1, the edges never admit an impossible action.
            drawn = (edges / edges[:, -1:] <= random.random(len(unfinished))[:, None]).sum(1)
            column = np.full(count, end)
            column[unfinished] = drawn
            columns.append(column)
            continues = drawn < end
            states, unfinished = self._next_states(states[continues], drawn[continues]), unfinished[continues]
        table = np.stack(columns, axis=1)
        return [row[:length] for row, length in zip(table, (table < end).sum(1).tolist(), strict=True)]

    def _next_states(self, states: NDArray[np.int64], actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the next states; a state after the last row moves as far as the last row does."""
        rows = np.minimum(states, len(self.rule) - 1)
        return states + self.to[rows, actions] - rows

    @cached_property
    def entropy(self) -> float:
        """The entropy of a prediction in nats: that of all actions after the first, over their mean number.

        Without a limit every state must have the same entropy, which is then the answer.
        """
        if self.longest is None:
            return float(_entropies(self.rule)[0])
        size = len(self.rule)
        states = np.arange(size)
        first, _ = self.probabilities(np.zeros(1, np.int64), np.zeros(1, np.int64))
        first[:, -1] = 0
        occupation = np.zeros(size)  # the probability of being in each state
        np.add.at(occupation, self.to[0], first[0, :-1] / first.sum())
        nats = steps = 0.0
        for done in range(1, self.longest + 1):
            probabilities, _ = self.probabilities(states, np.full(size, done))
            nats += float(occupation @ _entropies(probabilities))
            steps += float(occupation.sum())
            moved = occupation[:, None] * probabilities[:, :-1]
            occupation = np.zeros(size)
            np.add.at(occupation, self.to, moved)
        return nats / steps


def _entropies(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row, in nats."""
    return -(probabilities * np.log(np.where(probabilities > 0, probabilities, 1))).sum(1)


def score_strings(
    predict: Predict,
    language: LanguageTask,
    sample: Sequence[str],
    longer_strings: Callable[[], Iterable[tuple[int, Sequence[str]]]],
    chance: float,
) -> Score:
    """Return the share of accepted strings and the first length with a rejected string.

    Args:
        predict: the network.
        language: the task.
        sample: drawn strings; the share and the gap are taken on them.
        longer_strings: strings of each length, shortest first; read once the whole sample is accepted.
        chance: the share that the best guess accepts which knows only the present symbol.
    """
    judgements = judge(predict, language, sample)
    loss_gap = gap(judgements)
    rejected = [len(string) - 1 for string, result in zip(sample, judgements, strict=True) if not result.accepted]
    accepted = len(sample) - len(rejected)
    values = {"strings": len(sample), "loss": loss_text(language.optimum, loss_gap)}
    if rejected:
        first: int | None = min(rejected)
        text = Message("SCORE_WALKS_SOME", accepted=accepted, first=first, **values)
    elif first := first_rejected(predict, language, longer_strings())[0]:
        text = Message("SCORE_WALKS_TRAINED", first=first, **values)
    else:
        text = Message("SCORE_WALKS_ALL", tried=MAX_TRIED_SYMBOLS, **values)
    return Score(
        value=accepted / len(sample),
        chance=chance,
        solved=not rejected,
        text=str(text),
        message=text,
        details={
            "accepted": accepted,
            "strings": len(sample),
            **details(first, MAX_TRIED_SYMBOLS, language.optimum, loss_gap),
        },
    )
