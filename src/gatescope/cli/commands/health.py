"""`gatescope health`: find saturated gates, idle or duplicate neurons, and the time constant of each neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import AllRows, Csv, Json, RunOrTrace, StudyText, check_output_file, use_threads
from gatescope.cli.output import (
    format_number,
    has_several,
    localized_title,
    print_message,
    print_omitted,
    print_table,
    write_tables,
)
from gatescope.cli.subject import recording
from gatescope.cli.text_options import DEFAULT_TEXT, TextOptions
from gatescope.messages.languages import in_language, language_of_environment

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN_ROWS = 20
ALWAYS_SHARE = 0.99  # of the steps, from which on a gate counts as always closed or open


@command(STUDY_GROUP)
def health(
    run_or_trace: RunOrTrace,
    text: StudyText = None,
    /,
    *,
    source: TextOptions = DEFAULT_TEXT,
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find saturated gates and idle or duplicate neurons, and measure how long each neuron remembers."""
    use_threads(1)
    from gatescope.studies import health as study

    check_output_file("--csv", csv)
    with recording(run_or_trace, text, source, quiet=json) as recorded:
        neurons, gates = study.health(recorded.trace), study.saturation(recorded.trace)
        steps = int(recorded.trace.lengths.sum())
    tables = {"health": neurons, "saturation": gates}
    write_tables(tables, lambda: _print_health(neurons, gates, steps, all_rows), json=json, csv=csv)


def _print_health(neurons: Table, gates: Table, steps: int, all_rows: bool) -> None:
    layers = list(dict.fromkeys(neurons["layer"]))
    words = _verdicts(neurons, gates)
    print_message("HEALTH_SUMMARY", neurons=len(neurons), steps=steps)
    if len(gates):
        print()
        print_message("HEALTH_GATES")
        print()
        _print_gates(gates, layers)
    print()
    remarkable = neurons.take((neurons["findings"] != "").nonzero()[0])
    if len(remarkable):
        print_message("HEALTH_REMARKABLE", neurons=len(remarkable))
        print()
        _print_verdicts(remarkable, words, layers, all_rows)
    else:
        print_message("HEALTH_ALL_ORDINARY")
    _print_memory(neurons, words, layers, all_rows)


def _verdicts(neurons: Table, gates: Table) -> dict[tuple[str, int], str]:
    """Return the verdict of each layer and neuron in the language of the environment."""
    from gatescope.studies.health import verdict

    titles: dict[str, dict[str, str]] = {}
    for row in gates:
        titles.setdefault(row["layer"], {})[row["gate"]] = localized_title("signal", row["title"])
    with in_language(language_of_environment()):
        return {
            (row["layer"], row["neuron"]): verdict(row["findings"].split(), row["twin"], titles.get(row["layer"], {}))
            for row in neurons
        }


def _print_verdicts(neurons: Table, words: Mapping[tuple[str, int], str], layers: list[str], all_rows: bool) -> None:
    by_verdict: dict[tuple[str, str], list[str]] = {}
    for row in neurons:
        by_verdict.setdefault((row["layer"].removeprefix("layer"), words[row["layer"], row["neuron"]]), []).append(
            str(row["neuron"])
        )
    groups = sorted(by_verdict.items(), key=lambda group: (group[0][0], -len(group[1])))
    shown = groups if all_rows else groups[:SHOWN_ROWS]
    rows = [(layer, verdict, str(len(numbers)), " ".join(numbers)) for (layer, verdict), numbers in shown]
    _print_layers(("layer", "verdict", "count", "neurons"), rows, layers, right=("layer", "count"))
    print_omitted(sum(len(numbers) for _, numbers in groups[len(shown) :]), "neuron")


def _print_gates(gates: Table, layers: list[str]) -> None:
    rows = []
    for layer in layers:
        for gate in dict.fromkeys(gates.where(layer=layer)["gate"]):
            part = gates.where(layer=layer, gate=gate)
            left, right = part["left"], part["right"]
            rows.append(
                (
                    layer.removeprefix("layer"),
                    f"{gate}, {localized_title('signal', part['title'][0])}",
                    f"{left.mean():.1%}",
                    f"{right.mean():.1%}",
                    str(int((left >= ALWAYS_SHARE).sum())),
                    str(int((right >= ALWAYS_SHARE).sum())),
                )
            )
    columns = ("layer", "gate", "closed", "open", "neurons always closed", "always open")
    _print_layers(columns, rows, layers, right=("layer", *columns[2:]))


def _print_memory(neurons: Table, words: Mapping[tuple[str, int], str], layers: list[str], all_rows: bool) -> None:
    for layer, about in neurons.about["layers"].items():
        if not about["memory"]:
            print()
            print_message("HEALTH_NO_TIMES", layer=layer)
        elif about["missing"]:
            missing = ", ".join(about["missing"])
            print()
            print_message("HEALTH_TIMES_UNKNOWN", layer=layer, retention=about["retention"], missing=missing)
    known = neurons.take((neurons["time_constant"] == neurons["time_constant"]).nonzero()[0])
    if not len(known):
        return
    formulas = ", ".join(dict.fromkeys(about["retention"] for about in neurons.about["layers"].values()))
    print()
    print_message("HEALTH_MEMORY", formulas=formulas)
    print()
    ordered = list(known.sorted_by("time_constant"))
    shown = ordered if all_rows else ordered[:SHOWN_ROWS]
    rows = [
        (
            row["layer"].removeprefix("layer"),
            str(row["neuron"]),
            format_number(row["retention"], 4),
            format_number(row["time_constant"], 1),
            words[row["layer"], row["neuron"]],
        )
        for row in shown
    ]
    columns = ("layer", "neuron", "retention", "time constant", "verdict")
    _print_layers(columns, rows, layers, right=columns[:4])
    print_omitted(len(ordered) - len(shown), "neuron")


def _print_layers(
    columns: Sequence[str], rows: Sequence[Sequence[str]], layers: list[str], *, right: Sequence[str]
) -> None:
    """Print a table whose first column is the layer. The column is left out if there is one layer only."""
    first = 0 if has_several(layers) else 1
    print_table(columns[first:], [row[first:] for row in rows], right=right)
