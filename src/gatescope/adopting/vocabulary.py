"""The symbols of a network that was trained elsewhere: lists, maps and texts that people keep beside their weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gatescope.adopting.foreign import AdoptingError, listed
from gatescope.adopting.tokenizers import Tokenizer, of_bytes, of_json, of_lines
from gatescope.vocabulary import Unit, Vocabulary

LARGEST = 64 << 20  # bytes of a file of symbols
PRIVATE = (*range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))  # characters that Unicode gives to nobody
OTHERS = ("<unk>", "<UNK>", "[UNK]", "<oov>", "<OOV>", "[OOV]", "UNK", "<unknown>")  # what unknown words are called


@dataclass(frozen=True)
class Names:
    """What the ids of a file of symbols are called.

    Attributes:
        names: in the order of the ids; None where an id has no name.
        numbered: whether the file says which id each has, so that it may have gaps and more than the network reads.
        tokenizer: what else the file of a tokenizer says; None for any other file.
    """

    names: list[str | None]
    numbered: bool
    tokenizer: Tokenizer | None = None

    @property
    def unit(self) -> Unit:
        """Words, where most are longer than a character."""
        return "word" if sum(len(name) > 1 for name in self.names if name) * 2 > len(self.names) else "character"

    def of_size(self, rows: int | None) -> tuple[list[str | None], list[str]]:
        """The names of so many ids, and what was done to them; as they are where they are in no numbered list."""
        count = len(self.names)
        if rows is None or rows == count or not self.numbered:
            return self.names, []
        if rows < count:
            said = f"The vocabulary goes on to the id {count - 1:,}; the network has vectors for the first {rows:,}."
            return self.names[:rows], [f"{said} The others are unknown to it."]
        return [*self.names, *[None] * (rows - count)], []


def read_names(path: Path | str) -> Names:
    """The symbols in a file: JSON or lines; see `read_vocabulary`.

    Raises:
        AdoptingError: the file cannot be read, or is no vocabulary.
    """
    place, key = _place(path)
    try:
        if place.stat().st_size > LARGEST:
            raise AdoptingError(
                "VOCABULARY_BYTES_FILE_SYMBOLS_MOST", place=place, st_size=place.stat().st_size, largest=LARGEST
            )
        raw = place.read_bytes()
        if raw[:1] == b"\n" and place.suffix == ".model":
            return _of(of_bytes(raw, str(place)))
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise AdoptingError("VOCABULARY_READ", place=place, value=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise AdoptingError("VOCABULARY_UTF_TEXT_BYTE_VOCABULARY", place=place, start=error.start) from error
    content = _parsed(text, place)
    if key is not None:
        if not isinstance(content, dict) or key not in content:
            there = listed(content) if isinstance(content, dict) else "no names"
            raise AdoptingError("VOCABULARY", place=place, key=key, there=there)
        content = content[key]
    found = of_json(content, str(place))
    if found is None and key is None and isinstance(content, list) and place.suffix != ".json":
        found = of_lines([line for line in content if isinstance(line, str)], str(place))
    if found is not None:
        return _of(found)
    return Names(by_id(content, str(path)), isinstance(content, dict))


def _of(tokenizer: Tokenizer) -> Names:
    return Names(tokenizer.names, numbered=True, tokenizer=tokenizer)


def read_vocabulary(
    path: Path | str,
    end: str | None = None,
    *,
    unit: Unit | None = None,
    unknown: str | None = None,
    rows: int | None = None,
) -> tuple[Vocabulary, list[str]]:
    """The vocabulary in a file, and what is to be said about it.

    Args:
        path: JSON: a list of symbols, an object symbol -> id or id -> symbol, or an object of several of these, of
            which one is named behind a colon (`vocab.json:graphemes`); a tokenizer.json of Hugging Face or a Tokenizer
            of Keras. A model of SentencePiece (.model). Any other text: one symbol a line, perhaps with its score,
            count or id.
        end: the symbol that ends a sequence, if one does.
        unit: what a symbol is; a word, where most are longer than a character, when None.
        unknown: the symbol that was learned for unknown ones; of words, found by its usual names when None.
        rows: how many ids the network has; those that an object does not name are left without, those that it has
            too many are left out.

    Raises:
        AdoptingError: the file cannot be read, or is none of these.
    """
    found = read_names(path)
    names, said = found.of_size(rows)
    if (tokenizer := found.tokenizer) is not None:
        if (unit := unit or tokenizer.unit) is None:
            raise AdoptingError(tokenizer.question)
        unknown, said = unknown or tokenizer.unknown, [*said, *tokenizer.notes]
    if unit is None and found.unit == "word":
        unit = "word"
        said = [*said, "Most symbols have several characters, so that words were assumed (--unit)."]
    vocabulary, notes = vocabulary_of(names, end, unit=unit or "character", unknown=unknown)
    return vocabulary, [*said, *notes]


def vocabulary_of(
    names: Iterable[str | None], end: str | None = None, *, unit: Unit = "character", unknown: str | None = None
) -> tuple[Vocabulary, list[str]]:
    """The vocabulary of the symbols with the ids 0, 1, 2, ...; None where an id has none.

    Of characters, a symbol of several (`<s>`, `AH0`) and an id without a symbol stand as a character of Unicode's
    private area, in the order of their ids. Of words, an id without one stands as its number in angle brackets, and an
    end mark of several characters as the end of a line. The sentences say which.

    Raises:
        AdoptingError: two symbols are the same, or the end mark is none of them.
    """
    known = list(names)
    damaged = next((name for name in known if name is not None and not _is_text(name)), None)
    if damaged is not None:
        raise AdoptingError("VOCABULARY_VOCABULARY_SYMBOLS_UNICODE_HALF", damaged=damaged)
    if not known:
        raise AdoptingError("VOCABULARY_VOCABULARY_EMPTY_NEEDS_SYMBOL")
    if unit not in ("character", "word", "token"):
        raise AdoptingError("VOCABULARY_SYMBOLS_FILE_CHARACTERS_WORDS", unit=unit)
    stands = _words(known, end) if unit in ("word", "token") else _characters(known)
    symbols = tuple(stands.get(k, name or "") for k, name in enumerate(known))
    places = {name: k for k, name in enumerate(known) if name is not None}
    if end is not None and end not in places:
        raise AdoptingError("VOCABULARY_END_MARK_VOCABULARY", end=end)
    if unknown is not None and unknown not in places:
        raise AdoptingError("VOCABULARY_STANDS_UNKNOWN_SYMBOLS_VOCABULARY", unknown=unknown)
    notes = []
    if unknown is None and unit in ("word", "token"):
        unknown = next((name for name in OTHERS if name in places), None)
        notes += [f"Unknown words are read as {unknown}."] if unknown else []
    try:
        marks = [None if mark is None else symbols[places[mark]] for mark in (end, unknown)]
        found = Vocabulary(symbols, marks[0], unit, marks[1])
    except ValueError as error:
        raise AdoptingError(str(error)) from error
    if stands:
        named = ((known[k] or f"the id {k}", symbol) for k, symbol in stands.items())
        if unit == "character":
            shown = listed((f"{name} is U+{ord(symbol):X}" for name, symbol in named), 6)
            notes.append(f"What is no single character stands as one that Unicode leaves to private use: {shown}.")
        else:
            shown = listed((f"{name} is {symbol!r}" for name, symbol in named), 6)
            notes.append(f"What is no word stands as one: {shown}.")
    return found, notes


def _is_text(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _characters(known: list[str | None]) -> dict[int, str]:
    """A character of the private area for each id whose symbol is no single one."""
    singles = [name for name in known if name is not None and len(name) == 1]
    if len(set(singles)) < len(singles):
        twice = next(name for k, name in enumerate(singles) if name in singles[:k])
        raise AdoptingError("VOCABULARY_VOCABULARY_ONCE_SYMBOL_ID", twice=twice)
    taken = set(singles)
    spare = (chr(point) for point in PRIVATE if chr(point) not in taken)
    stands: dict[int, str] = {}
    for k, name in enumerate(known):
        if name is None or len(name) != 1:
            symbol = next(spare, None)
            if symbol is None:
                raise AdoptingError("VOCABULARY_SYMBOLS_SEVERAL_CHARACTERS_TOO", count=len(known), count2=len(PRIVATE))
            stands[k] = symbol
    return stands


def _words(known: list[str | None], end: str | None) -> dict[int, str]:
    """A word for each id whose symbol is none, because it is missing, empty or has white space in it."""
    taken, stands = set(known), dict[int, str]()
    for k, name in enumerate(known):
        if name is not None and name == end:
            if len(name) > 1:
                stands[k] = next(mark for mark in ("\n", *map(chr, PRIVATE)) if mark not in taken)
        elif not name or any(map(str.isspace, name)):
            symbol = f"\u27e8{k}\u27e9"
            while symbol in taken:
                symbol = f"\u27e8{symbol}\u27e9"
            stands[k] = symbol
    return stands


def by_id(content: Any, path: str) -> list[str | None]:
    """Symbols in the order of their ids, of a list, symbol -> id, or id -> symbol.

    Raises:
        AdoptingError: it is none of these, or its ids are not 0, 1, 2, ... with few gaps.
    """
    if isinstance(content, list) and content and all(isinstance(symbol, str) for symbol in content):
        return list(content)
    pairs = _pairs(content) if isinstance(content, Mapping) and content else None
    if pairs is None:
        keys = (
            [key for key, value in content.items() if isinstance(value, list | dict)]
            if isinstance(content, dict)
            else []
        )
        advice = f" It has {listed(keys)}: name one of them, as in {path}:{keys[0]}." if keys else ""
        raise AdoptingError("VOCABULARY_VOCABULARY_LIST_SYMBOLS_OBJECT", path=path, advice=advice)
    largest = max(pairs)
    if min(pairs) < 0 or largest >= 2 * len(pairs) + 16:
        raise AdoptingError("VOCABULARY_IDS_GO_THEY_SHOULD", path=path, pairs=min(pairs), largest=largest)
    return [pairs.get(k) for k in range(largest + 1)]


def _pairs(content: Mapping[Any, Any]) -> dict[int, str] | None:
    """id -> symbol; None where the mapping is something else."""
    if all(type(value) is int for value in content.values()):
        found = {value: str(key) for key, value in content.items()}
        return found if len(found) == len(content) else None
    if all(isinstance(value, str) for value in content.values()) and all(
        str(key).isdecimal() and len(str(key)) < 10 for key in content
    ):
        return {int(key): value for key, value in content.items()}
    return None


def _place(path: Path | str) -> tuple[Path, str | None]:
    """A file, and the entry of it that is named behind a colon."""
    place, colon, key = str(path).rpartition(":")
    if colon and not Path(path).exists() and Path(place).exists():
        return Path(place), key
    return Path(path), None


def _once(place: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON whose names differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise AdoptingError("VOCABULARY_SYMBOL_ONCE_TWICE", place=place, twice=twice)
    return found


def _parsed(text: str, place: Path) -> Any:
    """JSON where it begins like it, otherwise the lines."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text, object_pairs_hook=partial(_once, str(place)))
        except (ValueError, RecursionError) as error:
            if isinstance(error, AdoptingError):
                raise
            if place.suffix == ".json":
                raise AdoptingError("VOCABULARY_JSON", place=place, error=error) from error
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
