"""Sentences of eighteen words that say something good or bad, and which of the two: the toy set of sentiment.

Tutorials on recurrent networks use a handful of such sentences, written by hand. Here a small grammar makes all of
them:

    sentence = [subject claim] | claim           subject = i am | this is | i was | this was
    ... [right now]  behind am and is            ... [earlier]  behind was
    claim    = part                              part    = [very | not | not very | not at all] adjective
             | simple and simple                 simple  = [very | not] adjective
             | plain not adjective               plain   = [very] adjective
             | (not | not at all) adjective or adjective

"not" turns what follows it round, up to its adjective, and "or" carries it on to the next one. The two parts of a
claim say the same with different adjectives, so the words alone do not tell: "good not bad", "bad not good".
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
from jaxtyping import Bool, Int

GOOD, BAD = ("good", "happy"), ("bad", "sad")
ADJECTIVES = (*GOOD, *BAD)
WORDS = (
    *ADJECTIVES,
    "not",
    "very",
    "i",
    "am",
    "this",
    "is",
    "was",
    "earlier",
    "right",
    "now",
    "at",
    "all",
    "and",
    "or",
)
CLASSES = ("bad", "good")

_NEGATED = ("not", "not very", "not at all")


@cache
def sentences() -> dict[str, int]:
    """Every sentence of the grammar, and the number of its class."""
    found: dict[str, int] = {}
    for claim, label in _claims():
        found[claim] = label
        for subject, time in (
            ("i am", "right now"),
            ("this is", "right now"),
            ("i was", "earlier"),
            ("this was", "earlier"),
        ):
            found[f"{subject} {claim}"] = label
            found[f"{subject} {claim} {time}"] = label
    return found


def part_of(sentence: str) -> int:
    """Which part a sentence belongs to: 0 training (7 of 10), 1 validation (1 of 10), 2 test (2 of 10).

    CRC-32 never changes, unlike hash().
    """
    drawn = zlib.crc32(sentence.encode()) % 10
    return 2 if drawn < 2 else 1 if drawn == 2 else 0


def memory(words: Sequence[str]) -> tuple[Bool[np.ndarray, " T"], Int[np.ndarray, " T"]]:
    """After each of some words, whether a "not" waits for its adjective; and what was claimed last.

    Returns: the second is 1 (good), -1 (bad), or 0 before any claim. Both are defined for any words.
    """
    waits, said = np.zeros(len(words), np.bool_), np.zeros(len(words), np.int64)
    pending = turned = False
    claimed = 0
    for step, word in enumerate(words):
        if word == "not":
            pending = True
        elif word in ADJECTIVES:
            claimed = 1 if (word in GOOD) != pending else -1
            pending, turned = False, pending
        elif word == "or":
            pending = pending or turned
        elif word not in ("very", "at", "all"):
            pending = False
        waits[step], said[step] = pending, claimed
    return waits, said


def _claims() -> list[tuple[str, int]]:
    """Every claim with its class."""
    parts = [(form, adjective) for form, adjective in product(("", "very", *_NEGATED), ADJECTIVES)]
    simple = [part for part in parts if part[0] in ("", "very", "not")]
    found = [(_text(part), _class(part)) for part in parts]
    for first, second in product(simple, simple):
        if first[1] == second[1] or _class(first) != _class(second):
            continue
        found.append((f"{_text(first)} and {_text(second)}", _class(first)))
        if first[0] != "not" and second[0] == "not":
            found.append((f"{_text(first)} {_text(second)}", _class(first)))
    for form, same in product(("not", "not at all"), (GOOD, BAD)):
        for first, second in (same, same[::-1]):
            found.append((f"{form} {first} or {second}", _class((form, first))))
    return found


def _text(part: tuple[str, str]) -> str:
    return " ".join(filter(None, part))


def _class(part: tuple[str, str]) -> int:
    form, adjective = part
    return int((adjective in GOOD) != (form in _NEGATED))
