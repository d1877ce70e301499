"""The memory of the server stays within its bounds for all requests together."""

from __future__ import annotations

import json
import re
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

import gatescope.explorer.recorder
import gatescope.explorer.study_text
from gatescope import TASKS, Network, Run, Settings, configure, create_run, record
from gatescope.configuration import Configuration
from gatescope.explorer.costs import (
    gradient_bytes,
    most_steps,
    recording_bytes,
    size_of,
    trace_bytes,
    with_network,
)
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.gradients import Gradients
from gatescope.explorer.lesson import lesson
from gatescope.explorer.memory import Memory
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.requests import RequestError
from gatescope.explorer.routes import make_app
from gatescope.explorer.study_text import characters_within
from gatescope.explorer.wire import TraceRequest
from gatescope.messages import Message
from gatescope.sources import parts_of
from gatescope.vocabulary import Vocabulary

TOO_LARGE = Message("Too large.")
MB = 1 << 20
PORT = 8791
TASK = TASKS["counter"]()


def untrained(folder: Path, cell: str = "lstm", sizes: tuple[int, ...] = (4,), **settings: Any) -> Run:
    """Return a run with initial weights."""
    configuration = configure(TASK.vocabulary, cell, sizes, **settings)
    run = create_run(folder, TASK, configuration, Settings(1))
    run.save_weights(Network(configuration).state_dict(), 0)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return untrained(tmp_path_factory.mktemp("runs") / "lstm", sizes=(16, 16))


# --- estimates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "sizes", "both_ways", "symbols", "text"),
    [
        ("lstm", (40,), False, 4, "a" * 3000),
        ("lstm", (8, 8), False, 4, "aab\n" * 500),
        ("lstm", (8,), False, 4, "a" * 2000 + "\nab" * 40),
        ("gru", (30, 20), False, 4, "ab" * 900),
        ("slstm", (24,), False, 4, "ab" * 900),
        ("mingru", (24,), False, 4, "ab" * 900),
        ("lstm", (12, 12), True, 4, "aab\n" * 300),
        ("gru", (3,), False, 3000, "ab" * 900),
        ("lstm", (5,), False, 4, "a"),
    ],
)
def test_recording_bytes_bound_the_memory_of_recordings(
    cell: str, sizes: tuple[int, ...], both_ways: bool, symbols: int, text: str
) -> None:
    """The estimate is at least the size of the trace, and of NumPy's peak memory (torch excluded)."""
    extra = tuple(chr(0x4E00 + k) for k in range(symbols - 4))
    vocabulary = Vocabulary((*TASK.vocabulary.symbols, *extra), end="\n")
    network = Network(configure(vocabulary, cell, sizes, both_ways=both_ways))
    lengths = [len(part) for part in parts_of(network, text)]
    record(network, "a\nab")
    tracemalloc.start()
    try:
        trace = record(network, text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    held = sum(array.nbytes for signals in trace.layers.values() for array in signals.values())
    estimate = recording_bytes(network.configuration, len(lengths), max(lengths))
    assert held <= trace_bytes(network.configuration, len(lengths) * max(lengths))
    assert max(held, peak) <= estimate


def test_estimates_grow_with_every_size() -> None:
    def configuration(*sizes: int, cell: str = "lstm", **settings: Any) -> Configuration:
        return configure(TASK.vocabulary, cell, sizes, **settings)

    small = recording_bytes(configuration(64), 1, 10_000)
    assert recording_bytes(configuration(128), 1, 10_000) > 1.8 * small
    assert recording_bytes(configuration(64, 64), 1, 10_000) > 1.2 * small
    assert recording_bytes(configuration(64), 1, 20_000) > 1.8 * small
    assert recording_bytes(configuration(64), 10, 10_000) > 9 * small
    assert recording_bytes(configuration(64), 1, 10_000, itemsize=8) > 1.2 * small
    assert recording_bytes(configuration(64, both_ways=True), 1, 40_000) > recording_bytes(configuration(64), 1, 40_000)


def test_most_steps_is_the_largest_within_the_limit() -> None:
    for limit in (0, 6, 7, 8, 699, 700, 10**9):
        steps = most_steps(lambda steps: 7 * steps, limit, 100)
        assert steps == min(100, limit // 7)
    assert most_steps(lambda steps: 10 + steps, 5, 100) == 0


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((1,), "1 neuron"),
        ((1024,), "1,024 neurons"),
        ((1024,) * 3, "3 layers of 1,024 neurons"),
        ((8, 6), "layers of 8 and 6 neurons"),
    ],
)
def test_size_of_names_the_neurons_of_every_layer(sizes: tuple[int, ...], words: str) -> None:
    assert size_of(configure(TASK.vocabulary, "gru", sizes)) == words


