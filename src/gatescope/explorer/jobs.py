"""Work that takes longer than an answer may: one thread does it, the page asks how far it is."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from gatescope.errors import GatescopeError

PATIENCE = 0.4  # seconds that an answer waits for work that may be done soon
KEPT = 64  # finished pieces of work
KEPT_BYTES = 64 << 20  # of the answers of finished pieces of work
WAITING = 4  # short ones that may wait; an older one was for a page that has gone on

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how many parts of it are done, and of how many (0: unknown)."""

Work = Callable[[Tell], tuple[Any, Hashable]]
"""Gives the answer, a JSON value, and the stamp of what it was made of."""


@dataclass
class Job:
    """One piece of work.

    Attributes:
        work: what is to be done; None for an answer that was there already.
        long: whether short ones may be done in between.
        state: "waiting", "working", "done" or "failed".
        doing: in words, what is being done; of a failure, the sentence that says why.
        parts: how many parts are done, and of how many (0: unknown).
        answer: JSON, once it is done.
        stamp: of what the answer was made of.
    """

    work: Work | None
    long: bool
    state: str = "waiting"
    doing: str = "waiting for other work"
    parts: tuple[int, int] = (0, 0)
    answer: bytes = b"null"
    stamp: Hashable = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is going to happen."""
        return self.state in ("done", "failed")

    def to_json(self, stamp: Hashable) -> bytes:
        """What the page is told."""
        if self.state == "done":
            stale = b"true" if stamp != self.stamp else b"false"
            return b'{"state": "done", "stale": ' + stale + b', "result": ' + self.answer + b"}"
        if self.state == "failed":
            return _ascii({"state": "failed", "error": self.doing})
        return _ascii({"state": "working", "doing": self.doing, "done": self.parts[0], "total": self.parts[1]})


class Jobs:
    """Does one thing after the other; where a long one tells how far it is, the short ones that wait are done first."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._long: deque[Job] = deque()
        self._short: deque[Job] = deque()
        self._busy = False
        self._lock = threading.Lock()

    def known(self, key: Hashable) -> Job | None:
        """The work of that name, if there is any."""
        with self._lock:
            return self._jobs.get(key)

    def put(self, key: Hashable, answer: Any, stamp: Hashable) -> Job:
        """Keep an answer that was there already."""
        job = Job(None, long=False, state="done", answer=_ascii(answer), stamp=stamp)
        job.ended.set()
        with self._lock:
            self._keep(key, job)
        return job

    def begin(self, key: Hashable, work: Work, *, long: bool) -> Job:
        """Have something done, unless it is being done already."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.is_over:
                job = Job(work, long)
                self._keep(key, job)
                (self._long if long else self._short).append(job)
                while len(self._short) > WAITING:
                    self._forget(self._short.popleft())
                if not self._busy:
                    self._busy = True
                    threading.Thread(target=self._run, name="studies", daemon=True).start()
        return job

    def _keep(self, key: Hashable, job: Job) -> None:
        self._jobs[key] = job
        self._jobs.move_to_end(key)
        self._trim()

    def _trim(self) -> None:
        """Drop the oldest finished work until what is kept is within its bounds; the newest always stays."""
        over = [name for name, other in self._jobs.items() if other.is_over]
        held = sum(len(self._jobs[name].answer) for name in over)
        while len(over) > 1 and (held > KEPT_BYTES or len(over) > KEPT):
            held -= len(self._jobs.pop(over.pop(0)).answer)

    def _forget(self, job: Job) -> None:
        for key in [key for key, other in self._jobs.items() if other is job]:
            del self._jobs[key]
        job.state, job.doing = "failed", "Something else was asked for meanwhile."
        job.ended.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                waiting = self._short or self._long
                if not waiting:
                    self._busy = False
                    return
                job = waiting.popleft()
            self._do(job)

    def _do(self, job: Job) -> None:
        assert job.work is not None

        def tell(doing: str, done: int, total: int) -> None:
            job.doing, job.parts = doing, (done, total)
            while job.long:
                with self._lock:
                    if not self._short:
                        return
                    short = self._short.popleft()
                self._do(short)

        job.state, job.doing = "working", "beginning"
        try:
            answer, stamp = job.work(tell)
            job.answer, job.stamp = _ascii(answer), stamp
            job.state = "done"
        except GatescopeError as error:
            job.doing, job.state = str(error), "failed"
        except Exception as error:  # noqa: BLE001  the thread goes on, and the page says what happened
            job.doing = f"The explorer met an error of its own ({error!r}); please report it."
            job.state = "failed"
        job.work = None
        with self._lock:
            self._trim()
        job.ended.set()


def _ascii(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False).encode("ascii")
