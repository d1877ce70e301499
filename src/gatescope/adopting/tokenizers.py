"""Vocabularies in the files of tokenizers: Hugging Face, Keras, SentencePiece, and words with their counts.

A run cuts a text into characters, words or tokens. What a tokenizer does besides (merging pieces, removing punctuation)
a run does not do: then the names are read, and how texts are cut is a question that `--unit` answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatescope.adopting.foreign import AdoptingError, listed
from gatescope.vocabulary import Unit

MAX_PIECES = 4_000_000
SCORE = re.compile(r"([^\t]*)\t(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
COUNT = re.compile(r"(\S+)[ \t]+(\d{1,18})")
# Pre-tokenizers of Hugging Face -> the unit that cuts a text in the same way.
UNITS: dict[str, Unit] = {"WhitespaceSplit": "token"}


@dataclass(frozen=True)
class Tokenizer:
    """The names in a tokenizer's file.

    Attributes:
        names: in the order of the ids; None where an id has no name.
        kind: what the file is, in words.
        unit: how texts are cut, if a run can cut them so; None: only `--unit` can say.
        cut: how the tokenizer cuts texts, in words, if a run cannot.
        unknown: the symbol for unknown ones.
        notes: what a reader of the vocabulary has to know, one sentence each.
    """

    names: list[str | None]
    kind: str
    unit: Unit | None = None
    cut: str = ""
    unknown: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        """What has to be asked if no unit is given."""
        return (
            f"How are texts cut? This {self.kind} {self.cut}, which a run does not do. Give texts whose tokens are "
            "separated by spaces, as the tokenizer returns them, and say so: --unit token."
        )


def of_json(content: Any, place: str) -> Tokenizer | None:
    """Return the tokenizer that a JSON file describes; None for any other content.

    Raises:
        AdoptingError: it is one, and its vocabulary is damaged.
    """
    if not isinstance(content, dict):
        return None
    if content.get("class_name") == "Tokenizer" and isinstance(content.get("config"), dict):
        return _keras(content["config"], place)
    if isinstance(content.get("model"), dict) and "vocab" in content["model"]:
        return _hugging_face(content, place)
    return None


def of_lines(lines: Sequence[str], place: str) -> Tokenizer | None:
    """Return the names in lines of a name and a number: scores, counts or ids; None for any other lines."""
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
        raise AdoptingError("TOKENIZERS_SYMBOLS_IDS_WORDS_COUNTS", place=place)
    note = "The numbers beside the words were taken as counts: the ids are those of the lines, from 0."
    return Tokenizer(list(names), "list of words and counts", _unit(names), notes=(note,))


def of_bytes(content: bytes, place: str) -> Tokenizer:
    """Return the pieces of a SentencePiece model: field 1 of a message is a piece, whose field 1 is its text.

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
                raise ValueError("too many pieces")
    except ValueError as error:
        raise AdoptingError("TOKENIZERS_TEXT_UTF_MODEL_SENTENCEPIECE_2", place=place, error=error) from error
    if not names:
        raise AdoptingError("TOKENIZERS_TEXT_UTF_MODEL_SENTENCEPIECE", place=place)
    return _pieces(names)


def _pieces(names: list[str]) -> Tokenizer:
    unknown = next((name for name in names if name in ("<unk>", "[UNK]")), None)
    return Tokenizer(list(names), "model of SentencePiece", None, "cuts words into pieces", unknown)


