"""`gatescope weights`: the weights of a network, named by gate, neuron and symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Json, find_run, print_table, use_threads, visible
from gatescope.cli.studying import All, Csv, Run, check_csv, counted, deliver, layer_named, number

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN = 20
Kind = Literal[
    "embedding",
    "input",
    "recurrent",
    "bias",
    "neuron",
    "initial",
    "hidden",
    "hidden bias",
    "readout",
    "readout bias",
]


@command(
    FIND,
    "RUN [OPTIONS]",
    "gatescope weights counter --kind input",
    "gatescope weights runs/text --layer 0 --kind recurrent --csv recurrent.csv",
)
def weights(
    run: Run,
    /,
    *,
    layer: str | None = None,
    kind: Kind | None = None,
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """List the weights of a network, named by the gate, neuron and symbol that they connect, the largest first.

    Parameters
    ----------
    layer
        Only the weights of this layer, counted from 0.
    kind
        Only the weights of this kind.
    """
    import numpy as np

    use_threads(1)
    from gatescope.studies.weights import weights as study

    check_csv(csv)
    network, _ = find_run(run).network()
    name = None if layer is None else layer_named(layer, network.configuration.names)
    found = study(network, layer=name, kinds=None if kind is None else [kind])
    ordered = found.take(np.argsort(-np.abs(found["value"]), kind="stable"))
    deliver(found, lambda: _print(ordered, every), json=json, csv=csv)


def _print(found: Table, every: bool) -> None:
    import numpy as np

    print(f"{counted(len(found), 'weight')}, the largest first.\n")
    shown = found if every else found.take(np.arange(min(SHOWN, len(found))))
    names = ("kind", "gate", "source", "to")
    rows = [
        (row["layer"].removeprefix("layer"), *(visible(row[name]) for name in names), number(row["value"], 4))
        for row in shown
    ]
    print_table(("layer", "kind", "gate", "from", "to", "weight"), rows, right=("layer", "weight"))
    if len(shown) < len(found):
        print(f"\n... and {counted(len(found) - len(shown), 'more weight')}; --all prints them, --csv writes them")
