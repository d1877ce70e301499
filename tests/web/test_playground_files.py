"""From the playground to Python and back: a training is saved as a run, Python trains it on, and a run is opened."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect
from safetensors.numpy import load_file

from gatescope import TASKS, Run, Settings, create_run, train, unpack_run
from gatescope.training import recommended_network
from tests.web.test_playground import Playground, playground
from tests.web.watching import MILLISECONDS

__all__ = ["playground"]

PROSE = "It was the best of times, it was the worst of times;\nit was the age of 'wisdom'. " * 20
TOLERANCE = 1e-3  # of losses and weights after 30 updates in single precision


def download(playground: Playground, folder: Path) -> Path:
    """Save the run of the playground, and return its zip file."""
    with playground.page.expect_download() as event:
        playground.at("download").click()
    file = folder / str(len(list(folder.iterdir()))) / event.value.suggested_filename
    event.value.save_as(file)
    assert zipfile.ZipFile(file).testzip() is None
    return file


def step_to(playground: Playground, first: int, last: int) -> None:
    for step in range(first, last + 1):
        playground.at("step").click()
        expect(playground.at("state")).to_contain_text(f"{step} update")


def after(updates: int) -> Callable[[], bool]:
    """Return a function that is true once it was called after some updates."""
    left = [updates]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


def lines_executed(lines: str, file: Path, updates: int) -> Run:
    """Execute the lines of the page beside a file, do some updates, and return the run."""
    assert len(lines.splitlines()) == 3
    for before, now in (
        ('"runs/', f'"{file.parent}/runs/'),
        (f'"{file.name}"', f'"{file}"'),
        ("train(run)", "train(run, stop=stop)"),
    ):
        assert lines.count(before) == 1
        lines = lines.replace(before, now)
    names: dict[str, Any] = {"stop": after(updates)}
    exec(lines, names)  # noqa: S102
    return names["run"]


def losses(run: Run) -> dict[int, float]:
    return {record["step"]: record["loss"] for record in run.read("history.jsonl") if "loss" in record}


def expect_same_training(actual: Run, expected: Run, step: int) -> None:
    """Compare the losses, the weights and the optimizer of two trainings after the same updates."""
    assert losses(actual).keys() == losses(expected).keys()
    for at, loss in losses(expected).items():
        assert losses(actual)[at] == pytest.approx(loss, rel=TOLERANCE), at
    for file in ("weights", "optimizer"):
        left, right = (
            load_file(run.path / f"checkpoints/step-{step:08d}/{file}.safetensors") for run in (actual, expected)
        )
        assert {*right} - {"random"} <= {*left}  # Python also has states that no batch of strings carries on
        for name in {*right} - {"random"}:
            np.testing.assert_allclose(left[name], right[name], atol=TOLERANCE, rtol=TOLERANCE, err_msg=name)


def test_run_of_the_page_goes_on_in_python(playground: Playground, tmp_path: Path) -> None:
    """Python has what the page has: by the recipe from the start, and by the three lines from update 15."""
    playground.open("lstm+6+2+counter+batch+16+seed+7")
    step_to(playground, 1, 15)
    early = download(playground, tmp_path)
    assert early.name == "lstm-6-2-counter-batch-16-seed-7.zip"
    playground.at("python").locator("summary").click()
    lines = playground.at("lines").inner_text()
    step_to(playground, 16, 30)
    late = unpack_run(download(playground, tmp_path), tmp_path / "late")
    assert sorted(losses(late)) == [10, 20, 30]
    assert late.state(late.read("history.jsonl")[-1]) == "interrupted"

    expect_same_training(lines_executed(lines, early, updates=15), late, 30)

    task = TASKS["counter"](batch=16)
    settings = Settings.recommended(task, seed=7, until_solved=False, batches="page")
    assert late.settings() == vars(settings)
    assert late.task().to_json() == task.to_json()
    own = create_run(tmp_path / "own", task, recommended_network(task, "lstm", [6, 6]), settings)
    assert late.configuration() == own.configuration()
    train(own, stop=after(30))
    expect_same_training(own, late, 30)


def test_pasted_text_is_a_file_of_its_run(playground: Playground, tmp_path: Path) -> None:
    """The text and the carried states of its streams go along; the run may be moved."""
    playground.page.goto(f"{playground.address}/?view=playground&experiment=gru+5+1+text+seed+2")
    playground.expect_phase("empty")
    playground.at("paste").fill(PROSE)
    playground.expect_phase("ready")
    step_to(playground, 1, 15)
    early = unpack_run(download(playground, tmp_path), tmp_path / "early")
    assert (early.path / "text.txt").read_text(encoding="utf-8") == PROSE
    moved = Run(early.path.rename(tmp_path / "moved"))
    train(moved, stop=after(15))
    step_to(playground, 16, 30)
    late = unpack_run(download(playground, tmp_path), tmp_path / "late")
    expect_same_training(moved, late, 30)
    (tmp_path / "other.txt").write_text(PROSE, encoding="utf-8")
    assert late.task().recommended == TASKS["text"]([tmp_path / "other.txt"]).recommended


def test_finished_training_trains_on_for_more_updates(playground: Playground, tmp_path: Path) -> None:
    playground.open("elman+2+1+copy+batch+1")
    playground.at("train").click()
    expect(playground.at("state")).to_contain_text("Finished after 2,000 updates", timeout=4 * MILLISECONDS)
    file = download(playground, tmp_path)
    lines = playground.at("lines").text_content() or ""
    assert lines.splitlines()[-1] == "gatescope.train(run, steps=4000)"
    run = unpack_run(file, tmp_path / "run")
    assert run.state(run.read("history.jsonl")[-1]) == "finished"
    assert run.checkpoints()[-1] == 2000
    assert run.network()[1] == run.read("history.jsonl")[-1]["step"] or run.network()[1] < 2000
    train(run, steps=4000, stop=after(3))
    assert run.checkpoints()[-1] == 2003


def test_run_is_opened_from_its_page_and_from_a_file(playground: Playground, tmp_path: Path) -> None:
    """The weights of the run are the first ones, the address keeps them, and Python's loss on them is the page's."""
    task = TASKS["counter"]()
    assert playground.runs is not None
    run = create_run(playground.runs / "mine", task, recommended_network(task, "lstm", [4]), Settings(steps=60))
    train(run)
    playground.page.goto(f"{playground.address}/?run=mine&view=learning")
    playground.page.get_by_test_id("train-on").click()
    playground.expect_phase("ready")
    assert playground.words() == ["lstm 4 1 counter from mine"]
    expect(playground.at("from")).to_contain_text("begins with the best weights of “mine”; the optimizer begins anew")
    playground.page.reload()
    playground.expect_phase("ready")
    expect(playground.at("from")).to_be_visible()
    file = download(playground, tmp_path)
    unpacked = unpack_run(file, tmp_path / "unpacked")
    for name, weight in run.network()[0].state_dict().items():
        assert unpacked.network()[0].state_dict()[name].equal(weight)
    train(unpacked, stop=after(10))
    step_to(playground, 1, 10)
    assert losses(unpacked)[10] == pytest.approx(
        losses(unpack_run(download(playground, tmp_path), tmp_path / "page"))[10], rel=TOLERANCE
    )

    playground.at("unfrom").click()
    playground.expect_phase("ready")
    assert playground.words() == ["lstm 4 1 counter"]
    playground.at("open").set_input_files(file)
    expect(playground.at("from")).to_contain_text(file.name)
    playground.expect_phase("ready")
    playground.at("neurons").select_option("5")
    playground.expect_phase("ready")
    expect(playground.at("from")).to_have_count(0)
    playground.page.go_back()
    expect(playground.at("from")).to_contain_text(file.name)
    playground.expect_phase("ready")
    playground.page.reload()
    expect(playground.at("problem")).to_contain_text(
        f"File “{file.name}” of the link: expected one that was opened in this page"
    )
    playground.expect_phase("failed")

    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(file.read_bytes()[:-30])
    playground.at("open").set_input_files(damaged)
    expect(playground.at("files")).to_contain_text("Zip file: expected a whole one of a run")
