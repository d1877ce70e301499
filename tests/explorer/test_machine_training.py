"""Trainings that begin on the page: ordinary runs in processes of their own, which any server can pause and stop."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gatescope import Run
from gatescope.explorer import trainings
from gatescope.explorer.training_words import LIMITS, MAX_TEXT_BYTES
from gatescope.runs import HISTORY, WEIGHTS
from gatescope.runs.training_request import REQUEST
from tests.explorer.page import PORT, Page
from tests.source_files import ROOT
from tests.trainings import folder_of_trainings
from tests.waiting import PATIENCE

SHORT = {"task": "counter", "cell": "gru", "neurons": 2, "layers": 2, "batch": 2, "seed": 7, "steps": 3}
LONG = {"task": "counter", "neurons": 1, "learning_rate": 1e-9, "steps": 100_000_000}
"""A training that nothing but a request ends."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder of runs; the trainings in it end with the test."""
    yield from folder_of_trainings(tmp_path)


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not depend on the number of cores."""
    monkeypatch.setattr(trainings, "most_trainings", lambda: 2)


def content_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def summary(page: Page, name: str) -> dict[str, Any]:
    return next(run for run in page.get("/api/runs").json()["runs"] if run["name"] == name)


def refusal(page: Page, path: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
    answer = page.act(path, body, **headers)
    return answer.status_code, answer.json()["code"], answer.json()["error"]


# --- the command -----------------------------------------------------------------------------------------------------


def test_shown_command_gives_the_same_run(page: Page, folder: Path, tmp_path: Path) -> None:
    shown = page.act("/api/train", SHORT | {"check": True}).json()
    assert content_of(folder) == []
    answer = page.act("/api/train", SHORT)
    assert (answer.status_code, answer.json()) == (200, shown)
    words = shlex.split(shown["command"])
    assert shown["run"] == "counter"
    given = "gatescope train counter --cell gru --neurons 2 --layers 2 --batch 2 --seed 7 --steps 3 --run"
    assert words == [*given.split(), str(folder / "counter")]
    until(lambda: summary(page, "counter")["state"] == "finished")
    words[-1] = str(tmp_path / "again")
    subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL)
    for file in ("network.json", "task.json", "training.json"):
        assert (folder / "counter" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    weights, expected = (load_file(run / WEIGHTS) for run in (folder / "counter", tmp_path / "again"))
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    again = page.act("/api/train", SHORT | {"check": True}).json()
    assert again["run"] == "counter-2"


def test_value_that_looks_like_an_option_stays_a_value(page: Page) -> None:
    answer = page.act("/api/train", SHORT | {"learning_rate": -1, "cell": "--from", "neurons": None, "check": True})
    words = shlex.split(answer.json()["command"])
    assert "--cell=--from" in words
    assert "--learning-rate=-1" in words


def test_refusal_of_the_command_reaches_the_page(page: Page, folder: Path) -> None:
    """Options are checked in one place, the command itself. Its sentence has the language of the page."""
    status, code, sentence = refusal(page, "/api/train", SHORT | {"learning_rate": -1})
    assert (status, code) == (409, "MACHINE_REFUSED")
    assert sentence == "Setting learning rate: expected a finite number above 0, got -1.0."
    sentence = refusal(page, "/api/train", SHORT | {"learning_rate": -1}, **{"Accept-Language": "zh"})[2]
    assert "应为" in sentence
    assert content_of(folder) == []


TEXT_BODY = {"task": "text", "file": "notes.txt", "neurons": 2, "batch": 2, "steps": 2}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"task": "/etc/passwd"}, 400, "REQUEST_FIELD_VALUE"),
        ({"task": "adopted"}, 400, "REQUEST_FIELD_VALUE"),
        ({"task": "counter", "threads": 9}, 400, "REQUEST_FIELD_UNKNOWN"),
        ({"task": "counter", "neurons": "9"}, 400, "REQUEST_FIELD_VALUE"),
        ({"task": "counter", "neurons": True}, 400, "REQUEST_FIELD_VALUE"),
        ({"task": "counter", "neurons": 0}, 400, "MACHINE_FIELD_RANGE"),
        ({"task": "counter", "neurons": 1025}, 400, "MACHINE_FIELD_RANGE"),
        ({"task": "counter", "layers": 10**9}, 400, "MACHINE_FIELD_RANGE"),
        ({"task": "counter", "batch": 5000}, 400, "MACHINE_FIELD_RANGE"),
        ({"task": "counter", "steps": 0}, 400, "MACHINE_FIELD_RANGE"),
        ({"task": "counter", "neurons": 1024, "layers": 8}, 400, "MACHINE_PARAMETERS"),
        ({"task": "counter", "cell": "lstm\x00"}, 400, "MACHINE_FIELD_CELL"),
        ({"task": "counter", "cell": "\ud800"}, 400, "MACHINE_FIELD_CELL"),
        ({"task": "counter", "cell": "nonsense", "neurons": 2}, 409, "UNKNOWN_NAME"),
        ({"task": "counter", "name": "../escaped"}, 409, "RUN_NAME_CHARACTER"),
        ({"task": "counter", "name": ".texts"}, 409, "RUN_NAME_ENDS"),
        ({"task": "counter", "name": "-rf"}, 409, "RUN_NAME_ENDS"),
        ({"task": "counter", "name": "con"}, 409, "RUN_NAME_RESERVED"),
        ({"task": "counter", "name": "taken"}, 409, "RUN_NAME_TAKEN"),
        ({"task": "counter", "file": "a.txt", "text": "a"}, 400, "MACHINE_FIELD_FILE"),
        ({"task": "text"}, 400, "MACHINE_FIELD_FILE"),
        (TEXT_BODY, 400, "MACHINE_TEXT_MISSING"),
        (TEXT_BODY | {"text": "a\ud800"}, 400, "MACHINE_TEXT_SURROGATE"),
    ],
)
def test_request_out_of_bounds_starts_nothing(
    page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch, body: Any, status: int, code: str
) -> None:
    (folder / "taken").mkdir()
    monkeypatch.setattr(trainings, "Training", None)
    answer = refusal(page, "/api/train", body)
    assert answer[:2] == (status, code)
    assert content_of(folder) == ["taken"]


def test_long_text_is_refused(page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.explorer.training_words.MAX_TEXT_BYTES", 10)
    assert refusal(page, "/api/train", TEXT_BODY | {"text": "数数数数"})[:2] == (413, "MACHINE_TEXT_TOO_LARGE")
    monkeypatch.setattr("gatescope.explorer.training_routes.MAX_BODY_BYTES", 10)
    assert refusal(Page(folder), "/api/train", TEXT_BODY | {"text": "a"})[:2] == (413, "REQUEST_TOO_LARGE")
    assert content_of(folder) == []


@pytest.mark.parametrize("path", ["/api/train", "/api/runs/x/pause", "/api/runs/x/stop", "/api/runs/x/resume"])
def test_request_without_the_token_starts_nothing(page: Page, folder: Path, path: str) -> None:
    own, token = {"Origin": f"http://127.0.0.1:{PORT}"}, {"X-Gatescope-Token": page.token.value}
    for code, headers in (
        ("ACT_ORIGIN_MISSING", token),
        ("ACT_TOKEN_MISSING", own),
        ("ACT_TOKEN_WRONG", own | {"X-Gatescope-Token": "x"}),
        ("EXPLORER_FOREIGN_PAGE", token | {"Origin": "http://evil.example"}),
    ):
        answer = page.send("POST", path, headers=headers, json=SHORT)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert page.send("GET", path).status_code in (404, 405)
    assert content_of(folder) == []


def test_runs_alone_have_no_folder_for_a_new_one(folder: Path) -> None:
    page = Page(folder)
    page.act("/api/train", SHORT)
    alone = Page(folder / "counter")
    assert refusal(alone, "/api/train", SHORT)[:2] == (409, "ACT_NO_FOLDER")


def test_folder_that_is_not_writable_is_a_sentence(page: Page, folder: Path) -> None:
    if os.geteuid() == 0:
        (folder / ".texts").write_text("a file")  # root may write everywhere
        body, code = TEXT_BODY | {"text": "a" * 500}, "FILE_UNWRITABLE"
    else:
        folder.chmod(0o500)
        body, code = SHORT, "MACHINE_REFUSED"
    assert refusal(page, "/api/train", body)[:2] == (409, code)


# --- a training ------------------------------------------------------------------------------------------------------


def test_training_is_paused_resumed_and_stopped(page: Page, folder: Path) -> None:
    """Stopping is final: the run is finished and has its score."""
    name = page.act("/api/train", LONG | {"name": "zähler 1"}).json()["run"]
    path = f"/api/runs/{name}"
    run = Run(folder / name)
    assert name == "zähler 1"
    assert summary(page, name)["state"] == "training"
    assert refusal(page, f"{path}/resume")[:2] == (409, "MACHINE_NOT_INTERRUPTED")
    until(lambda: len(run.read(HISTORY)) > 2)
    assert page.act(f"{path}/pause").json() == {"ended": True}
    assert summary(page, name)["state"] == "interrupted"
    paused = run.read(HISTORY)[-1]
    assert paused["reason"] == "interrupted"
    assert max(run.checkpoints()) == paused["step"] > 0
    assert refusal(page, f"{path}/pause")[:2] == (409, "MACHINE_NOT_TRAINING")

    answer = page.act(f"{path}/resume").json()
    assert shlex.split(answer["command"]) == ["gatescope", "train", "--resume", "--run", str(folder / name)]
    assert summary(page, name)["state"] == "training"
    until(lambda: run.read(HISTORY)[-1]["step"] > paused["step"])
    assert page.act(f"{path}/stop").json() == {"ended": True}
    shown = summary(page, name)
    assert (shown["state"], shown["progress"]) == ("finished", 1.0)
    assert shown["score"]["value"] >= 0
    validation, end = run.read(HISTORY)[-2:]
    assert end["reason"] == "stopped"
    assert validation["step"] == end["step"] == max(run.checkpoints())
    assert validation["validation_loss"] > 0
    assert not (folder / name / REQUEST).exists()
    assert refusal(page, f"{path}/resume")[:2] == (409, "MACHINE_NOT_INTERRUPTED")
    assert refusal(page, f"{path}/pause", {"now": True})[:2] == (400, "REQUEST_FIELD_UNKNOWN")
    for act in ("pause", "resume", "stop"):
        assert refusal(page, f"/api/runs/none/{act}")[:2] == (404, "EXPLORER_RUN_UNKNOWN")


def test_training_of_a_terminal_is_paused_by_any_server(page: Page, folder: Path) -> None:
    words = ["train", "counter", "--neurons", "1", "--learning-rate", "1e-9", "--run", str(folder / "own")]
    process = subprocess.Popen(
        [sys.executable, "-m", "gatescope", *words, "--steps", "1000000"], stdout=subprocess.PIPE, text=True
    )
    until(lambda: Run(folder / "own").is_training)
    assert page.act("/api/runs/own/pause").json() == {"ended": True}
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Resume it with" in output
    assert summary(page, "own")["state"] == "interrupted"


def test_old_request_does_not_end_a_new_training(page: Page, folder: Path) -> None:
    page.act("/api/train", LONG)
    page.act("/api/runs/counter/pause")
    (folder / "counter" / REQUEST).write_text("stop")
    steps = summary(page, "counter")["step"]
    page.act("/api/runs/counter/resume")
    until(lambda: summary(page, "counter")["step"] > steps + 200)
    assert summary(page, "counter")["state"] == "training"


def test_number_of_trainings_is_bounded(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of other servers and of terminals count."""
    monkeypatch.setattr(trainings, "most_trainings", lambda: 1)
    page.act("/api/train", LONG)
    for asking in (page, Page(*page_folders(page))):
        assert refusal(asking, "/api/train", SHORT)[:2] == (409, "MACHINE_BUSY")
    page.act("/api/runs/counter/pause")
    assert page.act("/api/train", SHORT).json()["run"] == "counter-2"


