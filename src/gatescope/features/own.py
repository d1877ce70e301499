"""Features of yours: from a Python function, or from the quantities of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature, FeatureError, checked_name, of_arrays

Annotation = Callable[[str], Any]
MAX_CATEGORIES = np.iinfo(np.int16).max


def feature(name: str, title: str) -> Callable[[Annotation], Family]:
    """Make a family of one feature from a function of a text, as a decorator.

        @gatescope.feature(name="doubled", title="the same character twice")
        def doubled(text):
            return [a == b for a, b in zip(" " + text, text)]

    The function returns one value for each character: truth values (a binary feature), numbers (a count; NaN for a
    missing value), or strings (a category; "" for none). A value should depend on the text up to and including its
    character; if the function looks ahead, the title should end with "(looks ahead)".

    Args:
        name: lower case letters, digits and underscores; the feature is called own.name.
        title: the meaning of the feature, in words.

    Raises:
        FeatureError: the name is invalid; later, when a text is annotated: the values do not fit the text.
    """
    checked_name(name)

    def family(function: Annotation) -> Family:
        return Family("own", title, lambda text: _annotate(f"own.{name}", title, text, function(text)))

    return family


def _annotate(name: str, title: str, text: str, result: Any) -> list[Feature]:
    values = np.asarray(result)
    if values.shape != (len(text),):
        raise FeatureError("OWN_FEATURE_SHAPE", name=name, shape=values.shape, count=len(text))
    if not len(text):
        return []  # an empty list has no type
    if values.dtype.kind == "U" or (values.dtype == object and all(isinstance(value, str) for value in values)):
        return _category(name, title, values)
    if values.dtype.kind not in "biuf":
        raise FeatureError("OWN_FEATURE_TYPE", name=name, dtype=values.dtype)
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise FeatureError("OWN_FEATURE_INFINITE", name=name, place=np.flatnonzero(np.isinf(values))[0])
    return of_arrays("own", {name.removeprefix("own."): values}, {name.removeprefix("own."): title})


def _category(name: str, title: str, values: NDArray[Any]) -> list[Feature]:
    names, numbers = np.unique(values.astype(np.str_), return_inverse=True)
    categories = tuple(category for category in names.tolist() if category)
    if len(categories) > MAX_CATEGORIES:
        raise FeatureError("OWN_FEATURE_CATEGORIES", name=name, count=len(categories), most=MAX_CATEGORIES)
    if not categories:
        return []
    # The names are sorted, so "" is the first of them if it occurs.
    numbers = numbers.astype(np.int16) - (len(names) - len(categories))
    return [Feature(name, title, numbers.astype(np.int16), categories)]


def from_quantities(
    quantities: Callable[[str], Mapping[str, NDArray[Any]]], titles: Mapping[str, str] | None = None
) -> Family:
    """Return the family "task": the quantities that a network must remember to do a task, as features.

    Args:
        quantities: the method of a task: a text of one sequence -> name -> (T,) truth values or numbers.
        titles: name -> title, the task's `quantity_titles`; a missing name is its own title.
    """
    return Family(
        "task",
        "what must be remembered to do the task",
        lambda text: of_arrays("task", quantities(text), titles or {}),
        per="step",
    )
