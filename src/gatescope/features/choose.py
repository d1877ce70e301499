"""Which families fit a text."""

from __future__ import annotations

import re

from gatescope.features import (
    brackets,
    character,
    classes,
    counts,
    english,
    indentation,
    neighbours,
    numbers,
    position,
    quotes,
    tokens,
    web,
    words,
)
from gatescope.features.feature import Family
from gatescope.readout import SYMBOLS, Readout
from gatescope.vocabulary import Vocabulary

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (character, neighbours, position, counts, brackets, indentation, quotes, web, english)
}
"""Name -> family, of those that need no argument."""

LOOKED_AT = 200_000  # characters of a text that decide
OF_WORDS = ("brackets", "quotes", "english", "tokens")
"""Families of characters that say something of a word, at its last character."""

TAGS = 0.95  # share of the <; a program with comments in HTML has fewer
INDENTED = 0.05  # share of the lines
FUNCTION_WORDS = 0.15  # share of the words; about 0.45 in English prose, below 0.1 in most programs

_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>")


def choose(
    text: str, lexer: str | None = None, *, vocabulary: Vocabulary | None = None, readout: Readout = SYMBOLS
) -> list[Family]:
    """Families that say something about a text, judged by its first 200,000 characters.

    Of what is read as numbers: numbers. Of words: words, and of those below the ones that say of a word's last
    character what holds for the word: brackets, quotes, english, tokens. (Of which class its last character is, which
    one stands before it, and how far it is from the start of its line, says little of a word; and links, names and
    dates are words of their own, or several.) Wherever classes are predicted: class.

    Of characters and bytes, always: character, neighbours, position. Then
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
        vocabulary: of the network; one of characters when not given.
        readout: what it predicts.

    Raises:
        FeatureError: there is no such lexer.
    """
    said = [classes.FAMILY] if readout.kind == "classes" else []
    if vocabulary is not None and vocabulary.unit == "number":
        return [*said, numbers.family(vocabulary)]
    if vocabulary is not None and vocabulary.in_words:
        of_characters = [each for each in _of_characters(text, lexer, counted=False) if each.name in OF_WORDS]
        return [*said, words.family(vocabulary), *of_characters]
    return [*said, *_of_characters(text, lexer)]


def _of_characters(text: str, lexer: str | None, *, counted: bool = True) -> list[Family]:
    """The families that have a value for each character; `counted`: of an alphabet that is small, its counts alone."""
    chosen = [FAMILIES[name] for name in ("character", "neighbours", "position")]
    sample = text[:LOOKED_AT]
    if counted and counts.alphabet([text]):
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
