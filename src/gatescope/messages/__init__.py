"""The message catalogue: every sentence of an error, by its code.

English stands in `en/*.toml`, one file per part of the package. A code is unique across the files, and a sentence names
its values in braces, as `str.format` does. A count chooses its form with a bar: `{steps:# step|# steps}`. The sentences
of the page stand in `en/page.json` in the same form, for web/src/messages; `en/help` has the help of the command line.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

ENGLISH_FOLDER = Path(__file__).parent / "en"
MAX_ARRAY_CHARACTERS = 80  # of an array with several rows, in a sentence


class Message:
    """A sentence of the catalogue and its values.

    Attributes:
        code: the name of the sentence in the catalogue. Text that is not a code stands for itself.
        values: name -> value. A value may be a message itself.
    """

    __slots__ = ("code", "values")

    def __init__(self, code: str, /, **values: Any) -> None:
        self.code = code
        self.values = values

    def __str__(self) -> str:
        sentence = english().get(self.code)
        return self.code if sentence is None else _FORMATTER.vformat(sentence, (), self.values)

    def __repr__(self) -> str:
        return f"Message({self.code!r}, {', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


@cache
def english() -> dict[str, str]:
    """Return the English sentence of every code."""
    sentences: dict[str, str] = {}
    for file in ENGLISH_FOLDER.glob("*.toml"):
        sentences |= tomllib.loads(file.read_text(encoding="utf-8"))
    return sentences


class _PluralFormatter(Formatter):
    """Formats `{count:# step|# steps}` by the count, arrays on one line, and every other field as `str.format` does."""

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return _on_one_line(value, str(super().convert_field(value, conversion))) if conversion else value

    def format_field(self, value: Any, format_spec: str) -> str:
        if "|" not in format_spec:
            return _on_one_line(value, str(format(value, format_spec)))
        singular, plural = format_spec.split("|")
        return (singular if value == 1 else plural).replace("#", f"{value:,}")


def _on_one_line(value: object, text: str) -> str:
    """Return the text of an array, or of a list of arrays, on one line; it may have many rows."""
    if isinstance(value, str | Message) or "\n" not in text:
        return text
    joined = " ".join(text.split())
    return joined if len(joined) <= MAX_ARRAY_CHARACTERS else f"{joined[: MAX_ARRAY_CHARACTERS - 3]}..."


_FORMATTER = _PluralFormatter()
