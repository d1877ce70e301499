"""The gallery: what each card says, its small picture, runs that arrive and learn, a server that goes away."""

import re
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from gatescope import TASKS, Run, Settings, configure, create_run, train
from tests.waiting import PATIENCE
from tests.web.conftest import serving
from tests.web.looking import SNAPSHOT, View, pixels

CARD_TEXTS = {
    "counter": [
        "LSTM, 1 layer of 10 neurons",
        "symbols",
        "Counter",
        "exact for every N from 1 to 10",
        "trained, task solved",
    ],
    "deep": ["GRU, 2 layers of 8, 6 neurons", "Copy", "of 27 words are copied", "1 training step"],
    "slstm": ["sLSTM, 1 layer of 7 neurons", "Counter"],
    "wide": ["LSTM, 1 layer of 300 neurons", "Copy"],
    "poem": ["LSTM, 1 layer of 24 neurons", "Text", "nats per character", "100 training steps"],
    "bytes": ["LSTM, 1 layer of 12 neurons", "256 symbols", "nats per byte"],
}


def card(view: View, run: str) -> Locator:
    expect(view.at("measuring")).to_have_count(0)
    expect(view.at("findings-waiting")).to_have_count(0)
    return view.page.locator(f'[data-testid=run-card][data-run="{run}"]')


def test_card_describes_its_run(view: View) -> None:
    view.open()
    expect(view.at("run-card")).to_have_count(len(CARD_TEXTS) + 1)
    for run, words in CARD_TEXTS.items():
        expect(card(view, run)).to_have_attribute("data-state", "finished")
        for word in words:
            expect(card(view, run)).to_contain_text(word)


def test_card_has_a_picture_of_activity(view: View) -> None:
    view.open()
    for run in CARD_TEXTS:
        canvas = card(view, run).locator("canvas")
        expect(canvas).not_to_have_class(re.compile("empty"))
        snapshot = canvas.evaluate(SNAPSHOT)
        assert snapshot["height"] == min(160, Run(view.runs / run).configuration().layers[-1].neurons)
        assert len(np.unique(pixels(snapshot).reshape(-1, 3), axis=0)) > 20, f"{run} is almost of one colour"


def test_unreadable_run_is_explained_on_its_card_only(view: View) -> None:
    view.open()
    broken = card(view, "broken")
    expect(broken).to_have_attribute("data-state", "unreadable")
    expect(broken).to_contain_text("cannot be read")
    expect(broken).to_contain_text("network.json: expected JSON")
    expect(broken).to_contain_text("Restore the file from a copy")
    expect(card(view, "counter").locator("canvas")).not_to_have_class(re.compile("empty"))


@pytest.mark.parametrize("page_of", ["network", "neuron"])
def test_link_to_an_unreadable_run_is_explained(view: View, page_of: str) -> None:
    view.page.goto(f"{view.address}/?view={page_of}&run=broken")
    expect(view.at("error-note")).to_contain_text("network.json: expected JSON")
    view.page.get_by_role("link", name="all runs").click()
    expect(view.at("error-note")).to_be_hidden()
    card(view, "counter").click()
    expect(view.at("strips-canvas")).to_be_visible()


def test_link_to_a_removed_run_is_explained(view: View) -> None:
    view.page.goto(f"{view.address}/?view=network&run=gone")
    expect(view.at("error-note")).to_contain_text("expected one of this folder, got “gone”")


def test_card_click_opens_its_network(view: View) -> None:
    view.open()
    card(view, "counter").click()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")
    expect(view.page).to_have_title(re.compile("counter"))
    expect(view.page.get_by_role("heading", name="counter")).to_be_visible()


def test_card_opens_with_the_keyboard(view: View) -> None:
    view.open()
    card(view, "deep").get_by_role("link").focus()
    view.page.keyboard.press("Enter")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "8")


def test_gallery_shows_new_runs_and_their_progress(
    page: Page, start_server: Callable[[Path], str], tmp_path: Path
) -> None:
    view = View(page, start_server(tmp_path), tmp_path)
    view.open()
    expect(view.at("empty-note")).to_contain_text("gatescope train counter")

    task = TASKS["counter"]()
    settings = Settings(steps=40, report_every=10, validate_every=10)
    run = create_run(tmp_path / "new", task, configure(task.vocabulary, "lstm", [6]), settings)
    reached: dict[int, threading.Event] = {step: threading.Event() for step in (10, 20, 30, 40)}
    errors: list[BaseException] = []

    def wait(record: dict[str, Any]) -> None:
        if "event" not in record and not reached[record["step"]].wait(PATIENCE):
            raise TimeoutError

    def learn() -> None:
        try:
            train(run, on_record=wait)
        except BaseException as error:  # noqa: BLE001  what went wrong in the thread is raised by the test
            errors.append(error)

    thread = threading.Thread(target=learn)
    thread.start()
    try:
        new = card(view, "new")
        expect(new).to_have_attribute("data-state", "training")
        expect(new).to_contain_text("10 training steps")
        expect(new.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
        expect(new.locator("canvas")).not_to_have_class(re.compile("empty"))
        reached[10].set()
        expect(new).to_contain_text("20 training steps")

        # The page of the network follows as well: it is read again with the newer weights.
        new.click()
        facts = page.get_by_test_id("facts")
        expect(facts).to_contain_text("training, 50 % done, step 20")
        expect(view.at("strips-canvas")).to_be_visible()
        before = view.picture().pixels
        reached[20].set()
        expect(facts).to_contain_text("step 30")
        assert (view.picture().pixels != before).any()
        for step in reached.values():
            step.set()
        expect(facts).to_contain_text("trained 40 steps")
        page.get_by_role("link", name="all runs").click()
        expect(new).to_have_attribute("data-state", "finished")
        expect(new).to_contain_text("40 training steps")
    finally:
        for step in reached.values():
            step.set()
        thread.join()
    assert not errors


def test_gallery_reconnects_to_a_restarted_server(
    refused_page: Page, origins: set[str], runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "slstm", tmp_path / "slstm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    origins.add(address)
    view = View(refused_page, address, tmp_path)
    with serving(tmp_path, port):
        view.open(view="network", run="slstm", text="aaX")
        expect(view.at("lost-note")).to_be_hidden()
    expect(view.at("lost-note")).to_contain_text("gatescope explore")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "3")
    view.at("text-box").fill("aaaaX")
    with serving(tmp_path, port):
        expect(view.at("lost-note")).to_be_hidden()
        expect(view.at("strips-canvas")).to_have_attribute("data-steps", "5")


def test_hidden_tab_closes_its_connection(view: View) -> None:
    view.open()
    expect(view.at("run-card")).to_have_count(len(CARD_TEXTS) + 1)
    set_hidden = """hidden => {
        Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
    }"""
    with view.page.expect_event("requestfailed", lambda request: "/api/events" in request.url):
        view.page.evaluate(set_hidden, True)
    with view.page.expect_request("**/api/events*"):
        view.page.evaluate(set_hidden, False)
    expect(view.at("lost-note")).to_have_count(0)
