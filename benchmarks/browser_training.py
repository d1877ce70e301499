"""Compare training in Node.js and in Chromium with training in Python, seed by seed.

    python benchmarks/browser_training.py [--tasks counter copy] [--seeds 5] [--write]

All train the network that the task recommends, with its settings, from the initial weights of the seed. Python draws
other batches than the page does, so the numbers of updates differ. The page trains through its worker, in stretches of
50 ms. Wall is the time from an empty worker to the last answer: loading the kernels included, the page itself not.
Needs Node.js; Chromium is left out if there is none.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from machine import machine
from playwright.sync_api import sync_playwright

from gatescope import TASKS, Settings, create_run, train
from gatescope.training import write_bundle

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "src" / "gatescope" / "explorer" / "static"
SCRIPT = ROOT / "web" / "benchmarks" / "training.js"
RESULTS = Path(__file__).parent / "results" / "browser_training.md"
NAMES = ("counter", "selective_counter", "state_memoriser", "copy")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

Row = dict[str, Any]
"""The "seed", the "updates", the "seconds" of training, the "wall" time and the "score" of one training."""


def train_in_python(name: str, seed: int) -> Row:
    """Train as `gatescope train` does."""
    task = TASKS[name]()
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(f"{folder}/run", task, settings=Settings.recommended(task, seed=seed))
        outcome = train(run)
    assert outcome.score is not None
    score = outcome.score.to_json()
    failure = score["details"].get("first_failure")
    return dict(
        seed=seed,
        updates=outcome.step,
        seconds=outcome.seconds,
        wall=None,
        score=dict(value=score["value"], firstFailure=failure),
    )


def train_in_node(bundle: Path, seeds: int) -> list[Row]:
    """Train in Node.js, one seed after the other."""
    command = ["node", str(SCRIPT), str(STATIC), str(bundle), str(seeds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; give its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the base class)
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def train_in_chromium(program: str, bundle: Path, seeds: int) -> list[Row]:
    """Train in Chromium, in a new worker for each seed."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for file in (*STATIC.glob("*.wasm"), STATIC / "worker.js", SCRIPT):
            shutil.copy(file, folder)
        shutil.copy(bundle, Path(folder) / "bundle.json")
        (Path(folder) / "index.html").write_text("<!doctype html><title>training</title>")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with served(Path(folder)) as address:
            page = browser.new_page()
            page.goto(address)
            results = page.evaluate(
                """async (seeds) => {
                    const { train } = await import('/training.js')
                    const bundle = await (await fetch('/bundle.json')).json()
                    const bytes = async (name) => (await fetch(`/${name}.wasm`)).arrayBuffer()
                    const kernels = async () =>
                      ({ plain: await bytes('kernels'), relaxed: await bytes('kernels-relaxed') })
                    const results = []
                    for (let seed = 0; seed < seeds; seed++)
                        results.push(await train(() => new Worker('/worker.js'), kernels, bundle, seed))
                    return results
                }""",
                seeds,
            )
        browser.close()
    return results


def row_text(name: str, where: str, row: Row) -> str:
    """Return a line of the table."""
    score, wall = row["score"], row["wall"]
    failure = score["firstFailure"]
    return (
        f"| {name} | {row['seed']} | {where} | {row['updates']} | {row['seconds']:.2f} | "
        f"{'' if wall is None else f'{wall:.2f}'} | {score['value']:.0%} | {'none' if failure is None else failure} |"
    )


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    lines = [
        "# Training in the browser, seed by seed",
        "",
        f"`python benchmarks/browser_training.py` on {machine()}.",
        "",
        "| task | seed | where | updates | seconds | wall, seconds | score | first failure |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    print(*lines, sep="\n")
    for name in arguments.tasks:
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle.json"
            write_bundle(bundle, TASKS[name]())
            rows = [("Python", train_in_python(name, seed)) for seed in range(arguments.seeds)]
            rows += [("Node", row) for row in train_in_node(bundle, arguments.seeds)]
            if program is not None:
                rows += [("Chromium", row) for row in train_in_chromium(program, bundle, arguments.seeds)]
        for where, row in sorted(rows, key=lambda item: item[1]["seed"]):
            lines.append(row_text(name, where, row))
            print(lines[-1], flush=True)
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
