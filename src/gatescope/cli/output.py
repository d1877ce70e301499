"""Output of commands: tables, JSON, notes, progress bars, and the form of numbers and names."""

from __future__ import annotations

import json as json_format
import math
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatescope.messages import Message
from gatescope.messages.languages import in_language, language_of_environment
from gatescope.messages.titles import title_of

if TYPE_CHECKING:
    from rich.text import Text

    from gatescope.studies import Table
    from gatescope.vocabulary import Vocabulary

PIPED_WIDTH_COLUMNS = 140  # of a table that does not go to a terminal
OMITTED = {
    "neuron": "OMITTED_NEURONS",
    "row": "OMITTED_ROWS",
    "label": "OMITTED_LABELS",
    "feature": "OMITTED_FEATURES",
    "weight": "OMITTED_WEIGHTS",
    "sequence": "OMITTED_SEQUENCES",
}
MAX_UNKNOWN_SYMBOLS = 10  # listed in a note
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def localized(sentence: object) -> str:
    """Return a message or an error in the language of the environment; other values as text.

    What is written to files, as JSON or as CSV is formatted without this function, and is English.
    """
    with in_language(language_of_environment()):
        return str(sentence)


def phrase(code: str, /, **values: object) -> str:
    """Return a sentence of the message catalogue in the language of the environment."""
    return localized(Message(code, **values))


def localized_title(kind: str, name: str, english: str | None = None) -> str:
    """Return the title of a column, state or other name in the language of the environment.

    Args:
        kind: the kind of name in `messages/zh/titles.json`.
        name: the name.
        english: its English title; None: the name itself.
    """
    return title_of(kind, name, name if english is None else english, language_of_environment())


def localized_names(feature: str, title: str) -> tuple[str, str]:
    """Return the short name and the title of a feature in the language of the environment.

    Args:
        feature: its name.
        title: its English title.
    """
    from gatescope.features import local_names

    with in_language(language_of_environment()):
        return local_names(feature, title)


def print_note(sentence: object) -> None:
    """Print a note to stderr."""
    print(harmless(phrase("NOTE", sentence=sentence)), file=sys.stderr, flush=True)


def print_line_note(sentence: object) -> None:
    """Print a note among the other lines of the output."""
    print(harmless(phrase("NOTE", sentence=sentence)), flush=True)


def print_message(code: str, /, **values: object) -> None:
    """Print a sentence of the message catalogue at once."""
    print(harmless(phrase(code, **values)), flush=True)


def print_meanings(meanings: Iterable[tuple[str, str]]) -> None:
    """Print what short names of features mean, one a line, each once.

    Args:
        meanings: (short name, title); a name that says the same as its title is left out.
    """
    lines = dict.fromkeys(f"  {visible(short)}: {visible(title)}" for short, title in meanings if short != title)
    if lines:
        print()
    for line in lines:
        print(harmless(line), flush=True)


def print_warning(message: Warning | str, *_location: object) -> None:
    """Print a warning as a note, without the source line that raised it; for `warnings.showwarning`."""
    print_note(message)


def print_unknown_symbols(vocabulary: Vocabulary, *texts: str) -> None:
    """Print the characters or words of some texts that are not in the vocabulary."""
    unknown = sorted({symbol for text in texts for symbol in vocabulary.unknown_in(text)})
    if unknown:
        listed = " ".join(map(repr, unknown[:MAX_UNKNOWN_SYMBOLS]))
        more = " ..." if len(unknown) > MAX_UNKNOWN_SYMBOLS else ""
        substitute = vocabulary.other or "nothing"
        print_note(Message("UNKNOWN_SYMBOLS", substitute=substitute, symbols=listed, more=more))


