"""Time `record` beside the forward pass, and a letter, a long text and a check beside each other in the explorer.

    python benchmarks/recording.py [--repeats 25] [--write]

The first table compares `record` without and with the self-check to the forward pass and readout of the same 200
characters: once as it is, and once with every signal and drive kept, as `record` keeps them. The calls take turns, and
the figures are medians of processor time, which other work on the machine distorts less than the time of day. The
second table shows what the server of the explorer does for one request:
processor time of all threads, and the peak of the anonymous memory of a fresh process.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from machine import machine

import gatescope
from gatescope import Network, Run, Vocabulary, record
from gatescope.explorer.memory import Memory
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.wire import TraceRequest
from gatescope.tasks import Adopted

RESULTS = Path(__file__).parent / "results" / "recording.md"
SIZES = ((10,), (128,), (512, 512, 512))
SHORT, LONG = 200, 20_000  # characters
POLL_SECONDS = 0.005


def source() -> str:
    """Return a text of code of LONG characters."""
    text = "".join(path.read_text() for path in sorted(Path(gatescope.__file__).parent.glob("*.py")))
    return text[:LONG]


def medians(calls: list[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the median milliseconds of processor time of each call; the calls take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats + 1):
        for call, seconds in zip(calls, times, strict=True):
            start = process_time()
            call()
            if repeat:  # the first round touches the memory
                seconds.append(process_time() - start)
    return [1000 * median(seconds) for seconds in times]


def ratios(sizes: tuple[int, ...], repeats: int) -> str:
    """Time the forward pass and `record` without and with the check; return a row of the table."""
    text = source()
    network = Network(Vocabulary.of(text), cell="lstm", neurons=list(sizes))
    ids = torch.from_numpy(network.configuration.vocabulary.encode(text[:SHORT])).long()[:, None]

    everything = [(*layer.cell.signals, *layer.cell.drives) for layer in network.configuration.layers]

    def forward(keep: list[tuple[str, ...]] | None) -> None:
        with torch.inference_mode():
            network(ids, keep=keep)

    calls = [
        lambda: forward(None),
        lambda: forward(everything),
        lambda: record(network, text[:SHORT], check=False),
        lambda: record(network, text[:SHORT]),
    ]
    alone, keeping, unchecked, checked = medians(calls, repeats)
    return (
        f"| {name_of(sizes)} | {alone:.2f} | {keeping:.2f} | {unchecked:.2f} | {checked:.2f} | "
        f"{unchecked / alone:.1f} | {checked / alone:.1f} | {unchecked / keeping:.1f} | {load()} |"
    )


def name_of(sizes: tuple[int, ...]) -> str:
    """Return the sizes of a network, as in 3 x 512."""
    return f"{len(sizes)} x {sizes[0]}"


def load() -> str:
    """Return the average number of running processes over the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def requests(folder: Path, sizes: tuple[int, ...], results: Any) -> None:
    """Send requests to a fresh recorder, as the page does; put a row of the table for each into a queue."""
    torch.set_num_threads(1)
    text = source()
    run, recorder, peak = Run(folder), Recorder(Memory()), [0.0]
    threading.Thread(target=_watch, args=(peak,), daemon=True).start()
    detail = {"signals": ("c",), "detail": 0}
    actions: list[tuple[str, Callable[[], Any]]] = [
        ("200 characters", lambda: _answer(recorder, run, text[:SHORT], **detail)),
        ("an appended letter", lambda: _answer(recorder, run, text[:SHORT] + "a", **detail)),
        ("its check", lambda: recorder.check(run, TraceRequest(text[:SHORT] + "a", **detail))),
    ]
    if len(sizes) > 1:
        actions += [
            ("19,999 characters", lambda: _answer(recorder, run, text[:-1], **detail)),
            ("an appended letter", lambda: _answer(recorder, run, text, **detail)),
            ("its check", lambda: recorder.check(run, TraceRequest(text, **detail))),
        ]
    for name, action in actions:
        peak[0], processor, start = 0.0, process_time(), perf_counter()
        action()
        seconds, processor = perf_counter() - start, process_time() - processor
        megabytes = max(peak[0], _anonymous_megabytes())
        results.put(
            f"| {name_of(sizes)} | {name} | {1000 * processor:,.0f} | {1000 * seconds:,.0f} | {megabytes:,.0f} | "
            f"{load()} |"
        )


def _answer(recorder: Recorder, run: Run, text: str, **fields: Any) -> None:
    recorder.answer(run, TraceRequest(text, **fields))[1].release()


def _watch(peak: list[float]) -> None:
    """Note the peak of the memory of this process until it ends."""
    pause = threading.Event()
    while not pause.wait(POLL_SECONDS):
        peak[0] = max(peak[0], _anonymous_megabytes())


def _anonymous_megabytes() -> float:
    """Return the anonymous memory of this process in megabytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def measure_requests(sizes: tuple[int, ...]) -> list[str]:
    """Send the requests from a process of their own; return the rows of the table."""
    vocabulary = Vocabulary.of(source())
    network = Network(vocabulary, cell="lstm", neurons=list(sizes))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        run = Run.create(folder, network.configuration, Adopted(vocabulary, "elsewhere", "a", ()), {})
        run.save_weights(network.state_dict(), 0)
        context = multiprocessing.get_context("spawn")
        results = context.SimpleQueue()
        process = context.Process(target=requests, args=(folder, sizes, results))
        process.start()
        process.join()
        rows = []
        while not results.empty():
            rows.append(results.get())
    return rows


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        "# Recordings: `record` and the explorer",
        "",
        f"`python benchmarks/recording.py --repeats {arguments.repeats}` on {machine()}. LSTMs that read characters.",
        "",
        f"Medians in milliseconds of processor time for {SHORT} characters; the calls take turns.",
        "",
        (
            "| network | forward and readout | the same, all signals and drives kept | `record` unchecked | "
            "`record` checked | unchecked to forward | checked to forward | unchecked to forward with all kept | load |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    print(*lines, sep="\n", flush=True)
    for sizes in SIZES:
        lines.append(ratios(sizes, arguments.repeats if len(sizes) == 1 else max(3, arguments.repeats // 5)))
        print(lines[-1], flush=True)
    head = [
        "",
        "Requests to the recorder of the explorer in a fresh process: one signal of all neurons, one neuron's detail.",
        "",
        "| network | request | processor ms | ms | peak MB | load |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    print(*head, sep="\n", flush=True)
    lines += head
    for sizes in SIZES:
        rows = measure_requests(sizes)
        print(*rows, sep="\n", flush=True)
        lines += rows
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
