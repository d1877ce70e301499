"""The address that holds the whole view, the browser's history, the keys, light and dark, and narrow screens."""

import re
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from tests.web.examples import POEM
from tests.web.looking import Colour, View, eventually

LINES = "abcX\ncab\n"
CHANGED = {
    "view": "network",
    "run": "deep",
    "layer": "layer1",
    "signal": "z",
    "neuron": "3",
    "step": "5",
    "text": LINES,
    "sort": "similar",
    "zoom": "4",
}


def query(view: View) -> dict[str, str]:
    """Return the fields of the address."""
    query = parse_qs(view.page.evaluate("() => location.search.slice(1)"), keep_blank_values=True)
    return {name: value for name, (value,) in query.items()}


def check_changed(view: View) -> None:
    """Check that the page shows every field of CHANGED."""
    expect(view.at("text-box")).to_have_value(LINES)
    expect(view.at("layer-1")).to_have_attribute("aria-pressed", "true")
    expect(view.at("signal-z")).to_have_attribute("aria-pressed", "true")
    expect(view.at("sort")).to_have_value("similar")
    expect(view.at("zoom-in")).to_be_disabled()
    expect(view.at("strips")).to_have_attribute("aria-label", "update gate of 6 neurons over 9 steps")
    expect(view.at("cursor-text")).to_contain_text("neuron 3 · step 5 · “c” · update gate")
    expect(view.at("neuron-panel")).to_contain_text("pinned")


def test_address_holds_every_choice_and_reload_restores_it(view: View) -> None:
    view.open(view="network", run="deep")
    view.at("text-box").fill(LINES)
    view.at("layer-1").click()
    view.at("signal-z").click()
    expect(view.at("strips")).to_have_attribute("aria-label", "update gate of 6 neurons over 9 steps")
    view.at("zoom-in").click()
    view.click(3, 5)
    view.at("sort").select_option("similar")
    check_changed(view)
    eventually(lambda: _equal(query(view), CHANGED))
    expect(view.at("written")).not_to_be_empty()  # the network has written on behind the text
    before, pixels = view.at("cursor-text").inner_text(), view.picture().pixels
    view.page.reload()
    check_changed(view)
    expect(view.at("cursor-text")).to_have_text(before)
    eventually(lambda: np.testing.assert_array_equal(view.picture().pixels, pixels))


def _equal(first: Any, other: Any) -> None:
    assert first == other


def test_link_restores_the_view(view: View) -> None:
    view.open(**CHANGED)
    check_changed(view)
    href = view.at("open-neuron").get_attribute("href") or ""
    view.page.goto(f"{view.address}/{href}")
    expect(view.page.get_by_role("heading", name="Neuron 3", exact=True)).to_be_visible()
    expect(view.at("cursor-text")).to_contain_text("neuron 3 · step 5 · “c” · update gate")
    expect(view.at("text-box")).to_have_value(LINES)


def test_long_text_stays_in_its_window(view: View) -> None:
    text = POEM * 150
    assert len(text) > 2000
    view.open(view="network", run="poem", text="光")
    view.at("text-box").fill(text)
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", str(len(text)))
    expect(view.page).to_have_url(re.compile(f"stored=[0-9a-f]{{16}}-{len(text)}"))
    assert len(view.page.url) < 150
    view.page.reload()
    expect(view.at("text-box")).to_have_value(text)
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", str(len(text)))
    # As in a window that has never had the text.
    view.page.goto(re.sub(r"stored=[0-9a-f]{16}", "stored=0123456789abcdef", view.page.url))
    expect(view.at("link-note")).to_contain_text(f"{len(text):,} characters in this window, got none")
    expect(view.at("text-box")).not_to_have_value(text)


def test_long_insertion_is_refused(view: View) -> None:
    view.open(view="network", run="poem", text="光")
    view.at("text-box").focus()
    view.page.keyboard.insert_text("光" * 1_000_000)
    expect(view.at("link-note")).to_contain_text("expected at most 20,000 characters, got 1,000,000 characters")
    expect(view.at("text-box")).to_have_value("光")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "1")


