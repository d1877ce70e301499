"""Characters and ids: the symbols a network reads and predicts, and how a text becomes sequences of them."""

from __future__ import annotations

import builtins
import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING = -1
"""The id of a step behind the end of a row of a batch, and of a target that no loss is taken at."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_PIECE = 1 << 20  # characters encoded at once: bounds the memory of the UTF-32 copy to 4 MB whatever the length

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a network: symbol number k has the id k.

    Arguments:
        symbols: one character each, no two the same.
        end: the symbol that ends a sequence; the one after it starts again from the initial state. None: a text is
            one sequence.
        bytes: the symbols are the 256 byte values (written as the characters 0 to 255); a text is read as its UTF-8.

    The id `unknown` (= `size`) stands for every character that is not a symbol: it is read as the zero vector, is never
    predicted, and is left out of the loss where it is the target.
    """

    symbols: tuple[str, ...]
    end: str | None = None
    bytes: bool = False

    def __post_init__(self) -> None:
        if not self.symbols:
            raise ValueError("A vocabulary needs at least one symbol; none was given.")
        for symbol in self.symbols:
            if len(symbol) != 1:
                raise ValueError(f"A symbol is one character; {symbol!r} was given.")
        if len(set(self.symbols)) != len(self.symbols):
            twice = next(s for k, s in enumerate(self.symbols) if s in self.symbols[:k])
            raise ValueError(f"The symbols of a vocabulary must differ; {twice!r} was given more than once.")
        if self.bytes and self.symbols != _BYTES:
            raise ValueError("A vocabulary of bytes has the symbols 0 to 255 in this order; use Vocabulary.of_bytes().")
        if self.end is not None and self.end not in self.symbols:
            raise ValueError(f"The end mark must be one of the symbols; {self.end!r} is not.")
        if self.bytes and self.end is not None and ord(self.end) > 127:
            raise ValueError(f"The end mark of a vocabulary of bytes must be an ASCII character; {self.end!r} is not.")

    @classmethod
    def of(cls, text: str, end: str | None = None) -> Vocabulary:
        """The vocabulary of the characters that occur in `text`, in the order of their code points."""
        seen = np.zeros(0x110000, dtype=np.bool_)
        for start in range(0, len(text), _PIECE):
            seen[_code_points(text[start : start + _PIECE])] = True
        return cls(tuple(chr(point) for point in np.flatnonzero(seen).tolist()), end)

    @classmethod
    def of_bytes(cls, end: str | None = None) -> Vocabulary:
        """The vocabulary of the 256 byte values."""
        return cls(_BYTES, end, bytes=True)

    @property
    def size(self) -> int:
        """The number of symbols."""
        return len(self.symbols)

    @property
    def unknown(self) -> int:
        """The id of every character that is not a symbol."""
        return len(self.symbols)

    @cached_property
    def _id_of_point(self) -> Ids:
        """Code point -> id. The last entry stands for every higher code point, which no symbol has."""
        points = np.array([ord(symbol) for symbol in self.symbols])
        table = np.full(int(points.max()) + 2, self.unknown, dtype=np.int32)
        table[points] = np.arange(self.size, dtype=np.int32)
        return table

    @cached_property
    def _point_of_id(self) -> NDArray[np.uint32]:
        """Id -> code point, the unknown id included."""
        return np.array([ord(symbol) for symbol in (*self.symbols, REPLACEMENT)], dtype=np.uint32)

    def encode(self, text: str) -> Ids:
        """The ids of `text`, one per character (or byte); characters that are not symbols become `unknown`.

        Returns: (T,) int32.
        """
        if self.bytes:
            return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.int32)
        table = self._id_of_point
        ids = np.empty(len(text), dtype=np.int32)
        for start in range(0, len(text), _PIECE):
            points = _code_points(text[start : start + _PIECE])
            ids[start : start + _PIECE] = table[np.minimum(points, len(table) - 1)]
        return ids

    def decode(self, ids: Iterable[int] | NDArray[np.integer[Any]]) -> str:
        """The text of `ids`. Padding is dropped; `unknown`, and bytes that are not UTF-8, become U+FFFD.

        Raises: ValueError for an id that is neither a symbol, nor unknown, nor padding.
        """
        known = self._checked(ids)
        known = known[known != PADDING]
        if not self.bytes:
            return self._point_of_id[known].tobytes().decode(_UTF32, "surrogatepass")
        if (known == self.unknown).any():
            mark = REPLACEMENT.encode()
            data = b"".join(mark if k == self.unknown else builtins.bytes((k,)) for k in known.tolist())
        else:
            data = known.astype(np.uint8).tobytes()
        return data.decode("utf-8", _LENIENT)

    def split(self, text: str) -> list[str]:
        """The sequences of `text`: it is cut after each end mark. Joined they are the text again; none is empty."""
        if self.end is None:
            return [text] if text else []
        *whole, rest = text.split(self.end)
        return [piece + self.end for piece in whole] + ([rest] if rest else [])

    def labels(self, source: str | Iterable[int] | NDArray[np.integer[Any]]) -> list[str]:
        """What to print for each step of a text, or of ids.

        A character is its own label, newline and tab too, and an unknown one of a text keeps its own character; lone
        surrogates and unknown ids are U+FFFD, padding is empty. Of bytes, the ASCII ones are their character and the
        others two hexadecimal digits.
        """
        if isinstance(source, str) and not self.bytes:
            return [REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in source]
        ids = self.encode(source) if isinstance(source, str) else self._checked(source)
        if self.bytes:
            names = [chr(k) if k < 128 else f"{k:02X}" for k in range(256)]
        else:
            names = [REPLACEMENT if "\ud800" <= symbol <= "\udfff" else symbol for symbol in self.symbols]
        names += [REPLACEMENT, ""]  # the unknown id; padding, which is -1, counts from the end
        return [names[k] for k in ids.tolist()]

    def unknown_characters(self, text: str) -> list[str]:
        """The characters of `text` that are not symbols, each once, sorted."""
        return [] if self.bytes else sorted(set(text) - set(self.symbols))

    def _checked(self, ids: Iterable[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        flat = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
        if flat.size == 0:
            return np.empty(0, dtype=np.int64)
        if flat.ndim != 1 or not np.issubdtype(flat.dtype, np.integer):
            raise ValueError(f"Ids are a flat list of whole numbers; an array {flat.shape} of {flat.dtype} was given.")
        flat = flat.astype(np.int64)
        wrong = flat[(flat < PADDING) | (flat > self.unknown)]
        if wrong.size:
            raise ValueError(f"The id {wrong[0]} does not exist: ids go from 0 to {self.unknown} (unknown), or are -1.")
        return flat

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        if self.bytes:
            return {"bytes": True, "end": self.end}
        return {"bytes": False, "end": self.end, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, data: object) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises: ValueError that says what is wrong with `data`.
        """
        if not isinstance(data, dict):
            raise ValueError(f"A vocabulary is a JSON object; {_kind(data)} was given.")
        for key in ("bytes", "end"):
            if key not in data:
                raise ValueError(f"A vocabulary needs the key {key!r}; it has {sorted(map(str, data))}.")
        if not isinstance(data["bytes"], bool):
            raise ValueError(f"'bytes' of a vocabulary is true or false; {_kind(data['bytes'])} was given.")
        if data["end"] is not None and not isinstance(data["end"], str):
            raise ValueError(f"'end' of a vocabulary is a character or null; {_kind(data['end'])} was given.")
        if data["bytes"]:
            return cls.of_bytes(data["end"])
        symbols = data.get("symbols")
        if not isinstance(symbols, list):
            raise ValueError(f"'symbols' of a vocabulary is a list of characters; {_kind(symbols)} was given.")
        wrong = [symbol for symbol in symbols if not isinstance(symbol, str)]
        if wrong:
            raise ValueError(f"A symbol is one character; {_kind(wrong[0])} was given.")
        return cls(tuple(symbols), data["end"])


_BYTES = tuple(map(chr, range(256)))
_UTF32 = "utf-32-le" if np.little_endian else "utf-32-be"
_LENIENT = "gatescope.lenient"


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode(_UTF32, "surrogatepass"), dtype=np.uint32)


def _lenient(error: UnicodeError) -> tuple[str | builtins.bytes, int]:
    """Decodes lone surrogates as themselves, so that they survive a round trip, and what is not UTF-8 as U+FFFD."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeError:
        if not isinstance(error, UnicodeDecodeError):
            raise
        return REPLACEMENT, error.end


codecs.register_error(_LENIENT, _lenient)


def _kind(value: object) -> str:
    """How a JSON value is called in an error message."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")
