"""Time a watched forward pass of a torch module, with and without its signals, against a plain one.

    python benchmarks/watching.py [--sizes 100,100,87,128 ...] [--threads 1 2] [--seconds 6] [--write]

Float32, no gradients, random vectors. "Watched" is `with gatescope.watch(module) as watched: module(x)`; "signals" adds
`watched.calls("")[0].signals()`. The three take turns, and times are medians. Before timing, the watched outputs must
equal the plain ones bit for bit, and the trace must pass its check.
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
MAX_RATIO, TOLERANCE = 2.2, 1e-5


def compare(kind: str, size: Size, seconds: float) -> dict[str, float]:
    """Time a plain pass, a watched pass, and a watched pass with signals, in seconds.

    Raises:
        ValueError: watching changed an output, or the trace does not pass its check.
    """
    torch.manual_seed(0)
    module: Any = getattr(nn, kind)(size.inputs, size.neurons)
    inputs = torch.randn(size.steps, size.rows, size.inputs)

    def plain() -> Any:
        return module(inputs)

    def watched() -> Watched:
        with gatescope.watch(module) as recorded:
            module(inputs)
        return recorded

    def signals() -> Any:
        return watched().calls("")[0].signals()

    with torch.no_grad():
        before = plain()[0]
        with gatescope.watch(module) as recorded:
            after = module(inputs)[0]
        residual = recorded[""].attributes["residual"]
        if not torch.equal(before, after) or not residual <= TOLERANCE:
            raise ValueError(f"{kind} at {size}: the outputs changed, or the residual {residual:.1e} is too large.")
        timings = measure({"plain": plain, "watched": watched, "signals": signals}, seconds)
    return {name: timing.seconds for name, timing in timings.items()} | {"residual": residual}


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=lambda text: Size(*map(int, text.split(","))), nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=6, help="time for each size, module and number of threads")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    lines = [
        "# Watching modules of torch",
        "",
        f"`python benchmarks/watching.py` on {machine()}; the number of threads is above each table.",
        "",
        (
            "Milliseconds of a plain forward pass, and the ratios of a watched pass and of a watched pass with all its "
            f"signals; for the LSTM the latter must be at most {MAX_RATIO}. The residual is that of the trace's check."
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
                missed = " **missed**" if kind == "LSTM" and ratio > MAX_RATIO else ""
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
