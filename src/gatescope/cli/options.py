"""Options that several commands share: their types, help texts and parsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from gatescope.cli.usage import UsageError, check_at_least_one
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.features import Family

Number = TypeVar("Number", int, float)

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Encoding = Annotated[str | None, Parameter(help="Encoding of the file, such as cp1252 or gb18030. Defaults to UTF-8.")]
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False, help="Print JSON for a script.")]
RunName = Annotated[str, Parameter(name="RUN", help="A run directory, or the name of a run in ./runs.")]
RunOrTrace = Annotated[
    str,
    Parameter(
        name="RUN",
        metavar="RUN|TRACE",
        help="A run directory, the name of a run in ./runs, or a trace directory from `gatescope record --out`.",
    ),
]
StudyText = Annotated[
    str | None,
    Parameter(
        name="TEXT",
        allow_leading_hyphen=True,
        help="Text that the network reads; - reads standard input. Defaults to the task's held-out text.",
    ),
]
ExampleText = Annotated[
    str | None,
    Parameter(
        name="TEXT",
        allow_leading_hyphen=True,
        help="Text that the network reads; - reads standard input. Defaults to the first example of the task.",
    ),
]
File = Annotated[Path | None, Parameter(help="Read the text from this file.")]
Characters = Annotated[
    int | None,
    Parameter(
        help="Maximum number of characters to read. Defaults to 4,000 for tasks of strings and 100,000 for other tasks."
    ),
]
Lexer = Annotated[
    str | None,
    Parameter(help="Pygments lexer for program text. Defaults to the language of the file name."),
]
OwnFeatures = Annotated[
    tuple[str, ...],
    Parameter(
        name="--feature",
        metavar="NAME=REGEX",
        negative="",
        show_default=False,
        help="Your own feature, defined by a regular expression. Repeat the option for several features.",
    ),
]
OnlyOwnFeatures = Annotated[
    bool, Parameter(negative="", show_default=False, help="Use only the features that --feature defines.")
]
Layer = Annotated[
    str,
    Parameter(help="Layer, counted from 0. 0_reverse is layer 0 of the backward direction, if the network has one."),
]
OnlyLayer = Annotated[
    str | None,
    Parameter(
        name="--layer",
        help="Only this layer, counted from 0. 0_reverse is layer 0 of the backward direction. Defaults to all layers.",
    ),
]
Signal = Annotated[str, Parameter(help="Signal, by its name in the equations of the cell.")]
Neuron = Annotated[int, Parameter(help="Neuron, counted from 0.")]
Csv = Annotated[Path | None, Parameter(name="--csv", metavar="FILE", help="Also write the table to this CSV file.")]
AllRows = Annotated[
    bool, Parameter(name="--all", negative="", show_default=False, help="Print every row, not only the first rows.")
]


def use_threads(count: int) -> None:
    """Set the number of torch threads.

    Raises:
        UsageError: the number is below 1.
    """
    import torch

    check_at_least_one(threads=count)
    torch.set_num_threads(count)


def parse_numbers(option: str, text: str, kind: type[Number]) -> list[Number]:
    """Parse numbers with commas between them.

    Args:
        option: the option, such as "--lags".
        text: its value.
        kind: int or float.

    Raises:
        UsageError: the value is something else.
    """
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        numbers = Message("CLI_WHOLE_NUMBERS" if kind is int else "CLI_NUMBERS")
        raise UsageError("CLI_OPTION_NOT_NUMBERS", option=option, numbers=numbers, text=text) from error


def parse_features(definitions: Sequence[str]) -> list[Family]:
    """Return the features that --feature NAME=REGEX defines.

    Raises:
        UsageError: a definition does not have this form.
        FeatureError: a name cannot be used, or an expression is not a regular expression.
    """
    from gatescope.features import pattern

    families = []
    for definition in definitions:
        name, equals, expression = definition.partition("=")
        if not equals or not expression:
            raise UsageError("CLI_FEATURE_FORM", definition=definition)
        families.append(pattern(name, expression))
    return families


def check_output_file(option: str, path: Path | None) -> None:
    """Refuse an output file that cannot be written, before the work begins.

    Args:
        option: the option, such as "--csv".
        path: its value.

    Raises:
        UsageError: the path is a folder, or its folder does not exist.
    """
    if path is None:
        return
    if path.is_dir():
        raise UsageError("CLI_OUTPUT_FILE_IS_FOLDER", option=option, path=path)
    if not path.parent.is_dir():
        raise UsageError("CLI_OUTPUT_FOLDER_MISSING", option=option, path=path, folder=path.parent)
