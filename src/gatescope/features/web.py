"""Web: addresses, names, numbers and dates, as in messages, pages and logs.

A feature becomes true where the pattern can first be recognised: a URL at the // of http:// or the dot of www., an
e-mail address at its @, a name at the first character after @ or #.
"""

from __future__ import annotations

import re

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import AHEAD, characters_where, code_points, family_features, matched, shifted

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"

EXPRESSIONS: dict[str, tuple[str, re.Pattern[str]]] = {
    "url": (
        "in a URL, after its http:/ or www",
        re.compile(r"(?:(?:https?|ftp):/(?=/)|\bwww(?=\.))(?P<inside>[/.][^\s<>\"'`)\]}]*)"),
    ),
    "mention": ("in a name after @", re.compile(r"(?<![\w.+-])@(?P<inside>\w+)")),
    "hashtag": ("in a word after #", re.compile(r"(?<!\w)#(?P<inside>\w+)")),
    "email": ("in an e-mail address, from its @ on", re.compile(r"(?<=[\w.+-])@[\w.-]*")),
    "number": (
        f"in a number, separators of digits included {AHEAD}",
        re.compile(r"(?<!\w)\d+(?:[.,_]\d+)*"),
    ),
    "hexadecimal": ("in a hexadecimal number, from its x on", re.compile(r"(?<!\w)0(?P<inside>[xX][0-9a-fA-F_]*)")),
    "date": (
        f"in a date {AHEAD}",
        re.compile(
            r"(?<!\w)(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d\d)"
            rf"|\d{{1,2}}(?:st|nd|rd|th)? {_MONTH}(?: \d{{4}})?|\d{{4}}年\d{{1,2}}月(?:\d{{1,2}}日)?"
            rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?)(?!\w)"
        ),
    ),
    "time": (
        f"in a time of day {AHEAD}",
        re.compile(r"(?<![\w:])\d{1,2}:\d\d(?::\d\d)?(?: ?[AaPp]\.?[Mm]\b\.?)?(?![\w:])"),
    ),
}
"""Name -> title and expression. If the expression has a group "inside", the feature is true in the group only."""


def _annotate(text: str) -> list[Feature]:
    upper = characters_where(code_points(text), str.isupper)
    values = {name: (title, matched(expression, text)) for name, (title, expression) in EXPRESSIONS.items()}
    values["capitals"] = ("in a run of capitals, from the second on", upper & shifted(upper))
    return family_features("web", values)


FAMILY = Family("web", "addresses, names, numbers and dates", _annotate)
