"""Tests of each family on small texts worked by hand, and against plain loops."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.features import FAMILIES, annotate
from gatescope.features.brackets import family as brackets
from tests.features.pictures import named, picture, pieces


def check(family: str, text: str, expected: dict[str, str]) -> None:
    features = named(text, family)
    assert {name: picture(features[name]) for name in expected} == expected


# --- character and neighbours ----------------------------------------------------------------------------------------


@given(st.text())
def test_character_classes_are_those_of_unicode(text: str) -> None:
    features = named(text, "character")
    for place, character in enumerate(text):
        has = {name for name, feature in features.items() if name != "is" and feature.values[place]}
        assert ("letter" in has) == character.isalpha()
        assert ("upper" in has) == character.isupper()
        assert ("whitespace" in has) == character.isspace()
        assert ("punctuation" in has) == (unicodedata.category(character)[0] == "P")
        assert ("vowel" in has) == (character.lower() in set("aeiou"))
        assert features["is"].categories[features["is"].values[place]]


def test_character_categories_are_printable() -> None:
    feature = named("a \n\n\n\t\\\u3000é我", "character")["is"]
    assert feature.categories == ("\\n", "\\t", "space", "\\", "a", "é", "\\u3000", "我")  # the most frequent first
    assert [feature.categories[k] for k in feature.values[:3]] == ["a", "space", "\\n"]


def test_character_has_at_most_200_categories() -> None:
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    text = rare + rare[100:]
    feature = named(text, "character")["is"]
    assert feature.categories == tuple(rare[100:])
    assert (feature.values[:100] == -1).all()
    assert (feature.values[100:] >= 0).all()


def test_character_frequencies_are_those_of_all_texts() -> None:
    first, second = "".join(map(chr, range(0x4E00, 0x4E00 + 200))), "zz"
    (feature,) = [f for f in annotate([first, second], [FAMILIES["character"]]) if f.name == "character.is"]
    assert len(feature.categories) == 200
    assert feature.categories[feature.values[-1]] == "z"
    assert feature.values[199] == -1, "the last of the characters that occur once has no category"


def test_neighbours_by_hand() -> None:
    check("neighbours", "abcb", {"previous": ".abc", "second_previous": "..ab", "next": "bcb."})
    check("neighbours", "a", {"previous": ".", "second_previous": ".", "next": "."})


# --- position --------------------------------------------------------------------------------------------------------


def test_position_by_hand() -> None:
    check(
        "position",
        "ab cd.  Ef\n  g_1 h",
        {
            "in_sequence": "012345678901234567",
            "in_line": "012345678900123456",
            "in_line_text": "01234567890..01234",
            "line": "000000000001111111",
            "in_word": "01.01...01...012.0",
            "word_length": "120120001200012301",
            "in_sentence": "012345670123456789",
            "remaining_in_word": "10.10...10...210.0",
            "remaining_in_line": "098765432106543210",
        },
    )


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("Go. No", "#...#."),
        ('"Go." No', "#.....#."),
        ("3.5 is", "#....."),
        ("a\n\nb", "#..#"),
        ("a\nb", "#.."),
        ("来。”去！吗", "#..#.#"),
        ("he (did!) so", "#.........#."),
    ],
)
def test_position_finds_starts_of_sentences(text: str, starts: str) -> None:
    values = named(text, "position")["in_sentence"].values
    assert "".join(".#"[int(value == 0)] for value in values) == starts


def test_position_takes_lines_of_a_long_list_as_sentences() -> None:
    lines = "one two\n" * 51
    assert (named(lines, "position")["in_sentence"].values == np.tile(np.arange(8), 51)).all()
    short = named(lines[:-8] + "\n" + lines[:8], "position")["in_sentence"].values
    assert short[8] == 8, "with a blank line, lines are not paragraphs"


@settings(max_examples=50)
@given(st.text(alphabet="ab_1 \n\té.", max_size=30))
def test_position_equals_a_plain_loop(text: str) -> None:
    features = {name: feature.values for name, feature in named(text, "position").items()}
    column = word = 0
    for place, character in enumerate(text):
        word = word + 1 if character.isalnum() or character == "_" else 0
        ending = text.find("\n", place)
        assert features["in_line"][place] == column
        assert features["line"][place] == text[:place].count("\n")
        assert features["word_length"][place] == word
        assert features["remaining_in_line"][place] == (ending if ending >= 0 else len(text) - 1) - place
        began = text[place - column : place + 1]
        blank = len(began) - len(began.lstrip())
        expected = np.nan if not began.strip() else column - blank
        np.testing.assert_equal(features["in_line_text"][place], np.float32(expected))
        column = 0 if character == "\n" else column + 1


# --- counts ----------------------------------------------------------------------------------------------------------


def test_counts_by_hand() -> None:
    check("counts", "aaXabb\n", {"a": "1223333", "a_run": "1201000", "b": "0000122", "a_minus_b": "1223211"})
    check("counts", "aaXabb\n", {"b_minus_a": "0000000", "X_minus_b": "0011000"})
    assert "a_in_line" not in named("aaXabb\n", "counts"), "one line is the whole text"
    check("counts", "aab\nabb", {"a": "1222333", "a_in_line": "1222111", "a_minus_b": "1211100"})
    assert named("a b", "counts")["space"].values.tolist() == [0, 1, 1]


@given(st.text(alphabet="abX\n", max_size=30))
def test_counts_equal_str_count(text: str) -> None:
    features = {name: feature.values for name, feature in named(text, "counts").items()}
    for place in range(len(text)):
        read = text[: place + 1]
        line = read[read.rfind("\n", 0, place) + 1 :]
        for x in set(text) - {"\n"}:
            assert features[x][place] == read.count(x)
            assert features[f"{x}_run"][place] == len(read) - len(read.rstrip(x))
            for y in set(text) - {"\n", x}:
                assert features[f"{x}_minus_{y}"][place] == max(line.count(x) - line.count(y), 0)


def test_counts_are_0_in_a_text_without_the_character() -> None:
    features = {f.name: f.values.tolist() for f in annotate(["ab", "aa"], [FAMILIES["counts"]])}
    assert features["counts.b"] == [0, 1, 0, 0]
    assert features["counts.a_minus_b"] == [1, 0, 1, 2]


def test_counts_is_empty_for_large_alphabets() -> None:
    assert named("abcdefghijkl\n", "counts")
    assert not named("abcdefghijklm\n", "counts")
    assert not annotate(["abcdefg", "hijklmn"], [FAMILIES["counts"]]), "the alphabet of all texts together"


# --- brackets --------------------------------------------------------------------------------------------------------


def test_brackets_by_hand() -> None:
    check(
        "brackets",
        "f(a[1], {b}) )(（x",
        {
            "round": ".##########...###",
            "square": "...##............",
            "curly": "........##.......",
            "any": ".##########...###",
            "depth": "01122111221000122",
            "round_depth": "01111111111000122",
            "since_opening": ".0101456019...001",
        },
    )
    check("brackets", "(])", {"round": "##.", "square": "..."})  # nothing to close
    check("brackets", "([a)b", {"round": "###..", "square": ".##..", "since_opening": "001.."})  # closed by the outer


def test_brackets_include_angle_on_request() -> None:
    assert "angle" not in named("<p>", "brackets")
    assert picture(named("a<b>c《d》", brackets(angle=True))["angle"]) == ".##..##."


@given(st.text(alphabet="([{<)]}>a", max_size=30))
def test_brackets_equal_a_plain_loop(text: str) -> None:
    features = named(text, brackets(angle=True))
    kinds = {"round": "()", "square": "[]", "curly": "{}", "angle": "<>"}
    opened = ""
    for place, character in enumerate(text):
        for opening, closing in kinds.values():
            if character == opening:
                opened += opening
            elif character == closing and opening in opened:
                opened = opened[: opened.rindex(opening)]
        assert features["depth"].values[place] == len(opened)
        for kind, (opening, _) in kinds.items():
            assert features[f"{kind}_depth"].values[place] == opened.count(opening)
            assert features[kind].values[place] == (opening in opened)


# --- indentation -----------------------------------------------------------------------------------------------------


def test_indentation_by_hand() -> None:
    check(
        "indentation",
        "if\n    x\n \n    y\nz\n",
        {
            "columns": "000....44......4400",
            "depth": "000....11......1100",
            "spaces": "...1234..1.1234....",
            "in_indentation": "...####..#.####....",
            "indented": ".......##......##..",
            "blank": "..........#........",
            "deeper": ".......##..........",
            "same": "...............##..",
            "shallower": ".................##",
        },
    )
    check("indentation", "\ta\n   \tb", {"columns": ".88....8", "spaces": "1..1234."})  # a tab ends at column 8
    check("indentation", "a\r\n\r\n", {"columns": "000..", "blank": "....#"})


def test_indentation_step_is_the_most_common_of_all_texts() -> None:
    texts = ["a\n  b\n", "a\n      b\n  c\n  d\n    e\n"]
    depth = next(f for f in annotate(texts, [FAMILIES["indentation"]]) if f.name == "indentation.depth")
    assert depth.title == "indentation in steps of 2"  # changes of 2, 6, 4 and 2 columns
    assert depth.values[4] == 1
    assert depth.values[6 + 2 + 6] == 3


@given(st.text(alphabet=" \tab\n", max_size=40))
def test_indentation_equals_a_plain_loop(text: str) -> None:
    features = {name: feature.values for name, feature in named(text, "indentation").items()}
    place, before = 0, None
    for line in text.splitlines(keepends=True):
        space = len(line) - len(line.lstrip(" \t\n"))
        columns = len(line[:space].expandtabs(8))
        for column in range(len(line)):
            begun = bool(line.strip()) and column >= space
            np.testing.assert_equal(features["columns"][place], np.float32(columns if begun else np.nan))
            assert features["in_indentation"][place] == (not begun and line[column] != "\n")
            assert features["blank"][place] == (not line.strip() and line[column] == "\n")
            known = begun and before is not None
            assert features["deeper"][place] == (known and columns > (before or 0))
            assert features["same"][place] == (known and columns == before)
            assert features["shallower"][place] == (known and columns < (before or 0))
            place += 1
        before = columns if line.strip() else before


# --- quotes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "inside"),
    [
        ("double", 'a "b c" d', ['"b c']),
        ("double", r'"a\"b" c', [r'"a\"b']),
        ("double", '"a\n\nb', ['"a\n']),
        ("double", '"a\n \t\nb', ['"a\n \t']),
        ("double", '"a\nb" c', ['"a\nb']),
        ("double", "no", []),
        ("double", '"" "', ['"', '"']),
        ("single", "don't 'go' on", ["'go"]),
        ("single", "'I don't' he", ["'I don't"]),
        ("single", "the dogs' tails", []),
        ("single", "'tis on 's face, take 'em in the '90s", []),
        ("single", "x = b'y' + '' + f('t')", ["'y", "'", "'t"]),
        ("single", "'\"' a", ["'\""]),
        ("double", "'\"' a", ['"']),
        ("single", "他说：'好' a", ["'好"]),
        ("triple", '"""a "b"\n\nc""" d', ['"a "b"\n\nc""']),
        ("double", '"""a "b"\n\nc""" d', ['"']),
        ("triple", "'''a''' 'b", ["'a''"]),
        ("backtick", "`a` ``b ` c`` d", ["`a", "``b ` c`"]),
        ("backtick", "```\na\n\nb``` c", ["```\na\n\nb``"]),
        ("backtick", "`a\n\nb", ["`a\n"]),
        ("curly", "“a ‘b’ don’t” c", ["“a ‘b’ don’t"]),
        ("curly_single", "“a ‘b’ don’t” c", ["‘b"]),
        ("curly", "“a “b” c”", ["“a “b"]),
        ("guillemets", "«a» b", ["«a"]),
        ("corner", "「a『b』c」d", ["「a『b』c"]),
    ],
)
def test_quotes_by_hand(kind: str, text: str, inside: list[str]) -> None:
    features = named(text, "quotes")
    assert pieces(features[kind], text) == inside
    assert (features["any"].values == ~np.isnan(features["since_opening"].values)).all()


def test_quotes_closing_mark_closes_inner_quotes() -> None:
    check("quotes", '"a \'b" c', {"double": "#####...", "single": "...##...", "since_opening": "01201..."})


def test_quotes_end_with_the_line_of_a_long_list() -> None:
    text = '"a\n' + "b\n" * 50
    assert pieces(named(text, "quotes")["double"], text) == ['"a']
    assert named(text[:-2], "quotes")["double"].values.all(), "50 lines may still be one paragraph"


# --- web -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "inside"),
    [
        ("url", "see http://a.b/c?d=1 or (www.x.org) not wwww.", ["/a.b/c?d=1", ".x.org"]),
        ("url", "http:/ nothing", []),
        ("mention", "@joe said to a@b.org, @_x!", ["joe", "_x"]),
        ("hashtag", "#one a#b # #2", ["one", "2"]),
        ("email", "to me.too@b.org, @joe", ["@b.org"]),
        ("number", "1 23, 4,567.8 x9 1_000. 5 7a", ["1", "23", "4,567.8", "1_000", "5", "7"]),
        ("hexadecimal", "0xFf, 0x1g 10x1 0X", ["xFf", "x1", "X"]),
        ("capitals", "NASA Is ÉTÉ A", ["ASA", "TÉ"]),
        ("date", "2024-03-05, 1.2.2024 or 1/2/24 on", ["2024-03-05", "1.2.2024", "1/2/24"]),
        (
            "date",
            "March 5, 2024; 5 Mar 2024; Jan. 1st. 2024年5月3日",
            ["March 5, 2024", "5 Mar 2024", "Jan. 1st", "2024年5月3日"],
        ),
        ("date", "1.2/24 and 12024-03-05 and may 5", []),
        ("time", "at 12:30, 1:05:59 or 7:45 pm. 1:2:3", ["12:30", "1:05:59", "7:45 pm."]),
    ],
)
def test_web_by_hand(name: str, text: str, inside: list[str]) -> None:
    assert pieces(named(text, "web")[name], text) == inside


# --- english ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "inside"),
    [
        ("function_word", "The cat that isn't on other mats", ["The", "that", "on"]),
        ("after_article", "the old man; an  apple a the b", [" old", "  apple", " the b"]),
        ("after_auxiliary", "I will go, to be", [" go", " be"]),
        ("auxiliary_be", "will be, can not be to bed Should\nbe", ["will be", "can not be", "Should\nbe"]),
        ("contraction", "don't we’ll dogs' 'a", ["t", "ll"]),
        ("plural_s", "dogs class bus this runs's cats", ["s", "s"]),
        ("sentence_end", 'Go! "No." 3.5 Why?', ["!", ".", "?"]),
        ("inside_word", "ab c don't", ["b", "on"]),
        ("capitalised", "The Old man. He said I Am. é Él", ["Old", "I", "Am", "Él"]),
        ("sentence_start", "The man. He", ["The", "He"]),
        ("question", 'He did. Did he? Yes. "Who?" I', ["Did he? ", '"Who?" ']),
        ("question_word", "What now? No. Is it", [" now? ", " it"]),
    ],
)
def test_english_by_hand(name: str, text: str, inside: list[str]) -> None:
    assert pieces(named(text, "english")[name], text) == inside


def test_english_counts_words_of_a_sentence() -> None:
    check("english", "I don't go. We", {"words_in_sentence": "11222222333311"})
