"""Vocabularies of tokenizers: their ids, and a question where a run cannot cut texts as they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatescope.adopting import AdoptingError, read_vocabulary


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_tokenizer_json_of_words_gives_their_ids(tmp_path: Path) -> None:
    model = {"type": "WordLevel", "vocab": {"[UNK]": 1, "the": 2, "film": 3}, "unk_token": "[UNK]"}
    content = {"model": model, "added_tokens": [{"id": 0, "content": "[PAD]"}], "pre_tokenizer": None}
    path = written(tmp_path / "tokenizer.json", content | {"pre_tokenizer": {"type": "WhitespaceSplit"}})
    vocabulary, _ = read_vocabulary(path)
    assert (vocabulary.symbols, vocabulary.unit, vocabulary.other) == (
        ("[PAD]", "[UNK]", "the", "film"),
        "token",
        "[UNK]",
    )
    written(path, content | {"pre_tokenizer": {"type": "Whitespace"}, "normalizer": {"type": "Lowercase"}})
    with pytest.raises(AdoptingError, match=r"how texts are split.*Lowercase, Whitespace.*unit='token'"):
        read_vocabulary(path)
    assert read_vocabulary(path, unit="token")[0].size == 4


@pytest.mark.parametrize(
    "added", [[{"id": 2, "content": "other"}], [{"id": "2", "content": "x"}], [{"id": -1, "content": "x"}], [3], 1.5]
)
def test_tokenizer_json_with_damaged_tokens_is_refused(added: Any, tmp_path: Path) -> None:
    content = {"model": {"type": "WordLevel", "vocab": {"a": 2, "b": 1, "c": 0}}, "added_tokens": added}
    with pytest.raises(AdoptingError, match="added tokens"):
        read_vocabulary(written(tmp_path / "tokenizer.json", content))


@pytest.mark.parametrize("piece", [[["x"], 0.0], [{}, 0.0], [None, 0.0], [], 3, ["a", -1.0]])
def test_tokenizer_json_with_damaged_pieces_is_refused(piece: Any, tmp_path: Path) -> None:
    content = {"model": {"type": "Unigram", "vocab": [["a", 0.0], piece]}}
    with pytest.raises(AdoptingError, match="expected each piece of the vocabulary once and with its text"):
        read_vocabulary(written(tmp_path / "tokenizer.json", content))


def test_tokenizer_json_of_characters_needs_no_question(tmp_path: Path) -> None:
    content = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, " ": 2}, "merges": []}}
    vocabulary, _ = read_vocabulary(written(tmp_path / "tokenizer.json", content))
    assert (vocabulary.symbols, vocabulary.unit) == (("a", "b", " "), "character")


def test_keras_tokenizer_counts_from_1_up_to_its_limit(tmp_path: Path) -> None:
    index = json.dumps({"<oov>": 1, "the": 2, "film": 3, "rare": 4})
    config = {
        "word_index": index,
        "num_words": 4,
        "oov_token": "<oov>",
        "char_level": False,
        "filters": "!?",
        "lower": True,
    }
    path = written(tmp_path / "t.json", {"class_name": "Tokenizer", "config": config})
    with pytest.raises(AdoptingError, match=r"removes punctuation.*unit='token'"):
        read_vocabulary(path)
    vocabulary, notes = read_vocabulary(path, unit="token")
    assert vocabulary.symbols == ("⟨0⟩", "<oov>", "the", "film")
    assert vocabulary.other == "<oov>"
    assert any("The id 0 is padding" in note for note in notes)


def test_sentencepiece_model_and_lines_give_the_same_pieces(tmp_path: Path) -> None:
    pieces = ["<unk>", "<s>", "▁the", "x"]
    messages = [b"\x0a" + bytes([len(p.encode())]) + p.encode() + b"\x15\x00\x00\x80\xbf" for p in pieces]
    (tmp_path / "s.model").write_bytes(b"".join(b"\x0a" + bytes([len(m)]) + m for m in messages))
    written(tmp_path / "s.vocab", "".join(f"{piece}\t{-k / 2}\n" for k, piece in enumerate(pieces)))
    for name in ("s.model", "s.vocab"):
        with pytest.raises(AdoptingError, match=r"splits words into pieces"):
            read_vocabulary(tmp_path / name)
        assert read_vocabulary(tmp_path / name, unit="token")[0].symbols == tuple(pieces)
    (tmp_path / "s.model").write_bytes(b"\x0a\xff\xff\xff\xff\x0f")
    with pytest.raises(AdoptingError, match="expected text in UTF-8 or a model of SentencePiece"):
        read_vocabulary(tmp_path / "s.model")


@pytest.mark.parametrize(
    ("lines", "symbols"),
    [("the 10\nfilm 4\nwas 4\n", ("the", "film", "was")), ("film 1\nwas 2\nthe 0\n", ("the", "film", "was"))],
)
def test_words_with_counts_or_ids(lines: str, symbols: tuple[str, ...], tmp_path: Path) -> None:
    assert read_vocabulary(written(tmp_path / "v.txt", lines))[0].symbols == symbols


def test_words_with_other_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match="words and counts that fall"):
        read_vocabulary(written(tmp_path / "v.txt", "a 3\nb 9\n"))


@pytest.mark.parametrize("content", ['["a", "\\ud800"]', '{"a": 0, "a": 1}', '{"\\udc00": 0}'])
def test_symbols_that_are_no_text_or_not_alone_are_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match="expected"):
        read_vocabulary(written(tmp_path / "v.json", content))
