"""Background jobs for work that takes longer than a request: one thread runs them, and the page polls them."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from gatescope.errors import GatescopeError
from gatescope.explorer.sentences import error_json
from gatescope.messages import Message

ANSWER_WAIT_SECONDS = 0.4  # that a request waits for a job that may end soon
MAX_FINISHED_JOBS = 64
FINISHED_BYTES = 64 << 20  # of the answers of finished jobs
MAX_WAITING_JOBS = 4  # short jobs; an older one was for a page that the user has left

Report = Callable[[str, int, int], None]
"""Called with the code of the current activity, the number of parts that are done, and their total (0: unknown)."""

Work = Callable[[Report], tuple[Any, Hashable]]
"""Returns the answer, a JSON value, and the stamp of the data that it was made of."""


@dataclass
class Job:
    """One job.

    Attributes:
        work: the function to run; None for an answer that existed already.
        long: whether short jobs may run in between.
        state: "waiting", "working", "done" or "failed".
        doing: the code of the current activity, a sentence of the page.
        error: the error of a failed job, formatted in the language of each request.
        parts: the number of parts that are done, and their total (0: unknown).
        answer: the answer as JSON, once the job is done.
        stamp: a value that identifies the data that the answer was made of.
        ended: set when the job is done or has failed.
    """

    work: Work | None
    long: bool
    state: str = "waiting"
    doing: str = "DOING_WAITING"
    error: GatescopeError | Message | str = ""
    parts: tuple[int, int] = (0, 0)
    answer: bytes = b"null"
    stamp: Hashable = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether the job is done or has failed."""
        return self.state in ("done", "failed")

    def to_json(self, stamp: Hashable) -> bytes:
        """Return the state of the job as JSON.

        Args:
            stamp: the present stamp; a done job with another stamp is stale.
        """
        if self.state == "done":
            stale = b"true" if stamp != self.stamp else b"false"
            return b'{"state": "done", "stale": ' + stale + b', "result": ' + self.answer + b"}"
        if self.state == "failed":
            error = self.error.message if isinstance(self.error, GatescopeError) else self.error
            return _ascii({"state": "failed", **error_json(error if isinstance(error, Message) else Message(error))})
        return _ascii({"state": "working", "doing": self.doing, "done": self.parts[0], "total": self.parts[1]})


class Jobs:
    """Runs jobs one after the other. Waiting short jobs run whenever a long job reports its progress."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._long: deque[Job] = deque()
        self._short: deque[Job] = deque()
        self._busy = False
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> Job | None:
        """Return the job of a key, if there is one."""
        with self._lock:
            return self._jobs.get(key)

    def put(self, key: Hashable, answer: Any, stamp: Hashable) -> Job:
        """Store an answer that exists already as a finished job."""
        job = Job(None, long=False, state="done", answer=_ascii(answer), stamp=stamp)
        job.ended.set()
        with self._lock:
            self._store(key, job)
        return job

    def begin(self, key: Hashable, work: Work, *, long: bool) -> Job:
        """Start a job, unless a job of this key is waiting or running."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.is_over:
                job = Job(work, long)
                self._store(key, job)
                (self._long if long else self._short).append(job)
                while len(self._short) > MAX_WAITING_JOBS:
                    self._cancel(self._short.popleft())
                if not self._busy:
                    self._busy = True
                    threading.Thread(target=self._run_jobs, name="studies", daemon=True).start()
        return job

    def _store(self, key: Hashable, job: Job) -> None:
        self._jobs[key] = job
        self._jobs.move_to_end(key)
        self._trim()

    def _trim(self) -> None:
        """Drop the oldest finished jobs until the others are within the bounds. The newest one always stays."""
        finished = [key for key, job in self._jobs.items() if job.is_over]
        nbytes = sum(len(self._jobs[key].answer) for key in finished)
        while len(finished) > 1 and (nbytes > FINISHED_BYTES or len(finished) > MAX_FINISHED_JOBS):
            nbytes -= len(self._jobs.pop(finished.pop(0)).answer)

    def _cancel(self, job: Job) -> None:
        for key in [key for key, other in self._jobs.items() if other is job]:
            del self._jobs[key]
        job.state, job.error = "failed", Message("JOB_CANCELLED")
        job.ended.set()

    def _run_jobs(self) -> None:
        while True:
            with self._lock:
                waiting = self._short or self._long
                if not waiting:
                    self._busy = False
                    return
                job = waiting.popleft()
            self._run_job(job)

    def _run_job(self, job: Job) -> None:
        assert job.work is not None

        def report(doing: str, done: int, total: int) -> None:
            job.doing, job.parts = doing, (done, total)
            while job.long:
                with self._lock:
                    if not self._short:
                        return
                    short = self._short.popleft()
                self._run_job(short)

        job.state, job.doing = "working", "DOING_STARTING"
        try:
            answer, stamp = job.work(report)
            job.answer, job.stamp = _ascii(answer), stamp
            job.state = "done"
        except GatescopeError as error:
            job.error, job.state = error, "failed"
        except Exception as error:  # noqa: BLE001  the thread continues, and the page shows the error
            job.error = Message("EXPLORER_UNEXPECTED_ERROR", error=repr(error))
            job.state = "failed"
        job.work = None
        with self._lock:
            self._trim()
        job.ended.set()


def _ascii(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False).encode("ascii")
