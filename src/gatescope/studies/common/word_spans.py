"""The words of a text, and the kind of each character, by Unicode's categories: for texts of any language.

A *word* is an unbroken run of letters, marks, numbers and underscores. In scripts that are written wide and without
spaces (Chinese, Japanese), a letter forms a word with the wide letter before it. *Punctuation* has the categories P and
S and is in no word. *White space* has the category Z or is white space for Python; a *newline* ends a line for Python.
Bytes above 127 and unknown characters are letters.

`P` place: a symbol of any sequence. `W` word. `V` symbol of the vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gatescope.vocabulary import Vocabulary

Places = NDArray[np.int64]
Truth = NDArray[np.bool_]
Numbers = NDArray[np.float64]

QUOTES = "\"'`„‚＂＇「『"  # besides what Unicode calls an initial or final quotation mark


class Classes:
    """The kind of character of each id, (V + 2,) for the symbols, the unknown symbol, and -1.

    Attributes:
        word: part of a word.
        wide: a letter of a script that is written wide and without spaces.
        newline: ends a line.
        space: white space.
        quote: a quotation mark.
        punctuation: a punctuation mark or another sign.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        def table(test: Callable[[str], bool], high: bool, unknown: bool) -> Truth:
            known = [
                high if vocabulary.bytes and symbol >= "\x80" else bool(test(symbol)) for symbol in vocabulary.symbols
            ]
            return np.array([*known, unknown, False])

        category = unicodedata.category
        self.word = table(_in_word, high=True, unknown=True)
        self.wide = table(
            lambda c: category(c) == "Lo" and unicodedata.east_asian_width(c) in "WF", high=False, unknown=False
        )
        self.newline = table(lambda c: len(f".{c}.".splitlines()) == 2, high=False, unknown=False)
        self.space = table(lambda c: c.isspace() or category(c)[0] == "Z", high=False, unknown=False)
        self.quote = table(lambda c: c in QUOTES or category(c) in ("Pi", "Pf"), high=False, unknown=False)
        self.punctuation = table(lambda c: category(c)[0] in "PS" and not _in_word(c), high=False, unknown=False)


def _in_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


class Words:
    """The words of a text.

    Attributes:
        of: the word of each place, (P,); -1 outside words.
        starts: the first place of each word, (W,). The word of a wide letter starts with the letter before it.
        ends: the place after each word, (W,).
        first: true at the first place of each word that is written between spaces, (P,).
    """

    def __init__(self, ids: Places, begins: Truth, classes: Classes) -> None:
        wide, word = classes.wide[ids], classes.word[ids]
        run = word & ~wide
        joined = run[1:] & run[:-1] & ~begins[1:]
        self.first = run & ~np.append(False, joined)[: len(ids)]
        last = run & ~np.append(joined, False)[: len(ids)]
        begun = self.first | wide
        self.of = np.where(word, np.cumsum(begun) - 1, -1)
        place = np.flatnonzero(begun)
        paired = np.append(False, wide[1:] & wide[:-1] & ~begins[1:])[: len(ids)]
        self.starts = place - paired[place]
        self.ends = np.flatnonzero(last | wide) + 1

    def spelled(self, ids: Places) -> list[bytes]:
        """Return each word as bytes; equal words have equal bytes."""
        data, width = ids.astype(np.int32).tobytes(), 4
        bounds = zip((self.starts * width).tolist(), (self.ends * width).tolist(), strict=True)
        return [data[start:end] for start, end in bounds]

    def since(self, spelled: Sequence[bytes], sequence: Places) -> Numbers:
        """Return the distance from the start of each word back to its last occurrence in the same sequence, (W,).

        Infinite if the word has not occurred before.
        """
        numbers: dict[bytes, int] = {}
        number = np.array([numbers.setdefault(word, len(numbers)) for word in spelled], np.int64)
        order = np.argsort(number, kind="stable")
        number, starts, sequences = number[order], self.starts[order], sequence[self.starts[order]]
        repeated = (number[1:] == number[:-1]) & (sequences[1:] == sequences[:-1])
        distances = np.full(len(order), np.inf)
        distances[order[1:]] = np.where(repeated, np.diff(starts), np.inf)
        return distances
