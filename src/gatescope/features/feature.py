"""What a feature is: one annotation of every character of a text, or of every step that a network reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.trace import Trace

Kind = Literal["binary", "count", "category"]


class FeatureError(GatescopeError):
    """An annotation that does not fit its text, or a name that there is not; the message says what was expected."""


@dataclass(frozen=True)
class Feature:
    """One number, truth value or category for every character (or step) of a text, known once that was read.

    Attributes:
        name: what it is called in tables, on the command line and in addresses: the family's name, a dot, its own.
        title: what it says of a character, in words: "inside double quotes".
        values: (T,). bool: binary; float32: a count or position, NaN where there is none; int16: a category, -1 where
            there is none.
        categories: the names behind the numbers of a category.
    """

    name: str
    title: str
    values: NDArray[Any]
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or self.values.dtype.kind not in "bfi":
            raise FeatureError(
                "FEATURE_FEATURE_VALUES_SHAPE_TYPE", name=self.name, shape=self.values.shape, dtype=self.values.dtype
            )
        if (self.values.dtype.kind == "i") != bool(self.categories):
            raise FeatureError("FEATURE_FEATURE_NEEDS_NAMES_CATEGORIES", name=self.name)

    @property
    def kind(self) -> Kind:
        """What its values are."""
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
    """A family of annotations.

    Attributes:
        name: as in "quotes".
        title: what its features have in common.
        annotate: the features of one text; which ones may depend on the text.
        fitted: the family as it is made for some texts, where something must be the same for all of them: an alphabet,
            the step of indentation. None: it depends on no text.
        per: what its values are of: each character, or each step of a network: a word, a vector of numbers.
        of_trace: features that are read from a trace, not from its text; then `annotate` has none. Values run through
            the steps of all sequences.
    """

    name: str
    title: str
    annotate: Callable[[str], Iterable[Feature]]
    fitted: Callable[[Sequence[str]], Family] | None = None
    per: Literal["character", "step"] = "character"
    of_trace: Callable[[Trace], Iterable[Feature]] | None = None


def annotate(texts: Sequence[str], families: Iterable[Family], steps: Sequence[int] | None = None) -> list[Feature]:
    """The features of some texts, one after the other, each read from its start.

    Args:
        texts: the sequences of a trace, or files.
        families: whose features to take.
        steps: how many steps each text has; as many as characters when not given.

    Returns:
        Features whose values (T,) run through all texts, T characters (or steps) together. Where a feature does not
        occur in one of them, it is false, NaN or of no category there.

    Raises:
        FeatureError: a family gave values that do not fit its text, or the same name twice.
    """
    counts = list(map(len, texts)) if steps is None else list(steps)
    sizes = np.cumsum([0, *counts])
    found: dict[str, Feature] = {}
    for general in families:
        family = general if general.fitted is None else general.fitted(texts)
        parts = [_named(family, text, count) for text, count in zip(texts, counts, strict=True)]
        for name in dict.fromkeys(name for part in parts for name in part):
            if name in found:
                raise FeatureError("FEATURE_TWO_FEATURES_CALLED_ANOTHER", name=name)
            found[name] = _joined([part.get(name) for part in parts], sizes)
    return list(found.values())


def _named(family: Family, text: str, count: int) -> dict[str, Feature]:
    features = {}
    for feature in family.annotate(text):
        if len(feature.values) != count:
            raise FeatureError(
                "FEATURE_FEATURE_VALUES_TEXT",
                name=feature.name,
                count=len(feature.values),
                count2=count,
                per=family.per,
            )
        if feature.name in features:
            raise FeatureError("FEATURE_TWO_FEATURES_CALLED_ANOTHER", name=feature.name)
        features[feature.name] = feature
    return features


def _joined(parts: Sequence[Feature | None], sizes: NDArray[np.int64]) -> Feature:
    """One feature of all texts from those of each; categories are numbered anew."""
    present = [part for part in parts if part is not None]
    first = present[0]
    if len(parts) == 1:
        return first
    kinds = {part.kind for part in present}
    if len(kinds) > 1:
        raise FeatureError("FEATURE_FEATURE_ANOTHER", name=first.name, kinds=" in one text and a ".join(sorted(kinds)))
    nothing = {"binary": False, "count": np.nan, "category": -1}[first.kind]
    values = np.full(sizes[-1], nothing, first.values.dtype)
    number: dict[str, int] = {}
    for start, part in zip(sizes[:-1], parts, strict=True):
        if part is None:
            continue
        new = np.array([number.setdefault(name, len(number)) for name in part.categories] + [-1], np.int16)
        # The last entry stands for -1, which is no category.
        values[start : start + len(part.values)] = new[part.values] if part.categories else part.values
    return Feature(first.name, first.title, values, tuple(number))


def checked_name(name: str) -> str:
    """A name as it may stand in tables and addresses.

    Raises:
        FeatureError: it has other characters than a to z, digits and underscores, or begins with none of a to z.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name, re.ASCII):
        raise FeatureError("FEATURE_NAME_FEATURE_LOWER_CASE", name=name)
    return name


def of_arrays(family: str, arrays: Mapping[str, NDArray[Any]], titles: Mapping[str, str]) -> list[Feature]:
    """Features from plain arrays: truth values are binary, numbers are counts (float32).

    Args:
        family: what stands before the dot of each name.
        arrays: name -> (T,) bool, or whole or real numbers.
        titles: name -> what it says; a name that is missing is its own title.

    Raises:
        FeatureError: an array holds neither truth values nor numbers.
    """
    for name, values in arrays.items():
        if values.dtype.kind not in "biuf":
            raise FeatureError("FEATURE_VALUES_TYPE_TRUTH_VALUES", family=family, name=name, dtype=values.dtype)
    return [
        Feature(
            f"{family}.{name}",
            titles.get(name, name.replace("_", " ")),
            values if values.dtype == np.bool_ else values.astype(np.float32),
        )
        for name, values in arrays.items()
    ]
