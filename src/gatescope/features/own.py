"""Features of one's own: a function of Python, or the hidden state of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.features.feature import Family, Feature, FeatureError, checked_name, of_arrays

Annotation = Callable[[str], Any]
MOST = np.iinfo(np.int16).max


def feature(name: str, title: str) -> Callable[[Annotation], Family]:
    """A decorator that makes a family of one feature from a function of a text.

        @gatescope.feature(name="doubled", title="the same character twice")
        def doubled(text):
            return [a == b for a, b in zip(" " + text, text)]

    The function gives one value for each character: truth values (binary), numbers (a count; NaN where there is
    none), or strings (a category; "" where there is none). It should say at a character what is known once that
    character was read; if it looks ahead, the title should say so.

    Args:
        name: lower case letters, digits and underscores; the feature is called own.name.
        title: what it says of a character, in words.

    Raises:
        FeatureError: the name cannot be used; later, when a text is annotated: the values do not fit it.
    """
    checked_name(name)

    def family(function: Annotation) -> Family:
        return Family("own", title, lambda text: _annotate(f"own.{name}", title, text, function(text)))

    return family


def _annotate(name: str, title: str, text: str, given: Any) -> list[Feature]:
    values = np.asarray(given)
    if values.shape != (len(text),):
        raise FeatureError("OWN_GAVE_VALUES_SHAPE_TEXT", name=name, shape=values.shape, count=len(text))
    if not len(text):
        return []  # an empty list does not say what it would hold
    if values.dtype.kind == "U" or (values.dtype == object and all(isinstance(value, str) for value in values)):
        return _category(name, title, values)
    if values.dtype.kind not in "biuf":
        raise FeatureError("OWN_GAVE_VALUES_TRUTH_VALUES", name=name, dtype=values.dtype)
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise FeatureError("OWN_INFINITE_CHARACTER_USE_NAN", name=name, flatnonzero=np.flatnonzero(np.isinf(values))[0])
    return of_arrays("own", {name.removeprefix("own."): values}, {name.removeprefix("own."): title})


def _category(name: str, title: str, values: NDArray[Any]) -> list[Feature]:
    names, numbers = np.unique(values.astype(np.str_), return_inverse=True)
    categories = tuple(category for category in names.tolist() if category)
    if len(categories) > MOST:
        raise FeatureError("OWN_CATEGORIES_MOST_TOLD_APART", name=name, count=len(categories), most=MOST)
    if not categories:
        return []
    # Sorted, "" comes first if it is there at all.
    numbers = numbers.astype(np.int16) - (len(names) - len(categories))
    return [Feature(name, title, numbers.astype(np.int16), categories)]


def from_quantities(
    quantities: Callable[[str], Mapping[str, NDArray[Any]]], titles: Mapping[str, str] | None = None
) -> Family:
    """The family "task": what a task itself must remember at each step, as features.

    Args:
        quantities: the method of a task: a text (one sequence) -> name -> (T,) truth values or numbers.
        titles: name -> what it says, the task's `quantity_titles`; a name that is missing is its own title.
    """
    return Family(
        "task",
        "what must be remembered to do the task",
        lambda text: of_arrays("task", quantities(text), titles or {}),
        per="step",
    )
