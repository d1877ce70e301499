"""The command palette finds what acts on a run, on the local server and in a live file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.hosts import HOSTS, address_of
from tests.web.test_holds import TEXT, HeldView


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> HeldView:
    """Open the counter on the local server, and in a live file with earlier weights."""
    return HeldView(page, address_of(request.param, start_server, runs, tmp_path, checkpoints=3), runs)


def choose(view: HeldView, words: str, title: str) -> None:
    """Type words into the palette, and take the first command, which has a title."""
    view.page.keyboard.press("Control+k")
    expect(view.at("commands").get_by_role("combobox")).to_be_focused()
    view.page.keyboard.type(words)
    expect(view.at("commands").get_by_role("option").first).to_contain_text(title)
    view.page.keyboard.press("Enter")
    expect(view.at("commands")).to_be_hidden()


def test_palette_opens_everything_that_acts(shown: HeldView) -> None:
    shown.held(neuron=4, step=5, write=0)
    choose(shown, "write", "write")
    expect(shown.at("written")).to_have_count(1)
    choose(shown, "compare", "Put something beside this network")
    expect(shown.at("compare-box")).to_be_visible()
    shown.page.keyboard.press("Escape")
    choose(shown, "space", "Space")
    expect(shown.at("space-canvas")).to_be_visible()
    choose(shown, "diagram", "Diagram")
    expect(shown.at("diagram-picture")).to_be_visible()
    choose(shown, "share", "Share this view")
    expect(shown.at("share")).to_be_visible()
    shown.page.keyboard.press("Escape")
    choose(shown, "film", "Film of the training")
    expect(shown.at("film")).to_be_in_viewport()
    expect(shown.page).to_have_url(re.compile("view=learning"))


def test_palette_holds_and_frees(shown: HeldView) -> None:
    shown.held(neuron=4, step=5, panel="space")
    choose(shown, "hold 0", "of neuron 4 at 0 from step 5 on")
    expect(shown.at("hold-chip")).to_have_count(1)
    assert [one.split(".")[1] for one in shown.holds()] == ["4"]
    choose(shown, "hold f", "hold f of neuron 4")
    expect(shown.at("slider-f")).to_be_focused()
    shown.page.keyboard.press("0")
    expect(shown.at("hold-chip")).to_have_count(2)
    choose(shown, "hold remove", "remove all")
    expect(shown.at("hold-chip")).to_have_count(0)
    shown.page.go_back()
    expect(shown.at("hold-chip")).to_have_count(2)


@pytest.mark.parametrize(
    ("words", "section"), [("distributions", "distributions"), ("snapshot", "snapshot"), ("matrices", "weight-maps")]
)
def test_palette_opens_sections_of_health(shown: HeldView, words: str, section: str) -> None:
    shown.held(TEXT)
    titles = {
        "distributions": "Values of all neurons",
        "snapshot": "One step of every sequence",
        "weight-maps": "Weights",
    }
    choose(shown, words, titles[section])
    expect(shown.at(section)).to_be_in_viewport()
    expect(shown.page).to_have_url(re.compile("view=health"))
