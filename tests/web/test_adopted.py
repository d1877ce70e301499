"""What the page says of adopted networks, and its formulas where a network starts from states of its own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from gatescope import TASKS, Configuration, Network, Run, Settings, configure, create_run, record
from gatescope.head import HiddenLayer
from gatescope.runs import HISTORY
from gatescope.tasks.adopted import Adopted
from tests.web.looking import View, expect_formula, formula

TEXT = "aaXbb"
NOTES = ["The file names no end mark; a line end was taken.", "A dropout of 0.3 acts in training only."]
VOCABULARY = TASKS["counter"]().vocabulary
SCORE = {"solved": None, "text": "1.912 nats per symbol"}


def adopt(folder: Path, configuration: Configuration, notes: list[str], value: float = 0.9) -> None:
    """Create a run like those of `gatescope adopt`, with its loss and the unigram baseline of 1.055 nats."""
    run = create_run(folder, Adopted(VOCABULARY, "model.pt", TEXT, notes), configuration, Settings(1))
    network = Network(configuration, seed=3)
    weights = network.state_dict()
    generator = torch.Generator().manual_seed(5)
    for name in weights:
        if name.startswith("initial."):
            weights[name] = torch.randn(weights[name].shape, generator=generator)
    run.save_weights(weights, 0)
    run.append(
        HISTORY, {"step": 0, "event": "end", "reason": "adopted", "score": {"value": value, "chance": 1.055, **SCORE}}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adopted")
    lstm, gru = configure(VOCABULARY, "lstm", (4,)), configure(VOCABULARY, "gru", (3,), both_ways=True)
    adopt(folder / "good", lstm, NOTES)
    adopt(folder / "worse", lstm, [], value=1.912)
    adopt(folder / "initial", replace(lstm, layers=tuple(replace(layer, initial=True) for layer in lstm.layers)), [])
    adopt(folder / "both", replace(gru, layers=tuple(replace(layer, initial=True) for layer in gru.layers)), [])
    backward = tuple(replace(layer, reverse=True, stacked=True) for layer in lstm.layers)
    adopt(folder / "backward", replace(lstm, layers=backward), [])
    adopt(folder / "head", replace(lstm, hidden=(HiddenLayer(5, "tanh"),)), [])
    adopt(folder / "mingru", configure(VOCABULARY, "mingru", (3,)), [])
    create_run(folder / "begun", TASKS["counter"](), lstm, Settings(10))
    shutil.copytree(folder / "good", folder / "newer")
    content = json.loads((folder / "newer" / "network.json").read_text())
    (folder / "newer" / "network.json").write_text(json.dumps(content | {"format": 99}))
    return folder


@pytest.fixture
def view(page: Page, start_server: Callable[[Path], str], folder: Path) -> View:
    return View(page, start_server(folder), folder)


def test_notes_of_an_adoption_are_on_its_card_and_page(view: View) -> None:
    view.open()
    good = view.page.locator('[data-run="good"]')
    expect(good.get_by_test_id("card-notes")).to_contain_text(NOTES[0])
    expect(good.get_by_test_id("card-baseline")).to_be_hidden()
    expect(view.page.locator('[data-run="head"]').get_by_test_id("card-notes")).to_be_hidden()
    view.open(view="network", run="good", text=TEXT)
    view.unfold("facts-details")
    for note in NOTES:
        expect(view.at("facts-notes")).to_contain_text(note)


def test_loss_above_the_baseline_is_a_warning(view: View) -> None:
    view.open()
    expect(view.page.locator('[data-run="worse"]').get_by_test_id("card-baseline")).to_contain_text("1.055 nats")
    view.open(view="network", run="worse", text=TEXT)
    expect(view.at("facts-baseline")).to_contain_text("predicts worse (1.912 nats)")
    view.open(view="network", run="good", text=TEXT)
    expect(view.at("facts-baseline")).to_be_hidden()


def test_run_that_has_not_begun_is_not_started(view: View) -> None:
    view.open()
    begun = view.page.locator('[data-run="begun"]')
    expect(begun).to_contain_text("not started")
    expect(begun).not_to_contain_text("stopped early")
    view.page.goto(f"{view.address}/?view=network&run=begun")
    expect(view.page.get_by_text("learned nothing yet")).to_be_visible()


def test_run_of_a_newer_version_says_so_on_its_card_and_page(view: View) -> None:
    view.open()
    expect(view.page.locator('[data-run="newer"]')).to_contain_text(re.compile("got 99.*newer gatescope"))
    for page_of in ("network", "neuron", "health", "gradient", "lesson"):
        view.page.goto(f"{view.address}/?view={page_of}&run=newer")
        expect(view.at("error-note")).to_contain_text(re.compile("got 99.*newer gatescope"))


@pytest.mark.parametrize(
    ("run", "layer", "step"),
    [
        ("initial", "layer0", 0),
        ("both", "layer0", 0),
        ("both", "layer0_reverse", 4),
        ("backward", "layer0_reverse", 4),
        ("head", "layer0", 0),
    ],
)
def test_first_step_is_worked_out_from_the_initial_state(view: View, run: str, layer: str, step: int) -> None:
    """The values of the formulas equal the recorded ones, also the recurrent part of the first step."""
    view.open(view="network", run=run, text=TEXT, layer=layer, neuron=1, step=step)
    trace = record(Run(view.runs / run).network()[0], TEXT)
    for name, value in view.panel().items():
        assert value == pytest.approx(float(trace[layer][name][0, step, 1]), abs=1e-6)
    expect(view.at("neuron-panel")).not_to_contain_text("but recorded was")
    state = "c" if run != "both" else "h"
    before = float(trace.initial[layer][state][0, 1])
    assert (before != 0) == (run in ("initial", "both"))
    shown = f"{abs(before):.3f}"
    expect_formula(view.at(f"panel-filled-{state}"), f"−{shown}" if before < 0 else shown)
    view.page.locator("summary").filter(has_text="what x.").click()
    row = view.page.locator("tr").filter(has_text=f"{state}{'₊₁' if 'reverse' in layer else '₋₁'}")
    words = "the initial state of the network" if before else "0 where"
    assert words in (row.get_attribute("title") or "")


def test_network_that_reads_from_the_end_alone_says_so(view: View) -> None:
    view.open(view="network", run="backward", text=TEXT)
    expect(view.page.get_by_test_id("facts")).to_contain_text("1 layer of 4 neurons, read from the end")


def test_formula_of_a_single_number_is_printed_once(view: View) -> None:
    """The candidate of a minGRU is its drive: n = x.n, and then its value, once."""
    view.open(view="network", run="mingru", text=TEXT, neuron=1, step=2)
    view.at("signal-line-n").hover()
    expect_formula(view.at("panel-again-n"), "=")
    expect(view.at("panel-filled-n")).to_have_count(0)
    assert formula(view.at("worked-n")).count("= ") == 2
    view.at("signal-line-z").hover()
    expect(view.at("panel-filled-z")).to_have_count(1)


def test_health_and_gradients_leave_the_run_as_it_is(view: View) -> None:
    def files() -> list[Path]:
        return sorted(view.runs.rglob("*"))

    before = files()
    view.page.goto(f"{view.address}/?view=health&run=good")
    expect(view.at("health")).to_be_visible()
    for run in ("initial", "head"):
        view.page.goto(f"{view.address}/?view=gradient&run={run}&text={TEXT}&pair=0-3")
        expect(view.page.get_by_text("Factor by factor")).to_be_visible()
        expect(view.at("gradient-problem")).to_be_hidden()
    assert files() == before
