"""Static sites on an ordinary file server, and a run of a site inside another page."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from gatescope import Run, record
from gatescope.explorer.live import LiveOptions, live_run, write_site
from tests.web.looking import View
from tests.web.test_worked_out import LINES, check_panel, decimals


class QuietHandler(SimpleHTTPRequestHandler):
    """A file server that prints nothing, and has no icon for pages without one."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
        pass

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def publish(origins: set[str]) -> Iterator[Callable[[Path], str]]:
    """Return a function that serves a folder on a port of its own, and returns its address.

    The servers outlive the pages, which may still request an icon when a test ends.
    """
    with ExitStack() as running:

        def serve(folder: Path) -> str:
            server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
            running.callback(server.server_close)
            running.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            origins.add(address)
            running.callback(origins.discard, address)
            return address

        yield serve


@pytest.fixture
def site(runs: Path, tmp_path: Path, publish: Callable[[Path], str]) -> str:
    """Publish a site of two runs below a folder of the host."""
    lives = [live_run(Run(runs / name), LiveOptions(passages=0)) for name in ("counter", "deep")]
    write_site(lives, tmp_path / "host" / "a folder")
    return f"{publish(tmp_path / 'host')}/a%20folder"


def test_site_shows_the_numbers_of_python(page: Page, site: str, runs: Path) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    view = View(page, site, runs)
    view.open(view="network", run="deep", layer="layer1", text="abXab")
    view.point(3, 2)
    check_panel(view, "deep", view.recorded("deep", "abXab"), "layer1", 3, 2)
    assert f"{site}/runs/deep.data" in requested
    assert f"{site}/runs/counter.data" not in requested
    assert all(address.startswith(f"{site}/") for address in requested)


def test_site_of_one_run_opens_its_network(
    page: Page, runs: Path, tmp_path: Path, publish: Callable[[Path], str]
) -> None:
    write_site([live_run(Run(runs / "counter"), LiveOptions(passages=0))], tmp_path / "host")
    view = View(page, publish(tmp_path / "host"), runs)
    view.open()
    expect(page).to_have_title("counter · gatescope")
    expect(view.at("cursor-text")).not_to_be_empty()
    view.at("all-runs").click()
    expect(view.at("run-card")).to_have_count(1)


def test_site_lists_its_runs(page: Page, site: str, runs: Path) -> None:
    view = View(page, site, runs)
    view.open()
    expect(view.at("run-card")).to_have_count(2)
    view.at("run-card").filter(has_text="counter").click()
    expect(page).to_have_title("counter · gatescope")
    expect(view.at("cursor-text")).not_to_be_empty()


def test_site_trains_a_network(page: Page, site: str, runs: Path) -> None:
    """The bundles stand beside the page: a site needs no server of ours for its playground."""
    view = View(page, site, runs)
    view.open()
    view.at("new-network").click()
    expect(view.at("playground-state")).to_have_attribute("data-phase", "ready")
    view.at("playground-train").click()
    expect(view.at("playground-score")).to_contain_text("score")
    expect(view.at("playground-score")).not_to_contain_text("no score yet")


@pytest.mark.parametrize(("width", "limit"), [(1200, 5_000), (420, 5_000), (1200, 400)])
def test_tag_puts_a_run_into_another_page(
    page: Page, site: str, runs: Path, tmp_path: Path, publish: Callable[[Path], str], width: int, limit: int
) -> None:
    """The frame stands in place of the tag, as wide as its column and as tall as its content, up to the limit."""
    post = tmp_path / "blog" / "post.html"
    post.parent.mkdir()
    post.write_text(
        f'<!doctype html><meta charset="utf-8"><title>A post</title><div style="width:{width}px"><p>before</p>'
        f'<script src="{site}/gatescope-embed.js" data-run="counter" data-text="aaXbb&#10;aXb&#10;" '
        f'data-height="{limit}" data-title="A network that counts"></script><p>after</p></div>',
        encoding="utf-8",
    )
    page.goto(f"{publish(post.parent)}/post.html")
    element = page.locator("iframe")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_test_id("cursor-text")).not_to_be_empty()
    expect(page.get_by_title("A network that counts")).to_have_count(1)
    assert page.locator("div > *").evaluate_all("(all) => all.map(({ tagName }) => tagName)") == ["P", "IFRAME", "P"]
    content = "() => document.body.getBoundingClientRect().height"
    inner = next(one for one in page.frames if one != page.main_frame)
    page.wait_for_function(
        "([tall, limit]) => Math.abs(document.querySelector('iframe').clientHeight - Math.min(limit, tall)) <= 1",
        arg=[inner.evaluate(content), limit],
    )
    assert element.bounding_box()["width"] == width  # type: ignore[index]
    expect(frame.locator("header")).to_be_hidden()
    trace = record(Run(runs / "counter").network()[0], LINES)
    states = np.concatenate([trace.sequence(k)["layer0"]["c"][0] for k in range(len(trace.lengths))])
    step = int(frame.get_by_test_id("cursor-text").inner_text().split("step ")[1].split()[0])
    expect(frame.get_by_test_id("panel-value-c")).to_have_text(decimals(float(states[step, 0])))


