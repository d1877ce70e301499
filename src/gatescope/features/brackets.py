"""Brackets: how deep, inside which kind, and how far from the opening one.

This is plain text: brackets in strings and comments of a program count like any other (the tokens tell them apart).
A closing bracket closes the innermost one of its kind and all that was opened inside it. With nothing to close it
changes nothing, so depth is never negative; an opening one that nothing closes counts to the end of the text. After an
opening bracket one is inside, after its closing one outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import named, only

KINDS = {"round": ("(（", ")）"), "square": ("[［【", "]］】"), "curly": ("{｛", "}｝")}
ANGLE = {"angle": ("<《〈", ">》〉")}
SHOWN = {"round": "( )", "square": "[ ]", "curly": "{ }", "angle": "< >"}


def family(*, angle: bool = False) -> Family:
    """The family.

    Args:
        angle: count < and > as brackets too, as in HTML. In most programs they mean less and greater.
    """
    kinds = KINDS | ANGLE if angle else KINDS
    return Family("brackets", "depth of brackets", lambda text: _annotate(text, kinds))


def _annotate(text: str, kinds: Mapping[str, tuple[str, str]]) -> list[Feature]:
    opening = {mark: kind for kind, (marks, _) in kinds.items() for mark in marks}
    closing = {mark: kind for kind, (_, marks) in kinds.items() for mark in marks}
    number = {kind: n for n, kind in enumerate(kinds)}
    stack: list[tuple[str, int]] = []  # of each open bracket its kind and place, the innermost last
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
    read = np.cumsum(np.bincount(np.array(places, np.int64), minlength=len(text)))  # brackets so far
    by_kind = np.array(depths)[read].T
    opened = np.array(innermost)[read]
    total = by_kind.sum(axis=0)
    values = {
        "any": ("inside brackets of any kind", total > 0),
        "depth": ("depth of brackets of all kinds", total),
        "since_opening": (
            "characters since the innermost open bracket",
            only(opened >= 0, np.arange(len(text)) - opened),
        ),
    }
    for kind, deep in zip(kinds, by_kind, strict=True):
        values[kind] = (f"inside {SHOWN[kind]}", deep > 0)
        values[f"{kind}_depth"] = (f"depth of {SHOWN[kind]}", deep)
    return named("brackets", values)


FAMILY = family()
