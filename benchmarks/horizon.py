"""Measure what textbooks claim about vanishing gradients: Elman against LSTM and all other cells.

    python benchmarks/horizon.py [--seeds 5] [--updates 1000] [--write]

The task: a string is A or B, then x's, then Y; after the Y the network writes the first letter in lower case. Every
network has 20 neurons and is trained with the task's recommended settings (Adam, learning rate 0.03) until two scores
in a row count as solved, or for --updates updates. In training, every string has exactly L x's, or 1 to L. When fewer
than half of a cell's seeds learn a length, longer ones are not tried.

The gradient is the norm of d h_t / d states_s with s at the first x and t at the Y after 50 x's, exact in float64. It
is measured before and after training with 1 to 50 x's. Intervals are 95 % t-intervals of the logarithm over the seeds.

Then the map of all products of Jacobians of a layer is measured: its time, its memory, and the error of its estimate.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import numpy as np
import torch
from machine import machine

from gatescope import CELLS, Network, Settings, configure, create_run, train
from gatescope.cells import cell_of
from gatescope.studies.gradients.jacobians import jacobians_of
from gatescope.studies.gradients.products import product_map
from gatescope.tasks.counting.state_memoriser import StateMemoriser
from gatescope.training import TrainingError

RESULTS = Path(__file__).parent / "results" / "horizon.md"
CHOSEN = ["lstm:f=0", "lstm", "lstm:f=3", *(name for name in CELLS if name != "lstm")]
LENGTHS = (10, 20, 50, 100, 200)
GAP, NEURONS = 50, 20
PROBE = f"A{'x' * GAP}Y"
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}  # 97.5 % point, by number of seeds


@dataclass(frozen=True)
class Trained:
    """One training: whether it solved the task, its updates, and log10 of the gradient before and after training."""

    solved: bool
    updates: int
    before: float
    after: float


def gradient(network: Network) -> float:
    """Compute log10 |d h_t / d states_s| over 50 steps."""
    jacobians = jacobians_of(network, PROBE)
    if not jacobians.states:
        return -np.inf
    sizes = product_map(jacobians, vectors=jacobians.width, furthest=GAP)
    return float(sizes.by_state["h"][GAP + 1, 1]) / np.log(10)


def learn(cell: str, shortest: int, longest: int, seed: int, updates: int) -> Trained:
    """Train one network; NaN gradients unless the strings have 1 to 50 x's."""
    task = StateMemoriser(8 if shortest == longest else None, shortest, longest)
    configuration = configure(task.vocabulary, cell_of(cell), [NEURONS])
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(f"{folder}/run", task, configuration, Settings.recommended(task, seed=seed, steps=updates))
        try:
            outcome = train(run)
        except TrainingError:
            return Trained(False, 0, np.nan, np.nan)
        gradients = [np.nan, np.nan]
        if longest == GAP:
            gradients = [gradient(run.network(0)[0]), gradient(run.network()[0])]
        return Trained(bool(outcome.score and outcome.score.solved), outcome.step, *gradients)


def of_torch(kind: str, seed: int) -> float:
    """Compute the gradient of an untrained network with the initial weights of torch.nn.RNN or torch.nn.LSTM."""
    cell = cell_of("elman" if kind == "RNN" else "lstm:f=0")
    network = Network(configure(StateMemoriser().vocabulary, cell, [NEURONS]), seed)
    random = torch.Generator().manual_seed(seed)
    bound = NEURONS**-0.5
    with torch.no_grad():
        for name, weight in network.layers[0].items():
            biases = 2 if name == "biases" else 1  # torch adds two biases
            weight.copy_(sum((torch.rand(weight.shape, generator=random) * 2 - 1) * bound for _ in range(biases)))
    return gradient(network)


def spread(logs: list[float]) -> str:
    """Format a geometric mean with its interval."""
    if not np.isfinite(logs).all():
        return "0" if np.isneginf(logs).all() else f"0 or not a number in {int((~np.isfinite(logs)).sum())} seeds"
    mean, half = float(np.mean(logs)), STUDENT[len(logs)] * float(np.std(logs, ddof=1)) / len(logs) ** 0.5
    return f"{10**mean:.1e} ({10 ** (mean - half):.0e} to {10 ** (mean + half):.0e})"


