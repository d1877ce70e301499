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
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
RunName = Annotated[str, Parameter(name="RUN")]
RunsFolder = Annotated[Path, Parameter(name="DIR", help="runs-folder")]
RunOrTrace = Annotated[
    str,
    Parameter(name="RUN", metavar="RUN|TRACE", help="run-or-trace"),
]
StudyText = Annotated[str | None, Parameter(name="TEXT", allow_leading_hyphen=True, help="study-text")]
ExampleText = Annotated[str | None, Parameter(name="TEXT", allow_leading_hyphen=True, help="example-text")]
OwnFeatures = Annotated[
    tuple[str, ...], Parameter(name="--feature", metavar="NAME=REGEX", negative="", show_default=False)
]
OnlyLayer = Annotated[str | None, Parameter(name="--layer", help="only-layer")]
Csv = Annotated[Path | None, Parameter(name="--csv", metavar="FILE")]
AllRows = Annotated[bool, Parameter(name="--all", negative="", show_default=False)]


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
