"""Expressions: a family of features from your own regular expression."""

from __future__ import annotations

import re

from gatescope.features.feature import Family, Feature, FeatureError, checked_name
from gatescope.features.spans import AHEAD, covered, family_features, nan_unless, since, spans_of, starts_of


def pattern(name: str, regex: str, title: str | None = None) -> Family:
    r"""Return a family of two features: inside a match, and characters since the start of the match.

        pattern("call", r"\w+\((?P<inside>[^()\n]*)\)")

    A match is known only after its last character, so both features look ahead. Some expressions, such as (a+)+b, take
    forever on some texts; this function cannot prevent it.

    Args:
        name: lower case letters, digits and underscores; the features are expression.name and expression.name_since.
        regex: a regular expression of Python, with ^ and $ at each line. If it has a group named "inside", the features
            hold in that group only.
        title: the meaning of a match, in words; None: the expression itself.

    Raises:
        FeatureError: the name or the regular expression is invalid.
    """
    checked_name(name)
    try:
        expression = re.compile(regex, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        reason, place = getattr(error, "msg", error), getattr(error, "pos", None)
        if place is None:
            raise FeatureError("EXPRESSION_INVALID", regex=regex, reason=reason) from error
        excerpt = regex[place : place + 10]
        raise FeatureError("EXPRESSION_INVALID_AT", regex=regex, reason=reason, place=place, excerpt=excerpt) from error
    shown = title or f"a match of {regex}"

    def annotate(text: str) -> list[Feature]:
        spans = spans_of(expression, text)
        inside = covered(len(text), spans)
        return family_features(
            "expression",
            {
                name: (f"in {shown} {AHEAD}", inside),
                f"{name}_since": (
                    f"characters since the start of {shown} {AHEAD}",
                    nan_unless(inside, since(starts_of(len(text), spans))),
                ),
            },
        )

    return Family("expression", shown, annotate)
