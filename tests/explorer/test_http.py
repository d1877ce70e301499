"""The HTTP application of the explorer: answers, refusals, and damaged runs."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from safetensors.numpy import load

import gatescope.explorer.split_text
from gatescope import (
    TASKS,
    Network,
    Run,
    Settings,
    Trace,
    __version__,
    check_with,
    configure,
    create_run,
    record,
    train,
)
from gatescope.explorer.gallery import summary_of
from gatescope.explorer.text_recording import record_text
from gatescope.explorer.wire import TraceRequest, encode
from gatescope.network import Output
from gatescope.runs import HISTORY, SAMPLES
from tests.explorer.page import PORT, Page

TASK = TASKS["counter"](batch=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, cell in (("lstm", "lstm"), ("deep peephole", "peephole")):
        configuration = configure(TASK.vocabulary, cell, (4,) if name == "lstm" else (4, 3))
        run = create_run(folder / name, TASK, configuration, Settings(6, report_every=2, validate_every=3))
        train(run)
    return folder


def refused(response: httpx.Response, status: int, words: str = "") -> None:
    assert response.status_code == status, response.text
    message = response.json()["error"]
    assert words in message
    assert "Traceback" not in message
    assert len(message) < 500


def unpacked(response: httpx.Response) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    body = response.content
    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    return load(body), header["__metadata__"]


# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:80", f"127.0.0.1.evil.example:{PORT}", f"[::1]:{PORT}"]
)
def test_foreign_hosts_are_refused(page: Page, host: str) -> None:
    refused(page.send("GET", "/api/runs", host=host), 403)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1"]
)
def test_foreign_origins_are_refused(page: Page, origin: str) -> None:
    for method, path in (("GET", "/api/runs"), ("GET", "/"), ("POST", "/api/runs/lstm/trace")):
        refused(page.send(method, path, headers={"Origin": origin}), 403)


def test_own_page_is_served(page: Page) -> None:
    for name in ("127.0.0.1", "localhost"):
        answer = page.send("GET", "/api/runs", host=f"{name}:{PORT}", headers={"Origin": f"http://{name}:{PORT}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/runs/lstm", "/nothing", "/explorer.js"])
def test_every_answer_has_security_headers(page: Page, path: str) -> None:
    headers = page.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert "'wasm-unsafe-eval'" in headers["content-security-policy"]
    assert "'unsafe-" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    # With both, the page may share memory with its worker.
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert "access-control-allow-origin" not in headers


def test_page_is_served(page: Page) -> None:
    index = page.get("/")
    assert index.status_code == 200
    assert index.headers["content-type"].startswith("text/html")
    assert page.get("/?view=network&run=lstm").content == index.content


@pytest.mark.parametrize(
    "path",
    [
        "/../../pyproject.toml",
        "/..%2f..%2fapp.py",
        "/%2e%2e/app.py",
        "/....//app.py",
        "//etc/passwd",
        "/app.py",
        "/static/%00",
    ],
)
def test_files_outside_the_page_are_not_served(page: Page, path: str) -> None:
    assert page.get(path).status_code in (400, 404, 405)


@pytest.mark.parametrize("name", ["nothing", "..%2Flstm", "%2e%2e%2flstm", "lstm%2f..%2flstm", "lstm%00", "LSTM"])
def test_run_name_is_never_joined_to_a_path(page: Page, name: str) -> None:
    assert page.get(f"/api/runs/{name}").status_code == 404
    assert page.trace(name).status_code in (404, 405)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/runs"), ("GET", "/api/runs/lstm/trace"), ("DELETE", "/api/runs/lstm")]
)
def test_unsupported_methods_are_refused(page: Page, method: str, path: str) -> None:
    assert page.send(method, path).status_code in (404, 405)


# --- lists of runs ---------------------------------------------------------------------------------------------------


def test_runs_are_listed_with_summaries(page: Page) -> None:
    answer = page.get("/api/runs").json()
    assert answer["version"] == __version__
    runs = {run["name"]: run for run in answer["runs"]}
    assert set(runs) == {"lstm", "deep peephole"}
    deep = runs["deep peephole"]
    assert deep["state"] == "finished"
    assert deep["problem"] is None
    assert deep["task"]["name"] == "counter"
    assert deep["cell"] == {"name": "peephole", "title": "Peephole LSTM"}
    assert deep["layers"] == [
        {"cell": "peephole", "neurons": 4, "reverse": False, "stacked": False},
        {"cell": "peephole", "neurons": 3, "reverse": False, "stacked": False},
    ]
    assert (deep["symbols"], deep["step"], deep["steps"], deep["progress"]) == (4, 6, 6, 1.0)
    assert deep["loss"] > 0
    assert deep["validation_loss"] > 0
    assert deep["score"]["chance"] == 0.1


def test_details_keep_validations_and_last_samples(page: Page, folder: Path) -> None:
    """A long history is thinned out, but every validation stays; of the samples the page gets the last 20."""
    run = Run(folder / "lstm")
    lines = [
        {"step": step, "loss": 1.0} | ({"validation_loss": 1.0} if step % 1000 == 1 else {}) for step in range(4500)
    ]
    (run.path / HISTORY).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run.path / SAMPLES).write_text("".join(json.dumps({"step": step, "text": "a"}) + "\n" for step in range(25)))
    details = page.get("/api/runs/lstm").json()
    steps = [record["step"] for record in details["history"]]
    assert {1, 1001, 2001, 3001, 4001} <= set(steps)
    assert steps == sorted(steps)
    assert 1000 < len(steps) < 2100
    assert [sample["step"] for sample in details["samples"]] == list(range(5, 25))


def test_run_details_hold_layers_and_history(page: Page) -> None:
    answer = page.get("/api/runs/deep peephole").json()
    assert [layer["name"] for layer in answer["layers"]] == ["layer0", "layer1"]
    layer = answer["layers"][1]
    assert layer["neurons"] == 3
    assert [s["name"] for s in layer["signals"]] == list("ifgcoh")
    forget = layer["signals"][1]
    assert (forget["title"], forget["range"], forget["formula"]) == ("forget gate", [0, 1], "σ(x.f + u.f + p.f · c₋₁)")
    assert forget["expression"]["operation"] == "sigmoid"
    assert {d["name"] for d in layer["drives"]} == {f"{a}.{b}" for a in "xu" for b in "ifgo"}
    assert [p["name"] for p in layer["parameters"]] == ["p.i", "p.f", "p.o"]
    assert answer["vocabulary"] == ["a", "X", "b", "\n"]
    assert answer["end"] == "\n"
    assert answer["checkpoints"] == [0, 3, 6]
    assert answer["examples"]
    assert [r["step"] for r in answer["history"]] == [2, 3, 4, 6]


DAMAGES: list[tuple[str, Any]] = [
    ("network.json", b"{"),
    ("network.json", b"[]"),
    ("network.json", b'{"format": 99}'),
    ("network.json", b"[" * 200_000),
    ("task.json", b""),
    ("task.json", b"\xff"),
    ("training.json", b"[]"),
    ("training.json", b'{"steps": "many"}'),
    ("training.json", b'{"steps": 5, "minutes": [1]}'),
    (HISTORY, b'{"step": "many", "loss": 1}\n'),
    (HISTORY, b'{"step": 1, "seconds": null, "loss": [1]}\n'),
    (HISTORY, b'{"step": 1, "loss": 1e999}\n'),
    (HISTORY, b'{"step": 1, "loss": NaN}\n'),
    (HISTORY, b'{"step": 1, "event": "end", "reason": "failed", "problem": "\\ud800"}\n'),
    (HISTORY, b"\x00\xff\n" * 9),
]


@pytest.mark.parametrize(("file", "content"), DAMAGES, ids=lambda value: str(value)[:40])
def test_damaged_run_is_listed_and_hides_no_other(folder: Path, file: str, content: bytes) -> None:
    (folder / "lstm" / file).write_bytes(content)
    page = Page(folder)
    answer = page.get("/api/runs")
    assert answer.status_code == 200, answer.text
    runs = {run["name"]: run for run in answer.json()["runs"]}
    assert runs["deep peephole"]["state"] == "finished"
    assert runs["lstm"]["state"] == "unreadable" or file in (HISTORY, "training.json")
    if runs["lstm"]["state"] == "unreadable":
        assert len(runs["lstm"]["problem"]) > 20
    assert page.get("/api/runs/lstm").status_code == 200
    assert page.get("/api/runs/deep peephole").status_code == 200


def test_run_with_undecodable_name_hides_no_other(folder: Path) -> None:
    (folder / "lstm").rename(os.fsdecode(os.fsencode(folder) + b"/\xff"))
    names = [run["name"] for run in Page(folder).get("/api/runs").json()["runs"]]
    assert "deep peephole" in names
    assert len(names) == 2


def test_runs_of_one_name_get_numbers(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "lstm", tmp_path / "other" / "lstm")
    page = Page(folder, tmp_path / "other")
    assert {run["name"] for run in page.get("/api/runs").json()["runs"]} == {"lstm", "lstm (2)", "deep peephole"}
    assert page.get("/api/runs/lstm (2)").status_code == 200


def test_changed_new_and_removed_runs_are_seen(folder: Path) -> None:
    page = Page(folder)
    assert len(page.get("/api/runs").json()["runs"]) == 2
    train(Run(folder / "lstm"), steps=8)
    assert {run["name"]: run["step"] for run in page.get("/api/runs").json()["runs"]}["lstm"] == 8
    with Run(folder / "lstm").training():
        assert {run["name"]: run["state"] for run in page.get("/api/runs").json()["runs"]}["lstm"] == "training"
    shutil.rmtree(folder / "lstm")
    assert len(page.get("/api/runs").json()["runs"]) == 1
    refused(page.trace("lstm"), 404, "lstm")


def test_run_state_follows_its_history(folder: Path) -> None:
    history = folder / "lstm" / HISTORY
    lines = history.read_text().splitlines(keepends=True)

    def state() -> str:
        return {run["name"]: run["state"] for run in Page(folder).get("/api/runs").json()["runs"]}["lstm"]

    history.write_text("".join(lines[:-1]))
    assert state() == "interrupted"
    for reason in ("interrupted", "failed"):
        history.write_text("".join(lines[:-1]) + json.dumps({"step": 6, "event": "end", "reason": reason}) + "\n")
        assert state() == reason


@pytest.mark.parametrize(
    ("steps", "minutes", "step", "seconds", "progress"),
    [(100, None, 25, 900, 0.25), (None, 10, 25, 150, 0.25), (100, 10, 50, 60, 0.5), (100, 10, 10, 300, 0.5)],
)
def test_progress_is_the_larger_share(
    tmp_path: Path, steps: int | None, minutes: float | None, step: int, seconds: float, progress: float
) -> None:
    """Training ends with its steps or its minutes, whichever come first, so the larger share is the progress."""
    configuration = configure(TASK.vocabulary, "lstm", (2,))
    run = create_run(tmp_path / "run", TASK, configuration, Settings(steps, minutes))
    run.append(HISTORY, {"step": step, "seconds": seconds})
    assert summary_of("run", run)["progress"] == pytest.approx(progress)


# --- traces ----------------------------------------------------------------------------------------------------------


def recorded(folder: Path, name: str, text: str) -> Trace:
    return record(Run(folder / name).network()[0], text)


def test_trace_arrays_equal_the_recording(page: Page, folder: Path) -> None:
    text = "aaXbb\naXb\n\nab?"
    arrays, metadata = unpacked(page.trace("deep peephole", text=text, layer="layer1", drives=True, top=4))
    trace = recorded(folder, "deep peephole", text)
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    names = {
        "token",
        "start",
        "top_token",
        "top_probability",
        "log_probability",
        "layer1.p.i",
        "layer1.p.f",
        "layer1.p.o",
    }
    assert set(arrays) == names | {f"layer1.{name}" for name in trace["layer1"]}
    for name, array in trace["layer1"].items():
        sent = arrays[f"layer1.{name}"]
        assert sent.dtype == np.float32
        np.testing.assert_array_equal(sent, array[inside].T)
        assert not np.isnan(sent).any()
    np.testing.assert_array_equal(arrays["layer1.p.f"], trace.parameters["layer1"]["p.f"])
    assert arrays["token"].dtype == np.int32
    assert arrays["token"].tolist() == TASK.vocabulary.encode(text).tolist()
    assert arrays["start"].dtype == np.uint8
    assert np.flatnonzero(arrays["start"]).tolist() == [0, 6, 10, 11]
    assert arrays["top_token"].shape == arrays["top_probability"].shape == (14, 4)
    np.testing.assert_array_equal(arrays["top_probability"], trace.steps["top_probability"][inside][:, :4])
    np.testing.assert_array_equal(arrays["log_probability"], trace.steps["log_probability"][inside])
    # No symbol follows the end of a sequence, and unknown symbols are never predicted.
    assert np.flatnonzero(np.isnan(arrays["log_probability"])).tolist() == [5, 9, 10, 12, 13]
    assert json.loads(metadata["labels"]) == list(text)
    assert json.loads(metadata["unknown"]) == ["?"]
    assert (metadata["residual"], metadata["holds"]) == ("null", "null"), "not checked yet"
    assert metadata["engine"] == trace.attributes["engine"]
    assert float(metadata["tolerance"]) == 1e-5
    assert metadata["step"] == str(Run(folder / "deep peephole").network()[1])


def test_check_answers_the_residual_of_the_recording(page: Page, folder: Path) -> None:
    """The trace is sent first; the check of the same request reports what `check_with` finds."""
    text = "aaXbb\naXb\n\nab?"
    body = {"text": text, "layer": "layer1"}
    answer = page.send("POST", "/api/runs/deep peephole/check", json=body).json()
    expected = check_with(Run(folder / "deep peephole").network()[0], recorded(folder, "deep peephole", text))
    assert answer == {"residual": expected.largest, "tolerance": 1e-5, "steps": 14}
    _, metadata = unpacked(page.trace("deep peephole", **body))
    assert float(metadata["residual"]) == pytest.approx(expected.largest, rel=1e-2), "checked already"
    assert page.send("POST", "/api/runs/lstm/check", json={"text": ""}).json()["steps"] == 0
    refused(page.send("POST", "/api/runs/lstm/check", json={"text": "a", "layer": "no"}), 400, "layer0")


def test_check_refuses_a_wrong_recording(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault of the engine, the input gate of another step, is found with layer and equation."""
    real = Network.forward

    def faulty(self: Network, *arguments: Any, **settings: Any) -> Output:
        output = real(self, *arguments, **settings)
        signals = [{name: v.roll(1, 0) if name == "i" else v for name, v in of.items()} for of in output.signals]
        return replace(output, signals=tuple(signals))

    monkeypatch.setattr(Network, "forward", faulty)
    answer = page.send("POST", "/api/runs/lstm/check", json={"text": "aaXbb"})
    refused(answer, 422, "of layer0: expected a residual of at most 1e-05")
    assert answer.json()["code"] == "EXPLORER_CHECK_FAILED"


