"""Train networks on the formal languages, seed by seed, and compare them with the figures of papers.

    python benchmarks/languages.py [--only anbn anbncn dyck1 loss_anbn ...] [--write]

Every run is trained in a temporary directory, exactly as `gatescope train` does, for a fixed number of updates. The
weights with the best score on the trained range are used; among equal scores, those with the smallest validation loss.
Longer strings never influence a choice, and every seed is shown. `gatescope.tasks.languages` defines acceptance.
"""

import argparse
import math
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from machine import machine

from gatescope import Network, Settings, configure, create_run, train
from gatescope.cells import cell_of
from gatescope.network import predict
from gatescope.tasks import TASKS, AnBn, AnBnCn, Dyck1, Dyck2, Parity, Score
from gatescope.tasks.languages.language import judge, nats_of

RESULTS = Path(__file__).parent / "results" / "languages.md"
SECTIONS = ("anbn", "anbncn", "dyck1", "loss_anbn", "loss_dyck1", "parity", "dyck2")
Language = AnBn | AnBnCn | Dyck1 | Dyck2 | Parity
SHORT_UPDATES = 2000  # instead of the usual number, which takes long
TEST_STRINGS = 50_000  # for Dyck-1, as in Lan et al. 2022
BIAS = "lstm:f=3 is an LSTM whose forget gates start with a bias of 3 instead of 1, that is, more open."
POOL: Executor


@dataclass(frozen=True)
class Job:
    """One training to do.

    Attributes:
        task: the name of the task.
        cell: the cell, as in "lstm:f=3".
        neurons: the neurons of each layer.
        seed: of weights and data.
        settings: the settings of the task.
        extra: the name of a further measure, from EXTRAS.
        steps: updates; by default those of the task.
    """

    task: str
    cell: str
    neurons: tuple[int, ...]
    seed: int
    settings: tuple[tuple[str, float | None], ...] = ()
    extra: str = ""
    steps: int | None = None


@dataclass(frozen=True)
class Trained:
    """The result of a training: its score, its CPU seconds (other work may run beside it), and the further measure."""

    score: Score
    seconds: float
    extra: float

    @property
    def first(self) -> int | None:
        """Return the first n or length that is rejected, or None if all that were tried are accepted."""
        return self.score.details["first_failure"]

    @property
    def gap(self) -> float:
        """Return the loss above the optimum in nats per symbol, or infinity."""
        gap = self.score.details["gap"]
        return math.inf if gap is None else gap


def fit(job: Job) -> Trained:
    """Do one training, possibly in a worker process."""
    torch.set_num_threads(1)
    task = TASKS[job.task](**dict(job.settings))
    configuration = configure(task.vocabulary, cell_of(job.cell), job.neurons)
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(
            f"{folder}/run", task, configuration, Settings.recommended(task, seed=job.seed, steps=job.steps)
        )
        start = time.process_time()
        outcome = train(run)
        seconds = time.process_time() - start
        network, _ = run.network()
    assert outcome.score is not None  # the training was not interrupted
    return Trained(outcome.score, seconds, EXTRAS[job.extra](network) if job.extra else math.nan)


def accepts_long(network: Network) -> float:
    """Return 1 if the network accepts a^1000 b^1000, else 0."""
    return float(judge(partial(predict, network), AnBn(), ["a" * 1000 + "b" * 1000 + "\n"])[0].accepted)


def bits(network: Network, strings: Sequence[str], counted: int) -> float:
    """Compute the cross-entropy on strings in bits, divided by `counted` symbols."""
    sequences = [network.configuration.vocabulary.encode(string) for string in strings]
    predictions = predict(network, [ids[:-1] for ids in sequences])
    nats = -sum(
        float(log_probs[np.arange(len(log_probs)), ids[1:]].sum(dtype=np.float64))
        for log_probs, ids in zip(predictions, sequences, strict=True)
    )
    return nats / math.log(2) / counted


def tested_anbn() -> tuple[AnBn, list[str], int]:
    """Return the task, the test strings of Lan et al. 2022, and the number of symbols that they count."""
    task = AnBn(longest=None, stop=0.3)
    strings = [task.blocks.string(n) for n in range(21, 1021)]
    return task, strings, sum(map(len, strings))


def tested_dyck1() -> tuple[Dyck1, list[str], int]:
    """Return the same for Dyck-1."""
    task = Dyck1(opens=0.3, longest=None)
    strings = task.draw(np.random.default_rng(2022), TEST_STRINGS)
    return task, strings, sum(len(string) - 1 for string in strings)


EXTRAS: dict[str, Callable[[Network], float]] = {
    "long": accepts_long,
    "anbn": lambda network: bits(network, *tested_anbn()[1:]),
    "dyck1": lambda network: bits(network, *tested_dyck1()[1:]),
}


