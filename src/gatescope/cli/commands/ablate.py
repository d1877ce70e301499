"""`gatescope ablate`: what does a network lose without a neuron?"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    feature_named,
    keeping,
    layer_named,
    note,
    number,
    several,
    subject_of,
)

if TYPE_CHECKING:
    from gatescope.features import Feature
    from gatescope.studies import Subject, Table

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
    from gatescope.studies import ablation

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
    with keeping(about, default) as keep:
        wanted, binaries = _features(about, signal, feature)
        parts = []
        with bar("ablating", quiet=json) as tell:
            for place, name in enumerate(layers):
                table = ablation.ablation(
                    about.network,
                    about.text,
                    name,
                    signal,
                    answers=about.task.answers,
                    neurons=neuron or None,
                    to=held,
                    features=binaries,
                    progress=lambda done, total, place=place: tell(place * total + done, len(layers) * total),
                )
                parts.append(_own(name, table, wanted))
        found = _joined(parts)
        if not found["steps_on"].any():
            raise UsageError("ABLATE_SYMBOL_TEXT_FOLLOWS_ANOTHER")
        keep("ablation", found)
    if not wanted.keys() - {None} and not feature:
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


def _features(
    about: Subject, signal: str, own: Sequence[str]
) -> tuple[dict[tuple[str, int] | None, list[str]], list[Feature]]:
    """Return the name of each neuron's feature (under None all of them), and these features on the text."""
    import numpy as np

    from gatescope.studies import Steps, features_of, load

    labels = load(about.run, "labels")
    with about.trace() as trace:
        features, ends = features_of(about, trace), Steps(trace).starts[1:] - 1
    # At the end of a sequence no symbol is predicted; a network that answers once says something only there.
    readout = about.network.configuration.readout
    asked = np.ones(len(features[0].values) if features else 0, np.bool_)
    if readout.reads == "last step":
        asked[:] = False
        asked[ends] = True
    elif readout.kind == "symbols":
        asked[ends] = False
    theirs = [each for each in features if own and each.name.startswith("expression.") and each.kind != "count"]
    wanted: dict[tuple[str, int] | None, list[str]] = {None: [each.name for each in theirs]}
    found = {each.name: each for each in theirs}
    # Of the signal that is held if there is one, and the best of these.
    best = sorted(labels or (), key=lambda row: (row["signal"] != signal, -row["explained"]))
    for row in best:
        neuron = row["layer"], row["neuron"]
        if row["measure"] != "AUROC" or neuron in wanted:
            continue
        each = found.get(row["feature"]) or feature_named(features, row["feature"])
        if each is not None and len(set(each.values[asked].tolist())) == 2:
            wanted[neuron] = [each.name]
            found[each.name] = each
    return wanted, list(found.values())


def _own(layer: str, table: Table, wanted: dict[tuple[str, int] | None, list[str]]) -> Table:
    """The rows of all steps and of the features that each neuron is to be seen with."""
    import numpy as np

    from gatescope.studies import Table

    rows = [
        k
        for k, (neuron, name) in enumerate(zip(table["neuron"].tolist(), table["feature"], strict=True))
        if not name or name in wanted[None] or name in wanted.get((layer, neuron), ())
    ]
    chosen = table.take(np.array(rows, dtype=np.int64))
    layers = np.array([layer] * len(rows), dtype=object)
    return Table({"layer": layers, **chosen.columns}, {"layer": "layer", **chosen.titles}, chosen.about)


def _joined(parts: Sequence[Table]) -> Table:
    import numpy as np

    from gatescope.studies import Table

    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].columns}
    about = {name: value for name, value in parts[0].about.items() if name not in ("layer", "layer_name")}
    return Table(columns, parts[0].titles, {**about, "layers": list(dict.fromkeys(columns["layer"].tolist()))})


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
