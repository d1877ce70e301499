"""Numbers: each number of a step, its change, and its turning points. One value for each step."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import family_features
from gatescope.vocabulary import Vocabulary

MAX_NUMBERS = 32  # of a step; only the first of a wider vector have features


def family(vocabulary: Vocabulary) -> Family:
    """Return the family of the numbers of a step, with the names that the vocabulary has for them."""
    names = _names(vocabulary.symbols[:MAX_NUMBERS])

    def annotate(text: str) -> Iterator[Feature]:
        values = vocabulary.encode(text).astype(np.float64)
        yield from family_features("numbers", {"step": ("steps since the start", np.arange(len(values)))})
        for k, name in enumerate(names):
            yield from _features_of(name, vocabulary.symbols[k], values[:, k])

    return Family("numbers", "each number, its change, where it turned", annotate, per="step")


def _names(symbols: tuple[str, ...]) -> list[str]:
    """Return distinct names of features for the symbols, safe in tables and addresses."""
    names: list[str] = []
    for k, symbol in enumerate(symbols):
        name = re.sub(r"[^a-z0-9]+", "_", symbol.lower(), flags=re.ASCII).strip("_")
        names.append(f"number_{k}" if not name or name in names or name == "step" else name)
    return names


def _features_of(name: str, title: str, values: NDArray[np.float64]) -> list[Feature]:
    """Return the features of one number, (T,)."""
    count = len(values)
    change = np.full(count, np.nan)
    change[1:] = np.diff(values)
    mean = np.cumsum(values) / np.arange(1, count + 1)
    # A turning point is known one step later: the number before is larger (or smaller) than both neighbours.
    peak, trough = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    peak[2:] = (change[1:-1] > 0) & (change[2:] < 0)
    trough[2:] = (change[1:-1] < 0) & (change[2:] > 0)
    return family_features(
        "numbers",
        {
            name: (title, values),
            f"{name}.change": (f"{title}: its change since the step before", change),
            f"{name}.rising": (f"{title} has risen", change > 0),
            f"{name}.high": (f"{title} is above its mean so far", values > mean),
            f"{name}.peak": (f"{title} had a local maximum at the step before", peak),
            f"{name}.trough": (f"{title} had a local minimum at the step before", trough),
        },
    )
