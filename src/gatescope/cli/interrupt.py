"""Ctrl-C and the request to end, as a flag that training reads."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """True once the process was asked to stop. The second time the process ends at once, as it would without this."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether it was."""
        return bool(self.received)

    @property
    def status(self) -> int:
        """The exit status: 0, or 128 and the number of the signal."""
        return 128 + self.received if self.received else 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._restore()

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()
        print("\nstopping; once more to end at once", file=sys.stderr)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
