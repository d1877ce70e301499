"""Random numbers that depend on a seed, a stream and a position alone, so that Python and the page draw the same.

Philox4x32-10 maps a key of 64 bits and a counter of 128 bits to four words of 32 bits. The key is the seed. The counter
is the pair (block, stream), 64 bits each, with the lower word first. The words of blocks 0, 1, 2, ... form the stream.
Every purpose has a stream of its own, such as each weight matrix, so no purpose depends on what another one drew.

`web/engine/random.ts` is the twin of this module: words, uniform numbers, whole numbers and permutations are equal to
the bit. Normal numbers agree to about 1e-15, because logarithm and cosine are rounded by the library of the machine.

Source: J. Salmon, M. Moraes, R. Dror and D. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC '11 (2011).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, Int, UInt32, UInt64
from numpy.typing import NDArray

from gatescope.errors import GatescopeError

ROUNDS: Final = 10
MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS: Final = (0x9E3779B9, 0xBB67AE85)  # added to the two words of the key after each round
WORD: Final = 0xFFFF_FFFF
PIECE_BLOCKS: Final = 1 << 14  # blocks computed together: small enough for the cache of a core
CACHED_WORDS: Final = 256  # words computed ahead, for callers who draw number by number
MAX_LIMIT: Final = 1 << 32


class GeneratorError(GatescopeError):
    """A seed that is not a key, or a limit below which no whole number can be drawn."""


def philox(counters: UInt64[np.ndarray, "4 K"], seed: int) -> UInt32[np.ndarray, "K 4"]:
    """Return the four words of each counter: Philox4x32-10.

    Args:
        counters: the four words of each counter, the lowest first.
        seed: the key, a whole number of 64 bits.
    """
    x0, x1, x2, x3 = counters
    keys = [seed & WORD, seed >> 32]
    half, word = np.uint64(32), np.uint64(WORD)
    for _ in range(ROUNDS):
        first, second = x0 * MULTIPLIERS[0], x2 * MULTIPLIERS[1]
        x0, x2 = (second >> half) ^ x1 ^ np.uint64(keys[0]), (first >> half) ^ x3 ^ np.uint64(keys[1])
        x1, x3 = second & word, first & word
        keys = [(key + step) & WORD for key, step in zip(keys, KEY_STEPS, strict=True)]
    return np.stack([x0, x1, x2, x3], axis=1).astype(np.uint32)


def stream_number(name: str) -> int:
    """Return the 64 bits of a stream: the hash FNV-1a (Fowler, Noll and Vo) of the UTF-8 bytes of its name."""
    number = 0xCBF29CE484222325
    for byte in name.encode():
        number = (number ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return number


class Generator:
    """A stream of random numbers.

    Drawing m numbers and then n gives the same numbers as drawing m + n of the same kind.

    Args:
        seed: a whole number from 0 to 2^64 - 1.
        name: the name of the stream.

    Attributes:
        seed: the seed.
        name: the name of the stream.
        position: the number of 32-bit words drawn so far.

    Raises:
        GeneratorError: the seed is out of its range.
    """

    def __init__(self, seed: int, name: str = "") -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 64:
            raise GeneratorError("GENERATOR_SEED", seed=seed)
        self.seed, self.name, self.position = int(seed), name, 0
        number = stream_number(name)
        self._stream = (np.uint64(number & WORD), np.uint64(number >> 32))
        self._cached, self._cached_from = np.empty(0, np.uint32), 0

    def __repr__(self) -> str:
        return f"<Generator seed {self.seed}, stream {self.name!r}, position {self.position}>"

    def stream(self, name: str) -> Generator:
        """Return the stream with the name of this one, a full stop and `name`; it starts at its first word."""
        return Generator(self.seed, f"{self.name}.{name}" if self.name else name)

    def words(self, count: int) -> UInt32[np.ndarray, "K"]:
        """Draw whole numbers of 32 bits."""
        start, stop = self.position, self.position + count
        self.position = stop
        if count > CACHED_WORDS:
            return self._words_between(start, stop)
        if not self._cached_from <= start <= stop <= self._cached_from + len(self._cached):
            self._cached, self._cached_from = self._words_between(start, start + CACHED_WORDS), start
        return self._cached[start - self._cached_from : stop - self._cached_from]

    def uniforms(self, count: int) -> Float[np.ndarray, "K"]:
        """Draw multiples of 2^-53 from [0, 1). Each takes two words: 27 bits of the first, then 26 of the second."""
        words = self.words(2 * count).reshape(-1, 2).astype(np.float64)
        return (np.floor(words[:, 0] / 32) * 2**26 + np.floor(words[:, 1] / 64)) / 2**53

    def normals(self, count: int) -> Float[np.ndarray, "K"]:
        """Draw normally distributed numbers with mean 0 and variance 1. Each takes two uniform numbers, u and v.

        The number is sqrt(-2 log(1 - u)) cos(2 pi v). The sine that goes with it is not used, so that the k-th number
        does not depend on how many are drawn together.

        Source: G. Box and M. Muller, A note on the generation of random normal deviates, Ann. Math. Stat. 29 (1958).
        """
        u, v = self.uniforms(2 * count).reshape(-1, 2).T
        return np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)

    def below(self, limit: int, count: int) -> Int[np.ndarray, "K"]:
        """Draw whole numbers from 0 to `limit` - 1, all equally probable.

        A word is refused, and the next one taken, if it is beyond the largest multiple of `limit`. Otherwise the number
        is the remainder of the word.

        Args:
            limit: from 1 to 2^32.
            count: how many.

        Raises:
            GeneratorError: the limit is out of its range.
        """
        end = _end_of_accepted(limit)
        accepted = np.empty(0, np.int64)
        while len(accepted) < count:  # the next words replace the refused ones
            words = self.words(count - len(accepted)).astype(np.int64)
            accepted = np.append(accepted, words[words < end] % limit)
        return accepted

    def permutation(self, count: int) -> Int[np.ndarray, "K"]:
        """Draw an order of 0 to `count` - 1: place k, from the last down to 1, is exchanged with one of 0 to k.

        Raises:
            GeneratorError: the count is beyond 2^32.

        Source: R. Durstenfeld, Algorithm 235: random permutation, Communications of the ACM 7 (1964) 420.
        """
        order = list(range(count))
        for place in range(count - 1, 0, -1):
            other = int(self.below(place + 1, 1)[0])
            order[place], order[other] = order[other], order[place]
        return np.array(order, np.int64)

    def _words_between(self, start: int, stop: int) -> NDArray[np.uint32]:
        """Return the words from position `start` to `stop` - 1 of the stream."""
        first, end = start // 4, -(-stop // 4)
        words = np.empty((end - first, 4), np.uint32)
        for piece in range(first, end, PIECE_BLOCKS):
            blocks = np.arange(piece, min(piece + PIECE_BLOCKS, end), dtype=np.uint64)
            counters = np.empty((4, len(blocks)), np.uint64)
            counters[0], counters[1] = blocks & np.uint64(WORD), blocks >> np.uint64(32)
            counters[2], counters[3] = self._stream
            words[piece - first : piece - first + len(blocks)] = philox(counters, self.seed)
        return words.reshape(-1)[start - 4 * first : stop - 4 * first]


def _end_of_accepted(limit: int) -> int:
    """Return the end of the words that `below` accepts: the largest multiple of the limit up to 2^32."""
    if not 1 <= limit <= MAX_LIMIT:
        raise GeneratorError("GENERATOR_LIMIT", limit=limit)
    return MAX_LIMIT - MAX_LIMIT % limit
