"""The command line: each command is one call of the library, and printing."""

from gatescope.cli.entry import main

__all__ = ["main"]
