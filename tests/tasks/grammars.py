"""The formal languages written a second time, by loops and by listing all their strings, to hold the tasks against."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np

from gatescope.tasks.base.task import Predict
from gatescope.vocabulary import Vocabulary

Chances = dict[str, float]
"""Next symbol -> its probability; a symbol that is not there has none."""


def is_blocks(letters: str, string: str) -> bool:
    """Whether a string, without its end mark, is a^n b^n ... with n of 1 or more."""
    n = len(string) // len(letters)
    return n > 0 and string == "".join(letter * n for letter in letters)


def is_dyck(string: str) -> bool:
    """Whether all brackets of a string close as they were opened, by a stack."""
    stack: list[str] = []
    for symbol in string:
        if symbol in "([":
            stack.append(symbol)
        elif not stack or stack.pop() + symbol not in ("()", "[]"):
            return False
    return not stack and string != ""


def is_even(string: str) -> bool:
    """Whether a string has an even number of ones."""
    return string != "" and sum(symbol == "1" for symbol in string) % 2 == 0


def blocks_after(letters: str, stop: float) -> Callable[[str], Chances]:
    """What follows a beginning of a^n b^n ... when n is geometric and has no limit."""

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
    """The brackets that are open after a beginning, outermost first."""
    if not read:
        return ""
    before = still_open(read[:-1])
    return before + read[-1] if read[-1] in "([" else before[:-1]


def dyck_after(kinds: str, opens: float) -> Callable[[str], Chances]:
    """What follows a beginning of brackets without a limit to the length."""

    def after(read: str) -> Chances:
        stack = still_open(read)
        chances = {kind: opens / (len(kinds) // 2) for kind in kinds[::2]}
        closing = {"(": ")", "[": "]"}[stack[-1]] if stack else "\n"
        return chances | {closing: 1 - opens}

    return after


def parity_after(stop: float) -> Callable[[str], Chances]:
    """What follows a beginning of digits without a limit to the length."""

    def after(read: str) -> Chances:
        if read.count("1") % 2:
            return {"0": 0.5, "1": 0.5}
        return {"0": (1 - stop) / 2, "1": (1 - stop) / 2, "\n": stop}

    return after


def listed(
    symbols: str, longest: int, belongs: Callable[[str], bool], after: Callable[[str], Chances], first: Chances
) -> Chances:
    """All strings up to a length with their probabilities when longer ones are drawn again: string -> probability.

    Arguments: `first` are the probabilities of the first symbol where nothing was read.
    """
    found = {}
    for length in range(1, longest + 1):
        for letters in product(symbols, repeat=length):
            string = "".join(letters)
            if belongs(string):
                closed = string + "\n"
                steps = [first[closed[0]], *(after(closed[:k])[closed[k]] for k in range(1, len(closed)))]
                found[closed] = math.prod(steps)
    total = sum(found.values())
    return {string: chance / total for string, chance in found.items()}


def following(strings: Chances, read: str) -> Chances:
    """The probabilities of the next symbol, by adding up all strings that begin so; empty if none does."""
    sums: Chances = {}
    for string, chance in strings.items():
        if string.startswith(read) and len(string) > len(read):
            sums[string[len(read)]] = sums.get(string[len(read)], 0.0) + chance
    total = sum(sums.values())
    return {symbol: chance / total for symbol, chance in sums.items()}


def entropy_per_prediction(strings: Chances) -> float:
    """The entropy of all but the first symbol over the mean number of symbols after it, in nats."""
    whole = -sum(chance * math.log(chance) for chance in strings.values())
    first = following(strings, "")
    begin = -sum(chance * math.log(chance) for chance in first.values())
    return (whole - begin) / sum(chance * (len(string) - 1) for string, chance in strings.items())


def predictor(vocabulary: Vocabulary, after: Callable[[str], Chances]) -> Predict:
    """Log-probabilities of what a function says of every beginning."""

    def rows(ids: np.ndarray) -> Iterator[list[float]]:
        text = "".join(vocabulary.symbols[k] for k in ids)
        for step in range(len(ids)):
            chances = after(text[: step + 1])
            yield [math.log(chances[s]) if chances.get(s) else -math.inf for s in vocabulary.symbols]

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.array(list(rows(ids))).reshape(len(ids), vocabulary.size) for ids in sequences]

    return predict
