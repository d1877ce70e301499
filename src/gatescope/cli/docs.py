"""Generate docs/cli.md from the program's help: `python -m gatescope.cli.docs docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console

from gatescope.cli.app import LANGUAGE
from gatescope.cli.entry import COMMANDS, app

WIDTH_COLUMNS = 100
INTRODUCTION = """# The command line

This page shows the help of every command. It is generated from the program; `gatescope COMMAND --help` prints the same.

Name a run by its directory, or by its name if it is in `./runs`: `gatescope sample counter` samples from
`runs/counter`. With `--json`, standard output holds JSON and nothing else; `train` prints one object per line. Notes
and errors go to standard error.

| exit status | meaning |
|---|---|
| 0 | success |
| 1 | `check` found an equation that does not hold |
| 2 | an argument or a file cannot be used; a sentence says what to do |
| 70 | an unexpected error: please report it; `--debug` or `GATESCOPE_DEBUG=1` shows the traceback |
| 130, 143 | stopped by Ctrl-C or SIGTERM; `train --resume` continues a training |

To complete commands and options with Tab, run `gatescope --install-completion`. It writes a completion script for your
shell (bash, zsh or fish) and adds a line to the shell's start-up file.
"""


def page() -> str:
    """Return the whole page."""
    names = [command.__name__ for command in COMMANDS]
    parts = [INTRODUCTION, f"## gatescope\n\n{help_block(())}"]
    parts += [f"## gatescope {name}\n\n{help_block((name,))}" for name in names]
    return "\n".join(parts)


def help_block(words: Sequence[str]) -> str:
    """Return the help of the program or of a command as a code block of fixed width."""
    printed = StringIO()
    console = Console(file=printed, width=WIDTH_COLUMNS, color_system=None, force_terminal=False, legacy_windows=False)
    app.help_print(list(words), console=console)
    lines = [line.rstrip() for line in printed.getvalue().strip().splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    if LANGUAGE != "en":
        sys.exit(f"Language of docs/cli.md: expected en, got {LANGUAGE}. Set LC_ALL=C.UTF-8.")
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
