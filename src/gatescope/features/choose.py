"""Which families fit a text."""

from __future__ import annotations

import re

from gatescope.features import (
    brackets,
    character,
    counts,
    english,
    indentation,
    neighbours,
    position,
    quotes,
    tokens,
    web,
)
from gatescope.features.feature import Family

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (character, neighbours, position, counts, brackets, indentation, quotes, web, english)
}
"""Name -> family, of those that need no argument."""

LOOKED_AT = 200_000  # characters of a text that decide
TAGS = 0.95  # share of the <; a program with comments in HTML has fewer
INDENTED = 0.05  # share of the lines
FUNCTION_WORDS = 0.15  # share of the words; about 0.45 in English prose, below 0.1 in most programs

_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>")


def choose(text: str, lexer: str | None = None) -> list[Family]:
    """Families that say something about a text, judged by its first 200,000 characters.

    Always: character, neighbours, position. Then
        counts       if it has at most 12 different characters besides the newline, and nothing else then
        brackets     if there is one; < and > count if 19 of 20 are those of tags, such as </p>
        indentation  if one line in 20 is indented
        quotes       if there is a mark of quotation
        web          if there is a digit, a capital or one of @ and #
        english      if three words in 20 are function words of English
        tokens       if a lexer is given

    Args:
        text: all sequences of a trace put together, or a part of them.
        lexer: a name of Pygments, if the text is a program: "python".

    Raises:
        FeatureError: there is no such lexer.
    """
    chosen = [FAMILIES[name] for name in ("character", "neighbours", "position")]
    sample = text[:LOOKED_AT]
    if counts.alphabet([text]):
        chosen.append(FAMILIES["counts"])
    else:
        tags = len(_TAG.findall(sample))
        angle = tags > 0 and tags >= TAGS * sample.count("<")
        if angle or re.search(r"[()\[\]{}（）［］【】｛｝]", sample):
            chosen.append(brackets.family(angle=angle))
        lines = re.findall(r"^[ \t]*(?=\S)", sample, re.MULTILINE)
        if sum(map(bool, lines)) > INDENTED * len(lines):
            chosen.append(FAMILIES["indentation"])
        if re.search(r"[\"'`“”«»「」『』]", sample):
            chosen.append(FAMILIES["quotes"])
        if re.search(r"[\d@#A-Z]", sample):
            chosen.append(FAMILIES["web"])
        words = re.findall(r"[^\W\d_]+", sample.lower())
        if sum(word in english.FUNCTION_WORDS for word in words) > FUNCTION_WORDS * len(words):
            chosen.append(FAMILIES["english"])
    if lexer is not None:
        chosen.append(tokens.family(lexer))
    return chosen
