"""The task state_memoriser: keep one of two letters in mind until it is asked for.

The latch problem of Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is
difficult", IEEE Transactions on Neural Networks 5 (1994), written with letters.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gatescope.tasks.base.strings import END, Phases, StringTask, is_symbol, recommended
from gatescope.tasks.base.task import Predict, Quantity, Recommended, Score, TaskError

SHORTEST, LONGEST = 1, 10  # x's of the strings that are trained on, when nothing else is said
TRIED = 200  # the largest number of x's that is looked at beyond the trained ones


class StateMemoriser(StringTask):
    """A or B, then 1 to 10 x's, Y, then a for A or b for B, and the end mark: 20 strings in all.

    Arguments:
        batch: strings in a batch; None: the recommended number.
        shortest: the fewest x's of a string.
        longest: the most x's of a string. With both the same, nothing shorter helps to learn the distance.
    """

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

    def __init__(self, batch: int | None = None, shortest: int = SHORTEST, longest: int = LONGEST) -> None:
        super().__init__(batch)
        if not 1 <= shortest <= longest:
            raise TaskError("STATE_MEMORISER_SHORTEST_STRING_LONGEST_FEWER", shortest=shortest, longest=longest)
        self.trained = range(shortest, longest + 1)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` of the strings."""
        every = self.evaluation()
        return [every[k] for k in random.integers(0, len(every), count).tolist()]

    def evaluation(self) -> list[str]:
        """All strings: two for every number of x's."""
        return [prefix + answer for prefix, answer in _problems(self.trained)]

    def score(self, predict: Predict) -> Score:
        """The share of the strings whose last letter and end mark are foreseen.

        Chance is one half: a guess that knows only the present symbol always writes the same letter after Y.
        """
        right = self._right(predict, self.trained)
        solved = all(right.values())
        tried = max(TRIED, self.trained[-1])
        if solved and tried > self.trained[-1]:
            right |= self._right(predict, range(self.trained[-1] + 1, tried + 1))
        first = min((gap for (_, gap), good in right.items() if not good), default=None)
        known = sum(good for (_, gap), good in right.items() if gap in self.trained)
        total = 2 * len(self.trained)
        text = f"{known} of the {total} strings are right" if not solved else f"all {total} strings are right"
        if first is not None:
            text += f"; the shortest gap it fails at is {first} x" + ("'s" if first > 1 else "")
        else:
            text += f", and so is every longer gap tried, up to {tried} x's"
        return Score(
            value=known / total,
            chance=0.5,
            solved=solved,
            text=text,
            details={
                "wrong": [
                    f"{letter}{gap}" for (letter, gap), good in right.items() if not good and gap in self.trained
                ],
                "first_failure": first,
                "tried": tried,
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

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a task of strings, with the number of x's."""
        return {**super().to_json(), "shortest": self.trained[0], "longest": self.trained[-1]}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The task that `to_json` wrote.

        Raises: TaskError where `data` is not this task, or its numbers of x's are none.
        """
        task = super().from_json(data)
        assert isinstance(data, dict)  # it was, or the line above had said so
        shortest, longest = (data.get(name, usual) for name, usual in (("shortest", SHORTEST), ("longest", LONGEST)))
        if type(shortest) is not int or type(longest) is not int:
            raise TaskError("STATE_MEMORISER_NUMBERS_THEY_DAMAGED", name=cls.name, shortest=shortest, longest=longest)
        return cls(task.recommended.batch, shortest, longest)


def _problems(gaps: range) -> list[tuple[str, str]]:
    return [(f"{letter}{'x' * gap}Y", letter.lower() + END) for letter in "AB" for gap in gaps]
