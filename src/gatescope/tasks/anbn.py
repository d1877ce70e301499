"""The task anbn: the language a^n b^n.

Learned by an LSTM in Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and context-sensitive
languages", IEEE Transactions on Neural Networks 12 (2001). Trained on n up to 100 in Weiss, Goldberg and Yahav, "On the
practical computational power of finite precision RNNs for language recognition", ACL (2018); with geometric n in Lan,
Geyer, Chemla and Katzir, "Minimum description length recurrent neural networks", TACL 10 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from gatescope.tasks.languages.blocks import Blocks
from gatescope.tasks.languages.language import Places, settings
from gatescope.tasks.strings import StringTask
from gatescope.tasks.task import Batch, Predict, Quantity, Recommended, Score

USUAL: dict[str, Any] = {"shortest": 1, "longest": 99, "stop": 0.03, "targets": "drawn"}


class AnBn(StringTask):
    """a^n b^n and the end mark. After an a, an a or a b may follow; from the first b on the rest is certain.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        shortest, longest, stop, targets: how n is drawn and what is taught; see `Blocks`.
    """

    name: ClassVar[str] = "anbn"
    title: ClassVar[str] = "aⁿbⁿ"
    question: ClassVar[str] = (
        "As many b's as there were a's, and nothing says when the a's are over: "
        "which neurons count, and how far beyond the longest trained string?"
    )
    alphabet: ClassVar[str] = "ab"
    settings: ClassVar[Recommended] = Recommended(
        layers=(10,),
        steps=12000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        score_every=2000,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading the a's",
        "writing": "writing the b's",
        "so_far": "a's so far",
        "owed": "b's still owed, after this symbol",
    }

    def __init__(
        self,
        batch: int | None = None,
        shortest: int = USUAL["shortest"],
        longest: int | None = USUAL["longest"],
        stop: float | None = USUAL["stop"],
        targets: str = USUAL["targets"],
    ) -> None:
        super().__init__(batch)
        self.blocks = Blocks(self.alphabet, shortest, longest, stop, targets)

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

    def quantities(self, text: str) -> dict[str, Quantity]:
        """The phase, how many a's so far, how many b's are owed.

        The b's begin with the first one, and an a behind it counts for nothing. Each a makes one b owed and each b pays
        one, never below 0; what is still owed at the end mark stays owed.
        """
        (reading, writing), so_far, (owed,) = self.blocks.quantities(text)
        return {"reading": reading, "writing": writing, "so_far": so_far, "owed": owed}

    def examples(self) -> list[str]:
        """Short and longer strings; one that is longer than any trained one; b's that come too early or too late."""
        n = self.blocks.scored[-1]
        return [
            "".join(self.blocks.string(k) for k in (3, 1, 7, 12)),
            self.blocks.string(n + n // 2 + 1) + self.blocks.string(2 * n),
            "aaaabb\naaaabbbbbbb\nabab\n",
        ]

    def to_json(self) -> dict[str, Any]:
        """As of every task of strings, and how n is drawn."""
        return {**super().to_json(), **self.blocks.to_json()}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The task that `to_json` wrote. Raises: TaskError where `data` is not this task, or n cannot be drawn so."""
        batch = super().from_json(data).recommended.batch
        return cls(batch, **settings(data, USUAL))
