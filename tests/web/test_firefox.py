"""The main ways through the page in Firefox; every other test of the page uses Chromium."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gatescope import Choice, Run, clamp, record, sample
from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from tests.web.firefox import Firefox, firefox


@pytest.fixture
def fox(origins: set[str]) -> Iterator[Firefox]:
    """Open an empty page in Firefox that fails the test if it does what a user must never see."""
    with firefox(origins) as page:
        yield page


def test_firefox_opens_a_run_from_the_gallery(fox: Firefox, start_server: Callable[[Path], str], runs: Path) -> None:
    fox.open(start_server(runs))
    fox.wait("document.querySelectorAll('[data-testid=run-card] canvas:not(.empty)').length > 4")
    fox.click('[data-testid=run-card][data-run="counter"]')
    fox.wait("document.querySelector('[data-testid=cursor-text]')?.innerText")
    assert "counter" in fox.evaluate("location.search")


NEURON, STEP = 3, 5
TEXT, OTHER_TEXT = "aaaXbbb", "aaaaaaaXbb"
BADGE = "document.querySelector('[data-testid=engine]')?.innerText.includes('WebAssembly')"


def check_values(fox: Firefox, run: Path, text: str) -> None:
    """Wait until the panel shows a text in the cell state, and compare every signal with a recording of Python."""
    trace = Run(run).network()[0].record(text)
    cell_state = float(trace["layer0"].c[0, STEP, NEURON])
    fox.wait(f"Math.abs(document.querySelector('[data-testid=panel-value-c]')?.title - ({cell_state})) < 1e-5")
    for signal in ("i", "f", "g", "o", "c", "h"):
        shown = float(fox.evaluate(f"document.querySelector('[data-testid=panel-value-{signal}]').title"))
        assert shown == pytest.approx(float(trace["layer0"][signal][0, STEP, NEURON]), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("host", ["server", "live file"])
def test_firefox_computes_the_values_of_python(
    fox: Firefox, start_server: Callable[[Path], str], runs: Path, tmp_path: Path, host: str
) -> None:
    query = urlencode({"view": "network", "run": "counter", "text": TEXT, "neuron": NEURON, "step": STEP})
    if host == "server":
        fox.open(f"{start_server(runs)}/?{query}")
    else:
        write_live_file(live_run(Run(runs / "counter"), LiveOptions()), tmp_path / "counter.html")
        fox.open(f"{(tmp_path / 'counter.html').as_uri()}?{query}")
    check_values(fox, runs / "counter", TEXT)
    fox.fill("textarea", OTHER_TEXT)
    check_values(fox, runs / "counter", OTHER_TEXT)
    fox.wait(BADGE)


def test_firefox_holds_a_signal_and_writes(fox: Firefox, runs: Path, tmp_path: Path) -> None:
    write_live_file(live_run(Run(runs / "counter"), LiveOptions()), tmp_path / "counter.html")
    query = urlencode({"view": "network", "run": "counter", "text": OTHER_TEXT, "neuron": NEURON, "step": STEP})
    fox.open(f"{(tmp_path / 'counter.html').as_uri()}?{query}")
    fox.wait("document.querySelector('[data-testid=hold-c]')")
    fox.click("[data-testid=hold-c]")
    fox.click("[data-testid=hold-zero]")
    change = clamp("layer0", "c", NEURON, 0.0, steps=slice(STEP, None))
    network = Run(runs / "counter").network()[0]
    hidden = float(record(network, OTHER_TEXT, interventions=[change])["layer0"]["h"][0, STEP, NEURON])
    fox.wait(f"Math.abs(document.querySelector('[data-testid=panel-value-h]')?.title - ({hidden})) < 1e-5")
    fox.wait("document.querySelector('[data-testid=hold-effect]')?.innerText.includes('Loss')")
    fox.click("[data-testid=write]")
    settings = {"length": 40, "choice": Choice(greedy=True), "stop": "\n"}
    written = "".join(sample(network, OTHER_TEXT, **settings, interventions=[change]))
    fox.wait(f"document.querySelector('[data-testid=written]')?.textContent === {json.dumps(written)}")
