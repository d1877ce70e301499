"""Features as they are looked at: one character for each character of the text, or the pieces where they hold."""

from itertools import groupby

import numpy as np

from gatescope.features import FAMILIES, Family, Feature, annotate


def named(text: str, family: str | Family) -> dict[str, Feature]:
    """The features of one text, without the family's name."""
    chosen = FAMILIES[family] if isinstance(family, str) else family
    return {feature.name.partition(".")[2]: feature for feature in annotate([text], [chosen])}


def picture(feature: Feature) -> str:
    """# where a binary feature is true, the last digit of a count, the category's first letter; . where nothing is."""
    if feature.kind == "binary":
        return "".join(".#"[int(value)] for value in feature.values)
    if feature.kind == "count":
        return "".join("." if np.isnan(value) else str(int(value))[-1] for value in feature.values)
    return "".join("." if value < 0 else feature.categories[value][0] for value in feature.values)


def pieces(feature: Feature, text: str) -> list[str]:
    """The runs of characters for which a binary feature is true."""
    runs = groupby(zip(text, feature.values.tolist(), strict=True), key=lambda pair: pair[1])
    return ["".join(character for character, _ in run) for true, run in runs if true]
