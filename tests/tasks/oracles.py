"""Perfect and uniform predictors of the counting tasks, written from the rules of the tasks and not from their code."""

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from gatescope.tasks import Task
from gatescope.tasks.base.task import Predict

Rule = Callable[[str], str | None]
"""The symbols read so far -> the next symbol; None if it is not certain."""


def counter(read: str) -> str | None:
    """Return the next symbol of a^N X b^N."""
    match = re.fullmatch(r"(a+)X(b*)", read)
    return None if match is None else "b" if len(match[2]) < len(match[1]) else "\n"


def selective_counter(read: str) -> str | None:
    """Return the next symbol of a's and X's, Y, and a b for each a."""
    before, mark, after = read.partition("Y")
    return None if not mark else "b" if len(after) < before.count("a") else "\n"


def state_memoriser(read: str) -> str | None:
    """Return the next symbol of A or B, x's, Y, a or b."""
    return None if "Y" not in read else {"A": "a", "B": "b"}[read[0]] if read.endswith("Y") else "\n"


def copy(read: str) -> str | None:
    """Return the next symbol of a word, X, and the word again."""
    word, mark, again = read.partition("X")
    return None if not mark else (word + "\n")[len(again)]


RULES: dict[str, Rule] = {
    "counter": counter,
    "selective_counter": selective_counter,
    "state_memoriser": state_memoriser,
    "copy": copy,
}


def predictor(task: Task, rule: Rule) -> Predict:
    """Return a predictor that gives nearly all probability to the symbol of a rule, and is uniform if it has none."""
    size, symbols = task.vocabulary.size, task.vocabulary.symbols

    def predict(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        results = []
        for ids in sequences:
            text = "".join(symbols[k] for k in ids)
            rows = np.full((len(ids), size), -math.log(size))
            for step in range(len(ids)):
                symbol = rule(text[: step + 1])
                if symbol is not None:
                    rows[step] = math.log(1e-6 / (size - 1))
                    rows[step, symbols.index(symbol)] = math.log1p(-1e-6)
            results.append(rows)
        return results

    return predict


def uniform(task: Task) -> Predict:
    """Return a predictor to which all symbols are equally likely."""
    size = task.vocabulary.size
    return lambda sequences: [np.full((len(ids), size), -math.log(size)) for ids in sequences]


def complete(task: Task, predict: Predict, prefix: str, max_symbols: int) -> str:
    """Return the greedy completion of a prefix, one symbol at a time, up to `max_symbols` symbols."""
    written = ""
    while len(written) < max_symbols and not written.endswith("\n"):
        ids = np.array([task.vocabulary.symbols.index(s) for s in prefix + written], dtype=np.int32)
        written += task.vocabulary.symbols[int(predict([ids])[0][-1].argmax())]
    return written
