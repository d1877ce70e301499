"""The tasks anbn and anbncn: the languages a^n b^n and a^n b^n c^n.

A network must count to recognise them: a finite number of states is not enough. The second needs more than one stack.
`gatescope.tasks.languages.equal_blocks` has the language; each class is one task, a row of settings.
"""

from __future__ import annotations

from typing import ClassVar

from gatescope.tasks.base.task import Recommended
from gatescope.tasks.languages.equal_blocks import EqualBlocks


class AnBn(EqualBlocks):
    """a^n b^n and the end mark.

    Learned by an LSTM in Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and context-sensitive
    languages", IEEE Transactions on Neural Networks 12 (2001). Trained on n up to 100 in Weiss, Goldberg and Yahav, "On
    the practical computational power of finite precision RNNs for language recognition", ACL (2018); with geometric n
    in Lan, Geyer, Chemla and Katzir, "Minimum description length recurrent neural networks", TACL 10 (2022).
    """

    name: ClassVar[str] = "anbn"
    title: ClassVar[str] = "aⁿbⁿ"
    question: ClassVar[str] = (
        "As many b's as a's, and nothing says when the a's are over: "
        "which neurons count, and how far beyond the longest trained string?"
    )
    alphabet = "ab"
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
    remembered: ClassVar[tuple[str, ...]] = ("owed",)
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading the a's",
        "writing": "writing the b's",
        "so_far": "a's so far",
        "owed": "b's still owed, after this symbol",
    }
    example_numbers = (3, 1, 7, 12)
    wrong_examples = "aaaabb\naaaabbbbbbb\nabab\n"

    def __init__(
        self,
        batch: int | None = None,
        shortest: int = 1,
        longest: int | None = 99,
        stop: float | None = 0.03,
        targets: str = "drawn",
    ) -> None:
        super().__init__(batch, shortest, longest, stop, targets)

    def examples(self) -> list[str]:
        """Return the examples of equal blocks; the second also has the string of twice the largest trained n."""
        right, longer, wrong = super().examples()
        return [right, longer + self.string(2 * self.scored_numbers[-1]), wrong]


class AnBnCn(EqualBlocks):
    """a^n b^n c^n and the end mark.

    Learned by an LSTM in Gers and Schmidhuber (2001). Trained with 3 neurons on n from 1 to 50 in Suzgun, Belinkov and
    Shieber, "On evaluating the generalization of LSTM models in formal languages", SCiL (2019).
    """

    name: ClassVar[str] = "anbncn"
    title: ClassVar[str] = "aⁿbⁿcⁿ"
    question: ClassVar[str] = (
        "As many b's and then as many c's as a's: "
        "where are the two counts, and how far beyond the longest trained string do they go?"
    )
    alphabet = "abc"
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
    remembered: ClassVar[tuple[str, ...]] = ("owed_b", "owed_c")
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading the a's",
        "writing_b": "writing the b's",
        "writing_c": "writing the c's",
        "so_far": "a's so far",
        "owed_b": "b's still owed, after this symbol",
        "owed_c": "c's still owed, after this symbol",
    }
    example_numbers = (3, 1, 6, 9)
    wrong_examples = "aaaabbcccc\naaabbbccccc\nabcabc\n"

    def __init__(
        self,
        batch: int | None = None,
        shortest: int = 1,
        longest: int | None = 50,
        stop: float | None = None,
        targets: str = "allowed",
    ) -> None:
        super().__init__(batch, shortest, longest, stop, targets)
