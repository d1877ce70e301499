"""The task counter: as many b's as there were a's.

The language a^n b^n with a middle mark, after Gers and Schmidhuber, "LSTM recurrent networks learn simple
context-free and context-sensitive languages", IEEE Transactions on Neural Networks 12 (2001).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gatescope.tasks.base.scoring import Scoring, strings_as_data
from gatescope.tasks.base.strings import END, Phases, StringTask, exact_text, is_symbol, recommended
from gatescope.tasks.base.task import Predict, Quantity, Recommended, Score

TRAINED = range(1, 11)
MAX_TRIED_N = 100  # the score looks for the first failure up to this N
LONGER = range(TRAINED[-1] + 1, MAX_TRIED_N + 1)


class Counter(StringTask):
    """a^N X b^N and the end mark; N from 1 to 10, equally likely."""

    name: ClassVar[str] = "counter"
    title: ClassVar[str] = "Counter"
    question: ClassVar[str] = (
        "After some a's and an X it must write as many b's: "
        "which neurons count up through the a's and down through the b's?"
    )
    alphabet = "aXb"
    settings: ClassVar[Recommended] = recommended(10)
    remembered: ClassVar[tuple[str, ...]] = ("owed",)
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading the a's, before the X",
        "at_x": "at the X",
        "writing": "writing the b's, after the X",
        "so_far": "a's before the X, so far",
        "owed": "b's still to be written, after this symbol",
    }

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Draw `count` strings with N from 1 to 10."""
        return [_string(n) for n in random.integers(TRAINED[0], TRAINED[-1] + 1, count).tolist()]

    def evaluation(self) -> list[str]:
        """Return the string of each N from 1 to 10."""
        return [_string(n) for n in TRAINED]

    def score(self, predict: Predict) -> Score:
        """Return the share of N from 1 to 10 for which greedy completion of a^N X is exactly b^N and the end mark.

        Chance is one N in ten: a guess that knows only the present symbol always predicts the same after a b. If it
        predicts a b, the string never ends; if it predicts the end mark, only N = 1 is exact.
        """
        exact = self._exact(predict, TRAINED)
        if len(exact) == len(TRAINED):
            failed = sorted(set(LONGER) - set(self._exact(predict, LONGER)))
        else:
            failed = sorted(set(TRAINED) - set(exact))
        first = failed[0] if failed else None
        text = exact_text(exact, TRAINED, "N", first, MAX_TRIED_N)
        return Score(
            value=len(exact) / len(TRAINED),
            chance=1 / len(TRAINED),
            solved=len(exact) == len(TRAINED),
            text=str(text),
            message=text,
            details={"exact": exact, "first_failure": first, "tried": MAX_TRIED_N},
        )

    def _exact(self, predict: Predict, numbers: range) -> list[int]:
        verdicts = self.right(predict, [_problem(n) for n in numbers])
        return [n for n, verdict in zip(numbers, verdicts, strict=True) if verdict.all()]

    def scoring(self) -> Scoring:
        """Return the score as data."""
        return Scoring(
            rule="argmax",
            share_of="strings",
            chance=1 / len(TRAINED),
            strings=[self.scored(n, *_problem(n)) for n in TRAINED],
            longer=[self.scored(n, *_problem(n)) for n in LONGER],
            tried=MAX_TRIED_N,
        )

    def training_data(self) -> dict[str, Any]:
        """Return the string of each N; all are equally probable."""
        return strings_as_data(self.evaluation())

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the phase, how many a's so far, and how many b's are owed.

        Each a before the first X makes one b owed, and each b after it pays one, never below 0. So b's before the X and
        a's after it count for nothing in a wrong string, and what is still owed at the end mark stays owed.
        """
        phases = Phases.of(text, "X")
        so_far = np.cumsum(is_symbol(text, "a") & phases.reading)
        return {
            "reading": phases.reading,
            "at_x": phases.at_mark,
            "writing": phases.writing,
            "so_far": so_far,
            "owed": np.maximum(so_far - np.cumsum(is_symbol(text, "b") & phases.writing), 0),
        }

    def examples(self) -> list[str]:
        """Return short and long counts, counts beyond the trained ones, and wrong strings."""
        return [
            "".join(_string(n) for n in (3, 1, 7, 10)),
            "".join(_string(n) for n in (10, 12, 14, 20)),
            "aaaaXbb\naaaaXbbbbbbb\naaaaaaaa\n",
        ]


def _problem(n: int) -> tuple[str, str]:
    return "a" * n + "X", "b" * n + END


def _string(n: int) -> str:
    return "".join(_problem(n))
