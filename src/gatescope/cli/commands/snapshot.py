"""`gatescope snapshot`: how does every neuron stand at one step of each sequence?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Json, print_table, use_threads, visible
from gatescope.cli.studying import (
    All,
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
    from gatescope.studies import Table

SHOWN_NEURONS = 12
SHOWN_SEQUENCES = 40
TEXT_WIDTH = 24


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] --at SYMBOL|STEP [OPTIONS]",
    "gatescope snapshot counter --at X --signal c",
    "gatescope snapshot counter --at -1 --csv last-step.csv",
)
def snapshot(
    place: Place,
    text: Text = None,
    /,
    *,
    at: Annotated[str, Parameter(allow_leading_hyphen=True, metavar="SYMBOL|STEP")],
    file: File = None,
    characters: Characters = None,
    layer: Layer = "0",
    signal: Signal = "h",
    occurrence: int = 0,
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    r"""Print how every neuron stands at one step of each sequence, such as the X of all strings a^N X b^N.

    With --csv or --json, the table has every signal of the layer.

    Parameters
    ----------
    at
        A symbol, as in X (\n stands for a newline), or the number of a step, counted from 0, or from the end where it
        is negative. A digit that is a symbol of the network counts as the symbol.
    occurrence
        Which occurrence of the symbol in each sequence, counted from 0; -1 is the last one.
    """
    use_threads(1)
    from gatescope.studies.snapshots import snapshot as study

    check_csv(csv)
    with studied(place, text, file, characters=characters, quiet=json) as about:
        name = layer_of(about.trace, layer, signal)
        found = study(about.trace, _step(at, about.trace.vocabulary.symbols), occurrence=occurrence, layers=[name])
    deliver(found, lambda: _print(found, signal, every), json=json, csv=csv)


def _step(given: str, symbols: tuple[str, ...]) -> str | int:
    given = given.replace("\\n", "\n")
    if given in symbols:
        return given
    try:
        return int(given)
    except ValueError:
        return given


def _print(found: Table, signal: str, every: bool) -> None:
    import numpy as np

    count = len(set(found["neuron"].tolist()))
    shown = range(count if every else min(count, SHOWN_NEURONS))
    parts = [found.take(np.arange(start, start + count)) for start in range(0, len(found), count)]
    parts.sort(key=lambda part: (len(part["text"][0]), part["text"][0]))
    print(
        f"{signal} of {counted(count, 'neuron')} in {counted(len(parts), 'different sequence')}, the shortest first.\n"
    )
    rows = []
    for part in parts if every else parts[:SHOWN_SEQUENCES]:
        text = visible(part["text"][0])
        text = text if len(text) <= TEXT_WIDTH else f"{text[: TEXT_WIDTH - 1]}…"
        rows.append((text, str(part["step"][0]), *(number(part[signal][n], 2) for n in shown)))
    columns = ("text", "step", *map(str, shown))
    print_table(columns, rows, right=columns[1:])
    if count > len(shown) or len(parts) > len(rows):
        left = [counted(count - len(shown), "more neuron")] * (count > len(shown))
        left += [counted(len(parts) - len(rows), "more sequence")] * (len(parts) > len(rows))
        print(f"\n... and {' and '.join(left)}; --all prints them, --csv writes them")
    if found.about["without"]:
        print(f"\n{counted(len(found.about['without']), 'sequence')} without this step")