def test_command_palette_finds_pages_neurons_and_runs(view: View) -> None:
    view.open(view="network", run="deep", text=LINES)
    palette = view.at("commands")

    def choose(words: str) -> None:
        view.page.keyboard.press("Control+k")
        view.page.keyboard.type(words)
        view.page.keyboard.press("Enter")
        expect(palette).to_be_hidden()

    choose("n 3")
    expect(view.page.get_by_role("heading", name="Neuron 3", exact=True)).to_be_visible()
    choose("update gate")
    expect(view.page).to_have_url(re.compile("signal=z"))
    choose("health")
    expect(view.page).to_have_url(re.compile("view=health"))
    choose("sLSTM")
    expect(view.page).to_have_url(re.compile("run=slstm"))
    before = view.page.url
    view.page.keyboard.press("Control+k")
    view.page.keyboard.type("nothing of that kind")
    expect(palette).to_contain_text("Nothing has all of “nothing of that kind”.")
    view.page.keyboard.press("Enter")
    view.page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    assert view.page.url == before


def test_palette_keeps_keys_pressed_while_it_loads(view: View) -> None:
    def wait(route: Route) -> None:
        view.page.wait_for_timeout(300)
        route.continue_()

    view.page.route("**/command-palette.js", wait)
    view.open(view="network", run="deep", text=LINES)
    view.page.keyboard.press("Control+k")
    view.page.keyboard.type("n 3")
    view.page.keyboard.press("Enter")
    expect(view.page.get_by_role("heading", name="Neuron 3", exact=True)).to_be_visible()
    expect(view.at("commands")).to_be_hidden()


def test_key_pressed_as_a_dialog_closes_acts(view: View) -> None:
    """The next key acts although the browser reports the end of the dialog only in a later task."""
    press_both = """async ([field, first, second]) => {
        const press = (target, key) =>
            target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
        press(document.querySelector(field), first)
        await null
        press(document.activeElement, second)
    }"""
    view.open(view="network", run="deep", text=LINES)
    view.page.keyboard.press("Control+k")
    view.page.keyboard.type("update gate")
    expect(view.at("commands").get_by_role("option").first).to_contain_text("update gate")
    view.page.evaluate(press_both, ["[role=combobox]", "Enter", "?"])
    expect(view.at("keys")).to_be_visible()
    expect(view.page).to_have_url(re.compile("signal=z"))
    view.page.keyboard.press("Escape")
    view.page.keyboard.press("Control+k")
    expect(view.at("commands").get_by_role("combobox")).to_be_focused()


def test_tour_follows_what_is_done_and_resumes(view: View) -> None:
    tour = view.at("tour")
    view.open(view="network", run="counter", text="aaXbb", tour=1)
    expect(tour).to_contain_text("Type into the text 1 of 6")
    view.page.wait_for_timeout(1500)  # longer than a step that was done stays
    expect(tour).to_have_attribute("data-step", "0")
    view.at("text-box").press_sequentially("b")
    expect(tour).to_have_attribute("data-step", "1")
    view.at("tour-next").click()
    view.click(2, 3)
    expect(tour).to_have_attribute("data-step", "3")
    view.at("signal-f").click()
    expect(tour).to_contain_text("Hold a signal 5 of 6")
    for width, height in ((390, 844), (1280, 800)):
        view.page.set_viewport_size({"width": width, "height": height})
        eventually(lambda width=width, height=height: _is_inside(view, width, height))
    view.page.keyboard.press("Escape")
    expect(tour).to_be_hidden()
    expect(view.page).to_have_url(re.compile("signal=f"))
    view.at("page-menu").click()
    view.at("start-tour").click()
    expect(tour).to_have_attribute("data-step", "4")


def test_tour_begins_with_the_leading_run(view: View) -> None:
    """The menu is closed, and the frame encloses the whole row of the text and all signals."""
    view.open()
    expect(view.at("live-finding")).to_be_visible()
    view.at("page-menu").click()
    # The findings of further runs may arrive at any time, so the leading run is read with the click.
    leading = view.at("live-finding").evaluate(
        "(one) => { document.querySelector('[data-testid=start-tour]').click(); return one.dataset.run }"
    )
    expect(view.page).to_have_url(re.compile(f"run={leading}(&|$)"))
    expect(view.at("tour")).to_have_attribute("data-step", "0")
    expect(view.at("page-menu-box")).to_be_hidden()
    expect(view.at("strips-canvas")).to_be_visible()
    eventually(lambda: _is_framed(view, "text-row"))
    for _ in range(3):
        view.at("tour-next").click()
    eventually(lambda: _is_framed(view, "signal-i"))
    eventually(lambda: _is_framed(view, "signal-h"))
    view.at("tour-next").click()
    panel = view.at("neuron-panel").bounding_box()

    def check_beside() -> None:
        card = view.at("tour").bounding_box()
        assert panel is not None
        assert card is not None
        assert card["x"] + card["width"] <= panel["x"]

    eventually(check_beside)


