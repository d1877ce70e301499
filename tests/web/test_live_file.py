"""Live files opened from disk, without a connection: the numbers of Python, and nothing requested but the file."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from gatescope import Run, record
from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from gatescope.explorer.live.page_file import live_page
from gatescope.explorer.live.program import program
from tests.web.looking import Recorded, View, eventually
from tests.web.test_worked_out import FORMULAS, LINES, check_panel, decimals
from tests.web.watching import watched_page

OLD_BROWSER, DAMAGED, NO_SCRIPT = "this browser does not have", "This file is damaged", "Switch JavaScript on"


class LiveView(View):
    """A live file in a browser without a connection."""

    def open(self, **query: Any) -> None:
        """Follow a link into the file, and wait until its text is drawn."""
        self.page.goto(f"{self.address}?{urlencode(query)}" if query else self.address)
        expect(self.at("cursor-text")).not_to_be_empty()


@pytest.fixture
def requested(page: Page) -> list[str]:
    """Return the list of addresses that the page has requested; blocks of the file itself have no place elsewhere."""
    page.context.set_offline(True)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    return addresses


@pytest.fixture
def exported(runs: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the live file of one of the runs."""

    def write(name: str, **options: Any) -> Path:
        path = tmp_path / f"{name} 100%.html"  # a name that an address must escape
        write_live_file(live_run(Run(runs / name), LiveOptions(**options)), path)
        return path

    return write


@pytest.fixture
def live(page: Page, runs: Path, exported: Callable[..., Path]) -> Callable[..., LiveView]:
    """Return a function that exports a run and returns a view of its file."""
    return lambda name, **options: LiveView(page, exported(name, **options).as_uri(), runs)


@pytest.mark.parametrize(
    ("run", "layer", "text"), [("counter", "layer0", LINES), ("deep", "layer1", "abXab"), ("slstm", "layer0", LINES)]
)
def test_file_shows_the_numbers_of_python(
    live: Callable[..., LiveView], requested: list[str], run: str, layer: str, text: str
) -> None:
    view = live(run)
    view.open(view="network", run=run, layer=layer, text=text)
    recorded = view.recorded(run, text)
    for neuron, step in {(0, 0), (3, 2), (5, min(6, len(text) - 1)), (2, len(text) - 1)}:
        view.point(neuron, step)
        check_panel(view, run, recorded, layer, neuron, step)
    others = [address for address in requested if address.split("?")[0] != view.address]
    assert [address.split(":")[0] for address in others] == ["blob"] * len(others)
    assert len(others) <= 2  # the page and its worker


def test_typing_is_answered_without_a_connection(live: Callable[..., LiveView], requested: list[str]) -> None:
    view = live("counter")
    view.open(view="network", run="counter", text="aX")
    view.at("text-box").fill("aaaXbbb\naXb\n")
    recorded = view.recorded("counter", "aaaXbbb\naXb\n")
    eventually(lambda: _expect_steps(view, 12))
    view.point(4, 10)
    check_panel(view, "counter", recorded, "layer0", 4, 10)
    assert all(address.startswith(("blob:", "file:")) for address in requested)


def _expect_steps(view: View, steps: int) -> None:
    assert view.picture().steps == steps


def test_chinese_text_is_computed_offline(live: Callable[..., LiveView], requested: list[str]) -> None:
    view = live("poem")
    view.open(view="network", run="poem", text="床前明月光，", signal="h")
    recorded = view.recorded("poem", "床前明月光，")
    view.point(7, 5)
    eventually(lambda: _expect_value(view, "h", recorded, 7, 5))
    assert all(address.startswith(("blob:", "file:")) for address in requested)


def _expect_value(view: View, signal: str, recorded: Recorded, neuron: int, step: int) -> None:
    assert view.panel()[signal] == pytest.approx(float(recorded.layers["layer0"][signal][neuron, step]), abs=1e-6)


