"""The task parity: an even number of ones.

A regular language: two states are enough. Whatever is read, every single 1 turns the answer round, so no symbol can be
left out; Bhattamishra, Ahuja and Goyal, "On the ability and limitations of transformers to recognize formal languages",
EMNLP (2020), compare networks on it in the same way, by what may follow every beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gatescope.tasks.base.strings import END
from gatescope.tasks.base.task import EVALUATION, Predict, Quantity, Recommended, Score, generator
from gatescope.tasks.languages.language import LanguageTask, Places, share, whole
from gatescope.tasks.languages.walks import TRIED, Walk, score

SAMPLE = 300  # strings that the score is taken on
PER_LENGTH = 3  # strings of each length beyond them that are drawn, besides three by design


class Parity(LanguageTask):
    """Zeros and ones, an even number of ones, and the end mark.

    After an even number of ones the string ends with probability `stop`; otherwise, and after an odd number, 0 and 1
    are as likely. The empty string, and strings longer than `longest`, are drawn again.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        stop: the probability of the end where it can come.
        longest: the most digits of a string.

    Raises: TaskError where the numbers make no sense.
    """

    name: ClassVar[str] = "parity"
    title: ClassVar[str] = "Parity"
    question: ClassVar[str] = (
        "The line may end only after an even number of ones: "
        "which neuron changes sides at every 1 and stays where it is at a 0?"
    )
    alphabet: ClassVar[str] = "01"
    settings: ClassVar[Recommended] = Recommended(
        layers=(5,),
        steps=6000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        score_every=1000,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "odd": "an odd number of ones so far",
        "ones": "ones so far",
    }

    def __init__(self, batch: int | None = None, stop: float = 0.1, longest: int = 40) -> None:
        super().__init__(batch)
        self.stop = share("stop", stop, 0.01, 0.9)
        self.longest = whole("longest", longest, 2, TRIED)

    @cached_property
    def walk(self) -> Walk:
        """States are even and odd; the actions are the digits."""
        half = 0.5 * (1 - self.stop)
        return Walk(np.array([[half, half, self.stop], [0.5, 0.5, 0.0]]), np.array([[0, 1], [1, 0]]), self.longest)

    @property
    def floor(self) -> float:
        """Half of the smallest probability: of the end after an even number of ones, or of a digit there."""
        return 0.5 * min(self.stop, 0.5 * (1 - self.stop))

    @property
    def optimum(self) -> float:
        """The best possible loss, in nats per predicted symbol."""
        return self.walk.entropy

    def places(self, string: str) -> Places:
        """What may follow each symbol of a string of the language."""
        digits, following = self.vocabulary.encode(string)[:-1], self.vocabulary.encode(string)[1:]
        odd = np.cumsum(digits) % 2
        likely, drawn = self.walk.chances(odd, np.arange(1, len(digits) + 1))
        likely[~drawn, following[~drawn]] = 1
        allowed = np.ones(likely.shape, np.bool_)
        allowed[:, -1] = odd == 0
        return Places(allowed, likely, drawn)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` strings."""
        return [self.vocabulary.decode(digits) + END for digits in self.walk.draw(random, count)]

    def evaluation(self) -> list[str]:
        """300 strings as they are drawn."""
        return self.draw(generator(EVALUATION, 0), SAMPLE)

    def score(self, predict: Predict) -> Score:
        """The share of 300 drawn strings that are accepted, the first failing length, the loss beside the best one.

        `gatescope.tasks.languages` says what is accepted. The first failure is the length of the shortest drawn string
        that is not accepted; once all are, six strings of each length up to 400 are tried: one with as many ones as
        can be, one with ones at both ends and zeros between, one of zeros only, and three drawn evenly.

        Chance: a guess that knows only the present digit must after a 1 always hold the end possible, or never. If
        never, it can accept the strings of zeros only; if always, none with a 1: the first one leaves an odd number.
        """
        strings = self.evaluation()
        chance = sum("1" not in string for string in strings) / len(strings)
        return score(predict, self, strings, self._longer, chance)

    def _longer(self) -> Iterator[tuple[int, Sequence[str]]]:
        for length in range(2, TRIED + 1):
            digits = generator(EVALUATION, length).integers(0, 2, (PER_LENGTH, length))
            digits[:, -1] = digits[:, :-1].sum(1) % 2
            made = ["0" * (length % 2) + "1" * (length // 2 * 2), "1" + "0" * (length - 2) + "1", "0" * length]
            yield length, [string + END for string in (*made, *("".join(map(str, row)) for row in digits.tolist()))]

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Whether the number of ones so far is odd, and the number. Ones behind the first end mark do not count."""
        ids = self.vocabulary.encode(text)
        ones = np.cumsum((ids == 1) & (np.cumsum(ids == 2) == 0))
        return {"odd": ones % 2 == 1, "ones": ones}

    def examples(self) -> list[str]:
        """Few and many ones; strings longer than any trained one; strings that end too early."""
        long = ("1101001" * self.longest)[: 2 * self.longest]
        return [
            "0110\n11\n10100101\n000\n1111\n",
            long + ("1" if long.count("1") % 2 else "0") + END,
            "1\n0100\n111\n",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a task of strings, with their distribution."""
        return {**super().to_json(), "stop": self.stop, "longest": self.longest}
