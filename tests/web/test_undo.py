"""Undo and Back: each act changes address and picture, and both come back by Ctrl-Z and by the browser's buttons."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from playwright.sync_api import Page, expect

from gatescope import Run
from tests.web.hosts import live_address
from tests.web.looking import eventually
from tests.web.test_holds import HeldView

TEXT = "aaaaaaXbbb"
OTHER = "aaXbbb\naX"
NEURON, STEP = 4, 5
HOLD, SECOND = f"0.{NEURON}.c.0.{STEP}-", "0.2.i.1.3-"
PLACE: dict[str, Any] = {"neuron": NEURON, "step": STEP}
START: dict[str, Any] = {"view": "network", "run": "counter", "text": TEXT, "write": 0, "sort": "number"}
WRITES = {"write": 12}
PAGE = {"as": "page", "neurons": "4"}
SET = f"first:{HOLD}"
HEALTH = "distribution-f gate-i snapshot-map"

# Every canvas and picture of the page, the choices of its controls, and the texts that follow from an act. Reading a
# canvas twice makes Chromium complain, so that copies are read.
SHOWN = """async (texts) => {
  for (let k = 0; k < 2; k++) await new Promise(requestAnimationFrame)
  const shown = {}
  for (const canvas of document.querySelectorAll('main canvas')) {
    if (!canvas.width || !canvas.height) continue
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
    const pen = copy.getContext('2d', { willReadFrequently: true })
    pen.drawImage(canvas, 0, 0)
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height)
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
    shown[canvas.dataset.testid] = { pixels: [...hash].join(' '), ...canvas.dataset }
  }
  for (const picture of document.querySelectorAll('main svg[data-testid], [data-testid] > svg'))
    shown[picture.dataset.testid ?? picture.parentElement.dataset.testid] = picture.outerHTML
  for (const control of document.querySelectorAll('main :is([aria-pressed], [aria-selected])[data-testid]'))
    if (control.checkVisibility()) shown[control.dataset.testid] = control.ariaPressed ?? control.ariaSelected
  for (const name of texts)
    shown[name] = [...document.querySelectorAll(`[data-testid=${name}]`)]
      .filter((part) => part.checkVisibility())
      .map((part) => part.value ?? part.innerText)
  const values = document.querySelectorAll('[data-testid^=panel-value-]')
  shown.panel = [...values].map(({ dataset, title }) => `${dataset.testid} ${title}`)
  return shown
}"""
TEXTS = (
    *("hold-chip", "hold-sentence", "hold-effect", "hold-set", "written", "branch", "branch-about", "predictions"),
    *("compare-sentence", "compare-view", "checkpoint-name", "text-box", "sort", "matrix", "snapshot-at"),
    *("space-neuron-0", "bin-neurons", "distributions-steps", "connections"),
)


@dataclass(frozen=True)
class Act:
    """An act of a reader.

    Attributes:
        name: of the act.
        do: clicks, keys and choices.
        address: a regular expression of the address after it.
        query: fields of the address before it, besides START.
        before: the data-testids of parts that are there when the page is complete before the act; `after`: after it.
    """

    name: str
    do: Callable[[HeldView], object]
    address: str
    query: dict[str, Any] = field(default_factory=dict)
    before: str = "cursor-text"
    after: str = "cursor-text"


def hold_at_zero(view: HeldView, signal: str) -> None:
    """Hold a signal of the panel at 0, from the step of the cursor on."""
    view.at(f"signal-line-{signal}").click()
    view.at(f"hold-{signal}").click()
    view.at("hold-steps-from").click()
    view.at("hold-zero").click()


def press(view: HeldView, part: str, *keys: str) -> None:
    """Press keys in a part of the page."""
    view.at(part).focus()
    for key in keys:
        view.page.keyboard.press(key)


def compare(view: HeldView, choose: Callable[[HeldView], object]) -> None:
    """Open the choices of a comparison, and take one."""
    view.at("compare").click()
    choose(view)


def find_run(view: HeldView) -> None:
    """Take another run from the list."""
    view.at("compare-search").fill("slstm")
    view.at("compare-run").first.click()


def other_text(view: HeldView) -> None:
    """Type another text to compare with."""
    view.at("compare-another").fill(OTHER)
    view.at("compare-use").click()


def type_text(view: HeldView) -> None:
    """Type letters behind the text, and leave it: the browser itself undoes letters in a text that is being typed."""
    view.at("text-box").focus()
    view.page.keyboard.press("Control+End")
    view.page.keyboard.type("bb")
    view.page.keyboard.press("Escape")


def write_less(view: HeldView) -> None:
    """Let the network write two symbols."""
    view.unfold("write")
    view.at("write-length").fill("2")
    press(view, "write-length", "Enter", "Escape")


def choose_feature(view: HeldView) -> None:
    """Choose a feature to be drawn over the text."""
    view.unfold("feature-menu")
    with view.page.expect_response("**/features"):
        view.at("feature").fill("character.is=X")
    expect(view.page).to_have_url(re.compile("feature=character"))
    view.page.keyboard.press("Escape")
    expect(view.at("feature-menu")).to_be_focused()


def first_checkpoint(view: HeldView) -> None:
    """Choose the weights before the training."""
    view.unfold("checkpoint-menu")
    press(view, "checkpoint", "Home")
    view.page.keyboard.press("Escape")


def click(name: str) -> Callable[[HeldView], None]:
    """Return the act that clicks a part."""
    return lambda view: view.at(name).first.click()


def select(name: str, value: str) -> Callable[[HeldView], None]:
    """Return the act that chooses an entry of a list, which keeps the focus."""

    def choose(view: HeldView) -> None:
        view.at(name).focus()
        view.at(name).select_option(value)

    return choose


def same_text(view: HeldView) -> None:
    """Count the values of the text of the page."""
    view.at("distributions").get_by_test_id("over-text").click()


BESIDE = {"with": "run:slstm"}
ACTS = [
    Act("hold", lambda view: hold_at_zero(view, "c"), f"hold={HOLD}", PLACE, after="hold-sentence"),
    Act(
        "second-hold",
        lambda view: hold_at_zero(view, "f"),
        f"hold=0.{NEURON}.f.0.{STEP}-",
        {**PLACE, "hold": HOLD},
        before="hold-sentence",
        after="hold-sentence",
    ),
    Act("slide", lambda view: press(view, "slider-f", "Home"), r"hold=0\.4\.f\.", PLACE, after="hold-sentence"),
    Act("lock", click("lock-o"), r"hold=0\.4\.o\.", PLACE, after="hold-sentence"),
    Act(
        "release",
        click("hold-remove"),
        f"(?!.*hold={HOLD}).*hold={SECOND}",
        {**PLACE, "hold": [HOLD, SECOND]},
        before="hold-sentence",
        after="hold-sentence",
    ),
    Act(
        "release-by-key",
        lambda view: press(view, "strips", "Backspace"),
        "(?!.*hold=)",
        {"hold": HOLD},
        before="hold-sentence",
    ),
    Act("save-set", click("set-save"), "sets=", {"hold": HOLD}, "hold-sentence", "hold-sentence"),
    Act(
        "compare-set",
        click("set-compare"),
        "against=first",
        {"hold": SECOND, "sets": SET},
        before="hold-sentence",
        after="hold-sentence",
    ),
    Act("remove-set", click("set-remove"), "(?!.*sets=)", {"sets": SET}, before="hold-set"),
    Act("below", click("below-difference"), "below=difference", {"hold": HOLD}, before="hold-sentence"),
    Act(
        "branch",
        lambda view: view.at("prediction-choose").nth(1).click(),
        f"branch={STEP}",
        {**PLACE, **WRITES},
        before="written",
        after="branch-about",
    ),
    Act(
        "branch-remove", click("branch-remove"), "(?!.*branch)", {**WRITES, "branch": "2:X"}, "branch-about", "written"
    ),
    Act("branch-take", click("branch-take"), "text=aaa(?!aaa)", {**WRITES, "branch": "2:X"}, "branch-about", "written"),
    Act(
        "write-less",
        write_less,
        "write=2",
        WRITES,
        before="written",
        after="written",
    ),
    Act("type", type_text, f"text={TEXT}bb", PLACE),
    Act("compare-run", lambda view: compare(view, find_run), "with=run%3Aslstm", {}, after="compare-sentence"),
    Act(
        "compare-checkpoint",
        lambda view: compare(view, select("compare-checkpoint", "0")),
        "with=checkpoint%3A0",
        {},
        after="compare-sentence",
    ),
    Act("compare-text", lambda view: compare(view, other_text), "with=text%3AaaXbbb", {}, after="compare-sentence"),
    Act(
        "compare-holds",
        lambda view: compare(view, click("compare-holds")),
        "with=holds",
        {"hold": HOLD},
        before="hold-sentence",
        after="compare-sentence",
    ),
    Act("compare-stop", click("compare-stop"), "(?!.*with=)", BESIDE, before="compare-sentence"),
    Act("pairs", click("pairs-number"), "pairs=number", BESIDE, "compare-sentence", "compare-sentence"),
    Act(
        "rows",
        lambda view: press(view, "strips", "d"),
        "rows=difference",
        BESIDE,
        "compare-sentence",
        "compare-sentence",
    ),
    Act("exchange", click("compare-exchange"), "run=slstm", BESIDE, "compare-sentence", "compare-sentence"),
    Act("space", click("panel-tab-space"), "panel=space", PLACE, after="space-canvas"),
    Act(
        "space-pair",
        click("space-neurons"),
        r"space=\d%2C\d",
        {**PLACE, "panel": "space"},
        before="space-canvas",
        after="space-neuron-0",
    ),
    Act("diagram", click("panel-tab-diagram"), "panel=diagram", PLACE, after="diagram-picture"),
    Act("feature", choose_feature, "feature=character", {}),
    Act("order", select("sort", "activity"), "sort=activity", {}),
    Act("signal", click("signal-o"), "signal=o", {}),
    Act("layer", click("layer-1"), "layer=layer1", {"run": "deep", "text": "cab>", **PLACE}),
    Act("weights", first_checkpoint, "checkpoint=0", {}),
    Act("page", click("as-page"), "as=page", PLACE, after="page-canvas"),
    Act("page-neuron", select("page-add", "7"), "neurons=4%2C7", {**PLACE, **PAGE}, "page-canvas", "page-canvas"),
    Act("film", lambda view: press(view, "curve-slider", "Home"), "checkpoint=0", {"view": "learning", **PLACE}),
    Act(
        "matrix",
        select("matrix", "x"),
        "matrix=x",
        {"view": "health"},
        f"weights-u.f {HEALTH}",
        f"weights-x.g {HEALTH}",
    ),
    Act("over", same_text, "over=text", {"view": "health"}, f"weights-u.f {HEALTH}", f"weights-u.f {HEALTH}"),
    Act(
        "measure",
        click("by-change"),
        "by=change",
        {"view": "gradient", **PLACE},
        before="connections",
        after="connections",
    ),
    Act("neuron", lambda view: press(view, "strips", "Enter"), "view=neuron", PLACE, after="cursor-text histogram"),
]


def shown(view: HeldView) -> dict[str, Any]:
    """Return everything that an act can change on the page."""
    return view.page.evaluate(SHOWN, TEXTS)


def settled(view: HeldView, parts: str) -> dict[str, Any]:
    """Return what the page shows as soon as parts of it are there, nothing is computed and it no longer changes."""
    for part in parts.split():
        expect(view.at(part).first).to_be_attached()
        if part in ("cursor-text", "hold-sentence", "written"):
            expect(view.at(part)).not_to_be_empty()
    expect(view.at("film-working")).to_have_count(0)
    expect(view.page.locator("main [aria-busy=true]")).to_have_count(0)
    last: list[dict[str, Any]] = [{}]

    def check() -> None:
        now = shown(view)
        before, last[0] = last[0], now
        assert now == before

    eventually(check)
    return last[0]


def fields(view: HeldView) -> list[tuple[str, str]]:
    """Return the fields of the address, which the page may write in another order than a link has them.

    It comes from the page: `page.url` changes only while Playwright is called, and never in a loop that compares it.
    """
    return sorted(parse_qsl(view.page.evaluate("location.search.slice(1)")))


def expect_shown(view: HeldView, address: list[tuple[str, str]], picture: dict[str, Any]) -> None:
    """Wait until the page has an address and a picture."""

    def check() -> None:
        assert fields(view) == address
        now = shown(view)
        assert {name for name in {*now, *picture} if now.get(name) != picture.get(name)} == set()

    eventually(check)


def check_undo(view: HeldView, act: Act) -> None:
    """Act, and go to and fro by keys and by the history of the browser."""
    separator = "" if view.address.endswith(".html") else "/"
    view.page.goto(f"{view.address}{separator}?{urlencode({**START, **act.query}, doseq=True)}")
    first = settled(view, act.before)
    address = fields(view)
    act.do(view)
    expect(view.page).to_have_url(re.compile(rf"\?{act.address}" if act.address[0] == "(" else act.address))
    second, after = settled(view, act.after), fields(view)
    assert after != address
    assert first != second
    view.page.keyboard.press("Control+z")
    expect_shown(view, address, first)
    view.page.keyboard.press("Control+Shift+z")
    expect_shown(view, after, second)
    view.page.go_back()
    expect_shown(view, address, first)
    view.page.go_forward()
    expect_shown(view, after, second)


@pytest.mark.parametrize("act", ACTS, ids=[act.name for act in ACTS])
def test_each_act_is_undone(page: Page, start_server: Callable[[Path], str], runs: Path, act: Act) -> None:
    check_undo(HeldView(page, start_server(runs), runs), act)


IN_FILE = (
    "hold",
    "compare-set",
    "branch",
    "compare-checkpoint",
    "compare-holds",
    "space-pair",
    "film",
    "page",
    "order",
)


@pytest.mark.parametrize("act", [act for act in ACTS if act.name in IN_FILE], ids=lambda act: act.name)
def test_each_act_is_undone_in_a_live_file(page: Page, runs: Path, tmp_path: Path, act: Act) -> None:
    address = live_address(runs / "counter", tmp_path, checkpoints=len(Run(runs / "counter").checkpoints()))
    check_undo(HeldView(page, address, runs), act)
