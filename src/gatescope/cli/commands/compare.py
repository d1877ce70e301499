"""`gatescope compare`: train several cells on the same task and compare them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.interrupt import Stop
from gatescope.cli.new_run import default_name, free_run_path, task_for
from gatescope.cli.options import Csv, Json, check_output_file, use_threads
from gatescope.cli.output import (
    format_norm,
    format_number,
    format_range,
    harmless,
    print_message,
    print_table,
    progress_bar,
    shell_quoted,
    write_tables,
)
from gatescope.cli.subject import read_text
from gatescope.cli.train_options import DataOptions, parse_sizes
from gatescope.cli.usage import UsageError, check_at_least_one

if TYPE_CHECKING:
    from gatescope.studies import Table

NO_DATA_OPTIONS = DataOptions()


@command(STUDY_GROUP)
def compare(
    *what: Annotated[str, Parameter(name="WHAT", metavar="TASK|PATH")],
    cells: str = "elman,lstm,gru",
    seeds: int = 3,
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None,
    steps: int | None = None,
    minutes: float | None = None,
    learning_rate: float | None = None,
    data: DataOptions = NO_DATA_OPTIONS,
    on: Annotated[str | None, Parameter(allow_leading_hyphen=True, metavar="TEXT")] = None,
    file: Path | None = None,
    furthest: int = 100,
    distance: int | None = None,
    out: Annotated[Path | None, Parameter(metavar="DIR")] = None,
    threads: int = 1,
    csv: Csv = None,
    json: Json = False,
) -> int:
    """Train several cells on one task with one budget, and compare their scores and the reach of their gradients."""
    use_threads(threads)
    from gatescope.studies import comparison

    check_output_file("--csv", csv)
    if not what:
        raise UsageError("TRAIN_TASK_MISSING", command="compare")
    if steps is not None and minutes is not None:
        raise UsageError("TRAIN_STEPS_AND_MINUTES")
    check_at_least_one(seeds=seeds, furthest=furthest)
    task = task_for(what, data)
    folder = out or free_run_path(f"compare-{default_name(what)}")
    of_file = data.encoding if file is not None or on == "-" else None
    text = None if on is None and file is None else read_text(task, on, file, of_file)
    with Stop() as stop:
        with progress_bar("training and measuring", quiet=json) as bar:
            trainings = comparison.compare(
                task,
                cells.split(","),
                seeds,
                out=folder,
                neurons=None if neurons is None else parse_sizes(neurons),
                text=text,
                furthest=furthest,
                distance=distance,
                stop=stop,
                progress=lambda _stage, share: bar(round(1000 * share), 1000),
                steps=steps,
                minutes=minutes,
                learning_rate=learning_rate,
            )
        summary = comparison.summary(trainings)
        tables = {"summary": summary, "trainings": trainings}
        write_tables(tables, lambda: _print_comparison(summary, trainings), json=json, csv=csv)
    if trainings.about["missing"] and not json:
        missing = harmless("; ".join(trainings.about["missing"]))
        print()
        print_message("COMPARE_NOT_COMPLETE", missing=missing, folder=shell_quoted(folder))
    return stop.status


def _print_comparison(summary: Table, trainings: Table) -> None:
    if not len(trainings):
        print_message("COMPARE_NO_TRAINING")
        return
    print_message("COMPARE_RESULTS")
    print()
    columns = ("cell", "solved", "updates", "seconds", "score", "loss")
    rows = []
    for row in summary.where(when="end"):
        ends = trainings.where(cell=row["cell"], when="end")
        solved = "" if math.isnan(row["solved"]) else f"{row['solved']:.0f} of {row['seeds']}"
        rows.append(
            (
                row["cell"],
                solved,
                _median_and_range(ends["step"].tolist(), lambda value: f"{value:,.0f}"),
                _median_and_range(ends["seconds"].tolist(), lambda value: format_number(value, 1)),
                _summary_cell(row, "score", format_number),
                _summary_cell(row, "loss", format_number),
            )
        )
    print_table(columns, rows, right=columns[1:])
    distance = trainings.about["distance"]
    print()
    print_message("COMPARE_REACH", steps=distance)
    print()
    columns = ("cell", "", "until 1/e", "until 1 %", f"norm over {distance}", "growth")
    rows = [
        (
            row["cell"] if row["when"] == "beginning" else "",
            "untrained" if row["when"] == "beginning" else "trained",
            _summary_cell(row, "horizon", lambda value: format_number(value, 1)),
            _summary_cell(row, "horizon_1", lambda value: format_number(value, 1)),
            _summary_cell(row, "gradient", format_norm),
            _summary_cell(row, "growth", format_number),
        )
        for row in summary
    ]
    print_table(columns, rows, right=columns[2:])
    print()
    print_message("COMPARE_RUNS", cells=len(rows) // 2, out=trainings.about["out"])


def _summary_cell(row: dict[str, Any], name: str, to_text: Callable[[Any], str]) -> str:
    return _format_range(row[name], row[f"{name}_low"], row[f"{name}_high"], to_text)


def _median_and_range(values: Sequence[float], to_text: Callable[[Any], str]) -> str:
    numbers = sorted(value for value in values if not math.isnan(value))
    return _format_range(numbers[len(numbers) // 2], numbers[0], numbers[-1], to_text) if numbers else ""


def _format_range(median: float, low: float, high: float, to_text: Callable[[Any], str]) -> str:
    """Format a median with the smallest and the largest value, unless both are printed the same."""
    smallest, largest = to_text(low), to_text(high)
    return to_text(median) if smallest == largest else f"{to_text(median)} ({format_range(smallest, largest)})"
