"""Independent implementations of the formal languages, by loops and by lists of all strings, for the tests."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np

from gatescope.tasks.base.task import Predict
from gatescope.vocabulary import Vocabulary

Chances = dict[str, float]
"""Next symbol, or string -> its probability; a missing key has probability 0."""


def is_blocks(letters: str, string: str) -> bool:
    """Return whether a string, without its end mark, is a^n b^n ... with n of 1 or more."""
    n = len(string) // len(letters)
    return n > 0 and string == "".join(letter * n for letter in letters)


def is_dyck(string: str) -> bool:
    """Return whether all brackets of a string close in the reverse order, by a stack."""
    stack: list[str] = []
    for symbol in string:
        if symbol in "([":
            stack.append(symbol)
        elif not stack or stack.pop() + symbol not in ("()", "[]"):
            return False
    return not stack and string != ""


def is_even(string: str) -> bool:
    """Return whether a string is not empty and has an even number of ones."""
    return string != "" and sum(symbol == "1" for symbol in string) % 2 == 0


def blocks_after(letters: str, stop: float) -> Callable[[str], Chances]:
    """Return the next-symbol probabilities of a^n b^n ... when n is geometric without a limit."""

    def after(read: str) -> Chances:
        n = 0
        while n < len(read) and read[n] == letters[0]:
            n += 1
        if n == len(read):
            return {letters[0]: 1 - stop, letters[1]: stop}
        return {"".join(letter * n for letter in letters)[len(read) :][:1] or "\n": 1.0}

    return after


@cache
def still_open(read: str) -> str:
    """Return the brackets that are open after a beginning, outermost first."""
    if not read:
        return ""
    before = still_open(read[:-1])
    return before + read[-1] if read[-1] in "([" else before[:-1]


def dyck_after(kinds: str, opens: float) -> Callable[[str], Chances]:
    """Return the next-symbol probabilities of a Dyck language without a limit on the length."""

    def after(read: str) -> Chances:
        stack = still_open(read)
        chances = {kind: opens / (len(kinds) // 2) for kind in kinds[::2]}
        closing = {"(": ")", "[": "]"}[stack[-1]] if stack else "\n"
        return chances | {closing: 1 - opens}

    return after


def parity_after(stop: float) -> Callable[[str], Chances]:
    """Return the next-symbol probabilities of parity without a limit on the length."""

    def after(read: str) -> Chances:
        if read.count("1") % 2:
            return {"0": 0.5, "1": 0.5}
        return {"0": (1 - stop) / 2, "1": (1 - stop) / 2, "\n": stop}

    return after


def listed(
    symbols: str, longest: int, belongs: Callable[[str], bool], after: Callable[[str], Chances], first: Chances
) -> Chances:
    """Return the probability of every string up to a length when longer strings are drawn again.

    Args:
        symbols: the alphabet.
        longest: the most symbols of a string, its end mark left out.
        belongs: whether a string, without its end mark, is in the language.
        after: the next-symbol probabilities after a beginning.
        first: the probabilities of the first symbol.
    """
    probabilities = {}
    for length in range(1, longest + 1):
        for letters in product(symbols, repeat=length):
            string = "".join(letters)
            if belongs(string):
                closed = string + "\n"
                steps = [first[closed[0]], *(after(closed[:k])[closed[k]] for k in range(1, len(closed)))]
                probabilities[closed] = math.prod(steps)
    total = sum(probabilities.values())
    return {string: chance / total for string, chance in probabilities.items()}


def following(strings: Chances, read: str) -> Chances:
    """Return the next-symbol probabilities by adding up all strings with this beginning; empty if there are none."""
    sums: Chances = {}
    for string, chance in strings.items():
        if string.startswith(read) and len(string) > len(read):
            sums[string[len(read)]] = sums.get(string[len(read)], 0.0) + chance
    total = sum(sums.values())
    return {symbol: chance / total for symbol, chance in sums.items()}


def entropy_per_prediction(strings: Chances) -> float:
    """Return the entropy of all symbols but the first over their mean number, in nats."""
    whole = -sum(chance * math.log(chance) for chance in strings.values())
    first = following(strings, "")
    begin = -sum(chance * math.log(chance) for chance in first.values())
    return (whole - begin) / sum(chance * (len(string) - 1) for string, chance in strings.items())


def predictor(vocabulary: Vocabulary, after: Callable[[str], Chances]) -> Predict:
    """Return a predictor whose log-probabilities come from a function of the beginning."""

    def rows(ids: np.ndarray) -> Iterator[list[float]]:
        text = "".join(vocabulary.symbols[k] for k in ids)
        for step in range(len(ids)):
            chances = after(text[: step + 1])
            yield [math.log(chances[s]) if chances.get(s) else -math.inf for s in vocabulary.symbols]

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.array(list(rows(ids))).reshape(len(ids), vocabulary.size) for ids in sequences]

    return predict
