"""The score of the task tagging: accuracy, the F1 of each label, and the accuracy of simple baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from gatescope.messages import Message
from gatescope.tasks.base.task import Score
from gatescope.tasks.measures.measures import Confusion, confusion

MAX_CONFUSIONS = 10  # pairs of labels in the details of a score


def score_labels(
    predicted: Int[np.ndarray, " T"],
    expected: Int[np.ndarray, " T"],
    names: Sequence[str],
    most_frequent: int,
    baseline_labels: Int[np.ndarray, " T"],
    unknown: Bool[np.ndarray, " T"] | None,
) -> Score:
    """Score the predicted labels of the test part.

    Args:
        predicted: (T,) the predicted labels.
        expected: (T,) the true labels.
        names: the names of the labels.
        most_frequent: the most frequent label of the training part.
        baseline_labels: (T,) the labels that the baseline predicts.
        unknown: (T,) whether each token is unknown; None: the steps are frames.
    """
    result = confusion(predicted, expected, len(names))
    chance, baseline = float((expected == most_frequent).mean()), float((expected == baseline_labels).mean())
    unit = "frames" if unknown is None else "tokens"
    details: dict[str, Any] = {
        unit: len(expected),
        "macro_f1": result.macro_f1,
        "baseline": baseline,
        "labels": _measures_by_label(result, names),
        "confused": _most_frequent_confusions(result, names),
    }
    values: dict[str, Any] = {"share": _percent(result.accuracy), "count": len(expected)}
    values |= {"baseline": _percent(baseline), "label": names[most_frequent], "chance": _percent(chance)}
    right = None
    if unknown is not None:
        right = float((predicted == expected)[unknown].mean()) if unknown.any() else None
        details["unknown"] = {"tokens": int(unknown.sum()), "accuracy": right}
    if unknown is None:
        text = Message("SCORE_FRAMES", **values)
    elif right is None:
        text = Message("SCORE_TOKENS", **values)
    else:
        text = Message("SCORE_TOKENS_UNKNOWN", right=_percent(right), unknown=int(unknown.sum()), **values)
    return Score(value=result.accuracy, chance=chance, solved=None, text=str(text), details=details, message=text)


def _measures_by_label(result: Confusion, names: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    """Return the measures of each label; None for an undefined one."""
    measures = {"f1": result.f1, "precision": result.precision, "recall": result.recall}
    return {
        name: {
            **{key: None if math.isnan(values[k]) else float(values[k]) for key, values in measures.items()},
            "support": int(result.support[k]),
        }
        for k, name in enumerate(names)
    }


def _most_frequent_confusions(result: Confusion, names: Sequence[str]) -> list[list[Any]]:
    """Return the most frequent confusions: [label, prediction, count]."""
    wrong = result.counts * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_CONFUSIONS]
    pairs = [(*divmod(int(k), len(names)), int(wrong.flat[k])) for k in order]
    return [[names[expected], names[predicted], count] for expected, predicted, count in pairs if count]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
