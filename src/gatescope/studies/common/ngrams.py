"""n-gram models of every order at once, by interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999).

For a context h of n - 1 symbols that was seen in training, the model of order n is

    P_n(w | h) = (c(hw) - D(c(hw))) / c(h.)  +  gamma(h) P'_{n-1}(w | h without its first symbol)

with the counts c of the training text at order n and, in every P'_k below it, *continuation counts*: by how many
different symbols the k-gram is preceded. gamma(h) is the share that the discounts D took off, so that P sums to 1.
P'_0 is uniform. What stands before the first symbol of a training text counts as one more symbol, so that every k-gram
has a continuation count. A context that was never seen, or that the text is too short to have, says nothing: P_n is
then P'_{n-1}.

The lower orders of all models are the same, so one pass from order 1 upwards gives all of them. The training text and
the texts to be predicted are sorted together by the symbols up to each place, read backwards: equal n-grams of any
order are then neighbours, and counting is a sum over neighbours. Nothing is hashed, so no two n-grams are confused.

`A` place in all texts, `G` different n-gram of an order, `H` of the order below, `P` symbol that is predicted,
`V` symbol there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.table import StudyError

Symbols = NDArray[np.integer[Any]]
BOUNDARY = 0  # the code of what stands before a text; symbol k has the code k + 1
KEY_BITS = 62  # of the whole numbers that are sorted


def log_probabilities(
    training: Symbols, texts: Sequence[Symbols], size: int, orders: Iterable[int]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """What n-gram models give each symbol of some texts, after those before it in the same text.

    Args:
        training: ids to count; -1 stands between texts. Ids from `size` on are read but never predicted.
        texts: ids to predict.
        size: how many symbols there are, V: every probability is over these.
        orders: which n; 1 looks at no context, n at n - 1 symbols.

    Yields:
        Each order, smallest first, with (P,) log-probabilities in nats: of the texts one after the other, NaN where
        an id is no symbol.

    Raises:
        StudyError: an order below 1, or no order or no symbol at all.
    """
    wanted = sorted(set(orders))
    if not wanted or wanted[0] < 1 or size < 1:
        raise StudyError("NGRAMS_ORDERS_INVALID", orders=wanted, symbols=size)
    places = _Places(training, texts, size, wanted[-1])
    lower = np.full(len(places.asked), 1 / size)
    for order in range(1, wanted[-1] + 1):
        places.lengthen()
        if order in wanted:
            found = np.full(len(places.known), np.nan)
            found[places.known] = np.log(places.interpolated(places.counts(), lower))
            yield order, found
        if order < wanted[-1]:
            lower = places.interpolated(places.continuations(), lower)


def distribution(training: Symbols, context: Symbols, size: int, order: int) -> NDArray[np.float64]:
    """The probability of every symbol after a context, (V,). For one place, not for a whole text.

    Args:
        training: ids to count, as in `log_probabilities`.
        context: the ids before the place, of which the last order - 1 matter.
        size: how many symbols there are.
        order: which n.

    Raises:
        StudyError: an order below 1, or no symbol at all.
    """
    near = np.asarray(context, np.int64)[max(0, len(context) - max(order, 1) + 1) :]
    texts = [np.append(near, symbol) for symbol in range(size)]
    _, found = next(log_probabilities(training, texts, size, [order]))
    return np.exp(found.reshape(size, -1)[:, -1])


def discounts(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the discounts of the counts 0, 1, 2, and 3 or more: (4,), the first of them 0.

    Chen and Goodman 1999, equation 17: with n_r the number of n-grams that occur r times and Y = n_1 / (n_1 + 2 n_2),
    D_r = r - (r + 1) Y n_{r+1} / n_r. Where one of n_1, n_2, n_r, n_{r+1} is zero there is nothing to estimate it
    from, and where D_r comes out at zero or below nothing would be left for what was not seen; D_r is then r / 2.

    Args:
        counts: of every n-gram of an order, (G,).
    """
    n = np.bincount(np.minimum(counts[counts > 0], 5), minlength=6).tolist()
    found = [0.0]
    for r in (1, 2, 3):
        told = min(n[1], n[2], n[r], n[r + 1]) > 0
        estimate = r - (r + 1) * n[1] / (n[1] + 2 * n[2]) * n[r + 1] / n[r] if told else 0.0
        found.append(estimate if estimate > 0 else r / 2)
    return np.array(found)


@dataclass(frozen=True)
class _Groups:
    """The n-grams of one order. In sorted order equal ones are neighbours and have one number.

    Attributes:
        of: the number of each sorted place, (A,), rising.
        starts: the first sorted place of each, (G,).
    """

    of: NDArray[np.int32]
    starts: NDArray[np.int64]


