"""Brackets: how deep, inside which kind, and how far from the opening one.

This is plain text: brackets in strings and comments of a program count like any other (the tokens tell them apart).
Each kind is matched for itself. A closing bracket with nothing to close changes nothing, so depth is never negative;
an opening one that is never closed counts to the end of the text. After an opening bracket one is inside, after its
closing one outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import Numbers, held, named, only

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
    depths, opened = {}, []
    for kind, (opening, closing) in kinds.items():
        depths[kind], place = _matched(text, opening, closing)
        opened.append(place)
    total = np.sum([*depths.values()], axis=0)
    innermost = np.max(opened, axis=0)
    values = {
        "any": ("inside brackets of any kind", total > 0),
        "depth": ("depth of brackets of all kinds", total),
        "since_opening": (
            "characters since the innermost open bracket",
            only(innermost >= 0, np.arange(len(text)) - innermost),
        ),
    }
    for kind, depth in depths.items():
        values[kind] = (f"inside {SHOWN[kind]}", depth > 0)
        values[f"{kind}_depth"] = (f"depth of {SHOWN[kind]}", depth)
    return named("brackets", values)


def _matched(text: str, opening: str, closing: str) -> tuple[Numbers, np.ndarray]:
    """Depth after each character, and the place of the innermost open bracket, -1 if there is none; (T,) each."""
    places, depth, innermost, stack = [], [], [], [-1]
    for match in re.finditer(f"[{re.escape(opening + closing)}]", text):
        place = match.start()
        if match[0] in opening:
            stack.append(place)
        elif len(stack) > 1:
            stack.pop()
        places.append(place)
        depth.append(len(stack) - 1)
        innermost.append(stack[-1])
    return held(len(text), places, depth, 0).astype(np.float32), held(len(text), places, innermost, -1)


FAMILY = family()