def title(cell: str) -> str:
    """Return the printed title of a cell."""
    bias = {"lstm:f=0": " (forget bias 0)", "lstm": " (forget bias 1)", "lstm:f=3": " (forget bias 3)"}.get(cell, "")
    return CELLS[cell.partition(":")[0]].title + bias


def learned(cells: list[str], exactly: bool, seeds: int, updates: int) -> dict[str, dict[int, list[Trained]]]:
    """Train every cell on every length; return cell -> length -> trainings."""
    trainings: dict[str, dict[int, list[Trained]]] = {}
    for cell in cells:
        trainings[cell] = {}
        lost = False
        for length in LENGTHS:
            if lost and (exactly or length != GAP):
                continue
            shortest = length if exactly else 1
            trainings[cell][length] = [learn(cell, shortest, length, seed, updates) for seed in range(seeds)]
            lost = lost or first_failure(trainings[cell]) == str(length)
        print(cell, {k: [t.updates if t.solved else None for t in v] for k, v in trainings[cell].items()}, flush=True)
    return trainings


def lengths_table(trainings: dict[str, dict[int, list[Trained]]]) -> list[str]:
    """Return a row for every cell: how many seeds learned each length."""
    lines = [
        "| cell | " + " | ".join(f"{length} x's" for length in LENGTHS) + " | first length that most seeds fail |",
        "| --- " * (len(LENGTHS) + 2) + "|",
    ]
    for cell, lengths in trainings.items():
        entries = []
        for length in LENGTHS:
            if length not in lengths:
                entries.append("not tried")
                continue
            updates = [t.updates for t in lengths[length] if t.solved]
            tried = f"{len(updates)} of {len(lengths[length])}"
            entries.append(tried + (f" ({np.median(updates):.0f})" if updates else ""))
        lines.append(f"| {title(cell)} | {' | '.join(entries)} | {first_failure(lengths)} |")
    return lines


def failure(lengths: dict[int, list[Trained]]) -> float:
    """Return the first length that fewer than half of the seeds learned, or infinity."""
    failed = [length for length, runs in lengths.items() if 2 * sum(t.solved for t in runs) < len(runs)]
    return min(failed, default=np.inf)


def rank_correlation(values: list[float], others: list[float]) -> float:
    """Compute Spearman's rank correlation; equal values share a rank."""
    ranks = []
    for column in (np.array(values), np.array(others)):
        smaller = (column[:, None] > column).sum(1)
        ranks.append(smaller + ((column[:, None] == column).sum(1) - 1) / 2)
    if min(map(np.ptp, ranks)) == 0:
        return np.nan
    return float(np.corrcoef(*ranks)[0, 1])


def bootstrap_interval(values: list[float], others: list[float]) -> tuple[float, float]:
    """Compute the 95 % percentile interval of the rank correlation over resampled cells."""
    random = np.random.default_rng(0)
    draws = [random.integers(0, len(values), len(values)) for _ in range(2000)]
    correlations = [rank_correlation([values[k] for k in draw], [others[k] for k in draw]) for draw in draws]
    low, high = np.nanquantile(correlations, [0.025, 0.975])
    return float(low), float(high)


def first_failure(lengths: dict[int, list[Trained]]) -> str:
    """Return the printed form of `failure`."""
    length = failure(lengths)
    return f"none up to {LENGTHS[-1]}" if np.isinf(length) else str(length)


def gradients_table(trainings: dict[str, dict[int, list[Trained]]], seeds: int) -> list[str]:
    """Return a row for every cell: the gradient before and after training with 1 to 50 x's."""
    lines = ["| cell | untrained | trained with 1 to 50 x's | solved |", "| --- | --- | --- | --- |"]
    for cell, lengths in trainings.items():
        runs = lengths[GAP]
        before, after = spread([t.before for t in runs]), spread([t.after for t in runs])
        lines.append(f"| {title(cell)} | {before} | {after} | {sum(t.solved for t in runs)} of {len(runs)} |")
    for kind in ("RNN", "LSTM"):
        before = spread([of_torch(kind, seed) for seed in range(seeds)])
        lines.append(f"| torch.nn.{kind}'s initial weights | {before} | | |")
    return lines


