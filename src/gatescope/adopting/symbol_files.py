"""Vocabularies of networks that were trained elsewhere: lists, objects and texts that people keep beside weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gatescope.adopting.foreign import AdoptingError, listed, option, reason_of
from gatescope.adopting.tokenizers import Tokenizer, of_bytes, of_json, of_lines
from gatescope.errors import GatescopeError
from gatescope.vocabulary import Unit, Vocabulary

MAX_FILE_BYTES = 64 << 20
PRIVATE = (*range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))  # code points that Unicode leaves to private use
UNKNOWN_WORDS = ("<unk>", "<UNK>", "[UNK]", "<oov>", "<OOV>", "[OOV]", "UNK", "<unknown>")


@dataclass(frozen=True)
class Names:
    """The names of the ids in a file of symbols.

    Attributes:
        names: the names in the order of the ids; None for an id without a name.
        numbered: whether the file has an id for each name, so that ids may be missing, or more than the network reads.
        tokenizer: the tokenizer in the file; None for any other file.
    """

    names: list[str | None]
    numbered: bool
    tokenizer: Tokenizer | None = None

    @property
    def unit(self) -> Unit:
        """Words, if most names are longer than a character."""
        return "word" if sum(len(name) > 1 for name in self.names if name) * 2 > len(self.names) else "character"

    def of_size(self, rows: int | None) -> tuple[list[str | None], list[str]]:
        """Return the names of the ids that a network reads, and notes about ids that were added or left out.

        Args:
            rows: the count of ids of the network; None if it is unknown. Names without ids are returned as they are.
        """
        count = len(self.names)
        if rows is None or rows == count or not self.numbered:
            return self.names, []
        if rows < count:
            note = f"The vocabulary goes on to the id {count - 1:,}; the network has vectors for the first {rows:,}."
            return self.names[:rows], [f"{note} The other symbols are unknown to it."]
        return [*self.names, *[None] * (rows - count)], []


def read_names(path: Path | str) -> Names:
    """Return the names in a file of symbols: JSON or lines.

    Args:
        path: the file; see `read_vocabulary`.

    Raises:
        AdoptingError: the file cannot be read, or is no vocabulary.
    """
    file, key = _file_and_key(path)
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise AdoptingError("FOREIGN_FILE_TOO_LARGE", path=file, size=size, limit=MAX_FILE_BYTES)
        raw = file.read_bytes()
        if raw[:1] == b"\n" and file.suffix == ".model":
            return _of_tokenizer(of_bytes(raw, str(file)))
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise AdoptingError("FOREIGN_FILE_UNREADABLE", path=file, reason=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise AdoptingError("FOREIGN_VOCABULARY_NO_UTF8", path=file, start=error.start) from error
    content = _parsed(text, file)
    if key is not None:
        if not isinstance(content, dict) or key not in content:
            names = listed(content) if isinstance(content, dict) else "no names"
            raise AdoptingError("FOREIGN_VOCABULARY_ENTRY_UNKNOWN", path=file, key=key, names=names)
        content = content[key]
    tokenizer = of_json(content, str(file))
    if tokenizer is None and key is None and isinstance(content, list) and file.suffix != ".json":
        tokenizer = of_lines([line for line in content if isinstance(line, str)], str(file))
    if tokenizer is not None:
        return _of_tokenizer(tokenizer)
    return Names(by_id(content, str(path)), isinstance(content, dict))


def _of_tokenizer(tokenizer: Tokenizer) -> Names:
    return Names(tokenizer.names, numbered=True, tokenizer=tokenizer)


def read_vocabulary(
    path: Path | str,
    end: str | None = None,
    *,
    unit: Unit | None = None,
    unknown: str | None = None,
    rows: int | None = None,
) -> tuple[Vocabulary, list[str]]:
    """Return the vocabulary in a file, and notes about it.

    Args:
        path: JSON: a list of symbols, an object symbol -> id or id -> symbol, or an object of several of these, of
            which one is named after a colon (`vocab.json:graphemes`); a tokenizer.json of Hugging Face or a Tokenizer
            of Keras. A model of SentencePiece (.model). Any other text: one symbol a line, perhaps with its score,
            count or id.
        end: the symbol that ends a sequence.
        unit: what a symbol is; by default a word, if most are longer than a character.
        unknown: the symbol that was learned for unknown ones; by default found by its usual names, for words.
        rows: the count of ids of the network. Ids that an object does not name are left without a symbol, and ids
            beyond the network are left out.

    Raises:
        AdoptingError: the file cannot be read, or is none of these.
    """
    file_names = read_names(path)
    names, notes = file_names.of_size(rows)
    if (tokenizer := file_names.tokenizer) is not None:
        if (unit := unit or tokenizer.unit) is None:
            raise tokenizer.question(str(path))
        unknown, notes = unknown or tokenizer.unknown, [*notes, *tokenizer.notes]
    if unit is None and file_names.unit == "word":
        unit = "word"
        notes = [*notes, "Most symbols have several characters, so that words were assumed (--unit)."]
    vocabulary, symbol_notes = vocabulary_of(names, end, unit=unit or "character", unknown=unknown)
    return vocabulary, [*notes, *symbol_notes]


def vocabulary_of(
    names: Iterable[str | None], end: str | None = None, *, unit: Unit = "character", unknown: str | None = None
) -> tuple[Vocabulary, list[str]]:
    """Return the vocabulary of the symbols with the ids 0, 1, 2, ..., and notes about replaced symbols.

    For characters, a symbol of several (`<s>`, `AH0`) and an id without a symbol become a character of Unicode's
    private area, in the order of their ids. For words, an id without a symbol becomes its number in angle brackets, and
    an end mark of several characters becomes the end of a line. The notes list the replacements.

    Args:
        names: the symbols; None for an id without one.
        end: the symbol that ends a sequence.
        unit: what a symbol is: "character", "word" or "token".
        unknown: the symbol that was learned for unknown ones; by default found by its usual names, for words.

    Raises:
        AdoptingError: two symbols are the same, or the end mark is no symbol.
    """
    known = list(names)
    damaged = next((name for name in known if name is not None and not _is_unicode(name)), None)
    if damaged is not None:
        raise AdoptingError("FOREIGN_VOCABULARY_SYMBOL_NO_UNICODE", symbol=damaged)
    if not known:
        raise AdoptingError("FOREIGN_VOCABULARY_EMPTY")
    if unit not in ("character", "word", "token"):
        raise AdoptingError("FOREIGN_VOCABULARY_UNIT_UNKNOWN", unit=unit)
    replaced = _replaced_words(known, end) if unit in ("word", "token") else _replaced_characters(known)
    symbols = tuple(replaced.get(k, name or "") for k, name in enumerate(known))
    ids = {name: k for k, name in enumerate(known) if name is not None}
    for keyword, mark in (("end", end), ("unknown", unknown)):
        if mark is not None and mark not in ids:
            raise AdoptingError("FOREIGN_VOCABULARY_MARK_UNKNOWN", option=option(keyword, mark), mark=mark)
    notes = []
    if unknown is None and unit in ("word", "token"):
        unknown = next((name for name in UNKNOWN_WORDS if name in ids), None)
        notes += [f"Unknown words are read as {unknown}."] if unknown else []
    try:
        marks = [None if mark is None else symbols[ids[mark]] for mark in (end, unknown)]
        vocabulary = Vocabulary(symbols, marks[0], unit, marks[1])
    except ValueError as error:
        raise AdoptingError(error.message if isinstance(error, GatescopeError) else str(error)) from error
    if replaced:
        replacements = [(known[k] or f"the id {k}", symbol) for k, symbol in replaced.items()]
        if unit == "character":
            shown = listed((f"{name} is U+{ord(symbol):X}" for name, symbol in replacements), 6)
            notes.append(f"Symbols that are no single character became characters of Unicode's private use: {shown}.")
        else:
            shown = listed((f"{name} is {symbol!r}" for name, symbol in replacements), 6)
            notes.append(f"Symbols that are no words became words: {shown}.")
    return vocabulary, notes


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _replaced_characters(known: list[str | None]) -> dict[int, str]:
    """Return a character of the private area for each id whose symbol is no single character."""
    singles = [name for name in known if name is not None and len(name) == 1]
    if len(set(singles)) < len(singles):
        repeated = next(name for k, name in enumerate(singles) if name in singles[:k])
        raise AdoptingError("FOREIGN_VOCABULARY_SYMBOL_REPEATED", symbol=repeated)
    taken = set(singles)
    spare = (chr(point) for point in PRIVATE if chr(point) not in taken)
    replaced: dict[int, str] = {}
    for k, name in enumerate(known):
        if name is None or len(name) != 1:
            symbol = next(spare, None)
            if symbol is None:
                raise AdoptingError(
                    "FOREIGN_VOCABULARY_CHARACTERS_TOO_LONG",
                    limit=len(PRIVATE),
                    count=len(known) - len(singles),
                    option=option("unit", "word"),
                )
            replaced[k] = symbol
    return replaced


def _replaced_words(known: list[str | None], end: str | None) -> dict[int, str]:
    """Return a word for each id whose symbol is missing, empty or has white space in it."""
    taken, replaced = set(known), dict[int, str]()
    for k, name in enumerate(known):
        if name is not None and name == end:
            if len(name) > 1:
                replaced[k] = next(mark for mark in ("\n", *map(chr, PRIVATE)) if mark not in taken)
        elif not name or any(map(str.isspace, name)):
            symbol = f"\u27e8{k}\u27e9"
            while symbol in taken:
                symbol = f"\u27e8{symbol}\u27e9"
            replaced[k] = symbol
    return replaced


def by_id(content: Any, path: str) -> list[str | None]:
    """Return the symbols of a list, symbol -> id, or id -> symbol in the order of their ids.

    Args:
        content: the parsed JSON, or the lines.
        path: the file, for messages.

    Raises:
        AdoptingError: the content is none of these, or its ids are not 0, 1, 2, ... with few gaps.
    """
    if isinstance(content, list) and content and all(isinstance(symbol, str) for symbol in content):
        return list(content)
    symbols = _symbols_by_id(content) if isinstance(content, Mapping) and content else None
    if symbols is None:
        entries = content.items() if isinstance(content, dict) else ()
        keys = [key for key, value in entries if isinstance(value, list | dict)]
        if keys:
            raise AdoptingError("FOREIGN_VOCABULARY_SEVERAL", path=path, names=listed(keys), key=keys[0])
        raise AdoptingError("FOREIGN_VOCABULARY_FORM_UNKNOWN", path=path)
    largest = max(symbols)
    if min(symbols) < 0 or largest >= 2 * len(symbols) + 16:
        raise AdoptingError(
            "FOREIGN_VOCABULARY_IDS_TOO_LARGE", path=path, smallest=min(symbols), largest=largest, count=len(symbols)
        )
    return [symbols.get(k) for k in range(largest + 1)]


def _symbols_by_id(content: Mapping[Any, Any]) -> dict[int, str] | None:
    """Return id -> symbol; None if the mapping is something else."""
    if all(type(value) is int for value in content.values()):
        symbols = {value: str(key) for key, value in content.items()}
        return symbols if len(symbols) == len(content) else None
    if all(isinstance(value, str) for value in content.values()) and all(
        str(key).isdecimal() and len(str(key)) < 10 for key in content
    ):
        return {int(key): value for key, value in content.items()}
    return None


def _file_and_key(path: Path | str) -> tuple[Path, str | None]:
    """Return a file, and the entry of it that is named after a colon."""
    file, colon, key = str(path).rpartition(":")
    if colon and not Path(path).exists() and Path(file).exists():
        return Path(file), key
    return Path(path), None


def _unique(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose names differ."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        seen = set[str]()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise AdoptingError("FOREIGN_VOCABULARY_NAME_REPEATED", path=path, name=repeated)
    return entries


def _parsed(text: str, file: Path) -> Any:
    """Return the content of a text that begins like JSON; the lines of any other text."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(text, object_pairs_hook=partial(_unique, str(file)))
        except (ValueError, RecursionError) as error:
            if isinstance(error, AdoptingError):
                raise
            if file.suffix == ".json":
                raise AdoptingError("FOREIGN_VOCABULARY_NO_JSON", path=file, reason=reason_of(error)) from error
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
