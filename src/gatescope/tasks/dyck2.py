"""The task dyck2: round and square brackets that close as they were opened, the language Dyck-2.

Which kind closes next needs a stack, not a count. By Chomsky and Schützenberger, "The algebraic theory of context-free
languages" (1963), it has all that a context-free language can ask. None of the small networks of Suzgun, Gehrmann,
Belinkov and Shieber, "LSTM networks can perform dynamic counting", Workshop on Deep Learning and Formal Languages
(2019), learned it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gatescope.tasks.languages.brackets import Brackets
from gatescope.tasks.languages.language import Places, settings
from gatescope.tasks.strings import StringTask
from gatescope.tasks.task import Predict, Quantity, Recommended, Score

USUAL: dict[str, Any] = {"opens": 0.4, "longest": None}


class Dyck2(StringTask):
    """Round and square brackets that all close, the one opened last first, and the end mark.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        opens, longest: how strings are drawn; see `Brackets`.
    """

    name: ClassVar[str] = "dyck2"
    title: ClassVar[str] = "Dyck-2"
    question: ClassVar[str] = (
        "Round and square brackets open, and each closes as it was opened: "
        "how does the network remember a whole stack of them, and how deep can it be?"
    )
    alphabet: ClassVar[str] = "()[]"
    settings: ClassVar[Recommended] = Recommended(
        layers=(32,),
        steps=4000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        score_every=1000,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "depth": "brackets that are open",
        "closed": "no bracket is open: the string may end",
        "innermost_round": "the innermost open bracket is round",
        "innermost_square": "the innermost open bracket is square",
    }

    def __init__(
        self, batch: int | None = None, opens: float = USUAL["opens"], longest: int | None = USUAL["longest"]
    ) -> None:
        super().__init__(batch)
        self.brackets = Brackets(self.alphabet, opens, longest)

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

    def quantities(self, text: str) -> dict[str, Quantity]:
        """How many brackets are open, whether none is, and which kind the innermost is.

        A closing bracket closes the innermost open one, even if of the other kind, and does nothing where none is open.
        What is open at the end mark stays open; behind it nothing changes.
        """
        depth, top = self.brackets.stack(self.vocabulary.encode(text))
        return {"depth": depth, "closed": depth == 0, "innermost_round": top == 0, "innermost_square": top == 1}

    def examples(self) -> list[str]:
        """Flat and nested strings; one of great depth; brackets that do not fit."""
        return [
            "([])\n()[]\n([()[]][])\n[]\n",
            self.brackets.nested(12) + self.brackets.nested(30),
            "([)]\n([]\n]()\n",
        ]

    def to_json(self) -> dict[str, Any]:
        """As of every task of strings, and how they are drawn."""
        return {**super().to_json(), **self.brackets.to_json()}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The task that `to_json` wrote. Raises: TaskError where `data` is not this task, or cannot be drawn so."""
        batch = super().from_json(data).recommended.batch
        return cls(batch, **settings(data, USUAL))
