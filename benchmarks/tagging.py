"""Measure the accuracy of part-of-speech tagging, seed by seed, from files with a token and its tag on each line.

    python benchmarks/tagging.py TRAIN VALIDATION TEST [--networks lstm-both gru-both] [--seeds 3] [--write]

Every run is trained with the task's recommended settings in a temporary directory, exactly as `gatescope train` does.
The seconds are those of training and validation. The table is rewritten after every run. The committed results are for
the English Web Treebank of Universal Dependencies (UPOS tags; training, validation and test part as published).
"""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import torch
from machine import machine

from gatescope import TASKS, Settings, create_run, train
from gatescope.tasks import Score
from gatescope.training import recommended_network

RESULTS = Path(__file__).parent / "results" / "tagging.md"


@dataclass(frozen=True)
class Measured:
    """The result of one run."""

    network: str
    seed: int
    steps: int
    seconds: float
    load: float
    score: Score


def measure(files: list[str], network: str, seed: int) -> Measured:
    """Train one network."""
    cell, _, direction = network.partition("-")
    training, validation, test = files
    task = TASKS["tagging"](training, validation=validation, test=test)
    configuration = recommended_network(task, cell, both_ways=direction == "both")
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(f"{folder}/run", task, configuration, Settings.recommended(task, seed=seed))
        outcome = train(run)
    return Measured(network, seed, outcome.step, outcome.seconds, os.getloadavg()[1], outcome.score)


def table(runs: list[Measured], command: str) -> list[str]:
    """Return the table of all runs, that of each network's mean and spread, and that of the labels."""
    first = runs[0].score
    about = (
        f"English Web Treebank, test part: {first.details['tokens']:,} tokens. The most frequent label of each token "
        f"alone: {100 * first.details['baseline']:.2f} %; the most frequent label everywhere: "
        f"{100 * first.chance:.2f} %. Load is the mean number of waiting processes of the machine over five minutes; "
        "above the number of cores, training takes longer than on a quiet machine."
    )
    lines = [
        "# Tagging, seed by seed",
        "",
        f"`{command}` on {machine()}.",
        "",
        about,
        "",
        "| network | seed | right, % | unknown tokens right, % | macro F1 | steps | seconds | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in runs:
        unknown = 100 * run.score.details["unknown"]["accuracy"]
        lines.append(
            f"| {run.network} | {run.seed} | {100 * run.score.value:.2f} | {unknown:.1f} | "
            f"{run.score.details['macro_f1']:.3f} | {run.steps} | {run.seconds:.0f} | {run.load:.1f} |"
        )
    lines += [
        "",
        "| network | right, %: mean | standard deviation | range | seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for network in dict.fromkeys(run.network for run in runs):
        values = [100 * run.score.value for run in runs if run.network == network]
        spread = f"{stdev(values):.2f}" if len(values) > 1 else "-"
        ends = f"{min(values):.2f}-{max(values):.2f}"
        lines.append(f"| {network} | {mean(values):.2f} | {spread} | {ends} | {len(values)} |")
    labels = first.details["labels"]
    lines += [
        "",
        f"The labels of {runs[0].network}, seed {runs[0].seed}:",
        "",
        "| label | F1 | precision | recall | tokens |",
    ]
    lines.append("| --- | --- | --- | --- | --- |")
    for name in sorted(labels, key=lambda name: -labels[name]["support"]):
        values = [labels[name][key] for key in ("f1", "precision", "recall")]
        shown = " | ".join("-" if value is None else f"{value:.3f}" for value in values)
        lines.append(f"| {name} | {shown} | {labels[name]['support']:,} |")
    return lines


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs=3, metavar="FILE")
    parser.add_argument("--networks", nargs="+", default=["lstm-both", "lstm-forward", "gru-both"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/tagging.py TRAIN VALIDATION TEST --networks {' '.join(arguments.networks)}"
    runs: list[Measured] = []
    for network in arguments.networks:
        for seed in range(arguments.seeds):
            runs.append(measure(arguments.files, network, seed))
            print(network, seed, f"{runs[-1].seconds:.0f} s", runs[-1].score.text, flush=True)
            if arguments.write:
                RESULTS.write_text("\n".join(table(runs, command)) + "\n")
    if not arguments.write:
        print(*table(runs, command), sep="\n")


if __name__ == "__main__":
    main()
