"""`gatescope predict`: apply what a network learned to texts and series."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from gatescope.cli.app import LOOK, command
from gatescope.cli.common import Flag, Json, UsageError, find_run, print_table, use_threads, visible, warn_of_unknown
from gatescope.cli.studying import All, Csv, Run, check_csv, counted, deliver, number

if TYPE_CHECKING:
    from gatescope.runs import Run as Trained
    from gatescope.studies import Table

SHOWN = 40
TEXT_WIDTH = 60
PLACES = ("text", "step", "symbol", "prediction", "probability")
FEW_CLASSES = 4


@command(
    LOOK,
    "RUN [TEXT... | FILE] [OPTIONS]",
    'gatescope predict reviews "I loved it" "not good at all"',
    "gatescope predict reviews new-reviews.csv --csv predicted.csv",
    'gatescope predict runs/text "def f(" --top 10',
    "gatescope predict sunspots --horizon 6 --svg sunspots.svg",
)
def predict(
    run: Run,
    /,
    *texts: Annotated[str, Parameter(name="TEXT", metavar="TEXT|FILE", allow_leading_hyphen=True)],
    file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    top: int = 5,
    every_step: Flag = False,
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Apply what a network learned: classes, labels, next symbols or numbers, with their probabilities.

    Parameters
    ----------
    texts
        The texts to predict for; - reads the standard input. One name of a file that is there is read as that file.
        Without a text, the first example of the task.
    file
        Read the texts from this file: one text a line, or the whole file for a network of continuous text.
    top
        How many of the most probable next symbols.
    every_step
        Predict after every step instead of after the last one.
    """
    use_threads(1)
    from gatescope.studies.predictions import predict as study

    check_csv(csv)
    place = find_run(run)
    chosen = _texts(place, texts, file)
    warn_of_unknown(place.configuration().vocabulary, *chosen)
    found = study(place, chosen).table(top=top, every_step=every_step or None)
    deliver(found, lambda: _print(found, every), json=json, csv=csv)


def _texts(place: Trained, texts: tuple[str, ...], file: Path | None) -> list[str]:
    """Return the texts of the arguments, of a file, of the standard input, or the first example of the task.

    Raises:
        UsageError: texts and a file were given.
    """
    from gatescope.tasks.data.corpus import read

    if texts and file is not None:
        raise UsageError("Texts: expected texts or --file, got both. Give one of them.")
    if len(texts) == 1 and texts[0] != "-" and Path(texts[0]).is_file():
        file = Path(texts[0])
        print(f"note: the texts are read from the file {file}.", file=sys.stderr)
    if file is not None:
        return _split(place, read([file]).text)
    if texts == ("-",):
        return _split(place, sys.stdin.read())
    return list(texts) or place.configuration().vocabulary.split(place.task().examples()[0])


def _split(place: Trained, content: str) -> list[str]:
    """Return the texts of a file: one a line where the network reads lines, else all of it."""
    vocabulary, readout = place.configuration().vocabulary, place.configuration().readout
    if vocabulary.unit == "number":
        return vocabulary.split(content)
    if readout.kind == "symbols" and (vocabulary.end is None or not vocabulary.end.isspace()):
        return [content]
    return [f"{line}\n" if vocabulary.end == "\n" else line for line in content.splitlines() if line.strip()]


def _print(found: Table, every: bool) -> None:
    shown = found if every else found.take(np.arange(min(SHOWN, len(found))))
    columns = [name for name in found.columns if not _is_left_out(found, name)]
    numeric = [name for name in columns if found[name].dtype.kind in "if"]
    rows = [tuple(_cell(name, row[name]) for name in columns) for row in shown]
    print_table(columns, rows, right=numeric)
    if len(shown) < len(found):
        print(f"\n... and {counted(len(found) - len(shown), 'more row')}; --all prints them, --csv writes them")


def _is_left_out(found: Table, name: str) -> bool:
    """Whether a column is not printed: it says the same in every row, or it is one of many classes."""
    about = found.about
    if name == "text":
        return about["every_step"] and len(set(found["text"])) == 1
    if name in ("step", "symbol"):
        return not about["every_step"]
    return name.startswith("p(") and len(found.columns) > len(PLACES) + FEW_CLASSES


def _cell(name: str, value: Any) -> str:
    if name == "text":
        text = visible(value).removesuffix("⏎")
        return text if len(text) <= TEXT_WIDTH else f"…{text[1 - TEXT_WIDTH :]}"
    if name == "probability" or name.startswith("p("):
        return f"{value:.1%}"
    if isinstance(value, float):
        return number(value, 4)
    return visible(str(value))
