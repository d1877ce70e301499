"""The part of `gatescope predict` that forecasts a series, and draws the forecast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatescope.cli.common import UsageError, print_table, visible
from gatescope.cli.studying import deliver, note

if TYPE_CHECKING:
    from gatescope.cli.commands.predict import SeriesOptions
    from gatescope.runs import Run
    from gatescope.studies import Table
    from gatescope.tasks import Forecasting

SHOWN_STEPS = 300


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
    """Print the steps after the end of the series of a run, or of another one, and draw them.

    Raises:
        UsageError: options that do not go together, or a picture that cannot be written.
        TaskError, StudyError: a series that cannot be used.
    """
    from gatescope.studies.forecasts import drawn, forecasts_of, outlook

    svg = options.svg
    if svg is not None and (svg.is_dir() or not svg.parent.is_dir()):
        what = "is a folder" if svg.is_dir() else f"cannot be written: there is no folder {svg.parent}"
        raise UsageError("FORECAST_SVG_NAME_FILE", svg=svg, what=what)
    if svg is None and (options.ahead is not None or options.steps is not None):
        option = "--ahead" if options.ahead is not None else "--steps"
        raise UsageError("FORECAST_OPTION_ABOUT_PICTURE_SVG", option=option)
    reading = {"encoding": encoding, "decimal": options.decimal, "thousands": options.thousands}
    reading = {name: value for name, value in reading.items() if value is not None}
    if file is None and (reading or skip_bad or options.phase is not None):
        raise UsageError("FORECAST_ANOTHER_SERIES_FILE_BESIDE")
    if file is not None:
        task.reading = replace(task.reading, **reading, skip_bad=skip_bad or task.reading.skip_bad)
        task = task.on(file, phase=options.phase)
        for sentence in task.notes:
            note(sentence)
    found = forecasts_of(run, task=task)
    steps = SHOWN_STEPS if options.steps is None else options.steps
    picture = drawn(found, task, ahead=options.ahead, steps=steps) if svg is not None else None
    table = outlook(found, options.horizon)
    known = found.known
    score = found.score(f"in {known.sum():,} forecasts").text if known.any() else None
    where = "test part" if file is None else "later part of this series"
    deliver(table, lambda: _print(table, where, score), json=json, csv=csv)
    if svg is not None and picture is not None:
        svg.write_text(picture, encoding="utf-8")
        if not json:
            print(f"\n{svg}: the {where} and what comes next")


def _print(table: Table, where: str, score: str | None) -> None:
    interval, several = table.about["interval"], len(set(table["column"].tolist())) > 1
    print(
        f"After step {table.about['steps']:,}, the last one; {interval:.0%} of the values should be between the ends.\n"
    )
    dated = any(table["step"].tolist())
    columns = [*(["column"] if several else []), "ahead", *(["step"] if dated else [])]
    columns += ["forecast", "from", "to", "a season before"]
    rows = [
        (
            *([visible(row["column"])] if several else []),
            str(row["ahead"]),
            *([visible(row["step"])] if dated else []),
            *(f"{row[name]:.5g}".replace("-", "−") for name in ("forecast", "lower", "upper", "season_before")),
        )
        for row in table
    ]
    print_table(columns, rows, right=columns[several:])
    if score is not None:
        print(f"\nOn the {where}: {score}")
