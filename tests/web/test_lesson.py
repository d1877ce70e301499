"""The page of one weight: its paths, their sum, and the address that restores them."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gatescope import Run
from gatescope.studies.gradients.backpropagation import contributions
from tests.web.looking import View, eventually

TEXT = "aaXbb"
FLOAT64_DIGITS = 16


def shown(view: View, name: str) -> list[float]:
    """Return the exact values of the printed numbers."""
    values = view.at(name).evaluate_all("(elements) => elements.map((element) => Number(element.dataset.value))")
    return [float(value) for value in values]


def contributions_by_step(view: View, run: str, symbols: str, weight: str, to: int, source: int) -> list[float]:
    """Return the contribution of every step of a text to the gradient of -log p(its last symbol)."""
    network = Run(view.runs / run).network()[0]
    ids = network.configuration.vocabulary.encode(symbols)
    table = contributions(network, ids, [len(symbols) - 2])
    return [float(table.of(weight, step)[to, source]) for step in range(len(symbols) - 1)]


def check(view: View, steps: list[float]) -> None:
    """Check that the page shows these sums, their total, rows with the same total, and the gradient of autograd."""

    def agrees() -> None:
        assert shown(view, "lesson-sum") == pytest.approx(steps[::-1], rel=1e-9, abs=1e-15)

    eventually(agrees)
    total = math.fsum(steps)
    assert math.fsum(shown(view, "lesson-row")) == pytest.approx(total, rel=1e-9, abs=1e-15)
    assert shown(view, "lesson-total") == pytest.approx([total], rel=1e-9, abs=1e-15)
    assert shown(view, "lesson-autograd") == pytest.approx([total], rel=1e-9, abs=1e-15)
    [[one], [other]] = shown(view, "lesson-total"), shown(view, "lesson-autograd")
    digits = re.search(r"the same to (\d+) digits", view.at("lesson-same").inner_text())
    assert digits is not None
    # Terms of both signs cancel, so that fewer digits of their sum are known than of each.
    expected = FLOAT64_DIGITS if one == other else -math.log10(abs(one - other) / max(abs(one), abs(other)))
    assert int(digits[1]) == min(FLOAT64_DIGITS, math.floor(expected))


def open_lesson(view: View, **query: object) -> None:
    query = {"view": "lesson", "run": "counter", "text": TEXT, **query}
    view.page.goto(view.address + "/?" + "&".join(f"{name}={value}" for name, value in query.items()))


def test_paths_of_a_weight_follow_links_and_back(view: View) -> None:
    view.open(view="neuron", run="counter", text=TEXT, neuron=2, step=3)
    view.at("tab-gradient").click()
    view.at("to-lesson").click()
    # aXb was read up to step 3; the drive is the forget gate's, from neuron 0.
    weight = "layers.0.recurrent_weights.f"
    check(view, contributions_by_step(view, "counter", "aXbb", weight, 2, 0))
    expect(view.at("lesson-read")).to_contain_text("initial state")
    expect(view.at("lesson-row").filter(has_text="through the state itself")).to_have_count(1)
    view.at("lesson-source").select_option("1")
    view.at("lesson-drive").select_option("o")
    view.at("lesson-to").select_option("4")
    view.at("lesson-earlier").click()
    check(view, contributions_by_step(view, "counter", "aaXb", "layers.0.recurrent_weights.o", 4, 1))

    for part in ("view=lesson", "drive=o", "neuron=4", "source=1", "step=2"):
        expect(view.page).to_have_url(re.compile(f"[?&]{part}(&|$)"))
    view.page.reload()
    check(view, contributions_by_step(view, "counter", "aaXb", "layers.0.recurrent_weights.o", 4, 1))
    expect(view.at("lesson-drive")).to_have_value("o")
    expect(view.at("lesson-to")).to_have_value("4")
    expect(view.at("lesson-source")).to_have_value("1")
    expect(view.at("tab-gradient")).to_have_attribute("aria-current", "page")
    view.at("back-to-gradients").click()
    expect(view.at("gradient-page")).to_be_visible()


def test_paths_say_that_earlier_symbols_are_not_read(view: View) -> None:
    """Three symbols are read at most; a text of three says nothing about it."""
    open_lesson(view, step=3)
    expect(view.at("lesson-shortened")).to_contain_text("Only the last 3 symbols are read, from step 1 on")
    open_lesson(view, step=2)
    expect(view.at("lesson-read")).to_be_visible()
    expect(view.at("lesson-shortened")).to_have_count(0)


def test_paths_of_the_last_layer_follow_the_keys(view: View) -> None:
    open_lesson(view, run="deep", text="abXab", neuron=1, source=3, step=2, drive="z")
    check(view, contributions_by_step(view, "deep", "abXa", "layers.1.recurrent_weights.z", 1, 3))
    view.at("lesson-drive").focus()
    view.page.keyboard.press("Tab")
    expect(view.at("lesson-to")).to_be_focused()
    view.at("lesson-later").focus()
    view.page.keyboard.press("Enter")
    check(view, contributions_by_step(view, "deep", "bXab", "layers.1.recurrent_weights.z", 1, 3))
    view.page.keyboard.press("Escape")
    expect(view.at("gradient-page")).to_be_visible()


def test_last_step_has_no_paths_and_narrow_page_fits(
    refused_page: Page, start_server: Callable[[Path], str], runs: Path
) -> None:
    view = View(refused_page, start_server(runs), runs)
    view.page.set_viewport_size({"width": 390, "height": 800})
    open_lesson(view, step=4)
    expect(view.at("lesson-problem")).to_contain_text("Step 4: expected a following symbol")
    view.at("lesson-earlier").click()
    check(view, contributions_by_step(view, "counter", "aXbb", "layers.0.recurrent_weights.f", 0, 0))
    expect(view.at("lesson-problem")).to_have_count(0)
    assert view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
