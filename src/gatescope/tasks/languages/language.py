"""Formal languages: which symbols may follow the beginning of a string, and when a network accepts a string.

A language has a rule and a distribution. The rule defines which symbols, or the end mark, may follow a beginning.
Strings are drawn from the distribution, so the best possible loss is known: its entropy. `places` returns both, and
every score is derived from them.

**A network accepts a string** when its prediction after every symbol but the end mark is correct. A symbol counts as
possible when its predicted probability is at least `floor`: half of the smallest true probability of a symbol where
there is a choice. A prediction is correct when

1. no symbol that the rule forbids is possible,
2. every symbol that is drawn there with at least twice the floor is possible (a smaller probability comes only from a
   limit on the length, and may be possible or not), and
3. where the rule allows only one symbol, its probability is at least one half, and that of every other symbol is less.

After beginnings that are never drawn, such as more digits than any trained string has, condition 2 requires the symbol
that comes next. After more a's than any trained string has, where training has shown that none can follow, only
conditions 1 and 3 apply.

**The gap** is the loss above the optimum: the mean Kullback-Leibler divergence between the true and the predicted
probabilities, over the drawn beginnings, in nats per predicted symbol. It is never negative. The
cross-entropy is the optimum plus the gap. The expectation over the next symbol is exact, not sampled.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.tasks.base.strings import StringTask
from gatescope.tasks.base.task import Predict, Probabilities, TaskError, predictions

CHUNK_SYMBOLS = 1 << 15  # predicted at a time in a search for the first failure


@dataclass(frozen=True)
class Places:
    """The symbols that may follow each of the T symbols of a string; its end mark is left out.

    Attributes:
        allowed: (T, V) the rule lets this symbol follow.
        likely: (T, V) its probability. After a beginning that is never drawn: 1 for a required symbol, otherwise 0.
        drawn: (T,) a drawn string can begin like this.
    """

    allowed: NDArray[np.bool_]
    likely: NDArray[np.float64]
    drawn: NDArray[np.bool_]


class LanguageTask(StringTask):
    """A task on a formal language.

    A subclass gives the rule and the distribution of the strings. The arguments of its `__init__`, apart from `batch`,
    describe the distribution and stand in task.json.
    """

    @property
    @abstractmethod
    def floor(self) -> float:
        """Half of the smallest probability that the rule gives to a symbol where there is a choice."""

    @property
    @abstractmethod
    def optimum(self) -> float:
        """The best possible loss: the entropy of the strings in nats per predicted symbol."""

    @abstractmethod
    def chance(self, strings: Sequence[str]) -> float:
        """Return the share of strings that the best guess accepts which knows only the present symbol."""

    @abstractmethod
    def places(self, string: str) -> Places:
        """Return what may follow each symbol of a string of the language."""

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Rebuild a task from what `to_json` returned.

        Raises:
            TaskError: `data` describes another task, or a setting has the wrong type or is out of its range.
        """
        batch = super().from_json(data).recommended.batch
        assert isinstance(data, dict)  # or StringTask.from_json refuses it
        types = get_type_hints(cls.__init__)
        settings: dict[str, Any] = {}
        for name, parameter in inspect.signature(cls).parameters.items():
            if name == "batch":
                continue
            value = data.get(name, parameter.default)
            if type(value) is int and not isinstance(value, types[name]):
                value = float(value)
            if isinstance(value, bool) or not isinstance(value, types[name]):
                raise TaskError("LANGUAGE_JSON_TYPE", name=name, expected=parameter.annotation, value=value)
            settings[name] = value
        return cls(batch, **settings)


@dataclass(frozen=True)
class Judgement:
    """The verdict on the predictions for one string of T symbols and an end mark.

    Attributes:
        right: (T,) whether the network is right after each symbol.
        divergence: the sum of the Kullback-Leibler divergences over the drawn beginnings, in nats.
        drawn: the number of drawn beginnings.
    """

    right: NDArray[np.bool_]
    divergence: float
    drawn: int

    @property
    def accepted(self) -> bool:
        """Whether the network is right after every symbol."""
        return bool(self.right.all())


def judge(predict: Predict, language: LanguageTask, strings: Sequence[str]) -> list[Judgement]:
    """Judge the predictions for strings of the language, each closed by the end mark."""
    ids = [language.vocabulary.encode(string)[:-1] for string in strings]
    log_probs = predictions(predict, ids, language.vocabulary.size)
    return [
        _judgement(np.asarray(rows, np.float64), language.places(string), language.floor)
        for string, rows in zip(strings, log_probs, strict=True)
    ]


