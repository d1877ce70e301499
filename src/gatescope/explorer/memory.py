"""The memory of the server: reservations of working memory, and one cache of results, both bounded in bytes.

A request reserves the memory that it may need before it allocates anything, and waits until that much is free. However
many requests arrive at once, the server holds at most WORKING_BYTES for them, CACHE_BYTES of earlier results, and
STUDY_BYTES for the one study in the background.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from types import TracebackType
from typing import Any

from gatescope.explorer.requests import RequestError
from gatescope.messages import Message

WORKING_BYTES = 768 << 20
CACHE_BYTES = 512 << 20
STUDY_BYTES = 512 << 20
MAX_WAIT_SECONDS = 120.0


class Reservation:
    """The bytes that one request may hold, until the `with` block ends or `release` is called."""

    def __init__(self, memory: Memory, nbytes: int) -> None:
        self._memory, self._nbytes = memory, nbytes

    def shrink(self, nbytes: int) -> None:
        """Keep `nbytes` bytes for the answer, and free the rest."""
        self._memory.give_back(max(0, self._nbytes - nbytes))
        self._nbytes = min(self._nbytes, nbytes)

    def release(self) -> None:
        """Free all bytes. A second call changes nothing."""
        self.shrink(0)

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Memory:
    """The working memory of all requests, and a cache that drops the results that were used least recently.

    Args:
        working_bytes: the bytes of all requests together.
        cache_bytes: the bytes of all cached results together.
    """

    def __init__(self, working_bytes: int = WORKING_BYTES, cache_bytes: int = CACHE_BYTES) -> None:
        self.working_bytes, self.cache_bytes = working_bytes, cache_bytes
        self._free_bytes = working_bytes
        self._cached: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._changed = threading.Condition()

    def reserve(self, nbytes: int, too_large: Message) -> Reservation:
        """Wait until `nbytes` bytes are free, and reserve them.

        A request makes one reservation at a time, so that no two requests can wait for each other.

        Args:
            nbytes: the largest number of bytes that the request will hold.
            too_large: the message for a request that needs more than the whole working memory.

        Raises:
            RequestError: the request needs more (413), or the bytes are not free within MAX_WAIT_SECONDS (503).
        """
        if nbytes > self.working_bytes:
            raise RequestError(too_large, status=413)
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        with self._changed:
            while self._free_bytes < nbytes:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise RequestError("EXPLORER_BUSY", status=503)
            self._free_bytes -= nbytes
        return Reservation(self, nbytes)

    def give_back(self, nbytes: int) -> None:
        """Free reserved bytes."""
        with self._changed:
            self._free_bytes += nbytes
            self._changed.notify_all()

    def cached(self, key: Hashable) -> Any:
        """Return the cached result of a key; None if there is none."""
        with self._changed:
            entry = self._cached.get(key)
            if entry is None:
                return None
            self._cached.move_to_end(key)
            return entry[0]

    def keep(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Cache a result, and drop the results used least recently. A result larger than the cache is not kept."""
        with self._changed:
            self._cached.pop(key, None)
            if nbytes <= self.cache_bytes:
                self._cached[key] = (value, nbytes)
            while self.bytes_in_cache > self.cache_bytes:
                self._cached.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Remove a result from the cache."""
        with self._changed:
            self._cached.pop(key, None)

    @property
    def bytes_in_cache(self) -> int:
        """The bytes of all cached results."""
        return sum(nbytes for _, nbytes in self._cached.values())

    @property
    def free_bytes(self) -> int:
        """The bytes that requests may still reserve."""
        return self._free_bytes
