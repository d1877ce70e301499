"""The help of the command line, from the folder `help` of a language.

`program.toml` has the program and the titles of its groups, `options.toml` the options of several commands, and each
other file some commands. An option is named as the user types it, without the hyphens before it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gatescope.messages import FOLDER
from gatescope.messages.languages import ENGLISH

PROGRAM, OPTIONS = "program.toml", "options.toml"


@dataclass(frozen=True)
class CommandHelp:
    """The help of a command.

    Attributes:
        usage: the arguments, as the usage line shows them.
        summary: one sentence.
        examples: command lines, with comments.
        description: paragraphs that follow the summary.
        options: option -> sentence, for the options that only this command has.
    """

    usage: str
    summary: str
    examples: list[str]
    description: str = ""
    options: dict[str, str] = field(default_factory=dict)


@cache
def program(code: str) -> dict[str, Any]:
    """Return the help of the program: summary, examples, epilogue, completion and the titles of the groups.

    Args:
        code: the language.
    """
    return _with_english(_read(PROGRAM, ENGLISH), _read(PROGRAM, code))


@cache
def commands(code: str) -> dict[str, CommandHelp]:
    """Return the help of every command by its name.

    Args:
        code: the language.
    """
    files = sorted((FOLDER / ENGLISH / "help").glob("*.toml"))
    names = [file.name for file in files if file.name not in (PROGRAM, OPTIONS)]
    tables = [_with_english(_read(name, ENGLISH), _read(name, code)) for name in names]
    return {name: CommandHelp(**entries) for table in tables for name, entries in table.items()}


@cache
def options(code: str) -> dict[str, dict[str, str]]:
    """Return the options of several commands: "shared" by key, and each group of options by option.

    Args:
        code: the language.
    """
    return _with_english(_read(OPTIONS, ENGLISH), _read(OPTIONS, code))


def _read(name: str, code: str) -> dict[str, Any]:
    """Return a file of a language; empty if the language does not have it."""
    try:
        return tomllib.loads((FOLDER / code / "help" / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _with_english(english: dict[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a language; an entry that it lacks is English."""
    return {
        name: _with_english(value, entries.get(name, {})) if isinstance(value, dict) else entries.get(name, value)
        for name, value in english.items()
    }
