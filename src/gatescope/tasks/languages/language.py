"""What the formal languages share: what may follow a string's beginning, and how a network is judged by it.

A language here is two things. Its rule says which symbols may follow a beginning (the end mark is one of them). And
the strings of a task are drawn with known probabilities, so the best possible loss is known: the entropy of that very
drawing. Both come from the language's `places`, and everything a score says is derived from them.

**A string is accepted** when the network is right after each of its symbols but the end mark. "Possible" means: with
at least the probability `floor`, which is half of the smallest probability that the language's rule gives to a symbol
where there is a choice. The network is right in a place where

1. no symbol that the rule forbids is possible,
2. every symbol that is drawn there with at least twice the floor is possible (a smaller probability comes only of a
   limit to the length of what is drawn, and is neither asked for nor forbidden), and
3. where the rule allows one symbol only, it has at least one half, and every other symbol less.

In places that are never drawn, such as after more digits than any trained string has, 2 asks for the symbol that comes;
but after more a's than any trained string has, where training says that none can follow, only 1 and 3 are asked.

**The gap** is the mean over the drawn places of the Kullback-Leibler divergence of the network's probabilities from
the true ones, in nats per predicted symbol: how much worse than the best possible the network does, never negative. The
cross-entropy is the optimum and the gap. The expectation over the next symbol is thereby exact, not sampled.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gatescope.tasks.base.strings import END, StringTask
from gatescope.tasks.base.task import Predict, Probabilities, TaskError, predictions
from gatescope.vocabulary import Vocabulary

CHUNK = 1 << 15  # symbols that are predicted at a time in a search for the first failure


@dataclass(frozen=True)
class Places:
    """What may follow each symbol of one string, its end mark left out.

    Arguments:
        allowed: (T, V) the rule lets this symbol follow.
        likely: (T, V) how probable it is; in places that are never drawn 1 for what is asked for, and otherwise 0.
        drawn: (T,) a drawn string can begin like this.
    """

    allowed: NDArray[np.bool_]
    likely: NDArray[np.float64]
    drawn: NDArray[np.bool_]


class Language(Protocol):
    """A rule, and a way to draw strings that follow it."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols, the end mark included."""
        ...

    @property
    def floor(self) -> float:
        """Half of the smallest probability that the rule gives to a symbol where there is a choice."""
        ...

    @property
    def optimum(self) -> float:
        """The entropy of the drawing in nats per predicted symbol: no network can do better."""
        ...

    def places(self, string: str) -> Places:
        """What may follow each symbol of a string of the language."""
        ...


@dataclass(frozen=True)
class Judgement:
    """How a network did on one string.

    Arguments:
        right: (T,) whether it was right after each symbol.
        divergence: the sum of the Kullback-Leibler divergences in the drawn places, in nats.
        drawn: the number of drawn places.
    """

    right: NDArray[np.bool_]
    divergence: float
    drawn: int

    @property
    def accepted(self) -> bool:
        """Whether it was right after every symbol."""
        return bool(self.right.all())


def judge(predict: Predict, language: Language, strings: Sequence[str]) -> list[Judgement]:
    """How a network does on strings of the language, each closed by the end mark."""
    ids = [language.vocabulary.encode(string)[:-1] for string in strings]
    rows = predictions(predict, ids, language.vocabulary.size)
    return [
        _judgement(np.asarray(given, np.float64), language.places(string), language.floor)
        for string, given in zip(strings, rows, strict=True)
    ]


def _judgement(rows: Probabilities, places: Places, floor: float) -> Judgement:
    likely = places.likely
    alone = places.allowed.sum(1) == 1
    limit = np.where(alone, 0.5, floor)[:, None]
    asked = (likely >= 2 * limit * (1 - 1e-9)) | (places.allowed & alone[:, None])
    possible = rows >= np.log(limit)
    right = np.logical_and.reduce(np.where(places.allowed, possible | ~asked, ~possible) & ~np.isnan(rows), axis=1)
    known = likely[places.drawn]
    divergence = (known * (np.log(np.where(known > 0, known, 1)) - np.where(known > 0, rows[places.drawn], 0))).sum()
    return Judgement(right, float(divergence), len(known))