def test_trace_sends_the_detail_of_a_neuron_besides(page: Page) -> None:
    """Strips and panel in one answer: the detail has the arrays of a request for this neuron alone."""
    both, _ = unpacked(page.trace("deep peephole", layer="layer1", signals=["c"], detail=2))
    panel, _ = unpacked(page.trace("deep peephole", layer="layer1", neurons=[2], drives=True))
    alone = {f"detail.{name}": array for name, array in panel.items() if name.startswith("layer1.")}
    assert {name for name in both if name.startswith("detail.")} == set(alone)
    for name, array in alone.items():
        np.testing.assert_array_equal(both[name], array)
    assert both["layer1.c"].shape[0] > 1
    refused(page.trace(detail=4), 400, "0 to 3")
    assert unpacked(page.trace(text="", detail=0))[0]["detail.layer0.x.i"].shape == (1, 0)


def test_trace_replaced_by_a_newer_request_is_refused(page: Page) -> None:
    assert page.trace(page="one", sequence=5).status_code == 200
    replaced = page.trace(page="one", sequence=4)
    refused(replaced, 409, "newer")
    assert replaced.json()["code"] == "EXPLORER_REPLACED"
    assert page.trace(page="one", sequence=5).status_code == 200, "the panel of the same text"
    assert page.trace(page="two", sequence=1).status_code == 200


