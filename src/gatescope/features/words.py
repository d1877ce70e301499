"""Words: the word itself, its spelling, and its position. One value for each word (or token) that is read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from gatescope.features.feature import Family, Feature, fitted_to_texts
from gatescope.features.spans import AHEAD, family_features, nan_unless, shifted, since, visible
from gatescope.vocabulary import Vocabulary

MAX_CATEGORIES = 50  # words, and endings
ENDING_CHARACTERS = 3
TITLE = "which word it is, how it is written, where it stands"

_SENTENCE_END = re.compile(r"[.!?。！？…]+|\.\.\.")
_CLOSING = frozenset("\"'”’»)]")


def family(vocabulary: Vocabulary) -> Family:
    """Return the family of the words into which a vocabulary splits a text.

    A sentence begins at the start of the text, after an end mark, and after . ! ? and the quotation marks that close
    it.
    """

    def of_texts(texts: Sequence[str]) -> Family:
        words_of_texts = [[word for word in vocabulary.labels(text) if word != vocabulary.end] for text in texts]
        frequent = _frequent(word.lower() for word in chain(*words_of_texts))
        endings = _frequent(
            word.lower()[-ENDING_CHARACTERS:] for word in chain(*words_of_texts) if len(word) > ENDING_CHARACTERS
        )

        def annotate(text: str) -> Iterator[Feature]:
            words = vocabulary.labels(text)
            lower = [word.lower() if word != vocabulary.end else "" for word in words]
            yield from _category("words.is", "the word", lower, frequent)
            yield from _category("words.before", "the word before", ["", *lower][: len(lower)], frequent)
            word_endings = [word[-ENDING_CHARACTERS:] if len(word) > ENDING_CHARACTERS else "" for word in lower]
            yield from _category("words.ending", "the end of the word", word_endings, endings)
            yield from _spelling(words)
            yield from _positions(words, vocabulary.end)

        return Family("words", TITLE, annotate, per="step")

    return fitted_to_texts(of_texts)


def _frequent(words: Iterator[str]) -> tuple[str, ...]:
    """Return the most frequent words in descending order; ties by code point."""
    counts = Counter(words)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word))[:MAX_CATEGORIES])


def _category(name: str, title: str, words: Sequence[str], known: Sequence[str]) -> list[Feature]:
    """Return a category feature: which of the known words each word is; another word has no category."""
    if not known:
        return []
    number = {word: k for k, word in enumerate(known)}
    values = np.array([number.get(word, -1) for word in words], np.int16)
    return [Feature(name, title, values, tuple("".join(map(visible, word)) for word in known))]


def _is_punctuation(word: str) -> bool:
    return all(unicodedata.category(character)[0] in "PS" for character in word)


SPELLING: dict[str, tuple[str, Callable[[str], bool]]] = {
    "capital": ("a word that begins with a capital", lambda word: word[:1].isupper()),
    "capitals": ("a word of two or more capitals", lambda word: len(word) > 1 and word.isupper()),
    "digits": ("with a digit in it", lambda word: any(map(str.isdecimal, word))),
    "number": ("a number", lambda word: re.fullmatch(r"[+-]?\d+(?:[.,:/]\d+)*", word) is not None),
    "hyphen": ("with a hyphen inside", lambda word: "-" in word[1:-1]),
    "apostrophe": ("with an apostrophe inside", lambda word: re.search(r"\w['’]\w", word) is not None),
    "punctuation": ("a punctuation mark", _is_punctuation),
}
"""Name -> title and test of one word."""


def _spelling(words: Sequence[str]) -> list[Feature]:
    distinct_words = set(words)
    passed = {name: {word: test(word) for word in distinct_words} for name, (_, test) in SPELLING.items()}
    values = {
        name: (title, np.array([passed[name][word] for word in words], np.bool_))
        for name, (title, _) in SPELLING.items()
    }
    return family_features("words", {**values, "length": ("characters of the word", np.array(list(map(len, words))))})


def _positions(words: Sequence[str], end: str | None) -> list[Feature]:
    """Return the position of each word in its sentence and its text."""
    count = len(words)
    mark = np.array([word == end for word in words], np.bool_)
    closes = np.array([_SENTENCE_END.fullmatch(word) is not None for word in words], np.bool_) | mark
    # A closing quotation mark belongs to the sentence before it; every second straight mark is a closing one.
    in_quotes = False
    for k, word in enumerate(words):
        in_quotes ^= word == '"'
        if k and closes[k - 1] and not mark[k - 1] and word in _CLOSING and not in_quotes:
            closes[k], closes[k - 1] = True, False
    first = shifted(closes)
    first[:1] = True
    ends = np.append(first[1:] | mark[1:], True)[:count]
    starts = np.zeros(count, np.bool_)
    starts[:1] = True
    return family_features(
        "words",
        {
            "first": ("the first word of a sentence", first & ~mark),
            "last": (f"the last word of a sentence {AHEAD}", ends & ~mark),
            "in_sentence": ("words since the start of the sentence", nan_unless(~mark, since(first))),
            "in_sequence": ("words since the start of the text", since(starts)),
        },
    )
