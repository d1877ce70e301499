"""The task state_memoriser: remember one of two letters until the end of the string.

The latch problem of Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is
difficult", IEEE Transactions on Neural Networks 5 (1994), written with letters.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from gatescope.messages import Message
from gatescope.tasks.base.scoring import ScoredString, Scoring, strings_as_data
from gatescope.tasks.base.strings import END, Phases, StringTask, is_symbol, recommended
from gatescope.tasks.base.task import Predict, Quantity, Recommended, Score, TaskError

MAX_TRIED_GAP = 200  # the score looks for the first failure up to this number of x's


class StateMemoriser(StringTask):
    """A or B, then 1 to 10 x's, Y, then a for A or b for B, and the end mark: 20 strings in all.

    Args:
        batch: strings in a batch; None: the recommended number.
        shortest: the fewest x's in a string.
        longest: the most x's in a string. If it equals `shortest`, no shorter gap helps to learn the distance.

    Raises:
        TaskError: the numbers are not 1 <= shortest <= longest.
    """

    name: ClassVar[str] = "state_memoriser"
    title: ClassVar[str] = "State memoriser"
    question: ClassVar[str] = (
        "The line starts with A or B; after x's and a Y it must write that letter small: "
        "which neuron holds it while the x's go by?"
    )
    alphabet = "ABxYab"
    settings: ClassVar[Recommended] = recommended(20, learning_rate=0.03)
    remembered: ClassVar[tuple[str, ...]] = ("remembers_a", "remembers_b")
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "before the Y",
        "at_y": "at the Y",
        "writing": "after the Y",
        "remembers_a": "the string began with A",
        "remembers_b": "the string began with B",
        "gap": "x's before the Y, so far",
    }

    def __init__(self, batch: int | None = None, shortest: int = 1, longest: int = 10) -> None:
        super().__init__(batch)
        if not 1 <= shortest <= longest:
            raise TaskError("STATE_MEMORISER_RANGE", shortest=shortest, longest=longest)
        self.trained = range(shortest, longest + 1)

    @property
    def longer(self) -> range:
        """The gaps that are tried once all trained ones are right."""
        return range(self.trained[-1] + 1, MAX_TRIED_GAP + 1)

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Draw `count` of the strings."""
        strings = self.evaluation()
        return [strings[k] for k in random.integers(0, len(strings), count).tolist()]

    def evaluation(self) -> list[str]:
        """Return all strings: two for every number of x's."""
        return [prefix + answer for prefix, answer in _problems(self.trained)]

    def score(self, predict: Predict) -> Score:
        """Return the share of the strings whose last letter and end mark are predicted.

        Chance is one half: a guess that knows only the present symbol always predicts the same letter after Y.
        """
        right = self._right(predict, self.trained)
        solved = all(right.values())
        tried = max(MAX_TRIED_GAP, self.trained[-1])
        if solved and self.longer:
            right |= self._right(predict, self.longer)
        first = min((gap for (_, gap), good in right.items() if not good), default=None)
        wrong = [f"{letter}{gap}" for (letter, gap), good in right.items() if not good and gap in self.trained]
        total = 2 * len(self.trained)
        known = total - len(wrong)
        if first is None:
            text = Message("SCORE_MEMORISER_ALL", total=total, tried=tried)
        elif solved:
            text = Message("SCORE_MEMORISER_TRAINED", total=total, first=first)
        else:
            text = Message("SCORE_MEMORISER_SOME", known=known, total=total, first=first)
        return Score(
            value=known / total,
            chance=0.5,
            solved=solved,
            text=str(text),
            message=text,
            details={
                "wrong": wrong,
                "first_failure": first,
                "tried": tried,
            },
        )

    def _right(self, predict: Predict, gaps: range) -> dict[tuple[str, int], bool]:
        """Return (letter, number of x's) -> whether the answer is right."""
        problems = _problems(gaps)
        verdicts = self.right(predict, problems)
        return {
            (prefix[0], len(prefix) - 2): bool(verdict.all())
            for (prefix, _), verdict in zip(problems, verdicts, strict=True)
        }

    def scoring(self) -> Scoring:
        """Return the score as data."""
        return Scoring(
            rule="argmax",
            share_of="strings",
            chance=0.5,
            strings=self._scored(self.trained),
            longer=self._scored(self.longer),
            tried=max(MAX_TRIED_GAP, self.trained[-1]),
        )

    def _scored(self, gaps: range) -> list[ScoredString]:
        return [self.scored(gap, *problem) for gap in gaps for problem in _problems(range(gap, gap + 1))]

    def training_data(self) -> dict[str, Any]:
        """Return all strings; all are equally probable."""
        return strings_as_data(self.evaluation())

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the phase, the letter to remember, and the x's since it was read.

        The letter is the first symbol of the string. A wrong string that begins with neither letter has none to
        remember.
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
        """Return both letters at several gaps, gaps longer than any trained one, and wrong strings."""
        return [
            "AxxxxxYa\nBxxxxxYb\nAxYa\nBxxxxxxxxxxYb\n",
            f"A{'x' * 20}Ya\nB{'x' * 40}Yb\n",
            "AxxxYb\nBxxxYa\nxxxYa\n",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of a string task, with the numbers of x's."""
        return {**super().to_json(), "shortest": self.trained[0], "longest": self.trained[-1]}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Rebuild a task from what `to_json` returned.

        Raises:
            TaskError: `data` describes another task, or its numbers of x's are not integers.
        """
        task = super().from_json(data)
        assert isinstance(data, dict)  # or StringTask.from_json refuses it
        shortest, longest = data.get("shortest", 1), data.get("longest", 10)
        if type(shortest) is not int or type(longest) is not int:
            raise TaskError("STATE_MEMORISER_JSON_TYPE", shortest=shortest, longest=longest)
        return cls(task.recommended.batch, shortest, longest)


def _problems(gaps: range) -> list[tuple[str, str]]:
    return [(f"{letter}{'x' * gap}Y", letter.lower() + END) for letter in "AB" for gap in gaps]
