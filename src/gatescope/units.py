"""The units of a vocabulary: how a text becomes characters, bytes, tokens, words or numbers, and back.

`gatescope.vocabulary.Vocabulary` chooses one of the classes here by its `unit`, and describes each unit.

`T` step, `I` number of a step.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.splitting import pattern_for

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
BYTE_SYMBOLS = tuple(map(chr, range(256)))
PIECE_CHARACTERS = 1 << 20  # encoded at once: bounds the memory of the UTF-32 copy to 4 MB for any text

Ids = NDArray[np.int32]
Spans = NDArray[np.int64]


class VocabularyError(GatescopeError):
    """A vocabulary that cannot be made, or a text or id that it cannot read; the message says what was expected."""


class Units:
    """The unit "character", and what the other units have in common.

    Args:
        symbols: the symbols of the vocabulary.
        end: the end mark, or None.
        other: the symbol that was learned for unknown symbols, or None.
        rule: the number of the rule that cuts words.
    """

    one_character: ClassVar[bool] = True  # every symbol is one character

    def __init__(self, symbols: Sequence[str], end: str | None, other: str | None, rule: int) -> None:
        self.symbols, self.end, self.other, self.rule = symbols, end, other, rule

    def check(self) -> None:
        """Check that the symbols and marks fit the unit.

        Raises:
            VocabularyError: they do not.
        """
        for symbol in self.symbols:
            if self.one_character and len(symbol) != 1:
                raise VocabularyError("VOCABULARY_SYMBOL_LENGTH", symbol=symbol)
        if self.end is not None and self.end not in self.symbols:
            raise VocabularyError("VOCABULARY_END_UNKNOWN", end=self.end)
        if self.other is not None and self.other not in self.symbols:
            raise VocabularyError("VOCABULARY_OTHER_UNKNOWN", other=self.other)

    @cached_property
    def other_id(self) -> int:
        """The id of everything that is not a symbol."""
        return len(self.symbols) if self.other is None else self.symbols.index(self.other)

    @cached_property
    def id_of_symbol(self) -> dict[str, int]:
        """Symbol -> id."""
        return {symbol: k for k, symbol in enumerate(self.symbols)}

    @cached_property
    def _id_of_code_point(self) -> Ids:
        """Code point -> id. The last entry stands for every higher code point, which no symbol has."""
        code_points = np.array([ord(symbol) for symbol in self.symbols])
        table = np.full(int(code_points.max()) + 2, self.other_id, dtype=np.int32)
        table[code_points] = np.arange(len(self.symbols), dtype=np.int32)
        return table

    @cached_property
    def _code_point_of_id(self) -> NDArray[np.uint32]:
        """Id -> code point, including the id of unknown symbols."""
        return np.array([ord(symbol) for symbol in (*self.symbols, REPLACEMENT)], dtype=np.uint32)

    def spans(self, text: str) -> Spans:
        """Return where each step begins and ends in a text, in characters, (T, 2)."""
        starts = np.arange(len(text))
        return np.stack([starts, starts + 1], axis=1)

    def encode(self, text: str) -> NDArray[Any]:
        """Return the steps of a text, (T,) ids or (T, I) numbers."""
        table = self._id_of_code_point
        ids = np.empty(len(text), dtype=np.int32)
        for start in range(0, len(text), PIECE_CHARACTERS):
            piece = code_points(text[start : start + PIECE_CHARACTERS])
            ids[start : start + PIECE_CHARACTERS] = table[np.minimum(piece, len(table) - 1)]
        return ids

    def ids_of(self, symbols: Iterable[str]) -> Ids:
        """Return the id of each symbol, (T,)."""
        known, other = self.id_of_symbol, self.other_id
        return np.array([known.get(symbol, other) for symbol in symbols], dtype=np.int32)

    def decode(self, ids: NDArray[np.int64]) -> str:
        """Return the text of valid ids without padding."""
        return self._code_point_of_id[ids].tobytes().decode(_UTF32, "surrogatepass")

    def split(self, text: str) -> list[str]:
        """Cut a text into sequences, after each end mark."""
        if self.end is None:
            return [text] if text else []
        *complete, rest = text.split(self.end)
        return [piece + self.end for piece in complete] + ([rest] if rest else [])

    def labels_of_text(self, text: str) -> list[str]:
        """Return what to print for each step of a text."""
        return [_printable(character) for character in text]

    def labels_of_ids(self, ids: NDArray[np.int64]) -> list[str]:
        """Return what to print for each of some valid ids; padding (-1) has an empty label."""
        labels = [*self._symbol_labels, REPLACEMENT, ""]  # the id -1 takes the last one
        return [labels[k] for k in ids.tolist()]

    @property
    def _symbol_labels(self) -> list[str]:
        return [_printable(symbol) for symbol in self.symbols]

    def unknown_in(self, text: str) -> list[str]:
        """Return the parts of a text that are not symbols, each once, sorted."""
        return sorted(set(text) - set(self.symbols))


class ByteUnits(Units):
    """The unit "byte"."""

    def check(self) -> None:
        """Check that the symbols are the bytes, and that the end mark is an ASCII character.

        Raises:
            VocabularyError: they are not.
        """
        if self.other is not None:
            raise VocabularyError("VOCABULARY_OTHER_UNUSED", other=self.other)
        super().check()
        if self.symbols != BYTE_SYMBOLS:
            raise VocabularyError("VOCABULARY_BYTES_SYMBOLS")
        if self.end is not None and ord(self.end) > 127:
            raise VocabularyError("VOCABULARY_BYTES_END", end=self.end)

    def spans(self, text: str) -> Spans:
        """Return the span of the character that each byte is a part of."""
        lengths = [len(character.encode("utf-8", "surrogatepass")) for character in text]
        starts = np.repeat(np.arange(len(text)), lengths)
        return np.stack([starts, starts + 1], axis=1)

    def encode(self, text: str) -> Ids:
        """Return the bytes of the UTF-8 form of a text."""
        return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.int32)

    def decode(self, ids: NDArray[np.int64]) -> str:
        """Return the text; bytes that are not UTF-8, and unknown ids, become U+FFFD."""
        unknown = len(self.symbols)
        if (ids == unknown).any():
            mark = REPLACEMENT.encode()
            data = b"".join(mark if k == unknown else bytes((k,)) for k in ids.tolist())
        else:
            data = ids.astype(np.uint8).tobytes()
        return data.decode("utf-8", _LENIENT)

    def labels_of_text(self, text: str) -> list[str]:
        """Return the label of each byte of a text."""
        return self.labels_of_ids(self.encode(text).astype(np.int64))

    @property
    def _symbol_labels(self) -> list[str]:
        return [chr(k) if k < 128 else f"{k:02X}" for k in range(256)]

    def unknown_in(self, text: str) -> list[str]:
        """Return nothing: every byte is a symbol."""
        return []


class TokenUnits(Units):
    """The unit "token": what stands between white space."""

    name: ClassVar[str] = "token"
    one_character = False

    def check(self) -> None:
        """Check that no symbol but the end mark has white space, and that the end mark is one character.

        Raises:
            VocabularyError: the symbols or the end mark do not fit.
        """
        for symbol in self.symbols:
            if symbol != self.end and (not symbol or _SPACE.search(symbol)):
                raise VocabularyError("VOCABULARY_WORD_SPACE", unit=self.name, symbol=symbol)
        if self.end is not None and len(self.end) != 1:
            raise VocabularyError("VOCABULARY_WORD_END_LENGTH", unit=self.name, end=self.end)
        super().check()

    @cached_property
    def _chunk(self) -> re.Pattern[str]:
        """The expression for text between white space, and for an end mark."""
        mark = None if self.end is None else re.escape(self.end)
        return re.compile(r"\S+" if mark is None else rf"{mark}|(?:(?!{mark})\S)+")

    def matches(self, text: str) -> list[re.Match[str]]:
        """Return the matches of the words or tokens of a text."""
        return list(self._chunk.finditer(text))

    def spans(self, text: str) -> Spans:
        """Return where each word or token begins and ends in a text."""
        return np.array([match.span() for match in self.matches(text)], dtype=np.int64).reshape(-1, 2)

    def encode(self, text: str) -> Ids:
        """Return the ids of the words or tokens of a text."""
        return self.ids_of(self.labels_of_text(text))

    def decode(self, ids: NDArray[np.int64]) -> str:
        """Return the words with a space between them, but not next to an end mark."""
        symbols = (*self.symbols, REPLACEMENT)
        words = [symbols[k] for k in ids.tolist()]
        parts: list[str] = []
        for k, word in enumerate(words):
            if k and word != self.end and words[k - 1] != self.end:
                parts.append(" ")
            parts.append(word)
        return "".join(parts)

    def split(self, text: str) -> list[str]:
        """Cut a text into sequences, after each end mark, or after each empty line if there is no end mark."""
        return _blocks(text) if self.end is None else super().split(text)

    def labels_of_text(self, text: str) -> list[str]:
        """Return the words or tokens as they are spelled in a text."""
        return [match[0] for match in self.matches(text)]

    def unknown_in(self, text: str) -> list[str]:
        """Return the words or tokens that are not symbols, each once, sorted."""
        return sorted({word for word in self.labels_of_text(text) if not self._knows(word)})

    def _knows(self, word: str) -> bool:
        return word in self.id_of_symbol


class WordUnits(TokenUnits):
    """The unit "word": tokens; unknown tokens are cut into words and punctuation marks."""

    name: ClassVar[str] = "word"

    def matches(self, text: str) -> list[re.Match[str]]:
        """Return the matches of the words and punctuation marks of a text."""
        known = self.id_of_symbol
        word = pattern_for(text, self.rule)
        matches: list[re.Match[str]] = []
        for chunk in super().matches(text):
            matches += [chunk] if chunk[0] in known else word.finditer(text, *chunk.span())
        return matches

    def ids_of(self, symbols: Iterable[str]) -> Ids:
        """Return the id of each word, (T,). Words with an unknown spelling are looked up in lower case."""
        known, other = self.id_of_symbol, self.other_id
        return np.array([known.get(word, known.get(word.lower(), other)) for word in symbols], dtype=np.int32)

    def _knows(self, word: str) -> bool:
        return word in self.id_of_symbol or word.lower() in self.id_of_symbol


class NumberUnits(Units):
    """The unit "number": one vector for each line of a text."""

    one_character = False

    def check(self) -> None:
        """Check that no end mark and no symbol for unknown symbols is set.

        Raises:
            VocabularyError: one of them is set.
        """
        if self.end is not None:
            raise VocabularyError("VOCABULARY_NUMBERS_END", end=self.end)
        if self.other is not None:
            raise VocabularyError("VOCABULARY_OTHER_UNUSED", other=self.other)

    def spans(self, text: str) -> Spans:
        """Return where each line that is not empty begins and ends in a text."""
        lines = [match.span() for match in _LINE.finditer(text) if match[0].strip()]
        return np.array(lines, dtype=np.int64).reshape(-1, 2)

    def encode(self, text: str) -> NDArray[np.float32]:
        """Return the vectors of a text, (T, I).

        Raises:
            VocabularyError: a line is not one finite number for each symbol.
        """
        rows: list[list[float]] = []
        size = len(self.symbols)
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            fields = [field for field in _SEPARATOR.split(line.strip()) if field]
            try:
                values = [float(field) for field in fields]
            except ValueError:
                values = []
            if len(values) != size or not all(abs(value) <= _LARGEST_NUMBER for value in values):
                names = ", ".join(self.symbols[:4]) + (", ..." if size > 4 else "")
                raise VocabularyError("VOCABULARY_LINE_NUMBERS", number=number, line=line[:40], size=size, names=names)
            rows.append(values)
        return np.array(rows, dtype=np.float32).reshape(-1, size)

    def split(self, text: str) -> list[str]:
        """Cut a text into sequences, after each empty line."""
        return _blocks(text)

    def labels_of_text(self, text: str) -> list[str]:
        """Return the numbers of each line, separated by commas."""
        return self.labels_of_numbers(self.encode(text))

    def labels_of_numbers(self, numbers: NDArray[np.float32]) -> list[str]:
        """Return the numbers of each step, with the fewest digits that identify them in single precision."""
        # NumPy finds the digits; from where on it writes an exponent depends on its version, so Python writes them.
        return [",".join(repr(float(str(value))) for value in row) for row in numbers]

    def unknown_in(self, text: str) -> list[str]:
        """Return nothing: numbers are not looked up."""
        return []


UNITS: dict[str, type[Units]] = {
    "character": Units,
    "byte": ByteUnits,
    "word": WordUnits,
    "token": TokenUnits,
    "number": NumberUnits,
}
"""Name of a unit -> its class."""


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code point of each character of a text."""
    return np.frombuffer(text.encode(_UTF32, "surrogatepass"), dtype=np.uint32)


def _printable(symbol: str) -> str:
    """Return a symbol as it is, and U+FFFD for a lone surrogate, which cannot be printed."""
    return REPLACEMENT if "\ud800" <= symbol <= "\udfff" else symbol


def _blocks(text: str) -> list[str]:
    """Return the parts of a text that end with an empty line."""
    return [match[0] for match in _BLOCK.finditer(text)]


def _lenient(error: UnicodeError) -> tuple[str | bytes, int]:
    """Decode lone surrogates as themselves, so that they survive a round trip, and other errors as U+FFFD."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeError:
        if not isinstance(error, UnicodeDecodeError):
            raise
        return REPLACEMENT, error.end


_UTF32 = "utf-32-le" if np.little_endian else "utf-32-be"
_LENIENT = "gatescope.lenient"
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
_SPACE = re.compile(r"\s")
_SEPARATOR = re.compile(r"[,;\s]+")
_LINE = re.compile(r"[^\r\n]+")
_BLOCK = re.compile(r"(?:\A(?:[^\S\n]*\n)+)?(?:[^\S\n]*\S[^\n]*(?:\n|\Z))+(?:[^\S\n]*\n|[^\S\n]+\Z)*")

codecs.register_error(_LENIENT, _lenient)
