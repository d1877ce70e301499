"""The settings of the task sentiment: the recommended ones, and their ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gatescope.tasks.base.task import Recommended, TaskError
from gatescope.vocabulary import Vocabulary

MAX_ONE_HOT_SYMBOLS = 100  # with more symbols, an embedding is recommended
MAX_SMALL_TEXTS = 2_000  # with more training texts, a larger network is recommended
WORD_DROPOUT = 0.2  # the default if the words have an embedding

TOY_SETTINGS = Recommended(
    layers=(32,),
    steps=2000,
    batch=32,
    learning_rate=0.01,
    final_learning_rate=0.1,
    score_every=100,
    until_solved=True,
)


def recommended_settings(toy: bool, vocabulary: Vocabulary, texts: int, batch: int | None) -> Recommended:
    """Return the recommended settings for a number of training texts. Settings for many texts were chosen on SST-2."""
    recommended = TOY_SETTINGS
    if not toy:
        one_hot = vocabulary.size <= MAX_ONE_HOT_SYMBOLS
        small = texts <= MAX_SMALL_TEXTS
        rows = batch or (16 if small else 64)
        recommended = Recommended(
            layers=(32,) if small else (128,),
            steps=int(np.clip((20 if small else 4) * texts / rows, 1000, 20_000)),
            batch=rows,
            learning_rate=0.01 if small else 0.002,
            final_learning_rate=0.0,
            embedding=None if one_hot else 32 if vocabulary.unit == "character" else 128,
            dropout=0.0 if one_hot else 0.5,
            validate_every=500,
        )
    return recommended if batch is None else replace(recommended, batch=batch)


def check_settings(
    unit: str, least: int, most: int, word_dropout: float | None, longest: int, batch: int | None
) -> None:
    """Check the ranges of the settings of `Sentiment`.

    Raises:
        TaskError: a setting is out of its range.
    """
    if unit not in ("word", "token", "character"):
        raise TaskError("SENTIMENT_UNIT_UNKNOWN", unit=unit)
    for name, value in (("least", least), ("most", most), ("longest", longest), ("batch", batch)):
        if value is not None and value < 1:
            raise TaskError("SENTIMENT_SETTING_RANGE", name=name, value=value)
    if word_dropout is not None and not 0 <= word_dropout < 1:
        raise TaskError("SENTIMENT_WORD_DROPOUT_RANGE", word_dropout=word_dropout)
