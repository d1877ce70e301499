"""How good labels of steps are, as a score: accuracy, the F1 of each label, and what simple guesses reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from gatescope.tasks.base.task import Score
from gatescope.tasks.measures.measures import Confusion, confusion

CONFUSED = 10  # pairs of labels that a score lists


def judged_labels(
    said: Int[np.ndarray, " T"],
    expected: Int[np.ndarray, " T"],
    names: Sequence[str],
    usual: int,
    guessed: Int[np.ndarray, " T"],
    unknown: Bool[np.ndarray, " T"] | None,
) -> Score:
    """The score of the labels of a test part.

    Arguments:
        said, expected: numbers of the labels.
        names: of the labels.
        usual: the label that is most frequent in the training part.
        guessed: what the baseline says.
        unknown: of tokens, which ones are no symbols; None: these are frames.
    """
    found = confusion(said, expected, len(names))
    chance, simple = float((expected == usual).mean()), float((expected == guessed).mean())
    thing = "frames" if unknown is None else "tokens"
    details: dict[str, Any] = {
        thing: len(expected),
        "macro_f1": found.macro_f1,
        "baseline": simple,
        "labels": _per_label(found, names),
        "confused": _confused(found, names),
    }
    text = f"{_share(found.accuracy)} of {len(expected):,} {thing} of the test part are labelled right"
    if unknown is not None:
        right = float((said == expected)[unknown].mean()) if unknown.any() else None
        details["unknown"] = {"tokens": int(unknown.sum()), "accuracy": right}
        text += "" if right is None else f" ({_share(right)} of the {int(unknown.sum()):,} unknown ones)"
    guess = (
        "linear discriminants of each frame alone reach"
        if unknown is None
        else "the most frequent label of each token reaches"
    )
    text += f"; {guess} {_share(simple)}, {names[usual]} everywhere {_share(chance)}"
    return Score(value=found.accuracy, chance=chance, solved=None, text=text, details=details)


def _per_label(found: Confusion, names: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    """Return the measures of each label; None where one is not defined."""
    measures = {"f1": found.f1, "precision": found.precision, "recall": found.recall}
    return {
        name: {
            **{key: None if math.isnan(values[k]) else float(values[k]) for key, values in measures.items()},
            "support": int(found.support[k]),
        }
        for k, name in enumerate(names)
    }


def _confused(found: Confusion, names: Sequence[str]) -> list[list[Any]]:
    """Return the most frequent confusions: [label, prediction, count]."""
    wrong = found.counts * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSED]
    pairs = [(*divmod(int(k), len(names)), int(wrong.flat[k])) for k in order]
    return [[names[expected], names[said], count] for expected, said, count in pairs if count]


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
