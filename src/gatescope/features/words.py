"""Words: which one it is, how it is written, where it stands. One value for each word (or token) that is read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from gatescope.features.feature import Family, Feature
from gatescope.features.spans import AHEAD, named, only, shifted, since, visible
from gatescope.vocabulary import Vocabulary

MOST = 50  # words, and endings, that are told apart
ENDING = 3  # characters
TITLE = "which word it is, how it is written, where it stands"

_SENTENCE_END = re.compile(r"[.!?。！？…]+|\.\.\.")
_CLOSING = frozenset("\"'”’»)]")


def family(vocabulary: Vocabulary) -> Family:
    """The family of the words that this vocabulary finds in a text.

    A sentence begins at the start, behind an end mark, and behind . ! ? with the marks of quotation that close it.
    """

    def fitted(texts: Sequence[str]) -> Family:
        read = [[word for word in vocabulary.labels(text) if word != vocabulary.end] for text in texts]
        frequent = _frequent(word.lower() for word in chain(*read))
        endings = _frequent(word.lower()[-ENDING:] for word in chain(*read) if len(word) > ENDING)

        def annotate(text: str) -> Iterator[Feature]:
            words = vocabulary.labels(text)
            low = [word.lower() if word != vocabulary.end else "" for word in words]
            yield from _category("words.is", "the word", low, frequent)
            yield from _category("words.before", "the word before", ["", *low][: len(low)], frequent)
            tails = [word[-ENDING:] if len(word) > ENDING else "" for word in low]
            yield from _category("words.ending", "the end of the word", tails, endings)
            yield from _written(words)
            yield from _placed(words, vocabulary.end)

        return Family("words", TITLE, annotate, fitted, per="step")

    return Family("words", TITLE, lambda text: fitted([text]).annotate(text), fitted, per="step")


def _frequent(words: Iterator[str]) -> tuple[str, ...]:
    """The most frequent first, and of equally frequent ones the first by code points."""
    counts = Counter(words)
    return tuple(sorted(counts, key=lambda word: (-counts[word], word))[:MOST])


def _category(name: str, title: str, words: Sequence[str], known: Sequence[str]) -> list[Feature]:
    """Which of the known words each is; of no category where it is another."""
    if not known:
        return []
    number = {word: k for k, word in enumerate(known)}
    values = np.array([number.get(word, -1) for word in words], np.int16)
    return [Feature(name, title, values, tuple("".join(map(visible, word)) for word in known))]


def _mark(word: str) -> bool:
    return all(unicodedata.category(character)[0] in "PS" for character in word)


WRITTEN: dict[str, tuple[str, Callable[[str], bool]]] = {
    "capital": ("a word that begins with a capital", lambda word: word[:1].isupper()),
    "capitals": ("a word of two or more capitals", lambda word: len(word) > 1 and word.isupper()),
    "digits": ("with a digit in it", lambda word: any(map(str.isdecimal, word))),
    "number": ("a number", lambda word: re.fullmatch(r"[+-]?\d+(?:[.,:/]\d+)*", word) is not None),
    "hyphen": ("with a hyphen inside", lambda word: "-" in word[1:-1]),
    "apostrophe": ("with an apostrophe inside", lambda word: re.search(r"\w['’]\w", word) is not None),
    "punctuation": ("a punctuation mark", _mark),
}
"""Name -> title and test of one word."""


def _written(words: Sequence[str]) -> list[Feature]:
    different = set(words)
    passed = {name: {word: test(word) for word in different} for name, (_, test) in WRITTEN.items()}
    values = {
        name: (title, np.array([passed[name][word] for word in words], np.bool_))
        for name, (title, _) in WRITTEN.items()
    }
    return named("words", {**values, "length": ("characters of the word", np.array(list(map(len, words))))})


def _placed(words: Sequence[str], end: str | None) -> list[Feature]:
    """Where each word stands in its sentence and its text."""
    count = len(words)
    mark = np.array([word == end for word in words], np.bool_)
    closes = np.array([_SENTENCE_END.fullmatch(word) is not None for word in words], np.bool_) | mark
    # Marks that close a quotation belong to the sentence that they close; every second straight one closes.
    open_ = False
    for k, word in enumerate(words):
        open_ ^= word == '"'
        if k and closes[k - 1] and not mark[k - 1] and word in _CLOSING and not open_:
            closes[k], closes[k - 1] = True, False
    first = shifted(closes)
    first[:1] = True
    ends = np.append(first[1:] | mark[1:], True)[:count]
    starts = np.zeros(count, np.bool_)
    starts[:1] = True
    return named(
        "words",
        {
            "first": ("the first word of a sentence", first & ~mark),
            "last": (f"the last word of a sentence {AHEAD}", ends & ~mark),
            "in_sentence": ("words since the start of the sentence", only(~mark, since(first))),
            "in_sequence": ("words since the start of the text", since(starts)),
        },
    )
