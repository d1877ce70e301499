"""What happens while something is held, compared or written: runs vanish, training goes on, texts are far too long."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gatescope import Choice, Run, clamp, sample
from tests.web.looking import eventually
from tests.web.test_holds import HeldView, check_cell

TEXT = "aaaaaaXbbb"
HOLD = "0.4.c.0.5-"


@pytest.fixture
def copies(runs: Path, tmp_path: Path) -> Path:
    """Copy runs that the test may change."""
    for name in ("counter", "slstm"):
        shutil.copytree(runs / name, tmp_path / "runs" / name)
    return tmp_path / "runs"


@pytest.fixture
def own(page: Page, start_server: Callable[[Path], str], copies: Path) -> HeldView:
    """Open those runs."""
    return HeldView(page, start_server(copies), copies)


def test_compared_run_that_vanishes_is_named(own: HeldView, tmp_path: Path) -> None:
    """The rest of the page stays, and the comparison comes back with the run."""
    own.held(TEXT, hold=HOLD, **{"with": "run:slstm"})
    expect(own.at("compare-sentence")).not_to_be_empty()
    (own.runs / "slstm").rename(tmp_path / "gone")
    expect(own.at("compare-problem")).to_have_text(
        "Run: expected one of this folder, got “slstm”. It was removed, or the link is of another folder. "
        "Choose another one."
    )
    own.at("text-box").fill("aaaX")
    expect(own.at("strips-canvas")).to_have_attribute("data-steps", "4")
    expect(own.at("hold-chip")).to_have_count(1)
    (tmp_path / "gone").rename(own.runs / "slstm")
    expect(own.at("compare-sentence")).not_to_be_empty()
    expect(own.at("compare-problem")).to_have_count(0)


def test_shown_run_that_vanishes_is_named(
    refused_page: Page, start_server: Callable[[Path], str], copies: Path, tmp_path: Path
) -> None:
    """A sentence says why the list of runs takes the place of the strips, which come back with the run.

    What was requested of the run before the page knows that it is gone is refused.
    """
    own = HeldView(refused_page, start_server(copies), copies)
    own.held(TEXT, hold=HOLD)
    expect(own.at("hold-sentence")).not_to_be_empty()
    (own.runs / "counter").rename(tmp_path / "gone")
    expect(own.at("error-note")).to_contain_text("Run: expected one of this folder, got “counter”.")
    expect(own.at("strips-canvas")).to_have_count(0)
    (tmp_path / "gone").rename(own.runs / "counter")
    expect(own.at("hold-sentence")).not_to_be_empty()
    expect(own.at("error-note")).to_have_count(0)


def test_newer_weights_reach_holds_writing_and_comparison(own: HeldView) -> None:
    """While a run is trained, holds, written texts and the loss beside another run follow its weights."""
    run = Run(own.runs / "counter")
    learned, early = run.network()[0].state_dict(), run.network(0)[0].state_dict()
    own.held("aaaaaaX", hold=HOLD)
    check_writing(own)
    run.save_weights(early, 77)
    check_writing(own)
    own.held(TEXT, hold=HOLD, neuron=4, step=8, **{"with": "run:slstm"})
    expect(own.at("compare-sentence")).not_to_be_empty()
    before = own.at("compare-sentence").inner_text()
    run.save_weights(learned, 78)
    expect(own.at("compare-sentence")).not_to_have_text(before, use_inner_text=True)
    own.at("compare-stop").click()
    own.at("neuron-panel").get_by_text("pinned · unpin").click()
    check_cell(own, own.network(), [clamp("layer0", "c", 4, 0.0, steps=slice(5, None))], 4, 8)


def check_writing(view: HeldView) -> None:
    """Wait for what the weights of the moment write, held and free."""
    settings = {"length": 40, "choice": Choice(greedy=True), "stop": "\n"}
    hold = clamp("layer0", "c", 4, 0.0, steps=slice(5, None))
    held, free = ("".join(sample(view.network(), "aaaaaaX", **settings, interventions=holds)) for holds in ([hold], []))

    def check() -> None:
        assert view.at("written").text_content() == held
        shown = view.at("write-unheld").all_inner_texts()
        expected = f"After the end of the text it goes on with “{held}” instead of “{free}”.".replace("\n", "⏎")
        assert shown == ([] if held == free else [expected])

    eventually(check)


def test_huge_text_beside_is_refused_at_once(own: HeldView) -> None:
    """Nothing is sent: the page itself says how long a text may be."""
    own.held(TEXT, hold=HOLD)
    own.at("compare").click()
    own.at("compare-another").fill("a" * 1_000_000)
    own.at("compare-use").click()
    expect(own.at("compare-problem")).to_have_text(
        "Text B: expected at most 20,000 characters, got 1,000,000 characters. Use a part of it."
    )
    own.page.go_back()
    expect(own.at("compare-problem")).to_have_count(0)


def test_text_of_a_megabyte_is_refused_without_a_request(own: HeldView) -> None:
    """The page says how many characters a text may have, not how many bytes a request."""
    own.held("aXb")
    expect(own.at("strips-canvas")).to_be_visible()
    own.at("text-box").focus()
    # A text that is not pasted, such as one that the first page leads on with, was not refused before.
    own.page.evaluate("document.execCommand('insertText', false, 'a'.repeat(1_200_000))")
    expect(own.at("error-note")).to_contain_text("Text: expected at most 20,000 characters, got 1,200,003 characters.")
    expect(own.at("strips-canvas")).to_have_count(0)


def test_run_that_can_be_read_again_is_shown(
    refused_page: Page, start_server: Callable[[Path], str], copies: Path
) -> None:
    """The sentence about damaged files goes when the files are restored."""
    own = HeldView(refused_page, start_server(copies), copies)
    own.held(TEXT)
    expect(own.at("strips-canvas")).to_be_visible()
    path = own.runs / "counter" / "network.json"
    content = path.read_text(encoding="utf-8")
    path.write_text("{", encoding="utf-8")
    expect(own.at("error-note")).to_contain_text("expected JSON")
    path.write_text(content, encoding="utf-8")
    expect(own.at("error-note")).to_have_count(0)
    expect(own.at("strips-canvas")).to_be_visible()
