"""The classes of features: one annotation of every character of a text, or of every step that a network reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.trace import Trace

Kind = Literal["binary", "count", "category"]


class FeatureError(GatescopeError):
    """An annotation that does not fit its text, or an invalid name."""


@dataclass(frozen=True)
class Feature:
    """One truth value, number or category for every character (or step) of a text.

    Attributes:
        name: the name in tables, on the command line and in addresses: "family.feature".
        title: the meaning in words: "inside double quotes".
        values: (T,). bool for a binary feature; float32 for a count or position, NaN if missing; int16 for a category,
            -1 for none.
        categories: the name of each category.
    """

    name: str
    title: str
    values: NDArray[Any]
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.dtype.kind not in "bfi":
            raise FeatureError("FEATURE_ARRAY", name=self.name, shape=self.values.shape, dtype=self.values.dtype)
        if (self.values.dtype.kind == "i") != bool(self.categories):
            raise FeatureError("FEATURE_CATEGORIES", name=self.name, kind=self.kind, count=len(self.categories))

    @property
    def kind(self) -> Kind:
        """'binary', 'count' or 'category'."""
        return {"b": "binary", "f": "count", "i": "category"}[self.values.dtype.kind]  # type: ignore[return-value]

    def binaries(self) -> list[Feature]:
        """Return one binary feature for each value of a category; for other kinds, the feature itself."""
        if self.kind != "category":
            return [self]
        return [
            Feature(f"{self.name}={category}", f"{self.title}: {category}", self.values == number)
            for number, category in enumerate(self.categories)
        ]


@dataclass(frozen=True)
class Family:
    """A family of features.

    Attributes:
        name: the part of the features' names before the dot, such as "quotes".
        title: the subject of the features, in words.
        annotate: text -> its features; which ones may depend on the text.
        fitted: texts -> the family for these texts, if something must be the same for all of them, such as an alphabet
            or the step of indentation. None: the family does not depend on the texts.
        per: whether the features have a value for each "character", or for each "step" of a network: a word, a vector
            of numbers.
        of_trace: trace -> features that are read from a trace instead of its text; `annotate` then yields none. Their
            values run through the steps of all sequences.
    """

    name: str
    title: str
    annotate: Callable[[str], Iterable[Feature]]
    fitted: Callable[[Sequence[str]], Family] | None = None
    per: Literal["character", "step"] = "character"
    of_trace: Callable[[Trace], Iterable[Feature]] | None = None

    def fit(self, texts: Sequence[str]) -> Family:
        """Return the family for some texts."""
        return self if self.fitted is None else self.fitted(texts)


def fitted_to_texts(of_texts: Callable[[Sequence[str]], Family]) -> Family:
    """Return a family whose features depend on all texts that are annotated together.

    Args:
        of_texts: texts -> the family for these texts.
    """
    family = of_texts([])
    return replace(family, annotate=lambda text: of_texts([text]).annotate(text), fitted=of_texts)


def annotate(texts: Sequence[str], families: Iterable[Family], steps: Sequence[int] | None = None) -> list[Feature]:
    """Compute the features of several texts, each read from its start.

    Args:
        texts: the sequences of a trace, or files.
        families: the families to compute.
        steps: the number of steps of each text; None: the number of characters.

    Returns:
        Features whose values (T,) run through all texts, T characters (or steps) in total. If a text does not have a
        feature that another text has, the feature is false, NaN or without a category in it.

    Raises:
        FeatureError: the values of a feature do not fit its text, or two features have the same name.
    """
    counts = list(map(len, texts)) if steps is None else list(steps)
    sizes = np.cumsum([0, *counts])
    features: dict[str, Feature] = {}
    for family in families:
        fitted = family.fit(texts)
        parts = [_features_by_name(fitted, text, count) for text, count in zip(texts, counts, strict=True)]
        for name in dict.fromkeys(name for part in parts for name in part):
            if name in features:
                raise FeatureError("FEATURE_NAME_TWICE", name=name)
            features[name] = _concatenated([part.get(name) for part in parts], sizes)
    return list(features.values())


def _features_by_name(family: Family, text: str, count: int) -> dict[str, Feature]:
    features = {}
    for feature in family.annotate(text):
        if len(feature.values) != count:
            raise FeatureError(
                "FEATURE_LENGTH", name=feature.name, per=family.per, expected=count, length=len(feature.values)
            )
        if feature.name in features:
            raise FeatureError("FEATURE_NAME_TWICE", name=feature.name)
        features[feature.name] = feature
    return features


def _concatenated(parts: Sequence[Feature | None], sizes: NDArray[np.int64]) -> Feature:
    """Concatenate a feature over all texts; categories get new numbers."""
    present = [part for part in parts if part is not None]
    first = present[0]
    if len(parts) == 1:
        return first
    kinds = {part.kind for part in present}
    if len(kinds) > 1:
        raise FeatureError("FEATURE_KINDS_DIFFER", name=first.name, kinds=", ".join(sorted(kinds)))
    missing = {"binary": False, "count": np.nan, "category": -1}[first.kind]
    values = np.full(sizes[-1], missing, first.values.dtype)
    number: dict[str, int] = {}
    for start, part in zip(sizes[:-1], parts, strict=True):
        if part is None:
            continue
        new = np.array([number.setdefault(name, len(number)) for name in part.categories] + [-1], np.int16)
        # Index -1 (no category) reads the last entry, which is -1 too.
        values[start : start + len(part.values)] = new[part.values] if part.categories else part.values
    return Feature(first.name, first.title, values, tuple(number))


def checked_name(name: str) -> str:
    """Return a name that is safe in tables and addresses.

    Raises:
        FeatureError: the name is not a lower case letter followed by lower case letters, digits and underscores.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name, re.ASCII):
        raise FeatureError("FEATURE_NAME_INVALID", name=name)
    return name


def of_arrays(family: str, arrays: Mapping[str, NDArray[Any]], titles: Mapping[str, str]) -> list[Feature]:
    """Return features from plain arrays: truth values become binary features, numbers become counts (float32).

    Args:
        family: the part of each name before the dot.
        arrays: name -> (T,) truth values, integers or floating-point numbers.
        titles: name -> title; a missing name is its own title.

    Raises:
        FeatureError: an array has another type.
    """
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf":
            raise FeatureError("FEATURE_TYPE", family=family, name=name, dtype=values.dtype)
    return [
        Feature(
            f"{family}.{name}",
            titles.get(name, name.replace("_", " ")),
            values if values.dtype == np.bool_ else values.astype(np.float32),
        )
        for name, values in arrays.items()
    ]
