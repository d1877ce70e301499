"""Compare the times of the native engine and its peers, in one run.

    python benchmarks/engines.py [--quick] [--sizes 100,100,87,128 ...] [--cells lstm ...] [--peers JAX ...]
                                 [--seconds 60] [--allocator] [--write]

f is a forward pass without gradients. fb is a forward and backward pass with random gradients of every output: every
signal of our engine, the loops and JAX, and h of peers that return h alone. Inputs are random float32 vectors. All
candidates of one size and cell take turns, and times are medians. Before timing, every candidate must agree with ours.
The report names peers that are not installed (pip install 'gatescope[benchmarks]').
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import engines_report as report
import numpy as np
import peers_jax
import peers_onnx
import peers_torch
import torch
from engines_problem import Candidate, Problem, Size, array, disagreement, ours, problem
from engines_timing import bind, measure, memory, peaks
from machine import machine

from gatescope import CELLS

RESULTS = Path(__file__).parent / "results" / "engines.md"
TOLERANCE, GRADIENT_TOLERANCE, BLACK_BOX_TOLERANCE = 1e-4, 1e-3, 1e-5
# With these, glibc keeps freed memory for the next call instead of returning it to the system.
RETAINING = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def peers(threads: int) -> dict[str, Callable[[Problem], Candidate | None]]:
    """Return name -> function that makes a candidate, for every peer."""
    return {
        "torch.nn": peers_torch.module,
        "nn cell loop": peers_torch.cell_module,
        "step loop": peers_torch.step_loop,
        "torch.compile": peers_torch.compiled,
        "JAX": peers_jax.scan,
        "onnxruntime": partial(peers_onnx.onnx_runtime, threads=threads),
        "OpenVINO": partial(peers_onnx.openvino, threads=threads),
    }


def candidates(problem: Problem, arguments: argparse.Namespace, missing: set[str]) -> list[Candidate]:
    """Return our candidates, then those of the peers that have this cell.

    Names of peers that are not installed are added to `missing`.
    """
    available = [ours(problem, arguments.engine, True), ours(problem, arguments.engine, False)]
    for name, make in peers(arguments.threads).items():
        if name in arguments.peers and name not in missing:
            try:
                candidate = make(problem)
            except ImportError as error:
                missing.add(name)
                print(f"{name} is left out: {error}", flush=True)
                continue
            if candidate:
                available.append(candidate)
    return available


def check(problem: Problem, candidates: list[Candidate]) -> None:
    """Compare every candidate's signals and gradient of the input weights with ours.

    Raises:
        ValueError: a candidate computes something else, so that its time means nothing.
    """
    with warnings.catch_warnings():
        # Our engine warns when it falls back to another engine, whose time would be measured by mistake.
        warnings.simplefilter("error")
        expected = {name: array(values).copy() for name, values in candidates[0].forward().items()}
    gradients: dict[bool, np.ndarray] = {}
    where = f"{problem.cell.name} at {problem.size}"
    for candidate in candidates:
        start = perf_counter()
        results = candidate.forward()
        if candidate.every_signal and set(results) != set(expected):
            raise ValueError(f"{candidate.name}, {where}: expected {sorted(expected)}, got {sorted(results)}.")
        for name, values in results.items():
            difference = disagreement(values, expected[name])
            if difference > TOLERANCE:
                raise ValueError(f"{candidate.name}, {where}: {name} differs from ours by up to {difference:.1e}.")
        if candidate.both is not None:
            gradient = array(candidate.both()).copy()
            expected_gradient = gradients.setdefault(candidate.every_signal, gradient)  # ours is the first
            difference = float(
                np.abs(gradient.reshape(expected_gradient.shape) - expected_gradient).max()
                / np.abs(expected_gradient).max()
            )
            if not difference <= GRADIENT_TOLERANCE:
                raise ValueError(
                    f"{candidate.name}, {where}: its gradient differs from ours by {difference:.1e} of its size."
                )
        if perf_counter() - start > 5:
            print(f"{candidate.name}, {where}: {perf_counter() - start:.0f} s until the first results", flush=True)
    reference = next((candidate for candidate in candidates if candidate.name == "torch.nn"), None)
    for candidate in candidates:
        if reference and candidate.name in report.BLACK_BOXES:
            difference = disagreement(candidate.forward()["h"], array(reference.forward()["h"]))
            if difference > BLACK_BOX_TOLERANCE:
                raise ValueError(f"{candidate.name}, {where}: h differs from torch.nn's by up to {difference:.1e}.")


def compare(size: Size, cell: str, arguments: argparse.Namespace, missing: set[str]) -> list[report.Record]:
    """Time all candidates of one size and cell; return their records."""
    cell_problem = problem(cell, size)
    compared = candidates(cell_problem, arguments, missing)
    check(cell_problem, compared)
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    for candidate in compared:
        calls[candidate.name, "f"] = candidate.forward
        if candidate.both is not None:
            calls[candidate.name, "fb"] = candidate.both
    timings = measure(calls, arguments.seconds / len(arguments.cells))
    print(f"{size}: {cell}", flush=True)
    for kind in ("f", "fb"):
        our_seconds = timings["ours", kind].seconds
        peers_seconds = {name: t.seconds for (name, timed), t in timings.items() if timed == kind and name != "ours"}
        ratios = ", ".join(f"{name} {seconds / our_seconds:.2f}" for name, seconds in peers_seconds.items())
        print(f"  {kind:2} {1000 * our_seconds:8.3f} ms; theirs / ours: {ratios}", flush=True)
    return [
        dict(size=size, cell=cell, candidate=name, seconds=timing.seconds, calls=timing.calls, faults=timing.faults)
        | {"pass": kind}
        for (name, kind), timing in timings.items()
    ]


def memories(arguments: argparse.Namespace) -> list[report.Record]:
    """Measure the peak memory of the cells that torch.nn has."""
    records = []
    for size in arguments.sizes:
        for cell in (cell for cell in arguments.cells if cell in report.MODULE_CELLS):
            peak_bytes = {
                name: memory(name, cell, size, arguments.engine, arguments.threads) for name in ("ours", "torch.nn")
            }
            if None not in peak_bytes.values():
                records.append(dict(size=size, cell=cell, **peak_bytes))
    return records


def with_retaining_allocator(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run this script in a process whose allocator keeps freed memory; return its results."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, __file__, "--json", str(file), "--no-memory", "--seconds", str(arguments.seconds)]
        command += ["--engine", arguments.engine, "--threads", str(arguments.threads)]
        command += ["--sizes", *(",".join(map(str, size)) for size in arguments.sizes)]
        command += ["--cells", *arguments.cells, "--peers", *arguments.peers]
        # Its output goes to stderr, because our report prints its tables again.
        subprocess.run(command, check=True, env=os.environ | RETAINING, stdout=sys.stderr)
        return json.loads(file.read_text())


def versions(missing: set[str], arguments: argparse.Namespace) -> str:
    """Return the versions of the optional peers as text, and the names of missing peers."""
    packages = {"JAX": ["jax"], "onnxruntime": ["onnxruntime", "onnx"], "OpenVINO": ["openvino"]}
    installed = []
    for package in (p for peer, of_peer in packages.items() if peer in arguments.peers for p in of_peer):
        try:
            installed.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            installed.append(f"no {package}")
    absent = f"; not installed, so left out: {', '.join(sorted(missing))}" if missing else ""
    return (", ".join(installed) or "no optional peers") + absent


def document(data: dict[str, Any], retained: dict[str, Any] | None) -> list[str]:
    """Return the lines of the report.

    Args:
        data: the results of this process: "about", "peaks", "records" and "memory".
        retained: the results with the allocator that keeps freed memory; None: not measured.
    """
    results, peak_rates = report.Results(data["records"]), data["peaks"]
    lines = ["# The engine and its peers", "", *data["about"], "", "## Targets", ""]
    lines += [*report.reached(results), *report.further(results, peak_rates)]
    if retained:
        retained_results = report.Results(retained["records"])
        settings = " ".join(f"{name}={value}" for name, value in RETAINING.items())
        lines += ["## With an allocator that keeps freed memory", "", f"The same again with `{settings}`.", ""]
        lines += [*report.reached(retained_results), *report.further(retained_results, retained["peaks"])]
        lines += ["Most page faults per call over all cells and passes. With the system's usual allocator:", ""]
        lines += [*report.page_faults(results), "With the allocator that keeps memory:", ""]
        lines += report.page_faults(retained_results)
    lines += [
        "## Everything",
        "",
        "Milliseconds, and (their time over ours).",
        "",
        *report.details(results, peak_rates),
    ]
    if data["memory"]:
        lines += ["## Memory", "", "Megabytes that the first fb adds at its peak, each in a fresh process.", ""]
        lines += report.memory_table(data["memory"])
    return lines


def about(arguments: argparse.Namespace, missing: set[str], cores: str, peak_rates: dict[str, float]) -> list[str]:
    """Return the lines that describe machine, versions and conditions; `cores` is the description of `bind`."""
    rates = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peak_rates.items())
    threads = f"{arguments.threads} thread{'s' if arguments.threads > 1 else ''}"
    command = " ".join(["python benchmarks/engines.py", *sys.argv[1:]])
    return [
        f"`{command}` on {machine()}. Peers: {versions(missing, arguments)}.",
        "",
        (
            f"Engine {arguments.engine!r}, float32, {threads}: torch by set_num_threads, onnxruntime by "
            "intra_op_num_threads, OpenVINO by INFERENCE_NUM_THREADS (latency hint, f32), JAX by NPROC; "
            f"{cores}. Peaks in this run: {rates}."
        ),
        "",
        (
            "f: forward without gradients. fb: forward and backward, with gradients of every signal that is kept; of h "
            "alone for torch.nn, the loop over torch.nn's cell and our h-only mode. Operations are those of the matrix "
            f"products. torch.compile gets the whole loop up to {peers_torch.WHOLE_LOOP} steps, beyond that one step. "
            "The hand-written loops compute everything that needs no state before the loop: feedforward has no loop, "
            "and mingru's loop computes only h."
        ),
    ]


def size(text: str) -> Size:
    """Parse a size such as 100,100,87,128."""
    return Size(*(int(number) for number in text.split(",")))


def parse() -> argparse.Namespace:
    """Parse the command line."""
    names = list(peers(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=size, default=list(report.TARGETS), metavar="T,B,I,N")
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=list(CELLS), metavar="CELL")
    parser.add_argument("--peers", nargs="*", choices=names, default=names, metavar="PEER", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=60.0, help="time for each size, about")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--engine", default="native")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes, 5 seconds each, no torch.compile")
    parser.add_argument("--allocator", action="store_true", help="repeat with an allocator that keeps freed memory")
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.sizes, arguments.seconds = arguments.sizes[:2], min(arguments.seconds, 5.0)
        arguments.peers = [name for name in arguments.peers if name != "torch.compile"]
    return arguments


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    arguments = parse()
    cores = bind(arguments.threads)
    torch.set_num_threads(arguments.threads)
    missing: set[str] = set()
    peak_rates = peaks(arguments.threads)
    memory_records = [] if arguments.no_memory else memories(arguments)
    records = [
        r for size in arguments.sizes for cell in arguments.cells for r in compare(size, cell, arguments, missing)
    ]
    data = dict(
        about=about(arguments, missing, cores, peak_rates), peaks=peak_rates, records=records, memory=memory_records
    )
    retained = with_retaining_allocator(arguments) if arguments.allocator else None
    lines = document(data, retained)
    print(*lines, sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(data | dict(retained=retained), indent=1))
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
