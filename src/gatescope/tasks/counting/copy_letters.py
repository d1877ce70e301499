"""The task copy: repeat three letters.

A short form of the copy task of Graves, Wayne and Danihelka, "Neural Turing machines", arXiv:1410.5401 (2014),
section 4.1.
"""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import numpy as np

from gatescope.messages import Message
from gatescope.tasks.base.scoring import ScoredString, Scoring, strings_as_data
from gatescope.tasks.base.strings import END, Phases, StringTask, is_symbol, recommended
from gatescope.tasks.base.task import Predict, Quantity, Recommended, Score

LETTERS = "abc"
LENGTH = 3
OTHER_LENGTHS = (1, 2, 4, 5)


class Copy(StringTask):
    """Three letters of a, b, c, then X, the same three letters and the end mark: 27 strings in all."""

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "Copy"
    question: ClassVar[str] = (
        "Three letters, an X, and the network must write the same three letters again: "
        "which neurons remember which letter stood in which place?"
    )
    alphabet = LETTERS + "X"
    settings: ClassVar[Recommended] = recommended(20, 20)
    remembered: ClassVar[tuple[str, ...]] = ("next_a", "next_b", "next_c")
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading the word, before the X",
        "at_x": "at the X",
        "writing": "writing the word, after the X",
        "position": "symbols read before the X, or written since, so far",
        **{f"next_{letter}": f"{letter} is to be written next" for letter in LETTERS},
        "next_end": "the end mark is to be written next",
        **{
            f"letter{place}_{letter}": f"letter {place} of the word is {letter}"
            for place in range(LENGTH)
            for letter in LETTERS
        },
    }

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Draw `count` of the 27 strings."""
        strings = self.evaluation()
        return [strings[k] for k in random.integers(0, len(strings), count).tolist()]

    def evaluation(self) -> list[str]:
        """Return all 27 strings."""
        return [_string(word) for word in _words(LENGTH)]

    def score(self, predict: Predict) -> Score:
        """Return the share of the 27 words that greedy completion copies exactly.

        Chance is one word: a guess that knows only the present symbol always writes the same word, at best one of three
        different letters. All 27 words are trained on. Words of other lengths, which are never trained on, show whether
        the network learned to copy or only learned these words. They are tried once all 27 are right.
        """
        words = _words(LENGTH)
        right = self._right(predict, LENGTH)
        solved = len(right) == len(words)
        text = Message("SCORE_COPY_SOME", right=len(right), words=len(words))
        shares = None
        if solved:
            others = {length: len(self._right(predict, length)) for length in OTHER_LENGTHS}
            shares = {str(length): count / len(_words(length)) for length, count in others.items()}
            listed = tuple(
                Message("SCORE_COPY_OF_LENGTH", right=count, words=len(_words(length)), length=length)
                for length, count in others.items()
            )
            text = Message("SCORE_COPY_ALL", words=len(words), others=listed)
        return Score(
            value=len(right) / len(words),
            chance=1 / len(words),
            solved=solved,
            text=str(text),
            message=text,
            details={"wrong": sorted(set(words) - set(right)), "other_lengths": shares},
        )

    def _right(self, predict: Predict, length: int) -> list[str]:
        words = _words(length)
        verdicts = self.right(predict, [_problem(word) for word in words])
        return [word for word, verdict in zip(words, verdicts, strict=True) if verdict.all()]

    def scoring(self) -> Scoring:
        """Return the score as data: words of other lengths have a share for each length."""
        return Scoring(
            rule="argmax",
            share_of="strings",
            chance=1 / len(_words(LENGTH)),
            strings=self._scored(LENGTH),
            longer=[string for length in OTHER_LENGTHS for string in self._scored(length)],
            tried=None,
        )

    def _scored(self, length: int) -> list[ScoredString]:
        return [self.scored(length, *_problem(word)) for word in _words(length)]

    def training_data(self) -> dict[str, Any]:
        """Return all 27 strings; all are equally probable."""
        return strings_as_data(self.evaluation())

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the phase, the position in the word, the next symbol to write, and each letter of the word once read.

        The word is everything before the first X. The next symbol to write is the letter at the present position,
        whatever was written before, and the end mark after the last letter. There is none before the X, or from the end
        mark on.
        """
        phases = Phases.of(text, "X")
        word = text[: int(phases.reading.sum())]
        answering = phases.at_mark | phases.writing
        position = np.cumsum(np.where(answering, phases.writing, phases.reading))
        position -= np.where(answering, len(word), 0)
        step = np.arange(len(text))
        quantities: dict[str, Quantity] = {
            "reading": phases.reading,
            "at_x": phases.at_mark,
            "writing": phases.writing,
            "position": np.where(answering | phases.reading, position, 0),
        }
        for letter in LETTERS:
            in_word = np.append(is_symbol(word, letter), False)
            quantities[f"next_{letter}"] = answering & in_word[np.clip(position, 0, len(word))]
        quantities["next_end"] = answering & (position >= len(word))
        for place in range(LENGTH):
            for letter in LETTERS:
                quantities[f"letter{place}_{letter}"] = (step >= place) & (word[place : place + 1] == letter)
        return quantities

    def examples(self) -> list[str]:
        """Return three words; words that differ in one letter; words of other lengths."""
        return [
            "".join(map(_string, ("abc", "cab", "bba"))),
            "".join(map(_string, ("aaa", "baa", "aba", "aab"))),
            "".join(map(_string, ("ab", "abca", "ccccc"))),
        ]


def _words(length: int) -> list[str]:
    return ["".join(letters) for letters in product(LETTERS, repeat=length)]


def _problem(word: str) -> tuple[str, str]:
    return word + "X", word + END


def _string(word: str) -> str:
    return "".join(_problem(word))
