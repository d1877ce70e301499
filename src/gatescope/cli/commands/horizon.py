"""`gatescope horizon`: how far back does a network remember, and which way do its gradients go?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import (
    Encoding,
    Json,
    UsageError,
    find_run,
    print_table,
    text_for,
    use_threads,
    warn_of_unknown,
)
from gatescope.cli.interrupt import Stop
from gatescope.cli.studying import Csv, File, bar, check_csv, deliver, layer_named, number, several

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.studies import Table
    from gatescope.studies.comparison import Reach

OF_TEXT, OF_STRINGS = 5000, 1000  # characters


@command(
    FIND,
    "RUN... [--text TEXT | --file FILE] [OPTIONS]",
    "gatescope horizon counter",
    "gatescope horizon runs/lstm runs/elman --text AxxxxxxxxxxxxxxxxxxxxYa",
    "gatescope horizon runs/text --file notes.txt --furthest 200 --csv horizon.csv",
    "gatescope horizon counter --checkpoint all   # how it came about",
)
def horizon(
    *runs: Annotated[str, Parameter(name="RUN", metavar="RUN")],
    text: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    file: File = None,
    encoding: Encoding = None,
    characters: int | None = None,
    layer: str | None = None,
    checkpoint: Annotated[str | None, Parameter(metavar="STEP|all")] = None,
    furthest: int = 100,
    distance: int | None = None,
    samples: int = 200,
    csv: Csv = None,
    json: Json = False,
) -> int:
    """Say how far back a network remembers, how gradients grow in each layer, and along which terms they go.

    The memory horizon is the number of steps after which influence has fallen to 1/e, and to 1 %, of what it is at
    first: by the gradient of the loss, and by replacing what is read; of a network in both directions also of what
    stands behind. With --csv, the layers and the terms of their Jacobians go to two more files whose names end in
    -layers and -terms. Ctrl-C stops it, and what was measured is printed.

    Parameters
    ----------
    runs
        Run directories, or names of runs in ./runs; several are told of side by side.
    text
        What the networks read; - reads the standard input; what the task keeps from training when nothing is given.
    characters
        How much of the text; by default 1,000 of strings and 5,000 of anything else.
    layer
        Only this layer, counted from 0; 0_reverse is the one that reads from the end, where there is one.
    checkpoint
        The weights of this step, or of every checkpoint; the best weights by default.
    furthest
        The largest distance at which influence is looked for.
    distance
        The number of steps between two norms of the gradient; up to 50 by default.
    samples
        At how many places the loss is taken, and how often something else is read.
    """
    use_threads(1)
    from gatescope.studies.comparison import join_reaches, reach

    check_csv(csv)
    for name, value in (("characters", characters), ("furthest", furthest), ("samples", samples)):
        if value is not None and value < 1:
            raise UsageError("COMPARE", name=name, value=value)
    if not runs:
        raise UsageError("HORIZON_SAY_WHOSE_MEMORY_RUN")
    found = [find_run(given) for given in runs]
    if text == "-":  # once for all of them
        text, encoding = text_for(found[0].task(), text, file, encoding), None
    work = [(run, step) for run in found for step in _steps(run, checkpoint)]
    measured: list[tuple[str, int, Reach]] = []
    with Stop() as stop:
        with bar("measuring", quiet=json) as tell:
            for done, (run, step) in enumerate(work):
                if stop():
                    break
                tell(done, len(work))
                network, at = run.network(step)
                source = _source(run, text, file, encoding, characters)
                if done == 0 or text is not None or file is not None:
                    warn_of_unknown(network.configuration.vocabulary, source)
                chosen = None if layer is None else [layer_named(layer, network.configuration.names)]
                about = reach(
                    network,
                    source,
                    furthest=furthest,
                    distance=distance,
                    samples=samples,
                    layers=chosen,
                    answers=run.task().answers,
                )
                measured.append((run.name, at, about))
        if measured:
            joined = join_reaches(measured)
            tables = {"horizons": joined.horizons, "layers": joined.layers, "terms": joined.terms}
            deliver(tables, lambda: _print(tables), json=json, csv=csv)
    return stop.status


def _steps(run: Run, given: str | None) -> Sequence[int | None]:
    """The checkpoints that are asked for; None for the best weights.

    Raises:
        UsageError: it is neither a number nor all, or the run has no such checkpoint.
    """
    if given is None:
        return [None]
    there = run.checkpoints()
    if given == "all":
        return there or [None]
    if not given.isdigit() or int(given) not in there:
        shown = ", ".join(map(str, there)) or "none"
        raise UsageError("HORIZON_CHECKPOINT_ALL_TAKES_EVERY", name=run.name, given=given, shown=shown)
    return [int(given)]


def _source(run: Run, text: str | None, file: Any, encoding: str | None, characters: int | None) -> str:
    from gatescope.tasks.base.strings import StringTask

    task = run.task()
    if text is None and file is None and encoding is None:
        return task.held_out(characters or (OF_STRINGS if isinstance(task, StringTask) else OF_TEXT))
    return text_for(task, text, file, encoding)[:characters]


def _print(tables: dict[str, Table]) -> None:
    horizons, layers, terms = tables.values()
    cut = {name: not several(layers[name].tolist()) for name in ("run", "step", "layer")}
    print(f"Memory horizon: steps until influence has fallen so far ({horizons.about['furthest']} are looked at).\n")
    rows = [
        (row["run"], f"{row['step']:,}", _of(row), row["measure"], number(row["1/e"], 1), number(row["1 %"], 1))
        for row in horizons
    ]
    _table(("run", "step", "of", "measure", "1/e", "1 %"), rows, {**cut, "layer": False}, ("step", "1/e", "1 %"))
    distance, steps = layers.about["distance"], layers.about["steps"]
    apart = f"{distance} step{'' if distance == 1 else 's'}"
    print(
        f"\nGradients over {apart}, in a sequence of {steps}: norms of the derivative by the states so much earlier.\n"
    )
    rows = [
        (
            *_place(row),
            row["cell"],
            size(row["gradient"]),
            size(row["states_norm"]),
            number(row["growth"]),
            number(row["exponent"]),
            size(row["direct"]),
            size(row["rest"]),
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
    _table(columns, rows, cut, ("step", "layer", *columns[4:]))
    if not len(terms):
        print("\nNothing is carried from step to step, so there are no terms.")
        return
    print("\nThe terms of each state's derivative by the states one step earlier, and the share of each.\n")
    rows = [
        (
            *_place(row),
            f"{row['to']} by {row['source']}",
            row["term"],
            row["formula"],
            number(row["norm"]),
            f"{row['share']:.0%}" if not math.isnan(row["share"]) else "",
        )
        for row in terms
    ]
    _table(
        ("run", "step", "layer", "of", "through", "formula", "norm", "share"),
        rows,
        cut,
        ("step", "layer", "norm", "share"),
    )


def _of(row: dict[str, Any]) -> str:
    behind = " behind" if row["side"] == "behind" else ""
    return f"input{behind}" if row["of"] == "input" else f"{row['state']} of {row['layer']}"


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["run"], f"{row['step']:,}", row["layer"].removeprefix("layer")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], cut: dict[str, bool], right: Sequence[str]) -> None:
    """A table without the columns that say the same in every row."""
    kept = [k for k, name in enumerate(columns) if not cut.get(name)]
    print_table([columns[k] for k in kept], [[row[k] for k in kept] for row in rows], right=right)


def size(value: float) -> str:
    """A norm as it is printed, over all powers of ten."""
    if value == 0:
        return "0"
    return number(value, 2) if math.isnan(value) or math.isinf(value) or 0.01 <= value < 1000 else f"{value:.1e}"