def test_tag_takes_holds(page: Page, site: str, tmp_path: Path, publish: Callable[[Path], str]) -> None:
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "post.html").write_text(
        f'<!doctype html><title>A post</title><p>before</p><script src="{site}/gatescope-embed.js" data-run="counter" '
        'data-text="aaX" data-hold="0.4.c.0.1-  0.2.i.0.5.0"></script>'
    )
    page.goto(f"{publish(tmp_path / 'blog')}/post.html")
    chips = page.frame_locator("iframe").get_by_test_id("hold-chip")
    expect(chips).to_have_count(2)
    expect(chips.nth(1)).to_contain_text("i of neuron 2 held at 0.5 at step 0")


def test_keyboard_enters_the_frame(page: Page, site: str, tmp_path: Path, publish: Callable[[Path], str]) -> None:
    """Tab leads from the page into the frame, and the text in it can be typed."""
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "post.html").write_text(
        "<!doctype html><title>A post</title><button>first</button>"
        f'<script src="{site}/gatescope-embed.js" data-run="counter" data-text="aX"></script>'
    )
    page.goto(f"{publish(tmp_path / 'blog')}/post.html")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_test_id("cursor-text")).not_to_be_empty()
    page.get_by_role("button", name="first").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if frame.get_by_test_id("text-box").evaluate("(box) => document.activeElement === box"):
            break
    page.keyboard.type("b")
    expect(frame.get_by_test_id("text-box")).to_have_value("aXb")


@pytest.mark.parametrize(
    ("file", "answer", "sentence"),
    [
        ("runs.json", {"status": 404}, "A file of this site cannot be read (runs.json: 404)."),
        ("runs.json", {"body": "{"}, "A data file of this site is damaged."),
        ("runs.json", {"body": '{"runs":[null],"files":[]}'}, "A data file of this site is damaged."),
        ("runs/deep.data", {"status": 404}, "A file of this site cannot be read (runs/deep.data: 404)."),
        ("runs/deep.data", {"body": b"no gzip"}, "A data file of this site is damaged."),
    ],
)
def test_missing_file_is_named(refused_page: Page, site: str, file: str, answer: dict[str, Any], sentence: str) -> None:
    """The sentence is about the site: no command that serves runs can bring its file back."""
    refused_page.route(f"**/{file}", lambda route: route.fulfill(**answer))
    refused_page.goto(f"{site}/?view=network&run=deep")
    expect(refused_page.get_by_test_id("error-note")).to_contain_text(sentence)
    expect(refused_page.get_by_test_id("lost-note")).to_have_count(0)


def test_kernels_that_arrive_later_are_used(refused_page: Page, site: str, runs: Path) -> None:
    down = [True]
    refused_page.route("**/*.wasm", lambda route: route.abort() if down else route.continue_())
    view = View(refused_page, site, runs)
    refused_page.goto(f"{site}/?view=network&run=deep&layer=layer1&text=a")
    expect(view.at("error-note")).to_contain_text("Engine of this page")
    down.clear()
    view.at("text-box").fill("abXab")
    view.point(3, 2)
    check_panel(view, "deep", view.recorded("deep", "abXab"), "layer1", 3, 2)
    expect(view.at("error-note")).to_have_count(0)


def test_site_opened_from_disk_says_what_to_do(browser: Browser, runs: Path, tmp_path: Path) -> None:
    """Browsers load no module from disk, and write that to the console, so this page is not watched."""
    write_site([live_run(Run(runs / "counter"), LiveOptions(passages=0))], tmp_path)
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    expect(page.get_by_text("Browsers open a site from a web host, not from disk")).to_be_visible()
    context.close()


def test_started_site_shows_no_such_sentence(page: Page, site: str) -> None:
    page.goto(site + "/")
    expect(page.get_by_test_id("run-card").first).to_be_visible()
    assert "did not start" not in page.inner_text("body")
