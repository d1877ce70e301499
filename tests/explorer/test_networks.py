"""The network of a run as files: network.json and its weights, and what must not be sent."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load

from gatescope import TASKS, Configuration, Run, Settings, configure, create_run, train
from gatescope.explorer import networks
from gatescope.explorer.memory import Memory
from tests.explorer.page import Page

TASK = TASKS["counter"](batch=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = create_run(folder / "lstm", TASK, configure(TASK.vocabulary, "lstm", (4,)), Settings(6, validate_every=3))
    train(run)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    return Run(shutil.copytree(trained, tmp_path / "runs") / "lstm")


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def page(run: Run, memory: Memory) -> Page:
    return Page(run.path.parent, memory=memory)


def stamp_of(page: Page) -> str:
    """Return what the list of runs has for the weights of the run."""
    (summary,) = page.get("/api/runs").json()["runs"]
    assert isinstance(summary["weights_stamp"], str)
    return summary["weights_stamp"]


def test_network_is_the_configuration_of_the_run(page: Page, run: Run) -> None:
    answer = page.get("/api/runs/lstm/network").json()
    assert Configuration.from_json(answer) == run.configuration()
    assert answer["format"] == 3


def test_weights_are_the_bytes_of_the_file(page: Page, run: Run) -> None:
    answer = page.get("/api/runs/lstm/weights")
    assert answer.content == (run.path / "weights.safetensors").read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    (summary,) = page.get("/api/runs").json()["runs"]
    assert summary["weights_bytes"] == len(answer.content)


@pytest.mark.parametrize("step", [0, 7])
def test_list_of_runs_has_the_step_of_the_best_weights(page: Page, run: Run, step: int) -> None:
    run.save_weights(run.network()[0].state_dict(), step)
    (summary,) = page.get("/api/runs").json()["runs"]
    assert summary["weights_step"] == step


def test_weights_of_a_checkpoint_are_its_own(page: Page, run: Run) -> None:
    for step in (0, 3, 6):
        sent, stored = load(page.get(f"/api/runs/lstm/weights?checkpoint={step}").content), run.network(step)[0]
        assert all(sent[name].equal(weight) for name, weight in stored.state_dict().items())
    contents = {page.get(f"/api/runs/lstm/weights?checkpoint={step}").content for step in (0, 3, 6)}
    assert len(contents) == 3


def test_weights_known_to_the_page_are_not_sent_again(page: Page) -> None:
    tag = page.get("/api/runs/lstm/weights").headers["etag"]
    again = page.get("/api/runs/lstm/weights", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = page.get("/api/runs/lstm/weights?checkpoint=0", headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_new_weights_have_a_new_tag_and_stamp(page: Page, run: Run) -> None:
    before, stamp = page.get("/api/runs/lstm/weights"), stamp_of(page)
    assert stamp_of(page) == stamp
    run.save_weights(run.network(0)[0].state_dict(), 77)
    after = page.get("/api/runs/lstm/weights", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content == (run.path / "weights.safetensors").read_bytes() != before.content
    assert after.headers["etag"] != before.headers["etag"]
    assert stamp_of(page) != stamp


@pytest.mark.parametrize("query", ["checkpoint=one", "checkpoint=-1", "checkpoint=1_0", "checkpoint=+3", "step=3"])
def test_weights_request_with_a_wrong_field_is_refused(page: Page, query: str) -> None:
    answer = page.get(f"/api/runs/lstm/weights?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Request weights")


def test_missing_checkpoint_is_refused_with_the_list(page: Page) -> None:
    for step in ("4", "9" * 18):
        answer = page.get(f"/api/runs/lstm/weights?checkpoint={step}")
        assert answer.status_code == 409
        assert "0, 3, 6" in answer.json()["error"]


def test_damaged_weights_are_refused(page: Page, run: Run) -> None:
    file = run.path / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    answer = page.get("/api/runs/lstm/weights")
    assert answer.status_code == 409
    assert "checksum" in answer.json()["error"]
    file.unlink()
    assert page.get("/api/runs/lstm/weights").status_code == 409


def test_weights_outside_the_run_are_not_sent(page: Page, run: Run, tmp_path: Path) -> None:
    file = run.path / "weights.safetensors"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert page.get("/api/runs/lstm/weights").status_code == 409


def test_large_weights_are_refused_unread(page: Page, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.free_bytes
    size = len(page.get("/api/runs/lstm/weights").content)
    monkeypatch.setattr(networks, "MAX_WEIGHTS_BYTES", size)
    assert page.get("/api/runs/lstm/weights").status_code == 200
    monkeypatch.setattr(networks, "MAX_WEIGHTS_BYTES", size - 1)
    monkeypatch.setattr(networks, "weights_file", lambda *_: pytest.fail("the file was read"))
    answer = page.get("/api/runs/lstm/weights")
    assert (answer.status_code, "Weights: expected at most" in answer.json()["error"]) == (413, True)
    assert memory.free_bytes == free, "every answer gives its memory back"


@pytest.mark.parametrize("name", ["nothing", "..%2Flstm", "lstm%2f..%2flstm", "LSTM"])
def test_network_of_an_unknown_run_is_not_found(page: Page, name: str) -> None:
    for what in ("network", "weights"):
        assert page.get(f"/api/runs/{name}/{what}").status_code == 404
        assert page.send("POST", f"/api/runs/lstm/{what}").status_code == 405
