"""The loss of a text network, averaged over many stretches of a text instead of one stream.

A recurrent network can have two attractors: one in which it predicts, and one in which it is stuck and predicts nothing
useful for as long as it reads. The first symbols of a stream decide which one it falls into, so the loss of one stream
means little. Here a text is cut into P stretches, and each is read from the initial state.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.tasks.base.task import Predict, Score, Validation, loss_sum, predictions
from gatescope.vocabulary import Vocabulary

STRETCHES = 100  # into which a text is cut, unless they would be too short or too long
STRETCH_SYMBOLS = (200, 2000)  # the shortest and the longest stretch
WARM_UP_SYMBOLS = 100  # read before a stretch and not counted: a few symbols cannot be predicted without context
MAX_VALIDATION_SYMBOLS = 64_000
MAX_TEST_SYMBOLS = 1_000_000
MAX_LOG_PROBABILITIES = 1 << 26  # computed at once: 256 MB in float32
TYPICAL_SHARE = 0.9  # of the stretches, the best ones, which decide about early stopping and the best weights

Symbols = NDArray[np.integer[Any]]
Bounds = tuple[int, int]


@dataclass(frozen=True)
class StretchLosses:
    """The loss on each of P stretches.

    Attributes:
        nats: (P,) the sum over the targets of each stretch.
        targets: (P,) the number of targets; unknown symbols do not count.
    """

    nats: Float[np.ndarray, " P"]
    targets: Int[np.ndarray, " P"]

    @property
    def mean(self) -> float:
        """The mean over all targets, in nats per symbol; NaN without targets."""
        count = int(self.targets.sum())
        return float(self.nats.sum()) / count if count else math.nan

    @property
    def typical(self) -> float:
        """The mean without the worst tenth of the stretches."""
        order = np.argsort(self.nats / np.maximum(1, self.targets), kind="stable")
        best = order[: math.ceil(TYPICAL_SHARE * len(order))]
        return StretchLosses(self.nats[best], self.targets[best]).mean


def stretches(symbols: int, most: int | None = None) -> list[Bounds]:
    """Cut a text into stretches of nearly equal length: about 100, of 200 to 2,000 symbols.

    Args:
        symbols: the length of the text.
        most: the most symbols of all stretches together; None: the stretches cover the text. With fewer, each is the
            beginning of one of the stretches that cover the text.

    Returns:
        The first symbol of each stretch, and the first symbol after it.
    """
    shortest, longest = STRETCH_SYMBOLS
    count = max(1, symbols // min(longest, max(shortest, symbols // STRETCHES)))
    edges = [symbols * k // count for k in range(count + 1)]
    length = symbols if most is None else max(2, most // count)
    return [(first, min(last, first + length)) for first, last in pairwise(edges)]


def stretch_losses(predict: Predict, ids: Symbols, bounds: list[Bounds], vocabulary: Vocabulary) -> StretchLosses:
    """Compute the loss on stretches of a text.

    Args:
        predict: the network.
        ids: the text.
        bounds: the first symbol of each stretch, and the first symbol after it. Reading starts from the initial state
            up to 100 symbols before the stretch. Those do not count, so every symbol of a stretch is a target, except
            the first symbol of the text.
        vocabulary: the vocabulary of the network.
    """
    sums: list[tuple[float, int]] = []
    for group in _groups(bounds, vocabulary.size):
        starts = [max(0, first - WARM_UP_SYMBOLS) for first, _ in group]
        pieces = [ids[start:last].astype(np.int32) for start, (_, last) in zip(starts, group, strict=True)]
        log_probs = predictions(predict, [piece[:-1] for piece in pieces], vocabulary.size)
        for (first, last), piece, rows in zip(group, pieces, log_probs, strict=True):
            skipped = len(rows) - (last - max(1, first))
            sums.append(loss_sum(rows[skipped:], piece[1 + skipped :], vocabulary.unknown))
    return StretchLosses(np.array([nats for nats, _ in sums]), np.array([count for _, count in sums]))


def validate_text(predict: Predict, ids: Symbols, vocabulary: Vocabulary) -> Validation:
    """Compute the loss on up to 64,000 symbols of a validation part, in stretches that are spread over all of it."""
    losses = stretch_losses(predict, ids, stretches(len(ids), MAX_VALIDATION_SYMBOLS), vocabulary)
    return Validation(losses.mean, losses.typical)


def score_text(predict: Predict, training: Symbols, test: Symbols, vocabulary: Vocabulary) -> Score:
    """Compute the cross-entropy on a test part, in nats per symbol.

    Args:
        predict: the network.
        training: the ids of the training part. Chance predicts the frequencies of its symbols.
        test: the ids of the test part; the first 1,000,000 are read.
        vocabulary: the vocabulary of the network.

    Returns:
        The score. Its sentence reports how the part was read, and in how many stretches the network is worse than
        chance, as a stuck network is.
    """
    ids = test[:MAX_TEST_SYMBOLS]
    bounds = stretches(len(ids))
    losses = stretch_losses(predict, ids, bounds, vocabulary)
    chance = unigram_losses(training, ids, bounds, vocabulary.size)
    worse = int((losses.nats > chance.nats).sum())
    unknown = int((ids == vocabulary.unknown).sum())
    unit = Message("SCORE_BYTE" if vocabulary.bytes else "SCORE_CHARACTER")
    bits = losses.mean / math.log(2)
    units = Message("SCORE_BYTES" if vocabulary.bytes else "SCORE_CHARACTERS")
    values = {"nats": losses.mean, "bits": bits, "total": len(test), "units": units, "unit": unit}
    if len(ids) < len(test):
        text = Message("SCORE_TEXT_BEGINNING", first=len(ids), **values)
    else:
        text = Message("SCORE_TEXT", **values)
    if len(bounds) > 1:
        text = Message("SCORE_TEXT_STRETCHES", text=text, stretches=len(bounds), before=WARM_UP_SYMBOLS, units=units)
    if worse and len(bounds) > 1:
        text = Message("SCORE_TEXT_WORSE_IN", text=text, worse=worse, stretches=len(bounds))
    elif worse:
        text = Message("SCORE_TEXT_WORSE", text=text)
    if unknown:
        text = Message("SCORE_TEXT_UNKNOWN", text=text, unknown=unknown)
    return Score(
        value=losses.mean,
        chance=chance.mean,
        solved=None,
        text=str(text),
        message=text,
        details={
            "bits": bits,
            "symbols": len(ids),
            "targets": int(losses.targets.sum()),
            "unknown": unknown,
            "stretches": len(bounds),
            "worse_than_chance": worse,
        },
        better="lower",
    )


def _groups(bounds: list[Bounds], size: int) -> Iterator[list[Bounds]]:
    """Yield groups of stretches whose log-probabilities fit into memory together, at least one stretch each."""
    group: list[Bounds] = []
    symbols = 0
    for first, last in bounds:
        length = WARM_UP_SYMBOLS + last - first
        if group and (symbols + length) * size > MAX_LOG_PROBABILITIES:
            yield group
            group, symbols = [], 0
        group.append((first, last))
        symbols += length
    yield group


def unigram_losses(training: Symbols, ids: Symbols, bounds: list[Bounds], size: int) -> StretchLosses:
    """Return the loss of predicting the symbol frequencies of the training part.

    Every count is increased by one, for symbols that do not occur in the training part.
    """
    counts = np.bincount(training, minlength=size)[:size] + 1.0
    costs = np.append(-np.log(counts / counts.sum()), np.zeros(1))  # an unknown symbol costs nothing
    targets = [ids[max(1, first) : last] for first, last in bounds]
    return StretchLosses(
        np.array([costs[ids].sum() for ids in targets]), np.array([int((ids < size).sum()) for ids in targets])
    )
