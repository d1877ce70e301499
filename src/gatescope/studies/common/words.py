"""The words of a text, and what kind of character each symbol is, by Unicode's categories: for texts of any language.

A *word* is an unbroken run of letters, marks, numbers and underscores. A letter of a script that is written wide and
without spaces (Chinese, Japanese) makes a word with the one before it, if that is one too. *Punctuation* is what is of
the categories P and S and in no word; *white space* is Z and what Python splits at; a *newline* is what it ends a line
at. Of bytes, those above 127 are letters. Unknown characters are letters.

`P` place: a symbol of any sequence. `W` word. `V` symbol there is.
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
    """What kind of character each id is, (V + 2,): the symbols, the unknown one, and -1."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        def table(test: Callable[[str], bool], high: bool, unknown: bool) -> Truth:
            known = [
                high if vocabulary.bytes and symbol >= "\x80" else bool(test(symbol)) for symbol in vocabulary.symbols
            ]
            return np.array([*known, unknown, False])

        category = unicodedata.category
        self.word = table(_of_word, high=True, unknown=True)
        self.wide = table(
            lambda c: category(c) == "Lo" and unicodedata.east_asian_width(c) in "WF", high=False, unknown=False
        )
        self.newline = table(lambda c: len(f".{c}.".splitlines()) == 2, high=False, unknown=False)
        self.space = table(lambda c: c.isspace() or category(c)[0] == "Z", high=False, unknown=False)
        self.quote = table(lambda c: c in QUOTES or category(c) in ("Pi", "Pf"), high=False, unknown=False)
        self.punctuation = table(lambda c: category(c)[0] in "PS" and not _of_word(c), high=False, unknown=False)


def _of_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


class Words:
    """The words of a text.

    Attributes:
        of: the word that each place is in, (P,); -1 in none.
        starts: the first place of each word, (W,). A wide letter's word starts with the letter before it.
        ends: the place after each word, (W,).
        first: whether a place is the first of a word that is written between spaces, (P,).
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
        """Each word as bytes that are equal for equal words."""
        data, width = ids.astype(np.int32).tobytes(), 4
        bounds = zip((self.starts * width).tolist(), (self.ends * width).tolist(), strict=True)
        return [data[start:end] for start, end in bounds]

    def since(self, spelled: Sequence[bytes], sequence: Places) -> Numbers:
        """How far before its start each word started the last time, in the same sequence, (W,); infinite if never."""
        number: dict[bytes, int] = {}
        which = np.array([number.setdefault(word, len(number)) for word in spelled], np.int64)
        order = np.argsort(which, kind="stable")
        which, starts, of = which[order], self.starts[order], sequence[self.starts[order]]
        again = (which[1:] == which[:-1]) & (of[1:] == of[:-1])
        found = np.full(len(order), np.inf)
        found[order[1:]] = np.where(again, np.diff(starts), np.inf)
        return found