def _fields(content: bytes) -> list[tuple[int, bytes | int]]:
    """Return the number and the value of each field of a protobuf message.

    Raises:
        ValueError: the bytes are none.
    """
    found: list[tuple[int, bytes | int]] = []
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            if place >= len(content) or shift > 63:
                raise ValueError("it ends inside of a number")
            byte = content[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(content):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            found.append((number, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) if kind != 2 else varint()
        if size is None or not number or size > len(content) - place:
            raise ValueError(f"field {number} is damaged")
        found.append((number, content[place : place + size]))
        place += size
    return found


def _keras(config: Mapping[str, Any], place: str) -> Tokenizer:
    """The Tokenizer of keras.preprocessing.text: ids from 1, 0 is padding."""
    index = config.get("word_index")
    try:
        index = json.loads(index) if isinstance(index, str) else index
    except (ValueError, RecursionError) as error:
        raise AdoptingError("TOKENIZERS_WORD_INDEX_JSON", place=place, error=str(error)[:100]) from error
    limit, unknown = config.get("num_words"), config.get("oov_token")
    ids = _ids(index, place)
    if type(limit) is int and limit > 0:
        ids = {k: name for k, name in ids.items() if k < limit}
    names = [ids.get(k) for k in range(max(ids, default=0) + 1)]
    notes = ["The id 0 is padding (Keras' Tokenizer)."]
    if not isinstance(unknown, str) or unknown not in ids.values():
        unknown = None
        notes.append("Keras leaves unknown words out of a text; a run reads them as zeros: give texts without them.")
    if config.get("char_level"):
        if config.get("lower", True):
            notes.append("The tokenizer makes small letters first; give texts in small letters.")
        return Tokenizer(names, "Tokenizer of Keras", "character", "", unknown, tuple(notes))
    cut = "makes small letters and removes punctuation" if config.get("filters") else "cuts a text at spaces alone"
    unit: Unit | None = None if config.get("filters") or config.get("lower", True) else "token"
    return Tokenizer(names, "Tokenizer of Keras", unit, cut, unknown, tuple(notes))


def _hugging_face(content: Mapping[str, Any], place: str) -> Tokenizer:
    """A tokenizer.json: a model with its vocabulary, tokens that were added, and how texts are cut."""
    model, added = content["model"], content.get("added_tokens") or []
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram: pieces with their scores
        texts = [entry[0] if isinstance(entry, list) and entry else None for entry in vocabulary]
        vocabulary = {text: k for k, text in enumerate(texts)}
        if len(vocabulary) < len(texts) or None in vocabulary:
            raise AdoptingError("TOKENIZERS_VOCABULARY_SAME_PIECE_TWICE", place=place)
    ids = _ids(vocabulary, place)
    for token in added if isinstance(added, list) else ():
        number, text = (token.get("id"), token.get("content")) if isinstance(token, dict) else (None, None)
        if type(number) is not int or not isinstance(text, str) or ids.get(number, text) != text or number < 0:
            raise AdoptingError("TOKENIZERS_ADDED_TOKENS_IDS_OWN", place=place, token=str(token)[:80])
        ids[number] = text
    names = _listed(ids, place)
    kind, splits = (
        str(model.get("type") or ("BPE" if model.get("merges") else "WordLevel")),
        _types(content, "pre_tokenizer"),
    )
    changes = _types(content, "normalizer")
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
    return Tokenizer(names, "tokenizer.json", unit, f"cuts texts by {steps}", unknown)


def _types(content: Mapping[str, Any], key: str) -> list[str]:
    """The kinds of the steps of a normalizer or pre-tokenizer."""
    step = content.get(key)
    if not isinstance(step, dict):
        return []
    inner = step.get("normalizers") or step.get("pretokenizers")
    if step.get("type") == "Sequence" and isinstance(inner, list):
        return [str(one.get("type")) for one in inner if isinstance(one, dict)]
    return [str(step.get("type"))]


def _ids(index: Any, place: str) -> dict[int, str]:
    """id -> symbol, of an object symbol -> id."""
    if not isinstance(index, dict) or not index or not all(type(k) is int and k >= 0 for k in index.values()):
        raise AdoptingError("TOKENIZERS_VOCABULARY_SYMBOLS_IDS_NONE", place=place)
    found = {k: str(name) for name, k in index.items()}
    if len(found) < len(index):
        raise AdoptingError("TOKENIZERS_ID_SYMBOL_TWO_SYMBOLS", place=place)
    return found


def _listed(ids: Mapping[int, str], place: str) -> list[str | None]:
    largest = max(ids)
    if largest >= 2 * len(ids) + 16:
        raise AdoptingError("TOKENIZERS_IDS_IDS_UP_SYMBOLS", place=place, largest=largest, count=len(ids))
    return [ids.get(k) for k in range(largest + 1)]


def _unit(names: Sequence[str]) -> Unit:
    """Words, where most are longer than a character."""
    return "word" if sum(len(name) > 1 for name in names) * 2 > len(names) else "character"
