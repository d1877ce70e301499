"""The loss of a text network as data: the text, and the stretches that another program must read from the beginning."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatescope.tasks.base.task import TaskError
from gatescope.tasks.measures.text_score import (
    MAX_TEST_SYMBOLS,
    MAX_VALIDATION_SYMBOLS,
    TYPICAL_SHARE,
    WARM_UP_SYMBOLS,
    Symbols,
    stretches,
    unigram_losses,
)
from gatescope.vocabulary import Vocabulary


def text_as_data(ids: Symbols, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return a part of a corpus as data.

    Raises:
        TaskError: the ids are not those of the text that they make, because U+FFFD, which stands for unknown
            characters, is itself a symbol.
    """
    text = vocabulary.decode(ids)
    if not np.array_equal(vocabulary.encode(text), ids):
        raise TaskError("TEXT_DATA_REPLACEMENT")
    return {"text": text}


def validation_as_data(validation: Symbols) -> dict[str, Any]:
    """Return the rule of `validate_text`."""
    return {**_rule(validation, MAX_VALIDATION_SYMBOLS), "typical_share": TYPICAL_SHARE}


def score_as_data(training: Symbols, test: Symbols, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the rule of `score_text`, and its level of chance."""
    ids = test[:MAX_TEST_SYMBOLS]
    chance = unigram_losses(training, ids, stretches(len(ids)), vocabulary.size).mean
    return {**_rule(ids), "chance": chance}


def _rule(ids: Symbols, most: int | None = None) -> dict[str, Any]:
    """Return the rule of `stretch_losses`.

    For each stretch: the step at which reading starts, the first symbol that counts, and the first symbol after the
    stretch. The first symbol of the text is no target.
    """
    places = [[max(0, first - WARM_UP_SYMBOLS), max(1, first), last] for first, last in stretches(len(ids), most)]
    return {"rule": "nats", "stretches": places}
