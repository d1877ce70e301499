"""The task state_memoriser: keep one of two letters in mind until it is asked for.

The latch problem of Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is
difficult", IEEE Transactions on Neural Networks 5 (1994), written with letters.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gatescope.tasks.strings import END, Phases, StringTask, is_symbol, recommended
from gatescope.tasks.task import Predict, Quantity, Recommended, Score

TRAINED = range(1, 11)
TRIED = 200  # the largest number of x's that is looked at beyond the trained ones


class StateMemoriser(StringTask):
    """A or B, then 1 to 10 x's, Y, then a for A or b for B, and the end mark: 20 strings in all."""

    name: ClassVar[str] = "state_memoriser"
    title: ClassVar[str] = "State memoriser"
    question: ClassVar[str] = (
        "The line starts with A or B, and after some x's and a Y the network must write the same letter small: "
        "which neuron holds on to it while the x's go by?"
    )
    alphabet: ClassVar[str] = "ABxYab"
    settings: ClassVar[Recommended] = recommended(20, learning_rate=0.03)
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "before the Y",
        "at_y": "at the Y",
        "writing": "after the Y",
        "remembers_a": "the string began with A",
        "remembers_b": "the string began with B",
        "gap": "x's before the Y, so far",
    }

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` of the 20 strings."""
        every = self.evaluation()
        return [every[k] for k in random.integers(0, len(every), count).tolist()]

    def evaluation(self) -> list[str]:
        """All 20 strings."""
        return [prefix + answer for prefix, answer in _problems(TRAINED)]

    def score(self, predict: Predict) -> Score:
        """The share of the 20 strings whose last letter and end mark are foreseen.

        Chance is one half: a guess that knows only the present symbol always writes the same letter after Y.
        """
        right = self._right(predict, TRAINED)
        solved = all(right.values())
        if solved:
            right |= self._right(predict, range(TRAINED[-1] + 1, TRIED + 1))
        first = min((gap for (_, gap), good in right.items() if not good), default=None)
        known = sum(good for (_, gap), good in right.items() if gap in TRAINED)
        total = 2 * len(TRAINED)
        text = f"{known} of the {total} strings are right" if not solved else f"all {total} strings are right"
        if first is not None:
            text += f"; the shortest gap it fails at is {first} x" + ("'s" if first > 1 else "")
        else:
            text += f", and so is every longer gap tried, up to {TRIED} x's"
        return Score(
            value=known / total,
            chance=0.5,
            solved=solved,
            text=text,
            details={
                "wrong": [f"{letter}{gap}" for (letter, gap), good in right.items() if not good and gap in TRAINED],
                "first_failure": first,
                "tried": TRIED,
            },
        )

    def _right(self, predict: Predict, gaps: range) -> dict[tuple[str, int], bool]:
        """(letter, number of x's) -> whether the answer is right."""
        problems = _problems(gaps)
        verdicts = self.right(predict, problems)
        return {
            (prefix[0], len(prefix) - 2): bool(verdict.all())
            for (prefix, _), verdict in zip(problems, verdicts, strict=True)
        }

    def quantities(self, text: str) -> dict[str, Quantity]:
        """The phase, the letter to be remembered, and how many x's it was remembered for.

        The letter is the string's first symbol; of a wrong string that begins with neither, neither is remembered.
        """
        phases = Phases.of(text, "Y")
        return {
            "reading": phases.reading,
            "at_y": phases.at_mark,
            "writing": phases.writing,
            "remembers_a": np.full(len(text), text.startswith("A")),
            "remembers_b": np.full(len(text), text.startswith("B")),
            "gap": np.cumsum(is_symbol(text, "x") & phases.reading),
        }

    def examples(self) -> list[str]:
        """Both letters at several gaps; gaps longer than any trained one; the wrong answer on purpose."""
        return [
            "AxxxxxYa\nBxxxxxYb\nAxYa\nBxxxxxxxxxxYb\n",
            f"A{'x' * 20}Ya\nB{'x' * 40}Yb\n",
            "AxxxYb\nBxxxYa\nxxxYa\n",
        ]


def _problems(gaps: range) -> list[tuple[str, str]]:
    return [(f"{letter}{'x' * gap}Y", letter.lower() + END) for letter in "AB" for gap in gaps]
