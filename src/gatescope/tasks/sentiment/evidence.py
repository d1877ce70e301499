"""Evidence of the words read so far for the class of a text, regardless of their order.

Shapes: `T` step, `W` word, `W1` number of words read (0 to W), `K` class.
"""

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
"""Words that negate the words after them. Words that end in n't are negations, too."""

_CONTRACTED = ("n't", "n\N{RIGHT SINGLE QUOTATION MARK}t")
_PUNCTUATION = re.compile(r"[^\w\s]+")


def quantities(vocabulary: Vocabulary, text: str, baseline: BagOfWords | None) -> dict[str, Quantity]:
    """Compute the quantities of a text after each step, (T,) each.

    A word counts from its own step on. If the network reads characters, a word counts from the next character on,
    because before that it could continue.

    Args:
        vocabulary: a vocabulary of words, tokens or characters.
        text: the text.
        baseline: naive Bayes; None: no log-odds.

    Returns:
        "so_far": the number of words. With a baseline, "log_odds" and "word": the log-odds of the last class, by all
        words so far and by the last word; with more than two classes, also "log_odds_0" and so on, for each class.
        "unknown", if the network reads words. "negated": whether a negation is open.
    """
    counts, words = _words_after(vocabulary, text)
    quantities: dict[str, Quantity] = {"so_far": counts}
    if baseline is not None:
        by_all, by_last = evidence(baseline, words)
        quantities |= {"log_odds": by_all[counts, -1], "word": by_last[counts, -1]}
        if by_all.shape[1] > 2:
            quantities |= {f"log_odds_{k}": by_all[counts, k] for k in range(by_all.shape[1])}
    if vocabulary.in_words:
        quantities["unknown"] = vocabulary.encode(text) == vocabulary.unknown
    return quantities | {"negated": _with_leading_zero(negated(words))[counts]}


def at_steps(
    vocabulary: Vocabulary, text: str, annotate: Callable[[Sequence[str]], Sequence[NDArray[Any]]]
) -> list[NDArray[Any]]:
    """Return annotations of words as annotations of steps, (T,) each; 0 before the first word.

    Args:
        vocabulary: a vocabulary of words, tokens or characters.
        text: the text.
        annotate: words in lower case -> arrays with a value for each word.
    """
    counts, words = _words_after(vocabulary, text)
    return [_with_leading_zero(values)[counts] for values in annotate([word.lower() for word in words])]


def evidence(baseline: BagOfWords, words: Sequence[str]) -> tuple[Float[np.ndarray, "W1 K"], Float[np.ndarray, "W1 K"]]:
    """Return the one-vs-rest log-odds of each class after 0, 1, ... words: by all words, and by the last word alone.

    The baseline takes words as independent, so the log-likelihoods of all words add up. The log-odds of the last word
    are those of a text of this word, less those of an empty text.
    """
    log_probs = baseline.log_probabilities(["", *words])
    prior, of_words = log_probs[:1], log_probs - log_probs[0]
    return _log_odds(prior + np.cumsum(of_words, axis=0)), _log_odds(log_probs) - _log_odds(prior)


def negated(words: Sequence[str]) -> Bool[np.ndarray, " W"]:
    """Return whether each word is a negation, or follows one without a punctuation mark between them.

    Source: B. Pang, L. Lee and S. Vaithyanathan, Thumbs up? Sentiment classification using machine learning
    techniques, EMNLP 2002, section 6.1, after S. Das and M. Chen (2001).
    """
    place = np.arange(len(words))
    opens = [word.lower() in NEGATIONS or word.lower().endswith(_CONTRACTED) for word in words]
    closes = [_PUNCTUATION.fullmatch(word) is not None for word in words]
    opened = np.maximum.accumulate(np.where(np.array(opens, np.bool_), place, -1))
    closed = np.maximum.accumulate(np.where(np.array(closes, np.bool_), place, -1))
    return opened > closed


def _words_after(vocabulary: Vocabulary, text: str) -> tuple[Int[np.ndarray, " T"], list[str]]:
    """Return the number of complete words after each step, and the words without the end mark."""
    spans = vocabulary.spans(text)
    if vocabulary.in_words:
        pieces = [text[start:end] for start, end in spans.tolist()]
        is_word = np.array([piece != vocabulary.end for piece in pieces], np.bool_)
        return np.cumsum(is_word), [piece for piece in pieces if piece != vocabulary.end]
    matches = list(pattern_for(text, vocabulary.rule).finditer(text))
    ends = np.array([match.end() for match in matches], dtype=np.int64)
    return np.searchsorted(ends, spans[:, 0], side="right"), [match[0] for match in matches]


def _with_leading_zero(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values after a zero."""
    return np.concatenate([np.zeros(1, values.dtype), values])


def _log_odds(joint: Float[np.ndarray, "W K"]) -> Float[np.ndarray, "W K"]:
    """Return the one-vs-rest log-odds from unnormalised log-probabilities."""
    others = [np.logaddexp.reduce(np.delete(joint, k, axis=1), axis=1) for k in range(joint.shape[1])]
    return joint - np.stack(others, axis=1)
