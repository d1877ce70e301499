"""The task anbncn: the language a^n b^n c^n, which no stack alone can recognise.

Learned by an LSTM in Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and context-sensitive
languages", IEEE Transactions on Neural Networks 12 (2001). Trained with 3 neurons on n from 1 to 50 in Suzgun, Belinkov
and Shieber, "On evaluating the generalization of LSTM models in formal languages", SCiL (2019).
"""

from __future__ import annotations

from typing import ClassVar

from gatescope.tasks.base.task import Quantity, Recommended
from gatescope.tasks.languages.blocks import Blocks, BlocksTask


class AnBnCn(BlocksTask):
    """a^n b^n c^n and the end mark. After an a, an a or a b may follow; from the first b on the rest is certain.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        shortest, longest, stop, targets: how n is drawn and what is taught; see `Blocks`.
    """

    name: ClassVar[str] = "anbncn"
    title: ClassVar[str] = "aⁿbⁿcⁿ"
    question: ClassVar[str] = (
        "As many b's and then as many c's as there were a's: "
        "where are the two counts that this takes, and how far beyond the longest trained string do they go?"
    )
    alphabet: ClassVar[str] = "abc"
    settings: ClassVar[Recommended] = Recommended(
        layers=(3,),
        cell="lstm:f=3",
        steps=20000,
        batch=8,
        learning_rate=0.03,
        final_learning_rate=0.01,
        clip=0.1,
        readout_decay=0.1,
        score_every=1000,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading the a's",
        "writing_b": "writing the b's",
        "writing_c": "writing the c's",
        "so_far": "a's so far",
        "owed_b": "b's still owed, after this symbol",
        "owed_c": "c's still owed, after this symbol",
    }

    def __init__(
        self,
        batch: int | None = None,
        shortest: int = 1,
        longest: int | None = 50,
        stop: float | None = None,
        targets: str = "allowed",
    ) -> None:
        super().__init__(batch, Blocks(self.alphabet, shortest, longest, stop, targets))

    def quantities(self, text: str) -> dict[str, Quantity]:
        """The phase, how many a's so far, how many b's and c's are owed.

        The b's begin with the first one, the c's likewise; letters that come too late count for nothing. Each a makes
        one b and one c owed, each of these pays one, never below 0; what is still owed at the end mark stays owed.
        """
        (reading, writing_b, writing_c), so_far, (owed_b, owed_c) = self.blocks.quantities(text)
        return {
            "reading": reading,
            "writing_b": writing_b,
            "writing_c": writing_c,
            "so_far": so_far,
            "owed_b": owed_b,
            "owed_c": owed_c,
        }

    def examples(self) -> list[str]:
        """Short and longer strings; one that is longer than any trained one; too few and too many of a letter."""
        n = self.blocks.scored[-1]
        return [
            "".join(self.blocks.string(k) for k in (3, 1, 6, 9)),
            self.blocks.string(n + n // 2 + 1),
            "aaaabbcccc\naaabbbccccc\nabcabc\n",
        ]
