"""Gradients and paths of weights in a live file: computed in the browser, without a connection, as Python does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from gatescope import Run
from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from gatescope.sources import sequences_of
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.horizon import influence
from tests.web.looking import View, eventually
from tests.web.test_horizon import TEXT, cell, colour, jacobians_of_run, loop_norm, move_pointer_away
from tests.web.test_lesson import contributions_by_step, shown


@pytest.fixture
def open_live(page: Page, runs: Path, tmp_path: Path) -> Callable[..., View]:
    """Return a function that opens a view of a run's live file, without a connection."""
    page.context.set_offline(True)

    def open_view(run: str, view: str, text: str, **query: Any) -> View:
        path = tmp_path / f"{run}.html"
        write_live_file(live_run(Run(runs / run), LiveOptions()), path)
        pairs = {"view": view, "run": run, "text": text, **query}
        page.goto(f"{path.as_uri()}?" + "&".join(f"{name}={value}" for name, value in pairs.items()))
        return View(page, path.as_uri(), runs)

    return open_view


@pytest.mark.parametrize("run", ["counter", "slstm"])
def test_map_and_chain_of_a_live_file(open_live: Callable[..., View], run: str) -> None:
    view = open_live(run, "gradient", TEXT, neuron=3)
    expect(view.at("gradient-page")).to_be_visible()
    move_pointer_away(view)
    jacobians, legend = jacobians_of_run(view, run), view.legend()

    def check() -> None:
        for before, after in ((0, 0), (0, 1), (2, 5), (0, len(TEXT) - 1)):
            log = np.log10(loop_norm(jacobians, after, before))
            np.testing.assert_allclose(colour(view, before, after), legend.colour(max(log, legend.low)), atol=3)

    eventually(check)
    state = jacobians.states[0]
    view.at("pair-map").click(position=cell(view, 1, 5))
    rows = view.at("chain-row")
    expect(rows).to_have_count(4)
    factors = [float(value) for value in rows.evaluate_all("(all) => all.map((one) => one.dataset.factor)")]
    np.testing.assert_allclose(factors, jacobians.bypass[state, state].numpy()[2:6, 3])


@pytest.mark.parametrize("by", ["gradient", "change"])
def test_connections_of_a_live_file(open_live: Callable[..., View], by: str) -> None:
    view = open_live("counter", "gradient", TEXT, by=by)
    network = Run(view.runs / "counter").network()[0]
    (ids,) = sequences_of(network, TEXT)
    character = 5  # predicted after step 4
    if by == "gradient":
        expected = saliency(network, ids, [character - 1]).inputs[0].max()
    else:
        divergence = influence(network, ids).divergence
        expected = max(divergence[s, character - 1 - s] for s in range(character))
    view.at("connections").locator("[data-step]").nth(character).hover()

    def check() -> None:
        largest = view.at("connected-scale").get_attribute("data-high")
        assert float(largest or "nan") == pytest.approx(expected, rel=1e-5)

    eventually(check)


def test_weight_paths_of_a_live_file(open_live: Callable[..., View]) -> None:
    view = open_live("counter", "lesson", "aaXbb", neuron=2, source=1, step=2)
    steps = contributions_by_step(view, "counter", "aaXb", "layers.0.recurrent_weights.f", 2, 1)

    def check() -> None:
        assert shown(view, "lesson-sum") == pytest.approx(steps[::-1], rel=1e-9, abs=1e-15)

    eventually(check)
    total = sum(steps)
    assert shown(view, "lesson-total") == pytest.approx([total], rel=1e-9, abs=1e-15)
    assert shown(view, "lesson-autograd") == pytest.approx([total], rel=1e-7, abs=1e-12)
    expect(view.page.get_by_text("finite differences give")).to_be_visible()