def _is_framed(view: View, name: str) -> None:
    frame, box = view.at("tour-frame").bounding_box(), view.at(name).bounding_box()
    assert frame is not None
    assert box is not None
    assert box["width"] > 0
    assert frame["x"] <= box["x"]
    assert frame["x"] + frame["width"] >= box["x"] + box["width"]
    assert frame["y"] <= box["y"]


def _is_inside(view: View, width: int, height: int) -> None:
    box = view.at("tour").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= height


def test_link_to_a_missing_run_names_similar_ones(view: View) -> None:
    view.page.goto(f"{view.address}/?view=network&run=conter")
    expect(view.at("error-note")).to_contain_text("got “conter”. Similar names:")
    view.at("error-note").get_by_role("link", name="counter", exact=True).click()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")


def test_back_and_forward_restore_views(view: View) -> None:
    view.open()
    view.page.locator('[data-testid=run-card][data-run="counter"]').click()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")
    view.at("text-box").fill("aaXbb")
    view.at("signal-f").click()
    view.at("open-neuron").click()
    expect(view.at("neuron-page")).to_be_visible()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "6")
    view.page.go_back()
    expect(view.at("neuron-page")).to_be_hidden()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")
    expect(view.at("text-box")).to_have_value("aaXbb")
    expect(view.at("signal-f")).to_have_attribute("aria-pressed", "true")
    view.page.go_back()
    expect(view.at("signal-c")).to_have_attribute("aria-pressed", "true")
    expect(view.at("text-box")).to_have_value("aaXbb")
    view.page.go_back()
    expect(view.at("text-box")).not_to_have_value("aaXbb")
    view.page.go_back()
    expect(view.at("run-card")).not_to_have_count(0)
    for _ in range(2):
        view.page.go_forward()
    expect(view.at("text-box")).to_have_value("aaXbb")
    for _ in range(2):
        view.page.go_forward()
    expect(view.at("neuron-page")).to_be_visible()
    expect(view.at("text-box")).to_have_value("aaXbb")


def test_back_restores_the_typed_text(view: View) -> None:
    """An example takes the place of a text that was typed just before; Back undoes that, and then the typing."""
    view.open(view="network", run="counter", text="aXb")
    view.at("text-box").press("End")
    view.at("text-box").press_sequentially("b")
    expect(view.at("text-box")).to_have_value("aXbb")
    view.unfold("text-menu")
    view.at("example").last.click()
    expect(view.at("text-box")).not_to_have_value("aXbb")
    view.page.go_back()
    expect(view.at("text-box")).to_have_value("aXbb")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "4")
    view.page.go_back()
    expect(view.at("text-box")).to_have_value("aXb")
    view.page.go_forward()
    expect(view.at("text-box")).to_have_value("aXbb")


@pytest.mark.parametrize(
    ("nonsense", "named"),
    [
        ("neuron=99999&step=99999", ["Neuron of the link: expected 0 to 9", "Step of the link: expected 0 to 2"]),
        (
            "layer=layer9&signal=q",
            ["expected layer0, got “layer9”", "expected one of layer0: i, f, g, o, c, h, got “q”"],
        ),
        ("sort=colour&zoom=77", ["got “colour”", "Zoom of the link: expected 0 to 4, or fit, got “77”"]),
        ("neuron=-1", ["Neuron of the link: expected a whole number"]),
        ("range=1-9&nuron=3", ["Range of the link: expected 0 to 2", "“nuron”, which this page does not know"]),
    ],
)
def test_link_with_nonsense_says_what_is_shown_instead(view: View, nonsense: str, named: list[str]) -> None:
    """Never a blank page: the page names what is not there, shows the rest, and the address has what is shown."""
    for page_of in ("network", "neuron"):
        view.page.goto(f"{view.address}/?view={page_of}&run=counter&text=aXb&{nonsense}")
        expect(view.at("cursor-text")).not_to_be_empty()
        expect(view.at("error-note")).to_be_hidden()
        expect(view.at("neuron-panel")).to_contain_text("· after ")
        for words in named:
            expect(view.at("link-note")).to_contain_text(words)
    view.page.get_by_role("button", name="Close this note").click()
    expect(view.at("link-note")).to_be_hidden()


def test_link_to_an_unknown_view_shows_the_network(view: View) -> None:
    view.page.goto(f"{view.address}/?view=bogus&run=counter&text=aXb")
    expect(view.at("link-note")).to_contain_text("View of the link: expected network, neuron")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "3")


