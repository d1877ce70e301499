"""`gatescope snapshot`: print the value of every neuron at one step of each sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import AllRows, Csv, Json, RunOrTrace, StudyText, check_output_file, use_threads
from gatescope.cli.output import format_number, print_message, print_omitted, print_table, visible, write_tables
from gatescope.cli.subject import layer_of, recording
from gatescope.cli.text_options import DEFAULT_TEXT, TextOptions

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN_NEURONS = 12
SHOWN_SEQUENCES = 40
TEXT_WIDTH = 24  # characters


@command(STUDY_GROUP)
def snapshot(
    run_or_trace: RunOrTrace,
    text: StudyText = None,
    /,
    *,
    at: Annotated[str, Parameter(allow_leading_hyphen=True, metavar="SYMBOL|STEP")],
    source: TextOptions = DEFAULT_TEXT,
    layer: str = "0",
    signal: str = "h",
    occurrence: int = 0,
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Print the value of every neuron at one step of each sequence, such as the X of all strings a^N X b^N."""
    use_threads(1)
    from gatescope.studies.snapshots import snapshot as take_snapshot

    check_output_file("--csv", csv)
    with recording(run_or_trace, text, source, quiet=json) as recorded:
        trace = recorded.trace
        layer_name = layer_of(trace, layer, signal)
        step = _parse_step(at, trace.vocabulary.symbols)
        table = take_snapshot(trace, step, occurrence=occurrence, layers=[layer_name])
    write_tables(table, lambda: _print_snapshot(table, signal, all_rows), json=json, csv=csv)


def _parse_step(text: str, symbols: tuple[str, ...]) -> str | int:
    """Return the symbol or the number of the step that `--at` names."""
    text = text.replace("\\n", "\n")
    if text in symbols:
        return text
    try:
        return int(text)
    except ValueError:
        return text


def _print_snapshot(table: Table, signal: str, all_rows: bool) -> None:
    import numpy as np

    count = len(set(table["neuron"].tolist()))
    neurons = range(count if all_rows else min(count, SHOWN_NEURONS))
    sequences = [table.take(np.arange(start, start + count)) for start in range(0, len(table), count)]
    sequences.sort(key=lambda sequence: (len(sequence["text"][0]), sequence["text"][0]))
    print_message("SNAPSHOT_SUMMARY", signal=signal, neurons=count, sequences=len(sequences))
    print()
    rows = []
    for sequence in sequences if all_rows else sequences[:SHOWN_SEQUENCES]:
        text = visible(sequence["text"][0])
        text = text if len(text) <= TEXT_WIDTH else f"{text[: TEXT_WIDTH - 1]}…"
        values = (format_number(sequence[signal][neuron], 2) for neuron in neurons)
        rows.append((text, str(sequence["step"][0]), *values))
    columns = ("text", "step", *map(str, neurons))
    print_table(columns, rows, right=columns[1:])
    more_neurons, more_sequences = count - len(neurons), len(sequences) - len(rows)
    if more_neurons and more_sequences:
        print()
        print_message("SNAPSHOT_OMITTED", neurons=more_neurons, sequences=more_sequences)
    else:
        print_omitted(more_neurons, "neuron")
        print_omitted(more_sequences, "sequence")
    if table.about["without"]:
        print()
        print_message("SNAPSHOT_WITHOUT", sequences=len(table.about["without"]))
