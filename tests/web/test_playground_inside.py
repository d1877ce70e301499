"""Looking inside a network that the page has trained: the neuron that counts, and all pages about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.test_playground import Playground
from tests.web.watching import MILLISECONDS

RECIPE = "lstm+10+1+counter+seed+1"
RUN = "page/lstm 10 1 counter seed 1"


@pytest.fixture
def trained(page: Page, start_server: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Playground:
    """Return the playground after a training that was paused as soon as it had a score."""
    playground = Playground(page, start_server(tmp_path_factory.mktemp("empty")))
    playground.open(RECIPE)
    playground.at("train").click()
    expect(playground.at("score")).to_contain_text("score 100 %", timeout=4 * MILLISECONDS)
    playground.at("train").click()
    playground.expect_phase("paused")
    return playground


def test_neuron_that_counts_is_named_and_looked_at(trained: Playground) -> None:
    """Train, look: two actions. The neuron is the one whose cell state follows the b's that are owed."""
    follows = trained.at("follows")
    expect(follows).to_contain_text(re.compile(r"^Neuron \d counts: its cell state follows “b's still to be written"))
    expect(follows).to_contain_text("reached by update")
    score = float(follows.get_attribute("data-score") or 0)
    assert 0.9 <= score <= 1
    mark = trained.page.get_by_test_id("curve-since")
    assert 0 < int(mark.get_attribute("data-step") or 0) <= trained.steps()
    neuron = re.findall(r"\d", follows.inner_text())[0]
    trained.at("follows-look").click()
    expect(trained.page).to_have_url(re.compile(f"neuron={neuron}"))
    expect(trained.page.get_by_test_id("cursor-text")).to_contain_text(f"neuron {neuron}")
    expect(trained.page.get_by_text("every equation holds")).to_be_visible()


def test_trained_network_has_all_pages(trained: Playground) -> None:
    page, steps = trained.page, trained.steps()
    trained.at("inside").click()
    expect(page.get_by_test_id("cursor-text")).not_to_be_empty()
    assert "run=page%2Flstm" in page.url
    page.get_by_role("link", name="Learning").click()
    slider = page.get_by_test_id("curve-slider")
    slider.press("Home")
    expect(page).to_have_url(re.compile("checkpoint=0"))
    page.get_by_role("link", name="Gradients").click()
    expect(page.get_by_test_id("gradient-page")).to_be_visible()
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("Not for a network of this page").first).to_be_visible()
    # It stands among the runs as long as the page is open, and nothing about it can be written.
    expect(page.get_by_test_id("star")).to_have_count(0)
    page.get_by_test_id("all-runs").click()
    card = page.get_by_role("article").filter(has_text=RUN)
    expect(card).to_be_visible()
    expect(card.get_by_role("button", name=re.compile("Edit"))).to_have_count(0)
    # The training goes on where it was.
    page.get_by_test_id("new-network").click()
    trained.expect_phase("paused")
    assert trained.steps() == steps
    trained.at("step").click()
    expect(trained.at("state")).to_contain_text(f"{steps + 1:,} updates")


def test_link_to_a_closed_page_offers_the_experiment(trained: Playground) -> None:
    trained.at("inside").click()
    expect(trained.page.get_by_test_id("cursor-text")).not_to_be_empty()
    trained.page.reload()
    trained.expect_phase("ready")
    assert trained.words() == [RECIPE.replace("+", " ")]
    expect(trained.at("gone")).to_be_visible()
