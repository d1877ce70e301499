"""Baselines: predictors without a memory, or with a very simple one, that a network has to beat. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from jaxtyping import Float, Int

from gatescope.splitting import words_of
from gatescope.tasks.base.task import TaskError

MAX_LAGS = 50  # lags within one season at which the naive forecast is evaluated
MAX_SEASONS = 20  # candidate seasons that are tried, the most regular ones first
MIN_AUTOCORRELATION = 0.3  # of a season
MAX_ERROR_RATIO = 0.9  # the error of the seasonal forecast over that of the naive forecast


@dataclass(frozen=True)
class BagOfWords:
    """Multinomial naive Bayes: predicts the class of a text from its words, in any order.

    Words are those that the network reads, in lower case (see `gatescope.splitting`). Every occurrence counts; words
    that are not in the training texts are ignored. The count of each word in each class is increased by one.

    Attributes:
        words: word -> its row of `log_likelihood`.
        log_prior: (K,) log-probability of each class.
        log_likelihood: (V, K) log-probability of each word in each class.
        split: the function that cuts a text in lower case into words.

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
        """Count the words in each class. Classes that do not occur are never predicted.

        Args:
            texts: the N training texts.
            labels: the class of each text.
            classes: the number of classes, K.
            split: the function that cuts a text in lower case into words.

        Raises:
            TaskError: the texts are empty, or the number of labels is different.
        """
        if not texts or len(texts) != len(labels):
            raise TaskError("BASELINE_LABEL_COUNT", texts=len(texts), labels=len(labels))
        split_texts = [split(text.lower()) for text in texts]
        words: dict[str, int] = {}
        ids = np.array(
            [words.setdefault(word, len(words)) for word in chain.from_iterable(split_texts)], dtype=np.int64
        )
        owners = np.repeat(labels, [len(row) for row in split_texts])
        counts = np.bincount(ids * classes + owners, minlength=len(words) * classes).reshape(-1, classes) + 1.0
        with np.errstate(divide="ignore"):
            prior = np.log(np.bincount(labels, minlength=classes) / len(labels))
            return cls(words, prior, np.log(counts) - np.log(counts.sum(axis=0)), split)

    def log_probabilities(self, texts: Sequence[str]) -> Float[np.ndarray, "N K"]:
        """Return the log-probability of each class for each text."""
        ids_of_texts = [[self.words[w] for w in self.split(text.lower()) if w in self.words] for text in texts]
        ids = np.fromiter(chain.from_iterable(ids_of_texts), dtype=np.int64)
        owners = np.repeat(np.arange(len(texts)), [len(row) for row in ids_of_texts])
        joint = np.tile(self.log_prior, (len(texts), 1))
        for column in range(joint.shape[1]):
            weights = self.log_likelihood[ids, column]
            joint[:, column] += np.bincount(owners, weights=weights, minlength=len(texts))
        return joint - np.logaddexp.reduce(joint, axis=1, keepdims=True)

    def predict(self, texts: Sequence[str]) -> Int[np.ndarray, " N"]:
        """Return the most probable class of each text."""
        return self.log_probabilities(texts).argmax(axis=1)


@dataclass(frozen=True)
class MostFrequentLabel:
    """Predicts the most frequent label of each token, without its context.

    Attributes:
        labels: token -> its most frequent label; the lower number if two are equally frequent.
        unknown: the label of unseen tokens: the most frequent label among tokens that were seen once.
    """

    labels: dict[str, int]
    unknown: int

    @classmethod
    def fit(
        cls, sentences: Sequence[Sequence[str]], tags: Sequence[Int[np.ndarray, " _"]], classes: int
    ) -> MostFrequentLabel:
        """Count the labels of each token.

        Args:
            sentences: the tokens of each sentence.
            tags: the label of each token.
            classes: the number of labels.

        Raises:
            TaskError: the sentences are empty, or the number of labels is different.
        """
        if [len(row) for row in sentences] != [len(row) for row in tags] or not any(map(len, sentences)):
            raise TaskError("BASELINE_TAG_COUNT", tokens=sum(map(len, sentences)), tags=sum(map(len, tags)))
        tokens: dict[str, int] = {}
        ids = np.array([tokens.setdefault(token, len(tokens)) for token in chain.from_iterable(sentences)])
        cells = ids * classes + np.concatenate(list(tags))
        counts = np.bincount(cells, minlength=len(tokens) * classes).reshape(-1, classes)
        once = counts[counts.sum(axis=1) == 1]
        rare = once if len(once) else counts
        best = counts.argmax(axis=1).tolist()
        return cls({token: best[number] for token, number in tokens.items()}, int(rare.sum(axis=0).argmax()))

    def predict(self, tokens: Sequence[str]) -> Int[np.ndarray, " T"]:
        """Return the label of each token."""
        return np.array([self.labels.get(token, self.unknown) for token in tokens], dtype=np.int64)