def test_only_run_is_shown_at_once(live: Callable[..., LiveView], requested: list[str], runs: Path) -> None:
    view = live("counter")
    view.open()
    expect(view.page).to_have_title("counter · gatescope")
    expect(view.at("text-box")).to_have_value(Run(runs / "counter").task().examples()[0])
    assert requested


def test_checkpoint_has_the_weights_of_its_step(live: Callable[..., LiveView], runs: Path) -> None:
    run = Run(runs / "counter")
    step = run.checkpoints()[0]
    view = live("counter", checkpoints=2)
    view.open(view="network", run="counter", text=LINES, checkpoint=step)
    trace = record(run.network(step)[0], LINES)
    best = record(run.network()[0], LINES)
    expected = float(trace["layer0"]["c"][0, 3, 2])
    assert decimals(expected) != decimals(float(best["layer0"]["c"][0, 3, 2]))
    view.point(2, 3)
    expect(view.at("panel-value-c")).to_have_text(decimals(expected))


def test_half_shows_the_rounded_network_and_its_note(live: Callable[..., LiveView], runs: Path) -> None:
    """Values differ from those of the full weights by no more than rounding; the note says so on the page."""
    view = live("counter", half=True)
    view.open(view="network", run="counter", text=LINES)
    recorded = view.recorded("counter", LINES)
    view.point(1, 4)
    panel = view.panel()
    exact = np.array([recorded.layers["layer0"][name][1, 4] for name in FORMULAS["counter"]])
    shown = np.array([panel[name] for name in FORMULAS["counter"]])
    assert 0 < np.abs(exact - shown).max() < 0.02
    view.at("facts-details").click()
    expect(view.page.get_by_text("rounded to float16")).to_be_visible()


def expect_only(page: Page, sentence: str) -> None:
    """Check that a page shows one sentence, perhaps in Chinese as well, and nothing else."""
    expect(page.get_by_text(sentence)).to_be_visible()
    lines = page.inner_text("body").strip().splitlines()
    assert len([line for line in lines if not re.search("[\u4e00-\u9fff]", line)]) == 1


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("delete self.DecompressionStream", OLD_BROWSER),
        ("delete self.WebAssembly", OLD_BROWSER),
        ("WebAssembly.validate = () => false", OLD_BROWSER),
        ("delete CSSStyleSheet.prototype.replaceSync", OLD_BROWSER),
    ],
)
def test_old_browser_gets_one_sentence(page: Page, exported: Callable[..., Path], missing: str, sentence: str) -> None:
    page.add_init_script(missing)
    page.goto(exported("counter").as_uri())
    expect_only(page, sentence)


def test_file_of_the_readme_opens(page: Page) -> None:
    page.goto((Path(__file__).parents[2] / "docs" / "live" / "counter.html").as_uri())
    expect(page.get_by_test_id("cursor-text")).to_contain_text("cell state")
    expect(page.get_by_text("every equation holds")).to_be_visible()


@pytest.mark.parametrize(
    ("identity", "offset"),
    [("data", 1_000), ("unpack", 1_000), ("program", 0), ("program", 20), ("program", 1_000), ("program", 400_000)],
)
def test_damaged_file_gets_one_sentence(page: Page, exported: Callable[..., Path], identity: str, offset: int) -> None:
    path = exported("counter")
    content = path.read_bytes()
    mark = f'id="gatescope-{identity}">'.encode()
    place = content.index(mark) + len(mark) + offset
    damaged = b"A" if content[place : place + 1] != b"A" else b"B"
    path.write_bytes(content[:place] + damaged + content[place + 1 :])
    page.goto(path.as_uri())
    expect_only(page, DAMAGED)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "so it is cut short"),
        (b"null", "expected the runs and parts"),
        (b'{"format":1,"runs":[],"parts":[[0,1]]}', "so it is cut short"),
        (b'{"format":2}', "expected format 1, got 2"),
    ],
)
def test_unreadable_data_get_one_sentence(page: Page, tmp_path: Path, content: bytes, sentence: str) -> None:
    """The data unpack as they were written, so the page is started, and finds them wrong."""
    path = tmp_path / "wrong.html"
    path.write_bytes(live_page("wrong", len(content).to_bytes(8, "little") + content if content else b"", program()))
    page.goto(path.as_uri())
    expect_only(page, sentence)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_file_gets_one_sentence(page: Page, exported: Callable[..., Path], share: float) -> None:
    path = exported("counter")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    page.goto(path.as_uri())
    expect_only(page, DAMAGED)