@pytest.mark.parametrize(("share", "holds"), [(0.5, True), (1.0, True), (1.1, False), (20.0, False)])
def test_check_holds_up_to_the_tolerance(folder: Path, share: float, holds: bool) -> None:
    """The page says that the equations hold if the largest residual is at most the tolerance of the trace."""
    network = Run(folder / "lstm").network()[0]
    keys = [("layer0", "h", None)]
    recording = record_text(network, "aXb\n", list("aXb\n"), 6, None, keys, [], lambda done, total: None)
    recording.residual = share * recording.attributes["tolerance"]
    body = encode(recording, TraceRequest("aXb\n", signals=("h",)))
    header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    assert json.loads(header["__metadata__"]["holds"]) is holds


def test_trace_sends_requested_arrays_only(page: Page) -> None:
    whole, _ = unpacked(page.trace())
    assert {name for name in whole if "." in name} == {f"layer0.{k}" for k in "ifgoch"}
    some, _ = unpacked(page.trace(signals=["c"], neurons=[3, 1], top=1))
    assert {name for name in some if "." in name} == {"layer0.c"}
    np.testing.assert_array_equal(some["layer0.c"], whole["layer0.c"][[3, 1]])
    assert some["top_token"].shape == (9, 1)
    with_drives, _ = unpacked(page.trace("deep peephole", signals=[], neurons=[2], drives=True))
    assert with_drives["layer0.x.i"].shape == (1, 9)
    assert with_drives["layer0.p.i"].shape == (1,)
    assert all(unpacked(page.trace(top=top))[0]["top_token"].shape[1] in (1, 4) for top in (-5, 0, 1000))


