"""Sampling: drawn as the network predicts, repeatable, and always text."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gatescope import Choice, Intervention, Network, Vocabulary, clamp, nudge, patch, sample
from gatescope.generator import Generator, GeneratorError
from gatescope.readout import Readout, classes
from gatescope.sampling import SamplingError, sample_many
from tests.networks import ALPHABET, network, seeds


def written(made: Network, prime: str = "ab", **settings_: Any) -> str:
    return "".join(sample(made, prime, **settings_))


def greedy_by_hand(made: Network, prime: str, length: int, *interventions: Intervention) -> str:
    """Return the text of greedy sampling, for which the network reads the whole text again for every symbol."""
    text = prime
    with torch.no_grad():
        for _ in range(length):
            ids = torch.from_numpy(ALPHABET.encode(text)).long().unsqueeze(1)
            text += ALPHABET.symbols[int(made(ids, interventions=interventions).logits[-1, 0].argmax())]
    return text.removeprefix(prime)


@given(st.sampled_from(["lstm", "gru", "slstm"]), seeds, st.text("abcdez", min_size=1, max_size=6))
@settings(max_examples=10, phases=(Phase.generate,))  # a smaller failing network would not be easier to read
def test_greedy_takes_the_most_probable_symbol(cell: str, seed: int, prime: str) -> None:
    made = network(cell, (4, 3), seed)
    expected = greedy_by_hand(made, prime, 12)
    assert written(made, prime, length=12, choice=Choice(greedy=True), seed=seed) == expected
    assert written(made, prime, length=12, choice=Choice(top_k=1), seed=seed) == expected
    assert written(made, prime, length=12, choice=Choice(top_p=1e-9), seed=seed) == expected
    assert written(made, prime, length=12, choice=Choice(temperature=1e-300), seed=seed) == expected


def test_seed_decides_the_text() -> None:
    made = network("lstm", (4,))
    assert written(made, seed=3) == written(made, seed=3)
    assert len({written(made, seed=seed) for seed in range(5)}) == 5
    assert len(written(made)) == 200
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    written(made)
    assert torch.equal(torch.rand(1), expected)  # the global generator is not used


LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.0, 0.0])


def frequencies(choice: Choice, draws: int = 4000) -> np.ndarray:
    generator = Generator(0)
    return np.bincount([choice.draw(LOGITS, generator) for _ in range(draws)], minlength=5)


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    assert (counts[expected == 0] == 0).all()
    means = expected[expected > 0] * counts.sum()
    return float(((counts[expected > 0] - means) ** 2 / means).sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_equal_the_softmax_at_a_temperature(temperature: float) -> None:
    expected = np.exp(LOGITS.double().numpy() / temperature)
    # With 4 degrees of freedom, chance exceeds 18.5 once in a thousand times; the seed is fixed.
    assert chi_square(frequencies(Choice(temperature)), expected / expected.sum()) < 18.5


@pytest.mark.parametrize("top_k", [1, 2, 3, 5, 99])
def test_top_k_keeps_the_k_most_probable(top_k: int) -> None:
    expected = np.exp(LOGITS.double().numpy())
    symbols = np.argsort(-expected)[:top_k]
    expected = np.where(np.isin(np.arange(5), symbols), expected, 0)
    assert chi_square(frequencies(Choice(top_k=top_k)), expected / expected.sum()) < 18.5


@pytest.mark.parametrize(
    ("top_p", "count"), [(1e-6, 1), (0.57, 1), (0.58, 2), (0.78, 2), (0.88, 3), (0.95, 4), (1.0, 5)]
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, count: int) -> None:
    """The probabilities add up to 0.576, 0.788, 0.893, 0.971 and 1, in order."""
    expected = np.exp(LOGITS.double().numpy())
    order = np.argsort(-expected)
    cumulative = np.cumsum(expected[order] / expected.sum())
    assert int((cumulative[:-1] < top_p).sum()) + 1 == count
    expected = np.where(np.isin(np.arange(5), order[:count]), expected, 0)
    assert chi_square(frequencies(Choice(top_p=top_p)), expected / expected.sum()) < 18.5


@pytest.mark.parametrize(("top_p", "count"), [(0.25, 1), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_top_p_reached_exactly_adds_no_symbol(top_p: float, count: int) -> None:
    """k of four equal symbols have exactly the probability k / 4, which floating-point numbers represent."""
    generator = Generator(0)
    drawn = {Choice(top_p=top_p).draw(torch.zeros(4), generator) for _ in range(100)}
    assert drawn == set(range(count))


def test_equally_probable_symbols_are_all_drawn() -> None:
    generator = Generator(0)
    drawn = {Choice(temperature=1e-3).draw(torch.zeros(5), generator) for _ in range(100)}
    assert drawn == set(range(5))


def drawn_by_hand(logits: list[float], choice: Choice, u: float) -> int:
    """Return the symbol that the documented rule draws, number by number."""
    ranks = sorted(range(len(logits)), key=lambda k: (-logits[k], k))
    largest = logits[ranks[0]]
    weights = [math.exp((value - largest) / choice.temperature) for value in logits]
    total = math.fsum(weights)
    before = 0.0
    for rank, k in enumerate(ranks):
        weight = weights[k]
        if (choice.top_k is not None and rank >= choice.top_k) or (choice.top_p or 2.0) * total <= before:
            weights[k] = 0.0
        before += weight
    bound, reached = u * math.fsum(weights), 0.0
    for k, weight in enumerate(weights):
        reached += weight
        if reached > bound:
            return k
    return max(k for k, weight in enumerate(weights) if weight)


@given(
    st.lists(st.integers(-9, 9).map(lambda k: k / 3), min_size=1, max_size=8),
    seeds,
    st.sampled_from([0.3, 1.0, 2.5]),
    st.none() | st.integers(1, 9),
    st.none() | st.sampled_from([0.05, 0.31, 0.77, 0.983]),
)
def test_draws_follow_the_documented_rule(
    logits: list[float], seed: int, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    """The logits repeat, so that ties are frequent."""
    choice = Choice(temperature, top_k, top_p)
    values = torch.tensor(logits, dtype=torch.float64)
    generator = Generator(seed)
    drawn = [choice.draw(values, generator) for _ in range(5)]
    assert drawn == [drawn_by_hand(logits, choice, u) for u in Generator(seed).uniforms(5)]


class Constant(Generator):
    """A generator whose uniform numbers are all the same."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def uniforms(self, count: int) -> np.ndarray:
        return np.full(count, self.value)


