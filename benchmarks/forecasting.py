"""Compare forecasts of series with two baselines, seed by seed: the last value, and the value one season before.

    python benchmarks/forecasting.py FILE:SEASON:HORIZON [FILE:SEASON:HORIZON ...] [--seeds 3] [--write]

Every run is trained with the task's recommended settings in a temporary directory. MASE is the mean absolute error
divided by that of the seasonal naive forecast on the training part. All forecasts of a row start from the same origins.
"Calibrated once" is the coverage of intervals that were calibrated on the validation part alone.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from machine import machine

from gatescope import Settings, create_run, train
from gatescope.tasks import Forecasting

RESULTS = Path(__file__).parent / "results" / "forecasting.md"
HEAD = (
    "| series | horizon | seed | MASE | seasonal naive | naive | MAE | of seasonal naive | of naive | coverage of 80 % "
    "| calibrated once | not calibrated | width | updates | seconds |"
)


def measure(file: str, season: int, horizon: int, seed: int) -> str:
    """Train once; return a row of the table."""
    task = Forecasting(file, season=season, horizon=horizon)
    with tempfile.TemporaryDirectory() as folder:
        outcome = train(create_run(f"{folder}/run", task, None, Settings.recommended(task, seed=seed)))
    score = outcome.score
    assert score is not None  # the training was not interrupted
    about, (column,) = score.details, score.details["columns"].values()
    coverages = column["by_horizon"]["coverage"]
    return (
        f"| {Path(file).stem} | {horizon} | {seed} | {score.value:.3f} | {score.chance:.3f} | {about['naive']:.3f} | "
        f"{column['mae']:.2f} | {about['of_seasonal_naive']:.3f} | {about['of_naive']:.3f} | {about['coverage']:.1%} "
        f"({min(coverages):.1%} to {max(coverages):.1%} by step ahead) | {about['calibrated_once_coverage']:.1%} | "
        f"{about['uncalibrated_coverage']:.1%} | "
        f"{column['width']:.2f} | {outcome.step} | {outcome.seconds:.0f} |"
    )


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="+", metavar="FILE:SEASON:HORIZON")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    series = [entry.rsplit(":", 2) for entry in arguments.series]
    shown = " ".join(f"{Path(file).name}:{season}:{horizon}" for file, season, horizon in series)
    lines = [
        "# Forecasts, seed by seed",
        "",
        f"`python benchmarks/forecasting.py {shown}` on {machine()}.",
        "",
        HEAD,
        "|" + " --- |" * (HEAD.count("|") - 1),
    ]
    print(*lines, sep="\n")
    for file, season, horizon in series:
        for seed in range(arguments.seeds):
            lines.append(measure(file, int(season), int(horizon), seed))
            print(lines[-1], flush=True)
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
