"""Measure how long the memory tasks take to learn, seed by seed.

    python benchmarks/tasks.py [--cells lstm gru] [--seeds 5] [--write]

Every run is trained with the task's recommended settings in a temporary directory, exactly as `gatescope train` does,
with validation, checkpoints and history. The seconds are those of the training; importing torch takes about two more.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch
from machine import machine

from gatescope import TASKS, Settings, create_run, train
from gatescope.training import recommended_network

RESULTS = Path(__file__).parent / "results" / "tasks.md"
NAMES = ("counter", "selective_counter", "state_memoriser", "copy", "addition")


def measure(name: str, cell: str, seed: int) -> tuple[bool, float, int, str]:
    """Train once; return whether it was solved, the seconds, the updates and the score as text."""
    task = TASKS[name]()
    configuration = recommended_network(task, cell)
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(f"{folder}/run", task, configuration, Settings.recommended(task, seed=seed))
        outcome = train(run)
    return bool(outcome.score.solved), outcome.seconds, outcome.step, outcome.score.text


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["lstm"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# The memory tasks, seed by seed",
        "",
        f"`python benchmarks/tasks.py --cells {' '.join(arguments.cells)}` on {machine()}.",
        "",
        "| cell | task | solved | seconds, median (range) | updates, median (range) | score of the last seed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    print(*lines, sep="\n")
    for cell in arguments.cells:
        for name in NAMES:
            runs = [measure(name, cell, seed) for seed in range(arguments.seeds)]
            solved, seconds, updates = sum(run[0] for run in runs), [run[1] for run in runs], [run[2] for run in runs]
            lines.append(
                f"| {cell} | {name} | {solved} of {len(runs)} | {median(seconds):.1f} ({min(seconds):.1f}-"
                f"{max(seconds):.1f}) | {median(updates):.0f} ({min(updates)}-{max(updates)}) | {runs[-1][3]} |"
            )
            print(lines[-1], flush=True)
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
