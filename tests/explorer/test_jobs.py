"""The work behind the page: one thing at a time, short questions in between, failures in words."""

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


def told(job: Job, stamp: object = None) -> dict[str, Any]:
    return json.loads(job.to_json(stamp))


def gives(answer: Any, stamp: object = None) -> Callable[[Report], tuple[Any, Any]]:
    return lambda _tell: (answer, stamp)


def test_an_answer_comes_with_the_stamp_of_what_it_was_made_of() -> None:
    job = Jobs().begin("a", gives({"x": 1}, "then"), long=True)
    assert job.ended.wait(PATIENCE)
    assert told(job, "then") == {"state": "done", "stale": False, "result": {"x": 1}}
    assert told(job, "now")["stale"] is True


def test_the_page_sees_how_far_it_is() -> None:
    go, seen = threading.Event(), threading.Event()

    def work(tell: Report) -> tuple[Any, Any]:
        tell("counting", 3, 7)
        seen.set()
        assert go.wait(PATIENCE)
        return 1, None

    job = Jobs().begin("a", work, long=True)
    assert seen.wait(PATIENCE)
    assert told(job) == {"state": "working", "doing": "counting", "done": 3, "total": 7}
    go.set()
    assert job.ended.wait(PATIENCE)
    assert told(job)["state"] == "done"


@pytest.mark.parametrize(
    ("error", "words"),
    [(GatescopeError("The text is gone."), "The text is gone."), (ZeroDivisionError("oh"), "ZeroDivisionError('oh')")],
)
def test_a_failure_is_said_and_the_next_one_is_done_all_the_same(error: Exception, words: str) -> None:
    work = Jobs()

    def fails(_: Report) -> tuple[Any, Any]:
        raise error

    job = work.begin("a", fails, long=True)
    assert job.ended.wait(PATIENCE)
    assert told(job)["state"] == "failed"
    assert words in told(job)["error"]
    again = work.begin("a", gives(2), long=True)
    assert again.ended.wait(PATIENCE)
    assert told(again)["result"] == 2


def test_nothing_is_done_twice_at_once_and_never_two_things_together() -> None:
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


def test_short_ones_are_done_where_a_long_one_tells_how_far_it_is() -> None:
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


def test_of_many_short_ones_that_wait_the_oldest_are_left_out() -> None:
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
    assert work.known(0) is None
    assert told(begun[0])["state"] == "failed"


def test_answers_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_FINISHED_JOBS", 3)
    work = Jobs()
    for k in range(6):
        work.put(k, k, None)
    assert [k for k in range(6) if work.known(k) is not None] == [3, 4, 5]
