"""`gatescope ablate`: measure the loss without each neuron."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import (
    AllRows,
    Csv,
    Json,
    OnlyLayer,
    OwnFeatures,
    RunName,
    StudyText,
    check_output_file,
    use_threads,
)
from gatescope.cli.output import (
    format_interval,
    format_number,
    has_several,
    localized_names,
    localized_title,
    print_meanings,
    print_message,
    print_note,
    print_omitted,
    print_table,
    progress_bar,
    visible,
    write_tables,
)
from gatescope.cli.subject import check_neuron, check_signal, find_run, layer_named, saving, subject_of
from gatescope.cli.text_options import DEFAULT_FEATURES, DEFAULT_TEXT, FeatureOptions, TextOptions
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.studies import Table

MAX_PRINTED_NEURONS = 25
CHARACTERS_OF_TEXT = 5_000
CHARACTERS_OF_SEQUENCES = 20_000  # for a network that predicts once


@command(STUDY_GROUP)
def ablate(
    name: RunName,
    text: StudyText = None,
    /,
    *,
    source: TextOptions = DEFAULT_TEXT,
    lexer: str | None = None,
    feature: OwnFeatures = (),
    layer: OnlyLayer = None,
    signal: str = "h",
    neuron: Annotated[tuple[int, ...], Parameter(negative="", show_default=False)] = (),
    to: Annotated[str, Parameter(metavar="mean|zero|VALUE", allow_leading_hyphen=True)] = "mean",
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Hold each neuron at a fixed value and measure the rise of the loss, overall and where its feature is on."""
    use_threads(1)
    from gatescope.studies import ablation, features_of, load
    from gatescope.studies.common.losses import trace_target_mask
    from gatescope.studies.labels import best_binary_features

    check_output_file("--csv", csv)
    held_value = _parse_value(to)
    run = find_run(name)
    characters = source.characters
    if characters is None:
        predicts_once = run.configuration().readout.reads == "last step"
        characters = CHARACTERS_OF_SEQUENCES if predicts_once else CHARACTERS_OF_TEXT
    described = FeatureOptions(lexer, feature)
    subject = subject_of(run, text, replace(source, characters=characters), described)
    layers = subject.layers if layer is None else [layer_named(layer, subject.layers)]
    for layer_name in layers:
        layer_settings = subject.network.configuration.layers[subject.layers.index(layer_name)]
        check_signal(signal, layer_settings.cell.signals)
        for number in neuron:
            check_neuron(number, layer_settings.neurons)
    options = (text, source, described, layer, neuron, signal, to)
    is_default = options == (None, DEFAULT_TEXT, DEFAULT_FEATURES, None, (), "h", "mean")
    labels = load(run, "labels")
    with saving(subject, is_default) as save:
        with subject.trace() as trace:
            features = features_of(subject, trace)
            targets = trace_target_mask(subject.network.configuration, trace)
        best_features = {} if labels is None else best_binary_features(labels, features, signal, targets)
        with progress_bar("ablating", quiet=json) as bar:
            table = ablation.ablation(
                subject.network,
                subject.text,
                layers,
                signal,
                answers=subject.task.answers,
                neurons=neuron or None,
                to=held_value,
                features=[item for item in features if feature and item.name.startswith("expression.")],
                neuron_features=best_features,
                progress=bar,
            )
        if not table["steps_on"].any():
            raise UsageError("ABLATE_NO_TARGETS")
        save("ablation", table)
    if not best_features and not feature:
        if labels is None:
            print_note(Message("ABLATE_NOTE_NO_LABELS", run=run.path))
        else:
            print_note(Message("ABLATE_NOTE_NO_BINARY_LABEL"))
    write_tables(table, lambda: _print_ablation(table, all_rows), json=json, csv=csv)


def _parse_value(text: str) -> Any:
    """Return "mean", "zero" or the number that --to names.

    Raises:
        UsageError: the option is something else.
    """
    if text in ("mean", "zero"):
        return text
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError("ABLATE_VALUE_FORM", value=text) from error
    if not math.isfinite(value):
        raise UsageError("ABLATE_VALUE_FORM", value=text)
    return value


def _print_ablation(table: Table, all_rows: bool) -> None:

    overall = table.where(feature="").sorted_by("on")
    first = next(iter(overall))
    to = table.about["to"]
    value = (
        Message("ABLATE_HELD_AT_MEAN" if to == "mean" else "ABLATE_HELD_AT_ZERO") if isinstance(to, str) else f"{to:g}"
    )
    print_message(
        "ABLATE_SUMMARY",
        loss=first["loss_on"],
        unit=_loss_unit(table.about["loss"]),
        steps=first["steps_on"],
        signal=table.about["signal"],
        value=value,
        level=table.about["level"],
    )
    rows_with_feature: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in table:
        if row["feature"]:
            rows_with_feature.setdefault((row["layer"], row["neuron"]), []).append(row)
    titles = table.about["features"]
    names = {feature: localized_names(feature, title) for feature, title in titles.items()}
    rows = []
    shown = list(overall) if all_rows else list(overall)[:MAX_PRINTED_NEURONS]
    for row in shown:
        interval = format_interval(row["on_low"], row["on_high"], 4)
        cells = (row["layer"].removeprefix("layer"), str(row["neuron"]), format_number(row["on"], 4), interval)
        feature_rows = rows_with_feature.get((row["layer"], row["neuron"]), [])
        if not feature_rows:
            rows.append((*cells, "", "", ""))
        for k, feature_row in enumerate(feature_rows):
            first_cells = cells if k == 0 else ("",) * len(cells)
            values = (format_number(feature_row[name], 4) for name in ("on", "off"))
            rows.append((*first_cells, visible(names[feature_row["feature"]][0]), *values))
    columns = ["layer", "neuron", "rise", "interval", "feature", "feature on", "feature off"]
    if not any(row[4] for row in rows):
        columns, rows = columns[:4], [row[:4] for row in rows]
    if not has_several(overall["layer"].tolist()):
        columns, rows = columns[1:], [row[1:] for row in rows]
    print()
    print_table(columns, rows, right=("layer", "neuron", "rise", "feature on", "feature off"))
    print_meanings(
        names[feature_row["feature"]]
        for row in shown
        for feature_row in rows_with_feature.get((row["layer"], row["neuron"]), [])
    )
    print_omitted(len(overall) - len(shown), "neuron")


def _loss_unit(loss: str) -> str:
    title = localized_title("unit", loss)
    return f" {title}" if loss.startswith("nats") else f" ({title})"
