"""Measure the accuracy of sentiment networks and their training time, seed by seed.

    python benchmarks/sentiment.py [--train train.tsv dev.tsv --test test.tsv] [--unit word] [--seeds 3] [--write]

Without files, only the toy set of 864 sentences that gatescope generates is used. With files, such as the phrases and
the 872 test sentences of SST-2, these are used as well, with a bag of words beside the network. Every run is trained
with the recommended settings, exactly as `gatescope train` does. The validation loss chooses the best weights, and only
these are scored on the test part, once.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import mean, median

import torch
from machine import machine

from gatescope import Settings, create_run, train
from gatescope.tasks import Sentiment

RESULTS = Path(__file__).parent / "results" / "sentiment.md"
COLUMNS = (
    "set",
    "embedding, neurons",
    "seed",
    "accuracy",
    "macro F1",
    "bag of words",
    "most frequent class",
    "updates",
    "seconds",
    "load",
)


def measure(task: Sentiment, seed: int, name: str) -> tuple[str, float, float]:
    """Train once; return the row, the accuracy and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(f"{folder}/run", task, None, Settings.recommended(task, seed=seed))
        outcome = train(run)
        _, best = run.network()
    score, usual = outcome.score, task.recommended
    assert score is not None  # the training was not interrupted
    network = f"{usual.embedding or 'one-hot'}, {usual.layers[0]}"
    row = (
        f"| {name} | {network} | {seed} | {score.value:.1%} | {score.details['macro_f1']:.3f} | "
        f"{score.details['baseline']:.1%} | {score.chance:.1%} | {outcome.step} (best {best}) | "
        f"{outcome.seconds:.0f} | {os.getloadavg()[0]:.1f} |"
    )
    return row, score.value, outcome.seconds


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", nargs="+", help="labelled texts to train on")
    parser.add_argument("--test", help="labelled texts to test on")
    parser.add_argument("--unit", default="word", choices=["word", "token", "character"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tasks = {"toy set": Sentiment()}
    if arguments.train:
        tasks[Path(arguments.train[0]).parent.name] = Sentiment(
            arguments.train, test=arguments.test, unit=arguments.unit
        )
    lines = [
        "# Sentiment, seed by seed",
        "",
        f"One thread on {machine()}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| {' | '.join('---' for _ in COLUMNS)} |",
    ]
    print(*lines, sep="\n")
    summary = []
    for name, task in tasks.items():
        measured = [measure(task, seed, name) for seed in range(arguments.seeds)]
        lines += [row for row, *_ in measured]
        print(*(row for row, *_ in measured), sep="\n", flush=True)
        values, seconds = [value for _, value, _ in measured], [seconds for *_, seconds in measured]
        training, validation, test = task.sizes
        summary.append(
            f"{name}: {training:,} texts trained on, {validation:,} validated on, {test:,} tested on; accuracy "
            f"{min(values):.1%} to {max(values):.1%}, mean {mean(values):.1%}; {median(seconds):.0f} seconds in the "
            f"median (after the texts were read). {' '.join(task.notes)}".rstrip()
        )
    lines += ["", *(f"- {sentence}" for sentence in summary)]
    print(*lines[-len(summary) :], sep="\n")
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
