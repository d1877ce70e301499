"""Names of classes that look like one class: 1 and 1.0, Positive and positive, "pos" with and without a space."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from gatescope.errors import setting
from gatescope.tasks.data.tables import shown

LISTED = 5  # groups that a note names


def key_of(name: str) -> float | str:
    """Return what names of one class have in common: the number, or else the name without case and outer form.

    Args:
        name: a label as it is in a file. Full-width letters, invisible characters and white space make no difference.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    plain = " ".join(plain.split()).casefold()
    try:
        number = float(plain) if "_" not in plain else math.nan
    except ValueError:
        number = math.nan
    return number + 0.0 if math.isfinite(number) else plain  # -0.0 and 0.0 are one number


def spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the spelling of each class that occurs most often, by every spelling; of equals the first by code points.

    Args:
        counts: label -> how often it occurs.
    """
    best: dict[float | str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        best.setdefault(key_of(name), name)
    return {name: best[key_of(name)] for name in counts}


def known_spelling(name: str, classes: Iterable[str]) -> str | None:
    """Return the one of the classes that a label is a spelling of; None: it is none of them."""
    wanted = key_of(name)
    return next((each for each in classes if each == name), None) or next(
        (each for each in classes if key_of(each) == wanted), None
    )


def note_of_spellings(counts: Counter[str]) -> list[str]:
    """Return a sentence about names of classes that look like one class; none where there are no such names.

    Args:
        counts: label -> how often it occurs in the training files.
    """
    groups: dict[float | str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        groups.setdefault(key_of(name), []).append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    if not alike:
        return []
    listed = "; ".join(
        " and ".join(f"{shown(name)} ({counts[name]:,} times)" for name in names) for names in alike[:LISTED]
    )
    more = f"; and {len(alike) - LISTED:,} more" if len(alike) > LISTED else ""
    return [f"Labels that look alike are different classes: {listed}{more}. Join them with {setting('merge_labels')}."]
