"""Timing of calls that take turns, their peak memory, and the peak rate of the processor."""

import gc
import os
import resource
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from ctypes import CDLL
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import peers_torch
import torch
from engines_problem import Size, ours, problem

SHORT_SECONDS, TURN_SECONDS = 0.05, 0.02  # a shorter call is repeated for the length of a turn
MIN_TURNS, MAX_TURNS = 5, 500  # of each candidate
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux


@dataclass(frozen=True)
class Timing:
    """The median seconds of a call, the number of measurements, and the page faults per call."""

    seconds: float
    calls: int
    faults: float


def faults() -> int:
    """Return the number of page faults of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def measure(calls: Mapping[Any, Callable[[], Any]], seconds: float) -> dict[Any, Timing]:
    """Time calls that take turns in random order, for about `seconds` in all.

    A short call first runs once untimed in each turn, so that it does not pay for the cache and the sleeping threads
    that the previous call left. The timed part includes freeing the results.
    """
    expected: dict[Any, float] = {}
    for key, call in calls.items():
        call()
        start = perf_counter()
        call()
        expected[key] = perf_counter() - start
    times: dict[Any, list[float]] = {key: [] for key in calls}
    pages = dict.fromkeys(calls, 0)
    order, random, began = list(calls), Random(0), perf_counter()
    gc.collect()
    gc.disable()
    try:
        for turn in range(MAX_TURNS):
            if turn >= MIN_TURNS and perf_counter() - began > seconds:
                break
            random.shuffle(order)
            for key in order:
                short = expected[key] < SHORT_SECONDS
                if short:
                    calls[key]()
                before = faults()
                for _ in range(max(1, round(TURN_SECONDS / expected[key])) if short else 1):
                    start = perf_counter()
                    calls[key]()
                    times[key].append(perf_counter() - start)
                pages[key] += faults() - before
    finally:
        gc.enable()
    return {
        key: Timing(median(seconds_taken), len(seconds_taken), pages[key] / len(seconds_taken))
        for key, seconds_taken in times.items()
    }


def peaks(threads: int) -> dict[str, float]:
    """Measure the peak floating-point operations per second of torch's matrix product and of our bare FMA loop."""
    n = 4096
    a, b, c = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
    seconds_taken = []
    for _ in range(6):
        start = perf_counter()
        torch.mm(a, b, out=c)
        seconds_taken.append(perf_counter() - start)
    rates = {"sgemm": 2 * n**3 / min(seconds_taken)}
    with suppress(ImportError, AttributeError):  # an installation without the native engine
        from gatescope.engine import _native  # noqa: PLC0415  # pyright: ignore[reportAttributeAccessIssue]

        rates["FMA"] = max(_native.peak(threads, 0.2) for _ in range(6))
    return rates


def memory(library: str, cell: str, size: Size, engine: str, threads: int) -> float | None:
    """Measure the bytes that the first forward and backward pass adds at its peak, in a fresh process.

    Args:
        library: "ours" or "torch.nn".
        cell: the name of the cell.
        size: the size of the problem.
        engine: our engine.
        threads: the threads of torch and of our engine.

    Returns:
        None on a system without /proc. (The ru_maxrss of getrusage starts at that of the parent process.)
    """
    if not CLEAR.exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_memory, library, cell, size, engine, threads).result()


def _memory(library: str, cell: str, size: Size, engine: str, threads: int) -> float:
    torch.set_num_threads(threads)

    def call(size: Size) -> Callable[[], Any]:
        cell_problem = problem(cell, size)
        candidate = ours(cell_problem, engine, True) if library == "ours" else peers_torch.module(cell_problem)
        assert candidate is not None
        assert candidate.both is not None
        return candidate.both

    call(size._replace(steps=1))()  # load libraries and start threads
    forward_and_backward = call(size)
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc only: memory that is already free would hide the need for more
        CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")  # reset the peak
    before = _peak()
    forward_and_backward()
    return _peak() - before


def _peak() -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return 1024 * float(line.split()[1])


def bind(threads: int) -> str:
    """Confine this process to as many cores as threads, so that no library uses more; return a description.

    Of processors that share a core, only one is used while there are enough cores.
    """
    os.environ["NPROC"] = str(threads)  # the number of threads of JAX's processor client
    if not hasattr(os, "sched_setaffinity"):
        return "this system cannot confine a process to some cores, so JAX may use all of them"
    allowed = sorted(os.sched_getaffinity(0))
    if threads >= len(allowed):
        return f"all {len(allowed)} available processors are used"

    def second(processor: int) -> bool:
        siblings = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        return siblings.exists() and siblings.read_text().replace("-", ",").split(",")[0].strip() != str(processor)

    chosen = sorted(allowed, key=second)[:threads]
    os.sched_setaffinity(0, chosen)
    return f"the process was confined to processors {', '.join(map(str, chosen))}"
