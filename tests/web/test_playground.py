"""The playground in a real browser: it trains, pauses, steps, starts over, and is a link."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from gatescope.explorer.playground import FILES, playground_file
from tests.web.looking import View
from tests.web.test_accessibility import AXE, check
from tests.web.watching import MILLISECONDS


class Playground:
    """The page of the playground, and what stands on it."""

    def __init__(self, page: Page, address: str, runs: Path | None = None) -> None:
        self.page, self.address, self.runs = page, address, runs

    def open(self, experiment: str | None = None, **fields: str) -> None:
        words = {} if experiment is None else {"experiment": experiment}
        query = "&".join(f"{name}={value}" for name, value in {"view": "playground", **words, **fields}.items())
        self.page.goto(f"{self.address}/?{query}")
        self.expect_phase("ready")

    def at(self, name: str) -> Locator:
        return self.page.get_by_test_id(f"playground-{name}")

    def expect_phase(self, phase: str) -> None:
        expect(self.at("state")).to_have_attribute("data-phase", phase)

    def steps(self) -> int:
        """Return the number of updates in the sentence of the state."""
        return int(self.at("state").inner_text().split()[0].replace(",", ""))

    def loss(self) -> str:
        """Return the printed training loss."""
        return self.at("score").inner_text().split(" · ")[0]

    def words(self) -> list[str]:
        return parse_qs(urlsplit(self.page.url).query).get("experiment", [])


@pytest.fixture
def playground(page: Page, start_server: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Playground:
    runs = tmp_path_factory.mktemp("runs")
    return Playground(page, start_server(runs), runs)


def train_to_first_entry(playground: Playground) -> str:
    """Do the ten updates up to the first entry of the history, and return its loss."""
    for step in range(1, 11):
        playground.at("step").click()
        expect(playground.at("state")).to_contain_text(f"{step} update")
    expect(playground.at("score")).not_to_contain_text("–")
    return playground.loss()


def test_counter_is_trained_until_its_score_is_known(playground: Playground) -> None:
    playground.open()
    expect(playground.page).to_have_title("New network · gatescope")
    expect(playground.at("score")).to_contain_text("no score yet")
    playground.at("train").click()
    expect(playground.at("score")).to_contain_text("score 100 % (guessing 10 %)")
    expect(playground.at("score")).to_contain_text("every test string right after")
    expect(playground.at("sample")).to_have_text("bbbbbb⏎")
    playground.at("train").click()
    playground.expect_phase("paused")
    steps = playground.steps()
    assert 0 < steps < 2000
    pictures = int(playground.at("canvas").get_attribute("data-pictures") or 0)
    assert pictures > 3
    playground.at("step").click()
    expect(playground.at("state")).to_contain_text(f"{steps + 1:,} updates")


def test_start_over_and_reload_repeat_the_training(playground: Playground) -> None:
    """The same seed gives the same losses; another seed gives others."""
    playground.open("gru+5+2+counter+rate+0.01+seed+7")
    first = train_to_first_entry(playground)
    playground.at("again").click()
    playground.expect_phase("ready")
    assert train_to_first_entry(playground) == first
    playground.page.reload()
    playground.expect_phase("ready")
    assert playground.words() == ["gru 5 2 counter rate 0.01 seed 7"]
    assert train_to_first_entry(playground) == first
    playground.at("more").locator("summary").click()
    playground.at("seed").fill("8")
    playground.at("seed").press("Enter")
    playground.expect_phase("ready")
    assert playground.words() == ["gru 5 2 counter rate 0.01 seed 8"]
    assert train_to_first_entry(playground) != first


def test_sentence_and_settings_are_in_the_address(playground: Playground) -> None:
    playground.open()
    for name, value in (("cell", "peephole"), ("neurons", "3"), ("layers", "2"), ("task", "copy")):
        playground.at(name).select_option(value)
        playground.expect_phase("ready")
    assert playground.words() == ["peephole 3 2 copy"]
    expect(playground.at("canvas")).to_be_visible()
    playground.at("layer").select_option("layer1")
    expect(playground.at("layer")).to_have_value("layer1")
    playground.at("more").locator("summary").click()
    playground.at("rate").fill("2")
    playground.at("rate").press("Enter")
    expect(playground.at("wrong")).to_have_text(
        "learning rate: expected a positive number up to 1, got “2”. Change it."
    )
    playground.at("rate").fill("0.5")
    playground.at("rate").press("Enter")
    expect(playground.at("wrong")).to_have_count(0)
    assert playground.words() == ["peephole 3 2 copy rate 0.5"]
    playground.page.go_back()
    expect(playground.at("rate")).to_have_value("")


def test_wrong_link_says_so_and_shows_the_first_experiment(playground: Playground) -> None:
    playground.open("lstm+1000+1+counter")
    expect(playground.at("problem")).to_contain_text("got “lstm 1000 1 counter”. The first experiment is shown.")
    expect(playground.at("neurons")).to_have_value("10")


def test_slider_shows_earlier_weights(playground: Playground) -> None:
    playground.open("elman+3+1+copy")
    train_to_first_entry(playground)
    playground.at("train").click()
    expect(playground.at("score")).to_contain_text("score")
    expect(playground.at("score")).not_to_contain_text("no score yet")
    playground.at("train").click()
    playground.expect_phase("paused")
    steps = playground.steps()
    slider = playground.page.get_by_test_id("curve-slider")
    slider.press("Home")
    expect(playground.at("canvas")).to_have_attribute("data-step", "0")
    expect(playground.at("score")).to_contain_text("no score yet")
    slider.press("End")
    expect(playground.at("score")).not_to_contain_text("no score yet")
    playground.at("step").click()
    expect(playground.at("canvas")).to_have_attribute("data-step", str(steps + 1))


def test_keys_train_and_step(playground: Playground) -> None:
    playground.open()
    playground.page.locator("main").focus()
    playground.page.keyboard.press(".")
    expect(playground.at("state")).to_contain_text("1 update of")
    playground.page.keyboard.press(" ")
    playground.expect_phase("training")
    playground.page.keyboard.press(" ")
    playground.expect_phase("paused")


def test_divergence_is_reported(playground: Playground) -> None:
    playground.open("elman+64+2+copy+rate+1+clip+1000")
    playground.at("train").click()
    expect(playground.at("problem")).to_contain_text("Try a smaller learning rate than 1.", timeout=4 * MILLISECONDS)
    playground.expect_phase("failed")
    playground.at("again").click()
    playground.expect_phase("ready")
    expect(playground.at("problem")).to_have_count(0)


def test_training_ends_and_shows_the_best_weights(playground: Playground) -> None:
    playground.open("elman+2+1+copy+batch+1")
    playground.at("train").click()
    expect(playground.at("state")).to_contain_text("Finished after 2,000 updates", timeout=4 * MILLISECONDS)
    expect(playground.at("train")).to_be_disabled()
    slider = playground.page.get_by_test_id("curve-slider")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("the best weights"))


def test_pasted_text_is_learned(playground: Playground) -> None:
    playground.page.goto(f"{playground.address}/?view=playground&experiment=lstm+10+1+text")
    playground.expect_phase("empty")
    playground.at("paste").fill("too short")
    expect(playground.at("problem")).to_contain_text("Text: expected 60 to 100000 characters, got 9.")
    playground.at("paste").fill("the cat sat on the mat. " * 40)
    playground.expect_phase("ready")
    playground.at("train").click()
    expect(playground.at("score")).to_contain_text("nats per symbol on the test part", timeout=4 * MILLISECONDS)
    playground.at("train").click()
    playground.page.reload()
    playground.expect_phase("ready")


def test_landing_page_leads_to_the_playground(playground: Playground) -> None:
    playground.page.goto(playground.address)
    playground.page.get_by_test_id("new-network").click()
    playground.expect_phase("ready")
    playground.page.get_by_test_id("language").click()
    expect(playground.page).to_have_title("新网络 · gatescope")
    expect(playground.at("train")).to_contain_text("训练")


@pytest.mark.parametrize("phase", ["ready", "failed"])
def test_axe_finds_nothing_serious_in_the_playground(view: View, phase: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; scripts/test-web installs it")
    playground = Playground(view.page, view.address)
    playground.open("lstm+1000+2+counter" if phase == "failed" else "lstm+10+2+counter")
    playground.at("more").locator("summary").click()
    view.page.wait_for_load_state("networkidle")
    view.page.evaluate(AXE.read_text(encoding="utf-8"))
    check(view, f"playground, {phase}")
    view.page.emulate_media(color_scheme="dark")
    check(view, f"playground, {phase}, dark", runOnly=["color-contrast"])


def test_files_of_the_playground_are_small() -> None:
    assert sum(len(playground_file(name)) for name in FILES) < 300_000
