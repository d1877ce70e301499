"""Hostile requests: every one gets an answer or a sentence, and never a server error."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from gatescope import TASKS, Network, Settings, configure, create_run, train
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.routes import make_app
from gatescope.tasks import Counter
from tests.web.examples import tagged

PORT = 8791
SEED = 14
REQUESTS = 300
TEXT = "aaXbb\naXb"
VALID: dict[str, list[dict[str, Any]]] = {
    "trace": [
        {"text": TEXT, "layer": "layer0", "signals": ["c"], "neurons": [0, 1], "drives": True, "top": 3},
        {"text": TEXT, "checkpoint": 2},
    ],
    "features": [{"text": TEXT, "features": ["character.is=a"]}],
    "study": [
        {"study": "neuron", "start": False, "layer": "layer0", "signal": "h", "neuron": 1, "features": []},
        {"study": "places", "start": False, "text": TEXT, "first": 1, "last": 2, "threshold": 0.3, "signal": "h"},
        {"study": "labels", "start": False, "keep": False},
        {"study": "ablation", "start": False},
        {"study": "health", "start": False},
    ],
    "gradients": [{"text": TEXT, "layer": "layer0", "checkpoint": None}],
    "connections": [{"text": TEXT, "by": "gradient", "step": 3}, {"text": TEXT, "by": "change", "step": 1}],
    "chain": [{"text": TEXT, "layer": "layer0", "state": "c", "neuron": 1, "after": 3, "before": 1}],
    "ways": [{"text": TEXT, "layer": "layer0", "drive": "i", "to": 0, "source": 1, "step": 2}],
}
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 10**9, 2**31, 2**63, -(2**63) - 1, 10**400, -(10**400), 0.5, -0.0, 1e308, 5e-324,
    math.nan, math.inf, -math.inf, "", "a", "h", "c", "i", "layer0", "layer1", "layer0_reverse", "../layer0", "\ud800",
    "\udfff\ud800", "\x00", "\u202e", "🙂" * 9, "x" * 5000, "change", "gradient", "__class__", "constructor", [], [0],
    [0, 0], [1, "a"], [[]], [None], ["\ud800"], [10**400], ["a"] * 70, list(range(3)), {}, {"a": 1}, {"": {}},
    [[[[[[]]]]]], "aXb\n" * 30, "\n\n\n", "a" * 301, "a" * 2500, " ", "\r\n", "1,2\n3,4", "nan", "1e999",
]  # fmt: skip
NAMES = ["lstm", "both", "words", "numbers", "damaged", "weightless", "newer", "nothing", "", ".", "..", "\ud800"]
PATHS = [
    "/", "/api", "/api/", "/api/runs", "/api/runs/", "/api/runs/lstm", "/api/runs/lstm/", "/api/runs/lstm/nothing",
    "/api/runs//trace", "/api/runs/%00/trace", "/api/runs/%ff", "/api/runs/%F0%9F%99%82", "/api/runs/lstm%2Ftrace",
    "/api/runs/" + "x" * 9000, "/" + "../" * 60 + "etc/passwd", "/index.html", "/%", "/api/runs?" + "y" * 9000,
    "/api/runs/lstm?x=%00&y=%ff", "/explorer.js", "/api/runs/newer", "/api/runs/damaged", "/api/runs/weightless",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"]
BODIES = [
    b"", b"{", b"[]", b"null", b"NaN", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"text": "\\ud800"}',
    b'{"text": 1e999}', b'{"text": ' + b"9" * 5000 + b"}", b'{"text": "a", "text": 3}', b"\xef\xbb\xbf{}", b"\x00",
    b'{"text": "a"}' + b" " * 10_000, b'{"study": "labels", "start": 0}', b'{"text": "' + b"a" * 200_000 + b'"}',
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs of every kind, and some that cannot be read."""
    folder = tmp_path_factory.mktemp("runs")
    counter = Counter(batch=2)
    train(
        create_run(folder / "lstm", counter, configure(counter.vocabulary, "lstm", (4,)), Settings(2, validate_every=2))
    )
    (folder / "words.tsv").write_text(tagged(), encoding="utf-8")
    tagging, addition = TASKS["tagging"]([folder / "words.tsv"]), TASKS["addition"](shortest=4, longest=5)
    for name, task, both_ways in (("both", tagging, True), ("words", tagging, False), ("numbers", addition, False)):
        configuration = configure(task.vocabulary, "gru", (3,), readout=task.readout, both_ways=both_ways)
        create_run(folder / name, task, configuration, Settings(1)).save_weights(Network(configuration).state_dict(), 0)
    for name in ("damaged", "weightless", "newer"):
        shutil.copytree(folder / "lstm", folder / name)
    (folder / "damaged" / "weights.safetensors").write_bytes(b"\x80" * 99)
    (folder / "weightless" / "weights.safetensors").unlink()
    content = json.loads((folder / "newer" / "network.json").read_text())
    (folder / "newer" / "network.json").write_text(json.dumps(content | {"format": 99}))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Return file -> content of every file of the runs except the lock."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def check(response: httpx.Response, request: str) -> None:
    """Check that a response is an answer or one sentence."""
    assert response.status_code < 500, f"{request} got {response.text}"
    if response.content and response.status_code >= 400 and response.headers.get("content-type") == "application/json":
        sentence = response.json()["error"]
        assert "Traceback" not in sentence, request
        assert 5 < len(sentence) < 600, request
        assert "Unexpected error" not in sentence, request


