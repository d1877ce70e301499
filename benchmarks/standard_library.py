"""Train a character model of the Python standard library for a few minutes and report its loss.

    python benchmarks/standard_library.py [--minutes 5] [--seeds 1] [--cell lstm] [--neurons 128] [--write]

Prints the nats per character on the test part (the last 5 % of the text). With --write, writes the result and samples
to benchmarks/results and the learning curve to docs/images (pip install 'gatescope[benchmarks]').
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from machine import machine

from gatescope import TASKS, Run, Settings, configure, create_run, train

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "standard_library.md"
CURVE = ROOT / "docs" / "images" / "standard_library.svg"


def measure(folder: str, arguments: argparse.Namespace, seed: int) -> tuple[Run, str]:
    """Train once; return the run and a row of the table."""
    task = TASKS["text"]()
    settings = Settings.recommended(task, minutes=arguments.minutes, seed=seed)
    configuration = configure(task.vocabulary, arguments.cell, (arguments.neurons,))
    run = create_run(f"{folder}/seed-{seed}", task, configuration, settings)
    outcome = train(run, on_record=lambda record: "validation_loss" in record and print(json.dumps(record), flush=True))
    pace = run.read("history.jsonl")[-1]["symbols"] / outcome.seconds / 1000
    print(outcome.score.text)
    return run, f"| {seed} | {outcome.score.value:.4f} | {outcome.step:,} | {outcome.seconds:.0f} | {pace:.0f} |"


def draw(runs: list[Run]) -> None:
    """Draw the training and validation loss over the characters read."""
    import matplotlib  # noqa: PLC0415  only for this picture

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    for k, run in enumerate(runs):
        history = [record for record in run.read("history.jsonl") if "event" not in record]
        training = [(r["symbols"] / 1e6, r["loss"]) for r in history if r.get("loss")]
        validation = [(r["symbols"] / 1e6, r["validation_loss"]) for r in history if r.get("validation_loss")]
        axes.plot(*zip(*training, strict=True), lw=0.6, alpha=0.45, color="0.5", label="training" if not k else None)
        axes.plot(*zip(*validation, strict=True), lw=1.8, color="C0", label="validation" if not k else None)
    axes.set(xlabel="million characters read", ylabel="nats per character", ylim=(1.0, 2.6))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    CURVE.parent.mkdir(exist_ok=True)
    figure.savefig(CURVE, metadata={"Date": None})


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--neurons", type=int, default=128)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS} and {CURVE}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        measured = [measure(folder, arguments, seed) for seed in range(arguments.seeds)]
        command = f"--minutes {arguments.minutes:g} --cell {arguments.cell} --neurons {arguments.neurons}"
        lines = [
            "# A character model of the Python standard library",
            "",
            f"`python benchmarks/standard_library.py {command} --seeds {arguments.seeds}` on {machine()}.",
            "",
            "| seed | nats per character, test part | updates | seconds | thousand characters per second |",
            "| --- | --- | --- | --- | --- |",
            *(line for _, line in measured),
            "",
            f"Test part of seed {arguments.seeds - 1}: {measured[-1][0].read('history.jsonl')[-1]['score']['text']}.",
            "",
            "![The loss in nats per character over the characters read](../../docs/images/standard_library.svg)",
            "",
            "Samples during training (temperature 0.7):",
        ]
        samples = measured[0][0].read("samples.jsonl")
        for sample in (samples[0], samples[len(samples) // 2], samples[-1]):
            lines += ["", f"after {sample['step']:,} updates", "", "```text", sample["text"].strip("\n"), "```"]
        print(*lines, sep="\n")
        if arguments.write:
            RESULTS.write_text("\n".join(lines) + "\n")
            draw([run for run, _ in measured])


if __name__ == "__main__":
    main()
