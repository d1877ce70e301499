"""`gatescope passages`: print the passages where a neuron is most active, and the distribution of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import Csv, Flag, Json, RunOrTrace, StudyText, check_output_file, use_threads
from gatescope.cli.output import format_number, print_message, print_table, visible, write_tables
from gatescope.cli.subject import layer_of, recording
from gatescope.cli.text_options import DEFAULT_TEXT, TextOptions

if TYPE_CHECKING:
    from rich.text import Text as Line

    from gatescope.studies import Table

BINS = 20
BAR_COLUMNS = 40


@command(STUDY_GROUP)
def passages(
    run_or_trace: RunOrTrace,
    text: StudyText = None,
    /,
    *,
    neuron: int,
    source: TextOptions = DEFAULT_TEXT,
    layer: str = "0",
    signal: str = "h",
    least: Flag = False,
    count: int = 10,
    context: int = 24,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Print the passages of a text where a neuron is most active, and a histogram of its values."""
    use_threads(1)
    from gatescope.studies.passages import distribution
    from gatescope.studies.passages import passages as find_passages

    check_output_file("--csv", csv)
    with recording(run_or_trace, text, source, quiet=json) as recorded:
        trace = recorded.trace
        layer_name = layer_of(trace, layer, signal, neuron)
        table = find_passages(trace, layer_name, signal, neuron, count=count, context=context, least=least)
        histogram = distribution(trace, layer_name, signal, neuron, bins=BINS)
    tables = {"passages": table, "distribution": histogram}
    write_tables(tables, lambda: _print_passages(table, histogram), json=json, csv=csv)


def _print_passages(table: Table, histogram: Table) -> None:
    about = table.about
    values = {"signal": about["signal"], "neuron": about["neuron"], "layer": about["layer"], "steps": about["steps"]}
    print_message("PASSAGES_SMALLEST" if about["least"] else "PASSAGES_LARGEST", **values)
    print()
    rows = [
        (
            str(row["sequence"]),
            str(row["step"]),
            format_number(row["value"]),
            highlighted_passage(row, about["context"]),
        )
        for row in table
    ]
    columns = ("sequence", "step", "value", "")
    first = 1 if not any(table["sequence"]) else 0
    print_table(columns[first:], [row[first:] for row in rows], right=columns[:3])
    moments = histogram.about
    if moments["mean"] is None:
        return
    print()
    print_message(
        "PASSAGES_VALUES",
        mean=format_number(moments["mean"]),
        deviation=format_number(moments["deviation"]),
        median=format_number(moments["quantiles"]["0.5"]),
    )
    print()
    largest_share = max(histogram["share"].max(), 1e-300)
    print_table(
        ("from", "to", "", "share of steps"),
        [
            (
                format_number(row["low"]),
                format_number(row["high"]),
                "█" * round(BAR_COLUMNS * row["share"] / largest_share),
                f"{row['share']:.1%}",
            )
            for row in histogram
        ],
        right=("from", "to", "share of steps"),
    )


def highlighted_passage(row: dict[str, Any], context: int) -> Line:
    """Return a passage on one line, with its symbol highlighted.

    Args:
        row: a row with the columns before, at and after.
        context: the width of the part before the symbol, which is aligned to the right.
    """
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
