"""Compare the times of the kernels in Chromium, in Node.js and in Python, and of torch.nn.LSTM, all on one thread.

    python benchmarks/browser.py [--settings "1 x 128" ...] [--seconds 20] [--write]

f is a forward pass that computes every signal (torch.nn returns h alone). In the browser it is that of the page for
one sequence, which copies the signals out of the memory of the kernels, and that of training for batches, which does
not. fb is a forward and backward pass from random gradients of h in the last layer. Float32; inputs are characters, or
vectors in the setting "100, 32, 32, 64". All candidates of a setting take turns in random order. A time is the median
over turns of the mean of a turn. Every candidate must first agree with ours in Python. Needs Node.js and the packages
of web/; Chromium is left out if there is none.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from engines_problem import disagreement
from machine import machine
from torch import Tensor, nn

from gatescope import CELLS
from gatescope.engine import Parameters, initialise, run
from gatescope.generator import Generator

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "browser.md"
CELL = CELLS["lstm"]
OURS, TORCH, NODE_PLAIN, NODE, CHROMIUM = "Python", "torch.nn", "Node", "Node, relaxed SIMD", "Chromium"
TOLERANCE, TURN_SECONDS, MIN_TURNS = 1e-4, 0.05, 5
AIMS = {True: 2.0, False: 3.5}  # browser / Python: one sequence, batches

Pass = Literal["f", "fb"]
PASSES: tuple[Pass, ...] = ("f", "fb")


@dataclass(frozen=True)
class Setting:
    """A stack of LSTM layers: T steps, B rows, I inputs, N neurons."""

    name: str
    layers: int
    steps: int
    rows: int
    inputs: int
    neurons: int
    vectors: bool = False


SETTINGS = (
    Setting("1 x 10", 1, 200, 1, 60, 10),
    Setting("1 x 128", 1, 200, 1, 60, 128),
    Setting("3 x 512", 3, 200, 1, 60, 512),
    Setting("counter's training step", 1, 21, 64, 4, 10),
    Setting("100, 32, 32, 64", 1, 100, 32, 32, 64, vectors=True),
)


@dataclass(frozen=True)
class Problem:
    """A setting with its numbers: ids (T, B) or vectors (T, B, I), the weights of each layer, and dL/dh (T, B, N)."""

    setting: Setting
    inputs: Tensor
    layers: list[Parameters]
    upstream: Tensor

    def to_json(self) -> dict[str, Any]:
        """Return the problem as web/benchmarks/timing.ts reads it."""
        sizes = {name: getattr(self.setting, name) for name in ("steps", "rows", "inputs", "neurons")}
        ids = not self.setting.vectors
        return dict(
            cell=CELL.name,
            **sizes,
            isSymbols=ids,
            input=_base64(self.inputs.to(torch.int32) if ids else self.inputs),
            layers=[
                {name.removesuffix("_weights"): _base64(values) for name, values in layer.by_name().items()}
                for layer in self.layers
            ],
            upstream=_base64(self.upstream),
        )


def _base64(values: Tensor) -> str:
    return base64.b64encode(values.detach().contiguous().numpy().tobytes()).decode()


def draw(setting: Setting) -> Problem:
    """Draw the numbers of a setting; the same at every call."""
    generator = torch.Generator().manual_seed(0)
    steps, rows, inputs, neurons = setting.steps, setting.rows, setting.inputs, setting.neurons
    layers = [
        initialise(CELL, inputs if layer == 0 else neurons, neurons, Generator(layer))
        for layer in range(setting.layers)
    ]
    vectors = torch.randn(steps, rows, inputs, generator=generator)
    ids = torch.randint(inputs, (steps, rows), generator=generator)
    for layer in layers:
        for values in layer.by_name().values():
            values.requires_grad_()
    upstream = torch.randn(steps, rows, neurons, generator=generator)
    return Problem(setting, vectors if setting.vectors else ids, layers, upstream)


class Ours:
    """The native engine in Python."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def values(self, kind: Pass) -> np.ndarray:
        """Run a pass; return h of the last layer (f) or the gradient of the input weights of the first (fb)."""
        problem = self._problem
        keep = CELL.signals if kind == "f" else ("h",)
        h = problem.inputs
        with torch.set_grad_enabled(kind == "fb"):
            for layer in problem.layers:
                h = run(CELL, layer, h, keep=keep, engine="native")[0]["h"]
        if kind == "f":
            return h.numpy()
        weights = [values for layer in problem.layers for values in layer.by_name().values()]
        gradients = torch.autograd.grad(h, weights, problem.upstream, allow_unused=True)
        return gradients[0].numpy()


