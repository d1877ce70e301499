"""n-gram models of every order at once, by interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999).

For a context h of n - 1 symbols that was seen in training, the model of order n is

    P_n(w | h) = (c(hw) - D(c(hw))) / c(h.)  +  gamma(h) P'_{n-1}(w | h without its first symbol)

with the counts c of the training text at order n and, in every P'_k below it, *continuation counts*: the number of
different symbols that precede the k-gram. gamma(h) is the probability that the discounts D free, so that P sums to 1.
P'_0 is uniform. The boundary before the first symbol of a training text counts as one more symbol, so that every k-gram
has a continuation count. If a context was never seen, or the text is too short to have one, P_n is P'_{n-1}.

The lower orders of all models are the same, so one pass from order 1 upwards gives all of them. The training text and
the texts to predict are sorted together by the symbols up to each place, read backwards. Equal n-grams of any
order are then neighbours, and counting is a sum over neighbours. Nothing is hashed, so no two n-grams are confused.

`A` place in all texts, `G` different n-gram of an order, `P` predicted symbol, `V` symbol of the vocabulary.

Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech & Language
13 (1999).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.table import StudyError

Symbols = NDArray[np.integer[Any]]
BOUNDARY = 0  # the code of the boundary before a text; symbol k has the code k + 1
KEY_BITS = 62  # of the integers that are sorted


def log_probabilities(
    training: Symbols, texts: Sequence[Symbols], size: int, orders: Iterable[int]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Compute the log-probabilities of the symbols of some texts by n-gram models of several orders.

    Args:
        training: ids to count; -1 stands between texts. Ids from `size` on are context but never predicted.
        texts: ids to predict, each symbol from the symbols before it in the same text.
        size: the number of symbols, V; every probability is over these.
        orders: the orders n; a model of order n has a context of n - 1 symbols.

    Yields:
        Each order, smallest first, with log-probabilities in nats, (P,), of the texts one after the other; NaN for an
        id that is not a symbol.

    Raises:
        StudyError: an order is below 1, or there is no order or no symbol.
    """
    ascending = sorted(set(orders))
    if not ascending or ascending[0] < 1 or size < 1:
        raise StudyError("NGRAMS_ORDERS_INVALID", orders=ascending, symbols=size)
    places = _Places(training, texts, size, ascending[-1])
    lower = np.full(len(places.predicted), 1 / size)
    for order in range(1, ascending[-1] + 1):
        places.lengthen()
        if order in ascending:
            log_probs = np.full(len(places.is_symbol), np.nan)
            log_probs[places.is_symbol] = np.log(places.interpolated(places.counts(), lower))
            yield order, log_probs
        if order < ascending[-1]:
            lower = places.interpolated(places.continuations(), lower)


def distribution(training: Symbols, context: Symbols, size: int, order: int) -> NDArray[np.float64]:
    """Compute the probability of every symbol after one context, (V,).

    Args:
        training: ids to count, as in `log_probabilities`.
        context: the ids before the symbol, of which the last order - 1 matter.
        size: the number of symbols.
        order: the order n.

    Raises:
        StudyError: the order is below 1, or there is no symbol.
    """
    near = np.asarray(context, np.int64)[max(0, len(context) - max(order, 1) + 1) :]
    texts = [np.append(near, symbol) for symbol in range(size)]
    _, log_probs = next(log_probabilities(training, texts, size, [order]))
    return np.exp(log_probs.reshape(size, -1)[:, -1])


