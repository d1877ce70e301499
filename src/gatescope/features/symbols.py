"""Features that mean something in a text of few symbols, such as the strings of a memory task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatescope.features.feature import Feature

OF_WRITING = (
    *(f"character.{name}" for name in ("letter", "upper", "lower", "vowel", "consonant", "ideograph", "digit")),
    *(f"character.{name}" for name in ("whitespace", "punctuation", "symbol")),
    *(f"position.{name}" for name in ("in_line_text", "in_word", "word_length", "in_sentence", "remaining_in_word")),
)
"""Features of letters, words and sentences. In a text of few symbols they are others under a misleading name."""


def of_symbols(features: Sequence[Feature]) -> list[Feature]:
    """Return the features without those that are misleading in a text of few symbols; all, if it has many.

    A text has few symbols if it has features of the family "counts". Letters, words and sentences are left out, and
    rows and differences of characters that never exceed 1: "X's in a row" where no X follows an X.
    """
    if not any(feature.name.startswith("counts.") for feature in features):
        return list(features)
    return [feature for feature in features if feature.name not in OF_WRITING and not _is_trivial_count(feature)]


def _is_trivial_count(feature: Feature) -> bool:
    composed = feature.name.startswith("counts.") and (feature.name.endswith("_run") or "_minus_" in feature.name)
    return composed and bool(np.nanmax(feature.values, initial=0) <= 1)
