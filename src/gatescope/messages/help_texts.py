"""The help of the command line, from `messages/en/help`.

`program.toml` has the program and the titles of its groups, `options.toml` the options of several commands, and each
other file some commands. An option is named as the user types it, without the hyphens before it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gatescope.messages import ENGLISH_FOLDER

HELP_FOLDER = ENGLISH_FOLDER / "help"
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
def program() -> dict[str, Any]:
    """Return the help of the program: summary, examples, epilogue, completion and the titles of the groups."""
    return _read(PROGRAM)


@cache
def commands() -> dict[str, CommandHelp]:
    """Return the help of every command by its name."""
    tables = [_read(file.name) for file in HELP_FOLDER.glob("*.toml") if file.name not in (PROGRAM, OPTIONS)]
    return {name: CommandHelp(**entries) for table in tables for name, entries in table.items()}


@cache
def options() -> dict[str, dict[str, str]]:
    """Return the options of several commands: "shared" by key, and each group of options by option."""
    return _read(OPTIONS)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((HELP_FOLDER / name).read_text(encoding="utf-8"))
