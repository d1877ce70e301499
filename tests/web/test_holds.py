"""Signals that are held on the page, and texts that the network writes: the numbers and texts of Python."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from gatescope import Choice, Intervention, Run, clamp, record, sample
from gatescope.network import Network
from tests.web.hosts import HOSTS, address_of, live_address
from tests.web.looking import View, eventually

TEXT = "aaaaaaXbbb"
STEP = 5
NEURON = 4


class HeldView(View):
    """A page whose address has the query after it, on a server or in a file."""

    def open(self, **query: Any) -> None:
        """Follow a link, and wait until its text is drawn."""
        separator = "" if self.address.endswith(".html") else "/"
        self.page.goto(f"{self.address}{separator}?{urlencode(query, doseq=True)}")
        expect(self.at("cursor-text")).not_to_be_empty()

    def held(self, text: str = TEXT, run: str = "counter", **query: Any) -> None:
        """Open the strips of a text."""
        self.open(view="network", run=run, text=text, **query)

    def network(self, run: str = "counter") -> Network:
        """Return the network of a run."""
        return Run(self.runs / run).network()[0]

    def holds(self) -> list[str]:
        """Return the holds in the address."""
        return parse_qs(self.page.evaluate("location.search.slice(1)")).get("hold", [])


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> HeldView:
    """Open the counter on the local server, and in a live file."""
    return HeldView(page, address_of(request.param, start_server, runs, tmp_path), runs)


def check_cell(view: HeldView, network: Network, holds: list[Intervention], neuron: int, step: int) -> None:
    """Compare every signal of a neuron in the panel, and the predictions, with those of Python."""
    trace = record(network, TEXT, interventions=holds)
    view.point(neuron, step)
    expected = {name: float(trace["layer0"][name][0, step, neuron]) for name in trace["layer0"] if "." not in name}
    eventually(lambda: _check_values(view.panel(), expected))
    probability = float(trace.steps["top_probability"][0, step, 0])
    symbol = trace.vocabulary.symbols[int(trace.steps["top_token"][0, step, 0])]
    first = view.at("predictions").locator("li").first
    expect(first.locator(".what")).to_have_attribute("title", symbol)
    share = float(re.findall(r"[\d.]+", first.locator(".how").inner_text())[0])
    assert share == pytest.approx(100 * probability, abs=0.51)


def _check_values(shown: dict[str, float], expected: dict[str, float]) -> None:
    assert shown == pytest.approx(expected, rel=1e-5, abs=1e-6)


def hold(view: HeldView, signal: str, neuron: int, step: int, steps: str = "from") -> Locator:
    """Pin a cell, and open the menu of one of its signals."""
    view.click(neuron, step)
    view.at(f"signal-line-{signal}").click()
    view.at(f"hold-{signal}").click()
    view.at(f"hold-steps-{steps}").click()
    return view.at("hold-menu")


def test_held_signal_gives_the_network_of_python(shown: HeldView) -> None:
    shown.held()
    hold(shown, "c", NEURON, STEP).get_by_test_id("hold-zero").click()
    expect(shown.at("hold-chip")).to_contain_text(f"c of neuron {NEURON} held at 0 from step {STEP} on")
    expect(shown.at("hold-effect")).to_contain_text("Loss on this text")
    expect(shown.at("hold-menu")).to_have_count(0)
    network, holds = shown.network(), [clamp("layer0", "c", NEURON, 0.0, steps=slice(STEP, None))]
    shown.at("neuron-panel").get_by_text("pinned · unpin").click()
    for neuron, step in ((NEURON, STEP), (NEURON + 1, STEP + 2), (0, len(TEXT) - 1), (2, STEP - 1)):
        check_cell(shown, network, holds, neuron, step)
    assert shown.holds() == [f"0.{NEURON}.c.0.{STEP}-"]


def strongest(measure: Callable[[Intervention], int]) -> tuple[int, float, Intervention]:
    """Return the neuron and the value at which holding its c from STEP on changes most."""
    places = [(neuron, value) for neuron in range(10) for value in (-9.0, 0.0, 9.0)]
    changes = [clamp("layer0", "c", neuron, value, steps=slice(STEP, None)) for neuron, value in places]
    counts = [measure(change) for change in changes]
    best = int(np.argmax(counts))
    assert counts[best] > 1
    return *places[best], changes[best]


def test_consequence_is_that_of_python(shown: HeldView) -> None:
    network = shown.network()
    before = record(network, TEXT)

    def changed(change: Intervention) -> np.ndarray:
        after = record(network, TEXT, interventions=[change])
        return np.flatnonzero(before.steps["top_token"][0, :, 0] != after.steps["top_token"][0, :, 0])

    neuron, value, change = strongest(lambda change: len(changed(change)))
    after, steps = record(network, TEXT, interventions=[change]), changed(change)
    losses = [-float(np.nanmean(trace.steps["log_probability"][0])) for trace in (before, after)]
    shown.held(hold=f"0.{neuron}.c.{value:g}.{STEP}-")
    expect(shown.at("hold-effect")).to_contain_text(
        f"{len(steps)} predictions change their first choice, of {len(TEXT)}, from step {steps[0]} on. "
        f"Loss on this text: {losses[1] - losses[0]:+.4f} nats per symbol ({losses[0]:.4f} → {losses[1]:.4f})."
    )


def test_reload_restores_and_back_undoes_holds(shown: HeldView) -> None:
    shown.held()
    hold(shown, "f", NEURON, STEP, "step").get_by_test_id("hold-zero").click()
    expect(shown.at("hold-chip")).to_have_count(1)
    menu = hold(shown, "i", 1, STEP + 1, "all")
    menu.get_by_test_id("hold-number").fill("1.5")
    menu.get_by_test_id("hold-submit").click()
    expect(shown.at("hold-chip")).to_have_count(2)
    expect(shown.at("hold-chip").nth(1)).to_contain_text(
        "i of neuron 1 held at 1.5 over the whole text · outside of what i can be: 0 to 1"
    )
    links = [f"0.{NEURON}.f.0.{STEP}", "0.1.i.1.5.0-"]
    assert shown.holds() == links
    expect(shown.at("hold-effect")).to_contain_text("Loss")
    effect = shown.at("hold-effect").inner_text()
    shown.page.reload()
    expect(shown.at("hold-chip")).to_have_count(2)
    expect(shown.at("hold-effect")).to_have_text(effect, use_inner_text=True)
    holds = [clamp("layer0", "f", NEURON, 0.0, steps=slice(STEP, STEP + 1)), clamp("layer0", "i", 1, 1.5)]
    shown.at("neuron-panel").get_by_text("pinned · unpin").click()
    check_cell(shown, shown.network(), holds, 2, len(TEXT) - 1)
    shown.page.go_back()
    expect(shown.page).to_have_url(re.compile("step="))
    expect(shown.at("hold-chip")).to_have_count(2)
    shown.page.go_back()
    expect(shown.at("hold-chip")).to_have_count(1)
    assert shown.holds() == links[:1]
    shown.page.go_back()
    expect(shown.at("hold-chip")).to_have_count(0)
    assert shown.holds() == []


def test_keys_hold_write_and_release(shown: HeldView) -> None:
    shown.held(neuron=NEURON, step=STEP, signal="c")
    shown.at("strips").focus()
    shown.page.keyboard.press("z")
    expect(shown.at("hold-chip")).to_contain_text(f"c of neuron {NEURON} held at 0 from step {STEP} on")
    expect(shown.at("written")).not_to_be_empty()
    shown.page.keyboard.press("Backspace")
    expect(shown.at("hold-chip")).to_have_count(0)


def test_undo_takes_back_an_unpin_before_a_hold(shown: HeldView) -> None:
    shown.held(neuron=NEURON, step=STEP, signal="c")
    shown.at("strips").focus()
    shown.page.keyboard.press("z")
    expect(shown.at("hold-chip")).to_have_count(1)
    shown.page.keyboard.press("Escape")
    expect(shown.page).not_to_have_url(re.compile("step="))
    shown.page.keyboard.press("Control+z")
    expect(shown.page).to_have_url(re.compile(f"step={STEP}"))
    expect(shown.at("hold-chip")).to_have_count(1)
    shown.page.keyboard.press("Control+z")
    expect(shown.at("hold-chip")).to_have_count(0)
    expect(shown.page).to_have_url(re.compile(f"step={STEP}"))


@pytest.mark.parametrize(("temperature", "seed"), [("0", 0), ("1.3", 7)])
def test_written_text_is_that_of_python(shown: HeldView, temperature: str, seed: int) -> None:
    text = "aaaaaaX"
    shown.held(text)
    shown.at("write").click()
    shown.at("write-temperature").fill(temperature)
    shown.at("write-seed").fill(str(seed))
    shown.at("write-seed").press("Enter")
    shown.page.keyboard.press("Escape")
    choice = Choice(greedy=True) if temperature == "0" else Choice(temperature=float(temperature))
    settings = {"length": 40, "choice": choice, "seed": seed, "stop": "\n"}
    network = shown.network()
    written = "".join(sample(network, text, **settings))
    assert len(written) > 1
    eventually(lambda: _check_text(shown, written))

    def held_text(change: Intervention) -> str:
        return "".join(sample(network, text, **settings, interventions=[change]))

    neuron, value, change = strongest(lambda change: 2 * (held_text(change) != written))
    held = held_text(change)
    menu = hold(shown, "c", neuron, STEP)
    menu.get_by_test_id("hold-number").fill(f"{value:g}")
    menu.get_by_test_id("hold-submit").click()
    eventually(lambda: _check_text(shown, held))
    different = next(
        (k for k, (one, other) in enumerate(zip(written, held, strict=False)) if one != other),
        min(len(written), len(held)),
    )

    def quoted(text: str) -> str:
        shown = text[: different + 20].replace("\n", "⏎") + ("…" if len(text) > different + 20 else "")
        return f"“{shown}”" if text else "nothing"

    expect(shown.at("write-unheld")).to_have_text(
        f"After the end of the text it goes on with {quoted(held)} instead of {quoted(written)}."
    )
    shown.at("write").click()
    shown.at("write-keep").click()
    expect(shown.at("text-box")).to_have_value(text + held)
    shown.page.go_back()
    expect(shown.at("text-box")).to_have_value(text)


def _check_text(view: HeldView, written: str) -> None:
    assert view.at("written").text_content() == written


def test_holds_of_several_sequences_are_those_of_python(shown: HeldView, tmp_path: Path) -> None:
    """A hold that begins in the second sequence; the lines on the page compute the same trace."""
    text = "aaXbb\naaaXbbb\naXb\n"
    shown.held(text, hold=["0.4.c.3.8-", "0.2.i.0.7-16"])
    expect(shown.at("hold-effect")).to_contain_text("Loss on this text")
    (tmp_path / "runs").symlink_to(shown.runs)
    lines = shown.at("hold-python").text_content() or ""
    save = "import numpy; numpy.savez('held.npz', **{name: trace['layer0'][name] for name in trace['layer0']})"
    subprocess.run([sys.executable, "-c", f"{lines}\n{save}"], cwd=tmp_path, check=True)
    computed = np.load(tmp_path / "held.npz")
    changes = [
        Intervention("layer0", "c", 4, steps=slice(2, None), shift=3.0, row=1),
        Intervention("layer0", "c", 4, shift=3.0, row=2),
        Intervention("layer0", "i", 2, steps=slice(1, None), row=1),
        Intervention("layer0", "i", 2, steps=slice(0, 3), row=2),
    ]
    trace = record(shown.network(), text, interventions=changes)
    for name, values in trace["layer0"].items():
        np.testing.assert_array_equal(computed[name], values)
    parts = [trace.sequence(k)["layer0"] for k in range(3)]
    for neuron, step in ((4, 8), (5, 9), (1, 12), (4, 16), (0, 17), (3, 4)):
        shown.point(neuron, step)
        expected = {
            name: float(np.concatenate([part[name][0] for part in parts])[step, neuron])
            for name in trace["layer0"]
            if "." not in name
        }
        eventually(lambda expected=expected: _check_values(shown.panel(), expected))


def test_chinese_text_is_written_as_in_python(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = HeldView(page, start_server(runs), runs)
    view.held("床前", run="poem")
    view.at("write").click()
    view.at("write-temperature").fill("1")
    view.at("write-length").fill("25")
    view.at("write-length").press("Enter")
    written = "".join(sample(view.network("poem"), "床前", length=25, choice=Choice(temperature=1.0)))
    eventually(lambda: _check_text(view, written))
    expect(view.at("write-note")).to_contain_text("25 characters written")


@pytest.mark.parametrize(("text", "sequence"), [("aXb\naaX", "aaX"), ("aaXbb\n", ""), ("aXb\naa\n", "")])
def test_writing_continues_the_last_sequence(
    page: Page, start_server: Callable[[Path], str], runs: Path, text: str, sequence: str
) -> None:
    """After an end mark the network starts a new sequence; a hold from the last step on acts on all of it."""
    view = HeldView(page, start_server(runs), runs)
    view.held(text)
    settings = {"length": 40, "choice": Choice(greedy=True), "stop": "\n"}
    written = "".join(sample(view.network(), sequence, **settings))
    assert len(written) > 1
    eventually(lambda: _check_text(view, written))
    view.held(text, hold=f"0.0.c.-9.{len(text) - 1}-")
    first = max(0, len(sequence) - 1)
    change = clamp("layer0", "c", 0, -9.0, steps=slice(first, None))
    eventually(lambda: _check_text(view, "".join(sample(view.network(), sequence, **settings, interventions=[change]))))


def test_wrong_settings_get_one_sentence(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = HeldView(page, start_server(runs), runs)
    view.held()
    view.at("write").click()
    view.at("write-length").fill("many")
    view.at("write-length").press("Enter")
    expect(view.at("write-wrong")).to_have_text("Length: expected a whole number from 1 to 1,000. Change it.")


def test_link_with_unknown_holds_names_them(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = HeldView(page, start_server(runs), runs)
    view.held(hold=["0.99.c.0.1-", "nonsense", "0.1.c.0.2-"])
    expect(view.at("hold-chip")).to_have_count(1)
    expect(view.at("link-note").locator("li")).to_have_count(2)
    assert view.holds() == ["0.1.c.0.2-"]


def test_hold_of_classes_is_that_of_python(page: Page, start_server: Callable[[Path], str], kinds: Path) -> None:
    """The server knows the targets, the engine in the page computes the rest; one sentence says what changes."""
    view = HeldView(page, start_server(kinds), kinds)
    text = "the cat sees"
    view.open(view="network", run="opinion", text=text, hold="0.1.c.9.1-", neuron=1, step=1)
    change = clamp("layer0", "c", 1, 9.0, steps=slice(1, None))
    network = view.network("opinion")
    names = network.configuration.readout.names
    before, after = (record(network, text + "\n", interventions=holds) for holds in ([], [change]))
    tops = [names[int(trace.steps["top_token"][0, -1, 0])] for trace in (before, after)]
    shares = [100 * float(trace.steps["top_probability"][0, -1, 0]) for trace in (before, after)]
    if tops[0] == tops[1]:
        expect(view.at("hold-sentence")).to_contain_text(f"It still predicts {tops[1]}, with ")
        printed = [float(number) for number in re.findall(r"([\d.]+) %", view.at("hold-sentence").inner_text())]
        assert printed == pytest.approx([shares[1], shares[0]], abs=0.51)
    else:
        expect(view.at("hold-sentence")).to_have_text(f"Now it predicts {tops[1]} instead of {tops[0]}.")
    expect(view.page.get_by_text("signals are held")).to_be_visible()
    view.at("write").click()
    expect(view.at("write-reason")).to_contain_text("predicts classes, no next symbol")


def test_live_file_holds_signals_of_both_directions(page: Page, kinds: Path, tmp_path: Path) -> None:
    """A layer that reads from the end counts the steps of the text too."""
    address = live_address(kinds / "labels", tmp_path)
    view = HeldView(page, address, kinds)
    text = "the cat sees a dog\n"
    view.open(view="network", run="labels", text=text, layer="layer0_reverse", hold="0r.2.h.0.9.2-")
    expect(view.at("hold-chip")).to_contain_text("from step 2 on")
    change = clamp("layer0_reverse", "h", 2, 0.9, steps=slice(2, None))
    trace = record(view.network("labels"), text, interventions=[change])
    for neuron, step in ((2, 3), (3, 1), (1, 0)):
        view.point(neuron, step)
        expected = {
            name: float(values[0, step, neuron]) for name, values in trace["layer0_reverse"].items() if "." not in name
        }
        eventually(lambda expected=expected: _check_values(view.panel(), expected))
    expect(view.at("hold-effect")).to_contain_text("first choice")


def test_menu_of_holds_works_by_keyboard(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    """Escape closes the menu and nothing else; the focus is never lost."""
    view = HeldView(page, start_server(runs), runs)
    view.held(neuron=NEURON, step=STEP)
    view.at("signal-line-f").focus()
    view.page.keyboard.press("Tab")
    view.page.keyboard.press("Enter")
    expect(view.at("hold-f")).to_have_attribute("aria-expanded", "true")
    view.page.keyboard.press("Tab")
    view.page.keyboard.press("Escape")
    expect(view.at("hold-menu")).to_have_count(0)
    expect(view.at("hold-f")).to_be_focused()
    assert "step=5" in view.page.url
    view.page.keyboard.press("Enter")
    view.at("hold-number").focus()
    view.page.keyboard.type("0,25")
    view.page.keyboard.press("Enter")
    expect(view.at("hold-chip")).to_contain_text(f"f of neuron {NEURON} held at 0.25 from step {STEP} on")
    expect(view.at("hold-f")).to_be_focused()
    view.at("hold-remove").focus()
    view.page.keyboard.press("Enter")
    expect(view.at("hold-chip")).to_have_count(0)
    expect(view.at("strips")).to_be_focused()


def test_narrow_screen_fits_holds_and_writing(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    view = HeldView(page, start_server(runs), runs)
    view.held(neuron=NEURON, step=STEP)
    view.at("sheet-more").click()
    view.at("signal-line-o").click()
    view.at("hold-o").click()
    view.at("hold-zero").click()
    expect(view.at("hold-chip")).to_have_count(1)
    view.at("sheet-close").click()
    view.at("write").click()
    expect(view.at("written")).not_to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
