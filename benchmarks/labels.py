"""Measure labels: whether they hold their rate on planted noise and find what was planted, and how long they take.

    python benchmarks/labels.py [--texts 100] [--first 0] [--only rates|slow|times] [--run RUN] [--write]
    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive python benchmarks/labels.py --only long --threads 2

For each kind of text (one long one, sequences of one length, of different lengths, only ten), neurons are planted:
noise that has nothing to do with the text, functions of the position, and features with noise. The table says how often
a label is found where there is none, and how often what was planted is found: with noise of 0.7 standard deviations of
the feature, and weak features, with noise of 2.

With `--only slow`, noise remembers 8 to 512 steps and features change as slowly, in one, two and 30 long sequences.

The times are processor seconds on one thread, beyond the start of the program, for a counter and a text model that are
trained here and for the runs that --run names, and with `--only long` for one signal of 256 neurons, a million
characters and 282 features at 8 lags. Two threads wait for each other on a busy machine; passive waiting costs no time
of the processor.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from machine import machine

sys.path.insert(0, str(Path(__file__).parent.parent))

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.features import Feature, choose
from gatescope.studies import Steps, features_of, subject
from gatescope.studies.labels import Search, labels
from tests.studies.noise import POSITION, features, following, lengths_of, noise, positional, slow_features
from tests.studies.planted import planted

RESULTS = Path(__file__).parent / "results" / "labels.md"
TEXTS = ("one text", "two texts", "equal, 8 steps", "equal, 30 steps", "different, 4 to 40 steps", "ten, 4 to 40 steps")
RATE = 0.1
PLANTED = ("on0", "on5", "on8", "of_sequence0", "early", "walk1")
PLANTED_IN_TEXT = ("on0", "on5", "on8", "in_line", "line_start", "walk1")
SLOW_TEXTS = {  # kind of text -> the shares of its sequences
    "one": [1.0],
    "two equal": [0.5, 0.5],
    "two different": [0.375, 0.625],
    "30 equal": [1 / 30] * 30,
    "30 different": (np.linspace(0.3, 1.7, 30) / 30).tolist(),
}
SLOW_SIZES = (2_000, 10_000, 20_000)
MEMORIES = (8, 32, 64, 128, 512)
LONG = 1_000_000
LONG_NEURONS, LONG_FEATURES = 256, 282


def interval(share: float, count: int) -> str:
    """Return a share with its 95 % interval by Wilson."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return f"{share:.1%} ({max(0.0, middle - half):.0%} to {middle + half:.0%})"


def is_of_position(name: str) -> bool:
    """Return whether a feature, or both parts of a pair, is a function of the position."""
    return set(name.replace("not ", "").split(" & ")) <= set(POSITION)


def rates(texts: int, first_seed: int) -> Iterator[str]:
    """Yield the rows of the table of planted neurons."""
    for kind in TEXTS:
        counts: Counter[str] = Counter()
        several = kind not in TEXTS[:2]
        names = [f"planted.{name}" for name in (PLANTED if several else PLANTED_IN_TEXT)]
        for seed in range(first_seed, first_seed + texts):
            random = np.random.default_rng(seed)
            lengths = lengths_of(kind, random)
            features_of_text = features(random, lengths)
            search = Search(rate=RATE, chances=500, seed=seed)
            for memory in (0.5, 0.9):
                counts[f"noise {memory}"] += (
                    len(labels(noise(random, lengths, memory), features_of_text, search=search)) > 0
                )
            if several:
                table = labels(positional(random, lengths), features_of_text, search=search)
                counts["position"] += not all(map(is_of_position, table["feature"]))
                counts["position found"] += len(set(table["neuron"].tolist()))
            for loud in (0.7, 2.0):
                trace = following(random, lengths, features_of_text, names, loud)
                table = labels(trace, features_of_text, search=search)
                first = {row["neuron"]: row["feature"] for row in table.where(place=0)} if len(table) else {}
                counts[f"planted {loud}"] += sum(first.get(k) == name for k, name in enumerate(names))
        cells = [interval(counts[f"noise {memory}"] / texts, texts) for memory in (0.5, 0.9)]
        cells += [interval(counts["position"] / texts, texts)] if several else ["-"]
        cells += [f"{counts['position found'] / texts / 8:.1%}"] if several else ["-"]
        cells += [f"{counts[f'planted {loud}'] / texts / len(names):.1%}" for loud in (0.7, 2.0)]
        yield f"| {kind} | {' | '.join(cells)} |"


def slow_rates(texts: int, first_seed: int) -> Iterator[str]:
    """Yield the rows of the table of slow noise: texts with a label, and neurons left out as too slow."""
    for kind, shares in SLOW_TEXTS.items():
        for size in SLOW_SIZES:
            cells = []
            for memory in MEMORIES:
                labelled = left_out = 0
                for seed in range(first_seed, first_seed + texts):
                    random = np.random.default_rng([seed, size, memory])
                    lengths = [round(share * size) for share in shares]
                    given = features(random, lengths) + slow_features(random, lengths, memory)
                    trace = noise(random, lengths, float(np.exp(-1 / memory)))
                    table = labels(trace, given, search=Search(rate=RATE, chances=500, seed=seed))
                    labelled += len(table) > 0
                    left_out += sum(map(len, table.about["too_slow"].values()))
                cells.append(f"{interval(labelled / texts, texts)}; {left_out / texts / 8:.0%}")
            yield f"| {kind} | {size:,} | {' | '.join(cells)} |"


