"""The task selective_counter: as many b's as there were a's, whatever else stood between them."""

from __future__ import annotations

import zlib
from functools import cache
from typing import ClassVar

import numpy as np

from gatescope.tasks.base.strings import END, Phases, StringTask, is_symbol, recommended
from gatescope.tasks.base.task import EVALUATION, Predict, Quantity, Recommended, Score, generator

TRAINED = range(1, 11)
MOST_X = 10
TRIED = 100  # the largest N that is looked at beyond the trained ones
PER_NUMBER = 20  # held-out strings of each trained N that are scored; N = 1 has only a dozen
PER_LONG_NUMBER = 3


class SelectiveCounter(StringTask):
    """N a's with 0 to 10 X's anywhere among them, Y, N b's and the end mark; N from 1 to 10.

    An article that trained this network found that the input gate of its counting neuron shuts at an X. In the LSTMs
    trained here (seeds 0 to 4) it is mostly the candidate: given the drive that it gets at an a, an X counts 0.41 to
    0.68 of an a through the candidate, 0.05 to 0.18 through the input gate (docs/neurons.md).

    One pattern of a's and X's in five, chosen by a hash of the pattern itself, is held out: it is never trained on
    under any seed, and the score is taken on nothing else.
    """

    name: ClassVar[str] = "selective_counter"
    title: ClassVar[str] = "Selective counter"
    question: ClassVar[str] = (
        "X's are scattered among the a's, and after the Y the network must write as many b's as there were a's: "
        "what keeps an X from being counted, a gate that closes or a candidate near 0?"
    )
    alphabet: ClassVar[str] = "aXYb"
    settings: ClassVar[Recommended] = recommended(20)
    quantity_titles: ClassVar[dict[str, str]] = {
        "reading": "reading a's and X's, before the Y",
        "at_y": "at the Y",
        "writing": "writing the b's, after the Y",
        "is_x": "at an X",
        "so_far": "a's before the Y, so far",
        "x_so_far": "X's before the Y, so far",
        "owed": "b's still to be written, after this symbol",
    }

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """`count` strings that are not held out, N and the number of X's drawn evenly, their order at random."""
        strings: list[str] = []
        while len(strings) < count:
            n = random.integers(TRAINED[0], TRAINED[-1] + 1, count)
            patterns = _patterns(random, n)
            strings += [_string(pattern) for pattern in patterns if not held_out(pattern)]
        return strings[:count]

    def evaluation(self) -> list[str]:
        """Held-out strings, up to 20 different ones of each N from 1 to 10."""
        return [_string(pattern) for n in TRAINED for pattern in _held_out_patterns(n, PER_NUMBER)]

    def score(self, predict: Predict) -> Score:
        """The share of symbols after the Y that are foreseen, in held-out strings.

        Chance: a guess that knows only the present symbol is right after every Y (a b always follows) and after every
        b but the last, where it also chooses b.
        """
        share, right, whole = self._accuracy(predict, TRAINED, PER_NUMBER)
        asked = [len(_answer(p)) for n in TRAINED for p in _held_out_patterns(n, PER_NUMBER)]
        failed = [n for n in TRAINED if n not in right]
        if not failed:
            beyond = range(TRAINED[-1] + 1, TRIED + 1)
            exact_beyond = self._accuracy(predict, beyond, PER_LONG_NUMBER)[1]
            failed = [n for n in beyond if n not in exact_beyond]
        first = failed[0] if failed else None
        strings = len(asked)
        if len(right) < len(TRAINED):
            text = f"{share:.1%} of the symbols after the Y are right, in strings it was never trained on"
        elif first is None:
            text = f"every symbol after the Y is right, in strings it was never trained on, up to N = {TRIED}"
        else:
            text = (
                f"every symbol after the Y is right, in strings it was never trained on; it first fails at N = {first}"
            )
        return Score(
            value=share,
            chance=sum(length - 1 for length in asked) / sum(asked),
            solved=len(right) == len(TRAINED),
            text=text,
            details={
                "exact": right,
                "first_failure": first,
                "tried": TRIED,
                "strings": strings,
                "exact_strings": whole,
            },
        )

    def _accuracy(self, predict: Predict, numbers: range, count: int) -> tuple[float, list[int], int]:
        """The share of right symbols, the N of which all strings are exact, and the number of exact strings."""
        patterns = [pattern for n in numbers for pattern in _held_out_patterns(n, count)]
        verdicts = self.right(predict, [(pattern + "Y", _answer(pattern)) for pattern in patterns])
        wrong = {p.count("a") for p, verdict in zip(patterns, verdicts, strict=True) if not verdict.all()}
        share = float(np.concatenate(verdicts).mean())
        return share, [n for n in numbers if n not in wrong], sum(bool(verdict.all()) for verdict in verdicts)

    def quantities(self, text: str) -> dict[str, Quantity]:
        """The phase, how many a's and X's so far, how many b's are owed.

        Each a before the first Y makes one b owed, and each b after it pays one, never below 0. So in a wrong string
        b's before the Y and a's after it count for nothing, and what is still owed at the end mark stays owed.
        """
        phases = Phases.of(text, "Y")
        so_far = np.cumsum(is_symbol(text, "a") & phases.reading)
        return {
            "reading": phases.reading,
            "at_y": phases.at_mark,
            "writing": phases.writing,
            "is_x": is_symbol(text, "X"),
            "so_far": so_far,
            "x_so_far": np.cumsum(is_symbol(text, "X") & phases.reading),
            "owed": np.maximum(so_far - np.cumsum(is_symbol(text, "b") & phases.writing), 0),
        }

    def examples(self) -> list[str]:
        """X's between, before and after the a's; only X's but one; the same with and without; beyond the trained."""
        return [
            "".join(map(_string, ("aXaXXaa", "XXXaa", "aaaaaaXXX"))),
            "".join(map(_string, ("aaaaa", "XaXaXaXaXaX", "XXXXXXXXXa"))),
            "".join(map(_string, ("aaaaaaaaaaaaa", "aaaXXXaaaXXXaaaXXXaaaa"))),
        ]


def held_out(pattern: str) -> bool:
    """Whether strings with this pattern of a's and X's are kept from training. CRC-32 never changes, unlike hash()."""
    return zlib.crc32(pattern.encode()) % 5 == 0


def _patterns(random: np.random.Generator, n: np.ndarray) -> list[str]:
    """One pattern for each number of a's, with 0 to 10 X's."""
    length = n + random.integers(0, MOST_X + 1, len(n))
    order = random.random((len(n), int(length.max())))
    patterns = []
    for row, a, both in zip(order, n.tolist(), length.tolist(), strict=True):
        # the first `a` of the shuffled places hold an a
        pattern = np.full(both, ord("X"), dtype=np.uint8)
        pattern[row[:both].argsort()[:a]] = ord("a")
        patterns.append(pattern.tobytes().decode())
    return patterns


@cache
def _held_out_patterns(n: int, count: int) -> tuple[str, ...]:
    """Up to `count` different held-out patterns with `n` a's; a small N has fewer."""
    random = generator(EVALUATION, n)
    found = dict.fromkeys(pattern for pattern in _patterns(random, np.full(20 * count, n)) if held_out(pattern))
    return tuple(found)[:count]


def _answer(pattern: str) -> str:
    return "b" * pattern.count("a") + END


def _string(pattern: str) -> str:
    return pattern + "Y" + _answer(pattern)
