"""The engine in the browser: it answers what is typed, with the numbers of Python, and the server stands in for it."""

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from gatescope import Run
from tests.web.conftest import serving
from tests.web.examples import POEM
from tests.web.looking import View, eventually, recorded
from tests.web.watching import watched_page

HERE, PYTHON = "computed here · WebAssembly", "computed by Python"
COUNTING = "aaaaXbbbb\naXb\n"


class Requests:
    """Counts the requests of a page by the last part of their address."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.paths: list[str] = []
        page.context.on("request", lambda request: self.paths.append(request.url.partition("?")[0].rsplit("/", 1)[1]))

    def __getitem__(self, name: str) -> int:
        self._page.evaluate("null")  # Events of the page arrive while it is called.
        return self.paths.count(name)


def write(view: View, text: str) -> None:
    """Replace the text, and wait until it is drawn. Every character must be a step."""
    view.at("text-box").fill(text)
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", str(len(text)))


def until_here(view: View, text: str) -> None:
    """Type different texts until the engine in the browser answers, and then `text`, which must be a new one."""
    lengths = itertools.count(1)

    def check() -> None:
        write(view, text[0] * next(lengths))
        assert view.at("engine").inner_text() == HERE

    eventually(check)
    write(view, text)
    expect(view.at("engine")).to_contain_text(HERE)


def check_values(view: View, run: str, text: str, places: list[tuple[int, int]]) -> None:
    """Compare every signal of some neurons at some steps with those of Python, as precisely as the page has them."""
    layers = view.recorded(run, text).layers["layer0"]
    signals = [name for name in layers if "." not in name]
    for neuron, step in places:
        view.point(neuron, step)
        expected = {name: float(layers[name][neuron, step]) for name in signals}
        eventually(lambda expected=expected: _check(view.panel(), expected))


def _check(shown: dict[str, float], expected: dict[str, float]) -> None:
    assert shown == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("run", "text"), [("counter", COUNTING), ("slstm", COUNTING), ("deep", "abcXabc\nbXb\n"), ("poem", POEM)]
)
def test_typed_text_has_the_numbers_of_python(view: View, run: str, text: str) -> None:
    view.open(view="network", run=run, text=text[1:])
    until_here(view, text)
    check_values(view, run, text, [(0, 0), (3, 5), (5, len(text) - 1)])
    expect(view.at("equation-check")).to_contain_text("every equation holds")
    top = view.recorded(run, text).top[5]
    view.point(0, 5)
    guesses = [re.fullmatch(r"([\d.]+) %", how) for how in view.at("predictions").locator("li .how").all_inner_texts()]
    shown = [float(guess[1]) for guess in guesses if guess is not None]
    assert shown
    assert shown == pytest.approx([100 * probability for _, probability in top[: len(shown)]], abs=0.51)


def test_typing_asks_the_server_for_no_trace(view: View) -> None:
    requests = Requests(view.page)
    view.open(view="network", run="counter", text=COUNTING[1:])
    until_here(view, COUNTING)
    before = len(requests.paths)
    view.at("text-box").focus()
    view.page.keyboard.press("Control+End")
    for k, key in enumerate("aaXbbaXb", 1):
        view.page.keyboard.press(key)
        expect(view.at("strips-canvas")).to_have_attribute("data-steps", str(len(COUNTING) + k))
    expect(view.at("engine")).to_contain_text(HERE)
    assert [path for path in requests.paths[before:] if not path.endswith(("icon.svg", ".js"))] == []
    assert (requests["network"], requests["weights"]) == (1, 1)
    check_values(view, "counter", COUNTING + "aaXbbaXb", [(2, 17), (9, 21)])


def test_landing_page_loads_few_weights(view: View) -> None:
    """Only what the visitor can type into is computed here; the pictures of the other runs come from the server."""
    requests = Requests(view.page)
    view.open()
    expect(view.at("run-card").first).to_be_visible()
    for card in view.at("run-card").all():  # pictures are requested when they come into sight
        card.scroll_into_view_if_needed()
        if card.locator("canvas").count():
            expect(card.locator("canvas:not(.empty)")).to_be_visible()
    assert requests["weights"] < view.at("run-card").count() / 2
    assert requests["worker.js"] == 1


def _is_at_least(count: int, least: int) -> None:
    assert count >= least


def test_new_weights_answer_after_they_are_saved(
    page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(runs / "counter", tmp_path / "runs" / "counter"))
    view = View(page, start_server(tmp_path / "runs"), tmp_path / "runs")
    requests = Requests(page)
    view.open(view="network", run="counter", text=COUNTING[1:])
    until_here(view, COUNTING)
    old = recorded(run.path, COUNTING).layers["layer0"]["c"]
    run.save_weights(run.network(0)[0].state_dict(), 77)
    new = recorded(run.path, COUNTING).layers["layer0"]["c"]
    assert abs(float(old[3, 5] - new[3, 5])) > 0.01
    eventually(
        lambda: expect(view.at("facts").get_by_text(re.compile(r"(trained|best weights: step) 77\b"))).to_be_visible()
    )
    until_here(view, COUNTING + "a")
    check_values(view, "counter", COUNTING + "a", [(3, 5)])
    assert requests["weights"] == 2


def test_typing_goes_on_while_the_server_is_gone(refused_page: Page, origins: set[str], runs: Path) -> None:
    with serving(runs) as address:
        origins.add(address)
        view = View(refused_page, address, runs)
        view.open(view="network", run="counter", text=COUNTING[1:])
        until_here(view, COUNTING)
    expect(view.at("lost-note")).to_be_visible()
    write(view, COUNTING + "aaXbb")
    expect(view.at("engine")).to_contain_text(HERE)
    check_values(view, "counter", COUNTING + "aaXbb", [(3, 16)])
    expect(view.at("lost-note")).to_be_visible()


@pytest.fixture
def failing_page(browser: Browser, origins: set[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a page in which the worker gets another content security policy, or another script."""
    with watched_page(browser, origins, refusals=True) as page:
        page.context.route("**/worker.js", request.param)
        yield page


