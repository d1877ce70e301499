"""Features in a readable form: one character for each character of the text, or the pieces where they are on."""

from itertools import groupby

import numpy as np

from gatescope.features import FAMILIES, Family, Feature, annotate


def named(text: str, family: str | Family) -> dict[str, Feature]:
    """Return the features of one text by name, without the name of the family."""
    chosen = FAMILIES[family] if isinstance(family, str) else family
    return {feature.name.partition(".")[2]: feature for feature in annotate([text], [chosen])}


def picture(feature: Feature) -> str:
    """Return # for true, the last digit of a count, a category's first letter, and . for false or missing values."""
    if feature.kind == "binary":
        return "".join(".#"[int(value)] for value in feature.values)
    if feature.kind == "count":
        return "".join("." if np.isnan(value) else str(int(value))[-1] for value in feature.values)
    return "".join("." if value < 0 else feature.categories[value][0] for value in feature.values)


def pieces(feature: Feature, text: str) -> list[str]:
    """Return the runs of characters for which a binary feature is true."""
    runs = groupby(zip(text, feature.values.tolist(), strict=True), key=lambda pair: pair[1])
    return ["".join(character for character, _ in run) for is_on, run in runs if is_on]
