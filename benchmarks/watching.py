"""What it costs to watch a module of torch: a forward pass that is watched and all its signals, over a plain one.

    python benchmarks/watching.py [--sizes 100,100,87,128 ...] [--threads 1 2] [--seconds 6] [--write]

Float32, no gradients, random vectors. Watched is `with gatescope.watch(module) as watched: module(x)`; signals adds
`watched.calls("")[0].signals()`. They take turns with the plain pass; times are medians. Before they are measured, the
watched outputs have to be the plain ones bit for bit and the trace has to pass its check.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from engines_problem import Size
from engines_timing import measure
from machine import machine
from torch import nn

import gatescope
from gatescope.watching import Watched

RESULTS = Path(__file__).parent / "results" / "watching.md"
KINDS = ("LSTM", "GRU", "RNN")
SIZES = [
    Size(*size)
    for size in (
        (25, 64, 4, 10),
        (100, 32, 32, 64),
        (100, 100, 87, 128),
        (100, 100, 87, 256),
        (100, 100, 87, 512),
        (200, 8, 64, 256),
        (1000, 1, 87, 512),
        (2000, 1, 87, 128),
    )
]
MOST, TOLERANCE = 2.2, 1e-5


def compare(kind: str, size: Size, seconds: float) -> dict[str, float]:
    """Seconds of a plain pass, a watched one, and a watched one with signals.

    Raises:
        ValueError: watching changed an output, or the trace does not pass its check.
    """
    torch.manual_seed(0)
    module: Any = getattr(nn, kind)(size.inputs, size.neurons)
    inputs = torch.randn(size.steps, size.rows, size.inputs)

    def plain() -> Any:
        return module(inputs)

    def watched() -> Watched:
        with gatescope.watch(module) as found:
            module(inputs)
        return found

    def signals() -> Any:
        return watched().calls("")[0].signals()

    with torch.no_grad():
        before = plain()[0]
        with gatescope.watch(module) as found:
            after = module(inputs)[0]
        residual = found[""].attributes["residual"]
        if not torch.equal(before, after) or not residual <= TOLERANCE:
            raise ValueError(f"{kind} at {size}: the outputs changed, or the residual {residual:.1e} is too large.")
        timings = measure({"plain": plain, "watched": watched, "signals": signals}, seconds)
    return {name: timing.seconds for name, timing in timings.items()} | {"residual": residual}


def main() -> None:
    """Measure, print, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: Size(*map(int, text.split(","))), nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=6, help="of each size, module and number of threads")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    lines = [
        "# Watching modules of torch",
        "",
        f"`python benchmarks/watching.py` on {machine()}; threads as said.",
        "",
        (
            "Milliseconds of a plain forward pass; over it, one that is watched, and one that is watched with all its "
            f"signals taken, which for the LSTM has to be at most {MOST}. The residual is that of the trace's check."
        ),
    ]
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        lines += ["", f"## {threads} thread{'s' if threads > 1 else ''}", ""]
        lines += [
            "| module | T, B, I, N | plain, ms | watched | with signals | residual |",
            "| --- | --- " + "| ---: " * 4 + "|",
        ]
        for kind in arguments.kinds:
            for size in arguments.sizes:
                taken = compare(kind, size, arguments.seconds)
                ratio = taken["signals"] / taken["plain"]
                missed = " **missed**" if kind == "LSTM" and ratio > MOST else ""
                lines.append(
                    f"| {kind} | {', '.join(map(str, size))} | {1000 * taken['plain']:.3f} | "
                    f"{taken['watched'] / taken['plain']:.2f} | {ratio:.2f}{missed} | {taken['residual']:.1e} |"
                )
                print(lines[-1], flush=True)
    print(*lines, sep="\n")
    if arguments.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