def discounts(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the discounts of the counts 0, 1, 2, and 3 or more: (4,), the first of them 0.

    Chen and Goodman 1999, equation 17: with n_r the number of n-grams that occur r times and Y = n_1 / (n_1 + 2 n_2),
    D_r = r - (r + 1) Y n_{r+1} / n_r. D_r is r / 2 if one of n_1, n_2, n_r and n_{r+1} is zero, because there is no
    estimate; and if the estimate is zero or negative, because unseen symbols would get no probability.

    Args:
        counts: the count of every n-gram of an order, (G,).
    """
    n = np.bincount(np.minimum(counts[counts > 0], 5), minlength=6).tolist()
    values = [0.0]
    for r in (1, 2, 3):
        estimable = min(n[1], n[2], n[r], n[r + 1]) > 0
        estimate = r - (r + 1) * n[1] / (n[1] + 2 * n[2]) * n[r + 1] / n[r] if estimable else 0.0
        values.append(estimate if estimate > 0 else r / 2)
    return np.array(values)


@dataclass(frozen=True)
class _Groups:
    """The n-grams of one order. Equal n-grams are neighbours among the sorted places and share one number.

    Attributes:
        numbers: the number of the n-gram at each sorted place, (A,), ascending.
        starts: the first sorted place of each n-gram, (G,).
    """

    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]


class _Places:
    """All texts one after the other, with a boundary before each, and their n-grams, order by order.

    Attributes:
        is_symbol: true for each id of the predicted texts that is a symbol.
        predicted: the places of these symbols, (P,).
    """

    def __init__(self, training: Symbols, texts: Sequence[Symbols], size: int, longest: int) -> None:
        parts = [_coded(text, size) for text in (training, *texts)]
        ends = longest + np.cumsum([1 + len(part) for part in parts])  # room for the longest n-gram to read a boundary
        codes = np.zeros(ends[-1], np.int64)
        in_texts = np.zeros(ends[-1], np.bool_)
        for end, part in zip(ends.tolist(), parts, strict=True):
            codes[end - len(part) : end] = part
            in_texts[end - len(part) : end] = end > ends[0]
        places = np.arange(len(codes))
        # The number of symbols since the last boundary, this place included.
        depth = places - np.maximum.accumulate(np.where(codes == BOUNDARY, places, 0))
        symbol = (codes > BOUNDARY) & (codes <= size)
        self.is_symbol = symbol[in_texts]
        self.predicted = np.flatnonzero(in_texts & symbol)
        self._codes = codes
        self._sorted = _sort(codes, longest)
        # The length of the longest counted n-gram that ends at each sorted place.
        self._reach = np.where(symbol & (places < ends[0]), depth, 0)[self._sorted].astype(np.int32)
        self._order = 0
        self._by_place = np.zeros(len(codes), np.int32)  # one n-gram of order 0 ends everywhere
        self._groups = _Groups(self._by_place, np.zeros(1, np.int64))
        self._longer = self._groups
        self._contexts, self._context_count = self._by_place, 1
        self._longer = self._refined(1)

    def lengthen(self) -> None:
        """Go on to the n-grams of the next order, which `continuations` has prepared (order 1 needs no preparation)."""
        self._order += 1
        self._contexts, self._context_count = self._by_place, len(self._groups.starts)
        self._groups = self._longer
        self._by_place = np.empty_like(self._contexts)
        self._by_place[self._sorted] = self._groups.numbers

    def counts(self) -> NDArray[np.int64]:
        """Count how often each n-gram occurs in the training text, (G,)."""
        return np.bincount(self._groups.numbers[self._reach >= self._order], minlength=len(self._groups.starts))

    def continuations(self) -> NDArray[np.int64]:
        """Count the different symbols that precede each n-gram in the training text, (G,); a boundary is one of them.

        This prepares the n-grams of the next order for `lengthen`.
        """
        self._longer = longer = self._refined(self._order + 1)
        seen = np.bincount(longer.numbers[self._reach >= self._order], minlength=len(longer.starts)) > 0
        return np.bincount(self._groups.numbers[longer.starts[seen]], minlength=len(self._groups.starts))

    def interpolated(self, counts: NDArray[np.int64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of the predicted symbols, (P,).

        Args:
            counts: counts or continuation counts of the n-grams, (G,).
            lower: the probabilities by the order below, (P,).
        """
        discount = discounts(counts)
        seen = np.flatnonzero(counts)
        context = self._contexts[self._sorted[self._groups.starts[seen]] - 1]
        total = np.bincount(context, counts[seen], self._context_count)
        spare = np.bincount(context, discount[np.minimum(counts[seen], 3)], self._context_count)
        own = counts[self._by_place[self.predicted]]
        own_context = self._contexts[self.predicted - 1]  # a context that crosses a boundary was never counted
        divisor = total[own_context]
        numerator = own - discount[np.minimum(own, 3)] + spare[own_context] * lower
        return np.where(divisor > 0, numerator / np.maximum(divisor, 1), lower)

    def _refined(self, order: int) -> _Groups:
        """Return the n-grams of an order: runs of equal shorter n-grams, cut where one more symbol differs."""
        below = self._groups
        first = np.zeros(len(self._codes), np.bool_)
        first[below.starts] = True
        rest = np.flatnonzero(~first)
        symbol = self._codes[np.maximum(self._sorted - (order - 1), 0)]
        first[rest] = symbol[rest] != symbol[rest - 1]
        return _Groups(np.cumsum(first, dtype=np.int32) - 1, np.flatnonzero(first))


def _coded(ids: Symbols, size: int) -> NDArray[np.int64]:
    """Return ids as codes: negative ids become boundaries, and all ids from `size` on share one code."""
    return np.clip(np.asarray(ids, np.int64), -1, size) + 1


def _sort(codes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Sort the places by the `length` symbols (or a few more) up to each, the last symbol first.

    As many symbols as fit are packed into one integer and sorted. The ranks are then the symbols of the next, wider
    packing (prefix doubling, Manber and Myers 1993), until they cover `length` symbols.
    """
    rank, width = codes, 1
    while True:
        bits = max(1, int(rank.max(initial=0)).bit_length())
        pieces = max(1, min(KEY_BITS // bits, -(-length // width)))
        key = rank.copy()
        for piece in range(1, pieces):
            back = piece * width
            key <<= bits
            key[back:] |= rank[: len(rank) - back]
        order = np.argsort(key)
        width *= pieces
        if width >= length:
            return order
        ordered = key[order]
        rank = np.empty_like(key)
        rank[order] = np.cumsum(np.append(False, ordered[1:] != ordered[:-1]))