def seeds(count: int, *job: Any, **more: Any) -> list[Trained]:
    """Train once per seed, in the worker processes of the pool."""
    return list(POOL.map(fit, [Job(*job, seed=seed, **more) for seed in range(count)], chunksize=1))


def spread(values: Sequence[float], form: str) -> str:
    """Format the median and the range."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def firsts(runs: Sequence[Trained]) -> str:
    """Format the first failure of every seed, in the order of the seeds."""
    tried = runs[0].score.details["tried"]
    return ", ".join(f"> {tried}" if run.first is None else str(run.first) for run in runs)


def median_first(runs: Sequence[Trained]) -> str:
    """Format the median first failure; no failure counts as infinity."""
    value = median(math.inf if run.first is None else run.first for run in runs)
    return f"> {runs[0].score.details['tried']}" if math.isinf(value) else f"{value:g}"


def row(cell: str, neurons: Sequence[int], runs: Sequence[Trained], *more: str) -> str:
    """Format a row: seeds that learned the trained range, first failures, further cells, gaps and times."""
    solved = sum(bool(run.score.solved) for run in runs)
    return (
        f"| {cell} | {'+'.join(map(str, neurons))} | {solved} of {len(runs)} | {firsts(runs)} | {median_first(runs)} | "
        + "".join(f"{cell} | " for cell in more)
        + f"{spread([run.gap for run in runs], '.4f')} | {spread([run.seconds for run in runs], '.0f')} |"
    )


HEAD = ("cell", "neurons", "seeds that accept all that is trained", "first failure, seed by seed", "median")
TAIL = ("gap to the optimum, nats per symbol", "CPU seconds")


def header(*more: str) -> list[str]:
    """Return the two header lines of a table."""
    names = (*HEAD, *more, *TAIL)
    return [f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]


def anbn() -> list[str]:
    """Compare LSTM and GRU of the same size on a^n b^n, n up to 99."""
    lines = [
        "## aⁿbⁿ, n from 1 to 99, ten seeds",
        "",
        "Weiss, Goldberg and Yahav (ACL 2018) trained an LSTM and a GRU of 10 neurons on n up to 100. The LSTM",
        "counted far beyond, the GRU did not. First failure: the smallest n whose string is rejected, of n up to",
        "1000.",
        "",
        *header("accept a¹⁰⁰⁰b¹⁰⁰⁰"),
    ]
    for cell in ("lstm:f=3", "gru"):
        runs = seeds(10, "anbn", cell, (10,), extra="long")
        lines.append(row(cell, (10,), runs, f"{sum(run.extra for run in runs):.0f} of 10"))
    return [*lines, "", BIAS, "", f"Drawn as in the task: {settings_of(AnBn())}."]


def settings_of(task: Language) -> str:
    """Format the settings of a task and of its training."""
    data, usual = task.to_json(), task.recommended
    drawn = [f"{name} = {data[name]}" for name in ("shortest", "longest", "stop", "targets", "opens") if name in data]
    return (
        f"{', '.join(drawn)}; {usual.steps:,} updates of {usual.batch} strings, Adam, learning rate "
        f"{usual.learning_rate:g} falling to {usual.learning_rate * usual.final_learning_rate:g}, gradients clipped to "
        f"{usual.clip:g}, readout decay {usual.readout_decay:g}"
    )


def anbncn() -> list[str]:
    """Train three neurons on a^n b^n c^n, ten seeds."""
    lines = [
        "## aⁿbⁿcⁿ with 3 neurons, n from 1 to 50, ten seeds",
        "",
        "Suzgun, Belinkov and Shieber (SCiL 2019): ten trials of an LSTM with 3 neurons, trained on n from 1 to 50,",
        "failed first at n = 83 to 244.",
        "",
        *header(),
    ]
    lines += [row(cell, (3,), seeds(10, "anbncn", cell, (3,))) for cell in ("lstm:f=3", "lstm")]
    return [*lines, "", BIAS, "", f"Drawn as in the task: {settings_of(AnBnCn())}."]


def dyck1() -> list[str]:
    """Train a single neuron on Dyck-1."""
    lines = [
        "## Dyck-1 with a single neuron",
        "",
        "Suzgun, Gehrmann, Belinkov and Shieber (2019): an LSTM with one neuron is enough. First failure: the shortest",
        "length, up to 400, at which a tried string is rejected; the deepest string of each length is tried.",
        "",
        *header(),
    ]
    for cell, neurons in (("lstm", 1), ("lstm:f=3", 1), ("lstm", 3)):
        lines.append(row(cell, (neurons,), seeds(5, "dyck1", cell, (neurons,))))
    return [*lines, "", f"Drawn as in the task: {settings_of(Dyck1())}."]


def loss_anbn() -> list[str]:
    """Measure a^n b^n in the setting of Lan et al. 2022, in bits per symbol."""
    lines = [
        "## aⁿbⁿ: the cross-entropy beside Lan, Geyer, Chemla and Katzir (TACL 2022), in bits per symbol",
        "",
        "n is geometric and stops with probability 0.3. Their test strings are the 1000 values of n beyond the largest",
        "trained one; here n = 21 to 1020, and their start mark is counted as a symbol.",
        "",
    ]
    settings = (("longest", None), ("stop", 0.3))
    return lines + compared("anbn", "lstm:f=3", 10, settings, tested_anbn(), "0.51 | 0.258", AnBn.settings.steps)


def loss_dyck1() -> list[str]:
    """Measure Dyck-1 in the setting of Lan et al. 2022, in bits per symbol."""
    task, strings, counted = tested_dyck1()
    lines = [
        "## Dyck-1: the cross-entropy beside Lan, Geyer, Chemla and Katzir (TACL 2022), in bits per symbol",
        "",
        "A bracket opens with probability 0.3. The test is 50,000 drawn strings. Theirs have a start mark, and some",
        f"are empty; each prediction has the same entropy anyway, {task.optimum / math.log(2):.4f} bits.",
        "",
    ]
    settings = (("longest", None), ("opens", 0.3))
    return lines + compared("dyck1", "lstm", 3, settings, (task, strings, counted), "0.93 | 0.882", SHORT_UPDATES)


def compared(
    name: str,
    cell: str,
    neurons: int,
    settings: tuple[tuple[str, float | None], ...],
    test: tuple[Any, ...],
    theirs: str,
    steps: int,
) -> list[str]:
    """Return the table of one language beside the paper's best standard network and its optimum."""
    task, strings, counted = test
    runs = seeds(5, name, cell, (neurons,), settings=settings, extra=name, steps=steps)
    best = sum(nats_of(task, string) for string in strings) / math.log(2) / counted
    above = spread([run.gap / math.log(2) for run in runs], ".5f")
    shown = ", ".join(f"{run.extra:.4g}" for run in runs)
    names = ("cell", "neurons", "their best standard network", "their optimum", "optimum of these test strings")
    names = (*names, "on the test strings, seed by seed", "gap of the task, on strings drawn as in training")
    return [
        f"| {' | '.join(names)} |",
        f"| {' | '.join('---' for _ in names)} |",
        f"| {cell} | {neurons} | {theirs} | {best:.4f} | {shown} | {above} |",
        "",
        f"{steps:,} updates. Their networks saw 100 or 500 fixed strings; ours see new strings in every batch.",
    ]


