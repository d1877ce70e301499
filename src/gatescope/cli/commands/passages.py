"""`gatescope passages`: where is a neuron most active, and which values does it take?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Encoding, Flag, Json, print_table, use_threads, visible
from gatescope.cli.studying import (
    Characters,
    Csv,
    File,
    Layer,
    Place,
    Signal,
    Text,
    check_csv,
    counted,
    deliver,
    layer_of,
    number,
    studied,
)

if TYPE_CHECKING:
    from rich.text import Text as Line

    from gatescope.studies import Table

BINS, BARS = 20, 40


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] --neuron N [OPTIONS]",
    "gatescope passages counter --neuron 3",
    "gatescope passages runs/text --neuron 12 --signal c --least --context 60",
    "gatescope passages traces/notes --neuron 0 --count 30",
)
def passages(
    place: Place,
    text: Text = None,
    /,
    *,
    neuron: int,
    file: File = None,
    encoding: Encoding = None,
    characters: Characters = None,
    layer: Layer = "0",
    signal: Signal = "h",
    least: Flag = False,
    count: int = 10,
    context: int = 24,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Print the passages of a text where a neuron is most active, and how often it takes which values.

    The symbol at which it is, once it was read, stands out: in reverse on a terminal, between » and « elsewhere. With
    --csv, the histogram goes to a second file whose name ends in -distribution.

    Parameters
    ----------
    neuron
        The neuron, counted from 0.
    least
        Where its value is smallest instead.
    count
        How many passages.
    context
        How many symbols before and after.
    """
    use_threads(1)
    from gatescope.studies.passages import distribution
    from gatescope.studies.passages import passages as study

    check_csv(csv)
    with studied(place, text, file, encoding=encoding, characters=characters, quiet=json) as about:
        name = layer_of(about.trace, layer, signal, neuron)
        found = study(about.trace, name, signal, neuron, count=count, context=context, least=least)
        values = distribution(about.trace, name, signal, neuron, bins=BINS)
    tables = {"passages": found, "distribution": values}
    deliver(tables, lambda: _print(found, values), json=json, csv=csv)


def _print(found: Table, values: Table) -> None:
    about = found.about
    which = "smallest" if about["least"] else "largest"
    print(
        f"Where {about['signal']} of neuron {about['neuron']} of {about['layer']} is {which}, "
        f"of {counted(about['steps'], 'step')}.\n"
    )
    rows = [
        (str(row["sequence"]), str(row["step"]), number(row["value"]), lined(row, about["context"])) for row in found
    ]
    columns = ("sequence", "step", "value", "")
    cut = 1 if not any(found["sequence"]) else 0
    print_table(columns[cut:], [row[cut:] for row in rows], right=columns[:3])
    said = values.about
    if said["mean"] is None:
        return
    print(
        f"\nIts values: mean {number(said['mean'])}, standard deviation {number(said['deviation'])}, "
        f"median {number(said['quantiles']['0.5'])}.\n"
    )
    most = max(values["share"].max(), 1e-300)
    print_table(
        ("from", "to", "", "of the steps"),
        [
            (number(row["low"]), number(row["high"]), "█" * round(BARS * row["share"] / most), f"{row['share']:.1%}")
            for row in values
        ],
        right=("from", "to", "of the steps"),
    )


def lined(row: dict[str, Any], context: int) -> Line:
    """A place in its text: what stands before it, flush right, the place itself so that it stands out, the rest."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text as Line

    before, at, after = (visible(row[part]) for part in ("before", "at", "after"))
    line = Line(" " * max(0, context - cell_len(before)) + before)
    if Console().is_terminal:
        line.append(at, "bold reverse")
    else:
        line.append(f"»{at}«")
    return line.append(after)
