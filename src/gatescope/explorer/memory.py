"""Bounds on the memory of the server, in bytes: of what it keeps, and of what all requests together work with.

A request names the most that it will hold before it makes anything, and waits until that much is free. So however many
requests come at once, and whatever they ask for, the server holds at most WORKING_BYTES for them, CACHE_BYTES of
earlier results, and STUDY_BYTES for the one study that runs in the background.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from types import TracebackType
from typing import Any

from gatescope.explorer.requests import RequestError

WORKING_BYTES = 768 << 20
CACHE_BYTES = 512 << 20
STUDY_BYTES = 512 << 20
MAX_WAIT_SECONDS = 120.0


class Reservation:
    """Bytes that one request may hold. It ends with the `with` block, or with `release`."""

    def __init__(self, memory: Memory, nbytes: int) -> None:
        self._memory, self._nbytes = memory, nbytes

    def shrink(self, nbytes: int) -> None:
        """Give back all but so many bytes, once the work is done and only its answer is left."""
        self._memory.give_back(max(0, self._nbytes - nbytes))
        self._nbytes = min(self._nbytes, nbytes)

    def release(self) -> None:
        """Give everything back; a second call changes nothing."""
        self.shrink(0)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Memory:
    """The bytes that requests work with, and a cache of results that drops the oldest ones.

    Args:
        working_bytes: for all requests together.
        cache_bytes: for all cached results together.
    """

    def __init__(self, working_bytes: int = WORKING_BYTES, cache_bytes: int = CACHE_BYTES) -> None:
        self.working_bytes, self.cache_bytes = working_bytes, cache_bytes
        self._free = working_bytes
        self._cached: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._changed = threading.Condition()

    def reserve(self, nbytes: int, too_large: str) -> Reservation:
        """Wait until so many bytes are free, and take them.

        A request makes one reservation at a time, so that no two can wait for each other.

        Args:
            nbytes: the most that the request will hold.
            too_large: the sentence for a request that alone holds more than there is.

        Raises:
            RequestError: it does (413), or the others do not end (503).
        """
        if nbytes > self.working_bytes:
            raise RequestError(too_large, status=413)
        end = time.monotonic() + MAX_WAIT_SECONDS
        with self._changed:
            while self._free < nbytes:
                if not self._changed.wait(end - time.monotonic()):
                    raise RequestError("MEMORY_EXPLORER_BUSY_OTHER_REQUESTS", status=503)
            self._free -= nbytes
        return Reservation(self, nbytes)

    def give_back(self, nbytes: int) -> None:
        """Make reserved bytes free again."""
        with self._changed:
            self._free += nbytes
            self._changed.notify_all()

    def cached(self, key: Hashable) -> Any:
        """The result that was kept under a key; None where there is none."""
        with self._changed:
            entry = self._cached.get(key)
            if entry is None:
                return None
            self._cached.move_to_end(key)
            return entry[0]

    def keep(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keep a result, and drop the oldest ones that no longer fit; one that alone is too large is not kept."""
        with self._changed:
            self._cached.pop(key, None)
            if nbytes <= self.cache_bytes:
                self._cached[key] = (value, nbytes)
            while self.held > self.cache_bytes:
                self._cached.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forget a result."""
        with self._changed:
            self._cached.pop(key, None)

    @property
    def held(self) -> int:
        """The bytes of all cached results."""
        return sum(nbytes for _, nbytes in self._cached.values())

    @property
    def free(self) -> int:
        """The bytes that requests may still reserve."""
        return self._free