# --- the bound of one request ----------------------------------------------------------------------------------------


def test_trace_beyond_the_bound_names_a_length_that_fits(run: Run) -> None:
    """The number of characters that the sentence names is accepted; one more is refused."""
    recorder = Recorder(Memory(working_bytes=12 * MB))
    with pytest.raises(RequestError, match=r"Use at most [\d,]+ characters") as refusal:
        recorder.answer(run, TraceRequest("a" * 20_000))
    assert refusal.value.status == 413
    assert "2 layers of 16 neurons" in str(refusal.value)
    possible = int(re.findall(r"Use at most ([\d,]+)", str(refusal.value))[0].replace(",", ""))
    assert 10 < possible < 20_000
    recorder.answer(run, TraceRequest("a" * possible))[1].release()
    with pytest.raises(RequestError, match=f"Use at most {possible:,} characters"):
        recorder.answer(run, TraceRequest("a" * (possible + 1)))


def test_trace_counts_the_padding_of_short_lines(run: Run) -> None:
    """One long line pads every other line: 2,000 lines of 2,000 steps hold 4 million steps."""
    text = "a" * 2000 + "\n" + "a\n" * 2000
    with pytest.raises(RequestError, match="in 2,001 sequences, the longest of 2,001"):
        Recorder(Memory()).answer(run, TraceRequest(text))
    Recorder(Memory()).answer(run, TraceRequest("a\n" * 3000))[1].release()


def test_trace_of_a_network_beyond_the_bound_is_refused(run: Run) -> None:
    with pytest.raises(RequestError, match="too large for the page") as refusal:
        Recorder(Memory(working_bytes=1000)).answer(run, TraceRequest("a"))
    assert refusal.value.status == 413


def test_gradients_beyond_the_bound_name_a_length_that_fits(run: Run) -> None:
    limit = with_network(run.configuration(), gradient_bytes(run.configuration(), 1, 50))
    gradients = Gradients(Memory(working_bytes=limit))
    with pytest.raises(RequestError, match="Use at most 50 characters") as refusal:
        gradients.gradients(run, {"text": "a" * 51, "layer": "layer0"})
    assert refusal.value.status == 413
    gradients.gradients(run, {"text": "a" * 50, "layer": "layer0"})[1].release()
    with pytest.raises(RequestError, match="too large for this page"):
        Gradients(Memory(working_bytes=1000)).gradients(run, {"text": "a", "layer": "layer0"})


def test_ways_beyond_the_bound_are_refused(run: Run) -> None:
    requested = {"text": "aab", "layer": "layer1", "drive": "i", "to": 0, "source": 0, "step": 1}
    with pytest.raises(RequestError, match="Choose a smaller network") as refusal:
        lesson(Memory(working_bytes=100_000), run, requested)
    assert refusal.value.status == 413


def test_studies_of_a_large_network_read_fewer_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (configure(TASK.vocabulary, "lstm", (neurons,)) for neurons in (8, 512))
    assert characters_within(small, 4000) == 4000
    monkeypatch.setattr(gatescope.explorer.study_text, "STUDY_BYTES", 64 * MB)
    assert 50 <= characters_within(large, 4000) < 4000
    monkeypatch.setattr(gatescope.explorer.study_text, "STUDY_BYTES", 1 * MB)
    with pytest.raises(RequestError, match="gatescope label") as refusal:
        characters_within(large, 4000)
    assert refusal.value.status == 413


# --- the cache -------------------------------------------------------------------------------------------------------


def test_cache_drops_the_oldest_until_its_bytes_fit() -> None:
    memory = Memory(cache_bytes=10)
    for key in "abc":
        memory.keep(key, key.upper(), 4)
    assert [memory.cached(key) for key in "abc"] == [None, "B", "C"]
    assert memory.cached("b") == "B"
    memory.keep("d", "D", 5)
    assert [memory.cached(key) for key in "bcd"] == ["B", None, "D"]
    memory.keep("b", "again", 1)
    assert (memory.cached("b"), memory.bytes_in_cache) == ("again", 6)


def test_cache_does_not_keep_a_too_large_result() -> None:
    memory = Memory(cache_bytes=10)
    memory.keep("small", 1, 4)
    memory.keep("large", 2, 11)
    assert memory.cached("large") is None
    assert memory.bytes_in_cache <= 10


