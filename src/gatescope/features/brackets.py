"""Brackets: the depth, the kind, and the distance from the opening bracket.

Every text is plain text: brackets in strings and comments of a program count like any other (the family "tokens"
distinguishes them). A closing bracket closes the innermost open bracket of its kind and every bracket opened inside it;
if none is open it changes nothing, so the depth is never negative. A bracket that is never closed stays open to the end
of the text. A character after the opening bracket is inside; a character after the closing bracket is outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import family_features, nan_unless

KINDS = {"round": ("(（", ")）"), "square": ("[［【", "]］】"), "curly": ("{｛", "}｝")}
ANGLE = {"angle": ("<《〈", ">》〉")}
SHOWN = {"round": "( )", "square": "[ ]", "curly": "{ }", "angle": "< >"}


def family(*, angle: bool = False) -> Family:
    """Return the family of brackets.

    Args:
        angle: whether < and > count as brackets, as in HTML. In most programs they mean less and greater.
    """
    kinds = KINDS | ANGLE if angle else KINDS
    return Family("brackets", "depth of brackets", lambda text: _annotate(text, kinds))


def _annotate(text: str, kinds: Mapping[str, tuple[str, str]]) -> list[Feature]:
    opening = {mark: kind for kind, (marks, _) in kinds.items() for mark in marks}
    closing = {mark: kind for kind, (_, marks) in kinds.items() for mark in marks}
    number = {kind: n for n, kind in enumerate(kinds)}
    stack: list[tuple[str, int]] = []  # (kind, place) of each open bracket, the innermost last
    depth = [0] * len(kinds)
    places, depths, innermost = [], [depth[:]], [-1]
    for match in re.finditer(f"[{re.escape(''.join([*opening, *closing]))}]", text):
        mark, place = match[0], match.start()
        if mark in opening:
            stack.append((opening[mark], place))
            depth[number[opening[mark]]] += 1
        elif depth[number[closing[mark]]]:
            closed = ""
            while closed != closing[mark]:
                closed, _ = stack.pop()
                depth[number[closed]] -= 1
        places.append(place)
        depths.append(depth[:])
        innermost.append(stack[-1][1] if stack else -1)
    so_far = np.cumsum(np.bincount(np.array(places, np.int64), minlength=len(text)))  # brackets
    by_kind = np.array(depths)[so_far].T
    opened_at = np.array(innermost)[so_far]
    total = by_kind.sum(axis=0)
    values = {
        "any": ("inside brackets of any kind", total > 0),
        "depth": ("depth of brackets of all kinds", total),
        "since_opening": (
            "characters since the innermost open bracket",
            nan_unless(opened_at >= 0, np.arange(len(text)) - opened_at),
        ),
    }
    for kind, kind_depth in zip(kinds, by_kind, strict=True):
        values[kind] = (f"inside {SHOWN[kind]}", kind_depth > 0)
        values[f"{kind}_depth"] = (f"depth of {SHOWN[kind]}", kind_depth)
    return family_features("brackets", values)


FAMILY = family()
