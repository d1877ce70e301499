"""The catalogue of families, and the choice of families for a text."""

from __future__ import annotations

import re

from gatescope.features import (
    brackets,
    character,
    class_predictions,
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
"""Name -> family, for the families that need no argument."""

SAMPLE_CHARACTERS = 200_000  # of a text that decide
FAMILIES_FOR_WORDS = ("brackets", "quotes", "english", "tokens")
"""Families whose value at the last character of a word is meaningful for the whole word."""

MIN_TAG_SHARE = 0.95  # of the <; a program with comments in HTML has fewer
MIN_INDENTED_SHARE = 0.05  # of the lines
MIN_FUNCTION_WORD_SHARE = 0.15  # of the words; about 0.45 in English prose, below 0.1 in most programs

_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]*>")


def choose(
    text: str, lexer: str | None = None, *, vocabulary: Vocabulary | None = None, readout: Readout = SYMBOLS
) -> list[Family]:
    """Choose the families that fit a text, by its first 200,000 characters.

    For a network that reads characters or bytes: character, neighbours and position, and
        counts       alone, if the text has at most 12 different characters besides the newline; otherwise
        brackets     if the text has brackets; < and > count if 19 of 20 belong to tags, such as </p>
        indentation  if one line in 20 is indented
        quotes       if the text has quotation marks
        web          if the text has a digit, a capital, an @ or a #
        english      if three words in 20 are function words of English
        tokens       if a lexer is given
    For a network that reads words: words, and those of the list above that are meaningful at the last character of a
    word: brackets, quotes, english, tokens.
    For a network that reads numbers: numbers.
    For a network that predicts classes, in addition: class.

    Args:
        text: all sequences of a trace put together, or a part of them.
        lexer: the name of a lexer of Pygments, if the text is a program: "python".
        vocabulary: the vocabulary of the network; None: characters.
        readout: the readout of the network.

    Raises:
        FeatureError: Pygments has no such lexer.
    """
    of_readout = [class_predictions.FAMILY] if readout.kind == "classes" else []
    if vocabulary is not None and vocabulary.unit == "number":
        return [*of_readout, numbers.family(vocabulary)]
    if vocabulary is not None and vocabulary.in_words:
        of_characters = _character_families(text, lexer, with_counts=False)
        at_word_ends = [family for family in of_characters if family.name in FAMILIES_FOR_WORDS]
        return [*of_readout, words.family(vocabulary), *at_word_ends]
    return [*of_readout, *_character_families(text, lexer)]


def _character_families(text: str, lexer: str | None, *, with_counts: bool = True) -> list[Family]:
    """Return the families that have a value for each character; `with_counts`: counts alone for a small alphabet."""
    chosen = [FAMILIES[name] for name in ("character", "neighbours", "position")]
    sample = text[:SAMPLE_CHARACTERS]
    if with_counts and counts.alphabet([text]):
        chosen.append(FAMILIES["counts"])
    else:
        tags = len(_TAG.findall(sample))
        angle = tags > 0 and tags >= MIN_TAG_SHARE * sample.count("<")
        if angle or re.search(r"[()\[\]{}（）［］【】｛｝]", sample):
            chosen.append(brackets.family(angle=angle))
        lines = re.findall(r"^[ \t]*(?=\S)", sample, re.MULTILINE)
        if sum(map(bool, lines)) > MIN_INDENTED_SHARE * len(lines):
            chosen.append(FAMILIES["indentation"])
        if re.search(r"[\"'`“”«»「」『』]", sample):
            chosen.append(FAMILIES["quotes"])
        if re.search(r"[\d@#A-Z]", sample):
            chosen.append(FAMILIES["web"])
        english_words = re.findall(r"[^\W\d_]+", sample.lower())
        if sum(word in english.FUNCTION_WORDS for word in english_words) > MIN_FUNCTION_WORD_SHARE * len(english_words):
            chosen.append(FAMILIES["english"])
    if lexer is not None:
        chosen.append(tokens.family(lexer))
    return chosen
