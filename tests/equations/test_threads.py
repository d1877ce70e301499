"""Cells are traced and differentiated in several threads at once: the explorer answers each request in its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from gatescope import CELLS
from gatescope.equations import forward
from gatescope.equations.expression import leaf, operation, tracing


def test_tracing_in_another_thread_leaves_this_one_alone() -> None:
    """While a function is traced, another thread traces one of its own: neither sees the other's quantities."""
    begun, done = threading.Event(), threading.Event()

    def other() -> str:
        with tracing():
            value = leaf("drive", "x.other")
            begun.set()
            done.wait()
            return repr(operation("add", value, 1.0).arguments[0])

    with ThreadPoolExecutor(1) as pool, tracing():
        here = leaf("drive", "x.here")
        waiting = pool.submit(other)
        begun.wait()
        try:
            assert operation("multiply", here, 2.0).arguments[0] is here
        finally:
            done.set()
        assert waiting.result() == "<x.other>"


def test_forward_derivatives_in_many_threads_are_those_of_one() -> None:
    tapes = [CELLS[name].tape for name in ("lstm", "gru", "slstm", "mingru")] * 4
    expected = [forward(tape).slopes for tape in tapes]
    with ThreadPoolExecutor(8) as pool:
        assert [one.slopes for one in pool.map(forward, tapes)] == expected
