"""Waiting for other threads and processes until a condition holds, never for a fixed time."""

import time
from collections.abc import Callable

PATIENCE = 300.0
"""Seconds until a test gives up: far more than a busy machine needs, so that only a program that hangs reaches them."""


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait until `holds` returns a true value.

    Raises:
        AssertionError: the time is over; the message contains `what`.
    """
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)
