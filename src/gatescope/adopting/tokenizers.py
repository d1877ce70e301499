"""Vocabularies in the files of tokenizers: Hugging Face, Keras, SentencePiece, and words with their counts.

A run splits a text into characters, words or tokens. It does nothing else that a tokenizer may do, such as merging
pieces or removing punctuation. The names are then read, and the option `unit` answers how texts are split.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatescope.adopting.foreign import AdoptingError, listed, option, reason_of
from gatescope.messages import Message
from gatescope.vocabulary import Unit

MAX_PIECES = 4_000_000
SCORE = re.compile(r"([^\t]*)\t(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
COUNT = re.compile(r"(\S+)[ \t]+(\d{1,18})")
# Pre-tokenizers of Hugging Face -> the unit that splits a text in the same way.
UNITS: dict[str, Unit] = {"WhitespaceSplit": "token"}


@dataclass(frozen=True)
class Tokenizer:
    """The names in a tokenizer's file.

    Attributes:
        names: the names in the order of the ids; None for an id without a name.
        kind: the kind of file, in words.
        unit: how texts are split, if a run can do the same; None if the user has to decide.
        split: how the tokenizer splits texts, if a run cannot.
        unknown: the symbol for unknown ones.
        notes: notes for readers of the vocabulary, one sentence each.
    """

    names: list[str | None]
    kind: str
    unit: Unit | None = None
    split: str | Message = ""
    unknown: str | None = None
    notes: tuple[str, ...] = ()

    def question(self, path: str) -> AdoptingError:
        """Return the question about the unit.

        Args:
            path: the file.
        """
        return AdoptingError(
            "TOKENIZER_UNIT_MISSING", path=path, kind=self.kind, split=self.split, option=option("unit", "token")
        )


def of_json(content: Any, path: str) -> Tokenizer | None:
    """Return the tokenizer in a JSON file; None for any other content.

    Args:
        content: the parsed JSON.
        path: the file, for messages.

    Raises:
        AdoptingError: the vocabulary of the tokenizer is damaged.
    """
    if not isinstance(content, dict):
        return None
    if content.get("class_name") == "Tokenizer" and isinstance(content.get("config"), dict):
        return _keras(content["config"], path)
    if isinstance(content.get("model"), dict) and "vocab" in content["model"]:
        return _hugging_face(content, path)
    return None


def of_lines(lines: Sequence[str], path: str) -> Tokenizer | None:
    """Return the names in lines of a name and a number, which is a score, count or id; None for any other lines.

    Args:
        lines: the lines of the file.
        path: the file, for messages.

    Raises:
        AdoptingError: the numbers are neither ids nor falling counts.
    """
    scored = [SCORE.fullmatch(line) for line in lines]
    if lines and all(scored):
        pairs = [(match[1], match[2]) for match in scored if match]
        if any(not number.isdecimal() for _, number in pairs):
            return _pieces([name for name, _ in pairs])
    counted = [COUNT.fullmatch(line) for line in lines]
    if len(lines) < 2 or not all(counted):
        return None
    names, numbers = [match[1] for match in counted if match], [int(match[2]) for match in counted if match]
    if sorted(numbers) in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        by_number = dict(zip(numbers, names, strict=True))
        return Tokenizer([by_number.get(k) for k in range(max(numbers) + 1)], "list of symbols and ids", _unit(names))
    if numbers != sorted(numbers, reverse=True):
        raise AdoptingError("FOREIGN_VOCABULARY_NUMBERS_UNKNOWN", path=path)
    note = "The numbers beside the words were taken as counts; the ids are the numbers of the lines, from 0."
    return Tokenizer(list(names), "list of words and counts", _unit(names), notes=(note,))


def of_bytes(content: bytes, path: str) -> Tokenizer:
    """Return the pieces of a SentencePiece model: field 1 of a message is a piece, whose field 1 is its text.

    Args:
        content: the bytes of the file.
        path: the file, for messages.

    Raises:
        AdoptingError: the bytes are no such model.
    """
    names: list[str] = []
    try:
        for field, value in _fields(content):
            if field == 1 and isinstance(value, bytes):
                texts = [inner.decode() for number, inner in _fields(value) if number == 1 and isinstance(inner, bytes)]
                names += texts[:1]
            if len(names) > MAX_PIECES:
                raise AdoptingError("SENTENCEPIECE_PIECES_TOO_MANY", limit=MAX_PIECES)
    except ValueError as error:
        raise AdoptingError("SENTENCEPIECE_FILE_DAMAGED", path=path, reason=reason_of(error)) from error
    if not names:
        raise AdoptingError("SENTENCEPIECE_WITHOUT_PIECES", path=path)
    return _pieces(names)


def _pieces(names: list[str]) -> Tokenizer:
    unknown = next((name for name in names if name in ("<unk>", "[UNK]")), None)
    return Tokenizer(list(names), "model of SentencePiece", None, Message("TOKENIZER_SPLITS_PIECES"), unknown)


def _fields(content: bytes) -> list[tuple[int, bytes | int]]:
    """Return the number and the value of each field of a protobuf message.

    Raises:
        AdoptingError: the bytes are no such message.
    """
    fields: list[tuple[int, bytes | int]] = []
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            if position >= len(content) or shift > 63:
                raise AdoptingError("SENTENCEPIECE_NUMBER_DAMAGED", position=position)
            byte = content[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(content):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            fields.append((number, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) if kind != 2 else varint()
        if size is None or not number or size > len(content) - position:
            raise AdoptingError("SENTENCEPIECE_FIELD_DAMAGED", number=number, position=position)
        fields.append((number, content[position : position + size]))
        position += size
    return fields


def _keras(config: Mapping[str, Any], path: str) -> Tokenizer:
    """Return the Tokenizer of keras.preprocessing.text, whose ids count from 1; 0 is padding."""
    index = config.get("word_index")
    try:
        index = json.loads(index) if isinstance(index, str) else index
    except (ValueError, RecursionError) as error:
        raise AdoptingError("TOKENIZER_WORD_INDEX_DAMAGED", path=path, reason=reason_of(error)) from error
    limit, unknown = config.get("num_words"), config.get("oov_token")
    ids = _ids(index, path)
    if type(limit) is int and limit > 0:
        ids = {k: name for k, name in ids.items() if k < limit}
    names = [ids.get(k) for k in range(max(ids, default=0) + 1)]
    notes = ["The id 0 is padding (Keras' Tokenizer)."]
    if not isinstance(unknown, str) or unknown not in ids.values():
        unknown = None
        notes.append("Keras leaves unknown words out; a run reads them as zeros. Give texts without them.")
    if config.get("char_level"):
        if config.get("lower", True):
            notes.append("The tokenizer changes texts to lower case first; give texts in lower case.")
        return Tokenizer(names, "Tokenizer of Keras", "character", "", unknown, tuple(notes))
    split = Message("TOKENIZER_SPLITS_FILTERED" if config.get("filters") else "TOKENIZER_SPLITS_AT_SPACES")
    unit: Unit | None = None if config.get("filters") or config.get("lower", True) else "token"
    return Tokenizer(names, "Tokenizer of Keras", unit, split, unknown, tuple(notes))


def _hugging_face(content: Mapping[str, Any], path: str) -> Tokenizer:
    """Return the tokenizer in a tokenizer.json: a vocabulary, added tokens, and how texts are split."""
    model, added = content["model"], content.get("added_tokens") or []
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram: pieces with their scores
        entries = vocabulary
        texts = [entry[0] for entry in entries if isinstance(entry, list) and entry and isinstance(entry[0], str)]
        vocabulary = {text: k for k, text in enumerate(texts)}
        if len(vocabulary) < len(entries):
            raise AdoptingError("TOKENIZER_PIECES_DAMAGED", path=path)
    ids = _ids(vocabulary, path)
    if not isinstance(added, list):
        raise AdoptingError("TOKENIZER_ADDED_TOKEN_DAMAGED", path=path, token=str(added)[:80])
    for token in added:
        number, text = (token.get("id"), token.get("content")) if isinstance(token, dict) else (None, None)
        if type(number) is not int or not isinstance(text, str) or ids.get(number, text) != text or number < 0:
            raise AdoptingError("TOKENIZER_ADDED_TOKEN_DAMAGED", path=path, token=str(token)[:80])
        ids[number] = text
    names = _in_order(ids, path)
    kind = str(model.get("type") or ("BPE" if model.get("merges") else "WordLevel"))
    splits, changes = _types(content, "pre_tokenizer"), _types(content, "normalizer")
    unknown = model.get("unk_token")
    unknown = unknown if isinstance(unknown, str) and unknown in ids.values() else None
    special = {str(token.get("content")) for token in added if isinstance(token, dict)} | {unknown}
    ordinary = [name for name in ids.values() if name not in special]
    unit: Unit | None = None
    if kind == "WordLevel" and not changes and len(splits) == 1:
        unit = UNITS.get(splits[0])
    elif (
        kind == "BPE" and not changes and not splits and not model.get("merges") and all(len(n) == 1 for n in ordinary)
    ):
        unit = "character"
    steps = listed([*changes, *splits, *([kind] if kind != "WordLevel" else [])]) if changes or splits else kind
    return Tokenizer(names, "tokenizer.json", unit, Message("TOKENIZER_SPLITS_BY_STEPS", steps=steps), unknown)


def _types(content: Mapping[str, Any], key: str) -> list[str]:
    """Return the kinds of the steps of a normalizer or pre-tokenizer."""
    step = content.get(key)
    if not isinstance(step, dict):
        return []
    inner = step.get("normalizers") or step.get("pretokenizers")
    if step.get("type") == "Sequence" and isinstance(inner, list):
        return [str(part.get("type")) for part in inner if isinstance(part, dict)]
    return [str(step.get("type"))]


def _ids(index: Any, path: str) -> dict[int, str]:
    """Return id -> symbol from an object symbol -> id."""
    if not isinstance(index, dict) or not index or not all(type(k) is int and k >= 0 for k in index.values()):
        raise AdoptingError("TOKENIZER_VOCABULARY_MISSING", path=path)
    symbols = {k: str(name) for name, k in index.items()}
    if len(symbols) < len(index):
        raise AdoptingError("FOREIGN_VOCABULARY_ID_REPEATED", path=path)
    return symbols


def _in_order(ids: Mapping[int, str], path: str) -> list[str | None]:
    """Return the symbols in the order of their ids; None for an id without a symbol."""
    largest = max(ids)
    if largest >= 2 * len(ids) + 16:
        raise AdoptingError(
            "FOREIGN_VOCABULARY_IDS_TOO_LARGE", path=path, smallest=min(ids), largest=largest, count=len(ids)
        )
    return [ids.get(k) for k in range(largest + 1)]


def _unit(names: Sequence[str]) -> Unit:
    """Return "word" if most names are longer than a character."""
    return "word" if sum(len(name) > 1 for name in names) * 2 > len(names) else "character"
