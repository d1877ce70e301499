"""How well words are tagged, seed by seed: parts of speech, from files with a token and its tag on each line.

    python benchmarks/tagging.py TRAIN VALIDATION TEST [--networks lstm-both gru-both] [--seeds 3] [--write]

Every run is a fresh training with the task's recommended settings, in a temporary directory, with everything that
`gatescope train` does. The seconds are of the training alone, validation included. The table is written anew after
every run. The results that are kept are of the English Web Treebank of Universal Dependencies (UPOS tags; training,
validation and test part as published).
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
    """One run."""

    network: str
    seed: int
    steps: int
    seconds: float
    load: float
    score: Score


def measure(files: list[str], network: str, seed: int) -> Measured:
    """One training."""
    cell, _, direction = network.partition("-")
    training, validation, test = files
    task = TASKS["tagging"](training, validation=validation, test=test)
    configuration = recommended_network(task, cell, both_ways=direction == "both")
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(f"{folder}/run", task, configuration, Settings.recommended(task, seed=seed))
        outcome = train(run)
    return Measured(network, seed, outcome.step, outcome.seconds, os.getloadavg()[1], outcome.score)


def table(found: list[Measured], command: str) -> list[str]:
    """All runs, then each network's mean, spread and labels."""
    first = found[0].score
    about = (
        f"English Web Treebank, test part: {first.details['tokens']:,} tokens. The most frequent label of each token "
        f"alone: {100 * first.details['baseline']:.2f} %; the most frequent label everywhere: "
        f"{100 * first.chance:.2f} %. Load is the mean number of waiting processes of the machine over five minutes; "
        "above its cores, the seconds are longer than on a machine of one's own."
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
    for one in found:
        unknown = 100 * one.score.details["unknown"]["accuracy"]
        lines.append(
            f"| {one.network} | {one.seed} | {100 * one.score.value:.2f} | {unknown:.1f} | "
            f"{one.score.details['macro_f1']:.3f} | {one.steps} | {one.seconds:.0f} | {one.load:.1f} |"
        )
    lines += [
        "",
        "| network | right, %: mean | standard deviation | range | seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for network in dict.fromkeys(one.network for one in found):
        values = [100 * one.score.value for one in found if one.network == network]
        spread = f"{stdev(values):.2f}" if len(values) > 1 else "-"
        ends = f"{min(values):.2f}-{max(values):.2f}"
        lines.append(f"| {network} | {mean(values):.2f} | {spread} | {ends} | {len(values)} |")
    labels = first.details["labels"]
    lines += ["", f"Of {found[0].network}, seed {found[0].seed}:", "", "| label | F1 | precision | recall | tokens |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name in sorted(labels, key=lambda name: -labels[name]["support"]):
        values = [labels[name][key] for key in ("f1", "precision", "recall")]
        shown = " | ".join("-" if value is None else f"{value:.3f}" for value in values)
        lines.append(f"| {name} | {shown} | {labels[name]['support']:,} |")
    return lines


def main() -> None:
    """Measure, print, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs=3, metavar="FILE")
    parser.add_argument("--networks", nargs="+", default=["lstm-both", "lstm-forward", "gru-both"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/tagging.py TRAIN VALIDATION TEST --networks {' '.join(arguments.networks)}"
    found: list[Measured] = []
    for network in arguments.networks:
        for seed in range(arguments.seeds):
            found.append(measure(arguments.files, network, seed))
            print(network, seed, f"{found[-1].seconds:.0f} s", found[-1].score.text, flush=True)
            if arguments.write:
                RESULTS.write_text("\n".join(table(found, command)) + "\n")
    if not arguments.write:
        print(*table(found, command), sep="\n")


if __name__ == "__main__":
    main()
