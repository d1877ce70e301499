"""`gatescope steer`: what does a network write while one of its neurons is held?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import (
    Json,
    UsageError,
    find_run,
    harmless,
    print_table,
    use_threads,
    usual_prime,
    visible,
    warn_of_unknown,
)
from gatescope.cli.studying import (
    Csv,
    Layer,
    Run,
    Signal,
    check_csv,
    check_neuron,
    check_signal,
    counted,
    deliver,
    layer_named,
    numbers,
    own_families,
    subject_of,
)

if TYPE_CHECKING:
    from gatescope.features import Family
    from gatescope.studies import Subject, Table

SHOWN_EXAMPLE = 400  # characters of each example


@command(
    FIND,
    "RUN --neuron N [OPTIONS]",
    "gatescope steer counter --neuron 3 --values -1,0,1",
    "gatescope steer runs/text --neuron 12 --layer 1 --feature quotes.double --length 400",
    r"gatescope steer runs/text --neuron 12 --signal c --values -3,3 --feature 'name=def \w+'",
)
def steer(
    run: Run,
    /,
    *,
    neuron: int,
    layer: Layer = "0",
    signal: Signal = "h",
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
    """Let a network write while a neuron is held at some values, and count how often features appear.

    The texts of all values are drawn with the same random numbers, so that what differs comes from the neuron.

    Parameters
    ----------
    neuron
        The neuron that is held, counted from 0.
    values
        Where it is held.
    feature
        What is counted: the name of a feature that is on or off, as `gatescope probe RUN --json` tells it, or one of
        your own by a regular expression; may be given several times. The best kept labels of the neuron when nothing
        is said.
    prime
        What the network reads first, as in `gatescope sample`.
    samples
        Texts for each value.
    length
        The most symbols of a text.
    temperature
        Above 1 makes the choice more even, below 1 more certain.
    seed
        Of the random numbers.
    """
    use_threads(1)
    from gatescope.sampling import Choice
    from gatescope.studies.common.losses import check_predicts_next
    from gatescope.studies.steering import steer as study

    check_csv(csv)
    held = numbers("--values", values, float)
    check_predicts_next(find_run(run).configuration(), "letting it write")
    about = subject_of(run, None, None)
    name = layer_named(layer, about.layers)
    of = about.network.configuration.layers[about.layers.index(name)]
    check_signal(signal, of.cell.signals)
    check_neuron(neuron, of.neurons)
    names = list(feature) or _label_names(about, name, signal, neuron)
    vocabulary = about.network.configuration.vocabulary
    if prime is None:
        prime = usual_prime(about.task, vocabulary)
    warn_of_unknown(vocabulary, prime)
    table = study(
        about.network,
        name,
        signal,
        neuron,
        held,
        prime=prime,
        feature=_counted_features(about, names),
        samples=samples,
        length=length,
        choice=Choice(temperature),
        stop=vocabulary.end,
        seed=seed,
    )
    deliver(table, lambda: _print(table), json=json, csv=csv)


def _label_names(subject: Subject, layer: str, signal: str, neuron: int) -> list[str]:
    """Return the three best binary labels of a neuron that are kept with the run.

    Raises:
        UsageError: no labels are kept, or none of them is a binary label of this neuron.
    """
    from gatescope.studies import load
    from gatescope.studies.labels import binary_labels

    labels = load(subject.run, "labels")
    if labels is None:
        raise UsageError("STEER_LABELS_KEPT_RUN_KNOWN", path=subject.run.path)
    names = binary_labels(labels, layer, neuron, signal)
    if not names:
        raise UsageError("STEER_NEURON_LABEL_OFF_KNOWN", neuron=neuron)
    return names[:3]


def _counted_features(subject: Subject, options: Sequence[str]) -> Family:
    """Return one family of the features of --feature: names of features, or NAME=REGEX."""
    from gatescope.studies.steering import features_family

    own = [option for option in options if "=" in option and "." not in option.partition("=")[0]]
    names = [option for option in options if option not in own]
    names += [f"expression.{option.partition('=')[0]}" for option in own]
    families = (*subject.families, *own_families(own))
    return features_family(subject.network.configuration.vocabulary, subject.text, families, names)


def _print(table: Table) -> None:
    about = table.about
    print(
        f"{counted(about['samples'], 'text')} for each value of {about['signal']} of neuron {about['neuron']} of "
        f"{about['layer_name']}, of at most {counted(about['length'], 'symbol')}; the same random numbers for all "
        f"values, {about['level']:.0%} intervals over texts."
    )
    unit = about["unit"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        groups.setdefault(row["feature"], []).append(row)
    for name, rows in groups.items():
        print(f"\n{visible(about['features'][name])}\n")
        print_table(
            ("held at", f"of the {unit}s", "", "change", "", "in texts"),
            [
                (
                    _held(row["value"]),
                    f"{row['share']:.1%}",
                    _between(row, "share"),
                    "" if math.isnan(row["value"]) else f"{100 * row['change']:+.1f}".replace("-", "−"),
                    "" if math.isnan(row["value"]) else _between(row, "change"),
                    f"{row['texts']:.0%}",
                )
                for row in rows
            ],
            right=("held at", f"of the {unit}s", "change", "in texts"),
        )
    print("\nThe first text of each:")
    for row in next(iter(groups.values()), []):
        value, written = _held(row["value"]), harmless(row["example"])
        cut = " ..." if len(written) > SHOWN_EXAMPLE else ""
        print(f"\n  {value if value == 'not held' else f'held at {value}'}\n")
        for line in (harmless(about["prime"]) + written[:SHOWN_EXAMPLE] + cut).splitlines():
            print(f"    {line}")


def _held(value: float) -> str:
    return "not held" if math.isnan(value) else f"{value:g}".replace("-", "−")


def _between(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low):
        return ""
    form = "{:+.1f} to {:+.1f} points" if name == "change" else "{:.1f} to {:.1f} %"
    return form.format(100 * low, 100 * high).replace("-", "−")