@pytest.fixture
def page_without_script(browser: Browser) -> Iterator[Page]:
    """Open a page with JavaScript switched off."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_page_without_script_gets_one_sentence(page_without_script: Page, exported: Callable[..., Path]) -> None:
    page_without_script.goto(exported("counter").as_uri())
    # Playwright leaves <noscript> out of the texts that it looks for.
    assert NO_SCRIPT in page_without_script.inner_text("body")


def test_sandboxed_frame_computes(browser: Browser, exported: Callable[..., Path], runs: Path, tmp_path: Path) -> None:
    """The frame that docs/browser.md recommends: scripts, but no access to the page around it."""
    address = f"{exported('counter').as_uri()}?{urlencode({'view': 'network', 'run': 'counter', 'text': LINES})}"
    post = tmp_path / "post.html"
    post.write_text(
        f'<!doctype html><title>A post</title><iframe src="{address}" title="counter" width="1200" height="700" '
        'sandbox="allow-scripts"></iframe>'
    )
    with watched_page(browser, set()) as page:
        page.context.set_offline(True)
        page.goto(post.as_uri())
        frame = page.frame_locator("iframe")
        expect(frame.get_by_test_id("cursor-text")).not_to_be_empty()
        expect(frame.locator("header")).to_be_hidden()
        expected = record(Run(runs / "counter").network()[0], LINES)
        step = int(frame.get_by_test_id("cursor-text").inner_text().split("step ")[1].split()[0])
        trace = np.concatenate([expected.sequence(k)["layer0"]["c"][0] for k in range(len(expected.lengths))])
        expect(frame.get_by_test_id("panel-value-c")).to_have_text(decimals(float(trace[step, 0])))


def test_slider_shows_the_training_step_by_step(live: Callable[..., LiveView], runs: Path) -> None:
    """Each place of the slider has the weights of its checkpoint; the last one has the best weights."""
    run = Run(runs / "counter")
    view = live("counter", checkpoints=3)
    view.open(view="network", run="counter", text=LINES)
    steps = live_run(run, LiveOptions(checkpoints=3)).data["run"]["checkpoints"]
    values = []
    view.unfold("checkpoint-menu")
    for place, step in enumerate([*steps, None]):
        view.at("checkpoint").fill(str(place))
        trace = record(run.network(step)[0], LINES)
        values.append(decimals(float(trace["layer0"]["c"][0, 3, 2])))
        view.point(2, 3)
        expect(view.at("panel-value-c")).to_have_text(values[-1])
    assert len(set(values)) > 1


def test_hostile_names_and_texts_stay_text(page: Page, runs: Path, tmp_path: Path, requested: list[str]) -> None:
    """A name, a note and samples that are HTML are shown as they are written, and run nothing."""
    hostile = "<img src=x onerror=alert(1)></title><script>alert(1)</script>"
    copied = Run(shutil.copytree(runs / "poem", tmp_path / hostile.replace("/", "∕")))
    copied.append("samples.jsonl", {"step": 9, "temperature": 0.7, "text": f"{hostile}\u2028<!--"})
    write_live_file(live_run(copied, LiveOptions()), tmp_path / "hostile.html")
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    view = LiveView(page, (tmp_path / "hostile.html").as_uri(), runs)
    view.open()
    expect(page).to_have_title(f"{copied.name} · gatescope")
    view.at("tab-learning").click()
    expect(page.get_by_text(f"{hostile}\u2028<!--")).to_be_visible()
    assert dialogs == []
    assert page.locator("img").count() == 0
    assert all(address.startswith(("blob:", "file:")) for address in requested)