def test_recordings_are_cached_within_the_bound(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = gatescope.explorer.recorder.record_text
    monkeypatch.setattr(
        gatescope.explorer.recorder, "record_text", lambda *a, **k: (calls.append(""), real(*a, **k))[1]
    )
    memory = Memory(cache_bytes=1 * MB)
    recorder = Recorder(memory)
    for signal in "ifc":
        recorder.answer(run, TraceRequest("aXb", signals=(signal,)))[1].release()
    assert len(calls) == 1
    for length in range(1, 400, 20):
        recorder.answer(run, TraceRequest("a" * length))[1].release()
        assert memory.bytes_in_cache <= 1 * MB
    count = len(calls)
    for _ in range(2):
        recorder.answer(run, TraceRequest("a" * 3000))[1].release()
    assert len(calls) == count + 2, "larger than the whole cache"


# --- many at once ----------------------------------------------------------------------------------------------------


def test_reserve_waits_until_others_are_done() -> None:
    memory = Memory(working_bytes=10)
    first, began, order = memory.reserve(7, TOO_LARGE), threading.Event(), []

    def second() -> None:
        began.set()
        with memory.reserve(6, TOO_LARGE):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    began.wait()
    with memory.reserve(3, TOO_LARGE):
        order.append("small")
    order.append("first ends")
    first.release()
    thread.join()
    assert order == ["small", "first ends", "second"]
    first.release()
    assert memory.free_bytes == 10


def test_reserve_gives_up_if_others_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.explorer.memory.MAX_WAIT_SECONDS", 0.01)
    memory = Memory(working_bytes=10)
    memory.reserve(7, TOO_LARGE)
    with pytest.raises(RequestError, match="busy") as refusal:
        memory.reserve(6, TOO_LARGE)
    assert refusal.value.status == 503


def test_concurrent_requests_stay_within_the_bound(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent traces, gradients and paths stay within the bound together, and release all memory."""
    memory = Memory(working_bytes=96 * MB, cache_bytes=2 * MB)
    free_bytes: list[int] = []
    original_reserve = Memory.reserve

    def reserve(self: Memory, *arguments: Any) -> Any:
        reservation = original_reserve(self, *arguments)
        free_bytes.append(self.free_bytes)
        return reservation

    monkeypatch.setattr(Memory, "reserve", reserve)
    app = make_app(Gallery([run.path]), PORT, memory)
    requested: list[tuple[str, dict[str, Any]]] = [
        ("trace", {"text": "a" * length}) for length in (900, 1100, 1300, 1500)
    ]
    requested += [("gradients", {"text": "a" * length, "layer": "layer1"}) for length in (9, 10)]
    requested += [("features", {"text": "aaXb", "features": []}), ("trace", {"text": "a" * 20_000, "drives": True})]
    requested += [("ways", {"text": "aab", "layer": "layer1", "drive": "i", "to": 0, "source": 0, "step": 1})]
    statuses: dict[int, int] = {}

    async def send() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:

            async def post(number: int, endpoint: str, body: dict[str, Any]) -> None:
                answer = await client.post(f"/api/runs/lstm/{endpoint}", json=body)
                statuses[number] = answer.status_code
                assert answer.status_code in (200, 413), answer.text

            async with anyio.create_task_group() as group:
                for number, (endpoint, body) in enumerate(requested):
                    group.start_soon(post, number, endpoint, body)

    anyio.run(send)
    assert [statuses[number] for number in range(len(requested))].count(413) == 1
    assert min(free_bytes) >= 0
    assert memory.free_bytes == memory.working_bytes
    assert memory.bytes_in_cache <= memory.cache_bytes


def test_unread_answer_releases_its_memory(run: Run) -> None:
    """The connection breaks while the server sends the arrays."""
    memory = Memory()
    app = make_app(Gallery([run.path]), PORT, memory)
    body = json.dumps({"text": "a" * 500}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            assert memory.free_bytes < memory.working_bytes
            raise OSError("broken pipe")

    headers = [(b"host", f"127.0.0.1:{PORT}".encode()), (b"content-type", b"application/json")]
    path = "/api/runs/lstm/trace"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": ""}

    async def post() -> None:
        with pytest.raises(OSError, match="broken pipe"):
            await app(scope, receive, send)

    anyio.run(post)
    assert memory.free_bytes == memory.working_bytes