@pytest.mark.parametrize("drives", [False, True])
def test_trace_of_an_empty_text_is_empty(page: Page, drives: bool) -> None:
    full, _ = unpacked(page.trace("deep peephole", text="a", drives=drives))
    arrays, metadata = unpacked(page.trace("deep peephole", text="", drives=drives))
    assert {name for name in full if ".p." not in name} == {name for name in arrays if ".p." not in name}
    for name, array in arrays.items():
        assert array.dtype == full[name].dtype, name
        if ".p." not in name:
            assert array.size == 0, name
    assert arrays["layer0.c"].shape == (4, 0)
    assert arrays["top_token"].shape == (0, 3)
    assert (metadata["labels"], metadata["unknown"]) == ("[]", "[]")


@pytest.mark.parametrize("text", ["東京 ?!", "\ud800", "a\x00b", "\u202e🙂é", "a" * 300])
def test_trace_accepts_any_text(page: Page, text: str) -> None:
    body = json.dumps({"text": text})
    arrays, metadata = unpacked(
        page.send("POST", "/api/runs/lstm/trace", content=body, headers={"content-type": "application/json"})
    )
    assert len(arrays["token"]) == len(text) == len(json.loads(metadata["labels"]))
    assert json.loads(metadata["unknown"]) == sorted(set(text) - set("aXb\n"))


