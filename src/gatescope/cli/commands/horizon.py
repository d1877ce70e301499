"""`gatescope horizon`: measure how far back a network remembers, and how its gradients grow."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.interrupt import Stop
from gatescope.cli.options import Csv, Json, OnlyLayer, StudyText, check_output_file, use_threads
from gatescope.cli.output import (
    format_norm,
    format_number,
    has_several,
    localized_title,
    phrase,
    print_message,
    print_table,
    print_unknown_symbols,
    progress_bar,
    write_tables,
)
from gatescope.cli.subject import find_run, layer_named, read_text
from gatescope.cli.usage import UsageError, check_at_least_one

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.studies import Table
    from gatescope.studies.comparison import Reach

TEXT_CHARACTERS = 5000
STRING_CHARACTERS = 1000


@command(STUDY_GROUP)
def horizon(
    *names: Annotated[str, Parameter(name="RUN", metavar="RUN")],
    text: Annotated[StudyText, Parameter(name="--text")] = None,
    file: Path | None = None,
    encoding: str | None = None,
    characters: int | None = None,
    layer: OnlyLayer = None,
    checkpoint: Annotated[str | None, Parameter(metavar="STEP|all")] = None,
    furthest: int = 100,
    distance: int | None = None,
    samples: int = 200,
    csv: Csv = None,
    json: Json = False,
) -> int:
    """Measure how far back a network remembers, how gradients grow in each layer, and which terms carry them."""
    use_threads(1)
    from gatescope.studies.comparison import join_reaches, reach

    check_output_file("--csv", csv)
    check_at_least_one(characters=characters, furthest=furthest, samples=samples)
    if not names:
        raise UsageError("HORIZON_RUN_MISSING")
    runs = [find_run(name) for name in names]
    if text == "-":  # read standard input once for all runs
        text, encoding = read_text(runs[0].task(), text, file, encoding), None
    weights = [(run, step) for run in runs for step in _checkpoints(run, checkpoint)]
    measured: list[tuple[str, int, Reach]] = []
    with Stop() as stop:
        with progress_bar("measuring", quiet=json) as bar:
            for k, (run, step) in enumerate(weights):
                if stop():
                    break
                bar(k, len(weights))
                network, training_step = run.network(step)
                source = _read_source(run, text, file, encoding, characters)
                if k == 0 or text is not None or file is not None:
                    print_unknown_symbols(network.configuration.vocabulary, source)
                result = reach(
                    network,
                    source,
                    furthest=furthest,
                    distance=distance,
                    samples=samples,
                    layers=None if layer is None else [layer_named(layer, network.configuration.names)],
                    answers=run.task().answers,
                )
                measured.append((run.name, training_step, result))
        if measured:
            joined = join_reaches(measured)
            tables = {"horizons": joined.horizons, "layers": joined.layers, "terms": joined.terms}
            write_tables(tables, lambda: _print_horizons(tables), json=json, csv=csv)
    return stop.status


def _checkpoints(run: Run, option: str | None) -> Sequence[int | None]:
    """Return the training steps that --checkpoint names; None for the best weights.

    Raises:
        UsageError: the option is neither a number nor "all", or the run has no such checkpoint.
    """
    if option is None:
        return [None]
    checkpoints = run.checkpoints()
    if option == "all":
        return checkpoints or [None]
    if not option.isdigit() or int(option) not in checkpoints:
        listed = ", ".join(map(str, checkpoints)) or "none"
        raise UsageError("HORIZON_CHECKPOINT_UNKNOWN", run=run.name, checkpoint=option, checkpoints=listed)
    return [int(option)]


def _read_source(run: Run, text: str | None, file: Path | None, encoding: str | None, characters: int | None) -> str:
    from gatescope.tasks.base.strings import StringTask

    task = run.task()
    if text is None and file is None and encoding is None:
        return task.held_out(characters or (STRING_CHARACTERS if isinstance(task, StringTask) else TEXT_CHARACTERS))
    return read_text(task, text, file, encoding)[:characters]


def _print_horizons(tables: dict[str, Table]) -> None:
    horizons, layers, terms = tables["horizons"], tables["layers"], tables["terms"]
    constant = {name for name in ("run", "step", "layer") if not has_several(layers[name].tolist())}
    print_message("HORIZON_SUMMARY", furthest=horizons.about["furthest"])
    print()
    rows = [
        (
            row["run"],
            f"{row['step']:,}",
            localized_title("influence", _influence_of(row)),
            localized_title("measure", row["measure"]),
            format_number(row["1/e"], 1),
            format_number(row["1 %"], 1),
        )
        for row in horizons
    ]
    columns = ("run", "step", "influence of", "measure", "1/e", "1 %")
    _print_columns(columns, rows, constant - {"layer"}, ("step", "1/e", "1 %"))
    print()
    print_message("HORIZON_GRADIENTS", distance=layers.about["distance"], steps=layers.about["steps"])
    print()
    rows = [
        (
            *_place_cells(row),
            row["cell"],
            format_norm(row["gradient"]),
            format_norm(row["states_norm"]),
            format_number(row["growth"]),
            format_number(row["exponent"]),
            format_norm(row["direct"]),
            format_norm(row["rest"]),
        )
        for row in layers
    ]
    columns = (
        "run",
        "step",
        "layer",
        "cell",
        "of h",
        "of all states",
        "growth per step",
        "largest exponent",
        "direct",
        "other ways",
    )
    _print_columns(columns, rows, constant, ("step", "layer", *columns[4:]))
    if not len(terms):
        print()
        print_message("HORIZON_NO_TERMS")
        return
    print()
    print_message("HORIZON_TERMS")
    print()
    rows = [
        (
            *_place_cells(row),
            phrase("HORIZON_DERIVATIVE", to=row["to"], source=row["source"]),
            localized_title("path", row["term"]),
            row["formula"],
            format_number(row["norm"]),
            f"{row['share']:.0%}" if not math.isnan(row["share"]) else "",
        )
        for row in terms
    ]
    columns = ("run", "step", "layer", "derivative of", "through", "formula", "norm", "share")
    _print_columns(columns, rows, constant, ("step", "layer", "norm", "share"))


def _influence_of(row: dict[str, Any]) -> str:
    """Return the name of what influences the loss: an input, a later input or a state."""
    if row["of"] == "input":
        return "later input" if row["side"] == "after" else "input"
    return f"{row['state']} of {row['layer']}"


def _place_cells(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["run"], f"{row['step']:,}", row["layer"].removeprefix("layer")


def _print_columns(
    columns: Sequence[str], rows: Sequence[Sequence[str]], constant: Collection[str], right: Sequence[str]
) -> None:
    """Print a table without the columns that have the same value in every row."""
    printed = [k for k, name in enumerate(columns) if name not in constant]
    print_table([columns[k] for k in printed], [[row[k] for k in printed] for row in rows], right=right)
