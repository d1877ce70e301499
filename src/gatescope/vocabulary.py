"""The vocabulary of a network: its symbols, and how a text becomes sequences of ids or numbers.

`T` step, `I` number of a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from gatescope.names import unknown as unknown_name
from gatescope.splitting import LATEST, WORDS
from gatescope.units import (
    BYTE_SYMBOLS,
    PIECE_CHARACTERS,
    REPLACEMENT,
    UNITS,
    Ids,
    NumberUnits,
    TokenUnits,
    Units,
    VocabularyError,
    code_points,
)

__all__ = [
    "PADDING",
    "REPLACEMENT",
    "Ids",
    "Numbers",
    "Reading",
    "Unit",
    "Vocabulary",
    "VocabularyError",
    "is_symbol",
    "next_symbols",
]

PADDING = -1
"""The id of a step after the end of a sequence in a batch, and of a target that is left out of the loss."""

Numbers = NDArray[np.float32]
Reading = Ids | Numbers
"""One sequence as a network reads it: ids (T,), or vectors of numbers (T, I)."""
Unit = Literal["character", "byte", "word", "token", "number"]
Array = TypeVar("Array")


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a network: symbol number k has the id k.

    The id `unknown` (= `size`) stands for everything that is not a symbol if there is no `other`; `is_symbol` says how
    it is treated.

    Attributes:
        symbols: the symbols, all different.
        end: the end mark: the symbol that ends a sequence, so that the next symbol starts again from the initial state.
            None: a text is one sequence; of words and tokens, an empty line ends a sequence. An end mark of words or
            tokens is a symbol wherever it stands, even without white space around it.
        unit: what one step is, and what a symbol is.

            * "character": one character.
            * "byte": one of the 256 byte values (written as the characters 0 to 255); a text is read as its UTF-8.
            * "token": the text between white space.
            * "word": the same, but text that is not a symbol as it stands is cut into words and punctuation marks, and
              a word that is unknown as it is spelled is looked up in small letters.
            * "number": a vector; the symbols are the names of its numbers. A text has one step per line, its numbers
              separated by commas or white space; an empty line ends a sequence.

        other: the symbol that was learned for everything that is not another symbol, such as "<unk>".
        rule: the rule of `gatescope.splitting` that cuts text between white space into words; for "word" only.

    Raises:
        VocabularyError: the symbols, marks or rule do not make a vocabulary.
    """

    symbols: tuple[str, ...]
    end: str | None = None
    unit: Unit = "character"
    other: str | None = None
    rule: int = LATEST

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise VocabularyError(unknown_name("Unit of a vocabulary", self.unit, get_args(Unit)))
        if not self.symbols:
            raise VocabularyError("VOCABULARY_EMPTY")
        if self.rule not in WORDS:
            raise VocabularyError("VOCABULARY_RULE_UNKNOWN", rules=", ".join(map(str, WORDS)), rule=self.rule)
        self._units.check()
        if len(set(self.symbols)) != len(self.symbols):
            repeated = Counter(self.symbols).most_common(1)[0][0]
            raise VocabularyError("VOCABULARY_SYMBOL_REPEATED", symbol=repeated)

    @cached_property
    def _units(self) -> Units:
        return UNITS[self.unit](self.symbols, self.end, self.other, self.rule)

    @property
    def bytes(self) -> bool:
        """Whether a step is a byte."""
        return self.unit == "byte"

    @property
    def in_words(self) -> bool:
        """Whether a step is a word or token."""
        return isinstance(self._units, TokenUnits)

    @classmethod
    def of(cls, text: str, end: str | None = None) -> Vocabulary:
        """Return the vocabulary of the characters of a text, in the order of their code points.

        Args:
            text: any text.
            end: the end mark.
        """
        seen = np.zeros(0x110000, dtype=np.bool_)
        for start in range(0, len(text), PIECE_CHARACTERS):
            seen[code_points(text[start : start + PIECE_CHARACTERS])] = True
        return cls(tuple(chr(point) for point in np.flatnonzero(seen).tolist()), end)

    @classmethod
    def of_bytes(cls, end: str | None = None) -> Vocabulary:
        """Return the vocabulary of the 256 byte values.

        Args:
            end: the end mark.
        """
        return cls(BYTE_SYMBOLS, end, "byte")

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
        """Return the vocabulary of the most frequent words or tokens.

        The most frequent comes first; equally frequent ones are in the order of their code points. The end mark is the
        last symbol.

        Args:
            words: the words of a text, with repetitions.
            end: the end mark.
            unit: "word" or "token".
            least: how often a word must occur.
            most: the largest number of words.

        Raises:
            VocabularyError: no word is left.
        """
        counts = Counter(words)
        frequent = [word for word, count in counts.items() if count >= least]
        symbols = tuple(sorted(frequent, key=lambda word: (-counts[word], word))[:most])
        if not symbols:
            raise VocabularyError("VOCABULARY_NO_FREQUENT_WORD", least=least)
        return cls((*symbols, end) if end is not None and end not in symbols else symbols, end, unit)

    @property
    def size(self) -> int:
        """The number of symbols."""
        return len(self.symbols)

    @property
    def unknown(self) -> int:
        """The id of everything that is not a symbol."""
        return len(self.symbols)

    def spans(self, text: str) -> NDArray[np.int64]:
        """Return where each step begins and ends in a text, in characters, (T, 2).

        A byte has the span of its character, a vector of numbers that of its line.
        """
        return self._units.spans(text)

    def encode(self, text: str) -> NDArray[Any]:
        """Return a text as the network reads it.

        Args:
            text: any text. What is not a symbol becomes `other`, or `unknown` if there is no `other`.

        Returns:
            (T,) int32 ids, or (T, I) float32 numbers.

        Raises:
            VocabularyError: a line does not hold the numbers of a step; the message names the line.
        """
        return self._units.encode(text)

    def ids_of(self, symbols: Iterable[str]) -> Ids:
        """Return the id of each symbol, (T,).

        A word is also looked up in small letters. What is not a symbol has the id of `other`, or `unknown`.
        """
        return self._units.ids_of(symbols)

    def decode(self, ids: Iterable[int] | NDArray[Any]) -> str:
        """Return the text of ids, or of numbers.

        Args:
            ids: ids, of which padding is dropped. Unknown ids, and bytes that are not UTF-8, become U+FFFD.

        Raises:
            VocabularyError: an id is neither a symbol, nor unknown, nor padding.
        """
        if self.unit == "number":
            return "".join(f"{line}\n" for line in self.labels(ids))
        checked = self._checked_ids(ids)
        return self._units.decode(checked[checked != PADDING])

    def split(self, text: str) -> list[str]:
        """Cut a text into its sequences, after each end mark.

        Numbers, and words without an end mark, are cut after each empty line.

        Returns:
            The sequences, none of them empty. Joined, they are the text again.
        """
        return self._units.split(text)

    def labels(self, source: str | Iterable[int] | NDArray[Any]) -> list[str]:
        """Return what to print for each step of a text, of ids, or of numbers.

        * A character is its own label, even a newline, a tab or an unknown character of a text.
        * A word of a text has its own spelling.
        * An ASCII byte is its character; another byte is two hexadecimal digits.
        * Numbers are all numbers of a step, separated by commas.
        * Unknown ids and lone surrogates are U+FFFD; padding is empty.
        """
        if isinstance(source, str):
            return self._units.labels_of_text(source)
        if isinstance(self._units, NumberUnits):
            return self._units.labels_of_numbers(np.asarray(source, np.float32))
        return self._units.labels_of_ids(self._checked_ids(source))

    def unknown_in(self, text: str) -> list[str]:
        """Return the characters or words of a text that are not symbols, each once, sorted."""
        return self._units.unknown_in(text)

    def _checked_ids(self, ids: Iterable[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        flat = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
        if flat.size == 0:
            return np.empty(0, dtype=np.int64)
        if flat.ndim != 1 or not np.issubdtype(flat.dtype, np.integer):
            raise VocabularyError("VOCABULARY_IDS_TYPE", shape=flat.shape, dtype=flat.dtype)
        flat = flat.astype(np.int64)
        wrong = flat[(flat < PADDING) | (flat > self.unknown)]
        if wrong.size:
            raise VocabularyError("VOCABULARY_ID_RANGE", unknown=self.unknown, id=wrong[0])
        return flat

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as JSON."""
        data: dict[str, Any] = {"unit": self.unit, "end": self.end}
        if self.other is not None:
            data["other"] = self.other
        if self.unit == "word":
            data["rule"] = self.rule
        return data if self.bytes else {**data, "symbols": list(self.symbols)}

    @classmethod
    def from_json(cls, data: object) -> Vocabulary:
        """Return the vocabulary that `to_json` wrote.

        Args:
            data: the parsed JSON.

        Raises:
            VocabularyError: the data do not describe a vocabulary; the message says what is wrong.
        """
        if not isinstance(data, dict):
            raise VocabularyError("VOCABULARY_JSON_TYPE", kind=_json_kind(data))
        if "unit" not in data and isinstance(data.get("bytes"), bool):  # the form of versions before 0.1
            data = {**data, "unit": "byte" if data["bytes"] else "character"}
        for key in ("unit", "end"):
            if key not in data:
                raise VocabularyError("VOCABULARY_JSON_KEY_MISSING", key=key, keys=sorted(map(str, data)))
        unit: Unit | None = next((unit for unit in get_args(Unit) if unit == data["unit"]), None)
        if unit is None:
            raise VocabularyError(unknown_name("Unit of a vocabulary", data["unit"], get_args(Unit)))
        for key in ("end", "other"):
            if not isinstance(data.get(key), str | None):
                raise VocabularyError("VOCABULARY_JSON_MARK_TYPE", key=key, kind=_json_kind(data[key]))
        if unit == "byte":
            return cls.of_bytes(data["end"])
        rule = data.get("rule", 1) if unit == "word" else LATEST  # vocabularies up to version 0.1 name no rule
        if type(rule) is not int:
            raise VocabularyError("VOCABULARY_JSON_RULE_TYPE", kind=_json_kind(rule))
        return cls(_symbols_from_json(data.get("symbols")), data["end"], unit, data.get("other"), rule)


def is_symbol(ids: Array, size: int) -> Array:
    """Return which ids are symbols (or classes): not padding, and not the id of unknown symbols.

    An id that is not a symbol is read as the zero vector, is never predicted, and is left out of the loss as a target.

    Args:
        ids: an array or tensor of ids.
        size: the number of symbols.
    """
    values: Any = ids
    return (values >= 0) & (values < size)


def next_symbols(ids: Ids) -> Ids:
    """Return the targets of a network that predicts the next symbol, (T,): the last step has none.

    Args:
        ids: the ids of one sequence, (T,).
    """
    return np.append(ids[1:], np.int32(PADDING)).astype(np.int32)


def _symbols_from_json(symbols: object) -> tuple[str, ...]:
    if not isinstance(symbols, list):
        raise VocabularyError("VOCABULARY_JSON_SYMBOLS_TYPE", kind=_json_kind(symbols))
    for symbol in symbols:
        if not isinstance(symbol, str):
            raise VocabularyError("VOCABULARY_JSON_SYMBOL_TYPE", kind=_json_kind(symbol))
        if any("\ud800" <= character <= "\udfff" for character in symbol):  # no file can be written with these
            raise VocabularyError("VOCABULARY_SYMBOL_SURROGATE", symbol=symbol)
    return tuple(symbols)


def _json_kind(value: object) -> str:
    """Return the name of the kind of a JSON value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number"}
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")
