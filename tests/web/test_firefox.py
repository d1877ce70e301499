"""The main ways through the page in Firefox; every other test of the page uses Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gatescope import Run
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


def test_firefox_shows_the_values_of_python(fox: Firefox, start_server: Callable[[Path], str], runs: Path) -> None:
    text, neuron, step = "aaaXbbb", 3, 5
    query = {"view": "network", "run": "counter", "text": text, "neuron": neuron, "step": step}
    fox.open(f"{start_server(runs)}/?{urlencode(query)}")
    fox.wait("document.querySelector('[data-testid=panel-value-c]')?.title")
    trace = Run(runs / "counter").network()[0].record(text)
    for signal in ("i", "f", "g", "o", "c", "h"):
        shown = float(fox.evaluate(f"document.querySelector('[data-testid=panel-value-{signal}]').title"))
        assert shown == pytest.approx(float(trace["layer0"][signal][0, step, neuron]), rel=1e-5, abs=1e-7)