def print_json(content: Any) -> None:
    """Print one line of JSON. Numbers that JSON cannot write become null."""
    text = json_format.dumps(content, ensure_ascii=False, default=str)
    print(json_format.dumps(json_format.loads(text, parse_constant=lambda _: None), ensure_ascii=False), flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Sequence[str] = ()) -> None:
    """Print a table as wide as the terminal.

    Args:
        columns: the header.
        rows: the cells, row by row.
        right: the columns that are aligned to the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            localized_title("column", column), justify="right" if column in right else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(harmless(cell)) if isinstance(cell, str) else cell for cell in row))
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
        return
    console = Console(highlight=False, markup=False, width=PIPED_WIDTH_COLUMNS)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print(line.rstrip())


def print_omitted(count: int, noun: str) -> None:
    """Print how many rows a table leaves out, and how to see them. No line is printed for none."""
    if count:
        print()
        print_message(OMITTED[noun], count=count)


def write_tables(
    tables: Table | Mapping[str, Table], print_tables: Callable[[], None], *, json: bool, csv: Path | None
) -> None:
    """Write the tables of a study to CSV files and print them.

    Args:
        tables: one table, or several by name. The first goes to the file `csv`, each other one to a file beside it
            whose name ends in its own name.
        print_tables: prints the tables for people.
        json: print JSON instead.
        csv: the CSV file, if one is wanted.
    """
    from gatescope.studies import Table

    by_name = {"": tables} if isinstance(tables, Table) else tables
    written = []
    for number, (name, table) in enumerate(by_name.items()):
        if csv is not None:
            path = csv if number == 0 else csv.with_name(f"{csv.stem}-{name}{csv.suffix}")
            table.to_csv(path)
            written.append((path, table))
    if json:
        several = {name: table.to_json() for name, table in by_name.items()}
        print_json(tables.to_json() if isinstance(tables, Table) else several)
        return
    print_tables()
    for path, table in written:
        print()
        print_message("CSV_WRITTEN", path=path, rows=len(table), columns=len(table.columns))


class ProgressBar:
    """A progress bar on the terminal.

    Args:
        title: the text before the bar.
        quiet: show no bar.
    """

    def __init__(self, title: str, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (
            TextColumn(localized_title("progress", title), markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._entry = self._bar.add_task("", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show how many parts of the work are done, and of how many."""
        self._bar.update(self._entry, completed=done, total=total)

    def start(self) -> None:
        """Show the bar."""
        self._bar.start()

    def finish(self) -> None:
        """Remove the bar. A second call changes nothing."""
        self._bar.stop()


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[ProgressBar]:
    """Show a progress bar until the block ends or its `finish` is called. A pipe shows no bar."""
    bar = ProgressBar(title, quiet=quiet)
    bar.start()
    try:
        yield bar
    finally:
        bar.finish()


def format_loss(nats: float, digits: int = 4) -> str:
    """Format a loss in nats and in bits."""
    form = f".{digits}f" if abs(nats) < 1000 else f".{digits}g"
    return f"{nats:{form}} nats ({nats / math.log(2):{form}} bits)"


def format_number_loss(loss: float, digits: int = 4) -> str:
    """Format the loss of predicted numbers, which has no unit of information."""
    return f"{loss:.{digits}f}" if abs(loss) < 1000 else f"{loss:.{digits}g}"


def format_file_size(nbytes: int) -> str:
    """Format a number of bytes, as in 1.2 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes} bytes"


def format_number(value: Any, digits: int = 3) -> str:
    """Format a number; an unknown number is an empty string."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.{digits}f}".replace("-", "−") if abs(value) >= 0.5 * 10**-digits else f"{0:.{digits}f}"


def format_norm(norm: float) -> str:
    """Format a norm, which may have any order of magnitude."""
    if norm == 0:
        return "0"
    return format_number(norm, 2) if math.isnan(norm) or math.isinf(norm) or 0.01 <= norm < 1000 else f"{norm:.1e}"


def format_interval(low: Any, high: Any, digits: int) -> str:
    """Format an interval, as in "0.1 to 0.2"; an unknown interval is an empty string."""
    first = format_number(low, digits)
    return format_range(first, format_number(high, digits)) if first else ""


def format_range(first: object, last: object) -> str:
    """Format two ends, as in "3 to 5"."""
    return phrase("FROM_TO", first=first, last=last)


def count_of(count: int, noun: str) -> str:
    """Format a count with its noun: "1 neuron", "2,000 neurons"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def has_several(layers: Sequence[Any]) -> bool:
    """Return whether rows belong to more than one layer, so that a table needs a column for it."""
    return len(set(layers)) > 1


def visible(text: str) -> str:
    """Return a text on one line: `harmless`, with symbols for newline and tab."""
    return harmless(text).replace("\n", "⏎").replace("\t", "⇥")


def harmless(text: str) -> str:
    """Return a text with symbols in place of control characters and marks of direction, which a terminal obeys.

    Newline and tab stay.
    """
    return _CONTROLS.sub(lambda match: _picture_of(ord(match[0])), text)


def _picture_of(code_point: int) -> str:
    """Return the picture of an ASCII control character, or the number of another code point."""
    if code_point < 0x20 or code_point == 0x7F:
        return chr(0x2421 if code_point == 0x7F else 0x2400 + code_point)
    return f"<U+{code_point:04X}>"


def shell_quoted(path: Path) -> str:
    """Return a path as it is typed in a shell."""
    return harmless(shlex.quote(str(path)))
