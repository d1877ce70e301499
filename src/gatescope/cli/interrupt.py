"""Ctrl-C and SIGTERM as a flag that long commands look at."""

from __future__ import annotations

import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

from gatescope.messages import Message

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """A flag that becomes true at the first SIGINT or SIGTERM inside its block. A second signal ends the process."""

    def __init__(self) -> None:
        self.received = 0
        self._previous_handlers: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return whether a signal was received."""
        return bool(self.received)

    @property
    def status(self) -> int:
        """The exit status: 0, or 128 plus the number of the signal."""
        return 128 + self.received if self.received else 0

    def __enter__(self) -> Self:
        self._previous_handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._restore_handlers()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        self._restore_handlers()
        print(file=sys.stderr)
        print(Message("COMMAND_STOPPING"), file=sys.stderr)

    def _restore_handlers(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