def test_extreme_uniforms_draw_a_symbol_that_is_left() -> None:
    """u may be 0, and u times the sum may round up to the sum itself."""
    logits, largest, least = torch.tensor([0.0, 0.0, 0.0, -900.0]), Constant(1 - 2.0**-53), Constant(0.0)
    assert Choice().draw(logits, largest) == 2
    assert Choice(top_k=2).draw(logits, largest) == 1
    assert Choice().draw(logits.flip(0), least) == 1
    assert Choice(top_k=1).draw(torch.tensor([0.0, 1.0, 2.0]), least) == 2


def test_rounding_of_the_logits_does_not_change_draws() -> None:
    """Engines differ by rounding, which changes the order of almost equally probable symbols but not the draws."""
    first = torch.tensor([0.5, 1.0, 0.5, -1.0, 1.0, 0.5])
    second = torch.nextafter(first, torch.tensor([9.0, -9.0, 9.0, -9.0, 9.0, -9.0]))
    for choice in (Choice(), Choice(0.7), Choice(top_k=5), Choice(top_p=0.95)):
        one, two = Generator(1), Generator(1)
        assert [choice.draw(first, one) for _ in range(500)] == [choice.draw(second, two) for _ in range(500)]


def test_equal_logits_take_the_lowest_id() -> None:
    for greedy in (Choice(greedy=True), Choice(top_k=1), Choice(top_p=1e-9)):
        for size in (3, 50, 1000):  # beyond the width of any vector register
            logits = torch.zeros(size)
            logits[[size // 3, size - 1]] = 1.0
            assert greedy.draw(logits, Generator(0)) == size // 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("choice", [Choice(), Choice(greedy=True)])
def test_logits_that_are_not_finite_are_refused(value: float, choice: Choice) -> None:
    with pytest.raises(SamplingError, match=r"expected finite numbers, got (nan|inf) as the largest"):
        choice.draw_each(torch.tensor([[0.0, 1.0], [value, 0.0]]), [Generator(0), Generator(1)])
    assert choice.draw(torch.tensor([-torch.inf, 0.0]), Generator(0)) == 1


@pytest.mark.parametrize("seed", [-1, 1 << 64, True])
def test_seed_beyond_64_bits_is_refused(seed: int) -> None:
    for write in (sample, lambda net, prime, seed: sample_many(net, prime, [seed])):
        with pytest.raises(GeneratorError, match=r"Seed: expected a whole number from 0 to 2\^64 - 1, got"):
            write(network("lstm", (2,)), "a", seed=seed)


def test_writing_ends_with_the_stop_text() -> None:
    made = network("gru", (4,))
    free = written(made, length=100)
    for stop in ("a", free[10:13], free[40:50]):
        end = free.index(stop) + len(stop)
        assert written(made, length=100, stop=stop) == free[:end]
    assert written(made, length=100, stop="not in the alphabet") == free
    assert written(made, length=100, stop="") == free
    assert written(made, length=7) == free[:7]
    assert written(made, length=0) == ""


def test_stop_text_does_not_begin_in_the_prime() -> None:
    made = network("gru", (4,))
    free = written(made, "ab", length=60)
    assert len(written(made, "ab", length=60, stop="b" + free[0])) != 1


@given(seeds, st.integers(0, 40))
@settings(max_examples=15)
def test_bytes_are_written_as_whole_characters(seed: int, length: int) -> None:
    made = network("lstm", (6,), seed, Vocabulary.of_bytes())
    pieces = list(sample(made, "Zürich 東京", length=length, seed=seed))
    text = "".join(pieces)
    assert all(pieces)
    text.encode("utf-8")
    assert len(text) <= length


def test_bytes_of_one_character_come_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network("lstm", (2,), vocabulary=Vocabulary.of_bytes())

    def pieces(data: bytes, **settings_: Any) -> list[str]:
        queue = iter(data)
        monkeypatch.setattr(Choice, "draw_each", lambda *_: [next(queue)])
        return list(sample(made, "x", length=len(data), **settings_))

    assert pieces("aé東🙂".encode()) == ["a", "é", "東", "🙂"]
    assert pieces("東".encode()[:2]) == ["\ufffd"]
    assert "".join(pieces(b"\xffa\xe6b")) == "\ufffda\ufffdb"
    assert "".join(pieces("a東b".encode(), stop="東")) == "a東"
    assert "".join(pieces(b"a\xe6bcd", stop="a\ufffd")) == "a\ufffdb"  # one byte completed both characters


@pytest.mark.parametrize(
    ("vocabulary", "begins"),
    [(Vocabulary(tuple("ab\n;"), end=";"), ";"), (Vocabulary(tuple("ab\n")), "\n"), (ALPHABET, "a")],
)
def test_empty_prime_reads_an_end_mark_or_the_first_symbol(vocabulary: Vocabulary, begins: str) -> None:
    made = network("lstm", (3,), vocabulary=vocabulary)
    assert written(made, "", length=20) == written(made, begins, length=20)


def test_sample_yields_while_it_draws() -> None:
    endless = sample(network("lstm", (2,)), "a", length=10**9)
    assert len("".join(itertools.islice(endless, 5))) == 5


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_k": 0},
        {"top_k": -3},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
    ],
)
def test_choice_that_leaves_nothing_to_draw_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SamplingError, match=next(iter(fields)).replace("_", "-").capitalize()):
        Choice(**fields)


