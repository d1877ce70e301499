"""The symbols of a network that was trained elsewhere: lists, maps and texts that people keep beside their weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gatescope.adopting.foreign import AdoptingError, listed
from gatescope.text import Vocabulary

LARGEST = 64 << 20  # bytes of a file of symbols
PRIVATE = (*range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))  # characters that Unicode gives to nobody


def read_vocabulary(path: Path | str, end: str | None = None) -> tuple[Vocabulary, list[str]]:
    """The vocabulary in a file, and what is to be said about it.

    Args:
        path: JSON: a list of symbols, an object symbol -> id or id -> symbol, or an object of several of these, of
            which one is named behind a colon (`vocab.json:graphemes`). Any other text: one symbol a line.
        end: the symbol that ends a sequence, if one does.

    A symbol of several characters (`<s>`, `AH0`) and an id without a symbol stand as a character of Unicode's private
    area, in the order of their ids; the sentences say which.

    Raises:
        AdoptingError: the file cannot be read, or is none of these.
    """
    place, key = _place(path)
    try:
        if place.stat().st_size > LARGEST:
            raise AdoptingError(
                f"{place} has {place.stat().st_size:,} bytes; a file of symbols has at most {LARGEST:,}."
            )
        text = place.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise AdoptingError(f"{place} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise AdoptingError(f"{place} is not UTF-8 text at byte {error.start:,}; a vocabulary is.") from error
    content = _parsed(text, place)
    if key is not None:
        if not isinstance(content, dict) or key not in content:
            there = listed(content) if isinstance(content, dict) else "no names"
            raise AdoptingError(f"{place} has no {key!r}; it has {there}.")
        content = content[key]
    return vocabulary_of(by_id(content, str(path)), end)


def vocabulary_of(names: Iterable[str | None], end: str | None = None) -> tuple[Vocabulary, list[str]]:
    """The vocabulary of the symbols with the ids 0, 1, 2, ...; None where an id has none.

    Raises:
        AdoptingError: two symbols are the same, or the end mark is none of them.
    """
    known = list(names)
    singles = [name for name in known if name is not None and len(name) == 1]
    if len(set(singles)) < len(singles):
        twice = next(name for k, name in enumerate(singles) if name in singles[:k])
        raise AdoptingError(f"the vocabulary has {twice!r} more than once; each symbol has one id.")
    taken = set(singles)
    spare = (chr(point) for point in PRIVATE if chr(point) not in taken)
    stands: dict[str, str] = {}
    symbols: list[str] = []
    for k, name in enumerate(known):
        if name is not None and len(name) == 1:
            symbols.append(name)
            continue
        symbol = next(spare, None)
        if symbol is None:
            raise AdoptingError(
                f"{len(known):,} symbols of several characters are too many: {len(PRIVATE):,} can be told apart."
            )
        symbols.append(symbol)
        stands[f"the id {k}" if name is None else name] = symbol
    if end is not None and len(end) != 1:
        if end not in stands:
            raise AdoptingError(f"the end mark {end!r} is not in the vocabulary.")
        end = stands[end]
    if not symbols:
        raise AdoptingError("the vocabulary is empty; it needs one symbol for each id.")
    try:
        found = Vocabulary(tuple(symbols), end)
    except ValueError as error:
        raise AdoptingError(str(error)) from error
    notes = []
    if stands:
        shown = listed((f"{name} is U+{ord(symbol):X}" for name, symbol in stands.items()), 6)
        notes.append(f"What is no single character stands as one that Unicode leaves to private use: {shown}.")
    return found, notes


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
        raise AdoptingError(
            f"{path} is no vocabulary: a list of symbols, an object symbol -> id or id -> symbol, or one symbol a line "
            f"was expected.{advice}"
        )
    largest = max(pairs)
    if min(pairs) < 0 or largest >= 2 * len(pairs) + 16:
        raise AdoptingError(f"the ids in {path} go from {min(pairs)} to {largest}; they should be 0, 1, 2, ...")
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


def _parsed(text: str, place: Path) -> Any:
    """JSON where it begins like it, otherwise the lines."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            if place.suffix == ".json":
                raise AdoptingError(f"{place} is not JSON: {error}.") from error
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
