"""`gatescope steer`: sample text while a neuron is held at some values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import Csv, Json, RunName, check_output_file, parse_features, parse_numbers, use_threads
from gatescope.cli.output import (
    harmless,
    phrase,
    print_message,
    print_table,
    print_unknown_symbols,
    visible,
    write_tables,
)
from gatescope.cli.subject import check_neuron, check_signal, default_prime, find_run, layer_named, subject_of
from gatescope.cli.usage import UsageError
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.features import Family
    from gatescope.studies import Subject, Table

EXAMPLE_CHARACTERS = 400
MAX_LABELS = 3  # counted by default


@command(STUDY_GROUP)
def steer(
    name: RunName,
    /,
    *,
    neuron: int,
    layer: str = "0",
    signal: str = "h",
    values: Annotated[str, Parameter(metavar="X[,X...]", allow_leading_hyphen=True)] = "-1,0,1",
    feature: Annotated[tuple[str, ...], Parameter(metavar="FEATURE|NAME=REGEX", negative="", show_default=False)] = (),
    prime: str | None = None,
    samples: int = 32,
    length: int = 200,
    temperature: float = 1.0,
    seed: int = 0,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Sample text while a neuron is held at some values, and count how often features appear."""
    use_threads(1)
    from gatescope.sampling import Choice
    from gatescope.studies.common.losses import check_predicts_next
    from gatescope.studies.steering import steer as steer_network

    check_output_file("--csv", csv)
    held_values = parse_numbers("--values", values, float)
    run = find_run(name)
    check_predicts_next(run.configuration(), Message("LOSSES_STUDY_STEERING"))
    subject = subject_of(run)
    layer_name = layer_named(layer, subject.layers)
    layer_settings = subject.network.configuration.layers[subject.layers.index(layer_name)]
    check_signal(signal, layer_settings.cell.signals)
    check_neuron(neuron, layer_settings.neurons)
    features = list(feature) or _best_labels(subject, layer_name, signal, neuron)
    vocabulary = subject.network.configuration.vocabulary
    if prime is None:
        prime = default_prime(subject.task, vocabulary)
    print_unknown_symbols(vocabulary, prime)
    table = steer_network(
        subject.network,
        layer_name,
        signal,
        neuron,
        held_values,
        prime=prime,
        feature=_counted_features(subject, features),
        samples=samples,
        length=length,
        choice=Choice(temperature),
        stop=vocabulary.end,
        seed=seed,
    )
    write_tables(table, lambda: _print_steering(table), json=json, csv=csv)


def _best_labels(subject: Subject, layer: str, signal: str, neuron: int) -> list[str]:
    """Return the best saved binary labels of a neuron.

    Raises:
        UsageError: the run has no saved labels, or the neuron has no binary label.
    """
    from gatescope.studies import load
    from gatescope.studies.labels import binary_labels

    labels = load(subject.run, "labels")
    if labels is None:
        raise UsageError("STEER_LABELS_MISSING", run=subject.run.path)
    names = binary_labels(labels, layer, neuron, signal)
    if not names:
        raise UsageError("STEER_LABEL_MISSING", neuron=neuron)
    return names[:MAX_LABELS]


def _counted_features(subject: Subject, options: Sequence[str]) -> Family:
    """Return the features of --feature as one family. An option is the name of a feature, or NAME=REGEX."""
    from gatescope.studies.steering import features_family

    definitions = [option for option in options if "=" in option and "." not in option.partition("=")[0]]
    names = [option for option in options if option not in definitions]
    names += [f"expression.{definition.partition('=')[0]}" for definition in definitions]
    families = (*subject.families, *parse_features(definitions))
    return features_family(subject.network.configuration.vocabulary, subject.text, families, names)


def _print_steering(table: Table) -> None:
    about = table.about
    print_message(
        "STEER_SUMMARY",
        texts=about["samples"],
        symbols=about["length"],
        signal=about["signal"],
        neuron=about["neuron"],
        layer=about["layer_name"],
        level=about["level"],
    )
    share_column = f"share of {about['unit']}s"
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        by_feature.setdefault(row["feature"], []).append(row)
    for name, rows in by_feature.items():
        print(f"\n{visible(about['features'][name])}\n")
        print_table(
            ("held at", share_column, "interval", "change", "interval", "in texts"),
            [_steering_cells(row) for row in rows],
            right=("held at", share_column, "change", "in texts"),
        )
    print()
    print_message("STEER_FIRST_TEXTS")
    for row in next(iter(by_feature.values()), []):
        value, text = _held_value(row["value"]), harmless(row["example"])
        more = " ..." if len(text) > EXAMPLE_CHARACTERS else ""
        print(f"\n  {value if math.isnan(row['value']) else phrase('STEER_HELD_AT', value=value)}\n")
        for line in (harmless(about["prime"]) + text[:EXAMPLE_CHARACTERS] + more).splitlines():
            print(f"    {line}")


def _steering_cells(row: dict[str, Any]) -> tuple[str, ...]:
    is_held = not math.isnan(row["value"])
    return (
        _held_value(row["value"]),
        f"{row['share']:.1%}",
        _interval(row, "share"),
        f"{100 * row['change']:+.1f}".replace("-", "−") if is_held else "",
        _interval(row, "change") if is_held else "",
        f"{row['texts']:.0%}",
    )


def _held_value(value: float) -> str:
    return phrase("STEER_NOT_HELD") if math.isnan(value) else f"{value:g}".replace("-", "−")


def _interval(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low):
        return ""
    first, last = (f"{100 * end:{'+' if name == 'change' else ''}.1f}".replace("-", "−") for end in (low, high))
    return phrase("STEER_POINTS" if name == "change" else "STEER_PERCENT", first=first, last=last)