def test_trace_uses_the_weights_of_the_checkpoint(page: Page, folder: Path) -> None:
    arrays, metadata = unpacked(page.trace(checkpoint=3))
    assert metadata["step"] == "3"
    expected = record(Run(folder / "lstm").network(3)[0], "aaXbb\n")
    np.testing.assert_array_equal(arrays["layer0.c"][:, :6], expected["layer0"]["c"][0].T)
    assert not np.array_equal(arrays["layer0.c"], unpacked(page.trace(checkpoint=0))[0]["layer0.c"])
    for step in (4, -1, 10**30):
        refused(page.trace(checkpoint=step), 409, "0, 3, 6")


def test_trace_uses_new_weights_at_once(page: Page, folder: Path) -> None:
    before, _ = unpacked(page.trace())
    run = Run(folder / "lstm")
    run.save_weights(run.network(0)[0].state_dict(), 77)
    after, metadata = unpacked(page.trace())
    assert metadata["step"] == "77"
    assert not np.array_equal(before["layer0.h"], after["layer0.h"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer": "layer1"}, "layer0"),
        ({"layer": "../layer0"}, "layer0"),
        ({"layer": 0}, "layer"),
        ({"signals": ["q"]}, "i, f, g, o, c, h"),
        ({"signals": ["x.i"]}, "i, f, g, o, c, h"),
        ({"signals": ["\ud800"]}, "i, f, g, o, c, h"),
        ({"signals": "c"}, "signals"),
        ({"signals": [1]}, "signals"),
        ({"neurons": [4]}, "0 to 3"),
        ({"neurons": [-1]}, "0 to 3"),
        ({"neurons": [10**30]}, "0 to 3"),
        ({"neurons": [0.5]}, "neurons"),
        ({"neurons": [True]}, "neurons"),
        ({"neurons": [0] * 100_000}, "Neurons of layer0: expected different numbers"),
        ({"neurons": 3}, "neurons"),
        ({"drives": 1}, "drives"),
        ({"top": "3"}, "top"),
        ({"top": 2.5}, "top"),
        ({"checkpoint": "3"}, "checkpoint"),
        ({"checkpoint": True}, "checkpoint"),
        ({"text": None}, "text"),
        ({"text": 3}, "text"),
        ({"color": "red"}, "color"),
        ({"\ud800": 1}, "field"),
    ],
    ids=str,
)
def test_trace_refuses_impossible_fields(page: Page, change: dict[str, Any], words: str) -> None:
    body = json.dumps({"text": "aXb", **change})
    answer = page.send("POST", "/api/runs/lstm/trace", content=body, headers={"content-type": "application/json"})
    refused(answer, 400, words)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"text": "a"} x', b'{"text": "a", "top": NaN}']
)
def test_trace_refuses_bodies_that_are_not_json_objects(page: Page, body: bytes) -> None:
    answer = page.send("POST", "/api/runs/lstm/trace", content=body, headers={"content-type": "application/json"})
    refused(answer, 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
def test_trace_refuses_content_types_of_forms(page: Page, kind: str) -> None:
    refused(page.send("POST", "/api/runs/lstm/trace", content=b'{"text": "a"}', headers={"content-type": kind}), 415)


def test_request_at_the_limit_is_answered_above_it_refused(page: Page) -> None:
    """A body of 1 MiB is accepted; one more byte is refused with a sentence that names this limit."""
    json_type = {"content-type": "application/json"}
    body = b'{"text": "a"}'.ljust(1 << 20)
    assert page.send("POST", "/api/runs/lstm/trace", content=body, headers=json_type).status_code == 200
    response = page.send("POST", "/api/runs/lstm/trace", content=body + b" ", headers=json_type)
    refused(response, 413, "Request: expected at most 1,048,576 bytes, got more.")


def test_text_at_the_limit_is_answered_longer_refused(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(page.trace(text="a" * 20_001), 413, "20,000")
    monkeypatch.setattr(gatescope.explorer.split_text, "MAX_TEXT_STEPS", 10)
    refused(page.trace(text="a" * 11), 413, "10")
    assert page.trace(text="a" * 10).status_code == 200


@pytest.mark.parametrize("content", [b"", b"\x80\x04", None])
def test_trace_of_a_run_without_weights_is_refused(page: Page, folder: Path, content: bytes | None) -> None:
    weights = folder / "lstm" / "weights.safetensors"
    weights.unlink() if content is None else weights.write_bytes(content)
    refused(page.trace(), 409, "weights")
    assert page.trace("deep peephole").status_code == 200


# --- live changes ----------------------------------------------------------------------------------------------------


def test_events_send_runs_at_once_and_after_changes(page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test calls the application directly, because HTTP clients wait for the end of an endless answer."""
    monkeypatch.setattr("gatescope.explorer.routes.POLL_SECONDS", 0.01)
    events: list[dict[str, Any]] = []
    started: dict[str, Any] = {}

    async def listen() -> None:
        gone = anyio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message.get("body"):
                kind, data = message["body"].decode().rstrip().split("\n")
                assert kind == "event: runs"
                events.append(json.loads(data.removeprefix("data: ")))
                if len(events) == 1:
                    Run(folder / "lstm").append(HISTORY, {"step": 7, "loss": 0.5})
                else:
                    gone.set()

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/events",
            "raw_path": b"/api/events",
            "query_string": b"",
            "headers": [(b"host", f"127.0.0.1:{PORT}".encode())],
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
        }
        with anyio.fail_after(30):
            await page.app(scope, receive, send)

    anyio.run(listen)
    assert started["status"] == 200
    assert dict(started["headers"])[b"content-type"].startswith(b"text/event-stream")
    assert events[0]["version"] == __version__
    assert [{run["name"]: run["step"] for run in event["runs"]}["lstm"] for event in events] == [6, 7]
