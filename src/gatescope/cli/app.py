"""The application object of the command line, and the decorator that registers commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from cyclopts import App, ArgumentCollection, Group, Parameter

from gatescope.cli.help_format import HelpFormatter
from gatescope.messages import help_texts
from gatescope.messages.languages import language_of_environment
from gatescope.version import __version__

Command = TypeVar("Command", bound=Callable[..., Any])

LANGUAGE = language_of_environment()
"""The language of the help. It is read once: the help is built when the commands are imported."""

PROGRAM_HELP = help_texts.program(LANGUAGE)
TITLES = PROGRAM_HELP["groups"]
WORDS = PROGRAM_HELP["words"]


def ordered_group(key: str) -> Group:
    """Return a section of the help by its key in the catalogue. Sections stand in the order of their creation."""
    return Group.create_ordered(TITLES[key])


TRAIN_GROUP = ordered_group("train")
INSPECT_GROUP = ordered_group("inspect")
STUDY_GROUP = ordered_group("study")
EXCHANGE_GROUP = ordered_group("exchange")
LIST_GROUP = ordered_group("lists")
PROGRAM_GROUP = ordered_group("program")


class Program(App):
    """The program or one of its commands, with the help of its options from the catalogue."""

    def assemble_argument_collection(
        self, *, default_parameter: Parameter | None = None, parse_docstring: bool = False
    ) -> ArgumentCollection:
        """Return the arguments of the command; with their help if `parse_docstring` is true."""
        arguments = super().assemble_argument_collection(default_parameter=default_parameter)
        if parse_docstring and self.name[0] in help_texts.commands(LANGUAGE):
            for argument in arguments:
                if argument.show:
                    sentence = option_help(self.name[0], argument.name, argument.parameter)
                    argument.parameter = Parameter.combine(argument.parameter, Parameter(help=sentence))
        return arguments


def option_help(command_name: str, option: str, parameter: Parameter) -> str:
    """Return the help of an option: of the command itself, of the option's group, or of several commands.

    Args:
        command_name: the name of the command.
        option: the option, as in "--layer" or "TEXT".
        parameter: its settings; `help` is the key of a sentence that several commands share.

    Raises:
        KeyError: the catalogue has no sentence for the option.
    """
    name = option.removeprefix("--")
    tables = help_texts.options(LANGUAGE)
    titles = {group.name for group in cast("tuple[Group, ...]", parameter.group or ())}
    of_group = next((sentences for key, sentences in tables.items() if TITLES.get(key) in titles), {})
    for sentences in (of_group, help_texts.commands(LANGUAGE)[command_name].options):
        if name in sentences:
            return sentences[name]
    return tables["shared"][parameter.help or name]


def _examples(lines: Sequence[str]) -> str:
    return f"**{WORDS['examples']}**\n\n```\n" + "\n".join(lines) + "\n```"


app = Program(
    name="gatescope",
    help=PROGRAM_HELP["summary"],
    help_epilogue=f"{_examples(PROGRAM_HELP['examples'])}\n\n{PROGRAM_HELP['epilogue']}",
    help_format="markdown",
    help_formatter=HelpFormatter(WORDS),
    group_arguments=Group.create_default_arguments(WORDS["arguments"]),
    group_parameters=Group.create_default_parameters(WORDS["options"]),
    version=__version__,
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.register_install_completion_command(group=PROGRAM_GROUP, help=PROGRAM_HELP["completion"])
for flag in ("--help", "--version"):
    app[flag].group = (PROGRAM_GROUP,)
    app[flag].help = WORDS[flag]


def command(group: Group) -> Callable[[Command], Command]:
    """Return a decorator that registers a function as a command of its name, with its help from the catalogue.

    Args:
        group: the section of `gatescope --help`.
    """

    def register(function: Command) -> Command:
        name = function.__name__
        text = help_texts.commands(LANGUAGE)[name]
        app.command(
            function,
            group=group,
            usage=f"gatescope {name} {text.usage}",
            help=f"{text.summary}\n\n{text.description}",
            help_epilogue=_examples(text.examples),
        )
        return function

    return register
