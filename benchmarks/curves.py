"""Whether the native engine learns what the plain one learns: loss by loss, for the memory tasks and for a text.

    python benchmarks/curves.py [--seeds 3] [--write]

Each training is made twice from the same seed, once on each engine, on one thread. Both compute in float32 in a
different order, so that the losses part by rounding at first, and rounding grows as training goes on. How far they part
is printed beside a control: the plain engine against itself, with initial weights one unit in the last place larger.
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
FIRST = 20  # updates in which the losses are compared one by one
TEXT = Path(gatescope.network.__file__).parent  # the sources of gatescope itself, which are everywhere the same


def learn(
    task: Task, layers: tuple[int, ...], engine: str, nudge: float = 0.0, **settings: Any
) -> tuple[list[float], float, str]:
    """The training losses, the seconds, and what was reached."""
    configuration = configure(task.vocabulary, "lstm", layers)
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(gatescope.network, "run", partial(_on, engine)),
        patch.object(gatescope.network, "initialise", partial(_nudged, 1 + nudge)),
    ):
        made = create_run(f"{folder}/run", task, configuration, Settings.recommended(task, **settings))
        outcome = train(made)
        losses = [record["loss"] for record in made.read(HISTORY) if "loss" in record]
    return losses, outcome.seconds, outcome.score.text if outcome.score else outcome.reason


def _on(wanted: str, *arguments: Any, **settings: Any) -> Any:
    return run_layer(*arguments, **{**settings, "engine": wanted})


def _nudged(factor: float, *arguments: Any) -> Parameters:
    values = initialise(*arguments)
    return Parameters(**{name: value * factor for name, value in values.by_name().items()})


def apart(one: list[float], other: list[float], updates: int) -> float:
    """The largest difference of two losses in the first updates."""
    pairs = list(zip(one, other, strict=False))[:updates]
    return max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)


def compare(name: str, seed: int, steps: int | None) -> str:
    """One line of the table: a training on each engine."""
    task, settings = (Text([str(TEXT)]) if name == "text" else TASKS[name]()), {"seed": seed, "report_every": 1}
    layers = (128,) if name == "text" else task.recommended.layers
    if steps is not None:
        settings |= {"steps": steps, "minutes": None}
    plain, native = (learn(task, layers, engine, **settings) for engine in ("plain", "native"))
    control = learn(task, layers, "plain", nudge=2**-23, **settings)
    far = [f"{apart(plain[0], other[0], count):.0e}" for count in (FIRST, 200) for other in (native, control)]
    return (
        f"| {name} | {seed} | {far[0]} ({far[1]}) | {far[2]} ({far[3]}) | {len(plain[0])}, {len(native[0])} | "
        f"{plain[0][-1]:.3f}, {native[0][-1]:.3f} | {plain[1]:.1f}, {native[1]:.1f} | {native[2]} |"
    )


def main() -> None:
    """Measure, print, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--text-steps", type=int, default=600, help="updates of the model of a text")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Learning curves on the plain and on the native engine",
        "",
        f"`python benchmarks/curves.py --seeds {arguments.seeds}` on {machine()}.",
        "In float32; the loss is in nats per symbol. The text is the source of gatescope, a model of it 1 x 128 LSTM.",
        "Of two figures the first is the plain engine's; what was reached is the native one's.",
        "",
        f"| task | seed | apart in {FIRST} updates (control) | in 200 | updates | last loss | seconds | reached |",
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
