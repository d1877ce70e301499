"""The side panel: the prediction first, one line for each signal, and a sheet on a small screen."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.looking import View, eventually, expect_formula
from tests.web.watching import watched_page

TEXT = "aaaXbbb\n"


def top(view: View, name: str) -> float:
    """Return the upper edge of an element, in pixels of the window."""
    box = view.at(name).bounding_box()
    assert box is not None
    return box["y"]


def test_panel_shows_prediction_first_and_one_open_signal(view: View) -> None:
    view.page.set_viewport_size({"width": 1280, "height": 800})
    view.open(view="network", run="counter", text=TEXT, neuron=4, step=5, signal="c")
    recorded = view.recorded("counter", TEXT)
    expect(view.at("panel-title")).to_have_text("Neuron 4 · step 5 · after “b”")
    assert top(view, "predictions") < top(view, "equation-i") < top(view, "worked")
    # One line for each signal, in the order of the equations; the one of the strips is worked out.
    names = view.at("neuron-panel").locator("[data-testid^=signal-line-]")
    assert [name.get_attribute("data-testid") for name in names.all()] == [f"signal-line-{name}" for name in "ifgoch"]
    expect(view.at("signal-line-c")).to_have_attribute("aria-expanded", "true")
    expect_formula(view.at("worked-c"), "c = f · c₋₁ + i · g")
    places = {name: top(view, f"signal-line-{name}") for name in "ifgoch"}
    # By mouse: the hovered one is open, and nothing moves.
    view.at("signal-line-f").hover()
    expect_formula(view.at("worked-f"), "f = σ(x.f + u.f)")
    expect(view.at("worked-c")).to_have_count(0)
    assert {name: top(view, f"signal-line-{name}") for name in "ifgoch"} == places
    # By keyboard: the focused one is open, and its hold button is the next stop.
    view.at("panel-title").hover()
    view.at("signal-line-o").focus()
    expect_formula(view.at("worked-o"), "o = σ(x.o + u.o)")
    view.page.keyboard.press("Tab")
    expect(view.at("hold-o")).to_be_focused()
    # A chosen one stays open when the cursor goes on, with the numbers of the new step.
    view.at("signal-line-f").click()
    view.page.mouse.move(2, 2)
    view.at("strips").focus()
    view.page.keyboard.press("ArrowLeft")
    expect(view.at("panel-title")).to_contain_text("step 4")
    kept = float(recorded.layers["layer0"]["f"][4, 4])
    expect_formula(view.at("worked-f"), f"= {kept:.3f}")
    # All of it is in sight.
    panel = view.at("neuron-panel")
    assert panel.evaluate("(one) => one.scrollHeight <= one.clientHeight")
    assert panel.evaluate("(one) => one.getBoundingClientRect().bottom <= innerHeight")
    assert re.search(r"-\s*\d", panel.inner_text()) is None  # a minus is U+2212


def test_pointer_at_rest_does_not_open_a_signal(view: View) -> None:
    """A page that moves below the pointer changes no formula; the next move of the pointer does."""
    view.page.set_viewport_size({"width": 1280, "height": 500})
    view.open(view="network", run="counter", text=TEXT, neuron=4, step=5, signal="c")
    line = view.at("signal-line-f").bounding_box()
    assert line is not None
    x, y = line["x"] + 150, line["y"] + line["height"] / 2
    view.page.mouse.move(x, y - 40)
    view.page.evaluate("scrollBy(0, 40)")
    expect(view.page.locator("[data-testid=equation-f]:hover")).to_have_count(1)
    expect_formula(view.at("worked-c"), "c = f · c₋₁ + i · g")
    view.page.mouse.move(x + 3, y - 40)
    expect_formula(view.at("worked-f"), "f = σ(x.f + u.f)")


@pytest.fixture
def phone(browser: Browser, origins: set[str], start_server: Callable[[Path], str], runs: Path) -> Iterator[View]:
    """Open the page on a small screen with touch."""
    with watched_page(browser, origins, phone=True) as page:
        yield View(page, start_server(runs), runs)


def tap(view: View, row: int, step: int) -> None:
    """Tap a cell, and wait for the sheet."""
    view.at("strips-canvas").scroll_into_view_if_needed()
    view.at("strips-canvas").tap(position=view.position(row, step))


def drag(page: Page, by: float) -> None:
    """Drag the grip of the sheet, downwards if `by` is positive."""
    box = page.get_by_test_id("sheet-grip").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 8 + by / 2)
    page.mouse.move(box["x"] + 60, box["y"] + 8 + by)
    page.mouse.up()


def test_sheet_opens_by_tap_and_closes_in_three_ways(phone: View) -> None:
    phone.open(view="network", run="counter", text=TEXT, signal="c")
    sheet = phone.page.get_by_role("dialog")
    expect(sheet).to_have_count(0)
    tap(phone, 9, 5)
    expect(phone.at("panel-title")).to_have_text("Neuron 9 · step 5 · after “b”")
    expect(sheet).to_be_focused()
    value = float(phone.recorded("counter", TEXT).layers["layer0"]["c"][9, 5])
    shown = phone.at("panel-value-c").get_attribute("title") or ""
    assert float(shown) == pytest.approx(value, abs=1e-6)
    expect_formula(phone.at("peek"), "c = f · c₋₁ + i · g")
    expect(phone.at("peek")).to_contain_text(re.compile("It expects: “.” [0-9.]+ %"))
    # The cell that was tapped is in sight, above the sheet.
    cell = phone.position(9, 5)

    def check_cell_in_sight() -> None:
        canvas, over = phone.at("strips-canvas").bounding_box(), sheet.bounding_box()
        assert canvas is not None
        assert over is not None
        assert 0 < canvas["y"] + cell["y"] < over["y"] - 10

    eventually(check_cell_in_sight, 10)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    # All of it, by button and by drag; Escape, a swipe and the button close it, and the strips get the focus.
    phone.at("sheet-more").click()
    expect(phone.at("predictions")).to_be_visible()
    expect(phone.at("signal-line-f")).to_be_visible()
    phone.page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(phone.at("strips")).to_be_focused()
    expect(phone.page).not_to_have_url(re.compile("step="))
    tap(phone, 2, 3)
    expect(phone.at("peek")).to_be_visible()
    drag(phone.page, -120)
    expect(phone.at("predictions")).to_be_visible()
    drag(phone.page, 120)
    expect(phone.at("peek")).to_be_visible()
    drag(phone.page, 120)
    expect(sheet).to_have_count(0)
    tap(phone, 2, 3)
    phone.at("sheet-close").tap()
    expect(sheet).to_have_count(0)
