"""Time the training in the page beside Python and TensorFlow.js: updates per second of the same LSTM.

    npm install --prefix FOLDER @tensorflow/tfjs @tensorflow/tfjs-backend-wasm
    python benchmarks/playground.py --tensorflow FOLDER [--rounds 5] [--write]

Every update reads a batch of 32 strings a^10 X b^10, one-hot, through one LSTM layer and a readout: forward pass,
backward pass and a step of Adam, float32. The page trains in its worker. Python is `gatescope.training.Loop` with one
torch thread, with the native and with the plain engine. TensorFlow.js is the peer of the page alone: `layers.lstm`,
`dense` and `trainOnBatch`, with its CPU and its WASM back end; a back end that cannot train is reported with its error.
All take turns, for a second each; the table has medians over the rounds. Needs Chromium.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import torch
from browser_training import CHROMIUM, STATIC, served
from machine import machine
from playwright.sync_api import Page, sync_playwright

from gatescope import Network, Settings, configure
from gatescope.tasks import Counter
from gatescope.training import Loop, bundle

SCRIPT = Path(__file__).parent.parent / "web" / "benchmarks" / "playground.js"
RESULTS = Path(__file__).parent / "results" / "playground.md"
STRING, BATCH, RATE = "a" * 10 + "X" + "b" * 10 + "\n", 32, 0.02
SIZES = (10, 128)
PACKAGE = Path("node_modules") / "@tensorflow"
MILLISECONDS = 1000
PAGE, NATIVE, PLAIN = "the page (WebAssembly)", "Python, native engine", "Python, plain engine"
PEERS = {"cpu": "TensorFlow.js, CPU", "wasm": "TensorFlow.js, WASM"}

Timed = Callable[[], float]
"""Trains for about a second and returns updates per second."""


class OneString(Counter):
    """The counter, whose every string is the same: each update then does the same work."""

    name: ClassVar[str] = "counter"

    def draw(self, random: np.random.Generator, count: int) -> list[str]:
        """Return the string `count` times."""
        return [STRING] * count


class PlainNetwork(Network):
    """A network that the plain engine runs."""

    def forward(self, *arguments: Any, **settings: Any) -> Any:
        """Run with the plain engine."""
        return super().forward(*arguments, **{**settings, "engine": "plain"})


def in_python(kind: type[Network], neurons: int) -> Timed:
    """Return the training in Python."""
    task = OneString(batch=BATCH)
    loop = Loop(kind(configure(task.vocabulary, "lstm", (neurons,)), 0), task, Settings(10**6, learning_rate=RATE))
    for _ in range(3):
        loop.update()

    def timed() -> float:
        began, updates = perf_counter(), 0
        while perf_counter() - began < MILLISECONDS / 1000:
            loop.update()
            updates += 1
        return updates / (perf_counter() - began)

    return timed


def in_page(page: Page, name: str, make: str, *values: Any) -> Timed:
    """Return a training in the page, which `make` begins."""
    page.evaluate(f"async (values) => {{ globalThis['{name}'] = await ({make})(...values) }}", list(values))
    return lambda: float(page.evaluate(f"(milliseconds) => globalThis['{name}'](milliseconds)", MILLISECONDS))


def measure(page: Page, neurons: int, rounds: int, has_peer: bool) -> dict[str, list[float] | str]:
    """Return the updates per second of every round, or the error of a back end that cannot train."""
    task = OneString(batch=BATCH)
    document = bundle(Counter())
    document["training"] |= {"strings": {"text": [STRING]}, "weights": None}
    document["suggested"]["recipe"] |= {"batch": BATCH, "steps": 10**6, "validate_every": 10**6, "until_solved": False}
    network = configure(task.vocabulary, "lstm", (neurons,)).to_json()
    ours = "async (...values) => (await import('/playground.js')).ours(...values)"
    timed: dict[str, Timed] = {
        PAGE: in_page(page, "ours", ours, document, network),
        NATIVE: in_python(Network, neurons),
        PLAIN: in_python(PlainNetwork, neurons),
    }
    results: dict[str, list[float] | str] = {}
    about = {
        "neurons": neurons,
        "symbols": task.vocabulary.size,
        "ids": task.vocabulary.encode(STRING).tolist(),
        "batch": BATCH,
        "rate": RATE,
    }
    for backend, name in PEERS.items() if has_peer else ():
        peer = "async (...values) => (await import('/playground.js')).tensorflow(...values)"
        try:
            timed[name] = in_page(page, backend, peer, backend, about)
        except Exception as error:  # noqa: BLE001 (whatever the peer raises is its result)
            results[name] = str(error).splitlines()[0]
    for name in timed:
        results[name] = []
    for _ in range(rounds):
        for name, second in timed.items():
            values = results[name]
            assert isinstance(values, list)
            values.append(second())
    return results


def folder_of(parent: Path, tensorflow: Path | None) -> None:
    """Put the files of the page into a folder."""
    for file in (*STATIC.glob("*.wasm"), STATIC / "worker.js", SCRIPT):
        shutil.copy(file, parent)
    scripts = ""
    if tensorflow is not None:
        packages = tensorflow / PACKAGE
        for file in ("tfjs/dist/tf.min.js", "tfjs-backend-wasm/dist/tf-backend-wasm.min.js"):
            shutil.copy(packages / file, parent)
            scripts += f'<script src="/{Path(file).name}"></script>'
        for file in (packages / "tfjs-backend-wasm" / "dist").glob("*.wasm"):
            shutil.copy(file, parent)
    (parent / "index.html").write_text(f"<!doctype html><title>training</title>{scripts}", encoding="utf-8")


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensorflow", type=Path, help="the folder in which npm installed TensorFlow.js")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        parser.error("Chromium: expected it on the PATH, got none. Install it.")
    about = (
        f"`python benchmarks/playground.py --tensorflow FOLDER` on {machine()}. A batch of {BATCH} strings of "
        f"{len(STRING)} symbols, one LSTM layer; median, smallest and largest of {arguments.rounds} rounds."
    )
    lines = [
        "# Training in the page: updates per second",
        "",
        about,
        "",
        "| neurons | where | updates a second | smallest | largest | the page is faster by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    print(*lines, sep="\n")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder_of(Path(folder), arguments.tensorflow)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with served(Path(folder)) as address:
            for neurons in SIZES:
                page = browser.new_page()
                page.goto(address)
                results = measure(page, neurons, arguments.rounds, arguments.tensorflow is not None)
                page.close()
                ours = results[PAGE]
                assert isinstance(ours, list)
                for name, values in results.items():
                    if isinstance(values, str):
                        line = f"| {neurons} | {name} | cannot train: {values} | | | |"
                    else:
                        ratio = median(ours) / median(values)
                        line = (
                            f"| {neurons} | {name} | {median(values):,.0f} | {min(values):,.0f} | {max(values):,.0f} | "
                            f"{'' if name == PAGE else f'{ratio:.1f}'} |"
                        )
                    lines.append(line)
                    print(line, flush=True)
        browser.close()
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
