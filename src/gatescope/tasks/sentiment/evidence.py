"""What the words of a text say of its class so far, as a reader without a sense of order knows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from gatescope.splitting import pattern_for
from gatescope.tasks.base.task import Quantity
from gatescope.tasks.measures.baselines import BagOfWords
from gatescope.vocabulary import Vocabulary

NEGATIONS = frozenset(
    ("not", "n't", "no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "cannot", "without")
)
"""Words that turn round what follows; besides them all that end in n't."""

_CONTRACTED = ("n't", "n\N{RIGHT SINGLE QUOTATION MARK}t")
_PUNCTUATION = re.compile(r"[^\w\s]+")


def quantities(vocabulary: Vocabulary, text: str, baseline: BagOfWords | None) -> dict[str, Quantity]:
    """After each step of a text (T,): how many words so far, what they say, whether the last one is behind a negation.

    A word counts from its own step on. Of characters, it counts as soon as the one behind it was read: before that it
    could go on.

    Arguments:
        vocabulary: of words, tokens or characters.
        baseline: what knows the words; None: what they say is left out.

    Returns: "so_far"; with a baseline "log_odds" and "word", the log-odds of the last class against all others by all
        words so far and by the last one; of more than two classes besides, of each of them, "log_odds_0" and so on;
        "unknown" (of words) and "negated".
    """
    after, words = _known_after(vocabulary, text)
    found: dict[str, Quantity] = {"so_far": after}
    if baseline is not None:
        by_all, by_last = evidence(baseline, words)
        found |= {"log_odds": by_all[after, -1], "word": by_last[after, -1]}
        if by_all.shape[1] > 2:
            found |= {f"log_odds_{k}": by_all[after, k] for k in range(by_all.shape[1])}
    if vocabulary.in_words:
        found["unknown"] = vocabulary.encode(text) == vocabulary.unknown
    return found | {"negated": _from_nothing(negated(words))[after]}


def at_steps(
    vocabulary: Vocabulary, text: str, annotate: Callable[[Sequence[str]], Sequence[NDArray[Any]]]
) -> list[NDArray[Any]]:
    """What a function says after each word, in small letters, after each step (T,); zero before the first word."""
    after, words = _known_after(vocabulary, text)
    return [_from_nothing(values)[after] for values in annotate([word.lower() for word in words])]


def evidence(baseline: BagOfWords, words: Sequence[str]) -> tuple[Float[np.ndarray, "W1 K"], Float[np.ndarray, "W1 K"]]:
    """The log-odds of each class against all others after 0, 1, ... words: by all of them, and by the last alone.

    To the baseline words are independent, so the log-likelihoods of all of them are added up. What the last word says
    is how far it moves the log-odds from those before any word.
    """
    told = baseline.log_probabilities(["", *words])
    prior, each = told[:1], told - told[0]
    return _log_odds(prior + np.cumsum(each, axis=0)), _log_odds(told) - _log_odds(prior)


def negated(words: Sequence[str]) -> Bool[np.ndarray, " W"]:
    """Whether the last word is a negation, or stands behind one with no punctuation mark in between.

    Source: B. Pang, L. Lee and S. Vaithyanathan, Thumbs up? Sentiment classification using machine learning
    techniques, EMNLP 2002, section 6.1, after S. Das and M. Chen (2001).
    """
    place = np.arange(len(words))
    opens = [word.lower() in NEGATIONS or word.lower().endswith(_CONTRACTED) for word in words]
    closes = [_PUNCTUATION.fullmatch(word) is not None for word in words]
    opened = np.maximum.accumulate(np.where(np.array(opens, np.bool_), place, -1))
    closed = np.maximum.accumulate(np.where(np.array(closes, np.bool_), place, -1))
    return opened > closed


def _known_after(vocabulary: Vocabulary, text: str) -> tuple[Int[np.ndarray, " T"], list[str]]:
    """How many words are known after each step; and the words, without the end mark."""
    spans = vocabulary.spans(text)
    if vocabulary.in_words:
        read = [text[start:end] for start, end in spans.tolist()]
        is_word = np.array([word != vocabulary.end for word in read], np.bool_)
        return np.cumsum(is_word), [word for word in read if word != vocabulary.end]
    matches = list(pattern_for(text, vocabulary.rule).finditer(text))
    ends = np.array([match.end() for match in matches], dtype=np.int64)
    return np.searchsorted(ends, spans[:, 0], side="right"), [match[0] for match in matches]


def _from_nothing(values: NDArray[Any]) -> NDArray[Any]:
    """With a zero before the first."""
    return np.concatenate([np.zeros(1, values.dtype), values])


def _log_odds(joint: Float[np.ndarray, "W K"]) -> Float[np.ndarray, "W K"]:
    """The log-odds of each class against all others, of log-probabilities up to a number for each row."""
    others = [np.logaddexp.reduce(np.delete(joint, k, axis=1), axis=1) for k in range(joint.shape[1])]
    return joint - np.stack(others, axis=1)
