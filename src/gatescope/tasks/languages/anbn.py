"""The task anbn: the language a^n b^n.

Learned by an LSTM in Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and context-sensitive
languages", IEEE Transactions on Neural Networks 12 (2001). Trained on n up to 100 in Weiss, Goldberg and Yahav, "On the
practical computational power of finite precision RNNs for language recognition", ACL (2018); with geometric n in Lan,
Geyer, Chemla and Katzir, "Minimum description length recurrent neural networks", TACL 10 (2022).
"""

from __future__ import annotations

from typing import ClassVar

from gatescope.tasks.base.task import Quantity, Recommended
from gatescope.tasks.languages.blocks import Blocks, BlocksTask


class AnBn(BlocksTask):
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
        cell="lstm:f=3",
        steps=12000,
        batch=32,
        learning_rate=0.03,
        final_learning_rate=0.01,
        clip=0.1,
        readout_decay=0.1,
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
        shortest: int = 1,
        longest: int | None = 99,
        stop: float | None = 0.03,
        targets: str = "drawn",
    ) -> None:
        super().__init__(batch, Blocks(self.alphabet, shortest, longest, stop, targets))

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
