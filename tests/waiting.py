"""Waiting for other threads and processes: until a condition holds, never for a fixed time."""

import time
from collections.abc import Callable

PATIENCE = 300.0
"""Seconds until a test gives up: far more than a busy machine needs, so that only a program that hangs reaches it."""


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait until `holds` returns something true.

    Raises:
        AssertionError: it never did; the message names `what` was waited for.
    """
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)
