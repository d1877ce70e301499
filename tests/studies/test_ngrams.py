"""n-gram models against a slow model written from the formulas of the paper, and against numbers worked by hand."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatescope.studies import StudyError
from gatescope.studies.common.ngrams import discounts, distribution, log_probabilities


class Reference:
    """Interpolated modified Kneser-Ney with dictionaries: one probability at a time, by recursion."""

    def __init__(self, training: list[int], size: int) -> None:
        self.size = size
        texts: list[list[int]] = [[]]
        for symbol in training:
            if symbol < 0:
                texts.append([])
            else:
                texts[-1].append(symbol)
        self.texts = texts
        self.tables: dict[tuple[int, bool], dict[tuple[int, ...], dict[int, int]]] = {}

    def table(self, order: int, raw: bool) -> dict[tuple[int, ...], dict[int, int]]:
        """Return context -> symbol -> count."""
        if (order, raw) not in self.tables:
            counts: Counter[tuple[int, ...]] = Counter()
            before: dict[tuple[int, ...], set[int]] = defaultdict(set)
            for text in self.texts:
                for start in range(len(text) - order + 1):
                    gram = tuple(text[start : start + order])
                    if gram[-1] < self.size:
                        counts[gram] += 1
                        before[gram].add(text[start - 1] if start else -1)
            if not raw:
                counts = Counter({gram: len(symbols) for gram, symbols in before.items()})
            table: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
            for gram, count in counts.items():
                table[gram[:-1]][gram[-1]] = count
            self.tables[order, raw] = dict(table)
        return self.tables[order, raw]

    def discount(self, order: int, raw: bool, count: int) -> float:
        of_counts = Counter(c for row in self.table(order, raw).values() for c in row.values())
        n1, n2, n3, n4 = (of_counts[r] for r in (1, 2, 3, 4))
        try:
            Y = n1 / (n1 + 2 * n2)
            if count == 1 and n1 * n2:
                discount = 1 - 2 * Y * n2 / n1
            elif count == 2 and n1 * n2 * n3:
                discount = 2 - 3 * Y * n3 / n2
            elif count >= 3 and n1 * n2 * n3 * n4:
                discount = 3 - 4 * Y * n4 / n3
            else:
                discount = 0
        except ZeroDivisionError:
            discount = 0
        return discount if discount > 0 else min(count, 3) / 2

    def probability(self, context: list[int], symbol: int, order: int, raw: bool = True) -> float:
        if order == 0:
            return 1 / self.size
        lower = self.probability(context, symbol, order - 1, raw=False)
        near = tuple(context[len(context) - order + 1 :]) if order > 1 else ()
        if len(context) < order - 1 or near not in self.table(order, raw):
            return lower
        row = self.table(order, raw)[near]
        total = sum(row.values())
        taken = {count: self.discount(order, raw, count) for count in set(row.values())}
        spare = sum(taken[count] for count in row.values())
        count = row.get(symbol, 0)
        return (count - (taken[count] if count else 0)) / total + spare / total * lower


def compare(training: list[int], texts: list[list[int]], size: int, longest: int) -> None:
    reference = Reference(training, size)
    given_texts = [np.array(text, np.int32) for text in texts]
    by_order = dict(log_probabilities(np.array(training, np.int32), given_texts, size, range(1, longest + 1)))
    assert list(by_order) == list(range(1, longest + 1))
    for order, values in by_order.items():
        expected = [
            math.log(reference.probability(text[:t], symbol, order)) if symbol < size else math.nan
            for text in texts
            for t, symbol in enumerate(text)
        ]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@settings(max_examples=60)
@given(data=st.data(), size=st.integers(1, 4), longest=st.integers(1, 6))
def test_every_order_equals_the_formulas(data: st.DataObject, size: int, longest: int) -> None:
    training = data.draw(st.lists(st.integers(-1, size), max_size=60))
    texts = data.draw(st.lists(st.lists(st.integers(0, size), max_size=12), max_size=3))
    compare(training, texts, size, longest)


@pytest.mark.parametrize(("size", "symbols", "longest"), [(2, 300, 20), (5, 1500, 7), (300, 1500, 3)])
def test_every_order_equals_formulas_with_estimated_discounts(size: int, symbols: int, longest: int) -> None:
    random = np.random.default_rng(size)
    # Frequencies fall fast, so that n-grams of every count occur.
    ids = np.minimum(random.geometric(4 / (size + 3), symbols) - 1, size - 1).tolist()
    compare(ids, [ids[100:160], random.integers(0, size, 60).tolist()], size, longest)


@pytest.mark.parametrize("size", [40, 70_000])
def test_long_ngrams_of_many_symbols_equal_the_formulas(size: int) -> None:
    # Too many bits for one sorting key, with repeated phrases, some of them slightly changed.
    random = np.random.default_rng(size)
    phrases = random.integers(0, size, (4, 30))
    ids = phrases[random.integers(0, 4, 20)].ravel()
    ids[random.integers(0, len(ids), 40)] = random.integers(0, size, 40)
    compare(ids.tolist(), [ids[100:150].tolist(), phrases[1].tolist()], size, 20)


@settings(max_examples=40)
@given(data=st.data(), size=st.integers(1, 5), order=st.integers(1, 20))
def test_distribution_sums_to_one(data: st.DataObject, size: int, order: int) -> None:
    training = np.array(data.draw(st.lists(st.integers(-1, size), max_size=80)), np.int64)
    context = np.array(data.draw(st.lists(st.integers(0, size), max_size=30)), np.int64)
    probabilities = distribution(training, context, size, order)
    assert probabilities.shape == (size,)
    assert (probabilities > 0).all()
    assert abs(probabilities.sum() - 1) < 1e-12


def test_distribution_equals_log_probabilities() -> None:
    training = np.array([0, 1, 2, 0, 1, 1, 0, 2, 2, 0, 1])
    context = np.array([2, 0, 1])
    for order in (1, 2, 3, 4, 9):
        whole = [next(log_probabilities(training, [np.append(context, k)], 3, [order]))[1][-1].item() for k in range(3)]
        np.testing.assert_allclose(distribution(training, context, 3, order), np.exp(whole), rtol=0, atol=1e-15)


def test_ngrams_worked_by_hand() -> None:
    # "aab" has two a and one b. At order 1, one symbol occurs once and one twice, so Y is 1/3. The discount of a count
    # of one is 1 - 2/3 = 1/3, that of a count of two is 1 (its default), and (1 + 1/3) / 3 is shared by both symbols.
    a, b = (2 - 1) / 3 + 4 / 9 / 2, (1 - 1 / 3) / 3 + 4 / 9 / 2
    order, log_probs = next(log_probabilities(np.array([0, 0, 1]), [np.array([0, 1])], 2, [1]))
    assert order == 1
    np.testing.assert_allclose(np.exp(log_probs), [a, b], rtol=0, atol=1e-15)
    # At order 2, aa and ab occur once and no pair twice, so each discount is 1/2, and 1/2 is shared. One order below,
    # a has two predecessors (the start and a) and b has one: 2 and 1, the same counts as above.
    _, log_probs = next(log_probabilities(np.array([0, 0, 1]), [np.array([0, 1])], 2, [2]))
    np.testing.assert_allclose(np.exp(log_probs), [a, 1 / 4 + b / 2], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # n = 10, 4, 2, 1: Y = 5/9.
        ([1] * 10 + [2] * 4 + [3] * 2 + [4, 9], [0, 5 / 9, 7 / 6, 17 / 9]),
        ([], [0, 1 / 2, 1, 3 / 2]),
        ([0, 0, 7], [0, 1 / 2, 1, 3 / 2]),
        ([1, 1, 2, 2], [0, 1 / 3, 1, 3 / 2]),
        # n = 6, 1, 3, 1: Y = 3/4 and D_2 = 2 - 27/4 is below zero.
        ([1] * 6 + [2] + [3] * 3 + [4], [0, 3 / 4, 1, 2]),
    ],
)
def test_discounts_equal_the_formulas(counts: list[int], expected: list[float]) -> None:
    np.testing.assert_allclose(discounts(np.array(counts, np.int64)), expected, rtol=0, atol=1e-15)


def test_ngrams_without_training_are_uniform() -> None:
    none: NDArray[np.int32] = np.empty(0, np.int32)
    for _, log_probs in log_probabilities(none, [np.array([0, 3, 1], np.int32), none], 4, [1, 2, 5]):
        np.testing.assert_allclose(log_probs, np.log([1 / 4] * 3), rtol=0, atol=1e-15)
    assert [log_probs.shape for _, log_probs in log_probabilities(none, [], 4, [2])] == [(0,)]


def test_ngram_orders_come_once_and_ascending() -> None:
    ids = np.array([0, 1, 0, 1, 1])
    assert [order for order, _ in log_probabilities(ids, [ids], 2, [3, 1, 3])] == [1, 3]
    alone = dict(log_probabilities(ids, [ids], 2, [3]))[3]
    np.testing.assert_array_equal(alone, dict(log_probabilities(ids, [ids], 2, range(1, 9)))[3])


@pytest.mark.parametrize(("orders", "size"), [([0, 1], 2), ([], 2), ([1], 0)])
def test_ngrams_refuse_invalid_orders(orders: list[int], size: int) -> None:
    with pytest.raises(StudyError, match="orders of at least 1 and at least one symbol"):
        next(log_probabilities(np.array([0]), [np.array([0])], size, orders))
