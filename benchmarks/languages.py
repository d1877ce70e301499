"""How the formal languages are learned, seed by seed, beside what papers report.

    python benchmarks/languages.py [--only anbn anbncn dyck1 loss_anbn ...] [--write]

Every run is a fresh training in a temporary directory with everything that `gatescope train` does. It lasts a fixed
number of updates; the weights are those with the best score on the trained range, and of these the ones with the
smallest validation loss. Nothing is decided by longer strings, and every seed is shown. `gatescope.tasks.languages`
says when a string is accepted.
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
SHORT = 2000  # updates where the usual number takes long
TEST_STRINGS = 50_000  # of Dyck-1 in Lan et al. 2022
BIAS = "lstm:f=3 is an LSTM whose forget gates start with a bias of 3 instead of 1, more widely open."
POOL: Executor


@dataclass(frozen=True)
class Job:
    """One training. Arguments: `settings` are those of the task, `extra` a further measure by its name."""

    task: str
    cell: str
    neurons: tuple[int, ...]
    seed: int
    settings: tuple[tuple[str, float | None], ...] = ()
    extra: str = ""
    steps: int | None = None


@dataclass(frozen=True)
class Trained:
    """How well a network does after its training; CPU seconds, because others may use the machine, too."""

    score: Score
    seconds: float
    extra: float

    @property
    def first(self) -> int | None:
        """The first n or length that is rejected; None where none is up to the largest tried."""
        return self.score.details["first_failure"]

    @property
    def gap(self) -> float:
        """Nats per symbol above the optimum; infinite where it has no bound."""
        found = self.score.details["gap"]
        return math.inf if found is None else found


def fit(job: Job) -> Trained:
    """One training, in a process that may be its own."""
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
    assert outcome.score is not None  # it was not interrupted
    return Trained(outcome.score, seconds, EXTRAS[job.extra](network) if job.extra else math.nan)


def accepts_long(network: Network) -> float:
    """1 if a^1000 b^1000 is accepted, otherwise 0."""
    return float(judge(partial(predict, network), AnBn(), ["a" * 1000 + "b" * 1000 + "\n"])[0].accepted)


def bits(network: Network, strings: Sequence[str], counted: int) -> float:
    """The cross-entropy on strings in bits, over `counted` symbols."""
    ids = [network.configuration.vocabulary.encode(string) for string in strings]
    rows = predict(network, [one[:-1] for one in ids])
    nats = -sum(float(r[np.arange(len(r)), one[1:]].sum(dtype=np.float64)) for r, one in zip(rows, ids, strict=True))
    return nats / math.log(2) / counted


def tested_anbn() -> tuple[AnBn, list[str], int]:
    """The strings that Lan et al. 2022 test on, and how many symbols they count."""
    task = AnBn(longest=None, stop=0.3)
    strings = [task.blocks.string(n) for n in range(21, 1021)]
    return task, strings, sum(map(len, strings))


def tested_dyck1() -> tuple[Dyck1, list[str], int]:
    """The same of Dyck-1."""
    task = Dyck1(opens=0.3, longest=None)
    strings = task.draw(np.random.default_rng(2022), TEST_STRINGS)
    return task, strings, sum(len(string) - 1 for string in strings)


EXTRAS: dict[str, Callable[[Network], float]] = {
    "long": accepts_long,
    "anbn": lambda network: bits(network, *tested_anbn()[1:]),
    "dyck1": lambda network: bits(network, *tested_dyck1()[1:]),
}


def seeds(count: int, *job: Any, **more: Any) -> list[Trained]:
    """A training for each seed, side by side where there are processes for it."""
    return list(POOL.map(fit, [Job(*job, seed=seed, **more) for seed in range(count)], chunksize=1))


def spread(values: Sequence[float], form: str) -> str:
    """The median and the range."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def firsts(found: Sequence[Trained]) -> str:
    """The first failure of every seed, in their order."""
    tried = found[0].score.details["tried"]
    return ", ".join(f"> {tried}" if one.first is None else str(one.first) for one in found)


def middle(found: Sequence[Trained]) -> str:
    """The median first failure; no failure counts as more than any number."""
    value = median(math.inf if one.first is None else one.first for one in found)
    return f"> {found[0].score.details['tried']}" if math.isinf(value) else f"{value:g}"


