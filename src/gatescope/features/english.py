"""English: function words, what follows articles and auxiliaries, sentences and questions.

Simple rules on words and marks, right most of the time: enough to name what a neuron follows, not a parser. Sentences
are those of the family "position".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.position import sentence_starts
from gatescope.features.spans import (
    AHEAD,
    Mask,
    among,
    characters_where,
    code_points,
    covered,
    family_features,
    last_mark,
    lines_are_paragraphs,
    matched,
    shifted,
)

_FUNCTION_WORDS = """
    a an the this that these those each every some any no all both either neither such
    i me my mine you your yours he him his she her hers it its we us our ours they them their theirs
    myself yourself himself herself itself ourselves themselves who whom whose which what
    am is are was were be been being have has had having do does did will would shall should can could may might must
    of in to for with on at from by about as into like through after over between out against during without before
    under around among up down off above near and or but nor so yet if because although though while since until when
    where why how than not there here then too very just only also
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())

_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)?")
_AUXILIARY = r"(?:will|would|shall|should|can|could|may|might|must|to)"
_QUESTION_WORD = re.compile(
    r"[\"'“‘(]*(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|will|would|shall|should|can"
    r"|could|may|have|has|had)\b",
    re.IGNORECASE,
)

# A lookahead matches the word after an article, so that this word may itself be an article.
EXPRESSIONS: dict[str, tuple[str, re.Pattern[str]]] = {
    "after_article": (
        "after a, an or the, to the end of the next word",
        re.compile(r"\b(?:the|an?)(?=(?P<inside>\s+\w*))", re.IGNORECASE),
    ),
    "after_auxiliary": (
        "after will, can, to and the like, to the end of the next word",
        re.compile(rf"\b{_AUXILIARY}(?=(?P<inside>\s+\w*))", re.IGNORECASE),
    ),
    "auxiliary_be": (
        f"in will be, can be, to be and the like {AHEAD}",
        re.compile(rf"\b{_AUXILIARY}\s+(?:not\s+)?be\b", re.IGNORECASE),
    ),
    "contraction": ("after the apostrophe of a word", re.compile(r"(?<=[A-Za-z]['’])[A-Za-z]+")),
    "plural_s": (
        f"an s that ends a word of four letters or more, and is not ss, us or is {AHEAD}",
        re.compile(r"(?<=[A-Za-z]{2}[A-HJ-RTV-Za-hj-rtv-z])s(?![\w'’])"),
    ),
    "sentence_end": (f"the mark that ends a sentence {AHEAD}", re.compile(r"[.!?]+(?=[\"'”’)\]]*(?:\s|\Z))")),
}
"""Name -> title and expression. If the expression has a group "inside", the feature is true in the group only."""


def _family(texts: Sequence[str]) -> Family:
    lines = lines_are_paragraphs(texts)
    return Family("english", "function words, sentences and questions of English", lambda text: _annotate(text, lines))


def _annotate(text: str, lines: bool) -> list[Feature]:
    points = code_points(text)
    letter = characters_where(points, str.isalpha)
    after_letter = shifted(letter)
    apostrophe = shifted(among(points, "'’") & after_letter)
    word_starts = letter & ~after_letter & ~apostrophe
    sentences = sentence_starts(text, lines=lines)
    words = np.cumsum(word_starts)
    in_sentence = words - (words - word_starts)[last_mark(sentences)]
    capital = word_starts & characters_where(points, str.isupper) & (in_sentence > 1)
    values = {name: (title, matched(expression, text)) for name, (title, expression) in EXPRESSIONS.items()}
    values |= {
        "function_word": (f"in a function word, such as of, the, is {AHEAD}", _function_words(text)),
        "inside_word": ("in a word, after its first letter", letter & after_letter),
        "capitalised": (
            "in a word with a capital in mid-sentence, I too",
            letter & (last_mark(capital) == last_mark(word_starts)) & (words > 0),
        ),
        "words_in_sentence": ("words of the sentence so far, this one included", in_sentence),
        "sentence_start": ("in the first word of a sentence", letter & (in_sentence == 1)),
        **_questions(text, sentences),
    }
    return family_features("english", values)


def _function_words(text: str) -> Mask:
    spans = [match.span() for match in _WORD.finditer(text) if match[0].lower() in FUNCTION_WORDS]
    return covered(len(text), spans)


def _questions(text: str, sentences: Mask) -> dict[str, tuple[str, Mask]]:
    """Return sentences that end with a question mark, and what follows a question word that begins a sentence."""
    starts = np.flatnonzero(sentences).tolist()
    marked, introduced = [], []
    for start, end in pairwise([*starts, len(text)]):
        if text[max(start, end - 20) : end].rstrip(" \n\t\r\"'”’)]").endswith("?"):
            marked.append((start, end))
        match = _QUESTION_WORD.match(text, start, end)
        if match:
            introduced.append((match.end(), end))
    return {
        "question": (f"in a sentence that ends with a question mark {AHEAD}", covered(len(text), marked)),
        "question_word": (
            "in a sentence that began with who, what, is, do and the like",
            covered(len(text), introduced),
        ),
    }


FAMILY = fitted_to_texts(_family)
