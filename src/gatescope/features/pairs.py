"""Pairs of binary features, counts above a number, and lookup of features by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatescope.features.feature import Feature

AND, NOT, ABOVE = " & ", "not ", " > "


def both(first: Feature, second: Feature) -> Feature:
    """Return the feature that is on where both binary features are on."""
    name, title = f"{first.name}{AND}{second.name}", f"{first.title}, and {second.title}"
    return Feature(name, title, first.values & second.values)


def without(first: Feature, second: Feature) -> Feature:
    """Return the feature that is on where the first binary feature is on and the second is off."""
    name, title = f"{first.name}{AND}{NOT}{second.name}", f"{first.title}, but not {second.title}"
    return Feature(name, title, first.values & ~second.values)


def above(count: Feature) -> Feature:
    """Return the binary feature that is on where a count is above 0, or above its mean if it never is 0."""
    known = count.values[~np.isnan(count.values)]
    bound = 0.0 if len(known) and known.min() == 0 else float(f"{known.mean() if len(known) else 0.0:.3g}")
    return _above(count, bound)


def _above(count: Feature, bound: float) -> Feature:
    return Feature(f"{count.name}{ABOVE}{bound:g}", f"{count.title}: above {bound:g}", count.values > bound)


def features_named(features: Sequence[Feature], names: Sequence[str]) -> list[Feature | None]:
    """Look up features by the names that labels have.

    Args:
        features: the features.
        names: names of features, of one category ("character.is=a"), of pairs ("a & not b"), or of counts above a
            number ("counts.a > 0").

    Returns:
        The feature of each name; None if it does not exist.
    """
    parts = {part for name in names for part in (name, *name.replace(NOT, "").split(AND))}
    known = {feature.name: feature for feature in features}
    for feature in features:
        if feature.kind == "category" and any(part.startswith(f"{feature.name}=") for part in parts):
            known |= {binary.name: binary for binary in feature.binaries()}
    return [known.get(name) or _pair(known, name) or _count_above(known, name) for name in names]


def binary_features_named(features: Sequence[Feature], names: Sequence[str]) -> list[Feature | None]:
    """Return the binary feature of each name, as `features_named` does; None for other kinds and unknown names."""
    named = features_named(features, names)
    return [feature if feature is not None and feature.kind == "binary" else None for feature in named]


def _pair(known: dict[str, Feature], name: str) -> Feature | None:
    """Return the pair of this name. The name of each of the two may itself contain " & "."""
    parts = name.split(AND)
    for cut in range(1, len(parts)):
        first_name, second_name = AND.join(parts[:cut]), AND.join(parts[cut:])
        first, second = known.get(first_name), known.get(second_name.removeprefix(NOT))
        if first is not None and second is not None and first.kind == second.kind == "binary":
            return without(first, second) if second_name.startswith(NOT) else both(first, second)
    return None


def _count_above(known: dict[str, Feature], name: str) -> Feature | None:
    """Return the feature "count > bound"."""
    first, mark, bound = name.rpartition(ABOVE)
    count = known.get(first)
    if not mark or count is None or count.kind != "count":
        return None
    try:
        return _above(count, float(bound))
    except ValueError:
        return None