def row(cell: str, neurons: Sequence[int], found: Sequence[Trained], *more: str) -> str:
    """A line of a table: how many seeds learned the trained range, every seed's first failure, gaps, time."""
    solved = sum(bool(one.score.solved) for one in found)
    return (
        f"| {cell} | {'+'.join(map(str, neurons))} | {solved} of {len(found)} | {firsts(found)} | {middle(found)} | "
        + "".join(f"{cell} | " for cell in more)
        + f"{spread([one.gap for one in found], '.4f')} | {spread([one.seconds for one in found], '.0f')} |"
    )


HEAD = ("cell", "neurons", "seeds that accept all that is trained", "first failure, seed by seed", "median")
TAIL = ("gap to the optimum, nats per symbol", "CPU seconds")


def header(*more: str) -> list[str]:
    """The head of a table."""
    names = (*HEAD, *more, *TAIL)
    return [f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]


def anbn() -> list[str]:
    """a^n b^n, n up to 99: LSTM against GRU of the same size."""
    lines = [
        "## aⁿbⁿ, n from 1 to 99, ten seeds",
        "",
        "Weiss, Goldberg and Yahav (ACL 2018) trained an LSTM and a GRU of 10 neurons on n up to 100: the LSTM",
        "counts on far beyond, the GRU does not. First failure: the smallest n whose string is not accepted,",
        "tried up to 1000.",
        "",
        *header("accept a¹⁰⁰⁰b¹⁰⁰⁰"),
    ]
    for cell in ("lstm:f=3", "gru"):
        found = seeds(10, "anbn", cell, (10,), extra="long")
        lines.append(row(cell, (10,), found, f"{sum(one.extra for one in found):.0f} of 10"))
    return [*lines, "", BIAS, "", f"Drawn as in the task: {told(AnBn())}."]


def told(task: Language) -> str:
    """The settings of a task and of its training."""
    data, usual = task.to_json(), task.recommended
    given = [f"{name} = {data[name]}" for name in ("shortest", "longest", "stop", "targets", "opens") if name in data]
    return (
        f"{', '.join(given)}; {usual.steps:,} updates of {usual.batch} strings, Adam, learning rate "
        f"{usual.learning_rate:g} falling to {usual.learning_rate * usual.final_learning_rate:g}, gradients clipped to "
        f"{usual.clip:g}, readout decay {usual.readout_decay:g}"
    )


def anbncn() -> list[str]:
    """a^n b^n c^n with three neurons, ten seeds."""
    lines = [
        "## aⁿbⁿcⁿ with 3 neurons, n from 1 to 50, ten seeds",
        "",
        "Suzgun, Belinkov and Shieber (SCiL 2019): ten trials of an LSTM with 3 neurons, trained on n from 1 to 50,",
        "failed first at n = 83 to 244.",
        "",
        *header(),
    ]
    lines += [row(cell, (3,), seeds(10, "anbncn", cell, (3,))) for cell in ("lstm:f=3", "lstm")]
    return [*lines, "", BIAS, "", f"Drawn as in the task: {told(AnBnCn())}."]


def dyck1() -> list[str]:
    """Dyck-1 with a single neuron."""
    lines = [
        "## Dyck-1 with a single neuron",
        "",
        "Suzgun, Gehrmann, Belinkov and Shieber (2019): an LSTM with one neuron is enough. First failure: the shortest",
        "length at which one of the tried strings is rejected, the deepest of that length among them, up to 400.",
        "",
        *header(),
    ]
    for cell, neurons in (("lstm", 1), ("lstm:f=3", 1), ("lstm", 3)):
        lines.append(row(cell, (neurons,), seeds(5, "dyck1", cell, (neurons,))))
    return [*lines, "", f"Drawn as in the task: {told(Dyck1())}."]