class Torch:
    """torch.nn.LSTM with the same weights. Symbols are one-hot vectors, made beforehand."""

    def __init__(self, problem: Problem) -> None:
        setting = problem.setting
        self._module = nn.LSTM(setting.inputs, setting.neurons, setting.layers)
        for k, layer in enumerate(problem.layers):
            for name, values in dict(
                weight_ih=layer.input_weights, bias_ih=layer.biases, weight_hh=layer.recurrent_weights
            ).items():
                target = self._module.get_parameter(f"{name}_l{k}")
                target.data.copy_(values.detach().reshape(target.shape))
            self._module.get_parameter(f"bias_hh_l{k}").data.zero_()
        inputs = problem.inputs
        self._inputs = inputs if setting.vectors else nn.functional.one_hot(inputs, setting.inputs).float()
        self._upstream = problem.upstream

    def values(self, kind: Pass) -> np.ndarray:
        """Run a pass; see `Ours.values`."""
        with torch.set_grad_enabled(kind == "fb"):
            h = self._module(self._inputs)[0]
        if kind == "f":
            return h.numpy()
        return torch.autograd.grad(h, list(self._module.parameters()), self._upstream)[0].numpy()


Ask = Callable[[dict[str, Any]], Any]
"""Sends a call to web/benchmarks/timing.ts and returns its answer."""