def test_link_to_a_run_that_is_not_here_offers_those_that_are(view: View) -> None:
    view.page.goto(f"{view.address}/?view=network&run=nothing")
    expect(view.at("error-note")).to_contain_text("expected one of this folder, got “nothing”")
    expect(view.at("run-card").first).to_be_visible()
    view.page.locator('[data-testid=run-card][data-run="counter"]').click()
    expect(view.at("error-note")).to_be_hidden()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")


def test_link_that_fits_says_nothing(view: View) -> None:
    view.open(**CHANGED)
    check_changed(view)
    expect(view.at("link-note")).to_be_hidden()


def test_keys_move_the_cursor(view: View) -> None:
    view.open(view="network", run="counter", text="aaXbb\n")
    view.at("strips").focus()
    cursor, press = view.at("cursor-text"), view.page.keyboard.press
    press("Home")
    expect(cursor).to_contain_text("neuron 0 · step 0 · “a”")
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowDown")
    expect(cursor).to_contain_text("neuron 1 · step 2 · “X”")
    press("ArrowLeft")
    press("ArrowUp")
    expect(cursor).to_contain_text("neuron 0 · step 1 · “a”")
    press("ArrowUp")
    press("End")
    press("ArrowRight")
    expect(cursor).to_contain_text("neuron 0 · step 5 · “⏎”")
    press("PageDown")
    expect(cursor).to_contain_text("neuron 9 · step 5")


def test_keys_choose_signals_pin_and_open(view: View) -> None:
    view.open(view="network", run="counter", text="aaXbb\n", neuron=4, step=2)
    cursor, press = view.at("cursor-text"), view.page.keyboard.press
    expect(cursor).to_contain_text("cell state")
    press("]")
    expect(cursor).to_contain_text("neuron 4 · step 2 · “X” · hidden state")
    press("]")
    expect(cursor).to_contain_text("input gate")
    press("[")
    press("[")
    expect(cursor).to_contain_text("cell state")
    expect(view.at("neuron-panel")).to_contain_text("pinned")
    press(" ")
    expect(view.at("neuron-panel")).not_to_contain_text("pinned")
    press("ArrowDown")
    press(" ")
    expect(view.at("neuron-panel")).to_contain_text("pinned")
    expect(cursor).to_contain_text("neuron 5 · step 2")
    press("Enter")
    expect(view.page.get_by_role("heading", name="Neuron 5", exact=True)).to_be_visible()
    press("ArrowRight")
    expect(cursor).to_contain_text("neuron 5 · step 3")
    press("ArrowUp")
    expect(view.page.get_by_role("heading", name="Neuron 4", exact=True)).to_be_visible()
    press("Escape")
    expect(view.at("neuron-page")).to_be_hidden()
    press("Escape")
    expect(view.at("neuron-panel")).not_to_contain_text("pinned")
    press("Escape")
    expect(view.at("run-card").first).to_be_visible()


def test_keys_zoom_and_open_the_list_of_keys(view: View) -> None:
    view.open(view="network", run="counter", text="aaXbb\n")
    cell = view.picture().cell
    view.page.keyboard.press("-")
    eventually(lambda: _smaller(view.picture().cell, cell))
    view.page.keyboard.press("+")
    eventually(lambda: _equal(view.picture().cell, cell))
    view.page.keyboard.press("?")
    expect(view.at("keys")).to_be_visible()
    for word in ("pin the cursor", "previous or next signal", "this list"):
        expect(view.at("keys")).to_contain_text(word)
    view.page.keyboard.press("Escape")
    expect(view.at("keys")).to_be_hidden()
    expect(view.at("strips-canvas")).to_be_visible()


def _smaller(first: int, other: int) -> None:
    assert first < other


def test_list_of_keys_opens_at_its_top(view: View) -> None:
    view.page.set_viewport_size({"width": 1280, "height": 500})
    view.open(view="network", run="counter", text="aaXbb\n")
    view.page.keyboard.press("?")
    expect(view.at("keys")).to_be_visible()
    assert view.at("keys").evaluate("(one) => one.scrollHeight > one.clientHeight && one.scrollTop") == 0
    expect(view.page.get_by_role("heading", name="Keys")).to_be_in_viewport()


def test_text_box_keeps_its_keys(view: View) -> None:
    view.open(view="network", run="counter", text="aaXb", signal="i")
    view.at("text-box").focus()
    view.page.keyboard.press("End")
    view.page.keyboard.type("[]? +-")
    expect(view.at("text-box")).to_have_value("aaXb[]? +-")
    expect(view.at("keys")).to_be_hidden()
    expect(view.at("signal-i")).to_have_attribute("aria-pressed", "true")
    view.page.keyboard.press("Escape")
    expect(view.at("text-box")).not_to_be_focused()
    expect(view.at("strips-canvas")).to_be_visible()


