"""Time reads of a trace on disk by gatescope and by the zarr library, from the same directory in the same run.

    python benchmarks/traces.py [--megabytes 300] [--write]

The trace has the six signals of an LSTM of 128 neurons in float16, for one long sequence. Its files are in the system's
cache, as after a first look. Each figure is the median of many reads at random places, with the two readers in turn.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import zarr
from machine import machine

from gatescope.cells import CELLS
from gatescope.storage import Writer, open_trace
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary

RESULTS = Path(__file__).parent / "results" / "traces.md"
NEURONS, SIGNALS = 128, "ifgoch"


def piece(steps: int, random: np.random.Generator) -> Trace:
    """Draw a recording of some steps; its values do not matter, since nothing is compressed."""
    token = np.zeros((1, steps), np.int32)
    return Trace(
        lengths=np.array([steps]),
        steps={"token": token},
        layers={"layer0": {name: random.random((1, steps, NEURONS), np.float32) for name in SIGNALS}},
        initial={"layer0": {name: np.zeros((1, NEURONS), np.float32) for name in "ch"}},
        parameters={"layer0": {}},
        attributes={
            "precision": "float32",
            "vocabulary": Vocabulary(("a",)).to_json(),
            "layers": {"layer0": {"cell": CELLS["lstm"].to_json(), "neurons": NEURONS, "arrays": {}}},
        },
    )


def milliseconds(reads: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the median milliseconds of each read; the reads take turns."""
    times: list[list[float]] = [[] for _ in reads]
    for _ in range(repeats):
        for read, seconds in zip(reads, times, strict=True):
            start = perf_counter()
            read()
            seconds.append(perf_counter() - start)
    return [1000 * median(seconds) for seconds in times]


def measure(folder: Path, size: int, megabytes: int) -> list[str]:
    """Write a trace in pieces of `size` steps and time its reads; return the rows of the table."""
    random = np.random.default_rng(0)
    count = max(1, round(megabytes * 1e6 / (2 * NEURONS * len(SIGNALS) * size)))
    steps, recording = count * size, piece(size, random)
    start = perf_counter()
    with Writer(folder) as writer:
        for _ in range(count):
            writer.append(recording)
    seconds = perf_counter() - start
    written = sum(file.stat().st_size for file in folder.rglob("c.*")) / 1e6
    ours, theirs = open_trace(folder), zarr.open_group(folder, mode="r")
    lines = [f"| {size:,} | write {written:.0f} MB, {steps:,} steps | {1000 * seconds:.0f} | | |"]

    def compare(question: str, a: Callable[[], Any], b: Callable[[], Any], repeats: int) -> None:
        mine, other = milliseconds([a, b], repeats)
        lines.append(f"| {size:,} | {question} | {mine:.2f} | {other:.1f} | {other / mine:.0f} |")
        print(lines[-1], flush=True)

    print(lines[-1], flush=True)
    c, z = ours["layer0"]["c"], theirs["layer0/c"]
    assert isinstance(z, zarr.Array)
    assert np.array_equal(c[0, :, 7], z[0, :, 7])
    neuron, step = (lambda: int(random.integers(NEURONS))), (lambda: int(random.integers(steps - 1000)))
    compare(f"one neuron, {steps:,} steps", lambda: c[0, :, neuron()], lambda: z[0, :, neuron()], 9)
    compare("one step, all neurons", lambda: c[0, step()], lambda: z[0, step()], 25)

    def window(array: Any, neuron: Any = slice(None)) -> Any:
        first = step()
        return array[0, first : first + 1000, neuron]

    compare("1,000 steps, all neurons", lambda: window(c), lambda: window(z), 25)
    compare("one neuron, 1,000 steps", lambda: window(c, 7), lambda: window(z, 7), 25)
    compare("open", lambda: open_trace(folder), lambda: zarr.open_group(folder, mode="r")["layer0/c"], 25)
    return lines


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    lines = [
        "# A trace on disk: our reader and the zarr library",
        "",
        (
            f"`python benchmarks/traces.py --megabytes {arguments.megabytes}` on {machine()}, zarr {zarr.__version__}. "
            "Milliseconds, medians; the files are in the system's cache."
        ),
        "",
        "| steps in a chunk | what | gatescope | zarr | ratio |",
        "| ---: | --- | ---: | ---: | ---: |",
    ]
    print(*lines, sep="\n")
    for size in (16384, 65536):
        with tempfile.TemporaryDirectory() as folder:
            lines += measure(Path(folder) / "trace", size, arguments.megabytes)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