def gap(judgements: Sequence[Judgement], weights: Sequence[float] | None = None) -> float:
    """The mean divergence in nats per predicted symbol, strings counted with weights; NaN where nothing was drawn."""
    shares = np.ones(len(judgements)) if weights is None else np.asarray(weights, np.float64)
    drawn = float(shares @ [one.drawn for one in judgements])
    return float(shares @ [one.divergence for one in judgements]) / drawn if drawn else math.nan


def first_rejected(
    predict: Predict, language: Language, groups: Iterable[tuple[int, Sequence[str]]]
) -> tuple[int | None, int]:
    """The number of the first group with a string that is not accepted, and the number up to which groups were tried.

    Arguments: groups of strings under rising numbers, such as their length; they are asked for only as far as needed.
    """
    waiting: list[tuple[int, str]] = []
    last = 0
    for number, strings in groups:
        waiting += [(number, string) for string in strings]
        last = number
        if sum(len(string) for _, string in waiting) >= CHUNK:
            first = _first(predict, language, waiting)
            if first is not None:
                return first, last
            waiting = []
    return _first(predict, language, waiting) if waiting else None, last


def _first(predict: Predict, language: Language, numbered: Sequence[tuple[int, str]]) -> int | None:
    found = judge(predict, language, [string for _, string in numbered])
    rejected = (number for (number, _), one in zip(numbered, found, strict=True) if not one.accepted)
    return min(rejected, default=None)


def nats_of(language: Language, string: str) -> float:
    """-log of the probability of a string's symbols after the first, in nats; infinite if it is never drawn.

    The least that a network can lose on it when it knows how strings are drawn, and no more.
    """
    places = language.places(string)
    following = language.vocabulary.encode(string)[1:]
    chosen = places.likely[np.arange(len(following)), following]
    if not places.drawn.all() or not chosen.all():
        return math.inf
    return -float(np.log(chosen).sum())


def details(first: int | None, tried: int, optimum: float, above: float) -> dict[str, Any]:
    """What every score of a language says beside its value; a number that is not finite is None."""
    return {
        "first_failure": first,
        "tried": tried,
        "cross_entropy": optimum + above if math.isfinite(above) else None,
        "optimum": optimum,
        "gap": above if math.isfinite(above) else None,
    }


def loss_text(optimum: float, above: float) -> str:
    """The end of the sentence of a score: the loss beside the best possible one."""
    if not math.isfinite(above):
        return f"the best possible loss is {optimum:.4f} nats per symbol, its own has no bound"
    return f"{optimum + above:.4f} nats per symbol where the best possible is {optimum:.4f}"


@cache
def symbols(letters: str) -> Vocabulary:
    """The vocabulary of a language: its letters and the end mark."""
    return Vocabulary((*letters, END), end=END)


def whole(name: str, value: int, least: int, most: int) -> int:
    """A setting that is a whole number from `least` to `most`. Raises: TaskError where it is not."""
    if isinstance(value, bool) or not least <= value <= most:
        raise TaskError("LANGUAGE_WHOLE_NUMBER_GIVEN", name=name, least=least, most=most, value=value)
    return value


def share(name: str, value: float, least: float, most: float) -> float:
    """A setting that is a probability from `least` to `most`. Raises: TaskError where it is not."""
    if not least <= value <= most:
        raise TaskError("LANGUAGE_PROBABILITY_GIVEN", name=name, least=least, most=most, value=value)
    return float(value)


class LanguageTask(StringTask):
    """A task of a language, whose arguments but `batch` say how its strings are drawn, and stand in its task.json."""

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The task that `to_json` wrote. Raises: TaskError where `data` is not this task, or cannot be drawn so."""
        batch = super().from_json(data).recommended.batch
        given = inspect.signature(cls).parameters
        usual = {name: parameter.default for name, parameter in given.items() if name != "batch"}
        return cls(batch, **_settings(data, usual))


def _settings(data: object, usual: dict[str, Any]) -> dict[str, Any]:
    """The settings in a task.json, the usual ones where it says nothing. Raises: TaskError where one is of no use."""
    found = {name: data.get(name, value) for name, value in usual.items()} if isinstance(data, dict) else usual
    for name, value in found.items():
        if isinstance(usual[name], str):
            if not isinstance(value, str):
                raise TaskError("LANGUAGE_LANGUAGE_WORD_GIVEN_DAMAGED", name=name, value=value)
        elif value is not None and type(value) not in (int, float):
            raise TaskError("LANGUAGE_LANGUAGE_NUMBER_NULL_GIVEN", name=name, value=value)
    return found
