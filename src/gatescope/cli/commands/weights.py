"""`gatescope weights`: list the weights of a network by gate, neuron and symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import AllRows, Csv, Json, OnlyLayer, RunName, check_output_file, use_threads
from gatescope.cli.output import (
    format_number,
    localized_title,
    print_message,
    print_omitted,
    print_table,
    visible,
    write_tables,
)
from gatescope.cli.subject import find_run, layer_named

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN_WEIGHTS = 20
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


@command(STUDY_GROUP)
def weights(
    name: RunName,
    /,
    *,
    layer: OnlyLayer = None,
    kind: Kind | None = None,
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """List the weights of a network with the gate, neuron and symbol that they connect, the largest first."""
    import numpy as np

    use_threads(1)
    from gatescope.studies.weights import weights as list_weights

    check_output_file("--csv", csv)
    network, _ = find_run(name).network()
    layer_name = None if layer is None else layer_named(layer, network.configuration.names)
    table = list_weights(network, layer=layer_name, kinds=None if kind is None else [kind])
    ordered = table.take(np.argsort(-np.abs(table["value"]), kind="stable"))
    write_tables(table, lambda: _print_weights(ordered, all_rows), json=json, csv=csv)


def _print_weights(table: Table, all_rows: bool) -> None:
    import numpy as np

    print_message("WEIGHTS_SUMMARY", weights=len(table))
    print()
    shown = table if all_rows else table.take(np.arange(min(SHOWN_WEIGHTS, len(table))))
    names = ("gate", "source", "to")
    rows = [
        (
            row["layer"].removeprefix("layer"),
            localized_title("weight", row["kind"]),
            *(visible(row[name]) for name in names),
            format_number(row["value"], 4),
        )
        for row in shown
    ]
    print_table(("layer", "kind", "gate", "from", "to", "weight"), rows, right=("layer", "weight"))
    print_omitted(len(table) - len(shown), "weight")
