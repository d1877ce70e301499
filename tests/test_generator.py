"""The counter-based generator: the published vectors, an implementation number by number, and statistical laws."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gatescope.generator import CACHED_WORDS, Generator, GeneratorError, philox, stream_number

keys = st.integers(0, 2**64 - 1)
counts = st.integers(0, 3 * CACHED_WORDS)


def block(counter: int, key: int) -> list[int]:
    """Return Philox4x32-10 of one counter in whole numbers of Python, written from figure 2 of the paper."""
    left1, right1, left0, right0 = (counter >> 32 * k & 0xFFFFFFFF for k in (3, 2, 1, 0))
    key0, key1 = key % 2**32, key // 2**32
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * right0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * right1, 2**32)
        right0, left0, right1, left1 = high1 ^ left0 ^ key0, low1, high0 ^ left1 ^ key1, low0
        key0, key1 = (key0 + 0x9E3779B9) % 2**32, (key1 + 0xBB67AE85) % 2**32
    return [right0, left0, right1, left1]


def stream_of(seed: int, name: str, count: int) -> list[int]:
    """Return the first words of a stream, block by block."""
    number = stream_number(name)
    return [word for k in range(count // 4 + 1) for word in block(number << 64 | k, seed)][:count]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_published_vectors(counter: tuple[int, ...], key: int, expected: str) -> None:
    """The known answers of Random123, the library of the paper's authors."""
    words = philox(np.array(counter, np.uint64)[:, None], key)[0]
    assert " ".join(f"{word:08x}" for word in words) == expected
    assert words.tolist() == block(sum(word << 32 * k for k, word in enumerate(counter)), key)


@pytest.mark.parametrize(
    ("name", "number"), [("", 0xCBF29CE484222325), ("a", 0xAF63DC4C8601EC8C), ("foobar", 0x85944171F73967E8)]
)
def test_streams_have_published_hashes(name: str, number: int) -> None:
    assert stream_number(name) == number


@given(keys, st.text(max_size=8), st.lists(counts, max_size=5))
def test_words_are_the_blocks_of_the_stream(seed: int, name: str, pieces: list[int]) -> None:
    """In any pieces, below and above the size of the cache."""
    generator = Generator(seed, name)
    words = [word for count in pieces for word in generator.words(count).tolist()]
    assert words == stream_of(seed, name, sum(pieces))
    assert generator.position == len(words)


def test_long_draws_continue_over_pieces() -> None:
    """A draw that is computed in several pieces, and whose blocks are numbered beyond 2^32."""
    whole = Generator(3, "x").words(70_000 * 4)
    assert whole.tolist()[-8:] == [word for k in (69_998, 69_999) for word in block(stream_number("x") << 64 | k, 3)]
    far = Generator(3, "x")
    far.position = 4 * (2**32 - 1)
    assert far.words(8).tolist() == [
        word for k in (2**32 - 1, 2**32) for word in block(stream_number("x") << 64 | k, 3)
    ]


@given(keys, st.integers(0, 40), st.integers(0, 40), st.sampled_from(["uniforms", "normals"]))
def test_numbers_do_not_depend_on_the_count(seed: int, first: int, second: int, kind: str) -> None:
    """Drawing m numbers and then n equals drawing m + n."""
    parts, whole = Generator(seed), Generator(seed)
    drawn = np.concatenate([getattr(parts, kind)(first), getattr(parts, kind)(second)])
    np.testing.assert_array_equal(drawn, getattr(whole, kind)(first + second))
    assert parts.position == whole.position


@given(keys)
def test_uniforms_have_53_bits_of_two_words(seed: int) -> None:
    words = stream_of(seed, "u", 40)
    expected = [((a >> 5) * 2**26 + (b >> 6)) / 2**53 for a, b in zip(words[::2], words[1::2], strict=True)]
    assert Generator(seed, "u").uniforms(20).tolist() == expected
    assert all(0 <= value < 1 for value in expected)


