"""Claims: the toy sentences of the task sentiment, made of eighteen words, with the class good or bad.

Tutorials on recurrent networks use a handful of such sentences, written by hand. This grammar generates all of them:

    sentence = [subject claim] | claim           subject = i am | this is | i was | this was
    ... [right now]  after am and is             ... [earlier]  after was
    claim    = part                              part    = [very | not | not very | not at all] adjective
             | simple and simple                 simple  = [very | not] adjective
             | plain not adjective               plain   = [very] adjective
             | (not | not at all) adjective or adjective

"not" negates the next adjective, and "or" extends the negation to one more adjective. The two parts of a claim have the
same meaning with different adjectives, so the words without their order do not determine the class: "good not bad",
"bad not good".
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
    """Return every sentence of the grammar with the number of its class."""
    labels: dict[str, int] = {}
    for claim, label in _claims():
        labels[claim] = label
        for subject, time in (
            ("i am", "right now"),
            ("this is", "right now"),
            ("i was", "earlier"),
            ("this was", "earlier"),
        ):
            labels[f"{subject} {claim}"] = label
            labels[f"{subject} {claim} {time}"] = label
    return labels


def part_of(sentence: str) -> int:
    """Return the part of a sentence: 0 training (7 of 10), 1 validation (1 of 10), 2 test (2 of 10).

    CRC-32 is stable across processes, unlike hash().
    """
    digit = zlib.crc32(sentence.encode()) % 10
    return 2 if digit < 2 else 1 if digit == 2 else 0


def memory(words: Sequence[str]) -> tuple[Bool[np.ndarray, " T"], Int[np.ndarray, " T"]]:
    """Follow the negation and the claim through any words.

    Returns:
        Whether a "not" still waits for its adjective after each word, (T,); and the last claim, (T,): 1 good, -1 bad, 0
        before any claim.
    """
    negations, claims = np.zeros(len(words), np.bool_), np.zeros(len(words), np.int64)
    pending = last_negated = False
    claim = 0
    for step, word in enumerate(words):
        if word == "not":
            pending = True
        elif word in ADJECTIVES:
            claim = 1 if (word in GOOD) != pending else -1
            pending, last_negated = False, pending
        elif word == "or":
            pending = pending or last_negated
        elif word not in ("very", "at", "all"):
            pending = False
        negations[step], claims[step] = pending, claim
    return negations, claims


def _claims() -> list[tuple[str, int]]:
    """Return every claim with its class."""
    parts = [(form, adjective) for form, adjective in product(("", "very", *_NEGATED), ADJECTIVES)]
    simple = [part for part in parts if part[0] in ("", "very", "not")]
    claims = [(_text(part), _class(part)) for part in parts]
    for first, second in product(simple, simple):
        if first[1] == second[1] or _class(first) != _class(second):
            continue
        claims.append((f"{_text(first)} and {_text(second)}", _class(first)))
        if first[0] != "not" and second[0] == "not":
            claims.append((f"{_text(first)} {_text(second)}", _class(first)))
    for form, adjectives in product(("not", "not at all"), (GOOD, BAD)):
        for first, second in (adjectives, adjectives[::-1]):
            claims.append((f"{form} {first} or {second}", _class((form, first))))
    return claims


def _text(part: tuple[str, str]) -> str:
    return " ".join(filter(None, part))


def _class(part: tuple[str, str]) -> int:
    form, adjective = part
    return int((adjective in GOOD) != (form in _NEGATED))
