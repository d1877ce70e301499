"""The part of `gatescope predict` that forecasts a series and draws the forecasts."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatescope.cli.options import check_output_file
from gatescope.cli.output import print_message, print_note, print_table, visible, write_tables
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.cli.commands.predict import SeriesOptions
    from gatescope.runs import Run
    from gatescope.studies import Table
    from gatescope.tasks import Forecasting

DEFAULT_STEPS = 300


def forecast(
    run: Run,
    task: Forecasting,
    file: Path | None,
    options: SeriesOptions,
    encoding: str | None,
    *,
    skip_bad: bool,
    csv: Path | None,
    json: bool,
) -> None:
    """Print and draw the forecast after the end of the run's series, or of another series.

    Args:
        run: the run.
        task: its task.
        file: the file of another series.
        options: the options of `gatescope predict` for series.
        encoding: encoding of the file.
        skip_bad: leave out bad rows of the file.
        csv: write the forecast to this file.
        json: print JSON.

    Raises:
        UsageError: the options do not go together, or the picture cannot be written.
        TaskError: the series cannot be read.
        StudyError: the series is too short for the network.
    """
    from gatescope.studies.forecast_charts import drawn, forecasts_of, outlook

    check_output_file("--svg", options.svg)
    if options.svg is None and (options.ahead is not None or options.steps is not None):
        raise UsageError("PREDICT_OPTION_WITHOUT_SVG", option="--ahead" if options.ahead is not None else "--steps")
    reading = {"encoding": encoding, "decimal": options.decimal, "thousands": options.thousands}
    reading = {name: value for name, value in reading.items() if value is not None}
    if file is None and (reading or skip_bad or options.phase is not None):
        raise UsageError("PREDICT_SERIES_FILE_MISSING")
    if file is not None:
        task = copy(task)  # the run keeps its own
        task.reading = replace(task.reading, **reading, skip_bad=skip_bad or task.reading.skip_bad)
        task = task.on(file, phase=options.phase)
        for assumption in task.notes:
            print_note(assumption)
    forecasts = forecasts_of(run, task=task)
    steps = DEFAULT_STEPS if options.steps is None else options.steps
    picture = drawn(forecasts, task, ahead=options.ahead, steps=steps) if options.svg is not None else None
    table = outlook(forecasts, options.horizon)
    known = forecasts.known
    where = Message("SCORE_IN_FORECASTS", forecasts=int(known.sum()))
    score = forecasts.score(where).message if known.any() else None
    of_run = file is None
    write_tables(table, lambda: _print_forecast(table, of_run, score), json=json, csv=csv)
    if options.svg is not None and picture is not None:
        options.svg.write_text(picture, encoding="utf-8")
        if not json:
            print()
            print_message("FORECAST_PICTURE" if of_run else "FORECAST_PICTURE_OF_SERIES", path=options.svg)


def _print_forecast(table: Table, of_run: bool, score: Message | None) -> None:
    has_columns = len(set(table["column"].tolist())) > 1
    has_dates = any(table["step"].tolist())
    print_message("FORECAST_SUMMARY", step=table.about["steps"], interval=table.about["interval"])
    print()
    columns = [*(["column"] if has_columns else []), "ahead", *(["step"] if has_dates else [])]
    columns += ["forecast", "lower", "upper", "season before"]
    rows = [
        (
            *([visible(row["column"])] if has_columns else []),
            str(row["ahead"]),
            *([visible(row["step"])] if has_dates else []),
            *(f"{row[name]:.5g}".replace("-", "−") for name in ("forecast", "lower", "upper", "season_before")),
        )
        for row in table
    ]
    print_table(columns, rows, right=columns[has_columns:])
    if score is not None:
        print()
        print_message("FORECAST_SCORE" if of_run else "FORECAST_SCORE_OF_SERIES", score=score)
