"""`gatescope predict`: apply a trained network to texts and series."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import INSPECT_GROUP, command, ordered_group
from gatescope.cli.options import AllRows, Csv, Flag, Json, RunName, check_output_file, use_threads
from gatescope.cli.output import (
    format_number,
    print_note,
    print_omitted,
    print_table,
    print_unknown_symbols,
    visible,
    write_tables,
)
from gatescope.cli.subject import find_run
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.studies import Table

SHOWN_ROWS = 40
TEXT_WIDTH = 60  # characters
MAIN_COLUMNS = ("text", "step", "symbol", "prediction", "probability")
MAX_CLASS_COLUMNS = 4
SHOWN_SKIPPED_ROWS = 5
FILE_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
SERIES_GROUP = ordered_group("series")


@Parameter(name="*", group=SERIES_GROUP)
@dataclass(frozen=True)
class SeriesOptions:
    """Options for a run of the task forecasting."""

    horizon: int | None = None
    svg: Annotated[Path | None, Parameter(metavar="FILE")] = None
    ahead: int | None = None
    steps: int | None = None
    phase: int | None = None
    decimal: str | None = None
    thousands: str | None = None


@command(INSPECT_GROUP)
def predict(
    name: RunName,
    /,
    *texts: Annotated[str, Parameter(name="TEXT", metavar="TEXT|FILE", allow_leading_hyphen=True)],
    file: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    text: str | None = None,
    skip_bad: Flag = False,
    encoding: str | None = None,
    top: int = 5,
    every_step: Flag = False,
    series: SeriesOptions = SeriesOptions(),
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Predict classes, labels, next symbols or the next steps of a series, with probabilities."""
    use_threads(1)
    from gatescope.cli.forecast import forecast
    from gatescope.tasks import Forecasting

    check_output_file("--csv", csv)
    run = find_run(name)
    task = run.task()
    file = _file_of(texts, file)
    if isinstance(task, Forecasting):
        if (texts and file is None) or every_step or text is not None:
            raise UsageError("PREDICT_SERIES_WITH_TEXT")
        forecast(run, task, file, series, encoding, skip_bad=skip_bad, csv=csv, json=json)
        return
    if series_options := [option for option, value in vars(series).items() if value is not None]:
        raise UsageError("PREDICT_OPTION_OF_SERIES", option=series_options[0], run=run.name)
    from gatescope.studies.predictions import predict as predict_texts

    if texts and file is not None:
        print_note(Message("PREDICT_NOTE_FILE", file=file))
    if file is None:
        _note_missing_files(texts)
    sources = _read_texts(run, texts, file, text, encoding, skip_bad)
    print_unknown_symbols(run.configuration().vocabulary, *sources)
    predictions = predict_texts(run, sources).table(top=top, every_step=every_step or None)
    if empty := [str(number) for number, source in enumerate(sources, 1) if not source.strip()]:
        print_note(Message("PREDICT_NOTE_EMPTY", count=len(empty), numbers=", ".join(empty[:SHOWN_SKIPPED_ROWS])))
    write_tables(predictions, lambda: _print_predictions(predictions, all_rows), json=json, csv=csv)


def _note_missing_files(texts: tuple[str, ...]) -> None:
    """Print a note for each text that looks like the name of a file that does not exist."""
    for text in texts:
        is_name = len(text.split()) == 1 and text.lower().endswith(FILE_ENDINGS)
        if is_name and not os.path.exists(text):  # noqa: PTH110
            print_note(Message("PREDICT_NOTE_NO_FILE", text=text))


def _file_of(texts: tuple[str, ...], file: Path | None) -> Path | None:
    """Return the file to read, if there is one.

    Raises:
        UsageError: texts and a file were given.
    """
    if texts and file is not None:
        raise UsageError("CLI_TEXT_AND_FILE")
    # The reader refuses folders and pipes. A text can be longer than any file name, or hold a NUL.
    if len(texts) == 1 and texts[0] not in ("-", "") and os.path.exists(texts[0]):  # noqa: PTH110
        return Path(texts[0])
    return file


def _read_texts(
    run: Run, texts: tuple[str, ...], file: Path | None, column: str | None, encoding: str | None, skip_bad: bool
) -> list[str]:
    """Return the texts of the arguments, of a file, of standard input, or of the first example of the task."""
    from gatescope.tasks.data.corpus import MAX_CORPUS_BYTES, read
    from gatescope.tasks.data.encodings import decoded
    from gatescope.tasks.data.texts import read_texts

    vocabulary, readout = run.configuration().vocabulary, run.configuration().readout
    whole = readout.kind == "symbols" and (vocabulary.end is None or not vocabulary.end.isspace())
    if file is not None and not whole and vocabulary.unit != "number":
        rows, skipped = read_texts(file, column, skip_bad=skip_bad, encoding=encoding)
        for sentence in skipped[:SHOWN_SKIPPED_ROWS]:
            print_note(Message("PREDICT_NOTE_LEFT_OUT", file=file, problem=sentence))
        return [text + "\n" for text in rows] if vocabulary.end == "\n" else rows
    if column is not None or (encoding is not None and file is None and texts != ("-",)):
        option = "--text" if column is not None else "--encoding"
        raise UsageError("PREDICT_OPTION_WITHOUT_FILE", option=option)
    if file is not None:
        content = read([file], encoding=encoding).text
        return [content] if whole else vocabulary.split(content)
    if texts == ("-",):
        data = sys.stdin.buffer.read(MAX_CORPUS_BYTES + 1)
        if len(data) > MAX_CORPUS_BYTES:
            raise UsageError("PREDICT_STDIN_TOO_LARGE", max_bytes=MAX_CORPUS_BYTES)
        content = decoded(data, "standard input", encoding)
        lines = [content] if whole else [line for line in vocabulary.split(content) if line.strip()]
        if not any(lines):
            raise UsageError("PREDICT_STDIN_EMPTY")
        return lines
    return list(texts) or vocabulary.split(run.task().examples()[0])


def _print_predictions(predictions: Table, all_rows: bool) -> None:
    import numpy as np

    shown = predictions if all_rows else predictions.take(np.arange(min(SHOWN_ROWS, len(predictions))))
    columns = [name for name in predictions.columns if _is_printed(predictions, name)]
    numeric = [name for name in columns if predictions[name].dtype.kind in "if"]
    rows = [tuple(_cell(name, row[name]) for name in columns) for row in shown]
    print_table(columns, rows, right=numeric)
    print_omitted(len(predictions) - len(shown), "row")


def _is_printed(predictions: Table, name: str) -> bool:
    """Return whether a column is printed: its values differ, and it is not one of many classes."""
    about = predictions.about
    if name == "text":
        return not about["every_step"] or len(set(predictions["text"])) > 1
    if name in ("step", "symbol"):
        return about["every_step"]
    return not name.startswith("p(") or len(predictions.columns) <= len(MAIN_COLUMNS) + MAX_CLASS_COLUMNS


def _cell(name: str, value: Any) -> str:
    if name == "text":
        text = visible(value).removesuffix("⏎")
        return text if len(text) <= TEXT_WIDTH else f"…{text[1 - TEXT_WIDTH :]}"
    if name == "probability" or name.startswith("p("):
        return f"{value:.1%}"
    if isinstance(value, float):
        return format_number(value, 4)
    return visible(str(value))