def page_folders(page: Page) -> list[Path]:
    """Return the folders that a page shows."""
    command = page.act("/api/train", SHORT | {"check": True}).json()["command"]
    return [Path(shlex.split(command)[-1]).parent]


def test_killed_training_says_so_and_is_resumed(page: Page, folder: Path) -> None:
    page.act("/api/train", LONG)
    os.kill(process_of(folder / "counter"), signal.SIGKILL)
    until(lambda: summary(page, "counter")["problem"])
    shown = summary(page, "counter")
    assert shown["state"] == "interrupted"
    assert shown["problem"].startswith("Training: expected it to go on, but its process was ended (status -9).")
    assert page.get("/api/runs/counter").json()["problem"] == shown["problem"]
    assert page.get("/api/runs/counter", headers={"Accept-Language": "zh"}).json()["problem"].startswith("训练：")
    page.act("/api/runs/counter/resume")
    assert summary(page, "counter")["problem"] is None


def process_of(run: Path) -> int:
    """Return the number of the process that trains a run."""
    table = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], check=True, capture_output=True, text=True).stdout
    (line,) = [line for line in table.splitlines() if str(run) in line and "train" in line]
    return int(line.split()[0])


def test_ended_training_leaves_no_zombie(page: Page) -> None:
    page.act("/api/train", SHORT)
    until(lambda: summary(page, "counter")["state"] == "finished")
    until(lambda: not zombies())


