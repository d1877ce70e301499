"""`gatescope label`: which feature does each neuron follow?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Encoding, Flag, Json, print_table, use_threads, visible
from gatescope.cli.studying import (
    All,
    Characters,
    Csv,
    File,
    Lexer,
    Own,
    Place,
    Studied,
    Text,
    bar,
    check_csv,
    check_signal,
    counted,
    deliver,
    keeping,
    layer_named,
    number,
    numbers,
    several,
    studied,
)

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN = 40
LAGS = "0,1,2,3,5,8,-1,-2"
HOW = {
    ("AUROC", 1): "high where",
    ("AUROC", -1): "low where",
    ("R2", 1): "rising with",
    ("R2", -1): "falling with",
    ("R2", 0): "level with",
}


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] [OPTIONS]",
    "gatescope label counter",
    "gatescope label runs/text --signal c --characters 20000",
    r"gatescope label runs/text --feature 'call=\w+\((?P<inside>[^()\n]*)\)' --only",
    "gatescope label traces/notes --csv labels.csv --all",
)
def label(
    place: Place,
    text: Text = None,
    /,
    *,
    file: File = None,
    encoding: Encoding = None,
    characters: Characters = None,
    lexer: Lexer = None,
    feature: Own = (),
    only: Flag = False,
    layer: str | None = None,
    signal: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    top: int = 3,
    rate: float = 0.05,
    lags: Annotated[str, Parameter(allow_leading_hyphen=True, metavar="N[,N...]")] = LAGS,
    chances: int = 10_000,
    no_pairs: Flag = False,
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the features that each neuron follows, and say how well, on text held out, and what chance gives.

    Printed is the best label of each neuron: the feature of which a line from one of its signals explains most of the
    variance. AUROC, the area under the ROC curve, and Matthews, the correlation with what a threshold tells, are 1
    where a signal tells a feature perfectly. What is found with no option that changes it is kept with the run, where
    the explorer shows it.

    Parameters
    ----------
    only
        Only the features of --feature.
    layer
        Only this layer, counted from 0; 0_reverse is the one that reads from the end, where there is one.
    signal
        Only this signal; may be given several times.
    top
        Labels of each neuron and signal, at most.
    rate
        The share of the labels that may be chance: the false discovery rate.
    lags
        By how many steps a neuron may follow a feature; under 0 it foresees it.
    chances
        How many searches are made where there is nothing to be found; more tell rarer chances apart.
    no_pairs
        Leave out "A and B" and "A but not B".
    """
    use_threads(1)  # more were slower wherever it was measured
    from gatescope.studies.labels import Search, labels

    check_csv(csv)
    search = Search(lags=tuple(numbers("--lags", lags, int)), top=top, pairs=not no_pairs, rate=rate, chances=chances)
    options = (text, file, encoding, characters, lexer, layer, *feature, *signal)
    default = search == Search() and all(option is None for option in options)
    with (
        studied(
            place, text, file, encoding=encoding, characters=characters, lexer=lexer, own=feature, only=only, quiet=json
        ) as about,
        keeping(about.subject, default) as keep,
    ):
        layers = list(about.trace.layers) if layer is None else [layer_named(layer, list(about.trace.layers))]
        for name in signal:
            for each in layers:
                check_signal(name, list(about.trace[each]))
        with bar("labelling", quiet=json) as tell:
            table = labels(
                about.trace, about.features(), layers=layers, signals=signal or None, search=search, progress=tell
            )
        keep("labels", table)
        deliver(table, lambda: _print(table, about, layers, every), json=json, csv=csv)


def _print(table: Table, about: Studied, layers: list[str], every: bool) -> None:
    chance, held_out = table.about["chance"], table.about["steps"]["held_out"]
    neurons = sum(next(iter(about.trace[layer].values())).shape[2] for layer in layers)
    found = len(set(zip(table["layer"], table["neuron"], strict=True)))
    print(
        f"{found:,} of {counted(neurons, 'neuron')} {'has' if found == 1 else 'have'} a label, "
        f"chosen among {counted(table.about['features']['binary'], 'feature')} that are on or off and "
        f"{counted(table.about['features']['count'], 'count')}."
    )
    rate = f"{100 * chance['false_discovery_rate']:g} %"
    least = [f"{measure} {number(low)}" for measure, low in chance["least"].items() if low is not None]
    print(
        f"Scores are of {held_out:,} steps that were held out. Beside {chance['searches']:,} searches with features "
        f"shifted along the text, labels begin at {' and '.join(least)}: at most {rate} of them are expected to be "
        "chance."
    )
    rows = sorted(table, key=_order)
    shown = rows if every else _best_of_each(rows)[:SHOWN]
    if shown:
        print()
        _print_rows(shown, several(layers))
    if len(shown) < len(rows):
        print(f"\n... and {counted(len(rows) - len(shown), 'more label')}; --all prints them, --csv FILE keeps them")


def _order(row: dict[str, Any]) -> tuple[float, ...]:
    """The best explained first; of those that look the same, the best score, and what is not late."""
    return (-round(row["explained"], 3), -round(row["score"], 3), abs(row["lag"]))


def _best_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first row of each neuron."""
    best: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        best.setdefault((row["layer"], row["neuron"]), row)
    return list(best.values())


def _print_rows(rows: list[dict[str, Any]], layers: bool) -> None:
    # name -> the column's cells; those that say the same of all rows are left out.
    columns = {
        "layer": [row["layer"].removeprefix("layer") for row in rows] if layers else [],
        "neuron": [str(row["neuron"]) for row in rows],
        "signal": [row["signal"] for row in rows],
        "it is": [f"{HOW[row['measure'], row['direction']]} {visible(row['title'])}" for row in rows],
        "explains": [f"{max(0.0, row['explained']):.1%}" for row in rows],
        "AUROC": [number(row["score"]) if row["measure"] == "AUROC" else "" for row in rows],
        "Matthews": [number(row["matthews"]) for row in rows],
        "lag": [str(row["lag"]).replace("-", "−") for row in rows] if any(row["lag"] for row in rows) else [],
    }
    there = {name: cells for name, cells in columns.items() if any(cells)}
    right = ("layer", "neuron", "explains", "AUROC", "Matthews", "lag")
    print_table(list(there), list(zip(*there.values(), strict=True)), right=right)
