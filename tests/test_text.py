"""Vocabularies: texts become ids or numbers and come back, for every unit."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.vocabulary import PADDING, REPLACEMENT, Unit, Vocabulary

ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)  # lone surrogates included
CJK_AND_EMOJI = st.text("你好，世界。漢字かなカナ한국어👩‍💻🇨🇳é\u0301\u200b\ud83d\ude00\udfff\U0010ffff\0\n\t\r")
TEXT = st.one_of(ANY, CJK_AND_EMOJI)
SOME_TEXT = TEXT.map(lambda text: text or "\n")
BYTES = Vocabulary.of_bytes()


@given(SOME_TEXT)
def test_decode_undoes_encode(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert ids.shape == (len(text),)
    assert vocabulary.decode(ids) == text
    assert [vocabulary.symbols[k] for k in ids] == list(text)
    assert list(vocabulary.symbols) == sorted(set(text))


@given(SOME_TEXT, TEXT)
def test_exactly_the_characters_without_symbol_are_unknown(known: str, text: str) -> None:
    vocabulary = Vocabulary.of(known)
    ids = vocabulary.encode(text)
    assert [k == vocabulary.unknown for k in ids] == [character not in known for character in text]
    assert vocabulary.unknown == vocabulary.size == len(set(known))
    assert vocabulary.decode(ids) == "".join(c if c in known else REPLACEMENT for c in text)
    assert vocabulary.unknown_in(text) == sorted(set(text) - set(known))


@given(TEXT)
def test_bytes_are_utf_8_and_come_back(text: str) -> None:
    ids = BYTES.encode(text)
    assert ids.dtype == np.int32
    assert bytes(ids.tolist()) == text.encode("utf-8", "surrogatepass")
    assert BYTES.decode(ids) == text
    assert BYTES.unknown_in(text) == []


@given(st.binary(max_size=40))
def test_any_bytes_decode_and_utf_8_exactly(data: bytes) -> None:
    text = BYTES.decode(list(data))
    try:
        assert text == data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        assert REPLACEMENT in text


def test_invalid_bytes_leave_their_neighbours_intact() -> None:
    data = "a\ud800".encode("utf-8", "surrogatepass") + b"\xff" + "好".encode()
    assert BYTES.decode(list(data)) == f"a\ud800{REPLACEMENT}好"
    assert BYTES.decode([97, 256, 98, PADDING]) == f"a{REPLACEMENT}b"


@given(TEXT, st.sampled_from(["\n", "a", "好", None]))
def test_sequences_join_to_the_text_and_end_with_the_mark(text: str, end: str | None) -> None:
    pieces = Vocabulary(("\n", "a", "好"), end=end).split(text)
    assert "".join(pieces) == text
    assert all(pieces)
    if end is None:
        assert len(pieces) <= 1
    else:
        assert all(piece.endswith(end) for piece in pieces[:-1])
        assert all(end not in piece[:-1] for piece in pieces)


def test_empty_lines_are_sequences() -> None:
    vocabulary = Vocabulary(("a", "\n"), end="\n")
    assert vocabulary.split("") == []
    assert vocabulary.split("\n\na") == ["\n", "\n", "a"]
    assert vocabulary.split("a\n") == ["a\n"]


@given(TEXT, SOME_TEXT)
def test_each_step_has_one_label_that_json_can_write(text: str, known: str) -> None:
    for vocabulary in (Vocabulary.of(known), BYTES):
        ids = vocabulary.encode(text)
        for labels in (vocabulary.labels(text), vocabulary.labels(ids), vocabulary.labels(ids.tolist())):
            assert len(labels) == len(ids)
            assert json.loads(json.dumps(labels, ensure_ascii=False).encode()) == labels


def test_labels_of_unknown_and_padding_are_marked() -> None:
    vocabulary = Vocabulary(("a", "\n"))
    assert vocabulary.labels("a\né\ud800") == ["a", "\n", "é", REPLACEMENT]
    assert vocabulary.labels([0, 1, 2, PADDING]) == ["a", "\n", REPLACEMENT, ""]
    assert BYTES.labels("aé\n") == ["a", "C3", "A9", "\n"]
    assert BYTES.labels([97, 256, PADDING]) == ["a", REPLACEMENT, ""]


def test_half_of_a_surrogate_pair_is_refused() -> None:
    """JSON can spell half of a surrogate pair, and no file or page can be written with it."""
    for unit, symbol in (("character", "\ud800"), ("word", "a\udfff")):
        with pytest.raises(ValueError, match="half of a surrogate pair"):
            Vocabulary.from_json({"unit": unit, "end": None, "symbols": ["a", symbol]})


@given(st.text(min_size=1), st.booleans())
def test_vocabulary_survives_json(text: str, marked: bool) -> None:
    end = text[0] if marked else None
    for vocabulary in (Vocabulary.of(text, end), BYTES, Vocabulary.of_bytes("\n")):
        assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_long_text_is_encoded_like_its_pieces() -> None:
    text = "añ漢😀" * 300_000  # longer than the piece that is encoded at once
    vocabulary = Vocabulary.of("añ漢")
    assert (vocabulary.encode(text) == np.tile([0, 1, 2, 3], 300_000)).all()


def test_decode_drops_padding() -> None:
    vocabulary = Vocabulary(("a", "b"))
    assert vocabulary.decode(np.array([0, 1, PADDING, PADDING])) == "ab"
    assert vocabulary.decode([]) == ""
    assert vocabulary.decode(np.array([], dtype=np.float64)) == ""


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([3]), "expected 0 to 2 .* got 3"),
        (np.array([-2]), "expected 0 to 2 .* got -2"),
        (np.array([[0, 1]]), "flat list of whole numbers, got an array \\(1, 2\\) of int64"),
    ],
)
def test_wrong_id_is_named(ids: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(("a", "b")).decode(ids)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected an object, got a list"),
        (None, "expected an object, got null"),
        ({}, "expected the key 'unit'"),
        ({"bytes": False}, "expected the key 'end', got \\['bytes', 'unit'\\]"),
        ({"bytes": 1, "end": None}, "expected the key 'unit'"),
        (
            {"unit": "letter", "end": None},
            "expected one of character, byte, word, token, number, got 'letter'",
        ),
        ({"bytes": False, "end": 3}, "Key 'end' .* expected a symbol or null, got a number"),
        ({"bytes": False, "end": None}, "Key 'symbols' .* expected a list of texts, got null"),
        ({"bytes": False, "end": None, "symbols": "ab"}, "expected a list of texts, got a string"),
        ({"bytes": False, "end": None, "symbols": []}, "expected 1 or more, got none"),
        ({"bytes": False, "end": None, "symbols": ["ab"]}, "A symbol: expected one character, got 'ab'"),
        ({"bytes": False, "end": None, "symbols": ["a", None]}, "A symbol .* expected a text, got null"),
        ({"bytes": False, "end": None, "symbols": ["a", "b", "a"]}, "expected different ones, got 'a' more than once"),
        ({"bytes": False, "end": "x", "symbols": ["a"]}, "The end mark: expected one of the symbols, got 'x'"),
        ({"bytes": True, "end": "é"}, "expected an ASCII character, got 'é'"),
    ],
)
def test_wrong_json_is_refused_with_its_fault(data: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(data)


def test_bytes_have_the_256_symbols_in_order() -> None:
    assert BYTES.size == 256
    with pytest.raises(ValueError, match="symbols 0 to 255"):
        Vocabulary(("a",), unit="byte")


WORDS = Vocabulary(("good", "bad", "n't", "don't", ",", "I", "\n"), "\n", "word")
TOKENS = Vocabulary(("good", "Good,", "\n"), "\n", "token")


@pytest.mark.parametrize(
    ("vocabulary", "text", "words"),
    [
        (WORDS, "good bad", ["good", "bad"]),
        (WORDS, "Good,bad", ["Good", ",", "bad"]),
        (WORDS, "do n't don't doesn't", ["do", "n't", "don't", "doesn't"]),
        (WORDS, "good\nbad\n\n", ["good", "\n", "bad", "\n", "\n"]),
        (WORDS, "  good \t bad  ", ["good", "bad"]),
        (WORDS, "i 月亮 (bad)", ["i", "月", "亮", "(", "bad", ")"]),
        (replace(WORDS, rule=1), "i 月亮 (bad)", ["i", "月亮", "(", "bad", ")"]),
        (WORDS, "", []),
        (TOKENS, "Good, good,\ngood", ["Good,", "good,", "\n", "good"]),
    ],
)
def test_words_and_tokens_of_a_text(vocabulary: Vocabulary, text: str, words: list[str]) -> None:
    assert vocabulary.labels(text) == words
    assert [text[start:end] for start, end in vocabulary.spans(text)] == words
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert ids.tolist() == vocabulary.ids_of(words).tolist()
    assert vocabulary.unknown_in(text) == sorted(
        {word for word, k in zip(words, ids.tolist(), strict=True) if k == vocabulary.unknown}
    )


def test_unknown_word_is_looked_up_in_small_letters() -> None:
    known, names = Vocabulary(("good", "it", "IT"), unit="word"), ["Good", "GOOD", "It", "IT", "I", "bad"]
    assert known.ids_of(names).tolist() == [0, 0, 1, 2, 3, 3]
    assert Vocabulary(("good",), unit="token").ids_of(["Good", "good"]).tolist() == [1, 0]


@given(st.lists(st.sampled_from([*WORDS.symbols, "unknown"]), max_size=30))
def test_words_survive_a_round_trip(words: list[str]) -> None:
    ids = WORDS.ids_of(words)
    text = WORDS.decode(ids)
    assert WORDS.encode(text).tolist() == ids.tolist()
    assert "".join(WORDS.split(text)) == text
    assert [k for part in WORDS.split(text) for k in WORDS.encode(part).tolist()] == ids.tolist()
    assert WORDS.labels(ids) == [word if word != "unknown" else "\ufffd" for word in words]


def test_of_words_orders_words_by_frequency() -> None:
    words = list("baacccd")
    assert Vocabulary.of_words(words).symbols == ("c", "a", "b", "d")
    assert Vocabulary.of_words(words, "\n", least=2).symbols == ("c", "a", "\n")
    assert Vocabulary.of_words(words, unit="token", most=1).symbols == ("c",)
    with pytest.raises(ValueError, match="occur 5 times or more"):
        Vocabulary.of_words(words, least=5)


NUMBERS = Vocabulary(("x", "y"), unit="number")


anything = st.floats(-(2.0**99), 2.0**99, width=32)


@given(st.lists(st.lists(st.tuples(anything, anything), min_size=1, max_size=5), max_size=4))
def test_numbers_survive_a_round_trip(sequences: list[list[tuple[float, float]]]) -> None:
    arrays = [np.array(rows, np.float32) for rows in sequences]
    text = "\n".join(map(NUMBERS.decode, arrays))
    parts = NUMBERS.split(text)
    assert "".join(parts) == text
    assert len(parts) == len(arrays)
    for part, array in zip(parts, arrays, strict=True):
        np.testing.assert_array_equal(NUMBERS.encode(part), array)
        assert len(NUMBERS.spans(part)) == len(NUMBERS.labels(part)) == len(array)


@pytest.mark.parametrize("text", ["1,2\n3,4", "1 2\r\n3\t4\r\n", " 1; 2 \n\n 3 ,4\n"])
def test_numbers_may_be_separated_in_several_ways(text: str) -> None:
    assert NUMBERS.encode(text).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("line", ["1", "1,2,3", "1,two", "1,nan", "1,inf", "1e39,2"])
def test_line_without_the_numbers_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"Line 3 .* expected the 2 numbers of a step \(x, y\)"):
        NUMBERS.encode(f"1,2\n\n{line}\n")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(symbols=("a b",), unit="word"), "no white space, got 'a b'"),
        (dict(symbols=("",), unit="token"), "expected 1 character or more"),
        (dict(symbols=("x",), unit="number", end="x"), "an empty line ends a sequence, got 'x'"),
        (dict(symbols=("ab", "cd"), unit="word", end="cd"), "expected one character, got 'cd'"),
    ],
)
def test_symbols_that_do_not_fit_the_unit_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(**fields)


@pytest.mark.parametrize("vocabulary", [WORDS, TOKENS, NUMBERS])
def test_every_unit_survives_json(vocabulary: Vocabulary) -> None:
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.mark.parametrize("unit", ["character", "word", "token"])
def test_other_stands_for_every_unknown_symbol(unit: Unit) -> None:
    vocabulary = Vocabulary(("a", "?", "b"), unit=unit, other="?")
    text = "axb" if unit == "character" else "a xyz b"
    assert vocabulary.encode(text).tolist() == [0, 1, 2]
    assert vocabulary.unknown_in(text) == ["x" if unit == "character" else "xyz"]
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert Vocabulary(("a", "?", "b"), unit=unit).encode(text).tolist() == [0, 3, 2]
    with pytest.raises(ValueError, match="expected one of the symbols, got '!'"):
        Vocabulary(("a", "?"), unit=unit, other="!")


def test_words_without_an_end_mark_end_at_empty_lines() -> None:
    vocabulary = Vocabulary(("a", "b"), unit="word")
    text = "\n\na b\na\n \n\nb\n"
    assert vocabulary.split(text) == ["\n\na b\na\n \n\n", "b\n"]
    assert vocabulary.split(" \n") == []
    assert Vocabulary(("a", "b"), "b", unit="word").split("a\n\nb a") == ["a\n\nb", " a"]
