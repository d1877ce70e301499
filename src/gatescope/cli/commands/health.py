"""`gatescope health`: which neurons work, which are idle, and for how long each one remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Encoding, Json, print_table, use_threads
from gatescope.cli.studying import (
    All,
    Characters,
    Csv,
    File,
    Place,
    Text,
    check_csv,
    counted,
    deliver,
    number,
    several,
    studied,
)

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN = 20


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] [OPTIONS]",
    "gatescope health counter",
    "gatescope health runs/text --characters 20000 --csv health.csv",
    "gatescope health traces/notes --all",
)
def health(
    place: Place,
    text: Text = None,
    /,
    *,
    file: File = None,
    encoding: Encoding = None,
    characters: Characters = None,
    every: All = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Say which gates are saturated, which neurons are idle or the same as another, and how long each one remembers.

    A time constant is the number of steps after which a content of the memory has shrunk to 1/e by what the neuron's
    own gates let through. With --csv, the gates go to a second file whose name ends in -saturation.
    """
    use_threads(1)
    from gatescope.studies import health as study

    check_csv(csv)
    with studied(place, text, file, encoding=encoding, characters=characters, quiet=json) as about:
        neurons, gates = study.health(about.trace), study.saturation(about.trace)
        steps = int(about.trace.lengths.sum())
    deliver({"health": neurons, "saturation": gates}, lambda: _print(neurons, gates, steps, every), json=json, csv=csv)


def _print(neurons: Table, gates: Table, steps: int, every: bool) -> None:
    layers = list(dict.fromkeys(neurons["layer"]))
    print(f"{counted(len(neurons), 'neuron')} over {counted(steps, 'step')}.")
    if len(gates):
        print("\nGates: how many of the steps they are nearly closed (under 0.1) and nearly open (over 0.9).\n")
        _print_gates(gates, layers)
    print()
    odd = neurons.take((neurons["verdict"] != "ordinary").nonzero()[0])
    if len(odd):
        print(f"There is something to say of {counted(len(odd), 'neuron')}; the others are ordinary.\n")
        alike: dict[tuple[str, str], list[str]] = {}
        for row in odd:
            alike.setdefault((row["layer"].removeprefix("layer"), row["verdict"]), []).append(str(row["neuron"]))
        groups = sorted(alike.items(), key=lambda group: (group[0][0], -len(group[1])))
        shown = groups if every else groups[:SHOWN]
        rows = [(layer, what, str(len(which)), " ".join(which)) for (layer, what), which in shown]
        names = ("layer", "it is", "neurons", "which")
        cut = 0 if several(layers) else 1
        print_table(names[cut:], [row[cut:] for row in rows], right=("layer", "neurons"))
        _rest(sum(len(which) for _, which in groups[len(shown) :]))
    else:
        print("Every neuron is ordinary: none is idle, the same as another, or has a gate that never moves.")
    _print_memory(neurons, layers, every)


def _print_gates(gates: Table, layers: list[str]) -> None:
    rows = []
    for layer in layers:
        for gate in dict.fromkeys(gates.where(layer=layer)["gate"]):
            part = gates.where(layer=layer, gate=gate)
            left, right = part["left"], part["right"]
            rows.append(
                (
                    layer.removeprefix("layer"),
                    f"{gate}, {part['title'][0]}",
                    f"{left.mean():.1%}",
                    f"{right.mean():.1%}",
                    str(int((left >= 0.99).sum())),
                    str(int((right >= 0.99).sum())),
                )
            )
    names = ("layer", "gate", "closed", "open", "neurons always closed", "always open")
    cut = 0 if several(layers) else 1
    print_table(names[cut:], [row[cut:] for row in rows], right=("layer", *names[2:]))


def _print_memory(neurons: Table, layers: list[str], every: bool) -> None:
    known = neurons.take((neurons["time_constant"] == neurons["time_constant"]).nonzero()[0])
    for layer, about in neurons.about["layers"].items():
        if not about["memory"]:
            print(f"\n{layer} has no time constants: its cell keeps nothing but through its recurrent weights.")
        elif about["missing"]:
            missing = ", ".join(about["missing"])
            print(f"\n{layer} has no time constants: {about['retention']} needs {missing}, which the trace lacks.")
    if not len(known):
        return
    formulas = ", ".join(dict.fromkeys(about["retention"] for about in neurons.about["layers"].values()))
    print(f"\nMemory, the longest first: what is kept in a step, {formulas}, and the steps until 1/e is left.\n")
    ordered = list(known.sorted_by("time_constant"))
    shown = ordered if every else ordered[:SHOWN]
    rows = [
        (
            row["layer"].removeprefix("layer"),
            str(row["neuron"]),
            number(row["retention"], 4),
            number(row["time_constant"], 1),
            row["verdict"],
        )
        for row in shown
    ]
    names = ("layer", "neuron", "kept", "time constant", "it is")
    cut = 0 if several(layers) else 1
    print_table(names[cut:], [row[cut:] for row in rows], right=names[:4])
    _rest(len(ordered) - len(shown))


def _rest(left: int) -> None:
    if left:
        print(f"\n... and {counted(left, 'more neuron')}; --all prints them")