def test_network_that_cannot_write_is_refused() -> None:
    for made in (
        network("lstm", (2,), readout=Readout(reads="last step")),
        network("lstm", (2,), readout=classes("abc")),
    ):
        with pytest.raises(SamplingError, match="cannot write"):
            sample(made, "a")  # at the call, before the first symbol is requested
    with pytest.raises(SamplingError, match="Length: expected 0 or more, got -1"):
        sample(network("lstm", (2,)), "a", length=-1)


@given(
    st.lists(seeds, max_size=6), st.text("abcde", max_size=5), st.integers(0, 12), st.sampled_from([None, "a", "bc"])
)
@settings(max_examples=15)
def test_sample_many_equals_each_seed_alone(many: list[int], prime: str, length: int, stop: str | None) -> None:
    made = network("lstm", (4, 3), 5)
    for choice in (Choice(), Choice(0.7, top_k=3), Choice(top_p=0.8), Choice(greedy=True)):
        texts = sample_many(made, prime, many, length=length, choice=choice, stop=stop)
        assert texts == [written(made, prime, length=length, choice=choice, seed=seed, stop=stop) for seed in many]


def test_sample_many_decodes_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network("lstm", (3,), vocabulary=Vocabulary.of_bytes())
    free = sample_many(made, "東", range(4), length=30)
    assert free == [written(made, "東", length=30, seed=seed) for seed in range(4)]
    queue = iter(zip("a東b".encode(), b"b\xe6\x9dcd", strict=True))
    monkeypatch.setattr(Choice, "draw_each", lambda *_: list(next(queue)))
    assert sample_many(made, "x", [0, 1], length=5, stop="b") == ["a東b", "b"]


