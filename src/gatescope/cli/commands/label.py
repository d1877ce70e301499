"""`gatescope label`: find the feature that each neuron follows."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import (
    AllRows,
    Csv,
    Flag,
    Json,
    OnlyLayer,
    RunOrTrace,
    StudyText,
    check_output_file,
    parse_numbers,
    use_threads,
)
from gatescope.cli.output import (
    format_number,
    has_several,
    localized_names,
    phrase,
    print_meanings,
    print_message,
    print_omitted,
    print_table,
    progress_bar,
    visible,
    write_tables,
)
from gatescope.cli.subject import check_signal, layer_named, recording, saving
from gatescope.cli.text_options import DEFAULT_FEATURES, DEFAULT_TEXT, FeatureOptions, TextOptions

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN_LABELS = 40
DEFAULT_LAGS = "0,1,2,3,5,8,-1,-2"
RELATIONS = {
    ("AUROC", 1): "LABEL_HIGH",
    ("AUROC", -1): "LABEL_LOW",
    ("R2", 1): "LABEL_RISING",
    ("R2", -1): "LABEL_FALLING",
    ("R2", 0): "LABEL_LEVEL",
}


@command(STUDY_GROUP)
def label(
    run_or_trace: RunOrTrace,
    text: StudyText = None,
    /,
    *,
    source: TextOptions = DEFAULT_TEXT,
    described: FeatureOptions = DEFAULT_FEATURES,
    layer: OnlyLayer = None,
    signal: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    top: int = 3,
    rate: float = 0.05,
    lags: Annotated[str, Parameter(allow_leading_hyphen=True, metavar="N[,N...]")] = DEFAULT_LAGS,
    chances: int = 1_000,
    no_pairs: Flag = False,
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find the features that each neuron follows, and score them on held-out text and against chance."""
    use_threads(1)  # more threads were slower in every measurement
    from gatescope.studies.labels import Search, labels

    check_output_file("--csv", csv)
    search = Search(
        lags=tuple(parse_numbers("--lags", lags, int)), top=top, pairs=not no_pairs, rate=rate, chances=chances
    )
    options = (search, text, source, described, layer, signal)
    is_default = options == (Search(), None, DEFAULT_TEXT, DEFAULT_FEATURES, None, ())
    with (
        recording(run_or_trace, text, source, described, quiet=json) as recorded,
        saving(recorded.subject, is_default) as save,
    ):
        trace = recorded.trace
        layers = list(trace.layers) if layer is None else [layer_named(layer, list(trace.layers))]
        for signal_name in signal:
            for layer_name in layers:
                check_signal(signal_name, list(trace[layer_name]))
        with progress_bar("labelling", quiet=json) as bar:
            table = labels(
                trace, recorded.features(), layers=layers, signals=signal or None, search=search, progress=bar
            )
        save("labels", table)
        neurons = sum(next(iter(trace[name].values())).shape[2] for name in layers)
        write_tables(table, lambda: _print_labels(table, neurons, layers, all_rows), json=json, csv=csv)


def _print_labels(table: Table, neurons: int, layers: list[str], all_rows: bool) -> None:
    chance, features = table.about["chance"], table.about["features"]
    labelled = len(set(zip(table["layer"], table["neuron"], strict=True)))
    print_message(
        "LABEL_SUMMARY", labelled=labelled, neurons=neurons, features=features["binary"], counts=features["count"]
    )
    lowest = [f"{measure} {format_number(score)}" for measure, score in chance["least"].items() if score is not None]
    print_message(
        "LABEL_CHANCE",
        steps=table.about["steps"]["held_out"],
        searches=chance["searches"],
        lowest=reduce(lambda first, last: phrase("LABEL_LOWEST_AND", first=first, last=last), lowest or [""]),
        rate=f"{100 * chance['false_discovery_rate']:g} %",
    )
    if too_slow := sum(map(len, table.about["too_slow"].values())):
        print_message("LABEL_TOO_SLOW", number=too_slow)
    rows = sorted(table, key=_rank)
    shown = rows if all_rows else _best_of_each_neuron(rows)[:SHOWN_LABELS]
    if shown:
        print()
        _print_rows(shown, has_several(layers))
        print_meanings(_names(row) for row in shown)
    print_omitted(len(rows) - len(shown), "label")


def _names(row: dict[str, Any]) -> tuple[str, str]:
    """Return the short name and the title of the feature of a label."""
    return localized_names(row["feature"], row["title"])


def _rank(row: dict[str, Any]) -> tuple[float, ...]:
    """Return a sort key: the explained variance, then the score, then the shortest lag."""
    return (-round(row["explained"], 3), -round(row["score"], 3), abs(row["lag"]))


def _best_of_each_neuron(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first row of each neuron."""
    best: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        best.setdefault((row["layer"], row["neuron"]), row)
    return list(best.values())


def _print_rows(rows: list[dict[str, Any]], with_layers: bool) -> None:
    columns = {  # name -> cells; empty columns are not printed
        "layer": [row["layer"].removeprefix("layer") for row in rows] if with_layers else [],
        "neuron": [str(row["neuron"]) for row in rows],
        "signal": [row["signal"] for row in rows],
        "label": [phrase(RELATIONS[row["measure"], row["direction"]], feature=visible(_names(row)[0])) for row in rows],
        "explains": [f"{max(0.0, row['explained']):.1%}" for row in rows],
        "AUROC": [format_number(row["score"]) if row["measure"] == "AUROC" else "" for row in rows],
        "Matthews": [format_number(row["matthews"]) for row in rows],
        "lag": [str(row["lag"]).replace("-", "−") for row in rows] if any(row["lag"] for row in rows) else [],
    }
    printed = {name: cells for name, cells in columns.items() if any(cells)}
    right = ("layer", "neuron", "explains", "AUROC", "Matthews", "lag")
    print_table(list(printed), list(zip(*printed.values(), strict=True)), right=right)
