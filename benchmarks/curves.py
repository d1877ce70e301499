"""Compare training losses on the native and on the plain engine, update by update.

    python benchmarks/curves.py [--seeds 3] [--write]

Each memory task and one text are trained twice from the same seed, once on each engine, on one thread. Both engines
compute in float32 but in a different order. The losses therefore differ by rounding at first, and the difference grows
with training. It is printed beside a control: the plain engine against itself, with initial weights that are larger by
one unit in the last place.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from machine import machine

import gatescope.network
from gatescope import TASKS, Settings, configure, create_run, train
from gatescope.engine import Parameters, initialise
from gatescope.engine import run as run_layer
from gatescope.runs import HISTORY
from gatescope.tasks import Task, Text

RESULTS = Path(__file__).parent / "results" / "curves.md"
FIRST_UPDATES = 20  # the losses of these are compared one by one
TEXT = Path(gatescope.network.__file__).parent  # the sources of gatescope: the same on every machine


def learn(
    task: Task, layers: tuple[int, ...], engine: str, nudge: float = 0.0, **settings: Any
) -> tuple[list[float], float, str]:
    """Train once; return the losses of all updates, the seconds, and the score as text."""
    configuration = configure(task.vocabulary, "lstm", layers)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(gatescope.network, "run", partial(_on, engine)),
        patch.object(gatescope.network, "initialise", partial(_nudged, 1 + nudge)),
    ):
        run = create_run(f"{folder}/run", task, configuration, Settings.recommended(task, **settings))
        outcome = train(run)
        losses = [record["loss"] for record in run.read(HISTORY) if "loss" in record]
    return losses, outcome.seconds, outcome.score.text if outcome.score else outcome.reason


def _on(engine: str, *arguments: Any, **settings: Any) -> Any:
    return run_layer(*arguments, **{**settings, "engine": engine})


def _nudged(factor: float, *arguments: Any) -> Parameters:
    values = initialise(*arguments)
    return Parameters(**{name: value * factor for name, value in values.by_name().items()})


def largest_difference(losses: list[float], others: list[float], updates: int) -> float:
    """Return the largest relative difference between two series of losses within the first updates."""
    pairs = list(zip(losses, others, strict=False))[:updates]
    return max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)


def compare(name: str, seed: int, steps: int | None) -> str:
    """Train on each engine and on the control; return one row of the table."""
    task, settings = (Text([str(TEXT)]) if name == "text" else TASKS[name]()), {"seed": seed, "report_every": 1}
    layers = (128,) if name == "text" else task.recommended.layers
    if steps is not None:
        settings |= {"steps": steps, "minutes": None}
    plain, native = (learn(task, layers, engine, **settings) for engine in ("plain", "native"))
    control = learn(task, layers, "plain", nudge=2**-23, **settings)
    gaps = [
        f"{largest_difference(plain[0], other[0], count):.0e}"
        for count in (FIRST_UPDATES, 200)
        for other in (native, control)
    ]
    return (
        f"| {name} | {seed} | {gaps[0]} ({gaps[1]}) | {gaps[2]} ({gaps[3]}) | {len(plain[0])}, {len(native[0])} | "
        f"{plain[0][-1]:.3f}, {native[0][-1]:.3f} | {plain[1]:.1f}, {native[1]:.1f} | {native[2]} |"
    )


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--text-steps", type=int, default=600, help="updates of the text model")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Learning curves on the plain and on the native engine",
        "",
        f"`python benchmarks/curves.py --seeds {arguments.seeds}` on {machine()}.",
        "In float32, with the loss in nats per symbol. The text is the source of gatescope, its model an LSTM of 128",
        "neurons. Where a cell has two figures, the first is the plain engine's. The score is the native engine's.",
        "",
        (
            f"| task | seed | apart in {FIRST_UPDATES} updates (control) | in 200 | updates | last loss | seconds "
            "| score |"
        ),
        "| --- | ---: | ---: | ---: | --- | --- | --- | --- |",
    ]
    print(*lines, sep="\n")
    for name in ("counter", "selective_counter", "state_memoriser", "copy", "text"):
        for seed in range(arguments.seeds):
            lines.append(compare(name, seed, arguments.text_steps if name == "text" else None))
            print(lines[-1], flush=True)
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
