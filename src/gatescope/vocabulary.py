"""What a network reads: characters, bytes, words or numbers, and how a text becomes sequences of them.

`T` step, `I` number of a step.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gatescope.splitting import LATEST, WORDS, pattern_for

PADDING = -1
"""The id of a step behind the end of a row of a batch, and of a target that no loss is taken at."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_PIECE = 1 << 20  # characters encoded at once: bounds the memory of the UTF-32 copy to 4 MB whatever the length

Ids = NDArray[np.int32]
Numbers = NDArray[np.float32]
Reading = Ids | Numbers
"""What one sequence is to a network: ids (T,), or vectors of numbers (T, I)."""
Unit = Literal["character", "byte", "word", "token", "number"]


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a network: symbol number k has the id k.

    Arguments:
        symbols: no two the same.
        end: the symbol that ends a sequence; the one after it starts again from the initial state. None: a text is
            one sequence; of words and tokens, an empty line ends one.
        unit: what is read in one step, and what a symbol is.

            * "character": one character.
            * "byte": one of the 256 byte values (written as the characters 0 to 255); a text is read as its UTF-8.
            * "token": what stands between white space.
            * "word": the same, but what is no symbol as it stands is cut into words and punctuation marks, and a word
              is looked up in small letters where it is unknown as it is written.
            * "number": a vector; the symbols are the names of its numbers. A text has one step a line, its numbers
              separated by commas or white space; an empty line ends a sequence.

        other: the symbol that was learned for everything that is none of the others, such as "<unk>".
        rule: how words are cut out of what stands between white space, by `gatescope.splitting`; read by "word" alone.

    An end mark of words or tokens is a symbol wherever it stands, even without white space around it.

    The id `unknown` (= `size`) stands for everything that is not a symbol, where there is no `other`: it is read as the
    zero vector, is never predicted, and is left out of the loss where it is the target.
    """

    symbols: tuple[str, ...]
    end: str | None = None
    unit: Unit = "character"
    other: str | None = None
    rule: int = LATEST

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f"A vocabulary is of {', '.join(get_args(Unit))}; {self.unit!r} was given.")
        if not self.symbols:
            raise ValueError("A vocabulary needs at least one symbol; none was given.")
        for symbol in self.symbols:
            if self.unit in ("character", "byte") and len(symbol) != 1:
                raise ValueError(f"A symbol is one character; {symbol!r} was given.")
            if self.in_words and symbol != self.end and (not symbol or _SPACE.search(symbol)):
                raise ValueError(f"A {self.unit} has at least one character and no white space; {symbol!r} was given.")
        if len(set(self.symbols)) != len(self.symbols):
            twice = Counter(self.symbols).most_common(1)[0][0]
            raise ValueError(f"The symbols of a vocabulary must differ; {twice!r} was given more than once.")
        if self.bytes and self.symbols != _BYTES:
            raise ValueError("A vocabulary of bytes has the symbols 0 to 255 in this order; use Vocabulary.of_bytes().")
        if self.rule not in WORDS:
            raise ValueError(
                f"Words are cut by one of the rules {', '.join(map(str, WORDS))}, not by {self.rule!r}. If this was "
                "written by a newer version of gatescope, update gatescope."
            )
        self._check_marks()

    def _check_marks(self) -> None:
        """The end mark, and what stands for unknown symbols."""
        if self.unit == "number" and self.end is not None:
            raise ValueError(f"A sequence of numbers ends at an empty line; it has no end mark such as {self.end!r}.")
        if self.in_words and self.end is not None and len(self.end) != 1:
            raise ValueError(f"The end mark of a vocabulary of {self.unit}s is one character; {self.end!r} was given.")
        if self.end is not None and self.end not in self.symbols:
            raise ValueError(f"The end mark must be one of the symbols; {self.end!r} is not.")
        if self.bytes and self.end is not None and ord(self.end) > 127:
            raise ValueError(f"The end mark of a vocabulary of bytes must be an ASCII character; {self.end!r} is not.")
        if self.other is not None and (self.other not in self.symbols or self.unit in ("byte", "number")):
            raise ValueError(f"What stands for unknown symbols must be one of the symbols; {self.other!r} is not.")

    @property
    def bytes(self) -> bool:
        """Whether a step is a byte."""
        return self.unit == "byte"

    @property
    def in_words(self) -> bool:
        """Whether a step is a word or token."""
        return self.unit in ("word", "token")

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
        return cls(_BYTES, end, "byte")

    @classmethod
    def of_words(
        cls,
        words: Iterable[str],
        end: str | None = None,
        *,
        unit: Unit = "word",
        least: int = 1,
        most: int | None = None,
    ) -> Vocabulary:
        """The vocabulary of words (or tokens) that occur at least `least` times, the most frequent `most` of them.

        The most frequent comes first, and of equally frequent ones the first by code points. The end mark is the last.

        Raises: ValueError where no word is left.
        """
        counts = Counter(words)
        kept = sorted((word for word, count in counts.items() if count >= least), key=lambda w: (-counts[w], w))[:most]
        if not kept:
            raise ValueError(f"No word occurs {least} times or more; take a smaller number.")
        return cls((*kept, end) if end is not None and end not in kept else tuple(kept), end, unit)

    @property
    def size(self) -> int:
        """The number of symbols."""
        return len(self.symbols)

    @property
    def unknown(self) -> int:
        """The id of every character that is not a symbol."""
        return len(self.symbols)

    @cached_property
    def _else(self) -> int:
        """The id that everything else is encoded as."""
        return self.unknown if self.other is None else self.symbols.index(self.other)

    @cached_property
    def _id_of_point(self) -> Ids:
        """Code point -> id. The last entry stands for every higher code point, which no symbol has."""
        points = np.array([ord(symbol) for symbol in self.symbols])
        table = np.full(int(points.max()) + 2, self._else, dtype=np.int32)
        table[points] = np.arange(self.size, dtype=np.int32)
        return table

    @cached_property
    def _point_of_id(self) -> NDArray[np.uint32]:
        """Id -> code point, the unknown id included."""
        return np.array([ord(symbol) for symbol in (*self.symbols, REPLACEMENT)], dtype=np.uint32)

    @cached_property
    def _id_of_word(self) -> dict[str, int]:
        return {symbol: k for k, symbol in enumerate(self.symbols)}

    @cached_property
    def _chunk(self) -> re.Pattern[str]:
        """What stands between white space, or an end mark."""
        mark = None if self.end is None else re.escape(self.end)
        return re.compile(r"\S+" if mark is None else rf"{mark}|(?:(?!{mark})\S)+")

    def spans(self, text: str) -> NDArray[np.int64]:
        """Where each step's part of `text` begins and ends, in characters, (T, 2).

        Each byte has the place of the character that it is a part of; each vector of numbers that of its line.
        """
        if self.in_words:
            return np.array([match.span() for match in self._matches(text)], dtype=np.int64).reshape(-1, 2)
        if self.unit == "number":
            return np.array([m.span() for m in _LINE.finditer(text) if m[0].strip()], dtype=np.int64).reshape(-1, 2)
        starts = np.arange(len(text))
        if self.bytes:
            starts = np.repeat(starts, [len(c.encode("utf-8", "surrogatepass")) for c in text])
        return np.stack([starts, starts + 1], axis=1)

    def _matches(self, text: str) -> list[re.Match[str]]:
        """The words or tokens of a text."""
        chunks, known = self._chunk.finditer(text), self._id_of_word
        if self.unit == "token":
            return list(chunks)
        found: list[re.Match[str]] = []
        word = pattern_for(text, self.rule)
        for chunk in chunks:
            if chunk[0] in known:
                found.append(chunk)
            else:
                found += word.finditer(text, *chunk.span())
        return found

    def encode(self, text: str) -> NDArray[Any]:
        """What the network reads of `text`: (T,) int32 ids, one per step, or (T, I) float32 numbers.

        What is not a symbol becomes `other`, or `unknown` where there is none.

        Raises: ValueError for a line that does not hold the numbers; it names the line.
        """
        if self.unit == "number":
            return self._numbers(text)
        if self.in_words:
            return self.ids_of([match[0] for match in self._matches(text)])
        if self.bytes:
            return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8).astype(np.int32)
        table = self._id_of_point
        ids = np.empty(len(text), dtype=np.int32)
        for start in range(0, len(text), _PIECE):
            points = _code_points(text[start : start + _PIECE])
            ids[start : start + _PIECE] = table[np.minimum(points, len(table) - 1)]
        return ids

    def ids_of(self, symbols: Iterable[str]) -> Ids:
        """The id of each symbol (T,), of what is none that of `other`; words are looked up in small letters too."""
        known, other = self._id_of_word, self._else
        if self.unit == "word":
            return np.array([known.get(s, known.get(s.lower(), other)) for s in symbols], dtype=np.int32)
        return np.array([known.get(s, other) for s in symbols], dtype=np.int32)

    def _numbers(self, text: str) -> Numbers:
        rows: list[list[float]] = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            cells = [cell for cell in _SEPARATOR.split(line.strip()) if cell]
            try:
                values = [float(cell) for cell in cells]
            except ValueError:
                values = []
            if len(values) != self.size or not all(abs(value) <= _LARGEST_NUMBER for value in values):
                names = ", ".join(self.symbols[:4]) + (", ..." if self.size > 4 else "")
                raise ValueError(
                    f"Line {number} ({line[:40]!r}) does not hold the {self.size} numbers of a step ({names}); "
                    "write one step a line, its numbers separated by commas."
                )
            rows.append(values)
        return np.array(rows, dtype=np.float32).reshape(-1, self.size)

    def decode(self, ids: Iterable[int] | NDArray[Any]) -> str:
        """The text of `ids` (or of numbers). Padding is dropped; `unknown`, and what is not UTF-8, become U+FFFD.

        Raises: ValueError for an id that is neither a symbol, nor unknown, nor padding.
        """
        if self.unit == "number":
            return "".join(f"{line}\n" for line in self.labels(ids))
        known = self._checked(ids)
        known = known[known != PADDING]
        if self.in_words:
            return self._joined([(*self.symbols, REPLACEMENT)[k] for k in known.tolist()])
        if not self.bytes:
            return self._point_of_id[known].tobytes().decode(_UTF32, "surrogatepass")
        if (known == self.unknown).any():
            mark = REPLACEMENT.encode()
            data = b"".join(mark if k == self.unknown else bytes((k,)) for k in known.tolist())
        else:
            data = known.astype(np.uint8).tobytes()
        return data.decode("utf-8", _LENIENT)

    def _joined(self, words: list[str]) -> str:
        """Words with a space between them, but not beside an end mark."""
        parts: list[str] = []
        for k, word in enumerate(words):
            if k and word != self.end and words[k - 1] != self.end:
                parts.append(" ")
            parts.append(word)
        return "".join(parts)

    def split(self, text: str) -> list[str]:
        """The sequences of `text`: it is cut after each end mark. Joined they are the text again; none is empty.

        Numbers, and words without an end mark, are cut after each empty line, and nothing else is no sequence.
        """
        if self.unit == "number" or (self.in_words and self.end is None):
            return [match[0] for match in _BLOCK.finditer(text)]
        if self.end is None:
            return [text] if text else []
        *whole, rest = text.split(self.end)
        return [piece + self.end for piece in whole] + ([rest] if rest else [])

    def labels(self, source: str | Iterable[int] | NDArray[Any]) -> list[str]:
        """What to print for each step of a text, of ids, or of numbers.

        A character is its own label, newline and tab too, and an unknown one of a text keeps its own character, a word
        its own spelling; lone surrogates and unknown ids are U+FFFD, padding is empty. Of bytes, the ASCII ones are
        their character and the others two hexadecimal digits. Of numbers, all of a step, separated by commas.
        """
        if self.unit == "number":
            values = self._numbers(source) if isinstance(source, str) else np.asarray(source, np.float32)
            return [",".join(map(str, row)) for row in values]  # as few digits as tell a single-precision number
        if isinstance(source, str) and self.in_words:
            return [match[0] for match in self._matches(source)]
        if isinstance(source, str) and not self.bytes:
            return [REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in source]
        ids = self.encode(source) if isinstance(source, str) else self._checked(source)
        if self.bytes:
            names = [chr(k) if k < 128 else f"{k:02X}" for k in range(256)]
        else:
            names = [REPLACEMENT if "\ud800" <= symbol <= "\udfff" else symbol for symbol in self.symbols]
        names += [REPLACEMENT, ""]  # the unknown id; padding, which is -1, counts from the end
        return [names[k] for k in ids.tolist()]

    def unknown_in(self, text: str) -> list[str]:
        """The characters (or words) of `text` that are not symbols, each once, sorted."""
        if self.bytes or self.unit == "number":
            return []
        if self.in_words:
            words = [match[0] for match in self._matches(text)]
            known = self._id_of_word
            return sorted(
                {word for word in words if word not in known and (self.unit == "token" or word.lower() not in known)}
            )
        return sorted(set(text) - set(self.symbols))

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
        about: dict[str, Any] = {"unit": self.unit, "end": self.end}
        if self.other is not None:
            about["other"] = self.other
        if self.unit == "word":
            about["rule"] = self.rule
        return about if self.bytes else {**about, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, data: object) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises: ValueError that says what is wrong with `data`.
        """
        if not isinstance(data, dict):
            raise ValueError(f"A vocabulary is a JSON object; {_kind(data)} was given.")
        if "unit" not in data and isinstance(data.get("bytes"), bool):  # as it was written up to version 0.1
            data = {**data, "unit": "byte" if data["bytes"] else "character"}
        for key in ("unit", "end"):
            if key not in data:
                raise ValueError(f"A vocabulary needs the key {key!r}; it has {sorted(map(str, data))}.")
        unit: Unit | None = next((unit for unit in get_args(Unit) if unit == data["unit"]), None)
        if unit is None:
            raise ValueError(f"'unit' of a vocabulary is {', '.join(get_args(Unit))}; it is {data['unit']!r} here.")
        for key in ("end", "other"):
            if not isinstance(data.get(key), str | None):
                raise ValueError(f"{key!r} of a vocabulary is a character or null; {_kind(data[key])} was given.")
        if unit == "byte":
            return cls.of_bytes(data["end"])
        rule = data.get("rule", 1) if unit == "word" else LATEST  # vocabularies up to version 0.1 name no rule
        if type(rule) is not int:
            raise ValueError(f"'rule' of a vocabulary is a whole number; {_kind(rule)} was given.")
        return cls(_symbols(data.get("symbols")), data["end"], unit, data.get("other"), rule)


