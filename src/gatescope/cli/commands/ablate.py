"""`gatescope ablate`: what does a network lose without a neuron?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Encoding, Json, UsageError, find_run, print_table, use_threads, visible
from gatescope.cli.studying import (
    All,
    Csv,
    File,
    Lexer,
    Own,
    Run,
    Signal,
    Text,
    bar,
    check_csv,
    check_neuron,
    check_signal,
    counted,
    deliver,
    keeping,
    layer_named,
    note,
    number,
    several,
    subject_of,
)

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN = 25
CHARACTERS, OF_ANSWERS = 5_000, 20_000


@command(
    FIND,
    "RUN [TEXT | --file FILE] [OPTIONS]",
    "gatescope ablate counter",
    "gatescope ablate runs/text --layer 1 --neuron 7 --neuron 12 --characters 20000",
    r"gatescope ablate runs/text --to zero --feature 'call=\w+\((?P<inside>[^()\n]*)\)' --csv ablation.csv",
)
def ablate(
    run: Run,
    text: Text = None,
    /,
    *,
    file: File = None,
    encoding: Encoding = None,
    characters: int | None = None,
    lexer: Lexer = None,
    feature: Own = (),
    layer: str | None = None,
    signal: Signal = "h",
    neuron: Annotated[tuple[int, ...], Parameter(negative="", show_default=False)] = (),
    to: Annotated[str, Parameter(metavar="mean|zero|VALUE", allow_leading_hyphen=True)] = "mean",
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Hold each neuron still, one at a time, and say by how much the loss rises: over all, and where its feature is on.

    A neuron's feature is the best one that is on or off among the labels kept with the run; `gatescope label RUN` finds
    them. What is found with no option that changes it is kept with the run, where the explorer shows it.

    Parameters
    ----------
    characters
        How much of the text; by default 5,000, and 20,000 for a network that answers once.
    layer
        Only this layer, counted from 0; 0_reverse is the one that reads from the end, where there is one.
    neuron
        Only this neuron; may be given several times.
    to
        Hold it at its mean, at zero, or at this value.
    """
    use_threads(1)
    from gatescope.studies import ablation, features_of, load
    from gatescope.studies.common.losses import target_mask
    from gatescope.studies.labels import best_binary_features

    check_csv(csv)
    held = _held(to)
    once = find_run(run).configuration().readout.reads == "last step"
    most = (OF_ANSWERS if once else CHARACTERS) if characters is None else characters
    about = subject_of(run, text, file, encoding=encoding, characters=most, lexer=lexer, own=feature)
    layers = about.layers if layer is None else [layer_named(layer, about.layers)]
    for name in layers:
        of = about.network.configuration.layers[about.layers.index(name)]
        check_signal(signal, of.cell.signals)
        for each in neuron:
            check_neuron(each, of.neurons)
    given = (text, file, encoding, lexer, layer, characters, *feature, *neuron)
    default = all(each is None for each in given) and (signal, to) == ("h", "mean")
    labels = load(about.run, "labels")
    with keeping(about, default) as keep:
        with about.trace() as trace:
            features = features_of(about, trace)
            own_features = (
                {}
                if labels is None
                else best_binary_features(labels, features, signal, target_mask(about.network.configuration, trace))
            )
        with bar("ablating", quiet=json) as tell:
            found = ablation.ablation(
                about.network,
                about.text,
                layers,
                signal,
                answers=about.task.answers,
                neurons=neuron or None,
                to=held,
                features=[one for one in features if feature and one.name.startswith("expression.")],
                neuron_features=own_features,
                progress=tell,
            )
        if not found["steps_on"].any():
            raise UsageError("ABLATE_SYMBOL_TEXT_FOLLOWS_ANOTHER")
        keep("ablation", found)
    if not own_features and not feature:
        note(f"no labels are kept with this run; `gatescope label {about.run.path}` finds what its neurons follow.")
    deliver(found, lambda: _print(found, every), json=json, csv=csv)


def _held(to: str) -> Any:
    if to in ("mean", "zero"):
        return to
    try:
        value = float(to)
    except ValueError as error:
        raise UsageError("ABLATE_NEITHER_MEAN_NOR_ZERO", to=to) from error
    if not math.isfinite(value):
        raise UsageError("ABLATE_NEURON_HELD_MEAN_ZERO", to=to)
    return value


def _print(found: Table, every: bool) -> None:
    overall = found.where(feature="").sorted_by("on")
    first = next(iter(overall))
    to = found.about["to"]
    held = {"mean": "its mean", "zero": "zero"}.get(to) or f"{to:g}"
    print(
        f"Unchanged, the network has a loss of {first['loss_on']:.4f}{_unit(found.about['loss'])} over "
        f"{counted(first['steps_on'], 'step')}. Below, by how much that rises when {found.about['signal']} of one "
        f"neuron is held at {held}, with {found.about['level']:.0%} intervals."
    )
    features: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in found:
        if row["feature"]:
            features.setdefault((row["layer"], row["neuron"]), []).append(row)
    titles = found.about["features"]
    rows = []
    for row in list(overall) if every else list(overall)[:SHOWN]:
        cells = (row["layer"].removeprefix("layer"), str(row["neuron"]), number(row["on"], 4), _interval(row))
        theirs = features.get((row["layer"], row["neuron"]), [])
        for k, one in enumerate(theirs or [None]):
            start = cells if k == 0 else ("",) * len(cells)
            if one is None:
                rows.append((*start, "", "", ""))
            else:
                rows.append((*start, visible(titles[one["feature"]]), number(one["on"], 4), number(one["off"], 4)))
    columns = ["layer", "neuron", "rises by", "interval", "its feature", "where on", "where off"]
    if not any(row[4] for row in rows):
        columns, rows = columns[:4], [row[:4] for row in rows]
    if not several(overall["layer"].tolist()):
        columns, rows = columns[1:], [row[1:] for row in rows]
    print()
    print_table(columns, rows, right=("layer", "neuron", "rises by", "where on", "where off"))
    if not every and len(overall) > SHOWN:
        print(f"\n... and {counted(len(overall) - SHOWN, 'more neuron')}; --all prints them, --csv FILE keeps them")


def _unit(loss: str) -> str:
    return f" {loss}" if loss.startswith("nats") else f" ({loss})"


def _interval(row: dict[str, Any]) -> str:
    low, high = (number(row[f"on_{end}"], 4) for end in ("low", "high"))
    return f"{low} to {high}" if low else ""
