"""The task dyck2: round and square brackets that close as they were opened, the language Dyck-2.

Which kind closes next needs a stack, not a count. By Chomsky and Schützenberger, "The algebraic theory of context-free
languages" (1963), it has all that a context-free language can ask. None of the small networks of Suzgun, Gehrmann,
Belinkov and Shieber, "LSTM networks can perform dynamic counting", Workshop on Deep Learning and Formal Languages
(2019), learned it.
"""

from __future__ import annotations

from typing import ClassVar

from gatescope.tasks.base.task import Quantity, Recommended
from gatescope.tasks.languages.brackets import Brackets, BracketsTask


class Dyck2(BracketsTask):
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

    def __init__(self, batch: int | None = None, opens: float = 0.4, longest: int | None = None) -> None:
        super().__init__(batch, Brackets(self.alphabet, opens, longest))

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
