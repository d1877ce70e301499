"""The task parity: an even number of ones.

A regular language: two states are enough. Every 1 changes the answer, so no symbol may be missed. Bhattamishra, Ahuja
and Goyal, "On the ability and limitations of transformers to recognize formal languages", EMNLP (2020), compare
networks on it in the same way, by the symbols that may follow every beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gatescope.tasks.base.scoring import Scoring
from gatescope.tasks.base.strings import END
from gatescope.tasks.base.task import EVALUATION, Predict, Quantity, Recommended, Score, generator
from gatescope.tasks.languages.coding import scoring_of_strings
from gatescope.tasks.languages.language import LanguageTask, Places, checked_integer, checked_probability
from gatescope.tasks.languages.walks import MAX_TRIED_SYMBOLS, Walk, score_strings

SCORED_STRINGS = 300
STRINGS_PER_LENGTH = 3  # longer strings that are drawn of each length, besides three by design


class Parity(LanguageTask):
    """Zeros and ones, an even number of ones, and the end mark.

    After an even number of ones the string ends with probability `stop`; otherwise, and after an odd number, 0 and 1
    are equally likely. The empty string, and strings longer than `longest`, are drawn again.

    Args:
        batch: strings in a batch; None: the recommended number.
        stop: the probability of the end where the string may end.
        longest: the most digits in a string.

    Raises:
        TaskError: a setting is out of its range.
    """

    name: ClassVar[str] = "parity"
    title: ClassVar[str] = "Parity"
    question: ClassVar[str] = (
        "The line may end only after an even number of ones: "
        "which neuron changes sides at every 1 and stays where it is at a 0?"
    )
    alphabet = "01"
    settings: ClassVar[Recommended] = Recommended(
        layers=(5,),
        steps=6000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        score_every=1000,
    )
    remembered: ClassVar[tuple[str, ...]] = ("odd",)
    quantity_titles: ClassVar[dict[str, str]] = {
        "odd": "an odd number of ones so far",
        "ones": "ones so far",
    }

    def __init__(self, batch: int | None = None, stop: float = 0.1, longest: int = 40) -> None:
        super().__init__(batch)
        self.stop = checked_probability("stop", stop, 0.01, 0.9)
        self.longest = checked_integer("longest", longest, 2, MAX_TRIED_SYMBOLS)

    @property
    def floor(self) -> float:
        """Half of the smaller probability after an even number of ones: of the end, or of a digit."""
        return 0.5 * min(self.stop, 0.5 * (1 - self.stop))

    @property
    def optimum(self) -> float:
        """The best possible loss, in nats per predicted symbol."""
        return self.walk.entropy

    @cached_property
    def walk(self) -> Walk:
        """Strings as walks: the states are even and odd, the actions are the digits."""
        half = 0.5 * (1 - self.stop)
        return Walk(np.array([[half, half, self.stop], [0.5, 0.5, 0.0]]), np.array([[0, 1], [1, 0]]), self.longest)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Draw `count` strings."""
        return [self.vocabulary.decode(digits) + END for digits in self.walk.draw(random, count)]

    def places(self, string: str) -> Places:
        """Return what may follow each digit of a string of the language."""
        encoded = self.vocabulary.encode(string)
        digits, following = encoded[:-1], encoded[1:]
        odd = np.cumsum(digits) % 2
        likely, drawn = self.walk.probabilities(odd, np.arange(1, len(digits) + 1))
        likely[~drawn, following[~drawn]] = 1
        allowed = np.ones(likely.shape, np.bool_)
        allowed[:, -1] = odd == 0
        return Places(allowed, likely, drawn)

    def evaluation(self) -> list[str]:
        """Draw the 300 scored strings, the same at every call."""
        return self.draw(generator(EVALUATION, 0), SCORED_STRINGS)

    def score(self, predict: Predict) -> Score:
        """Return the share of 300 drawn strings that are accepted, and the first length with a rejected string.

        `gatescope.tasks.languages.language` defines when a string is accepted. Once all drawn strings are, six strings
        of each length are tried, up to 400 symbols: one with as many ones as possible, one with ones at both ends and
        zeros between, one of zeros only, and three drawn uniformly.

        Chance: a guess that knows only the present digit must after a 1 always consider the end possible, or never. If
        never, it can accept the strings of zeros only; if always, none with a 1: the first 1 leaves an odd number.
        """
        strings = self.evaluation()
        return score_strings(predict, self, strings, self.longer_strings, self.chance(strings))

    def chance(self, strings: Sequence[str]) -> float:
        """Return the share of strings of zeros only."""
        return sum("1" not in string for string in strings) / len(strings)

    def scoring(self) -> Scoring:
        """Return the score as data."""
        return scoring_of_strings(self, self.evaluation(), self.longer_strings(), MAX_TRIED_SYMBOLS)

    def longer_strings(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield each length with three strings by design and three that are drawn uniformly."""
        for length in range(2, MAX_TRIED_SYMBOLS + 1):
            digits = generator(EVALUATION, length).integers(0, 2, (STRINGS_PER_LENGTH, length))
            digits[:, -1] = digits[:, :-1].sum(1) % 2
            drawn = ["".join(map(str, row)) for row in digits.tolist()]
            designed = ["0" * (length % 2) + "1" * (length // 2 * 2), "1" + "0" * (length - 2) + "1", "0" * length]
            yield length, [string + END for string in (*designed, *drawn)]

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return whether the number of ones so far is odd, and the number. Ones after the first end mark do not count.

        Args:
            text: any text, (T,) characters.
        """
        ids = self.vocabulary.encode(text)
        ones = np.cumsum((ids == 1) & (np.cumsum(ids == 2) == 0))
        return {"odd": ones % 2 == 1, "ones": ones}

    def examples(self) -> list[str]:
        """Return strings with few and many ones, one longer than any trained string, and wrong strings."""
        long = ("1101001" * self.longest)[: 2 * self.longest]
        return [
            "0110\n11\n10100101\n000\n1111\n",
            long + ("1" if long.count("1") % 2 else "0") + END,
            "1\n0100\n111\n",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a string task, with the distribution of the strings."""
        return {**super().to_json(), "stop": self.stop, "longest": self.longest}
