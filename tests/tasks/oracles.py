"""Predictors that know the answer, or know how to fail, written from the rules of the tasks and not from their code."""

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from gatescope.tasks import Task
from gatescope.tasks.base.task import Predict

Rule = Callable[[str], str | None]
"""What was read so far -> the next symbol, or None where any may come."""


def counter(read: str) -> str | None:
    """The next symbol of a^N X b^N."""
    found = re.fullmatch(r"(a+)X(b*)", read)
    return None if found is None else "b" if len(found[2]) < len(found[1]) else "\n"


def selective_counter(read: str) -> str | None:
    """The next symbol of a's and X's, Y, and a b for each a."""
    before, mark, after = read.partition("Y")
    return None if not mark else "b" if len(after) < before.count("a") else "\n"


def state_memoriser(read: str) -> str | None:
    """The next symbol of A or B, x's, Y, a or b."""
    return None if "Y" not in read else {"A": "a", "B": "b"}[read[0]] if read.endswith("Y") else "\n"


def copy(read: str) -> str | None:
    """The next symbol of a word, X, and the word again."""
    word, mark, again = read.partition("X")
    return None if not mark else (word + "\n")[len(again)]


RULES: dict[str, Rule] = {
    "counter": counter,
    "selective_counter": selective_counter,
    "state_memoriser": state_memoriser,
    "copy": copy,
}


def predictor(task: Task, rule: Rule) -> Predict:
    """Log-probabilities of a rule: nearly all on its symbol, even where it has none."""
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
    """Every symbol as likely as any other."""
    size = task.vocabulary.size
    return lambda sequences: [np.full((len(ids), size), -math.log(size)) for ids in sequences]


def complete(task: Task, predict: Predict, prefix: str, most: int) -> str:
    """Greedy completion, one symbol at a time: what the network writes after the prefix."""
    written = ""
    while len(written) < most and not written.endswith("\n"):
        ids = np.array([task.vocabulary.symbols.index(s) for s in prefix + written], dtype=np.int32)
        written += task.vocabulary.symbols[int(predict([ids])[0][-1].argmax())]
    return written
