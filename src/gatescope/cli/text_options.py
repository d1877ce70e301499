"""The options of a study's text and of the features that describe it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from gatescope.cli.options import Flag, OwnFeatures


@Parameter(name="*")
@dataclass(frozen=True)
class TextOptions:
    """The text that a study reads, besides a text in the arguments.

    Attributes:
        file: the file of the text.
        encoding: the encoding of the file.
        characters: the maximum number of characters to read.
    """

    file: Path | None = None
    encoding: str | None = None
    characters: int | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class FeatureOptions:
    """The features of the text.

    Attributes:
        lexer: the Pygments lexer of the text.
        feature: definitions of features, as NAME=REGEX.
        only: use these features alone.
    """

    lexer: str | None = None
    feature: OwnFeatures = ()
    only: Flag = False


DEFAULT_TEXT, DEFAULT_FEATURES = TextOptions(), FeatureOptions()
