"""The application object of the command line, and the decorator that registers commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cyclopts import App, Group

from gatescope.version import __version__

Command = TypeVar("Command", bound=Callable[..., Any])

TRAIN_GROUP = Group.create_ordered("Train")
INSPECT_GROUP = Group.create_ordered("Look inside")
STUDY_GROUP = Group.create_ordered("Study")
EXCHANGE_GROUP = Group.create_ordered("Import and export")
LIST_GROUP = Group.create_ordered("Lists")
PROGRAM_GROUP = Group.create_ordered("This program")


def _examples(lines: tuple[str, ...]) -> str:
    return "**Examples**\n\n```\n" + "\n".join(lines) + "\n```"


app = App(
    name="gatescope",
    help="The microscope for recurrent networks: every gate of every neuron at every step, exact and checked.",
    help_epilogue=_examples(
        (
            "gatescope demo                # watch five networks learn",
            "gatescope train counter       # train a network that counts, in a few seconds",
            "gatescope explore             # look inside it, in the browser",
            "gatescope train notes.txt     # train on your own text",
        )
    )
    + "\n\nRun `gatescope COMMAND --help` for the options and examples of a command. "
    "Add `--debug` to any command to see the traceback of an unexpected error.",
    help_format="markdown",
    version=__version__,
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(
    group=PROGRAM_GROUP, help="Install completion of commands and options for your shell."
)
for flag in ("--help", "--version"):
    app[flag].group = (PROGRAM_GROUP,)


def command(group: Group, usage: str, *examples: str) -> Callable[[Command], Command]:
    """Return a decorator that registers a function as a command of its name.

    Args:
        group: the section of `gatescope --help`.
        usage: the arguments, as the usage line shows them.
        examples: lines for the end of the help text.
    """

    def register(function: Command) -> Command:
        app.command(
            function,
            group=group,
            usage=f"Usage: gatescope {function.__name__} {usage}",
            help_epilogue=_examples(examples),
        )
        return function

    return register