def loss_anbn() -> list[str]:
    """a^n b^n in the setting of Lan et al. 2022, in bits per symbol."""
    lines = [
        "## aⁿbⁿ: the cross-entropy beside Lan, Geyer, Chemla and Katzir (TACL 2022), in bits per symbol",
        "",
        "n is geometric and stops with probability 0.3. Their test strings are the 1000 values of n beyond the largest",
        "trained one; here n = 21 to 1020, and their start mark is counted as a symbol.",
        "",
    ]
    given = (("longest", None), ("stop", 0.3))
    return lines + compared("anbn", "lstm:f=3", 10, given, tested_anbn(), "0.51 | 0.258", AnBn.settings.steps)


def loss_dyck1() -> list[str]:
    """Dyck-1 in the setting of Lan et al. 2022, in bits per symbol."""
    task, strings, asked = tested_dyck1()
    lines = [
        "## Dyck-1: the cross-entropy beside Lan, Geyer, Chemla and Katzir (TACL 2022), in bits per symbol",
        "",
        "A bracket opens with probability 0.3. The test is 50,000 drawn strings. Theirs have a start mark, and some",
        f"are empty; each prediction has the same entropy anyway, {task.optimum / math.log(2):.4f} bits.",
        "",
    ]
    given = (("longest", None), ("opens", 0.3))
    return lines + compared("dyck1", "lstm", 3, given, (task, strings, asked), "0.93 | 0.882", SHORT)


def compared(
    name: str,
    cell: str,
    neurons: int,
    given: tuple[tuple[str, float | None], ...],
    test: tuple[Any, ...],
    theirs: str,
    steps: int,
) -> list[str]:
    """The table of one language beside the paper's best standard network and its optimum."""
    task, strings, asked = test
    found = seeds(5, name, cell, (neurons,), settings=given, extra=name, steps=steps)
    best = sum(nats_of(task, string) for string in strings) / math.log(2) / asked
    above = spread([one.gap / math.log(2) for one in found], ".5f")
    shown = ", ".join(f"{one.extra:.4g}" for one in found)
    names = ("cell", "neurons", "their best standard network", "their optimum", "optimum of these test strings")
    names = (*names, "on the test strings, seed by seed", "gap of the task, on strings as they are trained")
    return [
        f"| {' | '.join(names)} |",
        f"| {' | '.join('---' for _ in names)} |",
        f"| {cell} | {neurons} | {theirs} | {best:.4f} | {shown} | {above} |",
        "",
        f"{steps:,} updates. Their networks saw 100 or 500 fixed strings, these see new ones in every batch.",
    ]


def parity() -> list[str]:
    """Parity, by every simple cell."""
    lines = [
        "## Parity",
        "",
        "First failure: the shortest length at which a tried string is rejected, up to 400.",
        "",
        *header(),
    ]
    neurons = Parity.settings.layers
    lines += [row(cell, neurons, seeds(5, "parity", cell, neurons)) for cell in ("lstm", "elman", "gru")]
    return [*lines, "", f"Drawn as in the task: {told(Parity())}."]


def dyck2() -> list[str]:
    """Dyck-2, which needs a stack."""
    lines = [
        "## Dyck-2",
        "",
        "No network of Suzgun, Gehrmann, Belinkov and Shieber (2019) learned it. First failure as for Dyck-1.",
        "",
        *header("strings accepted of 300"),
    ]
    neurons = Dyck2.settings.layers
    found = seeds(5, "dyck2", "lstm", neurons, steps=SHORT)
    lines.append(row("lstm", neurons, found, ", ".join(str(one.score.details["accepted"]) for one in found)))
    return [*lines, "", f"Drawn as in the task: {told(Dyck2())}; here {SHORT:,} updates only."]


def main() -> None:
    """Measure, print, and write when asked to; sections that are not measured again stay as they are."""
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
                keep(name, part)


def keep(name: str, part: str) -> None:
    """Write a section into the results; the others stay as they are."""
    kept = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = dict(re.findall(r"^<!-- (\w+) -->\n(.*?)(?=^<!-- |\Z)", kept, re.DOTALL | re.MULTILINE))
    parts[name] = part
    whole = "".join(f"<!-- {each} -->\n{parts[each].rstrip()}\n\n" for each in SECTIONS if each in parts)
    head = "# The formal languages, seed by seed\n\n`python benchmarks/languages.py`; its head says how.\n\n"
    RESULTS.write_text(head + whole.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
