"""The frame of every page: its head, its tabs, the line of facts, and the text that is edited in the strips."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.looking import View, eventually
from tests.web.watching import watched_page

TEXT = "aaXbb\n"
PHONE, LAPTOP, ENLARGED = (390, 844), (1280, 800), (640, 400)


def top(view: View) -> float:
    """Return the height at which the strips begin."""
    box = view.at("strips").bounding_box()
    assert box is not None
    return box["y"]


def caret(view: View) -> Locator:
    return view.at("caret")


def click_text(view: View, column: float, **options: object) -> None:
    """Click between the characters of the text: 2 is the boundary after the second one."""
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    left = view.at("strips").evaluate("(scroller) => scroller.scrollLeft")
    x = int(layout["label"]) + column * int(layout["cell"]) - left
    view.at("strips-canvas").click(position={"x": x, "y": 27}, **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("size", "most"), [(LAPTOP, 200), (PHONE, 260), (ENLARGED, 260)])
def test_strips_begin_near_the_top(view: View, size: tuple[int, int], most: int) -> None:
    view.page.set_viewport_size({"width": size[0], "height": size[1]})
    for query in ({"run": "counter"}, {"run": "wide"}, {"run": "bytes"}, {"run": "deep", "layer": "layer1"}):
        view.open(view="network", **query)
        assert top(view) <= most
        assert view.page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    if size == LAPTOP:
        view.open(view="network", run="wide")
        picture = view.picture()
        assert len({row for row, _ in picture.cells()}) >= 20  # 21 rows, the last one cut by the line below the strips
    view.open(view="neuron", run="counter", neuron=3)
    assert top(view) <= most


def test_strips_of_words_and_numbers_begin_near_the_top(
    page: Page, start_server: Callable[[Path], str], kinds: Path
) -> None:
    """Words and lines of numbers have no columns of their own to be edited in: one line above the strips holds them."""
    view = View(page, start_server(kinds), kinds)
    for size, most in ((LAPTOP, 200), (PHONE, 260)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for run in ("opinion", "labels", "frames", "sum", "forecast"):
            view.open(view="network", run=run)
            assert top(view) <= most, f"{run} at {size}"
            expect(view.at("text-box")).to_have_count(1)
    view.open(view="network", run="opinion")
    view.at("text-box").fill("not good")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "3")  # and the end


def test_text_is_edited_in_the_strips(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT)
    box, canvas, press = view.at("text-box"), view.at("strips-canvas"), view.page.keyboard.press
    click_text(view, 2)
    expect(box).to_be_focused()
    expect(caret(view)).to_have_attribute("data-column", "2")
    view.page.keyboard.type("ab")
    expect(box).to_have_value("aaabXbb\n")
    expect(canvas).to_have_attribute("data-steps", "8")
    expect(caret(view)).to_have_attribute("data-column", "4")
    expect(view.at("cursor-text")).to_contain_text("step 3 · “b”")  # the cursor follows the caret
    press("Control+z")
    expect(box).not_to_have_value("aaabXbb\n")
    press("Control+z")
    expect(box).to_have_value(TEXT)
    press("Home")
    press("ArrowRight")
    expect(caret(view)).to_have_attribute("data-column", "1")
    press("Shift+End")
    expect(caret(view)).to_have_count(0)  # a selection has no caret
    view.page.evaluate("() => document.execCommand('insertText', false, 'Xb\\nX')")  # as pasted text is inserted
    expect(box).to_have_value("aXb\nX\n")
    expect(canvas).to_have_attribute("data-steps", "6")
    press("Backspace")
    press("Enter")
    expect(box).to_have_value("aXb\n\n\n")
    # Nothing is left of the text, but the row that it is typed into.
    press("Control+a")
    press("Delete")
    expect(view.page.get_by_text("There is no text to read yet.")).to_be_visible()
    expect(box).to_be_focused()
    view.page.keyboard.type("aX")
    expect(canvas).to_have_attribute("data-steps", "2")
    press("Escape")
    expect(view.at("strips")).to_be_focused()
    expect(box).to_have_value("aX")


def test_mouse_selects_text_to_replace_and_to_search(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT)
    click_text(view, 3.6, click_count=2)
    assert view.page.evaluate("() => [document.activeElement.selectionStart, document.activeElement.selectionEnd]") == [
        0,
        5,
    ]
    click_text(view, 1)
    click_text(view, 3, modifiers=["Shift"])
    view.page.keyboard.type("b")
    expect(view.at("text-box")).to_have_value("abbb\n")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "5")
    box = view.at("strips-canvas").bounding_box()
    assert box is not None
    layout = view.picture()
    columns = [box["x"] + layout.label + (step + 0.5) * layout.cell for step in (1, 3)]
    view.page.mouse.move(columns[0], box["y"] + 27)
    view.page.mouse.down()
    view.page.mouse.move(columns[1], box["y"] + 27)
    view.page.mouse.up()
    expect(view.page).to_have_url(re.compile("range=1-3"))
    expect(view.at("places")).to_be_visible()
    view.page.keyboard.type("X")
    expect(view.at("text-box")).to_have_value("aX\n")
    expect(view.page).not_to_have_url(re.compile("range="))


def test_input_method_composes_before_the_text_is_read(view: View) -> None:
    view.open(view="network", run="poem", text="床前")
    click_text(view, 1)
    session = view.page.context.new_cdp_session(view.page)
    session.send("Input.imeSetComposition", {"text": "ming", "selectionStart": 4, "selectionEnd": 4})
    expect(view.page.locator(".preedit")).to_have_text("ming")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "2")
    assert parse_qs(urlsplit(view.page.url).query)["text"] == ["床前"]
    session.send("Input.insertText", {"text": "明月"})
    expect(view.page.locator(".preedit")).to_have_count(0)
    expect(view.at("text-box")).to_have_value("床明月前")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "4")
    expect(caret(view)).to_have_attribute("data-column", "3")


def test_bytes_move_the_caret_by_whole_characters(view: View) -> None:
    view.open(view="network", run="bytes", text="a月b")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "5")
    click_text(view, 1)
    view.page.keyboard.press("ArrowRight")
    expect(caret(view)).to_have_attribute("data-column", "4")
    view.page.keyboard.type("x")
    expect(view.at("text-box")).to_have_value("a月xb")


def test_tap_sets_the_caret(
    browser: Browser, origins: set[str], start_server: Callable[[Path], str], runs: Path
) -> None:
    address = start_server(runs)
    with watched_page(browser, origins, phone=True) as page:
        view = View(page, address, runs)
        view.open(view="network", run="counter", text=TEXT)
        box, layout = view.at("strips-canvas").bounding_box(), view.picture()
        assert box is not None
        page.touchscreen.tap(box["x"] + layout.label + 2 * layout.cell, box["y"] + 27)
        expect(view.at("text-box")).to_be_focused()
        expect(caret(view)).to_have_attribute("data-column", "2")
        page.keyboard.type("a")
        expect(view.at("text-box")).to_have_value("aaaXbb\n")
        for tab in ("neuron", "learning", "gradient", "health"):
            view.at(f"tab-{tab}").tap()
            expect(view.at(f"tab-{tab}")).to_have_attribute("aria-current", "page")
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_large_box_takes_long_texts(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT)
    view.at("strips").focus()
    view.page.keyboard.press("t")
    drawer = view.at("drawer-text")
    expect(drawer).to_be_focused()
    expect(view.at("text-drawer")).to_contain_text("after each line (⏎) it starts afresh")
    drawer.fill("aaaXbbb\naXb\n")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "12")
    view.page.keyboard.press("Escape")
    expect(view.at("text-drawer")).to_have_count(0)
    expect(view.at("strips")).to_be_focused()
    expect(view.at("text-box")).to_have_value("aaaXbbb\naXb\n")
    view.unfold("text-menu")
    view.at("open-drawer").click()
    expect(drawer).to_be_focused()
    view.at("close-drawer").click()
    expect(view.at("text-drawer")).to_have_count(0)


def test_tabs_and_run_switcher_keep_text_and_signal(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT, signal="h")
    expect(view.page.get_by_role("heading", level=1)).to_have_count(1)
    for tab, shown in (
        ("neuron", "neuron-page"),
        ("learning", "learning-page"),
        ("gradient", "gradient-page"),
        ("health", "tab-health"),
        ("network", "strips"),
    ):
        view.at(f"tab-{tab}").click()
        expect(view.at(f"tab-{tab}")).to_have_attribute("aria-current", "page")
        expect(view.at(shown)).to_be_visible()
        fields = parse_qs(urlsplit(view.page.url).query)
        assert (fields["text"], fields["signal"]) == ([TEXT], ["h"])
    view.at("run-switcher").click()
    expect(view.at("run-search")).to_be_focused()
    view.page.keyboard.type("slstm")
    expect(view.at("switch-run")).to_have_count(1)
    view.page.keyboard.press("Enter")
    expect(view.page.get_by_role("heading", level=1)).to_contain_text("slstm")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "7")
    expect(view.at("text-box")).to_have_value(TEXT)
    expect(view.at("signal-h")).to_have_attribute("aria-pressed", "true")
    view.at("run-switcher").click()
    view.at("run-search").fill("no such run")
    expect(view.at("run-list")).to_contain_text("No run has “no such run”")
    view.page.keyboard.press("Escape")
    expect(view.at("run-list")).to_be_hidden()
    expect(view.at("strips")).to_be_visible()  # Escape closed the list and nothing else
    view.page.go_back()
    expect(view.page.get_by_role("heading", level=1)).to_contain_text("counter")


def test_reload_shows_the_same_picture(view: View) -> None:
    """The order of a large layer follows from the text, so that a reload or a link has the same rows."""
    view.open(view="network", run="wide", text="abcXabc\n")
    view.point(2, 3)
    view.click(2, 3)
    expect(view.page).to_have_url(re.compile("neuron="))
    before, pixels = view.at("cursor-text").inner_text(), view.picture().pixels
    values = view.recorded("wide", "abcXabc\n").layers["layer0"]["c"]
    order = np.argsort(-values.var(axis=1), kind="stable")
    assert f"neuron {order[2]} ·" in before
    view.page.reload()
    expect(view.at("cursor-text")).to_have_text(before)
    eventually(lambda: _same(view.picture().pixels, pixels))


def _same(first: np.ndarray, other: np.ndarray) -> None:
    assert first.shape == other.shape
    assert (first == other).all()


def test_facts_question_and_learning_page(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT)
    expect(view.at("look-for")).to_contain_text("which neurons count")
    before = top(view)
    view.at("look-for-close").click()
    expect(view.at("look-for")).to_have_count(0)
    assert top(view) < before
    view.page.reload()
    expect(view.at("strips")).to_be_visible()
    expect(view.at("look-for")).to_have_count(0)  # closed for this run
    view.unfold("facts-details")
    for part in ("which neurons count", "largest residual", "every equation holds"):
        expect(view.at("facts-details-box")).to_contain_text(part)
    view.page.keyboard.press("Escape")
    view.at("filter").fill("7")
    expect(view.page).to_have_url(re.compile("neuron=7"))
    expect(view.at("cursor-text")).to_contain_text("neuron 7 ·")
    view.at("filter").fill("70")
    expect(view.at("listed")).to_have_text("Neurons go from 0 to 9.")
    view.at("tab-learning").click()
    view.at("curve-slider").press("Home")
    expect(view.at("checkpoint-name")).to_have_text("before training")
    expect(view.at("curve-mark")).to_have_count(1)
    view.at("checkpoint-strips").click()
    expect(view.at("checkpoint-menu")).to_contain_text("weights of step")
    view.open(view="network", run="deep")
    expect(view.at("look-for")).to_be_visible()  # of another run it is not
