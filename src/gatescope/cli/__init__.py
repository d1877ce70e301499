"""The command line. Each command calls the library and prints the result."""

from gatescope.cli.entry import main

__all__ = ["main"]
