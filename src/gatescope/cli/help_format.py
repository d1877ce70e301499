"""The form of the help on the terminal: that of cyclopts, with its own words from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import attrs
from cyclopts.help import DefaultFormatter, DescriptionRenderer
from cyclopts.help.specs import DefaultStyled, get_default_parameter_columns

if TYPE_CHECKING:
    from cyclopts.help import ColumnSpec, HelpEntry, HelpPanel, InlineText
    from rich.console import Console, ConsoleOptions, RenderableType


@dataclass(frozen=True)
class HelpFormatter:
    """The formatter of every help.

    Attributes:
        words: "usage", "choices", "default" and "required" in the language of the help.
    """

    words: Mapping[str, str]

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a panel: the options or the commands of a group."""
        columns = None if panel.format == "command" else self._columns
        DefaultFormatter(column_specs=columns)(console, options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print the usage line."""
        from rich.text import Text

        line = Text(self.words["usage"].format(str(usage)), style="cyclopts.usage")
        console.print(DefaultStyled(line))

    def render_description(self, console: Console, options: ConsoleOptions, description: object) -> None:
        """Print the description of the program or of a command."""
        DefaultFormatter().render_description(console, options, description)

    def _columns(self, console: Console, options: ConsoleOptions, entries: list[HelpEntry]) -> tuple[ColumnSpec, ...]:
        *names, description = get_default_parameter_columns(console, options, entries)
        return (*names, attrs.evolve(description, renderer=self._description))

    def _description(self, entry: HelpEntry) -> RenderableType:
        """Return the help of an option, and after it its choices, its default, and whether it must be given."""
        from rich.text import Text

        remarks = [
            ("choices", ", ".join(entry.choices or ())),
            ("default", "" if entry.default is None else str(entry.default)),
        ]
        texts = [Text(self.words[key].format(value), f"cyclopts.{key}") for key, value in remarks if value]
        if entry.required:
            texts.append(Text(self.words["required"], "cyclopts.required"))
        bare = attrs.evolve(entry, choices=(), default=None, required=False)
        shown = cast("InlineText", DescriptionRenderer()(bare))
        for text in texts:
            shown.append(text)
        return shown
