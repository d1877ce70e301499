"""What the network writes behind the text, its branches, the list of words, and changed words and numbers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Position, expect

from gatescope import Choice, Run, Settings, clamp, configure, create_run, record, sample
from gatescope.generator import Generator
from gatescope.network import Network
from gatescope.tasks import TASKS
from gatescope.vocabulary import Vocabulary
from tests.web.hosts import HOSTS, address_of, live_address
from tests.web.looking import eventually
from tests.web.test_diagram import own
from tests.web.test_holds import HeldView
from tests.web.watching import watched_page

TEXT = "aaaaaaX"
GREEDY = {"length": 40, "choice": Choice(greedy=True), "stop": "\n"}
CELLS = ("lstm", "gru", "peephole", "slstm")


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> HeldView:
    """Open the counter on the local server, and in a live file."""
    return HeldView(page, address_of(request.param, start_server, runs, tmp_path), runs)


def written(network: Network, prime: str, **settings: Any) -> str:
    """Return what Python writes."""
    return "".join(sample(network, prime, **{**GREEDY, **settings}))


def expect_written(view: HeldView, text: str) -> None:
    """Wait for a text behind the text on the page."""
    eventually(lambda: _equal(view.at("written").text_content(), text))


def _equal(shown: str | None, expected: str) -> None:
    assert shown == expected


def expect_address(view: HeldView, part: str) -> None:
    """Wait for a part of the address."""
    expect(view.page).to_have_url(re.compile(re.escape(part)))


def log_probability(network: Network, text: str, step: int) -> float:
    """Return the log-probability of the symbol after a step."""
    return float(record(network, text).steps["log_probability"][0, step])


def test_text_is_written_when_it_pauses(shown: HeldView) -> None:
    network = shown.network()
    shown.held(TEXT)
    expect_written(shown, written(network, TEXT))
    steps = len(written(network, TEXT))
    expect(shown.at("strips-canvas")).to_have_attribute("data-written", str(steps))
    shown.at("text-box").fill("aaX")
    expect_written(shown, written(network, "aaX"))
    shown.at("text-box").fill("")
    expect_written(shown, written(network, ""))


def test_switch_is_remembered_and_stands_in_the_address(shown: HeldView) -> None:
    shown.held(TEXT)
    expect(shown.at("written")).to_have_count(1)
    shown.at("write").click()
    shown.at("write-on").uncheck()
    expect(shown.at("written")).to_have_count(0)
    expect_address(shown, "write=0")
    shown.held("aaX")
    expect(shown.at("strips-canvas")).to_have_attribute("data-steps", "3")
    expect(shown.at("written")).to_have_count(0)
    shown.at("strips").focus()
    shown.page.keyboard.press("w")
    expect_written(shown, written(shown.network(), "aaX"))


def test_settings_stand_in_the_address_and_back_undoes_them(shown: HeldView) -> None:
    network = shown.network()
    shown.held(TEXT)
    shown.at("write").click()
    shown.at("write-temperature-1").click()
    shown.at("write-again").click()
    shown.at("write-length").fill("12")
    shown.at("write-length").press("Enter")
    drawn = written(network, TEXT, choice=Choice(temperature=1.0), seed=1, length=12)
    expect_written(shown, drawn)
    for part in ("write=12", "temperature=1", "seed=1"):
        expect_address(shown, part)
    shown.page.reload()
    expect_written(shown, drawn)
    shown.page.go_back()
    expect_written(shown, written(network, TEXT, choice=Choice(temperature=1.0), seed=1))


def test_tab_takes_what_the_network_wrote(shown: HeldView) -> None:
    text = written(shown.network(), TEXT)
    shown.held(TEXT)
    expect_written(shown, text)
    box = shown.at("text-box")
    box.focus()
    shown.page.keyboard.press("Control+End")
    expect(shown.at("write-offer")).to_contain_text("Tab takes it")
    shown.page.keyboard.press("Tab")
    expect(box).to_have_value(TEXT + text)
    expect(box).to_be_focused()
    shown.page.keyboard.press("Escape")
    shown.page.keyboard.press("Tab")
    expect(box).not_to_be_focused()
    shown.page.go_back()
    expect(box).to_have_value(TEXT)


def test_tab_passes_through_an_untouched_text(shown: HeldView) -> None:
    """Nobody who only goes on to the next control takes anything, and Shift with Tab always leaves."""
    shown.held(TEXT)
    expect(shown.at("written")).not_to_be_empty()
    box = shown.at("text-box")
    box.focus()
    shown.page.keyboard.press("Tab")
    expect(box).not_to_be_focused()
    expect(box).to_have_value(TEXT)


def test_alt_right_takes_the_most_probable_symbol(shown: HeldView) -> None:
    text = written(shown.network(), TEXT)
    shown.held(TEXT)
    expect_written(shown, text)
    shown.at("text-box").focus()
    shown.page.keyboard.press("Control+End")
    for count in (1, 2, 3):
        shown.page.keyboard.press("Alt+ArrowRight")
        expect(shown.at("text-box")).to_have_value(TEXT + text[:count])


def test_panel_branches_at_a_predicted_symbol(shown: HeldView) -> None:
    network = shown.network()
    shown.held(TEXT)
    expect(shown.at("written")).not_to_be_empty()
    shown.click(0, 3)
    shown.at("prediction-choose").nth(1).click()
    branch = shown.at("branch")
    expect(branch).to_have_count(1)
    symbol = record(network, TEXT).vocabulary.symbols[int(record(network, TEXT).steps["top_token"][0, 3, 1])]
    expect_address(shown, f"branch=3%3A{symbol}")
    nats = log_probability(network, TEXT[:4] + symbol, 3)
    shown_nats = branch.locator(".what").inner_text().replace("−", "-")
    assert float(re.findall(r"-?\d+\.\d+", shown_nats)[0]) == pytest.approx(nats, abs=6e-4)
    after = written(network, TEXT[:4] + symbol).replace("\n", "⏎")
    expect(shown.at("branch-about")).to_contain_text(f"The network then writes {symbol}{after};")
    shown.page.reload()
    expect(shown.at("branch-about")).to_contain_text(f"The network then writes {symbol}{after};")
    shown.at("branch-take").click()
    expect(shown.at("text-box")).to_have_value(TEXT[:4] + symbol + written(network, TEXT[:4] + symbol))
    expect(shown.at("branch")).to_have_count(0)
    shown.page.go_back()
    expect(shown.at("branch")).to_have_count(1)
    shown.at("branch-remove").click()
    expect(shown.at("branch")).to_have_count(0)
    shown.page.go_back()
    expect(shown.at("branch")).to_have_count(1)


def test_branch_begins_in_what_the_network_wrote(shown: HeldView) -> None:
    network = shown.network()
    text = written(network, TEXT)
    shown.held(TEXT, branch=[f"{len(TEXT) + 1}:a", "2:X"])
    expect(shown.at("branch")).to_have_count(2)
    prime = TEXT + text[:2] + "a"
    after = written(network, prime).replace("\n", "⏎")
    expect(shown.at("branch-about").first).to_contain_text(f"The network then writes a{after};")


def test_bar_under_the_text_branches(shown: HeldView) -> None:
    """A click on the bar of the likeliest symbol that does not come next begins a branch with it."""
    network = shown.network()
    trace = record(network, TEXT)
    symbols = np.array(network.configuration.vocabulary.symbols)
    probabilities = trace.steps["top_probability"][0, :-1]
    is_next = symbols[trace.steps["top_token"][0, :-1]] == np.array(list(TEXT[1:]))[:, None]
    step, rank = np.unravel_index(np.argmax(np.where(is_next, 0, probabilities)), probabilities.shape)
    shown.held(TEXT)
    expect(shown.at("written")).not_to_be_empty()
    layout = shown.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    y, height = map(float, layout["predictions"].split("+"))
    bars = [round(float(probability) * height) for probability in probabilities[step]]
    assert bars[rank] >= 3
    at: Position = {
        "x": int(layout["label"]) + (int(step) + 0.5) * int(layout["cell"]),
        "y": y + height - sum(bars[:rank]) - bars[rank] / 2,
    }
    shown.at("strips-canvas").click(position=at)
    expect(shown.at("branch")).to_have_count(1)


def test_list_of_lines_has_the_probabilities_of_python(shown: HeldView) -> None:
    network = shown.network()
    shown.held(TEXT)
    expect(shown.at("written")).not_to_be_empty()
    shown.at("text-box").focus()
    shown.page.keyboard.press("Control+End")
    shown.page.keyboard.press("Control+Space")
    shown.at("complete-line").click()
    items = shown.at("completion")
    expect(items.first).to_contain_text("⏎")
    best = written(network, TEXT)
    expect(items.first.locator(".what")).to_have_text(best.replace("\n", "⏎"))
    losses = record(network, TEXT + best).steps["log_probability"][0]
    probability = float(np.exp(losses[len(TEXT) - 1 : len(TEXT) - 1 + len(best)].sum()))
    share = float(re.findall(r"[\d.]+", items.first.locator(".how").inner_text())[0])
    assert share == pytest.approx(100 * probability, abs=0.51)
    shown.page.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_have_attribute("aria-selected", "true")
    shown.page.keyboard.press("Escape")
    expect(shown.at("completions")).to_have_count(0)
    expect(shown.at("text-box")).to_be_focused()
    shown.page.keyboard.press("Control+Space")
    expect(items.first).to_be_visible()
    chosen = items.first.locator(".what").inner_text().replace("⏎", "\n").removesuffix("…")
    shown.page.keyboard.press("Enter")
    expect(shown.at("text-box")).to_have_value(TEXT + chosen)


def test_phone_takes_and_lists_by_touch(browser: Browser, start_server: Callable[[Path], str], runs: Path) -> None:
    address = start_server(runs)
    with watched_page(browser, {address}, phone=True) as page:
        view = HeldView(page, address, runs)
        view.held(TEXT)
        text = written(view.network(), TEXT)
        expect_written(view, text)
        layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
        column = int(layout["label"]) + (len(TEXT) + 1.5) * int(layout["cell"])
        view.at("strips-canvas").tap(position={"x": column, "y": 28})
        expect(view.at("text-box")).to_have_value(TEXT + text[:2])
        view.at("write").tap()
        view.at("complete-open").tap()
        view.at("completion").first.tap()
        expect(view.at("completions")).to_have_count(0)
        expect(view.at("text-box")).not_to_have_value(TEXT + text[:2])


def noisy_run(path: Path, cell: Any, number: int, vocabulary: Vocabulary | None = None) -> Network:
    """Write a run whose predictions are neither sure nor equal, by default of the symbols of the counter."""
    task = TASKS["counter"]()
    configuration = configure(vocabulary or task.vocabulary, cell, [7])
    network = Network(configuration, number)
    weights = {
        name: values + 0.5 * values.new_tensor(Generator(number, name).normals(values.numel())).reshape(values.shape)
        for name, values in network.state_dict().items()
    }
    create_run(path, task, configuration, Settings(1)).save_weights(weights, 0)
    return Run(path).network()[0]


def test_every_cell_writes_as_in_python(page: Page, start_server: Callable[[Path], str], tmp_path: Path) -> None:
    networks = {name: noisy_run(tmp_path / name, name, k) for k, name in enumerate(CELLS)}
    networks["own"] = noisy_run(tmp_path / "own", own, 9)
    view = HeldView(page, start_server(tmp_path), tmp_path)
    for name, network in networks.items():
        for temperature, seed in ((0, 0), (1, 5)):
            view.held("aXbaa", run=name, write=30, temperature=temperature, seed=seed)
            choice = Choice(greedy=True) if temperature == 0 else Choice(temperature=1.0)
            expect_written(view, written(network, "aXbaa", length=30, choice=choice, seed=seed))
        hold = clamp("layer0", "h", 2, 0.9, steps=slice(2, None))
        view.held("aXbaa", run=name, write=30, temperature=1, seed=5, hold="0.2.h.0.9.2-")
        held = written(network, "aXbaa", length=30, choice=Choice(temperature=1.0), seed=5, interventions=[hold])
        expect_written(view, held)


def test_changed_word_changes_the_class(page: Page, start_server: Callable[[Path], str], kinds: Path) -> None:
    view = HeldView(page, start_server(kinds), kinds)
    text = "this is a good day"
    view.open(view="network", run="opinion", text=text)
    view.click(0, 3)
    view.at("what-if-try").click()
    expect(view.at("what-if-note")).to_contain_text("In place of “good”")
    network = view.network("opinion")
    symbols = network.configuration.vocabulary.symbols

    def probabilities(word: str) -> np.ndarray:
        trace = record(network, text.replace("good", word) + "\n")
        values = np.empty(len(network.configuration.readout.names))
        values[trace.steps["top_token"][0, -1]] = trace.steps["top_probability"][0, -1]
        return values

    marks = (network.configuration.vocabulary.end, network.configuration.vocabulary.other, "good")
    present = int(probabilities("good").argmax())
    others = {word: float(probabilities(word)[present]) for word in symbols if word not in marks}
    worst = min(others, key=lambda word: others[word])
    first = view.at("what-if-word").first
    expect(first).to_have_text(worst)
    first.click()
    expect(view.at("text-box")).to_have_value(text.replace("good", worst))
    view.page.go_back()
    expect(view.at("text-box")).to_have_value(text)


def test_dragged_point_changes_the_forecast(
    page: Page, start_server: Callable[[Path], str], kinds: Path, tmp_path: Path
) -> None:
    for address in (start_server(kinds), live_address(kinds / "forecast", tmp_path)):
        view = HeldView(page, address, kinds)
        view.open(view="network", run="forecast", neuron=0, step=20)
        text = view.at("text-box").input_value()
        before = view.at("predictions").inner_text()
        handle = view.at("series-handle").first
        box = handle.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 13, box["y"] + 13)
        page.mouse.down()
        page.mouse.move(box["x"] + 13, box["y"] - 12, steps=3)
        page.mouse.up()
        expect(view.at("predictions")).not_to_have_text(before, use_inner_text=True)
        changed = view.at("text-box").input_value()
        lines = [
            k for k, pair in enumerate(zip(text.split("\n"), changed.split("\n"), strict=True)) if len({*pair}) > 1
        ]
        assert lines == [20]
        value = float(changed.split("\n")[20].split(",")[0])
        eventually(lambda handle=handle, value=value: _at(handle, value))
        handle.focus()
        page.keyboard.press("ArrowDown")
        eventually(lambda handle=handle, value=value: _below(handle, value))
        page.go_back()
        expect(view.at("text-box")).to_have_value(text)


def _at(handle: Locator, value: float) -> None:
    assert float(handle.get_attribute("aria-valuenow") or "nan") == pytest.approx(value, rel=1e-6)


def _below(handle: Locator, bound: float) -> None:
    assert float(handle.get_attribute("aria-valuenow") or "nan") < bound
