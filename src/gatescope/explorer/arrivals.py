"""The requests of each page: which one is the newest, and how far it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from gatescope.explorer.requests import RequestError
from gatescope.explorer.wire import TraceRequest

MAX_PAGES = 100  # whose newest request is remembered


@dataclass
class _Page:
    newest: int
    done: int = 0
    total: int = 0


class Task:
    """One request while it is computed: it can be given up, and it reports its progress.

    Args:
        page: the page that sent the request; None if it has no name.
        sequence: the number of the request on its page.
        gone: set when the connection to the page is lost.
    """

    def __init__(self, page: _Page | None, sequence: int, gone: threading.Event | None) -> None:
        self._page, self._sequence, self._gone = page, sequence, gone

    def report(self, done: int, total: int) -> None:
        """Note the progress in steps; give the request up if nobody waits for it any more.

        Raises:
            RequestError: a newer request of the same page has arrived, or the page has closed the connection (409).
        """
        self.stop_if_replaced()
        if self._page:
            self._page.done, self._page.total = done, total

    def stop_if_replaced(self) -> None:
        """Give the request up if nobody waits for it any more.

        Raises:
            RequestError: a newer request of the same page has arrived, or the page has closed the connection (409).
        """
        if (self._gone is not None and self._gone.is_set()) or (self._page and self._page.newest > self._sequence):
            raise RequestError("EXPLORER_REPLACED", status=409)


class Arrivals:
    """The newest request of every page."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._lock = threading.Lock()

    def task(self, request: TraceRequest, gone: threading.Event | None = None) -> Task:
        """Note that a request has arrived, which replaces the older requests of its page.

        Args:
            request: the request.
            gone: set when the connection to the page is lost.
        """
        if request.page is None:
            return Task(None, 0, gone)
        with self._lock:
            page = self._pages.pop(request.page, None) or _Page(request.sequence)
            if request.sequence > page.newest:
                page.newest, page.done, page.total = request.sequence, 0, 0
            self._pages[request.page] = page
            while len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)
        return Task(page, request.sequence, gone)

    def progress(self, page: str) -> dict[str, Any]:
        """Return the number of the newest request of a page, and how many of its steps are computed."""
        with self._lock:
            known = self._pages.get(page)
        if known is None:
            return {"sequence": None, "done": 0, "total": 0}
        return {"sequence": known.newest, "done": known.done, "total": known.total}
