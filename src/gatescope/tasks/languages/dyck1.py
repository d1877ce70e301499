"""The task dyck1: round brackets that all close, the language Dyck-1.

Drawn as in Lan, Geyer, Chemla and Katzir, "Minimum description length recurrent neural networks", TACL 10 (2022), where
opens = 0.3 and no string is too long. Learned by an LSTM of one neuron in Suzgun, Gehrmann, Belinkov and Shieber, "LSTM
networks can perform dynamic counting", Workshop on Deep Learning and Formal Languages (2019).
"""

from __future__ import annotations

from typing import ClassVar

from gatescope.tasks.base.task import Quantity, Recommended
from gatescope.tasks.languages.brackets import Brackets, BracketsTask


class Dyck1(BracketsTask):
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

    def __init__(self, batch: int | None = None, opens: float = 0.4, longest: int | None = None) -> None:
        super().__init__(batch, Brackets(self.alphabet, opens, longest))

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