def test_tab_key_reaches_every_control(view: View) -> None:
    view.open(view="network", run="deep", text="abcX")
    reached: set[str] = set()
    for _ in range(60):
        view.page.keyboard.press("Tab")
        reached.add(view.page.evaluate("() => document.activeElement.dataset.testid ?? ''"))
    tabs = {"tab-network", "tab-neuron", "tab-learning", "tab-gradient", "tab-health"}
    controls = {"layer-0", "layer-1", "signal-r", "sort", "filter", "feature-menu", "zoom-in", "zoom-out"}
    expected = {"run-switcher", "text-menu", "text-box", "strips", "open-neuron", "equation-check", "facts-details"}
    assert reached >= tabs | controls | expected


def contrast(first: Colour, other: Colour) -> float:
    """Return the contrast of two colours by WCAG 2, 1 to 21."""

    def luminance(colour: Colour) -> float:
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    high, low = sorted((luminance(first), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_have_contrast_in_light_and_dark(view: View) -> None:
    papers = {}
    for scheme in ("light", "dark"):
        view.page.emulate_media(color_scheme=scheme)
        view.open(view="network", run="counter", text="aaXbb\n", signal="h", neuron=0, step=0)
        values = view.recorded("counter", "aaXbb\n").layers["layer0"]["h"]
        picture, legend = view.picture(), view.legend()
        for row in range(10):
            for step in range(2, 6):
                assert np.abs(picture.colour(row, step) - legend.colour(float(values[row, step]))).max() < 2.5
        paper = view.variable("--bg")
        assert tuple(picture.pixels[-1, 0]) == paper
        assert contrast(view.variable("--ink"), paper) > 7
        for name in ("--mute", "--accent", "--good", "--warn"):
            assert contrast(view.variable(name), paper) > 4.5, f"{name} is hard to read when {scheme}"
        papers[scheme] = sum(paper)
    assert papers["light"] > 700
    assert papers["dark"] < 100


def test_page_follows_a_change_of_colour_scheme(view: View) -> None:
    view.page.emulate_media(color_scheme="light")
    view.open(view="neuron", run="counter", text="aaXbb\n")
    view.page.emulate_media(color_scheme="dark")
    eventually(lambda: _equal(tuple(view.picture().pixels[-1, 0]), view.variable("--bg")))


def test_choice_of_colours_is_drawn_and_remembered(view: View) -> None:
    def greys() -> list[float]:
        """Return how light the ends and the middle of the legend are, as a grey print has them, from low to high."""
        colours = view.legend().stops[[0, len(view.legend().stops) // 2, -1]] / 255
        return list(colours**2.2 @ [0.2126, 0.7152, 0.0722])

    view.page.emulate_media(color_scheme="light")
    view.open(view="network", run="counter", text="aaXbb\n", signal="h")
    view.at("appearance").click()
    view.page.get_by_label("dark", exact=True).check()
    eventually(lambda: _equal(tuple(view.picture().pixels[-1, 0]), view.variable("--bg")))
    assert sum(view.variable("--bg")) < 100
    view.page.get_by_label("light to dark").check()
    view.page.reload()
    eventually(lambda: _equal(tuple(view.picture().pixels[-1, 0]), view.variable("--bg")))
    assert sum(view.variable("--bg")) < 100
    low, middle, high = greys()
    assert low < middle < high
    view.page.emulate_media(media="print")
    eventually(lambda: _equal(tuple(view.picture().pixels[-1, 0]), view.variable("--bg")))
    assert sum(view.variable("--bg")) > 700
    low, middle, high = greys()
    assert low > middle > high


@pytest.mark.parametrize(
    "query", ["", "view=network&run=poem", "view=neuron&run=slstm&neuron=2", "view=network&run=wide"]
)
def test_page_fits_a_narrow_screen(view: View, query: str) -> None:
    def check_width() -> None:
        assert view.page.evaluate("() => document.documentElement.scrollWidth") <= 400

    view.page.set_viewport_size({"width": 400, "height": 800})
    view.page.goto(f"{view.address}/?{query}")
    expect(view.at("cursor-text") if query else view.at("run-card").last).not_to_be_empty()
    check_width()
    if query:
        picture = view.picture()
        assert picture.pixels.shape[1] - picture.label > 200, "there is room for the text"
        view.click(1, 2)
        expect(view.at("neuron-panel")).to_contain_text("· step 2 ·")
        view.at("equation-check").focus()
        expect(view.page.get_by_role("tooltip")).to_have_count(1)
        check_width()
