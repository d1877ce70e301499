"""Expressions: a feature of one's own, written as a regular expression."""

from __future__ import annotations

import re

from gatescope.features.feature import Family, Feature, FeatureError, checked_name
from gatescope.features.spans import AHEAD, covered, named, only, since, spans_of, starts_of


def pattern(name: str, regex: str, title: str | None = None) -> Family:
    r"""A family of two features: inside a match, and how far into it.

    Python's regular expressions, with ^ and $ at each line. A match is known only once all of it was read, so both
    features look ahead. Some expressions, such as (a+)+b, take forever on some texts; that cannot be prevented here.

        pattern("call", r"\w+\((?P<inside>[^()\n]*)\)")

    Args:
        name: lower case letters, digits and underscores; the features are expression.name and expression.name_since.
        regex: with a group named "inside", the features hold in that group only.
        title: what it finds, in words; None: the expression itself.

    Raises:
        FeatureError: the name cannot be used, or this is no regular expression.
    """
    checked_name(name)
    try:
        expression = re.compile(regex, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        place = getattr(error, "pos", None)
        raise FeatureError(
            f"{regex!r} is no regular expression: {getattr(error, 'msg', error)}"
            + ("" if place is None else f", at character {place}: {regex[place : place + 10]!r}")
            + "; correct it, or put a backslash before what is meant as it stands."
        ) from error
    shown = title or f"a match of {regex}"

    def annotate(text: str) -> list[Feature]:
        spans = spans_of(expression, text)
        inside = covered(len(text), spans)
        return named(
            "expression",
            {
                name: (f"in {shown} {AHEAD}", inside),
                f"{name}_since": (
                    f"characters since the start of {shown} {AHEAD}",
                    only(inside, since(starts_of(len(text), spans))),
                ),
            },
        )

    return Family("expression", shown, annotate)
