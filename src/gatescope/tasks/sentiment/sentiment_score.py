"""The score of the task sentiment: accuracy, the F1 of each class, and the texts that are classified wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gatescope.messages import Message
from gatescope.tasks.base.task import Score
from gatescope.tasks.measures.measures import confusion
from gatescope.tasks.sentiment.sentiment_parts import Parts

MAX_WRONG_TEXTS = 20  # in the details of a score


def score_classes(
    log_probs: Float[np.ndarray, "N K"],
    parts: Parts,
    baseline_classes: Int[np.ndarray, " N"],
    *,
    can_be_solved: bool,
) -> Score:
    """Score the predicted classes of the test part.

    Args:
        log_probs: the log-probabilities of the K classes for each of the N test texts.
        parts: the texts. Chance always predicts the most frequent class of the training part.
        baseline_classes: the classes that the baseline predicts.
        can_be_solved: whether a perfect result counts as solved.
    """
    predicted, expected, count = log_probs.argmax(axis=1), parts.test.labels, len(parts.classes)
    result = confusion(predicted, expected, count)
    baseline = confusion(baseline_classes, expected, count)
    most_frequent = int(np.bincount(parts.training.labels, minlength=count).argmax())
    solved = bool((predicted == expected).all())
    share = Message("SCORE_ALL") if solved else f"{result.accuracy:.1%}"
    measures = {"macro_f1": result.macro_f1, "baseline": baseline.accuracy}
    text = Message("SCORE_SENTIMENT", share=share, texts=len(expected), **measures)
    return Score(
        value=result.accuracy,
        chance=float((expected == most_frequent).mean()),
        solved=solved if can_be_solved else None,
        text=str(text),
        message=text,
        details={
            "texts": len(expected),
            "classes": list(parts.classes),
            "confusion": result.counts.tolist(),
            "f1": _to_json(result.f1),
            "precision": _to_json(result.precision),
            "recall": _to_json(result.recall),
            "macro_f1": result.macro_f1,
            "baseline": baseline.accuracy,
            "baseline_macro_f1": baseline.macro_f1,
            "wrong": _wrong_texts(log_probs, parts),
        },
    )


def _wrong_texts(log_probs: Float[np.ndarray, "N K"], parts: Parts) -> list[dict[str, Any]]:
    """Return the test texts that are classified wrong, those with the highest probability first."""
    test, predicted = parts.test, log_probs.argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.labels)
    surest = wrong[np.argsort(-log_probs[wrong, predicted[wrong]], kind="stable")][:MAX_WRONG_TEXTS]
    return [
        {
            "text": test.texts[k],
            "expected": parts.classes[test.labels[k]],
            "predicted": parts.classes[predicted[k]],
            "probability": float(np.exp(log_probs[k, predicted[k]])),
        }
        for k in surest.tolist()
    ]


def _to_json(values: Float[np.ndarray, " K"]) -> list[float | None]:
    """Return the numbers with None for NaN, which JSON does not have."""
    return [None if np.isnan(value) else float(value) for value in values.tolist()]
