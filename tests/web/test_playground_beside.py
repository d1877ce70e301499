"""Networks beside each other in the playground: one control, one cursor, one chart, and a link that restores them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.looking import View, eventually
from tests.web.test_accessibility import AXE, check
from tests.web.test_playground import Playground


class Beside(Playground):
    """The page of the playground with several networks."""

    def names(self) -> Locator:
        return self.at("name")

    def network(self, number: int) -> Locator:
        return self.at("network").nth(number)

    def canvas(self, number: int) -> Locator:
        return self.network(number).get_by_test_id("playground-canvas")

    def beside(self) -> list[str]:
        """Return the words of the networks beside the first one in the address."""
        return parse_qs(urlsplit(self.page.url).query).get("experiments", [])

    def expect_step(self, step: int) -> None:
        """Expect the pictures of all networks to show the weights after some updates."""
        for number in range(self.at("network").count()):
            expect(self.canvas(number)).to_have_attribute("data-step", str(step))


@pytest.fixture
def beside(page: Page, start_server: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Beside:
    return Beside(page, start_server(tmp_path_factory.getbasetemp()))


def test_comparison_is_chosen_trained_and_restored(beside: Beside) -> None:
    beside.open()
    expect(beside.at("network")).to_have_count(0)
    beside.at("beside").click()
    beside.at("beside-cells").click()
    expect(beside.names()).to_have_text(["LSTM", "Elman (tanh)", "GRU"])
    assert beside.words() == ["lstm 10 1 counter"]
    assert beside.beside() == ["elman 10 1", "gru 10 1"]
    for step in range(1, 11):
        beside.at("step").click()
        beside.expect_step(step)
    losses = beside.at("score").all_inner_texts()
    assert len({loss.split(" · ")[0] for loss in losses}) == 3
    expect(beside.at("counts-to")).to_have_count(3)
    expect(beside.at("map")).to_have_count(3)
    beside.page.reload()
    beside.expect_phase("ready")
    expect(beside.names()).to_have_text(["LSTM", "Elman (tanh)", "GRU"])
    beside.network(1).get_by_test_id("playground-remove").click()
    expect(beside.names()).to_have_text(["LSTM", "GRU"])
    assert beside.beside() == ["gru 10 1"]
    beside.page.go_back()
    expect(beside.names()).to_have_count(3)


def test_network_added_later_does_the_updates_it_lacks(beside: Beside) -> None:
    """Forget biases 0 and 1 begin with other weights and learn from the same batches."""
    beside.open("lstm+3+1+counter+batch+4+seed+2")
    for _ in range(3):
        beside.at("step").click()
    expect(beside.at("state")).to_contain_text("3 updates")
    beside.at("beside").click()
    beside.at("beside-cell").click()
    expect(beside.names()).to_have_text(["LSTM", "Elman (tanh)"])
    beside.expect_step(3)
    beside.network(1).get_by_test_id("playground-cell").select_option("lstm")
    more = beside.network(1).get_by_test_id("playground-more")
    more.locator("summary").click()
    more.get_by_test_id("playground-forget").fill("0")
    more.get_by_test_id("playground-forget").press("Enter")
    expect(beside.names()).to_have_text(["LSTM, forget bias 1", "LSTM, forget bias 0"])
    assert beside.beside() == ["lstm 3 1 forget 0"]
    beside.expect_step(3)
    beside.at("again").click()
    beside.expect_step(0)


def test_cursor_is_linked_and_scrolling_too(beside: Beside) -> None:
    beside.open("lstm+10+1+counter", experiments="elman+3+1")
    expect(beside.names()).to_have_text(["LSTM, 10 neurons", "Elman (tanh), 3 neurons"])
    beside.page.set_viewport_size({"width": 700, "height": 900})
    beside.canvas(0).hover(position={"x": 150, "y": 130})
    cursors = beside.at("cursor")
    expect(cursors.nth(0)).to_contain_text("neuron")
    [neuron, step] = re.findall(r"\d+", cursors.nth(0).inner_text())[:2]
    assert int(neuron) < 3
    expect(cursors.nth(1)).to_contain_text(f"neuron {neuron} · step {step} ·")
    beside.canvas(0).hover(position={"x": 150, "y": 230})
    expect(cursors.nth(1)).to_contain_text("this network has no neuron")
    beside.at("strips").nth(0).evaluate("(box) => (box.scrollLeft = 90)")
    eventually(lambda: _expect_scrolled(beside.at("strips").nth(1), 90))


def _expect_scrolled(box: Locator, left: int) -> None:
    assert box.evaluate("(box) => Math.round(box.scrollLeft)") == left


def test_table_says_how_far_each_counts(beside: Beside) -> None:
    """The table agrees with the score: both count the test strings that are right."""
    beside.open("lstm+10+1+counter", experiments="lstm+1+1")
    beside.at("train").click()
    expect(beside.at("score").first).to_contain_text("every test string right after 100 updates")
    beside.at("train").click()
    beside.expect_phase("paused")
    beside.at("slider").press("Home")
    expect(beside.at("weights")).to_have_text("before training")
    beside.expect_step(0)
    for _ in range(10):
        if beside.at("weights").inner_text() != "after 100 steps":
            beside.at("slider").press("ArrowRight")
    expect(beside.at("weights")).to_have_text("after 100 steps")
    beside.expect_step(100)
    expect(beside.at("count").locator("table")).to_have_css("opacity", "1")
    # The test strings of the score have 1 to 10 letters.
    expect(beside.at("counts-to").first).to_have_text(re.compile("^(1[0-9]|20)$"))
    rows = beside.at("count").locator("tbody tr")
    expect(rows.nth(10).locator("td").first).to_have_text("✓ right")


def test_axe_finds_nothing_serious_in_networks_beside_each_other(view: View) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; scripts/test-web installs it")
    beside = Beside(view.page, view.address)
    beside.open("lstm+3+1+counter", experiments="lstn+3+1", lang="zh")
    expect(beside.at("beside-problem")).to_contain_text("实际为“lstn 3 1”")
    beside.open("lstm+3+1+counter", experiments="gru+3+1")
    expect(beside.at("map")).to_have_count(2)
    view.page.wait_for_load_state("networkidle")
    view.page.evaluate(AXE.read_text(encoding="utf-8"))
    check(view, "networks beside each other")
    view.page.emulate_media(color_scheme="dark")
    check(view, "networks beside each other, dark", runOnly=["color-contrast"])