class _Places:
    """All texts one after the other, a boundary before each, and their n-grams of one order after the other.

    Attributes:
        known: of each id of the texts that are predicted, whether it is a symbol.
        asked: the places of those that are, (P,).
    """

    def __init__(self, training: Symbols, texts: Sequence[Symbols], size: int, longest: int) -> None:
        parts = [_coded(text, size) for text in (training, *texts)]
        ends = longest + np.cumsum([1 + len(part) for part in parts])  # so that the longest n-gram looks at a boundary
        codes = np.zeros(ends[-1], np.int64)
        given = np.zeros(ends[-1], np.bool_)
        for end, part in zip(ends.tolist(), parts, strict=True):
            codes[end - len(part) : end] = part
            given[end - len(part) : end] = end > ends[0]
        places = np.arange(len(codes))
        # How many symbols there are since the last boundary, the place included.
        depth = places - np.maximum.accumulate(np.where(codes == BOUNDARY, places, 0))
        symbol = (codes > BOUNDARY) & (codes <= size)
        self.known = symbol[given]
        self.asked = np.flatnonzero(given & symbol)
        self._codes = codes
        self._sorted = _sort(codes, longest)
        # The longest n-gram that ends at each sorted place and is to be counted.
        self._reach = np.where(symbol & (places < ends[0]), depth, 0)[self._sorted].astype(np.int32)
        self._order = 0
        self._by_place = np.zeros(len(codes), np.int32)  # one n-gram of order 0 ends everywhere
        self._groups = _Groups(self._by_place, np.zeros(1, np.int64))
        self._longer = self._groups
        self._contexts, self._context_count = self._by_place, 1
        self._longer = self._refined(1)

    def lengthen(self) -> None:
        """Go on to the n-grams of the next order, which `continuations` has found (order 1 is there already)."""
        self._order += 1
        self._contexts, self._context_count = self._by_place, len(self._groups.starts)
        self._groups = self._longer
        self._by_place = np.empty_like(self._contexts)
        self._by_place[self._sorted] = self._groups.of

    def counts(self) -> NDArray[np.int64]:
        """How often each n-gram occurs in the training text, (G,)."""
        return np.bincount(self._groups.of[self._reach >= self._order], minlength=len(self._groups.starts))

    def continuations(self) -> NDArray[np.int64]:
        """How many different symbols each n-gram follows in the training text, the start of a text being one, (G,).

        These are the n-grams of the next order, to which `lengthen` then goes.
        """
        self._longer = longer = self._refined(self._order + 1)
        seen = np.bincount(longer.of[self._reach >= self._order], minlength=len(longer.starts)) > 0
        return np.bincount(self._groups.of[longer.starts[seen]], minlength=len(self._groups.starts))

    def interpolated(self, counts: NDArray[np.int64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities of what is asked, from counts (G,) and from the probabilities of the order below, (P,)."""
        off = discounts(counts)
        seen = np.flatnonzero(counts)
        context = self._contexts[self._sorted[self._groups.starts[seen]] - 1]
        total = np.bincount(context, counts[seen], self._context_count)
        spare = np.bincount(context, off[np.minimum(counts[seen], 3)], self._context_count)
        own = counts[self._by_place[self.asked]]
        within = self._contexts[self.asked - 1]  # one that reaches over a boundary was never counted
        divisor = total[within]
        kept = own - off[np.minimum(own, 3)] + spare[within] * lower
        return np.where(divisor > 0, kept / np.maximum(divisor, 1), lower)

    def _refined(self, order: int) -> _Groups:
        """The n-grams of an order, from those of the order below: a run of equal ones is cut where a symbol changes."""
        below = self._groups
        first = np.zeros(len(self._codes), np.bool_)
        first[below.starts] = True
        rest = np.flatnonzero(~first)
        symbol = self._codes[np.maximum(self._sorted - (order - 1), 0)]
        first[rest] = symbol[rest] != symbol[rest - 1]
        return _Groups(np.cumsum(first, dtype=np.int32) - 1, np.flatnonzero(first))


def _coded(ids: Symbols, size: int) -> NDArray[np.int64]:
    """Ids as codes: what is below 0 is a boundary, and all that is no symbol is the same."""
    return np.clip(np.asarray(ids, np.int64), -1, size) + 1


def _sort(codes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The places in the order of the `length` symbols (or a few more) up to each, the last symbol first.

    As many symbols as fit are packed into one number and sorted; the ranks found are then the symbols of the next,
    wider packing (prefix doubling, Manber and Myers 1993), until they reach back that far.
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
