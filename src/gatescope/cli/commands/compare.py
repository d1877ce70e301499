"""`gatescope compare`: the same task for several cells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.commands.horizon import size
from gatescope.cli.commands.train import DataOptions, default_name, free_place, task_for
from gatescope.cli.common import Encoding, Json, UsageError, print_table, quoted, text_for, use_threads
from gatescope.cli.interrupt import Stop
from gatescope.cli.studying import Csv, File, bar, check_csv, counted, deliver, number

if TYPE_CHECKING:
    from gatescope.studies import Table

NOTHING = DataOptions()


@command(
    FIND,
    "TASK|PATH... [OPTIONS]",
    "gatescope compare counter --cells elman,lstm,gru --seeds 5",
    "gatescope compare state_memoriser --cells elman,lstm:f=0,lstm,lstm:f=3 --on AxxxxxxxxxxxxxxxxxxxxYa",
    "gatescope compare notes.txt --cells lstm,gru --seeds 2 --minutes 2 --out runs/notes",
)
def compare(
    *what: Annotated[str, Parameter(name="WHAT", metavar="TASK|PATH")],
    cells: str = "elman,lstm,gru",
    seeds: int = 3,
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None,
    steps: int | None = None,
    minutes: float | None = None,
    learning_rate: float | None = None,
    data: DataOptions = NOTHING,
    on: Annotated[str | None, Parameter(allow_leading_hyphen=True, metavar="TEXT")] = None,
    file: File = None,
    encoding: Encoding = None,
    furthest: int = 100,
    distance: int | None = None,
    out: Path | None = None,
    threads: int = 1,
    csv: Csv = None,
    json: Json = False,
) -> int:
    """Train several cells on one task with one budget, and say what each one learned and how far its gradients reach.

    Every training is a run like any other. Ctrl-C stops it: the table then has what was complete, and the same command
    with the same --out goes on. With --csv, every training goes to a second file whose name ends in -trainings.

    Parameters
    ----------
    what
        The name of a task, or files, folders and patterns of UTF-8 text.
    cells
        Which ones, with commas between them; lstm:f=3 is an LSTM whose forget biases start at 3.
    seeds
        How many trainings of each cell.
    neurons
        Of every layer, or of each from the input upwards; by default what the task recommends.
    steps
        The most updates of the weights; by default what the task recommends.
    minutes
        Train each network for this long instead.
    learning_rate
        The largest one; by default what the task recommends, whatever the cell.
    on
        The text on which the reach of gradients is measured; what the task keeps from training when nothing is given.
    furthest
        The largest distance at which influence is looked for.
    distance
        The number of steps between two norms of the gradient; up to 50 by default.
    out
        The directory of the runs; by default a new one in ./runs.
    threads
        Processor threads.
    """
    use_threads(threads)
    from gatescope.studies import comparison

    check_csv(csv)
    if not what:
        raise UsageError("COMPARE_SAY_LEARN_TASK_GATESCOPE")
    if steps is not None and minutes is not None:
        raise UsageError("COMPARE_STEPS_MINUTES_BOTH_GIVEN")
    for name, value in (("seeds", seeds), ("furthest", furthest)):
        if value < 1:
            raise UsageError("COMPARE", name=name, value=value)
    task = task_for(what, data)
    place = out or free_place(f"compare-{default_name(what)}")
    source = None if on is None and file is None and encoding is None else text_for(task, on, file, encoding)
    with Stop() as stop:
        with bar("training and measuring", quiet=json) as tell:
            found = comparison.compare(
                task,
                cells.split(","),
                seeds,
                out=place,
                neurons=_sizes(neurons),
                text=source,
                furthest=furthest,
                distance=distance,
                stop=stop,
                progress=lambda _what, share: tell(round(1000 * share), 1000),
                steps=steps,
                minutes=minutes,
                learning_rate=learning_rate,
            )
        tables = {"summary": comparison.summary(found), "trainings": found}
        deliver(tables, lambda: _print(tables["summary"], found), json=json, csv=csv)
    if found.about["missing"] and not json:
        again = f"--out {quoted(place)}"
        print(f"\nnot complete: {'; '.join(found.about['missing'])}\ngo on with the same command and {again}")
    return stop.status


def _sizes(given: str | None) -> list[int] | None:
    if given is None:
        return None
    parts = given.split(",")
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError("COMPARE_NEURONS_WHOLE_NUMBER_LAYER", given=given)
    return [int(part) for part in parts]


def _print(summary: Table, found: Table) -> None:
    if not len(found):
        print("no training was complete, so there is nothing to compare.")
        return
    print("What each cell learned: the median of its seeds, and in brackets the smallest and the largest value.\n")
    columns = ("cell", "solved", "updates", "seconds", "score", "loss")
    rows = []
    for row in summary.where(when="end"):
        ends = found.where(cell=row["cell"], when="end")
        solved = "" if math.isnan(row["solved"]) else f"{row['solved']:.0f} of {row['seeds']}"
        rows.append(
            (
                row["cell"],
                solved,
                _of(ends["step"].tolist(), lambda value: f"{value:,.0f}"),
                _of(ends["seconds"].tolist(), lambda value: number(value, 1)),
                _spread(row, "score", number),
                _spread(row, "loss", number),
            )
        )
    print_table(columns, rows, right=columns[1:])
    distance = found.about["distance"]
    print(
        "\nHow far it reaches: the memory horizon by gradient, in steps; the norm of d h by the states "
        f"{counted(distance, 'step')} earlier, and how it grows in a step.\n"
    )
    columns = ("cell", "", "until 1/e", "until 1 %", f"norm over {distance}", "growth")
    rows = [
        (
            row["cell"] if row["when"] == "beginning" else "",
            "untrained" if row["when"] == "beginning" else "trained",
            _spread(row, "horizon", lambda value: number(value, 1)),
            _spread(row, "horizon_1", lambda value: number(value, 1)),
            _spread(row, "gradient", size),
            _spread(row, "growth", number),
        )
        for row in summary
    ]
    print_table(columns, rows, right=columns[2:])
    print(f"\n{counted(len(rows) // 2, 'cell')}; the runs are in {found.about['out']}")


def _spread(row: dict[str, Any], name: str, form: Any) -> str:
    return _said([row[name], row[f"{name}_low"], row[f"{name}_high"]], form)


def _of(values: list[float], form: Any) -> str:
    known = sorted(value for value in values if not math.isnan(value))
    return _said([known[len(known) // 2], known[0], known[-1]], form) if known else ""


def _said(values: list[float], form: Any) -> str:
    """A median with the smallest and the largest value, where they are told apart."""
    middle, low, high = map(form, values)
    return middle if low == high else f"{middle} ({low} to {high})"