@contextmanager
def node(program: Path) -> Iterator[Ask]:
    """Run the program in Node.js."""
    command = ["node", "--no-warnings", *_relaxed_flag(), str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(call: dict[str, Any]) -> Any:
            stdin.write(json.dumps(call) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield ask
        stdin.close()


def _relaxed_flag() -> list[str]:
    """Return the flag that Node 20 needs for relaxed SIMD, which later versions no longer know."""
    flag = "--experimental-wasm-relaxed-simd"
    known = subprocess.run(["node", "--v8-options"], capture_output=True, text=True, check=True).stdout
    return [flag] if flag in known else []


@contextmanager
def chromium(program: Path) -> Iterator[Ask]:
    """Run the program in a worker of a page in Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        page = browser.new_page()
        # A worker needs a page with an origin; nothing is requested from it.
        page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        page.goto("http://benchmark.invalid/")
        page.evaluate(
            """(source) => {
                const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
                const worker = new Worker(url, { type: 'module' })
                window.ask = (call) => new Promise((resolve) => {
                    worker.onmessage = ({ data }) => resolve(data)
                    worker.onerror = ({ message }) => resolve({ error: message })
                    worker.postMessage(call)
                })
            }""",
            program.read_text(encoding="utf-8"),
        )
        yield lambda call: page.evaluate("(call) => window.ask(call)", call)
        browser.close()


def turn(values: Callable[[], Any]) -> float:
    """Run a pass for the length of a turn, once untimed before; return the mean seconds of a call."""
    values()
    calls, start = 0, perf_counter()
    while True:
        values()
        calls += 1
        if (seconds := perf_counter() - start) >= TURN_SECONDS:
            return seconds / calls


def check(problem: Problem, browsers: dict[str, Ask], ours: Ours, torch_nn: Torch) -> None:
    """Compare every candidate with ours in Python.

    Raises:
        ValueError: a candidate computes something else, so that its time means nothing.
    """
    for kind in PASSES:
        expected = ours.values(kind).ravel()[-1000:]
        results = {TORCH: torch_nn.values(kind).ravel()[-1000:]}
        for name, ask in browsers.items():
            results[name] = np.array(ask({"call": "values", "pass": kind}))
        for name, values in results.items():
            difference = disagreement(values, expected)
            if not difference <= TOLERANCE:
                raise ValueError(f"{name}, {problem.setting.name}, {kind}: differs from ours by {difference:.1e}.")


def measure(setting: Setting, browsers: dict[str, Ask], seconds: float) -> dict[tuple[str, Pass], float]:
    """Time all candidates of a setting for about `seconds` in all; return seconds by candidate and pass."""
    problem = draw(setting)
    ours, torch_nn = Ours(problem), Torch(problem)
    for ask in browsers.values():
        ask({"call": "open", "problem": problem.to_json()})
    check(problem, browsers, ours, torch_nn)

    def in_browser(ask: Ask, kind: Pass) -> Callable[[], float]:
        return lambda: ask({"call": "turn", "pass": kind, "seconds": TURN_SECONDS})

    def in_python(candidate: Ours | Torch, kind: Pass) -> Callable[[], float]:
        return lambda: turn(lambda: candidate.values(kind))

    turns: dict[tuple[str, Pass], Callable[[], float]] = {}
    for kind in PASSES:
        turns[OURS, kind] = in_python(ours, kind)
        turns[TORCH, kind] = in_python(torch_nn, kind)
        turns |= {(name, kind): in_browser(ask, kind) for name, ask in browsers.items()}
    times: dict[tuple[str, Pass], list[float]] = {key: [] for key in turns}
    order, random, began = list(turns), Random(0), perf_counter()
    while min(map(len, times.values())) < MIN_TURNS or perf_counter() - began < seconds:
        random.shuffle(order)
        for key in order:
            times[key].append(turns[key]())
    return {key: median(of_key) for key, of_key in times.items()}


def table(results: dict[Setting, dict[tuple[str, Pass], float]]) -> list[str]:
    """Return a table of milliseconds, and of the ratios to the native engine in Python."""
    names = [name for name, kind in next(iter(results.values())) if kind == "f"]
    lines = ["| LSTM | pass | " + " | ".join(f"{name}, ms" for name in names) + " | browser / Python | aim |"]
    lines.append("|---|---|" + "---:|" * (len(names) + 2))
    for setting, times in results.items():
        for kind in PASSES:
            numbers = " | ".join(f"{1000 * times[name, kind]:.3g}" for name in names)
            fastest = times.get((CHROMIUM, kind), times[NODE, kind])
            ratio, aim = fastest / times[OURS, kind], AIMS[setting.rows == 1]
            lines.append(
                f"| {setting.name} | {kind} | {numbers} | {ratio:.2f} | {aim} {'yes' if ratio <= aim else 'NO'} |"
            )
    return lines


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--settings", nargs="+", default=names, choices=names)
    parser.add_argument("--seconds", type=float, default=20, help="time for each setting")
    parser.add_argument("--modules", type=Path, default=ROOT / "web/public", help="folder of the WebAssembly modules")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plain, relaxed = (
        base64.b64encode((arguments.modules / f"{name}.wasm").read_bytes()).decode()
        for name in ("kernels", "kernels-relaxed")
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        program = Path(folder) / "timing.mjs"
        build = ["scripts/web", "npx", "rolldown", "benchmarks/timing.ts", "--format", "esm", "--file", str(program)]
        subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        browsers = {NODE_PLAIN: stack.enter_context(node(program)), NODE: stack.enter_context(node(program))}
        if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
            browsers[CHROMIUM] = stack.enter_context(chromium(program))
        for name, ask in browsers.items():
            is_relaxed = ask({"call": "load", "plain": plain, "relaxed": plain if name == NODE_PLAIN else relaxed})
            print(f"{name}: {'relaxed' if is_relaxed is True and name != NODE_PLAIN else 'plain'} SIMD", flush=True)
        results = {}
        for setting in SETTINGS:
            if setting.name in arguments.settings:
                results[setting] = measure(setting, browsers, arguments.seconds)
                print("\n".join(table({setting: results[setting]})), flush=True)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    about = [machine(), "", f"Load averages at the end: {load}. {__doc__.split('f is a', 1)[0].strip()}"]
    lines = ["# The kernels in the browser", "", *about, "", *table(results)]
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
