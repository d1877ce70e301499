"""Requests to end a training from outside: a file in the run, for which the training looks.

A file reaches the process that trains the run, whatever started it. A signal would need the number of the process,
which another program may have by then, and Windows has none that a process can answer in peace.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from gatescope.files import FileError, read_regular, write_bytes
from gatescope.runs.run_errors import file_errors

REQUEST = "training.request"
PAUSE, STOP = "pause", "stop"
KINDS = (PAUSE, STOP)
MAX_REQUEST_BYTES = 64
LOOK_SECONDS = 0.1  # between two looks: an update of a small network takes less than a millisecond

Kind = Literal["pause", "stop"]


def request_end(run: Path, kind: Kind) -> None:
    """Request the end of the training of a run; it ends after the update under way.

    Args:
        run: the run directory.
        kind: "pause", as with Ctrl-C, or "stop": the training has ended, and the best weights get their score.

    Raises:
        RunError: the request cannot be written.
    """
    with file_errors(run / REQUEST):
        write_bytes(run / REQUEST, kind.encode())


def is_requested(run: Path) -> bool:
    """Return whether a request waits for the training of a run."""
    return (run / REQUEST).is_file()


def remove_request(run: Path) -> None:
    """Remove a request, because the training has ended."""
    with suppress(OSError):
        (run / REQUEST).unlink(missing_ok=True)


class EndRequest:
    """The request that a training looks for inside its block. One of an earlier training is removed.

    Args:
        run: the run directory, whose lock the training holds.
    """

    def __init__(self, run: Path) -> None:
        self._path = run / REQUEST
        self._looked = time.monotonic()
        self.kind: str | None = None

    def __enter__(self) -> Self:
        remove_request(self._path.parent)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        remove_request(self._path.parent)

    def __call__(self) -> bool:
        """Return whether the training should end."""
        now = time.monotonic()
        if self.kind is None and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self.kind = self._read()
        return self.kind is not None

    def _read(self) -> str | None:
        try:
            kind = read_regular(self._path, MAX_REQUEST_BYTES, follow=False).decode("ascii", "replace")
        except FileError:
            return None
        return kind if kind in KINDS else None
