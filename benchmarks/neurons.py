"""Measure what the neurons of trained networks do: labels, ablation, and how an X is left out of a count.

    python benchmarks/neurons.py [--seeds 5] [--text RUN] [--characters 100000] [--write]

Trains an LSTM with the recommended settings on counter, selective_counter and state_memoriser for every seed. For each
network it reports the neuron whose cell state best follows the quantity to remember, the score on strings that were not
used for fitting, and the predictions that suffer when the neuron is held at its mean. For selective_counter it reports
which gate keeps an X from being counted. With --text, it reports the best labels of a text model by kind, and the loss
without the neuron, where the feature is on and where it is off.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from machine import machine

from gatescope import TASKS, Network, Run, Settings, configure, create_run, train
from gatescope.features import from_quantities
from gatescope.studies import Steps, Subject, features_of, subject
from gatescope.studies.ablation import ablation
from gatescope.studies.common.table import Table
from gatescope.studies.labels import Search, labels

RESULTS = Path(__file__).parent / "results" / "neurons.md"
FOLLOWED = {
    "counter": (("task.owed",), "task.writing"),
    "selective_counter": (("task.owed",), "task.writing"),
    "state_memoriser": (("task.remembers_a", "task.remembers_b"), "task.at_y"),
}
KINDS = {
    "position": ("position.",),
    "indentation": ("indentation.",),
    "in a string or comment": ("quotes.", "tokens.string", "tokens.docstring", "tokens.comment", "tokens.literal"),
    "bracket": ("brackets.",),
    "identifier or keyword": ("tokens.name", "tokens.function", "tokens.class", "tokens.keyword", "tokens.builtin"),
    "number": ("web.number", "tokens.number"),
    "word": ("english.",),
    "kind of character": ("character.",),
}
SWAPPED = (("i",), ("f",), ("g",), ("o",), ("i", "g"), ("i", "f", "o"), ("i", "f", "g", "o"))
ABLATION_CHARACTERS = 20_000


def trained(name: str, seed: int, folder: str) -> Run:
    """Train a run with the recommended settings."""
    task = TASKS[name]()
    configuration = configure(task.vocabulary, "lstm", task.recommended.layers)
    run = create_run(f"{folder}/{name}-{seed}", task, configuration, Settings.recommended(task, seed=seed))
    train(run)
    return run


def of_task(about: Subject) -> Table:
    """Label the cell states with the quantities that the task must remember."""
    family = from_quantities(about.task.quantities, about.task.quantity_titles)
    with about.trace() as trace:
        return labels(trace, Steps(trace).features([family]), signals=["c"], search=Search(top=20))


def follower(name: str, about: Subject, seed: int) -> str:
    """Return a row: the neuron that best follows the feature, its score, and the change of the loss without it."""
    followed, hurt = FOLLOWED[name]
    rows = [row for row in of_task(about) if row["feature"] in followed]
    # Several neurons may separate perfectly: prefer one without a lag, then the largest explained variance.
    best = max(rows, key=lambda row: (row["score"], row["lag"] == 0, row["explained"]))
    with about.trace() as trace:
        features = [feature for feature in features_of(about, trace) if feature.name == hurt]
    network, neuron = about.network, best["neuron"]
    lost = next(iter(ablation(network, about.text, 0, "c", neurons=[neuron], features=features).where(feature=hurt)))
    matthews = "" if best["measure"] == "R2" else f", Matthews {best['matthews']:.3f}"
    score = f"{best['measure']} {best['score']:.4f}{matthews}"
    if best["lag"]:
        score += f", lag {best['lag']}"
    return f"| {name} | {seed} | {neuron} | {score} | {interval(lost, 'on')} | {interval(lost, 'off')} |"


def interval(row: dict[str, float], name: str) -> str:
    """Format a change of the loss with its interval."""
    return f"{row[name]:+.3f} ({row[name + '_low']:+.3f} to {row[name + '_high']:+.3f})"


def written(network: Network, prefixes: Sequence[str], most: int) -> np.ndarray:
    """Count the b's that a network writes after each prefix when it always takes the most probable symbol."""
    vocabulary = network.configuration.vocabulary
    lengths = torch.tensor([len(prefix) for prefix in prefixes])
    tokens = torch.full((int(lengths.max()), len(prefixes)), -1)
    for row, prefix in enumerate(prefixes):
        tokens[: len(prefix), row] = torch.from_numpy(vocabulary.encode(prefix)).long()
    counts, going = np.zeros(len(prefixes), int), np.ones(len(prefixes), bool)
    with torch.inference_mode():
        output = network(tokens, lengths=lengths)
        logits = output.logits[lengths - 1, torch.arange(len(prefixes))]
        for _ in range(most):
            chosen = logits.argmax(1)
            going &= (chosen == vocabulary.symbols.index("b")).numpy()
            counts += going
            output = network(chosen[None], output.state)
            logits = output.logits[0]
    return counts