def verdicts(up_to: dict[str, dict[int, list[Trained]]], exact: dict[str, dict[int, list[Trained]]]) -> list[str]:
    """Return the claims of the textbooks, each with its verdict."""
    before = {cell: [t.before for t in lengths[GAP]] for cell, lengths in up_to.items()}
    after = {cell: [t.after for t in lengths[GAP]] for cell, lengths in up_to.items()}
    claims = [
        (
            "Untrained, the LSTM (forget bias 1) keeps more of the gradient over 50 steps than Elman (tanh)",
            before["lstm"],
            before["elman"],
        ),
        ("Untrained, the LSTM (forget bias 3) keeps more of it than Elman (tanh)", before["lstm:f=3"], before["elman"]),
        ("Untrained, forget bias 1 keeps more than forget bias 0", before["lstm"], before["lstm:f=0"]),
        ("Untrained, forget bias 3 keeps more than forget bias 1", before["lstm:f=3"], before["lstm"]),
        ("Trained, the LSTM (forget bias 1) keeps more than Elman (tanh)", after["lstm"], after["elman"]),
        ("Trained, the LSTM without a forget gate keeps more than the LSTM", after["lstm_1997"], after["lstm"]),
    ]
    lines = []
    for claim, more, less in claims:
        gap = np.array(more) - np.array(less)  # seed by seed
        half = STUDENT[len(gap)] * float(np.std(gap, ddof=1)) / len(gap) ** 0.5
        low, high = gap.mean() - half, gap.mean() + half
        verdict = "holds" if low > 0 else "does not hold: it is the other way round" if high < 0 else "not decided"
        lines.append(
            f"- {claim}: **{verdict}**; the ratio is {10 ** gap.mean():.2g} ({10**low:.1g} to {10**high:.1g})."
        )
    preserved = [float(np.mean(logs)) for logs in before.values()]
    for words, table in (("exactly L x's", exact), ("1 to L x's", up_to)):
        reached = [failure(table[cell]) for cell in before]
        correlation, (low, high) = rank_correlation(preserved, reached), bootstrap_interval(preserved, reached)
        verdict = "holds" if low > 0 else "not decided" if high >= 0 else "does not hold: it is the other way round"
        lines.append(
            f"- The more of the gradient an untrained cell keeps, the longer the gaps it learns ({words}; over "
            f"{len(preserved)} cells): **{verdict}**; the rank correlation is {correlation:.2f} ({low:.2f} to "
            f"{high:.2f}, bootstrap over cells)."
        )
    for words, table in (("exactly L x's", exact), ("1 to L x's", up_to)):
        firsts = "; ".join(
            f"{title(c)}: {first_failure(table[c])}"
            for c in ("elman", "elman_relu", "lstm:f=0", "lstm", "lstm:f=3", "gru")
        )
        lines.append(f"- First length that most seeds fail, trained with {words}: {firsts}.")
    return lines


