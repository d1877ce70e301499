"""A live file on a phone: compare, film, space and diagram by taps."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from gatescope import Run
from tests.web.hosts import live_address
from tests.web.test_holds import HeldView
from tests.web.watching import watched_page

TEXT = "aaaaaaXbbb"


@pytest.fixture
def phone(browser: Browser, origins: set[str], runs: Path, tmp_path: Path) -> Iterator[HeldView]:
    """Open a live file with all checkpoints on a small screen with touch."""
    address = live_address(runs / "counter", tmp_path, checkpoints=len(Run(runs / "counter").checkpoints()))
    with watched_page(browser, origins, phone=True) as page:
        yield HeldView(page, address, runs)


def expect_fitting(view: HeldView) -> None:
    """Expect a page that is not wider than the screen."""
    assert view.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_compare_by_touch(phone: HeldView) -> None:
    phone.held(TEXT)
    phone.at("compare").tap()
    phone.at("compare-checkpoint").select_option("0")
    expect(phone.at("compare-sentence")).to_contain_text("B is")
    phone.at("rows-difference").tap()
    expect(phone.at("strips-canvas")).to_have_attribute("data-rows", "10")
    expect_fitting(phone)
    phone.at("compare-stop").tap()
    expect(phone.at("compare-view")).to_have_count(0)


def test_space_and_diagram_by_touch(phone: HeldView) -> None:
    phone.held(TEXT, neuron=4, step=5)
    phone.at("sheet-more").tap()
    phone.at("panel-tab-space").tap()
    expect(phone.at("space-canvas")).to_have_attribute("data-steps", str(len(TEXT)))
    phone.at("space-neurons").tap()
    expect(phone.at("space-neuron-0")).to_be_visible()
    expect_fitting(phone)
    phone.at("panel-tab-diagram").tap()
    expect(phone.at("diagram-picture")).to_be_visible()
    phone.at("diagram-on").tap()
    expect(phone.page).to_have_url(re.compile("operation=1"))
    expect_fitting(phone)


def test_film_by_touch(phone: HeldView) -> None:
    phone.open(view="learning", run="counter", text=TEXT)
    box = phone.at("curve-slider").bounding_box()
    assert box is not None
    phone.page.touchscreen.tap(box["x"] + box["width"] * 0.09, box["y"] + box["height"] / 2)
    expect(phone.at("checkpoint-name")).to_have_text("before training")
    phone.at("film-on").tap()
    expect(phone.at("checkpoint-name")).to_have_text(f"after {Run(phone.runs / 'counter').checkpoints()[1]} steps")
    expect_fitting(phone)
