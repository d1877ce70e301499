"""The page about gradients: the map, its texts, chains, checkpoints and the address."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, Position, expect

from gatescope import TASKS, Run, Settings, configure, create_run, train
from gatescope.sources import sequences_of
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.gradients.jacobians import Jacobians, jacobians_of
from gatescope.studies.horizon import influence
from tests.web.looking import SNAPSHOT, View, eventually, expect_formula, pixels

TEXT = "aaaXbbb"


def jacobians_of_run(view: View, run: str, text: str = TEXT, checkpoint: int | None = None) -> Jacobians:
    return jacobians_of(Run(view.runs / run).network(checkpoint)[0], text)


def loop_norm(jacobians: Jacobians, after: int, before: int) -> float:
    """Return the norm of the product of the Jacobians, multiplied one after the other."""
    product = np.eye(jacobians.width)
    for matrix in jacobians.whole()[before + 1 : after + 1]:
        product = matrix @ product
    return float(np.linalg.norm(product))


def open_map(view: View, run: str = "counter", text: str = TEXT, **query: Any) -> None:
    """Open the page, and wait for the map."""
    view.page.goto(f"{view.address}/?" + "&".join(_pairs(view="gradient", run=run, text=text, **query)))
    expect(view.at("gradient-page")).to_be_visible()


def _pairs(**query: Any) -> list[str]:
    return [f"{name}={value}" for name, value in query.items()]


def cell(view: View, before: int, after: int) -> Position:
    """Return the middle of a cell of the map."""
    layout = view.at("pair-map").evaluate("(canvas) => ({ ...canvas.dataset })")
    left, top, size = (int(layout[name]) for name in ("left", "top", "cell"))
    return {"x": left + (before + 0.5) * size, "y": top + (after + 0.5) * size}


def colour(view: View, before: int, after: int) -> np.ndarray:
    """Return the colour of a cell of the map."""
    position = cell(view, before, after)
    return pixels(view.at("pair-map").evaluate(SNAPSHOT))[int(position["y"]), int(position["x"])]


def move_pointer_away(view: View) -> None:
    view.page.mouse.move(1, 1)


@pytest.mark.parametrize("run", ["counter", "slstm"])
def test_map_cells_have_the_colours_of_their_norms(view: View, run: str) -> None:
    open_map(view, run)
    move_pointer_away(view)
    jacobians, legend = jacobians_of_run(view, run), view.legend()
    paper = np.array(view.variable("--bg"))

    def check() -> None:
        for after in range(len(TEXT)):
            for before in range(len(TEXT)):
                painted = colour(view, before, after)
                if before > after:
                    np.testing.assert_allclose(painted, paper, atol=1)
                else:
                    log = np.log10(loop_norm(jacobians, after, before))
                    assert legend.low - 1 < log < legend.high
                    np.testing.assert_allclose(painted, legend.colour(max(log, legend.low)), atol=3)

    eventually(check)


@pytest.fixture
def shrinking(page: Page, start_server: Callable[[Path], str], tmp_path: Path) -> View:
    """Open a run whose states shrink to a tenth in each step: U is I / 10, and the slope of tanh is at most 1."""
    task = TASKS["copy"]()
    settings = Settings.recommended(task, steps=1)
    run = create_run(tmp_path / "runs" / "shrinking", task, configure(task.vocabulary, "elman", [6]), settings)
    train(run)
    weights = run.network()[0].state_dict()
    weights["layers.0.recurrent_weights"][:] = torch.eye(6) / 10
    run.save_weights(weights, 1)
    return View(page, start_server(tmp_path / "runs"), tmp_path / "runs")


def test_vanished_gradients_have_the_palest_colour(shrinking: View) -> None:
    view, text = shrinking, "abc" * 16
    open_map(view, "shrinking", text)
    move_pointer_away(view)
    jacobians, legend = jacobians_of_run(view, "shrinking", text), view.legend()
    norms = np.array([loop_norm(jacobians, after, 0) for after in range(len(text))])
    assert (norms <= np.sqrt(6) * 0.1 ** np.arange(len(text))).all()
    vanished = [int(after) for after in np.flatnonzero(np.log10(norms) < legend.low - 0.2)]
    assert vanished

    def check() -> None:
        for after in vanished:
            np.testing.assert_allclose(colour(view, 0, after), legend.stops[0], atol=1)

    eventually(check)


def test_pointer_over_a_map_cell_shows_its_numbers(view: View) -> None:
    open_map(view)
    view.at("pair-map").hover(position=cell(view, 1, 4))
    jacobians = jacobians_of_run(view, "counter")
    norm, own = loop_norm(jacobians, 4, 1), loop_norm(jacobians, 1, 1)
    pair_text = view.at("pair-text")
    expect(pair_text).to_contain_text("“a” at step 1 → “b” at step 4 · distance 3")
    number = float(re.search(r"norm ([\d.]+)", pair_text.inner_text()).group(1))  # type: ignore[union-attr]
    assert number == pytest.approx(norm, rel=6e-3)
    share = float(re.search(r"([\d.]+) % of its value", pair_text.inner_text()).group(1))  # type: ignore[union-attr]
    assert share == pytest.approx(100 * norm / own, abs=0.6)


def test_chain_factors_multiply_to_the_product(view: View) -> None:
    open_map(view, neuron=3)
    view.at("pair-map").click(position=cell(view, 1, 5))
    expect(view.at("chain")).to_be_visible()
    rows = view.at("chain-row")
    expect(rows).to_have_count(4)
    factors = [float(value) for value in rows.evaluate_all("(all) => all.map((one) => one.dataset.factor)")]
    forget = jacobians_of_run(view, "counter").bypass["c", "c"].numpy()
    np.testing.assert_allclose(factors, forget[2:6, 3])
    product = float(view.at("chain-product").get_attribute("title") or "nan")
    assert product == pytest.approx(np.prod(factors))
    expect_formula(view.at("chain-product"), "f[5] · f[4] · f[3] · f[2] =")
    expect(rows.nth(1)).to_contain_text("X")
    view.at("chain-neuron").fill("2")
    view.at("chain-neuron").press("Enter")
    expect(rows.first).to_have_attribute("data-factor", re.compile(f"^{forget[2, 2]:.6f}"[:-1]))


def test_checkpoint_slider_shows_earlier_weights(view: View) -> None:
    open_map(view)
    move_pointer_away(view)
    view.at("pair-map").hover(position=cell(view, 0, 6))
    trained = view.at("pair-text").inner_text()
    view.at("checkpoint").fill("0")
    expect(view.at("checkpoint-name")).to_have_text("before training")
    expect(view.at("gradient-page")).to_have_attribute("data-weights", "0")
    norm = loop_norm(jacobians_of_run(view, "counter", checkpoint=0), 6, 0)
    expect(view.at("pair-text")).not_to_have_text(trained)
    shown_norm = float(re.search(r"norm ([\d.]+)", view.at("pair-text").inner_text()).group(1))  # type: ignore[union-attr]
    assert shown_norm == pytest.approx(norm, rel=6e-3)


def test_gradient_address_restores_every_choice(view: View) -> None:
    open_map(view)
    view.at("pair-map").click(position=cell(view, 2, 6))
    view.at("checkpoint").fill("0")
    view.at("of-h").click()
    view.at("by-change").click()
    move_pointer_away(view)
    expect(view.at("chain-row").first).to_have_attribute("data-step", "3")
    expect(view.at("chain")).to_contain_text("∂h6 / ∂h2")  # the chain of c is shown until that of h arrives

    def check() -> None:
        query = parse_qs(view.page.evaluate("location.search.slice(1)"))
        expected = {"pair": ["2-6"], "checkpoint": ["0"], "signal": ["h"], "by": ["change"]}
        assert {name: query.get(name) for name in expected} == expected

    eventually(check)
    before = {name: view.at(name).inner_text() for name in ("pair-text", "horizon-words", "shares", "chain")}
    view.page.reload()
    for name, text in before.items():
        expect(view.at(name)).to_have_text(text, use_inner_text=True)
    expect(view.at("by-change")).to_have_attribute("aria-pressed", "true")
    expect(view.at("of-h")).to_have_attribute("aria-pressed", "true")
    expect(view.at("checkpoint-name")).to_have_text("before training")


@pytest.mark.parametrize("by", ["gradient", "change"])
def test_connections_have_the_colours_of_their_values(view: View, by: str) -> None:
    open_map(view, by=by)
    network = Run(view.runs / "counter").network()[0]
    (ids,) = sequences_of(network, TEXT)
    character = 5  # predicted after step 4
    if by == "gradient":
        expected = saliency(network, ids, [character - 1]).inputs[0][::-1]
    else:
        divergence = influence(network, ids).divergence
        expected = np.array([divergence[s, character - 1 - s] for s in range(character)])
    spans = view.at("connections").locator("[data-step]")
    spans.nth(character).hover()
    expect(view.at("connected-text")).to_contain_text(f"“b” at step {character} was given")
    assert float(view.at("connected-scale").get_attribute("data-high") or "nan") == pytest.approx(
        expected.max(), rel=1e-5
    )
    painted = spans.evaluate_all("(all) => all.map((one) => getComputedStyle(one).backgroundColor)")
    colours = np.array([[int(part) for part in re.findall(r"\d+", style)[:3]] for style in painted[:character]])
    low, high = np.array([246, 246, 243]), np.array([27, 90, 168])  # the two ends of the printed scale
    np.testing.assert_allclose(colours, low + (expected / expected.max())[:, None] * (high - low), atol=1)
    assert all(style == "rgba(0, 0, 0, 0)" for style in painted[character:])


def test_keys_reach_every_pair_and_character(view: View) -> None:
    open_map(view)
    view.at("pair-keys").focus()
    for key in ("Home", "ArrowRight", "ArrowUp"):
        view.page.keyboard.press(key)
    expect(view.at("pair-text")).to_contain_text("“a” at step 1 → “b” at step 5")
    view.page.keyboard.press("Enter")
    expect(view.at("chain-row")).to_have_count(4)
    view.page.keyboard.press("Escape")
    expect(view.at("chain")).to_have_count(0)
    view.at("connections").focus()
    for key in ("End", "ArrowLeft"):
        view.page.keyboard.press(key)
    expect(view.at("connected-text")).to_contain_text("at step 5")
    view.page.keyboard.press("Escape")
    expect(view.at("strips")).to_be_visible()


def test_gradient_page_links_to_and_from_the_network(view: View) -> None:
    view.open(view="network", run="counter", text=TEXT)
    view.at("tab-gradient").click()
    expect(view.at("pair-map")).to_be_visible()
    view.at("tab-network").click()
    expect(view.at("strips")).to_be_visible()


def test_pair_of_two_sequences_has_no_derivative(view: View) -> None:
    open_map(view, text="aXb%0AaXb")
    view.at("pair-map").click(position=cell(view, 1, 5))
    expect(view.at("pair-text")).to_contain_text("another sequence starts between them")
    expect(view.page.get_by_text("nothing is carried over.")).to_be_visible()


def test_large_layer_is_marked_as_an_estimate(view: View) -> None:
    open_map(view, "wide", text="abX")
    expect(view.at("estimate-note")).to_contain_text("An estimate from 4 vectors")
    expect(view.at("pair-map")).to_be_visible()


def test_long_text_is_refused_and_can_be_cut(view: View) -> None:
    view.page.goto(f"{view.address}/?view=gradient&run=counter&text={'a' * 301}")
    expect(view.at("gradient-problem")).to_contain_text("The text has 301 characters")
    view.at("take-part").click()
    expect(view.at("pair-map")).to_have_attribute("data-steps", "300")


def test_empty_text_shows_a_note(view: View) -> None:
    view.page.goto(f"{view.address}/?view=gradient&run=counter&text=")
    expect(view.page.get_by_text("There is no text to read yet.")).to_be_visible()


def test_narrow_screen_fits_the_gradient_page(page: Page, view: View) -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    open_map(view, pair="1-6")
    expect(view.at("chain")).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 380