def parity() -> list[str]:
    """Train LSTM, Elman and GRU on parity."""
    lines = [
        "## Parity",
        "",
        "First failure: the shortest length at which a tried string is rejected, up to 400.",
        "",
        *header(),
    ]
    neurons = Parity.settings.layers
    lines += [row(cell, neurons, seeds(5, "parity", cell, neurons)) for cell in ("lstm", "elman", "gru")]
    return [*lines, "", f"Drawn as in the task: {settings_of(Parity())}."]


def dyck2() -> list[str]:
    """Train an LSTM on Dyck-2, which needs a stack."""
    lines = [
        "## Dyck-2",
        "",
        "No network of Suzgun, Gehrmann, Belinkov and Shieber (2019) learned it. First failure as for Dyck-1.",
        "",
        *header("strings accepted of 300"),
    ]
    neurons = Dyck2.settings.layers
    runs = seeds(5, "dyck2", "lstm", neurons, steps=SHORT_UPDATES)
    lines.append(row("lstm", neurons, runs, ", ".join(str(run.score.details["accepted"]) for run in runs)))
    return [*lines, "", f"Drawn as in the task: {settings_of(Dyck2())}; here only {SHORT_UPDATES:,} updates."]


def main() -> None:
    """Measure the chosen sections, print them, and replace them in the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    parser.add_argument("--processes", type=int, default=1, help="trainings side by side")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sections = {name: globals()[name] for name in SECTIONS}
    global POOL
    with ProcessPoolExecutor(arguments.processes, multiprocessing.get_context("spawn")) as POOL:
        for name in arguments.only:
            part = "\n".join([*sections[name](), "", f"Measured on {machine()}.", "", ""])
            print(part, flush=True)
            if arguments.write:
                replace_section(name, part)


def replace_section(name: str, part: str) -> None:
    """Replace one section of the results."""
    results = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = dict(re.findall(r"^<!-- (\w+) -->\n(.*?)(?=^<!-- |\Z)", results, re.DOTALL | re.MULTILINE))
    parts[name] = part
    whole = "".join(f"<!-- {section} -->\n{parts[section].rstrip()}\n\n" for section in SECTIONS if section in parts)
    head = "# The formal languages, seed by seed\n\n`python benchmarks/languages.py`; see its docstring.\n\n"
    RESULTS.write_text(head + whole.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