@given(keys, st.sampled_from([1, 2, 3, 10, 2**31 + 1, 3 * 2**30, 2**32 - 1, 2**32]), st.integers(0, 60))
def test_below_refuses_words_beyond_the_last_multiple(seed: int, limit: int, count: int) -> None:
    """Refused words are replaced by the next ones; the limit 2^31 + 1 refuses almost half of all words."""
    words, expected, used = iter(stream_of(seed, "", 60 * 12)), [], 0
    while len(expected) < count:
        word, used = next(words), used + 1
        if word < 2**32 // limit * limit:
            expected.append(word % limit)
    generator = Generator(seed)
    assert generator.below(limit, count).tolist() == expected
    assert generator.position == used


@given(keys, st.integers(0, 30))
def test_permutation_exchanges_from_the_last_place(seed: int, count: int) -> None:
    order, generator = list(range(count)), Generator(seed)
    for place in reversed(range(1, count)):
        other = generator.below(place + 1, 1)[0]
        order[place], order[other] = order[other], order[place]
    assert Generator(seed).permutation(count).tolist() == order
    assert sorted(order) == list(range(count))


@pytest.mark.parametrize("limit", [0, -1, 2**32 + 1])
def test_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(GeneratorError, match=r"expected 1 to 2\^32, got"):
        Generator(0).below(limit, 1)


def test_streams_of_a_stream_have_its_name() -> None:
    generator = Generator(5).stream("layers.0")
    generator.words(3)
    inner = generator.stream("input_weights")
    assert repr(inner) == "<Generator seed 5, stream 'layers.0.input_weights', position 0>"
    assert inner.words(4).tolist() == stream_of(5, "layers.0.input_weights", 4)


# The seeds of the following tests are fixed, so they do not fail by chance.
DRAWS = 100_000


def test_uniforms_are_uniform() -> None:
    drawn = Generator(1, "statistics").uniforms(DRAWS)
    assert stats.kstest(drawn, "uniform").pvalue > 0.001
    # The lowest bits are as random as the highest ones.
    assert stats.kstest(drawn * 2**20 % 1, "uniform").pvalue > 0.001
    assert stats.kstest(drawn * 2**40 % 1, "uniform").pvalue > 0.001


def test_normals_are_normal() -> None:
    drawn = Generator(2, "statistics").normals(DRAWS)
    assert stats.kstest(drawn, "norm").pvalue > 0.001
    assert stats.normaltest(drawn).pvalue > 0.001
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("limit", [2, 7, 1000])
def test_whole_numbers_are_equally_probable(limit: int) -> None:
    assert stats.chisquare(np.bincount(Generator(3).below(limit, DRAWS), minlength=limit)).pvalue > 0.001


def test_whole_numbers_are_without_bias() -> None:
    """Without refusals, numbers below 3 * 2^30 would be below 2^30 half of the time instead of a third."""
    drawn = Generator(4).below(3 * 2**30, DRAWS)
    assert stats.chisquare(np.bincount(drawn >> 30, minlength=3)).pvalue > 0.001


def test_permutations_are_equally_probable() -> None:
    generator = Generator(5)
    numbers = {order: k for k, order in enumerate(permutations(range(4)))}
    drawn = [numbers[tuple(generator.permutation(4).tolist())] for _ in range(5000)]
    assert stats.chisquare(np.bincount(drawn, minlength=24)).pvalue > 0.001


def test_streams_and_seeds_are_independent() -> None:
    """Neighbouring seeds, similar names, and one stream against itself one number later."""
    drawn = [Generator(seed, name).uniforms(DRAWS) for seed in (0, 1, 2**32) for name in ("", "a", "b", "a.b")]
    pairs = [*pairwise(drawn), (drawn[0][1:], drawn[0][:-1])]
    assert all(abs(np.corrcoef(a, b)[0, 1]) < 4 / len(a) ** 0.5 for a, b in pairs)  # 4 standard deviations
    assert len({values[0] for values in drawn}) == len(drawn)
