"""docs/cli.md, written from the program itself: `python -m gatescope.cli.docs docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console

from gatescope.cli.entry import COMMANDS, app

WIDTH = 100
HEAD = """# The command line

This page is made from the program's own help; `gatescope COMMAND --help` shows the same.

A run is named by its directory, or, where it is in `./runs`, by its name alone: `gatescope sample counter` means
`runs/counter`. With `--json`, standard output carries JSON and nothing else, and `train` prints one object a line as it
goes. Notes and errors go to standard error.

| exit status | means |
|---|---|
| 0 | done |
| 1 | `check` found an equation that does not hold |
| 2 | something that was given cannot be used; one sentence says what, and what to do |
| 70 | an error nobody foresaw: please report it; `--debug`, or `GATESCOPE_DEBUG=1`, shows where it happened |
| 130, 143 | stopped by Ctrl-C, or asked to end; a training keeps what it has and goes on with `--resume` |

Let the shell complete commands and options with Tab: `gatescope --install-completion` writes a completion script for
the shell that is in use (bash, zsh or fish), and adds the line that loads it to the shell's start-up file.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, f"## gatescope\n\n{block(())}"]
    parts += [f"## gatescope {name}\n\n{block((name,))}" for name in (command.__name__ for command in COMMANDS)]
    return "\n".join(parts)


def block(tokens: Sequence[str]) -> str:
    """The help of the program or of one command as a code block, at a width that no terminal changes."""
    printed = StringIO()
    console = Console(file=printed, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    app.help_print(list(tokens), console=console)
    lines = [line.rstrip() for line in printed.getvalue().strip().splitlines()]
    return "```text\n" + "\n".join(lines) + "\n```\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
