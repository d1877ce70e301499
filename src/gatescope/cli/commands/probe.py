"""`gatescope probe`: is a feature in one neuron, or spread over many?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Encoding, Flag, Json, print_table, use_threads, visible
from gatescope.cli.studying import (
    All,
    Characters,
    Csv,
    File,
    Layer,
    Lexer,
    Own,
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

SHOWN = 25  # features of each measure
OF_FAMILY = 5  # of these, of one family
WHAT = {
    "AUROC": "On or off: the area under the ROC curve. 0.5 says nothing, 1 everything.",
    "R2": "Counts: the share of the variance that is explained. 0 says nothing, 1 everything.",
}


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] [OPTIONS]",
    "gatescope probe counter",
    "gatescope probe runs/text --layer 1 --signal c",
    r"gatescope probe runs/text --feature 'call=\w+\((?P<inside>[^()\n]*)\)' --only",
)
def probe(
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
    layer: Layer = "0",
    signal: Signal = "h",
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Say of each feature how well it can be read from 1, 2, 4, 8 and all neurons of a layer.

    A probe is a straight line through some neurons, the best of them chosen one after the other; it is fitted on one
    half of the text and scored on the other. A feature is in as many neurons as tell nearly as much as all.

    Parameters
    ----------
    only
        Only the features of --feature.
    """
    use_threads(1)
    from gatescope.studies.probes import probes

    check_csv(csv)
    with studied(
        place, text, file, encoding=encoding, characters=characters, lexer=lexer, own=feature, only=only, quiet=json
    ) as about:
        table = probes(about.trace, about.features(), layer=layer_of(about.trace, layer, signal), signal=signal)
    deliver(table, lambda: _print(table, every), json=json, csv=csv)


def _print(table: Table, every: bool) -> None:
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        by_feature.setdefault(row["feature"], []).append(row)
    first = next(iter(table))
    print(
        f"{first['signal']} of {counted(table.about['neurons'], 'neuron')} of {first['layer']}; scores are of "
        f"{table.about['steps']['held_out']:,} steps that were held out."
    )
    for measure, what in WHAT.items():
        groups = [group for group in by_feature.values() if group[0]["measure"] == measure]
        # One's own first, then what is best told.
        groups.sort(key=lambda group: (not group[0]["feature"].startswith("expression."), -group[-1]["score"]))
        shown = groups if every else _some_of_each_family(groups)[:SHOWN]
        if not shown:
            continue
        print(f"\n{what}\n")
        sizes = [*(str(row["size"]) for row in shown[0][:-1]), "all"]
        rows = [
            (visible(group[0]["title"]), *(number(row["score"]) for row in group), verdict(group)) for group in shown
        ]
        print_table(("feature", *sizes, "it is"), rows, right=sizes)
        if len(shown) < len(groups):
            print(f"\n... and {counted(len(groups) - len(shown), 'more feature')}; --all prints them")


def _some_of_each_family(groups: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The first features of each family: there are as many features of single characters as characters."""
    seen: Counter[str] = Counter()
    found = []
    for group in groups:
        family = group[0]["feature"].split(".")[0]
        seen[family] += 1
        if seen[family] <= OF_FAMILY or family == "expression":
            found.append(group)
    return found


def verdict(group: list[dict[str, Any]]) -> str:
    """Where a feature is, in words, from the rows of its probes."""
    size = group[0]["verdict"]
    if size == 0:
        return "not to be read"
    if size == group[-1]["size"]:
        most = group[-2]["size"] if len(group) > 1 else 0
        return f"spread over more than {most}" if most else "in the only neuron"
    chosen = next(row["neurons"] for row in group if row["size"] == size)
    return f"in neuron {chosen}" if size == 1 else f"in neurons {chosen.replace(' ', ', ')}"