def zombies() -> list[str]:
    words = ["ps", "-o", "stat=", "--ppid", str(os.getpid())]
    table = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [state for state in table.split() if state.startswith("Z")]


# --- a text of one's own ---------------------------------------------------------------------------------------------


def test_own_text_is_kept_beside_the_runs(page: Page, folder: Path) -> None:
    text = "the cat sät on the mat.\r\n" * 60
    answer = page.act("/api/train", TEXT_BODY | {"text": text, "file": "../my notes.txt"}).json()
    file = folder / ".texts" / "my notes.txt"
    assert file.read_bytes() == text.encode()
    assert shlex.split(answer["command"])[2:4] == ["text", str(file)]
    assert answer["run"] == "my notes"
    until(lambda: summary(page, "my notes")["state"] == "finished")
    assert json.loads((folder / "my notes" / "task.json").read_text())["paths"] == [str(file)]
    assert [run["name"] for run in page.get("/api/runs").json()["runs"]] == ["my notes"]
    other = page.act("/api/train", TEXT_BODY | {"text": text, "file": "my notes.txt"}).json()
    assert other["run"] == "my notes-2"
    assert str(folder / ".texts" / "my notes-2.txt") in shlex.split(other["command"])


def test_text_that_is_too_short_is_a_sentence_and_stays_nowhere(page: Page, folder: Path) -> None:
    status, code, sentence = refusal(page, "/api/train", TEXT_BODY | {"text": "short"})
    assert (status, code) == (409, "MACHINE_REFUSED")
    assert "expected" in sentence
    assert content_of(folder) == [".texts"]


def test_text_does_not_follow_a_link(page: Page, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / ".texts").symlink_to(elsewhere)
    assert refusal(page, "/api/train", TEXT_BODY | {"text": "a" * 500})[:2] == (409, "FILE_IS_LINK")
    assert content_of(elsewhere) == []


# --- the form --------------------------------------------------------------------------------------------------------


def test_form_has_the_limits_of_the_server() -> None:
    form = "".join(
        (ROOT / f"web/src/{room}/machine-training.ts").read_text(encoding="utf-8") for room in ("data", "model")
    )
    limits = re.search(r"MACHINE_LIMITS = \{(.*)\}", form)
    assert limits is not None
    numbers = dict(re.findall(r"(\w+): ([\d_]+)", limits[1]))
    assert {name: int(number) for name, number in numbers.items()} == {name: LIMITS[name] for name in numbers}
    assert f"MAX_FILE_BYTES = {MAX_TEXT_BYTES >> 20} << 20" in form
