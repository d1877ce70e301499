"""Background jobs: one at a time, short jobs in between, and failures as sentences."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gatescope.errors import GatescopeError
from gatescope.explorer import jobs
from gatescope.explorer.jobs import Job, Jobs, Report
from tests.waiting import PATIENCE, wait_until


def state_of(job: Job, stamp: object = None) -> dict[str, Any]:
    return json.loads(job.to_json(stamp))


def gives(answer: Any, stamp: object = None) -> Callable[[Report], tuple[Any, Any]]:
    return lambda _tell: (answer, stamp)


def test_job_answer_has_its_stamp() -> None:
    job = Jobs().begin("a", gives({"x": 1}, "then"), long=True)
    assert job.ended.wait(PATIENCE)
    assert state_of(job, "then") == {"state": "done", "stale": False, "result": {"x": 1}}
    assert state_of(job, "now")["stale"] is True


def test_running_job_reports_its_progress() -> None:
    go, seen = threading.Event(), threading.Event()

    def work(tell: Report) -> tuple[Any, Any]:
        tell("counting", 3, 7)
        seen.set()
        assert go.wait(PATIENCE)
        return 1, None

    job = Jobs().begin("a", work, long=True)
    assert seen.wait(PATIENCE)
    assert state_of(job) == {"state": "working", "doing": "counting", "done": 3, "total": 7}
    go.set()
    assert job.ended.wait(PATIENCE)
    assert state_of(job)["state"] == "done"


@pytest.mark.parametrize(
    ("error", "words"),
    [(GatescopeError("The text is gone."), "The text is gone."), (ZeroDivisionError("oh"), "ZeroDivisionError('oh')")],
)
def test_job_after_a_failed_job_is_done(error: Exception, words: str) -> None:
    work = Jobs()

    def fails(_: Report) -> tuple[Any, Any]:
        raise error

    job = work.begin("a", fails, long=True)
    assert job.ended.wait(PATIENCE)
    assert state_of(job)["state"] == "failed"
    assert words in state_of(job)["error"]
    again = work.begin("a", gives(2), long=True)
    assert again.ended.wait(PATIENCE)
    assert state_of(again)["result"] == 2


def test_jobs_run_one_at_a_time_and_once_per_key() -> None:
    work, running, most, done = Jobs(), [0], [0], []

    def task(name: int) -> Callable[[Report], tuple[Any, Any]]:
        def run(_: Report) -> tuple[Any, Any]:
            running[0] += 1
            most[0] = max(most[0], running[0])
            time.sleep(0.005)
            running[0] -= 1
            done.append(name)
            return name, None

        return run

    begun = [work.begin(k % 5, task(k % 5), long=True) for k in range(20)]
    assert all(job.ended.wait(PATIENCE) for job in begun)
    assert most[0] == 1
    assert len(done) == len({id(job) for job in begun})
    assert set(done) == set(range(5))


def test_short_job_runs_inside_a_long_job() -> None:
    work, order, begun, waiting = Jobs(), [], threading.Event(), threading.Event()

    def long(tell: Report) -> tuple[Any, Any]:
        order.append("long begins")
        begun.set()
        assert waiting.wait(PATIENCE)
        tell("halfway", 1, 2)
        order.append("long ends")
        return None, None

    def short(_: Report) -> tuple[Any, Any]:
        order.append("short")
        return None, None

    first = work.begin("long", long, long=True)
    assert begun.wait(PATIENCE)
    second = work.begin("other long", gives(0), long=True)
    third = work.begin("short", short, long=False)
    waiting.set()
    assert all(job.ended.wait(PATIENCE) for job in (first, second, third))
    assert order == ["long begins", "short", "long ends"]


def test_oldest_of_many_waiting_short_jobs_are_cancelled() -> None:
    work, go, done = Jobs(), threading.Event(), []

    def held(_: Report) -> tuple[Any, Any]:
        assert go.wait(PATIENCE)
        return None, None

    def short(name: int) -> Callable[[Report], tuple[Any, Any]]:
        def run(_: Report) -> tuple[Any, Any]:
            done.append(name)
            return name, None

        return run

    first = work.begin("held", held, long=True)
    wait_until(lambda: first.state != "waiting", "the first job begins")
    begun = [work.begin(k, short(k), long=False) for k in range(jobs.MAX_WAITING_JOBS + 3)]
    go.set()
    assert all(job.ended.wait(PATIENCE) for job in begun)
    assert done == list(range(3, jobs.MAX_WAITING_JOBS + 3))
    assert work.find(0) is None
    assert state_of(begun[0])["state"] == "failed"


def test_oldest_finished_jobs_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_FINISHED_JOBS", 3)
    work = Jobs()
    for k in range(6):
        work.put(k, k, None)
    assert [k for k in range(6) if work.find(k) is not None] == [3, 4, 5]
