"""Tests of the family tokens against the tokenizer of Python itself, and of line ends."""

import io
import tokenize

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.features import FeatureError, tokens
from tests.features.pictures import named, pieces

PYTHON = tokens.family("python")


def python_tokens(text: str, token_type: int) -> list[tuple[int, int]]:
    """Return the spans of the tokens of one type, by Python's own tokenizer."""
    starts = np.cumsum([0, *map(len, text.splitlines(keepends=True))])
    return [
        (int(starts[token.start[0] - 1]) + token.start[1], int(starts[token.end[0] - 1]) + token.end[1])
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == token_type
    ]


def covered(size: int, spans: list[tuple[int, int]]) -> np.ndarray:
    inside = np.zeros(size, bool)
    for start, end in spans:
        inside[start:end] = True
    return inside


SOURCE = (
    "#!/usr/bin/env python\n# é 我 \U0001f600 before all else\n"
    "import os as \\\n\tsystem\n\n"
    "@staticmethod\ndef f(a, *, b=0x1F, c=1_000.5e-3, d=2):\n"
    '\t"""Two\n\n\tlines: \'quoted\' # no comment\n\t"""\n'
    "\tx = b'y' + r\"\\d\" , 'it\\'s', \"#\", '' # a \"comment\" é\n"
    "\tif not x in [1, -2] and a is None: return {'k': lambda q: q[0]}\n"
    "class Ä(Exception): pass\n"
    "print('''\n# no\n''')# last, no newline"
)


def test_tokens_of_python_are_those_of_tokenize() -> None:
    features = named(SOURCE, PYTHON)
    for name, kind in (("comment", tokenize.COMMENT), ("string", tokenize.STRING), ("number", tokenize.NUMBER)):
        spans = python_tokens(SOURCE, kind)
        assert len(spans) >= 4
        assert (features[name].values == covered(len(SOURCE), spans)).all(), name
        assert np.flatnonzero(features[f"begins_{name}"].values).tolist() == [start for start, _ in spans]
        assert np.flatnonzero(features[f"ends_{name}"].values).tolist() == [end - 1 for _, end in spans]
    words = python_tokens(SOURCE, tokenize.NAME)
    # In Pygments a decorator is a name that includes its @, and the words not, and, in, is are operators.
    all_words = features["name"].values | features["keyword"].values | features["operator"].values
    assert not (covered(len(SOURCE), words) & ~all_words).any()
    assert not features["error"].values.any()


def test_token_types_are_nested() -> None:
    text = 'class A:\n    """Doc\n    it."""\n    def f(self): return len("a\\n") # no\n'
    features = named(text, PYTHON)
    assert pieces(features["docstring"], text) == ['"""Doc\n    it."""']
    assert pieces(features["string"], text) == ['"""Doc\n    it."""', '"a\\n"']
    assert pieces(features["escape"], text) == ["\\n"]
    assert pieces(features["comment"], text) == ["# no"]
    assert pieces(features["class"], text) == ["A"]
    assert pieces(features["function"], text) == ["f"]
    assert pieces(features["builtin"], text) == ["self", "len"]
    assert pieces(features["keyword"], text) == ["class", "def", "return"]
    for inner, outer in (("docstring", "string"), ("string", "literal"), ("function", "name"), ("builtin", "name")):
        assert not (features[inner].values & ~features[outer].values).any()
    assert pieces(features["begins_name"], text) == ["A", "f", "s", "l"]
    assert pieces(features["ends_name"], text) == ["A", "f", "f", "n"]
    assert pieces(features["begins_string"], text) == ['"', '"']


def test_tokens_of_html_and_java() -> None:
    assert pieces(named("<b id='x'>", tokens.family("html"))["tag"], "<b id='x'>") == ["b"]
    assert pieces(named("int x = 0x1; // y", tokens.family("java"))["comment"], "int x = 0x1; // y") == ["// y"]


PIECES = ["x", " ", "\t", "\n", "\n\n", "# c", '"s"', "'''", "def f():", "1.5", "\\", "é", "我", "<a>", "<<EOF", "`"]


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(PIECES), max_size=15).map("".join),
    st.sampled_from(["python", "html", "ruby", "bash", "pycon"]),
)
def test_tokens_do_not_depend_on_line_ends(text: str, lexer: str) -> None:
    family = tokens.family(lexer)
    plain, windows = named(text, family), named(text.replace("\n", "\r\n"), family)
    at = [place for place, character in enumerate(text.replace("\n", "\r\n")) if character != "\r"]
    for name, feature in plain.items():
        values = windows[name].values
        if not name.startswith(("begins_", "ends_")):
            assert (values[at] == feature.values).all(), name
        assert values.sum() >= feature.values.sum()


def test_tokens_of_texts_without_a_final_newline() -> None:
    assert pieces(named("\n\n  x # a", PYTHON)["comment"], "\n\n  x # a") == ["# a"]
    assert pieces(named("\tx=1", PYTHON)["number"], "\tx=1") == ["1"]
    assert named("", PYTHON)["comment"].values.shape == (0,)
    assert pieces(named("a\rb # c\rd", PYTHON)["comment"], "a\rb # c\rd") == ["# c"], (
        "a carriage return also ends a line"
    )


def test_lexer_unknown_is_refused_with_a_similar_name() -> None:
    with pytest.raises(FeatureError, match=r"lexer of Pygments, got 'pyton'. Perhaps you meant .*python"):
        tokens.family("pyton")
    with pytest.raises(FeatureError, match="Examples are"):
        tokens.family("############")