def mutated(rng: random.Random, body: dict[str, Any]) -> dict[str, Any]:
    """Return a valid request with one to three fields changed, left out or added."""
    body = dict(body)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice([*body, "text", "checkpoint", "nonsense", "\ud800", "__proto__"])
        if rng.random() < 0.15:
            body.pop(name, None)
        else:
            body[name] = rng.choice(VALUES)
    return body


def test_hostile_request_gets_an_answer_or_a_sentence(folder: Path) -> None:
    """300 random requests to all endpoints and runs change no run."""
    rng, before = random.Random(SEED), files(folder)
    app = make_app(Gallery([folder]), PORT)

    async def send() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
            for _ in range(REQUESTS):
                endpoint = rng.choice(list(VALID))
                run = rng.choices(NAMES, [12, 3, 3, 3] + [1] * (len(NAMES) - 4))[0]
                body = json.dumps(mutated(rng, rng.choice(VALID[endpoint])))
                path = f"/api/runs/{run.encode('utf-8', 'surrogatepass').decode('latin-1')}/{endpoint}"
                response = await client.post(path, content=body, headers={"content-type": "application/json"})
                check(response, f"{path} {body[:400]}")

    anyio.run(send)
    assert files(folder) == before


def test_hostile_path_method_or_body_is_no_server_error(folder: Path) -> None:
    before, app = files(folder), make_app(Gallery([folder]), PORT)

    async def send() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
            for path in PATHS:
                for method in METHODS:
                    check(await client.request(method, path), f"{method} {path[:80]}")
            for endpoint in VALID:
                for body in BODIES:
                    for kind in ("application/json", "text/plain", "application/json; charset=\xff", ""):
                        path = f"/api/runs/lstm/{endpoint}"
                        headers = {b"content-type": kind.encode("latin-1")}
                        response = await client.post(path, content=body, headers=headers)
                        check(response, f"{path} {body[:80]!r}")

    anyio.run(send)
    assert files(folder) == before


@pytest.mark.parametrize("study", ["labels", "ablation", "health", "neuron"])
def test_study_without_keep_writes_nothing(folder: Path, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run directory changes only with `keep`."""
    monkeypatch.setattr("gatescope.explorer.studies.MOVED_SCORES", 300)
    before, app = files(folder), make_app(Gallery([folder]), PORT)

    async def poll(**body: Any) -> dict[str, Any]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
            with anyio.fail_after(120):
                while True:
                    answer = (await client.post("/api/runs/lstm/study", json={"study": study, **body})).json()
                    if answer["state"] != "working":
                        return answer
                    await anyio.sleep(0.05)

    answer = anyio.run(lambda: poll(start=True))
    assert answer["state"] == "done", answer
    assert files(folder) == before


def test_requests_change_no_file(folder: Path) -> None:
    before, app = files(folder), make_app(Gallery([folder]), PORT)

    async def send() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}") as client:
            for name in ("lstm", "both", "words", "numbers", "damaged", "weightless", "newer"):
                await client.get(f"/api/runs/{name}")
            for endpoint, bodies in VALID.items():
                for body in bodies:
                    await client.post(f"/api/runs/lstm/{endpoint}", json=body)

    anyio.run(send)
    assert files(folder) == before