@dataclass(frozen=True)
class Requirements:
    """The conditions of the module's docstring for each of T steps.

    Attributes:
        threshold: (T, 1) the smallest probability with which a symbol counts as possible.
        required: (T, V) the symbol must be possible.
        forbidden: (T, V) the symbol must not be possible.
    """

    threshold: NDArray[np.float64]
    required: NDArray[np.bool_]
    forbidden: NDArray[np.bool_]


def requirements(places: Places, floor: float) -> Requirements:
    """Return what a prediction must satisfy at each place."""
    certain = places.allowed.sum(1) == 1
    threshold = np.where(certain, 0.5, floor)[:, None]
    likely = places.likely >= 2 * threshold * (1 - 1e-9)
    return Requirements(threshold, places.allowed & (likely | certain[:, None]), ~places.allowed)


def _judgement(log_probs: Probabilities, places: Places, floor: float) -> Judgement:
    needed = requirements(places, floor)
    possible = log_probs >= np.log(needed.threshold)
    verdicts = ~(needed.required & ~possible | needed.forbidden & possible) & ~np.isnan(log_probs)
    true, predicted = places.likely[places.drawn], log_probs[places.drawn]
    divergence = (true * (np.log(np.where(true > 0, true, 1)) - np.where(true > 0, predicted, 0))).sum()
    return Judgement(np.logical_and.reduce(verdicts, axis=1), float(divergence), len(true))


def gap(judgements: Sequence[Judgement], weights: Sequence[float] | None = None) -> float:
    """Return the mean divergence in nats per predicted symbol, over weighted strings; NaN if nothing was drawn."""
    shares = np.ones(len(judgements)) if weights is None else np.asarray(weights, np.float64)
    drawn = float(shares @ [judgement.drawn for judgement in judgements])
    return float(shares @ [judgement.divergence for judgement in judgements]) / drawn if drawn else math.nan


def first_rejected(
    predict: Predict, language: LanguageTask, groups: Iterable[tuple[int, Sequence[str]]]
) -> tuple[int | None, int]:
    """Find the first group with a string that is rejected.

    Args:
        predict: the network.
        language: the task.
        groups: (number, strings) with rising numbers, such as the length; read only as far as needed.

    Returns:
        The number of that group, None if there is none, and the number of the last group that was tried.
    """
    pending: list[tuple[int, str]] = []
    last = 0
    for number, strings in groups:
        pending += [(number, string) for string in strings]
        last = number
        if sum(len(string) for _, string in pending) >= CHUNK_SYMBOLS:
            first = _smallest_rejected(predict, language, pending)
            if first is not None:
                return first, last
            pending = []
    return _smallest_rejected(predict, language, pending) if pending else None, last


def _smallest_rejected(predict: Predict, language: LanguageTask, numbered: Sequence[tuple[int, str]]) -> int | None:
    judgements = judge(predict, language, [string for _, string in numbered])
    rejected = (number for (number, _), result in zip(numbered, judgements, strict=True) if not result.accepted)
    return min(rejected, default=None)


def nats_of(language: LanguageTask, string: str) -> float:
    """Return -log of the probability of a string's symbols after the first, in nats; infinite if it is never drawn.

    This is the loss on the string of a network that knows the distribution.
    """
    places = language.places(string)
    following = language.vocabulary.encode(string)[1:]
    probabilities = places.likely[np.arange(len(following)), following]
    if not places.drawn.all() or not probabilities.all():
        return math.inf
    return -float(np.log(probabilities).sum())


def details(first_failure: int | None, tried: int, optimum: float, loss_gap: float) -> dict[str, Any]:
    """Return the details that every language's score has; a number that is not finite becomes None."""
    return {
        "first_failure": first_failure,
        "tried": tried,
        "cross_entropy": optimum + loss_gap if math.isfinite(loss_gap) else None,
        "optimum": optimum,
        "gap": loss_gap if math.isfinite(loss_gap) else None,
    }


def loss_text(optimum: float, loss_gap: float) -> Message:
    """Return the end of a score's sentence: the loss beside the best possible loss."""
    if not math.isfinite(loss_gap):
        return Message("SCORE_LOSS_UNBOUNDED", optimum=optimum)
    return Message("SCORE_LOSS_AND_OPTIMUM", loss=optimum + loss_gap, optimum=optimum)


def checked_integer(name: str, value: int, least: int, most: int) -> int:
    """Return a setting that must be an integer from `least` to `most`.

    Raises:
        TaskError: it is not.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        raise TaskError("LANGUAGE_INTEGER_OUT_OF_RANGE", name=name, least=least, most=most, value=value)
    return value


def checked_probability(name: str, value: float, least: float, most: float) -> float:
    """Return a setting that must be a probability from `least` to `most`.

    Raises:
        TaskError: it is not.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise TaskError("LANGUAGE_PROBABILITY_OUT_OF_RANGE", name=name, least=least, most=most, value=value)
    return float(value)
