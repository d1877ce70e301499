"""Holds on phones, in the page of text and in predictions; addresses that forbid writing; the diagram in sight."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope import record
from tests.web.hosts import HOSTS, address_of
from tests.web.looking import eventually
from tests.web.test_holds import HeldView
from tests.web.watching import watched_page

TEXT = "aaaaaaXbbb"
HOLD = "0.4.c.0.5-"


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> HeldView:
    """Open the counter on the local server, and in a live file."""
    return HeldView(page, address_of(request.param, start_server, runs, tmp_path), runs)


@pytest.fixture(params=HOSTS)
def phone(
    request: pytest.FixtureRequest,
    browser: Browser,
    origins: set[str],
    start_server: Callable[[Path], str],
    runs: Path,
    tmp_path: Path,
) -> Iterator[HeldView]:
    """Open the counter on a small screen with touch, on the local server and in a live file."""
    address = address_of(request.param, start_server, runs, tmp_path)
    with watched_page(browser, origins, phone=True) as page:
        yield HeldView(page, address, runs)


def test_phone_keeps_strips_in_sight_below_holds(phone: HeldView) -> None:
    phone.held(TEXT, hold=[HOLD, "0.2.c.0.0-", "0.3.f.1.2"])
    expect(phone.at("hold-chip")).to_have_count(3)
    expect(phone.at("hold-sentence")).not_to_be_empty()
    box = phone.at("strips-canvas").bounding_box()
    assert box is not None
    assert box["y"] <= 300
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(phone.at("hold-effect")).to_be_hidden()
    phone.at("holds-more").tap()
    expect(phone.at("hold-effect")).to_be_visible()
    phone.at("hold-remove").first.tap()
    expect(phone.at("hold-chip")).to_have_count(2)


def above_sheet(phone: HeldView, name: str) -> bool:
    """Return whether an element is in sight, above the sheet."""
    box, sheet = phone.at(name).bounding_box(), phone.at("neuron-panel").bounding_box()
    return box is not None and sheet is not None and box["y"] >= 0 and box["y"] + box["height"] <= sheet["y"]


def test_phone_holds_at_zero_in_two_taps(phone: HeldView) -> None:
    """The whole sentence about the effect is in sight, in the banner and in the sheet."""
    phone.held(TEXT, signal="c")
    phone.at("strips-canvas").tap(position=phone.position(0, 5))
    phone.at("peek-hold").tap()
    expect(phone.at("hold-chip")).to_have_count(1)
    expect(phone.at("hold-sentence")).not_to_be_empty()
    expect(phone.at("sheet-consequence")).to_have_text(phone.at("hold-sentence").inner_text())
    eventually(lambda: _check(above_sheet(phone, "hold-sentence")))
    assert phone.at("hold-sentence").evaluate(
        "(one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight"
    )
    phone.at("peek-hold").tap()
    expect(phone.at("hold-chip")).to_have_count(0)


def test_phone_folds_the_sheet_after_an_act(phone: HeldView) -> None:
    """A value of the menu and a predicted symbol show their results above the sheet."""
    phone.held(TEXT, signal="c", neuron=4, step=5)
    phone.at("sheet-more").tap()
    phone.at("prediction-choose").nth(1).tap()
    expect(phone.at("sheet-more")).to_have_attribute("aria-expanded", "false")
    expect(phone.at("branch")).to_have_count(1)
    eventually(lambda: _check(above_sheet(phone, "branch")))
    phone.at("sheet-more").tap()
    phone.at("hold-c").tap()
    phone.at("hold-zero").tap()
    expect(phone.at("sheet-more")).to_have_attribute("aria-expanded", "false")
    expect(phone.at("hold-sentence")).not_to_be_empty()
    eventually(lambda: _check(above_sheet(phone, "hold-sentence")))


def _check(condition: bool) -> None:
    assert condition


def test_address_that_forbids_writing_forbids_branches(shown: HeldView) -> None:
    """A branch of the address is not written with write=0; a branch that the reader begins lifts that."""
    shown.held(TEXT, write=0, branch="3:X", neuron=4, step=3)
    expect(shown.at("prediction-choose").first).to_be_visible()
    expect(shown.at("branch")).to_have_count(0)
    shown.at("prediction-choose").filter(has_not_text="X").last.click()
    expect(shown.at("branch")).to_have_count(2)
    expect(shown.page).not_to_have_url(re.compile("write=0"))


def test_predictions_mark_the_free_network(shown: HeldView) -> None:
    """A mark stands at the probability without the holds, as Python computes it."""
    step = 8
    free = record(shown.network(), TEXT)
    symbols = shown.network().configuration.vocabulary.symbols
    top = dict(
        zip(
            (symbols[token] for token in free.steps["top_token"][0, step]),
            free.steps["top_probability"][0, step].tolist(),
            strict=True,
        )
    )
    shown.held(TEXT, hold=HOLD, neuron=4, step=step)
    rows = shown.at("predictions").get_by_role("listitem").filter(has=shown.at("prediction-original"))
    expect(rows.first).to_be_visible()
    for row in rows.all():
        symbol = row.locator(".what").inner_text().strip("“”").replace("⏎", "\n")
        mark = row.get_by_test_id("prediction-original").evaluate("(mark) => parseFloat(mark.style.left)")
        assert mark == pytest.approx(100 * top[symbol], abs=0.01)


def test_page_of_text_says_that_it_is_held(shown: HeldView) -> None:
    shown.held(TEXT, hold=HOLD, **{"as": "page"})
    expect(shown.at("page-held")).to_contain_text("those of the held network")
    shown.held(TEXT, **{"as": "page"})
    expect(shown.at("page-canvas")).to_be_visible()
    expect(shown.at("page-held")).to_have_count(0)


def test_diagram_of_an_lstm_is_in_sight(shown: HeldView) -> None:
    shown.page.set_viewport_size({"width": 1280, "height": 800})
    shown.held(TEXT, neuron=4, step=3, panel="diagram")
    expect(shown.at("diagram-picture")).to_be_visible()
    panel = shown.at("neuron-panel").bounding_box()
    assert panel is not None
    assert panel["y"] + panel["height"] <= 800
