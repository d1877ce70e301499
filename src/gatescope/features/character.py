"""Characters: the character itself, and its class."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import as_category, characters_where, code_points, most_frequent

VOWELS = frozenset("aeiouAEIOU")

CLASSES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "letter": ("a letter", str.isalpha),
    "upper": ("an upper case letter", str.isupper),
    "lower": ("a lower case letter", str.islower),
    "vowel": ("one of a, e, i, o, u", VOWELS.__contains__),
    "consonant": (
        "another letter from a to z",
        lambda c: c.isascii() and c.isalpha() and c not in VOWELS,
    ),
    "ideograph": ("a Chinese character", lambda c: unicodedata.name(c, "").startswith("CJK UNIFIED")),
    "digit": ("a digit", str.isdecimal),
    "whitespace": ("white space", str.isspace),
    "space": ("a space", " ".__eq__),
    "newline": ("a newline", "\n".__eq__),
    "punctuation": ("a punctuation mark", lambda c: unicodedata.category(c).startswith("P")),
    "symbol": ("a symbol, such as + or $", lambda c: unicodedata.category(c).startswith("S")),
}
"""Name -> title and test of one character. Letters and digits may be of any script of Unicode."""


def _family(texts: Sequence[str]) -> Family:
    characters = most_frequent(texts)

    def annotate(text: str) -> Iterator[Feature]:
        points = code_points(text)
        for name, (title, test) in CLASSES.items():
            yield Feature(f"character.{name}", title, characters_where(points, test))
        yield from as_category("character.is", "the character", points, characters)

    return Family("character", "which character it is, and of what class", annotate)


FAMILY = fitted_to_texts(_family)
"""`character.is` has the 200 most frequent characters of all texts as categories; a rarer character has none."""
