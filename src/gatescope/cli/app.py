"""The one application that every command adds itself to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cyclopts import App, Group

from gatescope.version import __version__

Command = TypeVar("Command", bound=Callable[..., Any])

LEARN = Group.create_ordered("Train")
LOOK = Group.create_ordered("Look inside")
FIND = Group.create_ordered("Find out")
FOREIGN = Group.create_ordered("From and to other programs")
LIST = Group.create_ordered("What there is")
ABOUT = Group.create_ordered("About this program")


def _block(lines: tuple[str, ...]) -> str:
    return "**Examples**\n\n```\n" + "\n".join(lines) + "\n```"


app = App(
    name="gatescope",
    help="The microscope for recurrent networks: every gate of every neuron at every step, exact and checked.",
    help_epilogue=_block(
        (
            "gatescope demo                # networks train before your eyes",
            "gatescope train counter       # a network that counts, in a few seconds",
            "gatescope explore             # look inside, in the browser",
            "gatescope train notes.txt     # a text of your own",
        )
    )
    + "\n\n`gatescope COMMAND --help` shows the options and examples of a command. "
    "`--debug` with any command shows where an unforeseen error happened.",
    help_format="markdown",
    version=__version__,
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(
    group=ABOUT, help="Let the shell complete commands and options when Tab is pressed."
)
for flag in ("--help", "--version"):
    app[flag].group = (ABOUT,)


def command(group: Group, usage: str, *examples: str) -> Callable[[Command], Command]:
    """Make a function a command, whose help ends with the examples."""

    def add(function: Command) -> Command:
        app.command(
            function,
            group=group,
            usage=f"Usage: gatescope {function.__name__} {usage}",
            help_epilogue=_block(examples),
        )
        return function

    return add
