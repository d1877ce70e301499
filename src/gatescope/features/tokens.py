"""Tokens: the type of each token of a program, by a lexer of Pygments, for any of its several hundred languages.

A lexer reads whole tokens, so these features look ahead to the end of the token. A string or comment includes its
marks. Pygments itself takes one to two seconds for a million characters.
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
from gatescope.features.spans import AHEAD, CodePoints, Mask, code_points, family_features, shifted

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
"""Name -> title and type of Pygments. A type contains its subtypes, so a docstring is also a string."""

EDGES = ("comment", "string", "number", "keyword", "name", "operator")
"""Types whose first and last characters are features too."""

_SPLIT_TYPES = (Comment, String)  # lexers cut these into several tokens: the quote, its content, an escape


def family(lexer: str) -> Family:
    """Return the family of one language.

    Args:
        lexer: the name of a lexer of Pygments: "python", "java", "html", "json".

    Raises:
        FeatureError: Pygments has no such lexer; the message suggests similar names.
    """
    try:
        pygments_lexer = get_lexer_by_name(lexer)
    except ClassNotFound as error:
        names = [alias for _, aliases, _, _ in get_all_lexers() for alias in aliases]
        close = get_close_matches(lexer.lower(), names, n=3)
        if close:
            raise FeatureError("TOKENS_LEXER_CLOSE", lexer=lexer, names=" or ".join(map(repr, close))) from error
        raise FeatureError("TOKENS_LEXER_UNKNOWN", lexer=lexer) from error
    return Family("tokens", f"the tokens of {pygments_lexer.name}", lambda text: _annotate(text, pygments_lexer))


def lexer_of(file: str) -> str | None:
    """Return the name of the lexer for a file, by its extension; None for a text, or if Pygments has none."""
    lexer = find_lexer_class_for_filename(file)
    return None if lexer is None or lexer.name == "Text only" else lexer.aliases[0]


def _annotate(text: str, lexer: Lexer) -> list[Feature]:
    type_numbers, starts, types = _lex(text, lexer)

    def is_type(test: Callable[[_TokenType], bool]) -> Mask:
        return np.array([test(token_type) for token_type in types], np.bool_)[type_numbers]

    values = {}
    for name, (title, token_type) in TYPES.items():
        inside = is_type(token_type.__contains__)
        values[name] = (f"in {title} {AHEAD}", inside)
        if name in EDGES:
            begins = inside & (~shifted(inside) if token_type in _SPLIT_TYPES else starts)
            following = ~inside | begins  # the next character is outside, or begins another token
            ends = inside & np.append(following[1:], np.ones(min(len(text), 1), np.bool_))
            values[f"begins_{name}"] = (f"the first character of {title} {AHEAD}", begins)
            values[f"ends_{name}"] = (f"the last character of {title} {AHEAD}", ends)
    values["literal"] = (f"in a literal: a string, a number or another {AHEAD}", is_type(Literal.__contains__))
    return family_features("tokens", values)


def _lex(text: str, lexer: Lexer) -> tuple[np.ndarray, Mask, list[_TokenType]]:
    """Run the lexer.

    A lexer expects every line to end with a newline, the last one too, and may otherwise report errors. So it reads the
    text with such newlines; a carriage return gets the type of the newline after it.

    Returns:
        The number of each character's type, (T,); whether a token begins with the character, (T,); and the types.

    Raises:
        FeatureError: the lexer's tokens, put together, are not the text.
    """
    points = code_points(text)
    dropped = _before_newlines(points)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    source = lines if lines.endswith("\n") else lines + "\n"
    tokens = [token for token in lexer.get_tokens_unprocessed(source) if token[2]]
    tokens.sort(key=lambda token: token[0])  # some lexers yield a here-document late
    if "".join(value for _, _, value in tokens) != source:
        raise FeatureError("TOKENS_LEXER_INCOMPLETE", name=lexer.name)
    types = list(dict.fromkeys(token_type for _, token_type, _ in tokens))
    number = {token_type: n for n, token_type in enumerate(types)}
    lengths = np.array([len(value) for _, _, value in tokens], np.int64)
    type_numbers = np.repeat(np.array([number[token_type] for _, token_type, _ in tokens], np.int16), lengths)
    starts = np.zeros(len(source), np.bool_)
    starts[np.cumsum(lengths) - lengths] = True
    place = np.arange(len(text)) - (np.cumsum(dropped) - dropped)
    return type_numbers[place], starts[place] & ~shifted(dropped), types


def _before_newlines(points: CodePoints) -> Mask:
    """Return whether each character is a carriage return followed by a newline, (T,)."""
    dropped = np.zeros(len(points), np.bool_)
    dropped[:-1] = (points[:-1] == ord("\r")) & (points[1:] == ord("\n"))
    return dropped
