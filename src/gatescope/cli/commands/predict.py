"""`gatescope predict`: apply what a network learned to texts and series."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from gatescope.cli.app import LOOK, command
from gatescope.cli.common import (
    Encoding,
    Flag,
    Json,
    UsageError,
    find_run,
    print_table,
    use_threads,
    visible,
    warn_of_unknown,
)
from gatescope.cli.studying import All, Csv, Run, check_csv, counted, deliver, note, number

if TYPE_CHECKING:
    from gatescope.runs import Run as Trained
    from gatescope.studies import Table

SHOWN = 40
TEXT_WIDTH = 60
PLACES = ("text", "step", "symbol", "prediction", "probability")
FEW_CLASSES = 4
SERIES = Group.create_ordered("Series")


@Parameter(name="*", group=SERIES)
@dataclass(frozen=True)
class SeriesOptions:
    """How a series is forecast; only for a run of the task forecasting."""

    horizon: int | None = None
    """How many steps to forecast; all that the network was trained for by default."""
    svg: Annotated[Path | None, Parameter(metavar="FILE")] = None
    """Draw the last steps of the test part, what was forecast of them, and what comes next."""
    ahead: int | None = None
    """How many steps before they were made, of the forecasts that are drawn; the whole horizon by default."""
    steps: int | None = None
    """How many of the last steps of the series are drawn; 300 by default."""
    phase: int | None = None
    """How many steps of the season come before another series, where its dates do not say so."""
    decimal: str | None = None
    """What stands before the fraction of a number in another series; as in training by default."""
    thousands: str | None = None
    """What stands between groups of three digits in another series; as in training by default."""


@command(
    LOOK,
    "RUN [TEXT... | FILE] [OPTIONS]",
    'gatescope predict reviews "I loved it" "not good at all"',
    "gatescope predict reviews new-reviews.csv --csv predicted.csv",
    'gatescope predict runs/text "def f(" --top 10',
    "gatescope predict sunspots --horizon 6 --svg sunspots.svg",
    "gatescope predict sunspots newer.csv     # the steps after another series",
)
def predict(
    run: Run,
    /,
    *texts: Annotated[str, Parameter(name="TEXT", metavar="TEXT|FILE", allow_leading_hyphen=True)],
    file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    text: str | None = None,
    skip_bad: Flag = False,
    encoding: Encoding = None,
    top: int = 5,
    every_step: Flag = False,
    series: SeriesOptions = SeriesOptions(),
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Apply what a network learned: classes, labels, next symbols or the next steps of a series, with probabilities.

    Parameters
    ----------
    texts
        The texts to predict for; - reads the standard input. One name of a file that is there is read as that file.
        Without a text, the first example of the task; for a series, the steps after its end.
    file
        Read the texts (or another series) from this file: a column of a CSV, TSV or JSON lines file, or one text a
        line, or the whole file for a network of continuous text.
    text
        The column of the texts in a table, by its name or number.
    skip_bad
        Leave out what is wrong in a file instead of refusing it.
    top
        How many of the most probable next symbols.
    every_step
        Predict after every step instead of after the last one.
    """
    use_threads(1)
    from gatescope.cli.forecast import forecast
    from gatescope.tasks import Forecasting

    check_csv(csv)
    place = find_run(run)
    task = place.task()
    file = _file(texts, file)
    if isinstance(task, Forecasting):
        if (texts and file is None) or every_step or text is not None:
            raise UsageError("PREDICT_RUN_TASK_FORECASTING_FILE")
        forecast(place, task, file, series, encoding, skip_bad=skip_bad, csv=csv, json=json)
        return
    if given := [name for name, value in vars(series).items() if value is not None]:
        raise UsageError("PREDICT_OPTION_APPLY_APPLIES_RUNS", given=given[0], name=place.name)
    from gatescope.studies.predictions import predict as study

    if texts and file is not None:
        note(f"the texts are read from the file {file}.")
    chosen = _texts(place, texts, file, text, encoding, skip_bad)
    warn_of_unknown(place.configuration().vocabulary, *chosen)
    found = study(place, chosen).table(top=top, every_step=every_step or None)
    deliver(found, lambda: _print(found, every), json=json, csv=csv)


def _file(texts: tuple[str, ...], file: Path | None) -> Path | None:
    """Return the file that is to be read, if one is.

    Raises:
        UsageError: texts and a file were given.
    """
    if texts and file is not None:
        raise UsageError("PREDICT_TEXTS_TEXTS_FILE_BOTH")
    # A folder or a pipe is refused by whoever reads the file; a text can be longer than any name, or hold a NUL.
    if len(texts) == 1 and texts[0] not in ("-", "") and os.path.exists(texts[0]):  # noqa: PTH110
        return Path(texts[0])
    return file


def _texts(
    place: Trained, texts: tuple[str, ...], file: Path | None, column: str | None, encoding: str | None, skip_bad: bool
) -> list[str]:
    """Return the texts of the arguments, of a file, of the standard input, or of the first example of the task."""
    from gatescope.tasks.data.corpus import LARGEST, read
    from gatescope.tasks.data.encodings import decoded
    from gatescope.tasks.data.texts import read_texts

    vocabulary, readout = place.configuration().vocabulary, place.configuration().readout
    whole = readout.kind == "symbols" and (vocabulary.end is None or not vocabulary.end.isspace())
    if file is not None and not whole and vocabulary.unit != "number":
        found, skipped = read_texts(file, column, skip_bad=skip_bad, encoding=encoding)
        for sentence in skipped[:5]:
            note(f"{file}: {sentence} (left out).")
        return [text + "\n" for text in found] if vocabulary.end == "\n" else found
    if column is not None or (encoding is not None and file is None and texts != ("-",)):
        option = "--text" if column is not None else "--encoding"
        raise UsageError("PREDICT_OPTION_FILE_READ_NONE", option=option)
    if file is not None:
        content = read([file], encoding=encoding).text
        return [content] if whole else vocabulary.split(content)
    if texts == ("-",):
        data = sys.stdin.buffer.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UsageError("PREDICT_STANDARD_INPUT_MOST_BYTES", largest=LARGEST)
        content = decoded(data, "standard input", encoding)
        return [content] if whole else [line for line in vocabulary.split(content) if line.strip()]
    return list(texts) or vocabulary.split(place.task().examples()[0])


def _print(found: Table, every: bool) -> None:
    import numpy as np

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
