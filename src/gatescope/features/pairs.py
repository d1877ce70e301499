"""Pairs of binary features, and lookup of features by name."""

from __future__ import annotations

from collections.abc import Sequence

from gatescope.features.feature import Feature

AND, NOT = " & ", "not "


def both(first: Feature, second: Feature) -> Feature:
    """Return the feature that is on where both binary features are on."""
    name, title = f"{first.name}{AND}{second.name}", f"{first.title}, and {second.title}"
    return Feature(name, title, first.values & second.values)


def without(first: Feature, second: Feature) -> Feature:
    """Return the feature that is on where the first binary feature is on and the second is off."""
    name, title = f"{first.name}{AND}{NOT}{second.name}", f"{first.title}, but not {second.title}"
    return Feature(name, title, first.values & ~second.values)


def features_named(features: Sequence[Feature], names: Sequence[str]) -> list[Feature | None]:
    """Look up features by the names that labels have.

    Args:
        features: the features.
        names: names of features, of one category ("character.is=a"), or of pairs ("a & not b").

    Returns:
        The feature of each name; None if it does not exist.
    """
    parts = {part for name in names for part in (name, *name.replace(NOT, "").split(AND))}
    known = {feature.name: feature for feature in features}
    for feature in features:
        if feature.kind == "category" and any(part.startswith(f"{feature.name}=") for part in parts):
            known |= {binary.name: binary for binary in feature.binaries()}
    return [known.get(name) or _pair(known, name) for name in names]


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
