"""Vocabularies in every form in which people keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.adopting import AdoptingError, read_vocabulary, vocabulary_of
from gatescope.adopting.symbol_files import by_id


@pytest.mark.parametrize(
    "content", [["b", "a", "\n"], {"b": 0, "a": 1, "\n": 2}, {"\n": 2, "a": 1, "b": 0}, {"0": "b", "1": "a", "2": "\n"}]
)
def test_json(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    path.write_text(json.dumps(content))
    vocabulary, notes = read_vocabulary(path)
    assert vocabulary.symbols == ("b", "a", "\n")
    assert not notes
    path.write_text(json.dumps({"source": content, "target": ["x"]}))
    assert read_vocabulary(f"{path}:source")[0].symbols == ("b", "a", "\n")
    with pytest.raises(AdoptingError, match=r"name one of them, as in .*v\.json:source"):
        read_vocabulary(path)
    with pytest.raises(AdoptingError, match="expected an entry 'other', got source, target"):
        read_vocabulary(f"{path}:other")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_symbol_a_line(newline: str, tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(newline.join(["b", " ", "ä", "[", ""]).encode())
    assert read_vocabulary(path)[0].symbols == ("b", " ", "ä", "[")


def test_symbols_of_several_characters_and_ids_without_one() -> None:
    vocabulary, notes = vocabulary_of(["<pad>", "a", None, "\ue000"], end="<pad>")
    assert vocabulary.symbols == ("\ue001", "a", "\ue002", "\ue000")
    assert vocabulary.end == "\ue001"
    assert "<pad> is U+E001, the id 2 is U+E002" in notes[0]


@given(st.lists(st.one_of(st.none(), st.text(min_size=0, max_size=3)), min_size=1, max_size=30))
def test_every_id_keeps_its_place(names: list[str | None]) -> None:
    singles = [name for name in names if name is not None and len(name) == 1]
    if len(set(singles)) < len(singles):
        with pytest.raises(AdoptingError, match="more than once"):
            vocabulary_of(names)
        return
    vocabulary, _ = vocabulary_of(names)
    assert vocabulary.size == len(names)
    for k, name in enumerate(names):
        if name is not None and len(name) == 1:
            assert vocabulary.encode(name).tolist() == [k]


@pytest.mark.parametrize(
    "content", [[], {}, 3, [1, 2], {"a": 0, "b": 0}, {"a": -1}, {"a": 10**9}, {"a": "b"}, {"a": None}, {"a": True}]
)
def test_what_is_no_vocabulary(content: Any) -> None:
    with pytest.raises(AdoptingError):
        vocabulary_of(by_id(content, "v.json"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match=r"nothing\.json"):
        read_vocabulary(tmp_path / "nothing.json")
    (tmp_path / "v.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AdoptingError, match="expected text in UTF-8"):
        read_vocabulary(tmp_path / "v.txt")
    (tmp_path / "v.json").write_text('["a", ')
    with pytest.raises(AdoptingError, match="expected JSON"):
        read_vocabulary(tmp_path / "v.json")


IMDB = {"<start>": 1, "<unk>": 2, "the": 4, "film": 5, "good": 7, "rare": 9}


def test_words_with_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(IMDB))
    vocabulary, notes = read_vocabulary(path, rows=8)
    assert vocabulary.unit == "word"
    assert vocabulary.symbols == ("⟨0⟩", "<start>", "<unk>", "⟨3⟩", "the", "film", "⟨6⟩", "good")
    # In small letters where it is unknown as it stands; cut at punctuation; a rare word is beyond the vectors.
    assert vocabulary.encode("<start> The film, good rare").tolist() == [1, 4, 5, 2, 7, 2]
    joined_notes = " ".join(notes)
    assert "goes on to the id 9; the network has vectors for the first 8" in joined_notes
    assert "Unknown words are read as <unk>." in joined_notes
    assert "words were assumed (--unit)" in joined_notes
    assert "the id 0 is '⟨0⟩'" in joined_notes
    longer, _ = read_vocabulary(path, unit="token", rows=12)
    assert longer.size == 12
    assert longer.encode("The the").tolist() == [2, 4]
    assert read_vocabulary(path, unit="character", rows=8)[0].unit == "character"


def test_a_list_of_words_is_never_cut_or_filled(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n[UNK]\nthe\n")
    vocabulary, _ = read_vocabulary(path, rows=9)
    assert vocabulary.symbols == ("⟨0⟩", "[UNK]", "the")
    assert vocabulary.other == "[UNK]"


def test_marks_of_words() -> None:
    vocabulary, notes = vocabulary_of(["<eos>", "a", "b c"], "<eos>", unit="word", unknown="a")
    assert (vocabulary.symbols, vocabulary.end, vocabulary.other) == (("\n", "a", "⟨2⟩"), "\n", "a")
    assert vocabulary.split("a a\na") == ["a a\n", "a"]
    assert "<eos> is '\\n'" in notes[0]
    assert vocabulary_of(["\n", "a"], "\n", unit="token")[0].end == "\n"
    for marks in ({"end": "z"}, {"unknown": "z"}):
        with pytest.raises(AdoptingError, match=r"'z'.* not in the vocabulary"):
            vocabulary_of(["a", "b"], unit="word", **marks)
    with pytest.raises(AdoptingError, match="more than once"):
        vocabulary_of(["of", "of"], unit="word")
    with pytest.raises(AdoptingError, match="expected character, word or token, got byte"):
        vocabulary_of(["a"], unit="byte")


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=30, unique=True))
def test_every_word_keeps_its_place(names: list[str | None]) -> None:
    vocabulary, _ = vocabulary_of(names, unit="token")
    assert vocabulary.size == len(names)
    for k, name in enumerate(names):
        if name and not any(map(str.isspace, name)):
            assert vocabulary.encode(name).tolist() == [k]
