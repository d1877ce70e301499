"""The task dyck1: round brackets that all close, the language Dyck-1.

Drawn as in Lan, Geyer, Chemla and Katzir, "Minimum description length recurrent neural networks", TACL 10 (2022), where
opens = 0.3 and no string is too long. Learned by an LSTM of one neuron in Suzgun, Gehrmann, Belinkov and Shieber, "LSTM
networks can perform dynamic counting", Workshop on Deep Learning and Formal Languages (2019).
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gatescope.tasks.languages.brackets import Brackets
from gatescope.tasks.languages.language import Places, settings
from gatescope.tasks.strings import StringTask
from gatescope.tasks.task import Predict, Quantity, Recommended, Score

USUAL: dict[str, Any] = {"opens": 0.4, "longest": None}


class Dyck1(StringTask):
    """Round brackets that all close, and the end mark.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        opens, longest: how strings are drawn; see `Brackets`.
    """

    name: ClassVar[str] = "dyck1"
    title: ClassVar[str] = "Dyck-1"
    question: ClassVar[str] = (
        "Brackets open and close, and the line may end when none is open any more: "
        "can a single neuron keep the number of open ones?"
    )
    alphabet: ClassVar[str] = "()"
    settings: ClassVar[Recommended] = Recommended(
        layers=(1,),
        steps=4000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        score_every=1000,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "depth": "brackets that are open",
        "closed": "no bracket is open: the string may end",
    }

    def __init__(
        self, batch: int | None = None, opens: float = USUAL["opens"], longest: int | None = USUAL["longest"]
    ) -> None:
        super().__init__(batch)
        self.brackets = Brackets(self.alphabet, opens, longest)

    @property
    def floor(self) -> float:
        """Half of the smaller probability: that a bracket opens, or that none does."""
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

    def quantities(self, text: str) -> dict[str, Quantity]:
        """How many brackets are open, and whether none is.

        A closing bracket does nothing where none is open. What is open at the end mark stays open; behind it nothing
        changes.
        """
        depth, _ = self.brackets.stack(self.vocabulary.encode(text))
        return {"depth": depth, "closed": depth == 0}

    def examples(self) -> list[str]:
        """Flat and nested strings; one of great depth; brackets that do not fit."""
        return [
            "(())\n()()\n((()())())\n()\n",
            self.brackets.nested(12) + self.brackets.nested(30),
            "(()\n())()\n)(\n",
        ]

    def to_json(self) -> dict[str, Any]:
        """As of every task of strings, and how they are drawn."""
        return {**super().to_json(), **self.brackets.to_json()}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The task that `to_json` wrote. Raises: TaskError where `data` is not this task, or cannot be drawn so."""
        batch = super().from_json(data).recommended.batch
        return cls(batch, **settings(data, USUAL))