def mechanism(about: Subject, seed: int) -> str:
    """Return a row: the effect on the count when some gates get, at every X, the input drive of an a."""
    network, vocabulary = about.network, about.network.configuration.vocabulary
    neuron = next(iter(of_task(about).where(feature="task.owed").sorted_by("score")))["neuron"]
    with about.trace() as trace:
        token = Steps(trace).of_step("token")
        values = {name: Steps(trace).values("layer0", name, [neuron])[:, 0] for name in "ifg"}
    ids = {symbol: vocabulary.symbols.index(symbol) for symbol in "aX"}
    shown = [f"{values[name][token == ids[symbol]].mean():.3f}" for name in "ifg" for symbol in "aX"]
    strings = sorted(set(vocabulary.split(about.text)))
    prefixes = [string[: string.index("Y") + 1] for string in strings if string.count("X") > 1]
    crosses = sum(prefix.count("X") for prefix in prefixes)
    plain = written(network, prefixes, 60)
    drives = network.configuration.layers[0].cell.tape.input_drives
    more = []
    for gates in SWAPPED:
        changed = copy.deepcopy(network)
        with torch.no_grad():
            for gate in gates:
                weights = changed.layers[0]["input_weights"][drives.index(gate)]
                weights[:, ids["X"]] = weights[:, ids["a"]]
        more.append(f"{(written(changed, prefixes, 60) - plain).sum() / crosses:.2f}")
    pairs = [f"{a} / {b}" for a, b in zip(shown[::2], shown[1::2], strict=True)]
    return f"| {seed} | {neuron} | {' | '.join(pairs)} | {' | '.join(more)} |"


def of_text(run: Run, characters: int) -> Iterator[str]:
    """Yield the best label of each kind in a text model, with the effect of its neuron on the loss."""
    about = subject(run, characters=characters)
    start = time.perf_counter()
    with about.trace() as trace:
        features = features_of(about, trace)
        recorded = time.perf_counter() - start
        table = labels(trace, features, search=Search(top=5))
    seconds = time.perf_counter() - start - recorded
    chance, steps = table.about["chance"]["least"], table.about["steps"]
    yield (
        f"{table.about['neurons']:,} neurons and signals, {table.about['features']['binary']} binary features and "
        f"{table.about['features']['count']} counts at {len(table.about['lags'])} lags, {steps['fit']:,} characters to "
        f"fit on and {steps['held_out']:,} held out: recorded and annotated in {recorded:.0f} s, labelled in "
        f"{seconds:.0f} s. No label below AUROC {chance['AUROC']:.3f} or R2 {chance['R2']:.4f}, which is what chance "
        "reaches."
    )
    yield from (
        "",
        *head(
            "kind",
            "layer",
            "signal",
            "neuron",
            "follows",
            "score",
            "Matthews",
            "loss without it, where the feature is on",
            "where it is off",
        ),
    )
    for kind, families in KINDS.items():
        rows = [row for row in table if row["feature"].startswith(families) and " & " not in row["feature"]]
        for measure in ("AUROC", "R2"):
            # For rare features many neurons have a high AUROC; Matthews' correlation is high only with few errors.
            key = "matthews" if measure == "AUROC" else "score"
            best = max((row for row in rows if row["measure"] == measure), key=lambda row: row[key], default=None)
            if best is not None:
                yield needed(about, kind, best, [feature for feature in features if feature.name == best["feature"]])


