"""The film of the training: the loss curve is the slider, and the strips have the weights of each checkpoint."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope import Run, record
from tests.web.hosts import HOSTS, address_of, live_address
from tests.web.looking import View, eventually
from tests.web.watching import watched_page

TEXT = "aaXbb\n"
NEURON, STEP = 3, 4


class Film(View):
    """The page of the training, on a server or in a file."""

    def open(self, **query: Any) -> None:
        """Follow a link, and wait until the film is loaded."""
        separator = "" if self.address.endswith(".html") else "/"
        self.page.goto(f"{self.address}{separator}?{urlencode({'view': 'learning', 'run': 'counter', **query})}")
        expect(self.at("cursor-text")).not_to_be_empty()
        expect(self.at("film-working")).to_have_count(0)

    @property
    def steps(self) -> list[int | None]:
        """The weights in their order; None: the best ones."""
        return [*Run(self.runs / "counter").checkpoints(), None]

    def value(self, step: int | None, neuron: int = NEURON) -> float:
        """Return c of a neuron with the weights of a training step."""
        trace = record(Run(self.runs / "counter").network(step)[0], TEXT)
        return float(trace["layer0"]["c"][0, STEP, neuron])

    def row_of(self, neuron: int) -> int:
        """Return the row of a neuron of the layer: below both titles and the film of one neuron."""
        return 2 + len(self.steps) + neuron


def decimals(value: float) -> str:
    """Print a number as the page does."""
    return f"{value:.3f}".replace("-", "−")


@pytest.fixture(params=HOSTS)
def film(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> Film:
    """Open the counter on the local server, and in a live file with all its checkpoints."""
    return Film(page, address_of(request.param, start_server, runs, tmp_path, checkpoints=50), runs)


def test_rows_are_the_values_of_every_checkpoint(film: Film) -> None:
    """One neuron over training, and the layer with the chosen weights."""
    step = film.steps[1]
    film.open(text=TEXT, checkpoint=step, neuron=NEURON)
    assert film.picture().rows == 2 + len(film.steps) + 10
    film.at("cell-table").locator("summary").click()
    rows = film.at("cell-table").locator("tbody tr")
    for place, one in enumerate(film.steps):
        expect(rows.nth(1 + place).locator("td").nth(STEP)).to_have_text(decimals(film.value(one)))
    expect(rows.nth(film.row_of(0)).locator("td").nth(STEP)).to_have_text(decimals(film.value(step, 0)))
    film.at("cell-table").locator("summary").click()
    film.at("strips").evaluate("(strips) => strips.scrollTo(0, 1e6)")
    film.at("strips-canvas").hover(position=film.position(film.row_of(NEURON), STEP))
    expect(film.at("cursor-text")).to_contain_text(f"cell state {decimals(film.value(step))} (after {step} steps)")


def test_slider_obeys_keys_and_says_its_value(film: Film) -> None:
    film.open(text=TEXT)
    slider = film.at("curve-slider")
    last = len(film.steps) - 1
    expect(slider).to_have_attribute("aria-valuemax", str(last))
    expect(slider).to_have_attribute("aria-valuenow", str(last))
    expect(slider).to_have_attribute("aria-valuetext", re.compile("the best weights, loss 0"))
    slider.focus()
    film.page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", str(last - 1))
    expect(film.at("checkpoint-name")).to_have_text(f"after {film.steps[-2]} steps")
    film.page.keyboard.press("Home")
    expect(film.at("checkpoint-name")).to_have_text("before training")
    film.page.keyboard.press("ArrowUp")
    film.page.keyboard.press("PageDown")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    film.page.keyboard.press("End")
    expect(film.at("checkpoint-name")).to_have_text("the best weights")


def test_slider_follows_the_mouse(film: Film) -> None:
    """A drag from the left to the right end chooses the first checkpoint, then the last one, then the best weights."""
    film.open(text=TEXT)
    box = film.at("curve-slider").locator("svg").bounding_box()
    assert box is not None
    scale, middle = box["width"] / 560, box["y"] + box["height"] / 2
    film.page.mouse.move(box["x"] + 46 * scale, middle)
    film.page.mouse.down()
    expect(film.at("checkpoint-name")).to_have_text("before training")
    film.page.mouse.move(box["x"] + 546 * scale, middle, steps=4)
    expect(film.at("checkpoint-name")).to_have_text(f"after {film.steps[-2]} steps")
    film.page.mouse.move(box["x"] + 560 * scale, middle)
    film.page.mouse.up()
    expect(film.at("checkpoint-name")).to_have_text("the best weights")


def test_keys_of_the_page_turn_the_film(film: Film) -> None:
    film.open(text=TEXT, checkpoint=film.steps[1])
    film.at("strips").focus()
    film.page.keyboard.press(",")
    expect(film.at("checkpoint-name")).to_have_text("before training")
    film.page.keyboard.press(",")
    expect(film.at("checkpoint-name")).to_have_text("before training")
    film.page.keyboard.press(".")
    expect(film.at("checkpoint-name")).to_have_text(f"after {film.steps[1]} steps")
    film.page.keyboard.press("ArrowRight")
    film.page.keyboard.press("ArrowDown")
    expect(film.at("cursor-text")).to_contain_text("neuron 1 ·")


def test_film_plays_to_its_end(film: Film) -> None:
    """With reduced motion, as the other tests have it, there are only single steps."""
    film.open(text=TEXT)
    expect(film.at("film-play")).to_have_count(0)
    film.at("film-back").click()
    expect(film.at("checkpoint-name")).to_have_text(f"after {film.steps[-2]} steps")
    film.at("film-on").click()
    expect(film.at("film-on")).to_be_disabled()
    film.page.emulate_media(reduced_motion="no-preference")
    film.at("film-play").click()
    expect(film.at("checkpoint-name")).to_have_text("before training")
    expect(film.at("film-play")).to_contain_text("pause")
    expect(film.at("checkpoint-name")).to_have_text("the best weights")
    expect(film.at("film-play")).to_contain_text("play")
    film.at("film-play").click()
    film.at("film-play").click()
    expect(film.at("film-play")).to_contain_text("play")


def test_reload_and_back_restore_the_weights(film: Film) -> None:
    film.open(text=TEXT)
    film.at("strips-canvas").click(position=film.position(1, 2))
    expect(film.at("checkpoint-name")).to_have_text("before training")
    film.page.reload()
    expect(film.at("checkpoint-name")).to_have_text("before training")
    expect(film.at("curve-slider")).to_have_attribute("aria-valuenow", "0")
    film.page.go_back()
    expect(film.at("checkpoint-name")).to_have_text("the best weights")


def test_sample_is_that_of_its_time(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    run = Run(runs / "poem")
    samples = run.read("samples.jsonl")
    view = Film(page, start_server(runs), runs)
    view.page.goto(f"{view.address}/?view=learning&run=poem&checkpoint={run.checkpoints()[-1]}")
    expect(view.at("sample")).to_have_text(str(samples[-1]["text"]), use_inner_text=True)


def test_run_without_checkpoints_says_how_to_get_them(
    page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> None:
    bare = shutil.copytree(runs / "counter", tmp_path / "runs" / "counter")
    shutil.rmtree(bare / "checkpoints")
    page.goto(f"{start_server(tmp_path / 'runs')}/?view=learning&run=counter")
    expect(page.get_by_test_id("film-none")).to_contain_text("gatescope train")
    expect(page.get_by_test_id("film")).to_have_count(0)
    address = live_address(runs / "counter", tmp_path)
    page.goto(f"{address}?view=learning&run=counter")
    expect(page.get_by_test_id("film-none")).to_contain_text("gatescope export counter FILE.html --checkpoints 12")


@pytest.fixture
def touched(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """Open a page on a phone."""
    with watched_page(browser, origins, phone=True) as page:
        yield page


def test_film_by_touch_on_a_phone(touched: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    film = Film(touched, start_server(runs), runs)
    film.open(text=TEXT)
    box = film.at("curve-slider").bounding_box()
    assert box is not None
    touched.touchscreen.tap(box["x"] + box["width"] * 0.09, box["y"] + box["height"] / 2)
    expect(film.at("checkpoint-name")).to_have_text("before training")
    film.at("film-on").tap()
    expect(film.at("checkpoint-name")).to_have_text(f"after {film.steps[1]} steps")
    film.at("strips-canvas").tap(position=film.position(1, 2))
    eventually(lambda: expect(film.at("checkpoint-name")).to_have_text("before training", timeout=500))
    assert touched.evaluate("document.documentElement.scrollWidth") <= 390
