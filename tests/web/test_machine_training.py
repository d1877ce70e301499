"""Training on this machine from the page, in a real browser: it goes on without the page and without the server."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope import Run
from tests.trainings import folder_of_trainings
from tests.web.conftest import serving
from tests.web.watching import watched_page

ENDLESS = "lstm+1+1+counter+rate+1e-9"
"""An experiment that is never solved."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder of runs; the trainings in it end with the test."""
    yield from folder_of_trainings(tmp_path)


def begin(page: Page, address: str, experiment: str, **fields: str) -> str:
    """Begin a training on this machine, and return the command that the page shows."""
    page.goto(f"{address}/?view=playground&experiment={experiment}")
    page.get_by_test_id("playground-machine").locator("summary").click()
    for name, value in fields.items():
        page.get_by_test_id(f"machine-{name}").fill(value)
    command = page.get_by_test_id("machine-command")
    for value in fields.values():
        expect(command).to_contain_text(value)
    expect(page.get_by_test_id("machine-train")).to_be_enabled()
    shown = command.inner_text()
    page.get_by_test_id("machine-train").click()
    expect(page.get_by_test_id("learning-page")).to_be_visible()
    return shown


def test_training_goes_on_without_the_page(
    browser: Browser, page: Page, origins: set[str], start_server: Callable[[Path], str], folder: Path
) -> None:
    """Two pages agree, and a page that is opened later shows the training as it is."""
    address = start_server(folder)
    with watched_page(browser, origins) as first:
        command = begin(first, address, ENDLESS, steps="90000000", name="endless")
        expect(first.get_by_test_id("training-pause")).to_be_visible()
        words = "gatescope train counter --cell lstm --neurons 1 --layers 1 --learning-rate 1e-09 --seed 0"
        assert shlex.split(command) == [*words.split(), "--steps", "90000000", "--run", str(folder / "endless")]
    page.goto(address)
    card = page.get_by_test_id("run-card")
    expect(card).to_have_attribute("data-state", "training")
    with watched_page(browser, origins) as second:
        second.goto(f"{address}/?view=learning&run=endless")
        second.get_by_test_id("training-pause").click()
        expect(second.get_by_test_id("training-resume")).to_be_visible()
        expect(card).to_have_attribute("data-state", "interrupted")
        card.locator(".edit").click()
        page.get_by_test_id("training-resume").click()
        expect(card).to_have_attribute("data-state", "training")
        expect(second.get_by_test_id("training-stop")).to_be_visible()
        page.get_by_test_id("training-stop").click()
        expect(card).to_have_attribute("data-state", "finished")
        expect(second.get_by_test_id("training-buttons")).to_have_count(0)
    assert [record["reason"] for record in Run(folder / "endless").read("history.jsonl")[-1:]] == ["stopped"]


def test_training_goes_on_without_the_server(refused_page: Page, origins: set[str], folder: Path) -> None:
    """The page connects again by itself, and pauses a training that another server has begun."""
    page = refused_page
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    origins.add(f"http://127.0.0.1:{port}")
    with serving(folder, port) as address:
        begin(page, address, ENDLESS, steps="90000000")
        expect(page.get_by_test_id("training-pause")).to_be_visible()
    expect(page.get_by_test_id("lost-note")).to_be_visible()
    assert Run(folder / "counter").is_training
    with serving(folder, port):
        expect(page.get_by_test_id("lost-note")).to_be_hidden()
        page.get_by_test_id("training-pause").click()
        expect(page.get_by_test_id("training-resume")).to_be_visible()
    assert not Run(folder / "counter").is_training


def test_own_file_and_refusals_on_the_page(
    refused_page: Page, start_server: Callable[[Path], str], folder: Path, tmp_path: Path
) -> None:
    page, file = refused_page, tmp_path / "my notes.txt"
    page.goto(f"{start_server(folder)}/?view=playground&experiment=elman+2+1+text")
    page.get_by_test_id("playground-machine").locator("summary").click()
    expect(page.get_by_test_id("machine-train")).to_be_disabled()
    problem = page.get_by_test_id("machine-problem")
    file.write_bytes("Grüße".encode("latin-1"))
    page.get_by_test_id("machine-file").set_input_files(file)
    expect(problem).to_contain_text("my notes.txt: expected text in UTF-8, got other bytes.")
    page.get_by_test_id("machine-neurons").fill("2000")
    expect(problem).to_contain_text("UTF-8")
    file.write_text("the cät sat on the mat. " * 60, encoding="utf-8")
    page.get_by_test_id("machine-file").set_input_files(file)
    expect(problem).to_have_text("neurons: expected 1 to 1,024, got 2000. Change it.")
    expect(page.get_by_test_id("machine-train")).to_be_disabled()
    page.get_by_test_id("machine-neurons").fill("2")
    page.get_by_test_id("machine-steps").fill("3")
    expect(page.get_by_test_id("machine-command")).to_contain_text("--steps 3")
    page.get_by_test_id("machine-train").click()
    expect(page.get_by_test_id("learning-page")).to_be_visible()
    assert (folder / ".texts" / "my notes.txt").read_text(encoding="utf-8").startswith("the cät")
    page.goto(f"{start_server(folder)}/?view=runs")
    expect(page.get_by_test_id("run-card")).to_have_attribute("data-state", "finished")
