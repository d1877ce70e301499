"""Position: the distance from the start of the line, word, sentence and text, and to the end of the word and line.

A word is a run of letters, digits and underscores. A sentence ends at . ! or ? followed by white space (closing quotes
or brackets may stand between), at a Chinese full stop, and at a blank line. The next sentence begins with the first
character that is not white space. "Mr. Smith" is two sentences by this rule. If the texts have more than 50 lines and
none is blank, a sentence also ends with its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import (
    AHEAD,
    NEWLINE,
    Mask,
    characters_where,
    code_points,
    family_features,
    last_mark,
    lines_are_paragraphs,
    nan_unless,
    shifted,
    since,
    starts_after,
)

_BETWEEN_SENTENCES = r"""[.!?]["'”’»)\]]*\s+|[。！？][。！？”’」』）]*\s*|\n[^\S\n]*\n\s*"""
_AFTER_BLANK_LINES = re.compile(_BETWEEN_SENTENCES)
_AFTER_LINES = re.compile(rf"{_BETWEEN_SENTENCES}|\n\s*")


def sentence_starts(text: str, *, lines: bool) -> Mask:
    """Return whether a sentence begins with each character, (T,). One begins with the first.

    Args:
        text: the text.
        lines: whether a sentence ends at every newline, not only at a blank line.
    """
    starts = np.zeros(len(text) + 1, np.bool_)
    starts[[0, *(match.end() for match in (_AFTER_LINES if lines else _AFTER_BLANK_LINES).finditer(text))]] = True
    return starts[:-1]


def _family(texts: Sequence[str]) -> Family:
    lines = lines_are_paragraphs(texts)
    return Family("position", "how far along in line, word, sentence and text", lambda text: _annotate(text, lines))


def _annotate(text: str, lines: bool) -> list[Feature]:
    points = code_points(text)
    places = np.arange(len(points))
    newline = points == NEWLINE
    line_starts = starts_after(newline)
    word = characters_where(points, lambda c: c.isalnum() or c == "_")
    in_word = since(word & ~shifted(word))
    begun = last_mark(characters_where(points, lambda c: not c.isspace()) | newline)
    text_began = _first_in(begun > last_mark(newline), line_starts)
    sentences = sentence_starts(text, lines=lines)
    # Read backwards, a word starts at its end, and a line starts at its newline or at the end of the text.
    backwards = word[::-1]
    remaining_in_word = since(backwards & ~shifted(backwards))[::-1]
    ends = newline.copy()
    ends[-1:] = True
    return family_features(
        "position",
        {
            "in_sequence": ("characters since the start of the text", places),
            "in_line": ("characters since the start of the line", since(line_starts)),
            "in_line_text": (
                "characters since the line's first that is no white space",
                nan_unless(last_mark(text_began) >= last_mark(line_starts), since(text_began)),
            ),
            "line": ("lines before this one", np.cumsum(line_starts) - 1),
            "in_word": ("characters since the start of the word", nan_unless(word, in_word)),
            "word_length": ("length of the word so far, 0 outside", np.where(word, in_word + 1, 0)),
            "in_sentence": ("characters since the start of the sentence", since(sentences)),
            "remaining_in_word": (f"characters of the word to come {AHEAD}", nan_unless(word, remaining_in_word)),
            "remaining_in_line": (f"characters of the line to come {AHEAD}", since(ends[::-1])[::-1]),
        },
    )


def _first_in(condition: Mask, starts: Mask) -> Mask:
    """Return where a condition that lasts to the end of the line becomes true, (T,)."""
    return condition & (~shifted(condition) | starts)


FAMILY = fitted_to_texts(_family)
