"""Tracing and differentiating in several threads at once, as the explorer does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from gatescope import CELLS
from gatescope.equations import forward
from gatescope.equations.symbolic import leaf, operation, tracing


def test_tracing_in_two_threads_is_independent() -> None:
    """Two threads that trace at the same time do not see each other's quantities."""
    begun, done = threading.Event(), threading.Event()

    def other() -> str:
        with tracing():
            value = leaf("drive", "x.other")
            begun.set()
            done.wait()
            return repr(operation("add", value, 1.0).arguments[0])

    with ThreadPoolExecutor(1) as pool, tracing():
        own = leaf("drive", "x.own")
        waiting = pool.submit(other)
        begun.wait()
        try:
            assert operation("multiply", own, 2.0).arguments[0] is own
        finally:
            done.set()
        assert waiting.result() == "<x.other>"


def test_forward_derivatives_in_threads_are_the_same() -> None:
    tapes = [CELLS[name].tape for name in ("lstm", "gru", "slstm", "mingru")] * 4
    expected = [forward(tape).slopes for tape in tapes]
    with ThreadPoolExecutor(8) as pool:
        assert [derivatives.slopes for derivatives in pool.map(forward, tapes)] == expected