def seasonal_naive(
    values: Float[np.ndarray, "T C"], origins: Int[np.ndarray, " N"], horizon: int, season: int = 1
) -> Float[np.ndarray, "N H C"]:
    """Forecast by repeating the last known season.

    Args:
        values: the series.
        origins: the first step of each of the N forecasts; origin t knows values[:t].
        horizon: H, the steps to forecast.
        season: steps of a season; 1: the naive forecast, which repeats the last value.

    Raises:
        TaskError: the season or the horizon is below 1, or an origin is outside the series or its first season.
    """
    if season < 1 or horizon < 1:
        raise TaskError("BASELINE_SEASON_OR_HORIZON", season=season, horizon=horizon)
    if origins.size and (origins.min() < season or origins.max() > len(values)):
        raise TaskError("BASELINE_ORIGINS", least=season, most=len(values), lowest=origins.min(), highest=origins.max())
    return values[origins[:, None] - season + np.arange(horizon) % season]


def find_season(training: Float[np.ndarray, "T C"], longest: int | None = None) -> int:
    """Find the number of steps in a season of the training part; 1: it has no season.

    The season is the highest peak of the autocorrelation, after a straight line is subtracted, that passes two tests:
    the autocorrelation is at least 0.3, and the value one season ago is a better forecast, by a tenth, than the values
    of the steps since. A random walk easily passes the first test and hardly ever the second. If a peak and a multiple
    of it both qualify, the shorter one is the season.

    Args:
        training: (T, C); all columns count the same, but columns on a straight line are ignored.
        longest: the longest season; None: a third of the series, so that it occurs three times.
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
    peaks = lags[(r[lags] > r[lags - 1]) & (r[lags] >= r[lags + 1]) & (r[lags] >= MIN_AUTOCORRELATION)]
    regular = peaks[np.argsort(-r[peaks], kind="stable")][:MAX_SEASONS].tolist()
    best = next((lag for lag in regular if _repeats(rest, lag)), 1)
    for lag in sorted(regular):
        times = round(best / lag)
        multiple = times > 1 and abs(best - times * lag) <= times // 2
        if multiple and r[lag] >= 0.9 * r[best] and _repeats(rest, lag):
            return lag
    return best


def calendar_season(training: Float[np.ndarray, "T C"], seasons: Sequence[int]) -> int:
    """Choose the calendar season that the training part has; 1: none of them.

    The season must pass the tests of `find_season` and occur twice. The shortest of nearly equally regular seasons
    is chosen.

    Args:
        training: (T, C), as in `find_season`.
        seasons: the candidates in steps, such as 24 and 168 for hourly values.
    """
    candidates = [season for season in seasons if 2 <= season <= len(training) // 2]
    if not candidates or (rest := _standard(training)).shape[1] == 0:
        return 1
    r = _autocorrelation(rest)
    regular = [season for season in candidates if r[season] >= MIN_AUTOCORRELATION and _repeats(rest, season)]
    return max(regular, key=lambda season: (r[season] >= 0.9 * max(r[regular]), -season), default=1)


def _standard(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T D"]:
    """Return the residuals of a straight-line fit to each column, with variance 1; drop columns on a straight line."""
    time = np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - values.mean(axis=0)
    rest = centred - time[:, None] * (time @ centred) / (time @ time)
    scale = rest.std(axis=0)
    varies = scale > 1e-9 * np.abs(values).max(axis=0)  # above rounding errors
    return rest[:, varies] / scale[varies]


def _autocorrelation(values: Float[np.ndarray, "T C"]) -> Float[np.ndarray, " T"]:
    """Return the autocorrelation at every lag, averaged over columns with mean 0 and variance 1."""
    T = len(values)
    size = 1 << (2 * T - 1).bit_length()
    spectrum = np.fft.rfft(values, size, axis=0)
    return np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[:T].mean(axis=1) / T


def _repeats(values: Float[np.ndarray, "T C"], season: int) -> bool:
    """Return whether the value one season ago is a better forecast than the values since then."""
    lags = np.unique(np.linspace(1, season, min(season, MAX_LAGS)).astype(np.int64)).tolist()
    errors = [np.abs(values[lag:] - values[:-lag]).mean() for lag in lags]
    return bool(errors[-1] <= MAX_ERROR_RATIO * np.mean(errors))
