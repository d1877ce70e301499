"""Count the places of a text at which a network is stuck after a few hundred updates.

    python benchmarks/stuck.py [FILE ...] [--steps 220 440 880] [--seeds 10 19] [--without-restarts] [--rows ROWS]

The network is stuck at a place if its mean loss on symbols 200 to 250 after the place is above two bounds: the loss of
the training part's symbol frequencies on the same symbols, and the mean of their entropy and that of a uniform guess
(about 3.7 nats in English). Prints one row of a table for each training, and appends it to the file of --rows.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import gatescope.tasks.text
from gatescope import Network, Settings, configure
from gatescope.network import predict
from gatescope.tasks import Text
from gatescope.training import Loop

PLACES = 200
PLACE_SYMBOLS = 250  # read at a place; the last window counts
WINDOW_SYMBOLS = 50
NOISE_SYMBOLS = 100
STREAMS = (20, 2000)  # streams, symbols of each
TITLES = (
    "text",
    "network",
    "restarts",
    "updates",
    "seed",
    "stuck of 200 places, whole text",
    "held-out text",
    "after noise",
    "in a stream",
    "median nats",
    "score",
    "stretches worse than chance",
)


def losses(network: Network, sequences: NDArray[np.int32]) -> NDArray[np.float32]:
    """Compute -log p of every symbol after the first, in nats: (S, T + 1) ids to (S, T)."""
    nats = [
        -np.take_along_axis(log_probs, np.minimum(ids[1:, None], log_probs.shape[1] - 1), 1)[:, 0]
        for ids, log_probs in zip(sequences, predict(network, [ids[:-1] for ids in sequences]), strict=True)
    ]
    return np.stack(nats)


def drawn(ids: NDArray[np.int32], count: int, length: int, random: np.random.Generator) -> NDArray[np.int32]:
    """Draw passages of a text, (count, length + 1)."""
    length = min(length, len(ids) - 1)
    places = random.integers(0, len(ids) - length, count)
    return ids[places[:, None] + np.arange(length + 1)]


def frequencies(task: Text) -> NDArray[np.float64]:
    """Compute -log of the share of every symbol in the training part, in nats; 0 for an unknown symbol."""
    counts = np.bincount(task.data().training, minlength=task.vocabulary.size)[: task.vocabulary.size] + 1.0
    return np.append(-np.log(counts / counts.sum()), 0.0)


def stuck(network: Network, passages: NDArray[np.int32], costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the network is stuck in each window of 50 symbols, (S, T // 50)."""
    uniform, shares = np.log(len(costs) - 1), np.exp(-costs[:-1])
    limit = (uniform + (shares * costs[:-1]).sum()) / 2
    mean_loss, chance = (
        nats[:, : nats.shape[1] // WINDOW_SYMBOLS * WINDOW_SYMBOLS].reshape(len(nats), -1, WINDOW_SYMBOLS).mean(2)
        for nats in (losses(network, passages), costs[passages[:, 1:]])
    )
    return (mean_loss > chance) & (mean_loss > limit)


def measure(task: Text, arguments: argparse.Namespace, steps: int, seed: int) -> list[str]:
    """Train a network and count the places at which it is stuck."""
    network = Network(configure(task.vocabulary, arguments.cell, arguments.neurons), seed)
    training = Loop(network, task, Settings.recommended(task, steps=steps, seed=seed))
    for _ in range(steps):
        training.update()
    parts, random, costs = task.data(), np.random.default_rng(1), frequencies(task)
    held_out = np.concatenate([parts.validation, parts.test]).astype(np.int32)
    whole = np.concatenate([parts.training, held_out]).astype(np.int32)
    anywhere, unseen, after_noise = (drawn(ids, PLACES, PLACE_SYMBOLS, random) for ids in (whole, held_out, whole))
    noise = random.integers(0, task.vocabulary.size, (PLACES, NOISE_SYMBOLS)).astype(np.int32)
    after_noise = np.concatenate([noise, after_noise], axis=1)
    counts = [int(stuck(network, passages, costs)[:, -1].sum()) for passages in (anywhere, unseen, after_noise)]
    in_streams = stuck(network, drawn(whole, *STREAMS, random), costs).mean()
    score = task.score(partial(predict, network))
    return [
        f"{arguments.cell} {', '.join(map(str, arguments.neurons))}",
        "no" if arguments.without_restarts else "yes",
        str(steps),
        str(seed),
        *map(str, counts),
        f"{in_streams:.1%}",
        f"{np.median(losses(network, anywhere).mean(1)):.3f}",
        f"{score.value:.3f}",
        f"{score.details['worse_than_chance']} of {score.details['stretches']}",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="texts; by default the standard library")
    parser.add_argument("--steps", type=int, nargs="+", default=[220, 440, 880])
    parser.add_argument("--seeds", type=int, nargs=2, default=[10, 19], help="the first and the last seed")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--neurons", type=int, nargs="+", default=[128])
    parser.add_argument(
        "--without-restarts", action="store_true", help="let streams carry their state for a whole epoch"
    )
    parser.add_argument("--rows", type=Path, help="append the rows to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.without_restarts:
        gatescope.tasks.text.RESTART_UPDATES = 1 << 40
    print(f"| {' | '.join(TITLES)} |", f"|{' --- |' * len(TITLES)}", sep="\n")
    for file in arguments.files or [None]:
        task = Text(None if file is None else [file])
        name = "standard library" if file is None else Path(file).stem
        for steps in arguments.steps:
            for seed in range(arguments.seeds[0], arguments.seeds[1] + 1):
                row = f"| {' | '.join((name, *measure(task, arguments, steps, seed)))} |"
                print(row, flush=True)
                if arguments.rows:
                    with arguments.rows.open("a") as rows:
                        rows.write(f"{row}\n")


if __name__ == "__main__":
    main()
