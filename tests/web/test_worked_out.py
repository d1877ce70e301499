"""The typed text, its predictions, and the formulas of one neuron with their numbers."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.looking import Recorded, View, eventually, expect_formula, formula

LINES = "aaXbb\naXb\n"
FORMULAS = {
    "counter": {
        "i": "i = σ(x.i + u.i)",
        "f": "f = σ(x.f + u.f)",
        "g": "g = tanh(x.g + u.g)",
        "o": "o = σ(x.o + u.o)",
        "c": "c = f · c₋₁ + i · g",
        "h": "h = o · tanh(c)",
    },
    "deep": {
        "r": "r = σ(x.r + u.r)",
        "z": "z = σ(x.z + u.z)",
        "n": "n = tanh(x.n + r · (u.n + p.n))",
        "h": "h = (1 − z) · n + z · h₋₁",
    },
    "slstm": {
        "g": "g = tanh(x.g + u.g)",
        "o": "o = σ(x.o + u.o)",
        "m": "m = max(log σ(x.f + u.f) + m₋₁, x.i + u.i)",
        "i": "i = exp(x.i + u.i − m)",
        "f": "f = exp(log σ(x.f + u.f) + m₋₁ − m)",
        "c": "c = f · c₋₁ + i · g",
        "n": "n = f · n₋₁ + i",
        "h": "h = o · c / n",
    },
}


def decimals(value: float) -> str:
    """Format a number like the page; tiny numbers keep their magnitude."""
    if 0 < abs(value) < 0.0005:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    return f"{value:.3f}".replace("-", "−")


def numbers(written: str) -> list[float]:
    """Return the numbers of a formula, in their order."""
    numbers = re.findall(r"\d+(?:\.\d+)?(?:e−?\d+)?", written)
    return [float(number.replace("−", "-")) for number in numbers]


def check_panel(view: View, run: str, recorded: Recorded, layer: str, neuron: int, step: int) -> None:
    """Check that the panel of a neuron at a step shows the recorded values."""
    expect(view.at("neuron-panel")).to_contain_text(f"Neuron {neuron} · step {step} · after ")
    values = {name: float(recorded.layers[layer][name][neuron, step]) for name in FORMULAS[run]}
    eventually(lambda: _check_values(view.panel(), values))
    for name, equation in FORMULAS[run].items():
        expect(view.at(f"panel-value-{name}")).to_have_text(decimals(values[name]))
        expect(view.at(f"equation-{name}")).to_contain_text(equation)
    expect(view.page.locator(".wrong")).to_have_count(0)


def _check_values(panel: dict[str, float], recorded: dict[str, float]) -> None:
    assert panel == pytest.approx(recorded, abs=1e-6)


@pytest.mark.parametrize(
    ("run", "layer", "text"), [("counter", "layer0", LINES), ("deep", "layer1", "abXab"), ("slstm", "layer0", LINES)]
)
def test_hovering_shows_values_and_formulas(view: View, run: str, layer: str, text: str) -> None:
    view.open(view="network", run=run, layer=layer, text=text)
    recorded = view.recorded(run, text)
    # The first step of all, one inside, the first of the second line (where there is one), and the last.
    for neuron, step in {(0, 0), (3, 2), (5, min(6, len(text) - 1)), (2, len(text) - 1)}:
        view.point(neuron, step)
        check_panel(view, run, recorded, layer, neuron, step)


def test_formula_contains_the_recorded_numbers(view: View) -> None:
    view.open(view="network", run="counter", text=LINES)
    values = view.recorded("counter", LINES).layers["layer0"]
    for neuron, step, starts in ((1, 0, True), (4, 3, False), (7, 6, True)):
        view.point(neuron, step)
        expect(view.at("neuron-panel")).to_contain_text(f"Neuron {neuron} · step {step} ·")
        f, i, g, c = (float(values[name][neuron, step]) for name in "figc")
        before = 0.0 if starts else float(values["c"][neuron, step - 1])
        filled = formula(view.at("panel-filled-c"))
        assert numbers(filled) == pytest.approx([abs(f), abs(before), abs(i), abs(g)], abs=0.00051)
        assert filled.count("−") == (before < 0) + (g < 0)
        expect_formula(view.at("panel-again-c"), f"= {decimals(c)}")


def test_drives_sum_to_their_terms(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, neuron=2, step=3)
    values = view.recorded("counter", LINES).layers["layer0"]
    inputs = {name: float(values[name][2, 3]) for name in ("x.i", "u.i", "x.f", "u.f", "x.g", "u.g", "x.o", "u.o")}
    view.at("signal-line-i").hover()
    filled = numbers(formula(view.at("panel-filled-i")))
    assert filled == pytest.approx([abs(inputs["x.i"]), abs(inputs["u.i"])], abs=0.00051)
    view.page.get_by_text("what x., u. and σ mean").click()
    for name, value in inputs.items():
        row = view.page.get_by_role("row").filter(has=view.page.get_by_text(name, exact=True))
        expect(row.locator(".value")).to_have_text(decimals(value))


def test_residual_of_the_equations_is_shown(view: View) -> None:
    view.open(view="network", run="counter", text=LINES)
    expect(view.at("equation-check")).to_contain_text("every equation holds")
    expect(view.at("equation-check")).to_contain_text("largest residual")
    view.at("equation-check").focus()
    expect(view.page.get_by_role("tooltip").filter(has_text="put back into its formula")).to_be_visible()


def test_predictions_equal_those_of_the_network(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, neuron=0)
    recorded = view.recorded("counter", LINES)
    for step in (1, 4, 7):
        view.point(0, step)
        expect(view.at("neuron-panel")).to_contain_text(f"Neuron 0 · step {step} ·")
        listed = view.at("predictions").get_by_role("listitem")
        shown = [re.split(r"\s+", text, maxsplit=1) for text in listed.all_inner_texts()]
        assert len(shown) == 3
        for (symbol, share), (name, probability) in zip(shown, recorded.top[step], strict=False):
            assert symbol == f"“{'⏎' if name == chr(10) else name}”"
            if probability >= 0.001:
                assert float(re.findall(r"[\d.]+", share)[0]) == pytest.approx(100 * probability, abs=0.51)
            else:
                assert "under 0.1 %" in share
        log_prob = recorded.log_probability[step]
        share = float(np.exp(log_prob)) * 100
        outcome = view.at("predictions").locator("p").last.inner_text()
        assert outcome.startswith(f"next came: “{LINES[step + 1]}”".replace("\n", "⏎"))
        assert float(re.findall(r"([\d.]+) %", outcome)[0]) == pytest.approx(share, abs=0.51)


def test_predictions_are_drawn_under_each_character(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, neuron=0, step=0)
    recorded = view.recorded("counter", LINES)
    picture = view.picture()
    bar = (0xB9, 0xCD, 0xE4)
    for step in range(2, picture.steps):
        # Left of the character that may stand in the bar; the ruler and the surprise have other colours.
        column = picture.columns(0, picture.header, step)[:, 1]
        height = int((column == bar).all(axis=1).sum())
        assert height == pytest.approx(38 * recorded.top[step][0][1], abs=2)


def test_header_tips_show_predictions_and_surprise(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, neuron=0)
    recorded = view.recorded("counter", LINES)
    name, probability = recorded.top[3][0]
    picture = view.picture()
    x = picture.label + 3.5 * picture.cell
    tip = view.page.locator(".tip")
    view.at("strips-canvas").hover(position={"x": x, "y": picture.header - 40})
    expect(tip).to_contain_text("After “b” the network expects")
    expect(tip).to_contain_text(f"“{name}”")
    assert probability > 0.9
    view.at("strips-canvas").hover(position={"x": x, "y": picture.header - 14})
    expect(tip).to_contain_text(f"Surprise {-recorded.log_probability[3]:.2f} nats")
    view.at("strips-canvas").hover(position={"x": x, "y": 25})
    expect(tip).to_contain_text("Step 3: “b”")


def test_page_follows_the_typed_text(view: View) -> None:
    view.open(view="network", run="counter", text="aaXb")
    box = view.at("text-box")
    box.focus()
    view.page.keyboard.press("Home")
    view.page.keyboard.press("ArrowRight")
    for step, text in enumerate(("aaaXb", "aaaaXb", "aaaXaXb"), start=1):
        view.page.keyboard.type(text[step])
        expect(box).to_have_value(text)
        expect(view.at("strips-canvas")).to_have_attribute("data-steps", str(len(text)))
        # The cursor is where the caret is, and the numbers are those of the new text.
        expect(view.at("cursor-text")).to_contain_text(f"step {step} ·")
        neuron = int(re.findall(r"neuron (\d+)", view.at("cursor-text").inner_text())[0])
        check_panel(view, "counter", view.recorded("counter", text), "layer0", neuron, step)
        assert box.evaluate("(box) => [box.selectionStart, box.selectionEnd]") == [step + 1, step + 1]
    view.page.keyboard.press("Backspace")
    expect(box).to_have_value("aaaaXb")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "6")


def test_typing_faster_than_the_server_skips_texts(view: View) -> None:
    # Without the weights, the browser leaves every text to the server.
    view.page.route("**/weights", lambda _: None)
    view.open(view="network", run="counter", text="Xb")
    routes: list[Route] = []
    box = view.at("text-box")

    def hold(route: Route) -> None:
        routes.append(route)

    def assert_texts_requested(*texts: str) -> None:
        expect(box).to_have_value(re.compile("Xb$"))
        assert [json.loads(route.request.post_data or "")["text"] for route in routes] == list(texts)

    view.page.route("**/trace", hold)
    box.focus()
    view.page.keyboard.press("Home")
    view.page.keyboard.type("a")
    eventually(lambda: assert_texts_requested("aXb"))
    # Three letters within a task of the page: on a busy machine, keys may come as slowly as answers.
    view.page.evaluate("() => { for (let k = 0; k < 3; k++) document.execCommand('insertText', false, 'a') }")
    expect(box).to_have_value("aaaaXb")
    assert box.evaluate("(box) => box.selectionStart") == 4
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "2")  # the old picture stays
    routes[0].continue_()
    eventually(lambda: assert_texts_requested("aXb", "aaaaXb"))  # the newest text, and none between
    routes[1].continue_()
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "6")
    expect(view.at("cursor-text")).to_contain_text("step 3 · “a”")
    assert box.evaluate("(box) => box.selectionStart") == 4


def test_edited_character_changes_later_colours_only(view: View) -> None:
    view.open(view="network", run="counter", text="aaaaXbbbb", neuron=0, step=0)
    before = view.picture()
    view.at("text-box").fill("aaXaXbbbb")
    recorded = view.recorded("counter", "aaXaXbbbb").layers["layer0"]["c"]
    eventually(lambda: _changed(before.colour(5, 4), view.picture().colour(5, 4)))
    after, legend = view.picture(), view.legend()
    for row in range(10):
        for step in range(2, 9):
            assert np.abs(after.colour(row, step) - legend.colour(float(recorded[row, step]))).max() < 2.5
    assert (recorded[:, :2] == view.recorded("counter", "aaaaXbbbb").layers["layer0"]["c"][:, :2]).all()


def _changed(first: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert first != other


def test_example_click_fills_the_text_box(view: View) -> None:
    view.open(view="network", run="counter")
    view.unfold("text-menu")
    examples = view.at("example")
    expect(examples.first).to_have_attribute("aria-pressed", "true")
    first = view.at("text-box").input_value()
    examples.nth(1).click()
    expect(view.at("text-box")).not_to_have_value(first)
    view.unfold("text-menu")
    expect(examples.nth(1)).to_have_attribute("aria-pressed", "true")
    steps = len(view.at("text-box").input_value())
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", str(steps))


def test_unknown_characters_are_named(view: View) -> None:
    view.open(view="network", run="counter", text="aaXbb")
    expect(view.at("unknown-note")).to_be_hidden()
    view.at("text-box").fill("aq月\tb")
    note = view.at("unknown-note")
    for name in ("“q”", "“月”", "“⇥”"):
        expect(note).to_contain_text(name)
    expect(note).not_to_contain_text("“a”")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "5")
    recorded = view.recorded("counter", "aq月\tb")
    view.point(2, 3)
    check_panel(view, "counter", recorded, "layer0", 2, 3)
    expect(view.page.locator(".wrong")).to_have_count(0)


@pytest.mark.parametrize("page_of", ["network", "neuron"])
def test_empty_text_is_no_error(view: View, page_of: str) -> None:
    view.open(view=page_of, run="counter", text="", neuron=1)
    expect(view.page.get_by_text("There is no text to read yet")).to_be_visible()
    expect(view.at("error-note")).to_be_hidden()
    view.at("text-box").fill("a")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "1")
    view.at("text-box").fill("")
    expect(view.page.get_by_text("There is no text to read yet")).to_be_visible()
    for key in ("ArrowRight", "]", "Home", "Enter"):
        view.page.keyboard.press("Escape")
        view.page.keyboard.press(key)
    expect(view.at("error-note")).to_be_hidden()


def test_bytes_are_read_one_by_one(view: View) -> None:
    view.open(view="network", run="bytes", text="a月\n")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "5")
    for step, name in enumerate(("“a”", "“E6”", "“9C”", "“88”", "“⏎”")):
        view.point(1, step)
        expect(view.at("cursor-text")).to_contain_text(f"step {step} · {name}")
    assert len(view.at("predictions").get_by_role("listitem").all()) == 3


def test_too_long_text_is_refused(refused_page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = View(refused_page, start_server(runs), runs)
    view.open(view="network", run="counter", text="aXb")
    view.at("text-box").fill("a" * 20_000)
    view.page.keyboard.type("b")
    expect(view.at("error-note")).to_contain_text("Text: expected at most 20,000 characters, got 20,001")
    # No strips of another text stand below the refused one, and nothing claims to be read.
    expect(view.at("strips-canvas")).to_be_hidden()
    expect(view.at("neuron-panel")).not_to_contain_text("Reading the text")
    view.at("text-box").fill("aaXbb")
    expect(view.at("error-note")).to_be_hidden()
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "5")
