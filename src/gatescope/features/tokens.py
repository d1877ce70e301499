"""Tokens: what the words of a program are, told by a lexer of Pygments, for any of its several hundred languages.

A lexer reads whole tokens, so these features look ahead to the end of the token; of a string or comment all characters
count, its marks included. Pygments itself takes one to two seconds for a million characters.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_for_filename, get_all_lexers, get_lexer_by_name
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    _TokenType,
)
from pygments.util import ClassNotFound

from gatescope.features.feature import Family, Feature, FeatureError
from gatescope.features.spans import AHEAD, Points, Truth, code_points, named, shifted

TYPES: dict[str, tuple[str, _TokenType]] = {
    "comment": ("a comment", Comment),
    "string": ("a string", String),
    "docstring": ("a documentation string", String.Doc),
    "escape": ("an escape in a string", String.Escape),
    "interpolation": ("a value put into a string", String.Interpol),
    "number": ("a number", Number),
    "keyword": ("a keyword", Keyword),
    "name": ("a name", Name),
    "function": ("the name of a function where it is defined", Name.Function),
    "class": ("the name of a class where it is defined", Name.Class),
    "builtin": ("a name that the language provides", Name.Builtin),
    "decorator": ("a decorator", Name.Decorator),
    "tag": ("the name of a tag", Name.Tag),
    "attribute": ("the name of an attribute", Name.Attribute),
    "operator": ("an operator", Operator),
    "punctuation": ("punctuation", Punctuation),
    "error": ("something the lexer does not know", Error),
}
"""Name -> title and type of Pygments; a type contains its subtypes, so a docstring is a string too."""

EDGES = ("comment", "string", "number", "keyword", "name", "operator")
"""Types of which the first and the last character are features of their own."""

_IN_PIECES = (Comment, String)  # lexers cut these into several tokens: the quote, what is in it, an escape


def family(lexer: str) -> Family:
    """The family of one language.

    Args:
        lexer: a name of Pygments: "python", "java", "html", "json".

    Raises:
        FeatureError: Pygments has no such lexer; a close name is told.
    """
    try:
        found = get_lexer_by_name(lexer)
    except ClassNotFound as error:
        names = [alias for _, aliases, _, _ in get_all_lexers() for alias in aliases]
        close = get_close_matches(lexer.lower(), names, n=3)
        advice = f"perhaps {' or '.join(close)}" if close else 'for instance "python", "java", "c" or "html"'
        raise FeatureError("TOKENS_PYGMENTS_LEXER_NAMES", lexer=lexer, advice=advice) from error
    return Family("tokens", f"the tokens of {found.name}", lambda text: _annotate(text, found))


def lexer_of(file: str) -> str | None:
    """The lexer for a file of this name, by its ending; None for a text, or where Pygments knows none."""
    found = find_lexer_class_for_filename(file)
    return None if found is None or found.name == "Text only" else found.aliases[0]


def _annotate(text: str, lexer: Lexer) -> list[Feature]:
    kind, starts, kinds = _lexed(text, lexer)

    def of(chosen: Callable[[_TokenType], bool]) -> Truth:
        return np.array([chosen(each) for each in kinds], np.bool_)[kind]

    values = {}
    for name, (title, wanted) in TYPES.items():
        inside = of(wanted.__contains__)
        values[name] = (f"in {title} {AHEAD}", inside)
        if name in EDGES:
            begins = inside & (~shifted(inside) if wanted in _IN_PIECES else starts)
            following = ~inside | begins  # the next character is in no such token, or in another
            ends = inside & np.append(following[1:], np.ones(min(len(text), 1), np.bool_))
            values[f"begins_{name}"] = (f"the first character of {title} {AHEAD}", begins)
            values[f"ends_{name}"] = (f"the last character of {title} {AHEAD}", ends)
    values["literal"] = (f"in a literal: a string, a number or another {AHEAD}", of(Literal.__contains__))
    return named("tokens", values)


def _lexed(text: str, lexer: Lexer) -> tuple[np.ndarray, Truth, list[_TokenType]]:
    """The number of each character's type, (T,), whether a token begins there, (T,), and the types.

    A lexer expects lines that end in newlines, the last one too, and may otherwise see errors. So it reads the text
    with those; a carriage return gets the type of the newline after it.

    Raises:
        FeatureError: the lexer's tokens, put together, are not the text.
    """
    points = code_points(text)
    dropped = _before_newlines(points)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    given = lines if lines.endswith("\n") else lines + "\n"
    tokens = [token for token in lexer.get_tokens_unprocessed(given) if token[2]]
    tokens.sort(key=lambda token: token[0])  # some lexers tell of a here-document late
    if "".join(value for _, _, value in tokens) != given:
        raise FeatureError("TOKENS_LEXER_SAY_WHERE_TOKENS", name=lexer.name)
    kinds = list(dict.fromkeys(kind for _, kind, _ in tokens))
    number = {kind: n for n, kind in enumerate(kinds)}
    lengths = np.array([len(value) for _, _, value in tokens], np.int64)
    kind = np.repeat(np.array([number[kind] for _, kind, _ in tokens], np.int16), lengths)
    starts = np.zeros(len(given), np.bool_)
    starts[np.cumsum(lengths) - lengths] = True
    place = np.arange(len(text)) - (np.cumsum(dropped) - dropped)
    return kind[place], starts[place] & ~shifted(dropped), kinds


def _before_newlines(points: Points) -> Truth:
    """Whether each character is a carriage return with a newline behind it, (T,)."""
    dropped = np.zeros(len(points), np.bool_)
    dropped[:-1] = (points[:-1] == ord("\r")) & (points[1:] == ord("\n"))
    return dropped
