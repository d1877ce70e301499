"""The pages of a live file: a sentence replaces what Python did not compute, and nothing waits for it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from gatescope import Run
from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from tests.web.looking import View

TEXT = "aaaXbbb\n"


@pytest.fixture
def live(page: Page, runs: Path, tmp_path: Path) -> Callable[..., View]:
    """Return a function that opens an address in the live file of the counter, without a connection."""
    page.context.set_offline(True)
    path = tmp_path / "counter.html"
    write_live_file(live_run(Run(runs / "counter"), LiveOptions(checkpoints=3)), path)
    view = View(page, path.as_uri(), runs)

    def open_page(**query: Any) -> View:
        page.goto(f"{view.address}?{urlencode({'run': 'counter', 'text': TEXT, **query})}")
        expect(view.at("engine")).to_contain_text("computed here · WebAssembly")
        return view

    return open_page


@pytest.mark.parametrize(
    ("query", "commands"),
    [
        ({"view": "network"}, ["label", "ablate"]),
        ({"view": "network", "range": "1-3"}, ["label", "ablate", "explore"]),
        ({"view": "neuron", "neuron": 2, "signal": "i"}, ["label", "explore", "explore"]),
    ],
)
def test_missing_study_names_its_command(live: Callable[..., View], query: dict[str, Any], commands: list[str]) -> None:
    view = live(**query)
    if query["view"] == "network":
        view.unfold("feature-menu")
    named = [re.compile(re.escape(f"“gatescope {command} runs/counter”")) for command in commands]
    expect(view.at("not-computed")).to_have_text(named)
    expect(view.at("study-progress")).to_have_count(0)
    for button in ("find-labels", "find-effects"):
        expect(view.at(button)).to_have_count(0)


def test_stored_studies_are_shown(live: Callable[..., View]) -> None:
    view = live(view="health")
    expect(view.at("saturation").locator("circle")).to_have_count(10)
    # A live file has no held-out text: the two sections about it count the text of the page, and say so.
    expect(view.at("not-computed")).to_have_count(2)
    for sentence in view.at("not-computed").all():
        expect(sentence).to_contain_text("“gatescope explore runs/counter”")
    expect(view.page.locator("[data-testid^=distribution-]")).to_have_count(6)
    view = live(view="neuron", neuron=2)
    expect(view.at("neuron-health")).not_to_be_empty()
    expect(view.at("study-progress")).to_have_count(0)


def test_features_of_another_text_are_said_to_be_missing(live: Callable[..., View], runs: Path) -> None:
    view = live(view="network", feature="character.is=a")
    expect(view.at("feature-absent")).to_contain_text("“gatescope explore runs/counter”")
    example = Run(runs / "counter").task().examples()[0]
    assert example != TEXT
    view.unfold("text-menu")
    view.at("example").first.click()
    expect(view.at("feature-absent")).to_have_count(0)


def test_gradients_are_computed_in_the_file(live: Callable[..., View]) -> None:
    view = live(view="gradient", pair="1-4")
    expect(view.at("gradient-page")).to_be_visible()
    expect(view.page.locator("[role=alert]")).to_have_count(0)
    expect(view.at("gradient-busy")).to_be_empty()