_BYTES = tuple(map(chr, range(256)))
_UTF32 = "utf-32-le" if np.little_endian else "utf-32-be"
_LENIENT = "gatescope.lenient"
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
_HALF = re.compile("[\ud800-\udfff]")  # what no file can be written with
_SPACE = re.compile(r"\s")
_SEPARATOR = re.compile(r"[,;\s]+")
_LINE = re.compile(r"[^\r\n]+")
_BLOCK = re.compile(r"(?:\A(?:[^\S\n]*\n)+)?(?:[^\S\n]*\S[^\n]*(?:\n|\Z))+(?:[^\S\n]*\n|[^\S\n]+\Z)*")


def _symbols(symbols: object) -> tuple[str, ...]:
    """The symbols of a vocabulary in JSON.

    Raises: ValueError that says what is wrong with them.
    """
    if not isinstance(symbols, list):
        raise ValueError(f"'symbols' of a vocabulary is a list of characters; {_kind(symbols)} was given.")
    for symbol in symbols:
        if not isinstance(symbol, str):
            raise ValueError(f"A symbol is one character; {_kind(symbol)} was given.")
        if _HALF.search(symbol):
            raise ValueError(f"A symbol is whole characters; {symbol!r} has half of a surrogate pair.")
    return tuple(symbols)


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode(_UTF32, "surrogatepass"), dtype=np.uint32)


def _lenient(error: UnicodeError) -> tuple[str | bytes, int]:
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