def of_run(task: str, folder: str, steps: int | None) -> str:
    """Train a run, label it and return a row of the times."""
    settings = Settings.recommended(TASKS[task]())
    if steps is not None:
        settings = Settings(**{**vars(settings), "steps": steps, "minutes": None})
    run = create_run(
        f"{folder}/{task}",
        TASKS[task](),
        configure(TASKS[task]().vocabulary, "lstm", TASKS[task]().recommended.layers),
        settings,
    )
    train(run)
    return of_labels(task, Run(run.path))


def of_labels(name: str, run: Run) -> str:
    """Label a run and return a row: processor seconds for recording, features and labels, and all together."""
    about = subject(run)
    seconds = [time.process_time()]
    with about.trace() as trace:
        seconds.append(time.process_time())
        features_of_text = features_of(about, trace)
        seconds.append(time.process_time())
        table = labels(trace, features_of_text)
        seconds.append(time.process_time())
    recording, annotating, labelling = np.diff(seconds)
    neurons = table.about["neurons"]
    return (
        f"| {name} | {neurons:,} | {sum(table.about['steps'].values()):,} | "
        f"{table.about['features']['binary'] + table.about['features']['count']:,} | {recording:.2f} | "
        f"{annotating:.2f} | {labelling:.2f} | {seconds[-1] - seconds[0]:.2f} | "
        f"{table.about['chance']['searches']:,} | {os.getloadavg()[0]:.1f} |"
    )


def of_long_text(characters: int = LONG) -> str:
    """Return a row for one signal of many neurons in a long text of Python code."""
    paths = sorted(Path(os.__file__).parent.glob("*.py"))
    text = "".join(path.read_text(encoding="utf-8", errors="ignore") for path in paths)
    text = (text * (characters // len(text) + 1))[:characters]
    random = np.random.default_rng(0)
    values = np.empty((characters, LONG_NEURONS), np.float32)
    for neuron in range(LONG_NEURONS):
        values[:, neuron] = np.convolve(random.normal(size=characters), 0.8 ** np.arange(30), mode="same")
    letters = np.frombuffer(text.encode("ascii", "replace"), np.uint8)
    values[:, 0] += letters == ord(" ")
    trace = planted({"h": [values]}, cell="elman", texts=[text])
    features_of_text = Steps(trace).features(choose(text, "python"))
    compared, count = [], 0
    for feature in sorted(features_of_text, key=lambda feature: feature.kind == "category"):
        room, chosen = LONG_FEATURES - count, feature
        if room <= 0:
            break
        if feature.kind == "category" and len(feature.categories) > room:
            numbers = np.where(feature.values < room, feature.values, -1).astype(np.int16)
            chosen = Feature(feature.name, feature.title, numbers, feature.categories[:room])
        compared.append(chosen)
        count += len(chosen.categories) or 1
    begin, start = time.perf_counter(), time.process_time()
    table = labels(trace, compared)
    spent, wall = time.process_time() - start, time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    about = table.about
    return (
        f"{LONG_NEURONS} neurons, {characters:,} characters, {about['features']['binary']} binary features and "
        f"{about['features']['count']} counts that vary, of {count}, at {len(about['lags'])} lags, with "
        f"{about['chance']['searches']:,} searches by chance, {torch.get_num_threads()} threads: {wall:.0f} s, "
        f"{spent:.0f} s of the processors, at most {peak:.1f} GiB with the trace in memory, load "
        f"{os.getloadavg()[0]:.1f}. Labels: neurons {sorted(set(table['neuron'].tolist()))}."
    )


def main() -> None:
    """Print the tables, and write them with --write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", choices=("rates", "slow", "times", "long"), nargs="+", default=("rates", "times"))
    parser.add_argument("--run", type=Path, action="append", default=[], help="a trained run to label as well")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = [
        "# Labels",
        "",
        f"{machine()}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores. By `benchmarks/labels.py`.",
        "",
    ]

    def show(*new: str) -> None:
        lines.extend(new)
        print(*new, sep="\n", flush=True)

    if "rates" in arguments.only:
        show(
            f"## Planted neurons, {arguments.texts} texts of each kind, false discovery rate {RATE:.0%}",
            "",
            f"Seeds from {arguments.first} on draw the text and the neurons; 95 % intervals. 8 neurons of a kind, 22 "
            "features.",
            "",
            "| text | noise: texts with a label | slow noise: the same | functions of the position: another label | "
            "such neurons with a label | planted features that are the first label | the same, weak |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        )
        for row in rates(arguments.texts, arguments.first):
            show(row)
        show("")
    if "slow" in arguments.only:
        show(
            f"## Slow noise, {arguments.texts} texts of each kind, false discovery rate {RATE:.0%}",
            "",
            "Texts with a label; neurons left out as too slow. Columns: the steps that noise and features remember.",
            "",
            f"| sequences | steps | {' | '.join(map(str, MEMORIES))} |",
            f"| --- | --- |{' --- |' * len(MEMORIES)}",
        )
        for row in slow_rates(arguments.texts, arguments.first):
            show(row)
        show("")
    if "times" in arguments.only:
        show(
            "## Times",
            "",
            f"Processor seconds, {torch.get_num_threads()} thread.",
            "",
            "| task | neurons and signals | steps compared | features that vary | recording | features | labels | "
            "together | searches by chance | load |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        )
        with tempfile.TemporaryDirectory() as folder:
            for task, steps in (("counter", None), ("copy", None), ("text", 100)):
                show(of_run(task, folder, steps))
        for path in arguments.run:
            show(of_labels(path.name, Run(path)))
        show("")
    if "long" in arguments.only:
        show(of_long_text(), "")
    if arguments.write:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
