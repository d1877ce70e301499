"""The tasks dyck1 and dyck2: the Dyck languages, brackets of one or two kinds that close in the reverse order.

One kind of bracket takes a count, two kinds take a stack. By Chomsky and Schützenberger, "The algebraic theory of
context-free languages" (1963), every context-free language can be reduced to brackets of two kinds. `DyckTask` is the
language; each class below it is one task, a row of settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gatescope.tasks.base.scoring import Scoring
from gatescope.tasks.base.strings import END
from gatescope.tasks.base.task import EVALUATION, Predict, Quantity, Recommended, Score, TaskError, generator
from gatescope.tasks.languages.coding import scoring_of_strings
from gatescope.tasks.languages.language import LanguageTask, Places, checked_integer, checked_probability
from gatescope.tasks.languages.walks import MAX_TRIED_SYMBOLS, Walk, score_strings
from gatescope.vocabulary import Ids

MAX_TRAINED_SYMBOLS = 400
SCORED_STRINGS = 300
STRINGS_PER_LENGTH = 3  # longer strings that are drawn of each length, besides the deepest one


class DyckTask(LanguageTask):
    """Brackets that all close, the one opened last first, and the end mark.

    The strings come from the probabilistic grammar S -> ( S ) S with probability `opens`, every kind of bracket equally
    likely, and S -> nothing otherwise. The empty string, and strings longer than `longest`, are drawn again. So a
    bracket opens with probability `opens` anywhere; otherwise the innermost open bracket closes, or the string ends if
    none is open.

    Args:
        batch: strings in a batch; None: the recommended number.
        opens: the probability that a bracket opens. Without a limit on the length it must be below 1/2, or strings may
            never end.
        longest: the most brackets in a string, an even number; None: no limit.

    Raises:
        TaskError: a setting is out of its range.
    """

    right_examples: ClassVar[str]
    wrong_examples: ClassVar[str]

    def __init__(self, batch: int | None = None, opens: float = 0.4, longest: int | None = None) -> None:
        super().__init__(batch)
        self.opens = checked_probability("opens", opens, 0.05, 0.8)
        self.longest = None if longest is None else checked_integer("longest", longest, 2, MAX_TRAINED_SYMBOLS)
        if self.longest is None and self.opens > 0.45:
            raise TaskError("DYCK_OPENS_TOO_LARGE", opens=self.opens)
        if self.longest is not None and self.longest % 2:
            raise TaskError("DYCK_LONGEST_ODD", longest=self.longest)
        self.kinds = len(self.alphabet) // 2

    @property
    def floor(self) -> float:
        """Half of the smaller probability: that one kind opens, or that none does."""
        return 0.5 * min(self.opens / self.kinds, 1 - self.opens)

    @property
    def optimum(self) -> float:
        """The best possible loss, in nats per predicted symbol."""
        return self.walk.entropy

    @cached_property
    def walk(self) -> Walk:
        """Strings as walks: the states are depths, the actions open a bracket of each kind or close one."""
        # Without a limit, all depths but 0 have the same probabilities.
        deepest = 1 if self.longest is None else self.longest // 2 + 1
        rule = np.zeros((deepest + 1, self.kinds + 2))
        rule[:, : self.kinds] = self.opens / self.kinds
        rule[0, -1] = rule[1:, -2] = 1 - self.opens
        depth = np.arange(deepest + 1)[:, None]
        deeper = depth + 1 if self.longest is None else np.minimum(depth + 1, deepest)
        to = np.concatenate([np.repeat(deeper, self.kinds, axis=1), np.maximum(depth - 1, 0)], axis=1)
        return Walk(rule, to, self.longest)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Draw `count` strings."""
        return [self._string(actions) for actions in self.walk.draw(random, count)]

    def _string(self, actions: NDArray[np.int64]) -> str:
        """Return the string of a walk: 0 to kinds - 1 open a bracket of that kind, any other action closes one."""
        opening = actions < self.kinds
        depth = np.cumsum(np.where(opening, 1, -1))
        kind = _innermost(np.where(opening, actions, -1), np.where(opening, depth, depth + 1))
        return self.vocabulary.decode(2 * kind + ~opening) + END

    def places(self, string: str) -> Places:
        """Return what may follow each bracket of a string of the language."""
        encoded = self.vocabulary.encode(string)
        ids, following = encoded[:-1], encoded[1:]
        depth, innermost = self.stack(ids)
        probabilities, drawn = self.walk.probabilities(depth, np.arange(1, len(ids) + 1))
        likely = np.zeros((len(ids), self.vocabulary.size))
        likely[:, 0:-1:2] = probabilities[:, : self.kinds]
        likely[:, -1] = probabilities[:, -1]
        inside = np.flatnonzero(depth)
        closing = 2 * innermost[inside] + 1
        likely[inside, closing] = probabilities[inside, -2]
        likely[~drawn, following[~drawn]] = 1
        allowed = np.zeros(likely.shape, np.bool_)
        allowed[:, 0:-1:2] = True
        allowed[:, -1] = depth == 0
        allowed[inside, closing] = True
        return Places(allowed, likely, drawn)

    def stack(self, ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Follow the stack of open brackets through any sequence of ids, (T,).

        A closing bracket closes the innermost open bracket of any kind, or does nothing when none is open.
        Nothing changes at an unknown symbol, or from the first end mark on.

        Returns:
            The number of open brackets after each symbol, and the kind of the innermost one, -1 for none; (T,) each.
        """
        bracket = (ids >= 0) & (ids < len(self.alphabet)) & (np.cumsum(ids == len(self.alphabet)) == 0)
        opening = bracket & (ids % 2 == 0)
        height = np.cumsum(np.where(bracket, np.where(opening, 1, -1), 0))
        depth = height - np.minimum(np.minimum.accumulate(height), 0) if len(ids) else height
        return depth, _innermost(np.where(opening, ids // 2, -1).astype(np.int64), depth)

    def evaluation(self) -> list[str]:
        """Draw the 300 scored strings, the same at every call."""
        return self.draw(generator(EVALUATION, 0), SCORED_STRINGS)

    def score(self, predict: Predict) -> Score:
        """Return the share of 300 drawn strings that are accepted, and the first length with a rejected string.

        `gatescope.tasks.languages.language` defines when a string is accepted. Once all drawn strings are, the deepest
        string and three others of each length are tried, up to 400 symbols.

        Chance is the share of strings without nesting. A predictor that knows only the present symbol must always
        consider the end possible after a closing bracket, because every string ends. So it accepts these strings only.
        """
        strings = self.evaluation()
        return score_strings(predict, self, strings, self.longer_strings, self.chance(strings))

    def chance(self, strings: Sequence[str]) -> float:
        """Return the share of strings without nesting."""
        flat = sum(bool(self.stack(self.vocabulary.encode(string))[0].max() <= 1) for string in strings)
        return flat / len(strings)

    def scoring(self) -> Scoring:
        """Return the score as data."""
        return scoring_of_strings(self, self.evaluation(), self.longer_strings(), MAX_TRIED_SYMBOLS)

    def longer_strings(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield each length with its deepest string and three strings that are drawn uniformly."""
        for pairs in range(1, MAX_TRIED_SYMBOLS // 2 + 1):
            random = generator(EVALUATION, pairs)
            yield 2 * pairs, [self.nested(pairs), *(self.of_length(random, pairs) for _ in range(STRINGS_PER_LENGTH))]

    def nested(self, pairs: int) -> str:
        """Return the deepest string with this number of pairs; the kinds take turns."""
        opening = "".join(self.alphabet[2 * (k % self.kinds)] for k in range(pairs))
        closing = "".join(self.alphabet[2 * (k % self.kinds) + 1] for k in reversed(range(pairs)))
        return opening + closing + END

    def of_length(self, random: np.random.Generator, pairs: int) -> str:
        """Draw a string with this number of pairs, every such string equally likely.

        Exactly one rotation of a string with one more closing than opening brackets is a string of the language
        followed by a closing bracket (the cycle lemma of Dvoretzky and Motzkin, Duke Mathematical Journal 14, 1947).
        """
        steps = random.permutation(np.append(np.ones(pairs, np.int64), -np.ones(pairs + 1, np.int64)))
        lowest = int(np.cumsum(steps).argmin())
        rotated = np.roll(steps, -lowest - 1)[:-1]
        kinds = random.integers(0, self.kinds, len(rotated))
        return self._string(np.where(rotated > 0, kinds, self.kinds))

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return how many brackets are open and whether none is; with several kinds, also the innermost kind.

        Wrong strings are read as by `stack`. Brackets that are open at the end mark stay open.
        """
        depth, innermost = self.stack(self.vocabulary.encode(text))
        kinds = [innermost == kind for kind in range(self.kinds)] if self.kinds > 1 else []
        return dict(zip(self.quantity_titles, (depth, depth == 0, *kinds), strict=True))

    def examples(self) -> list[str]:
        """Return flat and nested strings, two deep strings, and wrong strings."""
        return [self.right_examples, self.nested(12) + self.nested(30), self.wrong_examples]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a string task, with the distribution of the strings."""
        return {**super().to_json(), "opens": self.opens, "longest": self.longest}


class Dyck1(DyckTask):
    """Round brackets that all close, and the end mark.

    Drawn as in Lan, Geyer, Chemla and Katzir, "Minimum description length recurrent neural networks", TACL 10 (2022),
    where opens = 0.3 and the length has no limit. Learned by an LSTM of one neuron in Suzgun, Gehrmann, Belinkov and
    Shieber, "LSTM networks can perform dynamic counting", Workshop on Deep Learning and Formal Languages (2019).
    """

    name: ClassVar[str] = "dyck1"
    title: ClassVar[str] = "Dyck-1"
    question: ClassVar[str] = (
        "Brackets open and close, and the line may end when none is open any more: "
        "can a single neuron keep the number of open ones?"
    )
    alphabet = "()"
    settings: ClassVar[Recommended] = Recommended(
        layers=(1,),
        steps=4000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        score_every=1000,
    )
    remembered: ClassVar[tuple[str, ...]] = ("depth",)
    quantity_titles: ClassVar[dict[str, str]] = {
        "depth": "brackets that are open",
        "closed": "no bracket is open: the string may end",
    }
    right_examples = "(())\n()()\n((()())())\n()\n"
    wrong_examples = "(()\n())()\n)(\n"


class Dyck2(DyckTask):
    """Round and square brackets that all close, the one opened last first, and the end mark.

    None of the small networks of Suzgun et al. (2019) learned it.
    """

    name: ClassVar[str] = "dyck2"
    title: ClassVar[str] = "Dyck-2"
    question: ClassVar[str] = (
        "Round and square brackets close as they were opened: "
        "how does the network remember a whole stack of them, and how deep can it be?"
    )
    alphabet = "()[]"
    settings: ClassVar[Recommended] = replace(Dyck1.settings, layers=(32,))
    remembered: ClassVar[tuple[str, ...]] = ("depth",)
    quantity_titles: ClassVar[dict[str, str]] = {
        **Dyck1.quantity_titles,
        "innermost_round": "the innermost open bracket is round",
        "innermost_square": "the innermost open bracket is square",
    }
    right_examples = "([])\n()[]\n([()[]][])\n[]\n"
    wrong_examples = "([)]\n([]\n]()\n"


def _innermost(opened: NDArray[np.int64], depth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the kind that was opened last at each step's depth, -1 at depth 0.

    Args:
        opened: (T,) the kind that a step opens, -1 if it opens none.
        depth: (T,) how many are open after the step.
    """
    order = np.lexsort((np.arange(len(depth)), depth))
    places = np.where(opened[order] >= 0, np.arange(len(order)), 0)
    last = np.maximum.accumulate(places) if len(places) else places  # the first step of each depth but 0 opens
    kinds = np.empty(len(depth), np.int64)
    kinds[order] = opened[order][last]
    return np.where(depth > 0, kinds, -1)
