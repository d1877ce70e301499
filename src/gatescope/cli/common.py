"""What the commands share: finding a run, reading a text, printing."""

from __future__ import annotations

import difflib
import json
import math
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.errors import GatescopeError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from gatescope.runs import Run
    from gatescope.tasks import Task
    from gatescope.vocabulary import Vocabulary

RUNS = Path("runs")
PIPED_WIDTH = 140  # columns of a table that does not go to a terminal
_ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Encoding = Annotated[
    str | None, Parameter(help="The encoding of the file, such as cp1252 or gb18030; UTF-8 by default.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False, help="Print JSON, for a script.")]


class UsageError(GatescopeError):
    """Options that do not go together, or a name that there is not; the message says what to give instead."""


def no_such(what: str, given: str, names: Iterable[str], advice: str) -> UsageError:
    """The error for a name that there is not, with the name that is closest to it and a sentence of advice."""
    close = difflib.get_close_matches(given, list(names), n=1)
    if close:
        return UsageError(
            "CLI_DID_MEAN", what=what, given=given, close=close[0], upper=advice[0].upper(), advice=advice[1:]
        )
    return UsageError("CLI", what=what, given=given, advice=advice)


def show_note(message: Warning | str, *_where: object) -> None:
    """Print a warning as one line, without the line of source that gave it; for `warnings.showwarning`."""
    print(f"note: {harmless(str(message))}", file=sys.stderr, flush=True)


def find_run(given: str) -> Run:
    """A run by its directory, or by its name in ./runs.

    Raises:
        UsageError: there is none.
    """
    from gatescope.runs import Run, find_runs

    for path in (Path(given), RUNS / given):
        if Run(path).exists:
            return Run(path)
    if Path(given).is_dir():
        raise UsageError("CLI_RUN_NETWORK_JSON_GATESCOPE", given=given, runs=RUNS)
    names = [run.name for run in find_runs([RUNS])]
    there = f"the runs in ./{RUNS} are {', '.join(names)}" if names else "make one with `gatescope train counter`"
    raise no_such("run", given, names, there)


def text_for(task: Task, text: str | None, file: Path | None, encoding: str | None = None) -> str:
    """The text a command works on: an argument, "-" for the standard input, a file, or the task's first example.

    Args:
        task: whose first example is taken when nothing is given.
        text: the text, or "-".
        file: the file.
        encoding: of the file or of the standard input; None: UTF-8, or what a byte order mark says.

    Raises:
        UsageError: a text and a file were given, or an encoding and neither a file nor "-".
        TaskError: the file is not there, is empty or is in another encoding.
    """
    from gatescope.tasks.data.corpus import read
    from gatescope.tasks.data.encodings import decoded

    if text is not None and file is not None:
        raise UsageError("CLI_TEXT_FILE_BOTH_GIVEN")
    if encoding is not None and file is None and text != "-":
        raise UsageError("CLI_ENCODING_FILE_STANDARD_INPUT")
    if file is not None:
        return read([file], encoding=encoding).text
    if text == "-":
        bytes_in = getattr(sys.stdin, "buffer", None)
        return sys.stdin.read() if bytes_in is None else decoded(bytes_in.read(), "standard input", encoding)
    return task.examples()[0] if text is None else text


def usual_prime(task: Task, vocabulary: Vocabulary) -> str:
    """What a network reads before it writes: the first symbol of the first example of a task with an end mark."""
    if vocabulary.end is None:
        return ""
    example = task.examples()[0]
    return vocabulary.labels(example)[0] if vocabulary.in_words else example[:1]


def warn_of_unknown(vocabulary: Vocabulary, *texts: str) -> None:
    """Print which characters (or words) of some texts the network does not know."""
    unknown = sorted({symbol for text in texts for symbol in vocabulary.unknown_in(text)})
    if unknown:
        shown = " ".join(map(repr, unknown[:10])) + (" ..." if len(unknown) > 10 else "")
        read = vocabulary.other or "nothing"
        print(f"note: not in the network's vocabulary, and read as {harmless(read)}: {shown}", file=sys.stderr)


def note_of_adoption(task: Task) -> None:
    """Print what was assumed when a network was adopted, and how well it predicts, on stderr."""
    from gatescope.tasks import Adopted

    if isinstance(task, Adopted):
        for note in task.notes:
            print(f"note: {harmless(note)}", file=sys.stderr)
        if task.measured is not None and task.warning is None:
            print(f"score: {task.measured.text}", file=sys.stderr)


def use_threads(count: int) -> None:
    """Let torch use this many threads.

    Raises:
        UsageError: fewer than one.
    """
    import torch

    if count < 1:
        raise UsageError("CLI_THREADS", count=count)
    torch.set_num_threads(count)


def print_json(content: Any) -> None:
    """One line of JSON; numbers that JSON cannot write become null."""
    plain = json.loads(json.dumps(content, ensure_ascii=False, default=str), parse_constant=lambda _: None)
    print(json.dumps(plain, ensure_ascii=False), flush=True)


def is_trace(path: Path) -> bool:
    """Whether this is a trace directory."""
    return (path / "zarr.json").is_file()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Sequence[str] = ()) -> None:
    """A table as wide as the terminal; `right` names the columns that are set flush right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table: Table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) if isinstance(cell, str) else cell for cell in row))
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
        return
    console = Console(highlight=False, markup=False, width=PIPED_WIDTH)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        print(line.rstrip())


def loss(nats: float, digits: int = 4) -> str:
    """A loss as it is printed, in nats and in bits."""
    form = f".{digits}f" if abs(nats) < 1000 else f".{digits}g"
    return f"{nats:{form}} nats ({nats / math.log(2):{form}} bits)"


def number_loss(value: float, digits: int = 4) -> str:
    """The loss of estimated numbers, which has no unit of information."""
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.{digits}g}"


def file_size(count: int) -> str:
    """A number of bytes as a person says it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def visible(text: str) -> str:
    """A text on one line: what `harmless` replaces, newline and tab as symbols."""
    return harmless(text).replace("\n", "⏎").replace("\t", "⇥")


def harmless(text: str) -> str:
    """Return a text with symbols for the characters that a terminal acts on: controls and marks of direction.

    Newline and tab stay.
    """
    return _ACTING.sub(lambda found: _symbol(ord(found[0])), text)


def _symbol(point: int) -> str:
    """The picture of an ASCII control character, or the code point of another one."""
    if point < 0x20 or point == 0x7F:
        return chr(0x2421 if point == 0x7F else 0x2400 + point)
    return f"<U+{point:04X}>"


def quoted(path: Path) -> str:
    """A path as it is typed in a shell."""
    return harmless(shlex.quote(str(path)))