def needed(about: Subject, kind: str, label: dict, features: Sequence) -> str:
    """Return a row about one label, with the change of the loss when its neuron's h is held at its mean."""
    layer, neuron = int(label["layer"].removeprefix("layer")), label["neuron"]
    binary = [feature for feature in features if feature.kind == "binary"]
    length = len(about.text[:ABLATION_CHARACTERS])
    lost = ablation(
        about.network,
        about.text[:ABLATION_CHARACTERS],
        layer,
        "h",
        neurons=[neuron],
        features=[type(feature)(feature.name, feature.title, feature.values[:length]) for feature in binary],
    )
    row = next(iter(lost.where(feature=binary[0].name if binary else "")))
    effects = [interval(row, "on"), interval(row, "off") if binary else ""]
    lag = f", {label['lag']} steps later" if label["lag"] else ""
    matthews = "" if label["measure"] == "R2" else f"{label['matthews']:.2f}"
    return (
        f"| {kind} | {label['layer']} | {label['signal']} | {neuron} | {label['title']}{lag} | {label['measure']} "
        f"{label['score']:.3f} | {matthews} | {' | '.join(effects)} |"
    )


def head(*columns: str) -> list[str]:
    """Return the two header lines of a table."""
    return [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--text", type=Path, help="the run of a text model")
    parser.add_argument("--characters", type=int, default=100_000, help="characters of its test part")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines: list[str] = []

    def emit(*more: str) -> None:
        lines.extend(more)
        print(*more, sep="\n", flush=True)

    emit("# What neurons do", "", f"`python benchmarks/neurons.py` on {machine()}.", "")
    emit("## The neuron that follows what the task must remember", "")
    emit(
        "Cell states; the score is on strings that were not used for fitting, and the changes of the loss, in nats per"
    )
    emit("symbol with 95 % intervals, are those of holding the neuron's cell state at its mean: at the steps that need")
    emit("what it keeps (writing the b's; the symbol after the Y), and at all others.", "")
    emit(*head("task", "seed", "neuron", "held-out score", "loss where it is needed", "elsewhere"))
    with tempfile.TemporaryDirectory() as folder:
        subjects = {name: [subject(trained(name, k, folder)) for k in range(arguments.seeds)] for name in FOLLOWED}
        for name, runs in subjects.items():
            for seed, about in enumerate(runs):
                emit(follower(name, about, seed))
        emit("", "## How an X is left out of the count", "")
        emit(
            "Means of the counting neuron's gates at the a's and at the X's, and how many b's more are written for each"
        )
        emit(
            "X (of strings with at least two) when, at every X, these gates of all neurons get the input drive of an a."
        )
        emit("1 would be: an X counts as an a.", "")
        emit(*head("seed", "neuron", *(f"{name}: a / X" for name in "ifg"), *(" ".join(gates) for gates in SWAPPED)))
        for seed, about in enumerate(subjects["selective_counter"]):
            emit(mechanism(about, seed))
    if arguments.text is not None:
        about = Run(arguments.text)
        sizes = " + ".join(str(layer.neurons) for layer in about.configuration().layers)
        emit(
            "", "## A text model", "", f"LSTM of {sizes} neurons, {about.task().title}; the labels are of all signals."
        )
        for line in of_text(about, arguments.characters):
            emit(line)
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
