"""The message catalogue: every sentence of an error, by its code.

English stands in `en/*.toml`, one file per part of the package, and Chinese in files of the same names in `zh`. A code
is unique across the files, and a sentence names its values in braces, as `str.format` does. A count chooses its form
with a bar: `{steps:# step|# steps}`; Chinese has one form: `{steps:# 步}`. The sentences of the page stand in
`page.json` in the same form, for web/src/messages; `help` has the help of the command line.

A message is in English unless it is formatted inside `in_language`. The command line uses the language of the
environment for what it shows, and the server of the explorer that of each request; what they write stays English.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from string import Formatter
from typing import Any

from gatescope.messages.languages import CHINESE, ENGLISH, language

FOLDER = Path(__file__).parent
ENGLISH_FOLDER = FOLDER / ENGLISH
MAX_ARRAY_CHARACTERS = 80  # of an array with several rows, in a sentence


class Message:
    """A sentence of the catalogue and its values.

    Attributes:
        code: the name of the sentence in the catalogue. Text that is not a code stands for itself.
        values: name -> value. A value may be a message itself, or a tuple of messages.
    """

    __slots__ = ("code", "values")

    def __init__(self, code: str, /, **values: Any) -> None:
        self.code = code
        self.values = values

    def __str__(self) -> str:
        sentence = None if language() == ENGLISH else catalogue(language()).get(self.code)
        if sentence is None:
            sentence = english().get(self.code)
        return self.code if sentence is None else _FORMATTER.vformat(sentence, (), self.values)

    def to_json(self) -> dict[str, Any]:
        """Return the code and the values as a JSON object; values of other types become text."""
        return {"code": self.code, "values": {name: _to_json(value) for name, value in self.values.items()}}

    @classmethod
    def from_json(cls, data: Any) -> Message | None:
        """Return the message of a JSON object; None if it is none, or one of another version.

        Args:
            data: what `to_json` returned, or something else.
        """
        if not isinstance(data, dict) or data.get("code") not in english() or not isinstance(data.get("values"), dict):
            return None
        message = cls(data["code"], **{str(name): _from_json(value) for name, value in data["values"].items()})
        try:
            str(message)
        except (LookupError, ValueError, TypeError):
            return None
        return message

    def __eq__(self, other: object) -> bool:
        # Values may be arrays, which have no single truth: the sentences are compared instead.
        return isinstance(other, Message) and self.code == other.code and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(self.code)

    def __repr__(self) -> str:
        return f"Message({self.code!r}, {', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


def _to_json(value: Any) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    if isinstance(value, tuple):
        return [_to_json(part) for part in value]
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else str(value)


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_from_json, value))
    return (Message.from_json(value) or "?") if isinstance(value, dict) else value


def english() -> dict[str, str]:
    """Return the English sentence of every code."""
    return catalogue(ENGLISH)


@cache
def catalogue(code: str) -> dict[str, str]:
    """Return the sentences of a language by their codes.

    Args:
        code: the language, the name of its folder.
    """
    sentences: dict[str, str] = {}
    for file in (FOLDER / code).glob("*.toml"):
        sentences |= tomllib.loads(file.read_text(encoding="utf-8"))
    return sentences


_NUMBER_FORMAT = re.compile(r"#0?\d*[xXob]")  # "#x" writes 0xe9; every other "#" stands for a count


class _PluralFormatter(Formatter):
    """Formats `{count:# step|# steps}` by the count, arrays on one line, and every other field as `str.format` does."""

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return _on_one_line(value, str(super().convert_field(value, conversion))) if conversion else value

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, tuple) and any(isinstance(part, Message) for part in value):
            return ("，" if language() == CHINESE else ", ").join(map(str, value))
        if _NUMBER_FORMAT.fullmatch(format_spec) or (not set("|#") & set(format_spec) and format_spec.isascii()):
            return _on_one_line(value, str(format(value, format_spec)))
        singular, _, plural = format_spec.partition("|")
        return (singular if value == 1 or not plural else plural).replace("#", f"{value:,}")


def _on_one_line(value: object, text: str) -> str:
    """Return the text of an array, or of a list of arrays, on one line; it may have many rows."""
    if isinstance(value, str | Message) or "\n" not in text:
        return text
    joined = " ".join(text.split())
    return joined if len(joined) <= MAX_ARRAY_CHARACTERS else f"{joined[: MAX_ARRAY_CHARACTERS - 3]}..."


_FORMATTER = _PluralFormatter()
