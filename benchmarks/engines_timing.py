"""How long calls take that are to be compared, what memory they need, and what the processor could do at most."""

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

SHORT, TURN = 0.05, 0.02  # seconds: a call under SHORT is repeated for TURN whenever its turn comes
FEWEST, MOST = 5, 500  # turns of each candidate
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux


@dataclass(frozen=True)
class Timing:
    """The median of a call's seconds, how often it was measured, and its page faults per call."""

    seconds: float
    calls: int
    faults: float


def faults() -> int:
    """Pages that this process had to be given by the system so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def measure(calls: Mapping[Any, Callable[[], Any]], seconds: float) -> dict[Any, Timing]:
    """Time calls that take turns, in an order that is drawn anew every time, for about this long in all.

    A short call is first made once unmeasured whenever its turn comes, so that nobody pays for the cache and the
    sleeping threads that the one before has left behind. The results are dropped within the measured time.
    """
    expected: dict[Any, float] = {}
    for key, call in calls.items():
        call()
        start = perf_counter()
        call()
        expected[key] = perf_counter() - start
    found: dict[Any, list[float]] = {key: [] for key in calls}
    pages = dict.fromkeys(calls, 0)
    order, random, began = list(calls), Random(0), perf_counter()
    gc.collect()
    gc.disable()
    try:
        for turn in range(MOST):
            if turn >= FEWEST and perf_counter() - began > seconds:
                break
            random.shuffle(order)
            for key in order:
                short = expected[key] < SHORT
                if short:
                    calls[key]()
                before = faults()
                for _ in range(max(1, round(TURN / expected[key])) if short else 1):
                    start = perf_counter()
                    calls[key]()
                    found[key].append(perf_counter() - start)
                pages[key] += faults() - before
    finally:
        gc.enable()
    return {key: Timing(median(taken), len(taken), pages[key] / len(taken)) for key, taken in found.items()}


def peaks(threads: int) -> dict[str, float]:
    """Floating-point operations per second at most: of torch's matrix product, and of our engine's bare FMA loop."""
    n = 4096
    a, b, c = torch.rand(n, n), torch.rand(n, n), torch.empty(n, n)
    taken = []
    for _ in range(6):
        start = perf_counter()
        torch.mm(a, b, out=c)
        taken.append(perf_counter() - start)
    found = {"sgemm": 2 * n**3 / min(taken)}
    with suppress(ImportError, AttributeError):  # an installation without the native engine
        from gatescope.engine import _native  # noqa: PLC0415  # pyright: ignore[reportAttributeAccessIssue]

        found["FMA"] = max(_native.peak(threads, 0.2) for _ in range(6))
    return found


def memory(who: str, cell: str, size: Size, engine: str, threads: int) -> float | None:
    """The bytes that the first forward and backward of "ours" or "torch.nn" add at their peak, in a fresh process.

    None where the system has no /proc to ask. (The ru_maxrss of getrusage begins at that of the parent process.)
    """
    if not CLEAR.exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_memory, who, cell, size, engine, threads).result()


def _memory(who: str, cell: str, size: Size, engine: str, threads: int) -> float:
    torch.set_num_threads(threads)

    def call(size: Size) -> Callable[[], Any]:
        given = problem(cell, size)
        candidate = ours(given, engine, True) if who == "ours" else peers_torch.module(given)
        assert candidate is not None
        assert candidate.both is not None
        return candidate.both

    call(size._replace(steps=1))()  # libraries and threads
    both = call(size)
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc's: what is free already would hide what is needed
        CDLL(None).malloc_trim(0)
    CLEAR.write_text("5")  # the peak so far is forgotten
    before = _peak()
    both()
    return _peak() - before


def _peak() -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return 1024 * float(line.split()[1])


def bind(threads: int) -> str:
    """Confine this process to as many cores as there are threads, so that no library can use more; says what was done.

    Of processors that share a core only one is used, as long as there are enough cores.
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