def test_sample_many_stops_when_the_last_text_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = iter([[0, 1], [1, 2], [2, 0]])  # a fourth draw would raise StopIteration
    monkeypatch.setattr(Choice, "draw_each", lambda *_: next(queue))
    assert sample_many(network("lstm", (2,)), "a", [0, 0], length=100, stop="a") == ["a", "bca"]


CHANGES = (
    clamp(0, "c", 1, 2.0),
    clamp(1, "h", 0, -3.0, slice(4, 9, 2)),
    nudge(0, "h", slice(None), 0.4, slice(0, 2)),
    clamp(1, "h", slice(1, 3), 1.5, slice(12, 7, -3)),
)


@given(seeds, st.lists(st.sampled_from(CHANGES), max_size=3))
@settings(max_examples=20, phases=(Phase.generate,))
def test_interventions_act_as_in_one_run_over_the_text(seed: int, held: list[Intervention]) -> None:
    """The prime has 4 symbols and 12 are written, of which the last is not read: the run has 15 steps."""
    made = network("lstm", (4, 3), seed)
    # The runs of greedy_by_hand are shorter, and would end a slice that counts down at other steps.
    descending = clamp(1, "h", slice(1, 3), 1.5, slice(9, 13, 3))
    ascending = [change if (change.steps.step or 1) > 0 else descending for change in held]
    expected = greedy_by_hand(made, "abca", 12, *ascending)
    greedy = Choice(greedy=True)
    assert written(made, "abca", length=12, choice=greedy, interventions=held) == expected
    assert sample_many(made, "abca", [1, 2], length=12, choice=greedy, interventions=held) == [expected] * 2


def test_steps_from_the_end_count_the_whole_run() -> None:
    made, greedy = network("gru", (4,), 1), Choice(greedy=True)
    last = written(made, length=9, choice=greedy, interventions=[clamp(0, "h", slice(None), 5.0, slice(-3, None))])
    assert last == greedy_by_hand(made, "ab", 9, clamp(0, "h", slice(None), 5.0, slice(7, None)))
    values = torch.linspace(-2, 2, 10)
    patched = written(made, length=9, choice=greedy, interventions=[patch(0, "h", 2, values)])
    clamps = [clamp(0, "h", 2, float(value), slice(t, t + 1)) for t, value in enumerate(values)]
    assert patched == greedy_by_hand(made, "ab", 9, *clamps)
    with pytest.raises(ValueError, match="expected one for each of the 10 steps of the run, got 9"):
        written(made, length=9, interventions=[patch(0, "h", 2, values[1:])])
    with pytest.raises(ValueError, match="neuron of an intervention: expected 0 to 3, got 4"):
        written(made, interventions=[clamp(0, "h", 4, 1.0)])


def test_sample_many_has_interventions_for_each_text() -> None:
    made = network("lstm", (5,), 2)
    values = [-4.0, 0.0, 4.0]
    held = [Intervention(0, "c", 3, shift=value, row=k + 1) for k, value in enumerate(values)]
    texts = sample_many(made, "ab", [7] * 4, length=40, interventions=held)
    assert texts[0] == written(made, length=40, seed=7)
    assert texts[1:] == [written(made, length=40, seed=7, interventions=[clamp(0, "c", 3, value)]) for value in values]
    assert len(set(texts)) > 1


def test_long_prime_is_read_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    made, prime, held = network("lstm", (5,), 2), "abcde" * 9, [clamp(0, "c", 3, 1.0, slice(11, None, 3))]
    expected = sample_many(made, prime, range(3), length=40, interventions=held)
    monkeypatch.setattr("gatescope.network.PASS_STEPS", 10)
    assert sample_many(made, prime, range(3), length=40, interventions=held) == expected


def test_words_are_written_with_spaces_between() -> None:
    """A line, and a text after a prime that ends with white space, begins without a space; so does an end mark."""
    words = Vocabulary(("a", "bc", "\n"), "\n", "word")
    net = network("lstm", [3], 4, words)
    for prime in ("", "a", "a bc\n", "bc "):
        pieces = list(sample(net, prime, length=30, seed=3))
        text = prime + "".join(pieces)
        assert words.encode(text).tolist() == [*words.encode(prime).tolist(), *words.encode(" ".join(pieces)).tolist()]
        assert len(pieces) == 30
        assert not any(spaces in text for spaces in ("  ", "\n "))
        assert " \n" not in "".join(pieces)
    assert sample_many(net, "a", [3], length=30) == ["".join(sample(net, "a", length=30, seed=3))]
