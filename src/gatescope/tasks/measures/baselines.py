"""What can be done without a memory, or with a very simple one: what a network has to beat. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from jaxtyping import Float, Int

from gatescope.splitting import words_of

_LAGS = 50  # lags at which the naive forecast is tried within one season
_CANDIDATES = 20  # seasons that are tried, the most regular ones first
_REGULAR = 0.3  # the least autocorrelation of a season
_BETTER = 0.9  # of the error of the naive forecast, what that of the seasonal one may be at most


@dataclass(frozen=True)
class BagOfWords:
    """Tells the class of a text from its words alone, whatever their order: multinomial naive Bayes.

    Words are what the network reads as words, in lower case (see `gatescope.splitting`). Each counts as often as it
    occurs; one that was not in the training texts says nothing. Of the count of each word in a class, one more than it
    is.

    Arguments:
        words: word -> its number.
        log_prior: (K,) log-probability of each class.
        log_likelihood: (V, K) log-probability of each word in each class.
        split: what cuts a text in lower case into words.

    Source: A. McCallum and K. Nigam, A comparison of event models for naive Bayes text classification, AAAI-98 workshop
    on learning for text categorization, equations 5-6.
    """

    words: dict[str, int]
    log_prior: Float[np.ndarray, " K"]
    log_likelihood: Float[np.ndarray, "V K"]
    split: Callable[[str], list[str]] = field(default=words_of, repr=False)

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        labels: Int[np.ndarray, " N"],
        classes: int,
        split: Callable[[str], list[str]] = words_of,
    ) -> BagOfWords:
        """The counts of the words in each class. Classes that do not occur are never predicted.

        Raises: ValueError for no texts, or not as many labels.
        """
        if not texts or len(texts) != len(labels):
            raise ValueError(f"Texts and as many labels were expected; got {len(texts)} and {len(labels)}.")
        found = [split(text.lower()) for text in texts]
        words: dict[str, int] = {}
        ids = np.array([words.setdefault(word, len(words)) for word in chain.from_iterable(found)], dtype=np.int64)
        owners = np.repeat(labels, [len(row) for row in found])
        counts = np.bincount(ids * classes + owners, minlength=len(words) * classes).reshape(-1, classes) + 1.0
        with np.errstate(divide="ignore"):
            prior = np.log(np.bincount(labels, minlength=classes) / len(labels))
            return cls(words, prior, np.log(counts) - np.log(counts.sum(axis=0)), split)

    def log_probabilities(self, texts: Sequence[str]) -> Float[np.ndarray, "N K"]:
        """The log-probability of each class for each text."""
        known = [[self.words[w] for w in self.split(text.lower()) if w in self.words] for text in texts]
        ids = np.fromiter(chain.from_iterable(known), dtype=np.int64)
        owners = np.repeat(np.arange(len(texts)), [len(found) for found in known])
        joint = np.tile(self.log_prior, (len(texts), 1))
        for column in range(joint.shape[1]):
            weights = self.log_likelihood[ids, column]
            joint[:, column] += np.bincount(owners, weights=weights, minlength=len(texts))
        return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)

    def predict(self, texts: Sequence[str]) -> Int[np.ndarray, " N"]:
        """The most probable class of each text."""
        return self.log_probabilities(texts).argmax(axis=1)


@dataclass(frozen=True)
class MostFrequentLabel:
    """Gives each token the label it has most often, whatever is around it.

    Arguments:
        labels: token -> its most frequent label; of two as frequent ones, the lower number.
        unknown: the label of tokens that were not seen: the most frequent one of the tokens that were seen once.
    """

    labels: dict[str, int]
    unknown: int

    @classmethod
    def fit(
        cls, sentences: Sequence[Sequence[str]], tags: Sequence[Int[np.ndarray, " _"]], classes: int
    ) -> MostFrequentLabel:
        """The counts of the labels of each token.

        Raises: ValueError for no tokens, or not as many labels.
        """
        if [len(row) for row in sentences] != [len(row) for row in tags] or not any(map(len, sentences)):
            raise ValueError("Tokens and as many labels were expected; got none, or sentences of other lengths.")
        tokens: dict[str, int] = {}
        ids = np.array([tokens.setdefault(token, len(tokens)) for token in chain.from_iterable(sentences)])
        cells = ids * classes + np.concatenate(list(tags))
        counts = np.bincount(cells, minlength=len(tokens) * classes).reshape(-1, classes)
        once = counts[counts.sum(axis=1) == 1]
        rare = once if len(once) else counts
        best = counts.argmax(axis=1).tolist()
        return cls({token: best[number] for token, number in tokens.items()}, int(rare.sum(axis=0).argmax()))

    def predict(self, tokens: Sequence[str]) -> Int[np.ndarray, " T"]:
        """The label of each token."""
        return np.array([self.labels.get(token, self.unknown) for token in tokens], dtype=np.int64)


def seasonal_naive(
    values: Float[np.ndarray, "T C"], origins: Int[np.ndarray, " N"], horizon: int, season: int = 1
) -> Float[np.ndarray, "N H C"]:
    """From each origin, each of the next steps is what it was at the same place of the last season that is known.

    Arguments:
        origins: how many steps each of the N forecasts knows: origin t knows values[:t] and forecasts from step t.
        horizon: H, how many steps are forecast.
        season: steps of a season; 1: the naive forecast, the last value again and again.

    Raises: ValueError for an origin that knows less than a season, or more than there is.
    """
    if season < 1 or horizon < 1:
        raise ValueError(f"A season and a horizon have one step or more; {season} and {horizon} were given.")
    if origins.size and (origins.min() < season or origins.max() > len(values)):
        raise ValueError(f"Origins go from {season} to {len(values)}; got {origins.min()} to {origins.max()}.")
    return values[origins[:, None] - season + np.arange(horizon) % season]


def find_season(training: Float[np.ndarray, "T C"], longest: int | None = None) -> int:
    """How many steps a season has, from the training part; 1: there is none.

    Of what a straight line leaves over, the highest peak of the autocorrelation, at least 0.3, where besides the value
    a season ago is a better forecast by a tenth than the values of the steps since then: a walk at random passes the
    first test easily, and hardly ever the second. Of a peak and its multiples, the first is the season.

    Arguments:
        training: (T, C); the columns count the same, those on a straight line not at all.
        longest: the longest season; None: a third of the series, so that it is seen three times.
    """
    T = len(training)
    limit = min(T // 3 if longest is None else longest, T - 2)
    if limit < 2:
        return 1
    rest = _standard(training)
    if rest.shape[1] == 0:
        return 1
    r = _autocorrelation(rest)
    lags = np.arange(2, limit + 1)
    peaks = lags[(r[lags] > r[lags - 1]) & (r[lags] >= r[lags + 1]) & (r[lags] >= _REGULAR)]
    regular = peaks[np.argsort(-r[peaks], kind="stable")][:_CANDIDATES].tolist()
    best = next((lag for lag in regular if _repeats(rest, lag)), 1)
    for lag in sorted(regular):
        times = round(best / lag)
        multiple = times > 1 and abs(best - times * lag) <= times // 2
        if multiple and r[lag] >= 0.9 * r[best] and _repeats(rest, lag):
            return lag
    return best


def calendar_season(training: Float[np.ndarray, "T C"], seasons: Sequence[int]) -> int:
    """Which of the seasons of a calendar the training part has; 1: none of them.

    It has to be as regular as one that `find_season` finds, and is seen twice. Of two as regular ones, the first.

    Arguments:
        training: (T, C), as in `find_season`.
        seasons: steps of each, such as 24 and 168 of hours.
    """
    seen = [season for season in seasons if 2 <= season <= len(training) // 2]
    if not seen or (rest := _standard(training)).shape[1] == 0:
        return 1
    r = _autocorrelation(rest)
    regular = [season for season in seen if r[season] >= _REGULAR and _repeats(rest, season)]
    return max(regular, key=lambda season: (r[season] >= 0.9 * max(r[regular]), -season), default=1)


def _standard(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T D"]:
    """What straight lines leave over of the columns, with variance 1; without the columns on a straight line."""
    time = np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - values.mean(axis=0)
    rest = centred - time[:, None] * (time @ centred) / (time @ time)
    scale = rest.std(axis=0)
    bent = scale > 1e-9 * np.abs(values).max(axis=0)  # more than rounding leaves
    return rest[:, bent] / scale[bent]


def _autocorrelation(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, " T"]:
    """At every lag, the mean of the columns, which have mean 0 and variance 1."""
    T = len(values)
    size = 1 << (2 * T - 1).bit_length()
    spectrum = np.fft.rfft(values, size, axis=0)
    return np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[:T].mean(axis=1) / T


def _repeats(values: Float[np.ndarray, "T C"], season: int) -> bool:
    """Whether the value a season ago is a better forecast than the values since then."""
    lags = np.unique(np.linspace(1, season, min(season, _LAGS)).astype(np.int64)).tolist()
    errors = [np.abs(values[lag:] - values[:-lag]).mean() for lag in lags]
    return bool(errors[-1] <= _BETTER * np.mean(errors))
