"""Pairs of binary features, and finding a feature again by the name that a label has."""

from __future__ import annotations

from collections.abc import Sequence

from gatescope.features.feature import Feature

AND, NOT = " & ", "not "


def both(one: Feature, other: Feature) -> Feature:
    """Where both binary features are on."""
    return Feature(f"{one.name}{AND}{other.name}", f"{one.title}, and {other.title}", one.values & other.values)


def without(one: Feature, other: Feature) -> Feature:
    """Where the first binary feature is on and the second is not."""
    name, title = f"{one.name}{AND}{NOT}{other.name}", f"{one.title}, but not {other.title}"
    return Feature(name, title, one.values & ~other.values)


def features_named(features: Sequence[Feature], names: Sequence[str]) -> list[Feature | None]:
    """Features by the names that labels have: a category's, and pairs such as "a & not b"; None for one that is not."""
    wanted = {part for name in names for part in (name, *name.replace(NOT, "").split(AND))}
    known = {one.name: one for one in features}
    for one in features:
        if one.kind == "category" and any(name.startswith(f"{one.name}=") for name in wanted):
            known |= {binary.name: binary for binary in one.binaries()}
    return [known.get(name) or _pair(known, name) for name in names]


def binary_features_named(features: Sequence[Feature], names: Sequence[str]) -> list[Feature | None]:
    """Return the binary feature of each name, as `features_named` does; None for other kinds and unknown names."""
    named = features_named(features, names)
    return [feature if feature is not None and feature.kind == "binary" else None for feature in named]


def _pair(known: dict[str, Feature], name: str) -> Feature | None:
    """The pair of this name; a name may hold an & of its own."""
    parts = name.split(AND)
    for cut in range(1, len(parts)):
        one, second = known.get(AND.join(parts[:cut])), AND.join(parts[cut:])
        other = known.get(second.removeprefix(NOT))
        if one is not None and other is not None and one.kind == other.kind == "binary":
            return without(one, other) if second.startswith(NOT) else both(one, other)
    return None
