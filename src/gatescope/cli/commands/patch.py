"""`gatescope patch`: find the neuron and the step that carry the difference between two texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import Csv, Json, RunName, check_output_file, parse_numbers, use_threads
from gatescope.cli.output import (
    format_number,
    localized_title,
    print_message,
    print_table,
    print_unknown_symbols,
    progress_bar,
    visible,
    write_tables,
)
from gatescope.cli.subject import find_run, layer_named

if TYPE_CHECKING:
    from gatescope.studies import Table


@command(STUDY_GROUP)
def patch(
    name: RunName,
    clean: Annotated[str, Parameter(allow_leading_hyphen=True)],
    corrupted: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    layer: str = "0",
    signal: str = "h",
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None,
    at: int = -1,
    answer: str | None = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Patch every neuron at every step of a corrupted text with its value in a clean text (activation patching)."""
    use_threads(1)
    from gatescope.studies.patching import patching

    check_output_file("--csv", csv)
    network, _ = find_run(name).network()
    texts = [text.replace("\\n", "\n") for text in (clean, corrupted)]
    print_unknown_symbols(network.configuration.vocabulary, "".join(texts))
    numbers = None if neurons is None else parse_numbers("--neurons", neurons, int)
    with progress_bar("patching", quiet=json) as bar:
        table = patching(
            network,
            *texts,
            layer=layer_named(layer, network.configuration.names),
            signal=signal,
            neurons=numbers,
            at=at,
            answer=None if answer is None else answer.replace("\\n", "\n"),
            progress=bar,
        )
    write_tables(table, lambda: _print_patches(table), json=json, csv=csv)


def _print_patches(table: Table) -> None:
    about = table.about
    metric = localized_title("column", about["metric"])
    print_message(
        "PATCH_SUMMARY",
        metric=metric[0].upper() + metric[1:],
        answer=visible(about["answer"]),
        at=about["at"],
        clean=format_number(about["clean"]),
        corrupted=format_number(about["corrupted"]),
        signal=about["signal"],
        layer=about["layer_name"],
    )
    print()
    print_table(
        ("step", "clean", "corrupted", "recovered by the whole layer", "by its best neuron", "neuron"),
        [_step_cells(table, row["step"], row["recovered"]) for row in table.where(neuron=-1)],
        right=("step", "recovered by the whole layer", "by its best neuron", "neuron"),
    )


def _step_cells(table: Table, step: int, recovered: float) -> tuple[str, ...]:
    neurons = table.take(((table["step"] == step) & (table["neuron"] >= 0)).nonzero()[0]).sorted_by("recovered")
    best = next(iter(neurons))
    symbols = (visible(best["clean_symbol"]), visible(best["corrupted_symbol"]))
    return (str(step), *symbols, f"{recovered:.1%}", f"{best['recovered']:.1%}", str(best["neuron"]))