def _without_wasm(route: Route) -> None:
    answer = route.fetch()
    policy = answer.headers["content-security-policy"]
    assert "'wasm-unsafe-eval'" in policy
    changed = {**answer.headers, "content-security-policy": policy.replace(" 'wasm-unsafe-eval'", "")}
    route.fulfill(response=answer, headers=changed)


def _without_worker(route: Route) -> None:
    route.fulfill(status=404)


@pytest.mark.parametrize("failing_page", [_without_wasm, _without_worker], indirect=True)
def test_server_answers_where_the_worker_cannot(
    failing_page: Page, start_server: Callable[[Path], str], runs: Path
) -> None:
    view = View(failing_page, start_server(runs), runs)
    requests = Requests(failing_page)
    view.open(view="network", run="counter", text=COUNTING)
    eventually(lambda: _is_at_least(requests["worker.js"], 1))
    for k in range(1, 5):
        write(view, COUNTING + "a" * k)
        expect(view.at("engine")).to_contain_text(PYTHON)
    assert requests["trace"] >= 5
    check_values(view, "counter", COUNTING + "aaaa", [(3, 5)])


def test_strips_come_before_their_check_and_a_wait_is_announced(
    refused_page: Page, start_server: Callable[[Path], str], runs: Path
) -> None:
    """The server answers; its answers are held back to see what the page shows meanwhile."""
    page, view = refused_page, View(refused_page, start_server(runs), runs)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/*.wasm", lambda route: route.abort())
    page.route("**/api/runs/counter/check", hold)
    view.open(view="network", run="counter", text="aXb\n")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "4")
    expect(view.at("equation-check")).to_contain_text("checking")
    eventually(lambda: _is_at_least(len(held), 1))
    held.pop().continue_()
    expect(view.at("equation-check")).to_contain_text("every equation holds")

    page.route("**/api/runs/counter/trace", hold)
    view.at("text-box").fill("aaXbb\n")
    expect(view.at("working")).to_contain_text("Reading the text")
    expect(view.at("working-shown")).to_contain_text("aXb")
    expect(view.at("strips")).to_have_class(re.compile("stale"))
    view.at("working-cancel").click()
    expect(view.at("working")).to_contain_text("cancelled")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "4")
    page.unroute("**/api/runs/counter/trace")
    view.at("working-resume").click()
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "6")
    expect(view.at("working")).to_be_hidden()
    expect(view.at("strips")).not_to_have_class(re.compile("stale"))

    page.unroute("**/api/runs/counter/check")
    page.route(
        "**/api/runs/counter/check",
        lambda route: route.fulfill(status=422, json={"error": "c is off by 0.5.", "code": "EXPLORER_CHECK_FAILED"}),
    )
    view.at("text-box").fill("aaaXb\n")
    expect(view.at("equation-check")).to_contain_text("an equation does not hold")

    # A text that is refused has no strips: those of another text must not stand under the sentence.
    page.route(
        "**/api/runs/counter/trace", lambda route: route.fulfill(status=400, json={"error": "Too long.", "code": "X"})
    )
    view.at("text-box").fill("ab\n")
    expect(view.at("error-note")).to_have_text("Too long.")
    expect(view.at("strips-canvas")).to_be_hidden()
