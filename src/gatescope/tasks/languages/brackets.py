"""The Dyck languages: brackets of one or more kinds that close as they were opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.tasks.base.strings import END
from gatescope.tasks.base.task import EVALUATION, Predict, Score, TaskError, generator
from gatescope.tasks.languages.language import LanguageTask, Places, share, symbols, whole
from gatescope.tasks.languages.walks import TRIED, Walk, score
from gatescope.vocabulary import Ids, Vocabulary

LONGEST = 400  # symbols of the longest string that can be the limit of what is drawn
SAMPLE = 300  # strings that the score is taken on
PER_LENGTH = 3  # strings drawn of each length beyond them, besides the deepest one


@dataclass(frozen=True)
class Brackets:
    """Strings of brackets that all are closed, the one opened last first, and the end mark.

    They are those of the probabilistic grammar S -> ( S ) S with probability `opens`, each kind of bracket as likely,
    and S -> nothing otherwise. The empty string, and strings longer than `longest`, are drawn again. So a bracket opens
    with probability `opens` anywhere, and otherwise the last open one closes, or, where none is open, the string ends.

    Arguments:
        kinds: the brackets, each pair side by side, as in "()[]".
        opens: the probability that a bracket opens; without a limit less than 1/2, or strings may never end.
        longest: the most brackets of a string, an even number; None: no limit.

    Raises: TaskError where the numbers make no sense.
    """

    kinds: str
    opens: float
    longest: int | None

    def __post_init__(self) -> None:
        share("opens", self.opens, 0.05, 0.8)
        if self.longest is None:
            if self.opens > 0.45:
                raise TaskError("BRACKETS_WITHOUT_LIMIT_LENGTH_OPENS", opens=self.opens)
        elif whole("longest", self.longest, 2, LONGEST) % 2:
            raise TaskError("BRACKETS_STRINGS_BRACKETS_EVEN_NUMBER", longest=self.longest)

    @property
    def vocabulary(self) -> Vocabulary:
        """The brackets and the end mark."""
        return symbols(self.kinds)

    @property
    def pairs(self) -> int:
        """The number of kinds."""
        return len(self.kinds) // 2

    @property
    def floor(self) -> float:
        """Half of the smaller probability: that one kind opens, or that none does."""
        return 0.5 * min(self.opens / self.pairs, 1 - self.opens)

    @cached_property
    def walk(self) -> Walk:
        """States are depths; the actions: to open a bracket of each kind, to close one."""
        # without a limit, all depths but 0 are alike
        deepest = 1 if self.longest is None else self.longest // 2 + 1
        rule = np.zeros((deepest + 1, self.pairs + 2))
        rule[:, : self.pairs] = self.opens / self.pairs
        rule[0, -1] = rule[1:, -2] = 1 - self.opens
        depth = np.arange(deepest + 1)[:, None]
        deeper = depth + 1 if self.longest is None else np.minimum(depth + 1, deepest)
        to = np.concatenate([np.repeat(deeper, self.pairs, axis=1), np.maximum(depth - 1, 0)], axis=1)
        return Walk(rule, to, self.longest)

    @property
    def optimum(self) -> float:
        """The best possible loss, in nats per predicted symbol."""
        return self.walk.entropy

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` strings."""
        return [self._string(actions) for actions in self.walk.draw(random, count)]

    def _string(self, actions: NDArray[np.int64]) -> str:
        """The string of openings of some kind and closings."""
        opening = actions < self.pairs
        depth = np.cumsum(np.where(opening, 1, -1))
        kind = innermost(np.where(opening, actions, -1), np.where(opening, depth, depth + 1))
        return self.vocabulary.decode(2 * kind + ~opening) + END

    def places(self, string: str) -> Places:
        """What may follow each bracket of a string of the language."""
        ids, following = self.vocabulary.encode(string)[:-1], self.vocabulary.encode(string)[1:]
        depth, top = self.stack(ids)
        chances, drawn = self.walk.chances(depth, np.arange(1, len(ids) + 1))
        likely = np.zeros((len(ids), self.vocabulary.size))
        likely[:, 0:-1:2] = chances[:, : self.pairs]
        likely[:, -1] = chances[:, -1]
        inside = np.flatnonzero(depth)
        likely[inside, 2 * top[inside] + 1] = chances[inside, -2]
        likely[~drawn, following[~drawn]] = 1
        allowed = np.zeros(likely.shape, np.bool_)
        allowed[:, 0:-1:2] = True
        allowed[:, -1] = depth == 0
        allowed[inside, 2 * top[inside] + 1] = True
        return Places(allowed, likely, drawn)

    def stack(self, ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many brackets are open after each symbol, and of which kind the innermost is, -1 for none. Any ids, (T,).

        A closing bracket closes the innermost open one, of whatever kind; where none is open it does nothing. Nothing
        changes from the first end mark on, nor at an unknown symbol.
        """
        bracket = (ids >= 0) & (ids < len(self.kinds)) & (np.cumsum(ids == len(self.kinds)) == 0)
        opening = bracket & (ids % 2 == 0)
        height = np.cumsum(np.where(bracket, np.where(opening, 1, -1), 0))
        depth = height - np.minimum(np.minimum.accumulate(height), 0) if len(ids) else height
        return depth, innermost(np.where(opening, ids // 2, -1).astype(np.int64), depth)

    def sample(self) -> list[str]:
        """300 strings as they are drawn, the same at every call."""
        return self.draw(generator(EVALUATION, 0), SAMPLE)

    def nested(self, pairs: int) -> str:
        """The deepest string of so many pairs; the kinds take turns, so that no two neighbours are of one kind."""
        opening = "".join(self.kinds[2 * (k % self.pairs)] for k in range(pairs))
        closing = "".join(self.kinds[2 * (k % self.pairs) + 1] for k in reversed(range(pairs)))
        return opening + closing + END

    def of_length(self, random: np.random.Generator, pairs: int) -> str:
        """A string of so many pairs, each as likely.

        Of the rotations of a string with one more closing than opening brackets, exactly one is a string of the
        language and a closing bracket (the cycle lemma of Dvoretzky and Motzkin, Duke Mathematical Journal 14, 1947).
        """
        steps = random.permutation(np.append(np.ones(pairs, np.int64), -np.ones(pairs + 1, np.int64)))
        lowest = int(np.cumsum(steps).argmin())
        turned = np.roll(steps, -lowest - 1)[:-1]
        kinds = random.integers(0, self.pairs, len(turned))
        return self._string(np.where(turned > 0, kinds, self.pairs))

    def longer(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Return the deepest string of each length, and three drawn evenly."""
        for pairs in range(1, TRIED // 2 + 1):
            random = generator(EVALUATION, pairs)
            yield 2 * pairs, [self.nested(pairs), *(self.of_length(random, pairs) for _ in range(PER_LENGTH))]

    def score(self, predict: Predict) -> Score:
        """The share of 300 drawn strings that are accepted, and the first length at which a string is not.

        Chance: a guess that knows only the present symbol must after a closing bracket always hold the end possible, or
        never, and every string ends. So it accepts at best the strings in which nothing is nested.
        """
        strings = self.sample()
        flat = sum(bool(self.stack(self.vocabulary.encode(string))[0].max() <= 1) for string in strings)
        return score(predict, self, strings, self.longer, flat / len(strings))

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {"opens": self.opens, "longest": self.longest}


def innermost(opened: NDArray[np.int64], depth: NDArray[np.int64]) -> NDArray[np.int64]:
    """What was opened last at each step's depth, -1 at depth 0.

    Arguments:
        opened: (T,) what a step opens, -1 where it opens nothing.
        depth: (T,) how many are open after it.
    """
    order = np.lexsort((np.arange(len(depth)), depth))
    places = np.where(opened[order] >= 0, np.arange(len(order)), 0)
    last = np.maximum.accumulate(places) if len(places) else places  # at each depth but 0 the first step opens
    found = np.empty(len(depth), np.int64)
    found[order] = opened[order][last]
    return np.where(depth > 0, found, -1)


class BracketsTask(LanguageTask):
    """A task whose strings are such brackets.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        brackets: the language.
    """

    def __init__(self, batch: int | None, brackets: Brackets) -> None:
        super().__init__(batch)
        self.brackets = brackets

    @property
    def floor(self) -> float:
        """Half of the smaller probability: that one kind opens, or that none does."""
        return self.brackets.floor

    @property
    def optimum(self) -> float:
        """The best possible loss, in nats per predicted symbol."""
        return self.brackets.optimum

    def places(self, string: str) -> Places:
        """What may follow each symbol of a string of the language."""
        return self.brackets.places(string)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` strings."""
        return self.brackets.draw(random, count)

    def evaluation(self) -> list[str]:
        """300 strings as they are drawn."""
        return self.brackets.sample()

    def score(self, predict: Predict) -> Score:
        """The share of 300 drawn strings that are accepted, the first failing length, the loss beside the best one.

        `gatescope.tasks.languages` says what is accepted. The first failure is the length of the shortest drawn string
        that is not accepted; once all are, of each length up to 400 the deepest string is tried and three others.
        """
        return self.brackets.score(predict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a task of strings, with their distribution."""
        return {**super().to_json(), **self.brackets.to_json()}
