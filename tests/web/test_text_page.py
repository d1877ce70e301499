"""A text as a page: its colours, its neurons, its cursor and its range, by mouse, keyboard and link."""

import re

import numpy as np
from playwright.sync_api import expect

from tests.web.looking import SNAPSHOT, View, eventually, pixels

TEXT = "aaXbb\naaaXbbb\naX\n"
LINES = TEXT.splitlines(keepends=True)


def middle(view: View, pane: int, line: int, column: int) -> tuple[int, int]:
    """Return the left upper part of a cell, in pixels of the canvas, away from its character."""
    layout = view.at("page-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    left = int(layout["left"].split()[pane])
    return left + column * int(layout["cell"]) + 1, line * int(layout["pitch"]) + 2


def check_colours(view: View, neurons: list[int]) -> None:
    """Compare the colour of every cell of the page with the printed scale and the recorded values."""
    values = view.recorded("counter", TEXT).layers["layer0"]["c"]
    legend, picture = view.legend(), pixels(view.at("page-canvas").evaluate(SNAPSHOT))
    for pane, neuron in enumerate(neurons):
        step = 0
        for line, characters in enumerate(LINES):
            for column in range(len(characters)):
                x, y = middle(view, pane, line, column)
                expected = legend.colour(float(np.clip(values[neuron, step], legend.low, legend.high)))
                assert np.abs(picture[y, x] - expected).max() < 3
                step += 1


def test_page_colours_lines_by_neurons(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT, signal="c")
    # Neurons are collected by clicks with Ctrl, and shown by the switch; the link leads to the same page.
    for row in (4, 2):
        view.at("strips-canvas").click(position=view.position(row, 1), modifiers=["Control"])
    view.at("as-page").click()
    expect(view.page).to_have_url(re.compile("as=page.*neurons=4%2C2"))
    eventually(lambda: check_colours(view, [4, 2]), 20)
    view.page.reload()
    expect(view.at("page-canvas")).to_have_attribute("data-lines", str(len(LINES)))
    eventually(lambda: check_colours(view, [4, 2]), 20)
    expect(view.at("page-lines").locator("li")).to_have_count(len(LINES))
    expect(view.at("page-lines").locator("li").nth(1)).to_contain_text("From step 6: aaaXbbb⏎")
    # The cursor is that of the strips: by mouse with the panel, by keys along the lines.
    x, y = middle(view, 1, 1, 3)
    view.at("page-canvas").click(position={"x": x + 2, "y": y + 4})
    expect(view.at("panel-title")).to_have_text("Neuron 2 · step 9 · after “X”")
    view.at("text-page").focus()
    view.page.keyboard.press("ArrowUp")
    expect(view.at("panel-title")).to_contain_text("step 3 ·")
    view.page.keyboard.press("Shift+ArrowRight")
    view.page.keyboard.press("Shift+ArrowRight")
    expect(view.page).to_have_url(re.compile("range=3-4"))
    copied = view.page.evaluate("""() => {
      const event = new ClipboardEvent('copy', { clipboardData: new DataTransfer(), bubbles: true })
      document.dispatchEvent(event)
      return event.clipboardData.getData('text/plain')
    }""")
    assert copied == TEXT[3:5]
    # The neurons of the page: one more, one less; Back undoes it.
    view.at("page-add").select_option("7")
    expect(view.at("page-remove")).to_have_count(3)
    view.at("page-remove").first.click()
    expect(view.page).to_have_url(re.compile("neurons=2%2C7"))
    view.page.go_back()
    expect(view.page).to_have_url(re.compile("neurons=4%2C2%2C7"))
    view.page.keyboard.press("p")
    expect(view.at("strips-canvas")).to_be_visible()
    # The whole text is in sight: nothing is left to scroll.
    view.page.keyboard.press("0")
    expect(view.page).to_have_url(re.compile("zoom=fit"))
    eventually(lambda: check_fit(view), 20)


def check_fit(view: View) -> None:
    """Check that the strips are as wide as the window."""
    assert view.at("strips").evaluate("(one) => one.scrollWidth <= one.clientWidth")
    assert int(view.at("strips-canvas").get_attribute("data-cell") or 0) > 17