def large_map() -> None:
    """Time the map of an LSTM of 512 neurons over 1,000 steps, and print its memory; runs in its own process."""
    network = Network(configure(StateMemoriser().vocabulary, "lstm", [512]))
    ids = np.random.default_rng(0).integers(0, 7, 1000).astype(np.int32)
    began = time.perf_counter()
    jacobians = jacobians_of(network, [ids])
    read, kib_before = time.perf_counter() - began, getrusage(RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    product_map(jacobians)
    seconds, peak = time.perf_counter() - began, getrusage(RUSAGE_SELF).ru_maxrss
    print(
        f"An LSTM of 512 neurons, 1,000 steps, 4 vectors: the Jacobians {read:.1f} s, the map {seconds:.0f} s; the "
        f"process had {kib_before / 2**20:.2f} GiB at most before the map and {peak / 2**20:.2f} GiB at most with it "
        f"(a single product written out has {8 * 1024**2 / 2**20:.0f} MiB, all {8 * 1024**2 * 500500 / 2**40:.1f} TiB)."
    )


def errors_table(updates: int) -> list[str]:
    """Return the lines of a table that compares the estimate with the exact map on smaller layers."""
    lines = [
        "| layer, 200 steps | vectors | norm, 1 to 10 steps apart | 11 to 50 | 51 to 199 | largest singular value |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    ids = np.random.default_rng(1).integers(0, 6, 200).astype(np.int32)
    distance = np.subtract.outer(np.arange(200), np.arange(200))
    for cell in ("lstm", "gru", "elman"):
        task = StateMemoriser(longest=20)
        with tempfile.TemporaryDirectory() as folder:
            run = create_run(
                f"{folder}/run",
                task,
                configure(task.vocabulary, cell, [64]),
                Settings.recommended(task, steps=updates, learning_rate=0.01),
            )
            train(run)
            networks = {"untrained": run.network(0)[0], "trained": run.network()[0]}
        for state, network in networks.items():
            jacobians = jacobians_of(network, [ids])
            exact = product_map(jacobians, vectors=jacobians.width)
            for vectors in (4, 8):
                estimate = product_map(jacobians, vectors=vectors)
                entries = []
                for low, high in ((1, 10), (11, 50), (51, 199)):
                    pairs = (distance >= low) & (distance <= high)
                    entries.append(rms(estimate.norm[pairs] - exact.norm[pairs]))
                pairs = distance >= 1
                entries.append(rms(estimate.largest[pairs] - exact.largest[pairs]))
                lines.append(f"| {CELLS[cell].title}, 64 neurons, {state} | {vectors} | {' | '.join(entries)} |")
    return lines


def rms(logs: np.ndarray) -> str:
    """Format the root mean square of relative errors, from differences of logarithms."""
    known = np.expm1(logs[np.isfinite(logs)])
    return f"{np.sqrt(np.mean(known**2)):.1%}" if len(known) else ""


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, choices=sorted(STUDENT))
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--cells", nargs="+", default=CHOSEN, choices=CHOSEN)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    parser.add_argument("--large-map", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.large_map:
        large_map()
        return
    began, worked = time.monotonic(), time.process_time()
    known = {*arguments.cells, "elman", "lstm", "lstm:f=0", "lstm:f=3", "lstm_1997", "elman_relu", "gru"}
    cells = [cell for cell in CHOSEN if cell in known]
    upto = learned(cells, False, arguments.seeds, arguments.updates)
    exactly = learned(cells, True, arguments.seeds, arguments.updates)
    large = subprocess.run(
        [sys.executable, __file__, "--large-map"], capture_output=True, text=True, check=True
    ).stdout.strip()
    errors = errors_table(arguments.updates)
    spent, busy = (time.monotonic() - began) / 60, (time.process_time() - worked) / 60
    lines = [
        "# Where gradients go: the claims of textbooks, measured",
        "",
        (
            f"`python benchmarks/horizon.py --seeds {arguments.seeds} --updates {arguments.updates}` on {machine()}; "
            f"{spent:.0f} minutes on a machine that was also doing other work, {busy:.0f} minutes of processor time."
        ),
        "",
        (
            "A or B, x's, Y, and the first letter again; 20 neurons; Adam, learning rate 0.03; at most "
            f"{arguments.updates:,} updates, until solved; seeds 0 to {arguments.seeds - 1}. Recurrent weights start "
            "orthogonal in every cell. See `--help`."
        ),
        "",
        "## The claims",
        "",
        *verdicts(upto, exactly),
        "",
        "## The gradient over 50 steps",
        "",
        (
            f"The norm of d h / d states 50 steps earlier, from the Y back to the first x: geometric mean over "
            f"{arguments.seeds} seeds, with its 95 % interval. A fully preserved gradient has about {NEURONS**0.5:.1f}."
        ),
        "",
        *gradients_table(upto, arguments.seeds),
        "",
        "## The first gap that is not learned",
        "",
        (
            "Seeds that solved the task, and in parentheses the median of their updates. Every string has exactly this "
            "many x's:"
        ),
        "",
        *lengths_table(exactly),
        "",
        "Strings have 1 to this many x's, each number equally often:",
        "",
        *lengths_table(upto),
        "",
        "## The map of all products",
        "",
        large,
        "",
        "Root mean square of the relative error of the estimate, against all products computed in float64:",
        "",
        *errors,
    ]
    print(*lines, sep="\n")
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
