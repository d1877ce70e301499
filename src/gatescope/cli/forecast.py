"""`gatescope forecast`: what comes next in a series, and how sure is that?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Json, UsageError, find_run, print_table, use_threads, visible
from gatescope.cli.studying import Csv, Run, check_csv, deliver

if TYPE_CHECKING:
    from gatescope.studies import Table


@command(
    FIND,
    "RUN [OPTIONS]",
    "gatescope forecast sunspots",
    "gatescope forecast runs/sunspots --svg sunspots.svg --ahead 1",
)
def forecast(
    run: Run,
    /,
    *,
    svg: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    ahead: int | None = None,
    steps: int = 300,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Forecast the steps after the end of a series, with intervals, and draw that beside the test part.

    A run of the task forecasting is needed. The intervals are calibrated by all that was forecast before and has come
    since.

    Parameters
    ----------
    svg
        Draw the last steps of the test part, what was forecast of them, and what comes next.
    ahead
        Of the forecasts that are drawn over the test part, how many steps before they were made; by default all of
        the horizon.
    steps
        How many of the last steps of the series are drawn.
    """
    use_threads(1)
    from gatescope.studies.forecasts import drawn, forecasts_of, outlook

    check_csv(csv)
    if svg is not None and (svg.is_dir() or not svg.parent.is_dir()):
        what = "is a folder" if svg.is_dir() else f"cannot be written: there is no folder {svg.parent}"
        raise UsageError(f"{svg} {what}; give --svg the name of a file.")
    task, found = forecasts_of(find_run(run))
    picture = drawn(found, task, ahead=ahead, steps=steps) if svg is not None else None
    table = outlook(found)
    known = found.known
    score = found.score(f"in {known.sum():,} forecasts") if known.any() else None
    deliver(table, lambda: _print(table, None if score is None else score.text), json=json, csv=csv)
    if svg is not None and picture is not None:
        svg.write_text(picture, encoding="utf-8")
        if not json:
            print(f"\n{svg}: the test part and what comes next")


def _print(table: Table, score: str | None) -> None:
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
        print(f"\nOn the test part: {score}")
