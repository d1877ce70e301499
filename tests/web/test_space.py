"""The path through the space of states, and neurons that are alike together: the numbers of NumPy and SciPy."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, Position, expect
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from tests.web.hosts import HOSTS, address_of
from tests.web.looking import View, eventually, recorded
from tests.web.watching import watched_page

TEXT = "aaaaXbbbb\naaXbb\n"
CUT_SHARE = 0.7


class LookView(View):
    """A page whose address has the query after it, on a server or in a file."""

    def look(self, view: str = "network", run: str = "counter", text: str = TEXT, **query: str | int) -> None:
        """Follow a link, and wait until its text is drawn."""
        separator = "" if self.address.endswith(".html") else "/"
        query = dict(view=view, run=run, text=text, **query)
        self.page.goto(f"{self.address}{separator}?{urlencode(query)}")
        if text and view in ("network", "neuron"):
            expect(self.at("strips-canvas")).to_be_visible()

    @property
    def query(self) -> str:
        """The query of the address, once it is up to date."""
        return str(self.page.evaluate("decodeURIComponent(location.search)"))


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> LookView:
    """Open the counter on the local server, and in a live file."""
    return LookView(page, address_of(request.param, start_server, runs, tmp_path), runs)


def components(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the projections (2, T) on two principal components of (N, T), and their shares of the variance."""
    centred = (values - values.mean(1, keepdims=True, dtype=np.float64)).T
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    return (directions * signs[:, None])[:2] @ centred.T, sizes**2 / (sizes**2).sum()


def dot_of(canvas: Locator) -> Position:
    """Return the place of the dot of the cursor on the canvas."""
    return {"x": float(canvas.get_attribute("data-x") or ""), "y": float(canvas.get_attribute("data-y") or "")}


def shown_place(view: View) -> list[float]:
    """Return the numbers of the line of the cursor under the path."""
    numbers = view.at("space-cursor").inner_text().rpartition(": ")[2].replace("−", "-")
    return [float(number) for number in numbers.split(", ")]


def check_place(view: View, step: int, place: NDArray[np.float64]) -> None:
    """Check the step and the coordinates of the cursor."""

    def check() -> None:
        assert view.at("space-cursor").inner_text().startswith(f"step {step},")
        assert shown_place(view) == pytest.approx(place.tolist(), abs=0.0051)

    eventually(check)


def test_path_is_that_of_numpy(shown: LookView) -> None:
    projected, shares = components(recorded(shown.runs / "counter", TEXT).layers["layer0"]["c"])
    shown.look(space="pca", signal="c")
    for step in (2, 7, 12):
        shown.point(3, step)
        check_place(shown, step, projected[:, step])
    printed = shown.at("space").locator(".axis").all_inner_texts()
    assert [int(number) for text in printed for number in re.findall(r"(\d+) %", text)] == pytest.approx(
        100 * shares[[1, 0]], abs=0.51
    )
    shown.at("signal-h").click()
    projected, _ = components(recorded(shown.runs / "counter", TEXT).layers["layer0"]["h"])
    shown.point(3, 7)
    check_place(shown, 7, projected[:, 7])


def test_pointer_on_a_dot_moves_the_strips_and_a_click_pins(shown: LookView) -> None:
    shown.look(space="pca", signal="c")
    shown.point(2, 6)
    canvas = shown.at("space-canvas")
    place = dot_of(canvas)
    shown.point(2, 1)
    canvas.hover(position=place)
    expect(shown.at("cursor-text")).to_contain_text("step 6 ·")
    canvas.click(position=place)
    eventually(lambda: check_query(shown, "neuron=2&step=6"))
    shown.page.reload()
    expect(shown.at("space-cursor")).to_contain_text("step 6,")
    shown.at("space-keys").focus()
    shown.page.keyboard.press("ArrowRight")
    expect(shown.at("space-cursor")).to_contain_text("step 7,")
    expect(shown.at("cursor-text")).to_contain_text("step 7 ·")


def check_query(view: LookView, part: str) -> None:
    """Check that the address has a part."""
    assert part in view.query, view.query


def test_two_neurons_are_axes_and_back_restores(shown: LookView) -> None:
    values = recorded(shown.runs / "counter", TEXT).layers["layer0"]["c"]
    shown.look(space="4,9", signal="c", neuron=4, step=7)
    check_place(shown, 7, values[[4, 9], 7].astype(np.float64))
    field = shown.at("space-neuron-1")
    field.fill("1")
    field.press("Enter")
    check_place(shown, 7, values[[4, 1], 7].astype(np.float64))
    eventually(lambda: check_query(shown, "space=4,1"))
    field.fill("99")
    field.press("Enter")
    expect(field).to_have_value("1")
    shown.page.reload()
    check_place(shown, 7, values[[4, 1], 7].astype(np.float64))
    shown.page.go_back()
    check_place(shown, 7, values[[4, 9], 7].astype(np.float64))
    shown.at("space-pca").click()
    check_place(shown, 7, components(values)[0][:, 7])


def test_short_text_has_no_path_and_still_signal_says_so(shown: LookView) -> None:
    shown.look(text="aX", space="pca")
    expect(shown.at("space-empty")).to_contain_text("at least 3 steps; this text has 2")
    shown.look(space="4,99")
    expect(shown.at("link-note")).to_contain_text("The two principal components are shown.")
    shown.look(space="4")
    expect(shown.at("link-note")).to_contain_text("“pca” or two different neurons")


def test_legend_lights_the_dots_of_a_symbol(shown: LookView) -> None:
    shown.look(space="pca")
    buttons = shown.at("space-legend").locator("button")
    expect(buttons).to_have_text(["a", "X", "b", "⏎"])
    buttons.nth(1).focus()
    shown.page.keyboard.press("Enter")
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")


def test_finger_finds_a_dot(
    browser: Browser, origins: set[str], start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> None:
    for host in HOSTS:
        with watched_page(browser, origins, phone=True) as page:
            view = LookView(page, address_of(host, start_server, runs, tmp_path), runs)
            view.look(space="pca", neuron=2, step=6)
            view.at("sheet-more").tap()
            canvas = view.at("space-canvas")
            expect(canvas).to_be_visible()
            place = dot_of(canvas)
            view.page.keyboard.press("ArrowRight")
            expect(view.at("space-cursor")).to_contain_text("step 7,")
            canvas.tap(position=place)
            expect(view.at("space-cursor")).to_contain_text("step 6,")


def test_neurons_that_are_alike_stand_together(shown: LookView) -> None:
    values = recorded(shown.runs / "counter", TEXT).layers["layer0"]["c"].astype(np.float64)
    distances = squareform(1 - np.abs(np.corrcoef(values)), checks=False)
    tree = linkage(distances, "average")
    groups = fcluster(tree, CUT_SHARE * tree[:, 2].max(), "distance")
    shown.look(signal="c")
    shown.at("sort").select_option("alike")
    eventually(lambda: check_query(shown, "sort=alike"))
    order: list[int] = []
    for row in range(len(values)):
        shown.point(row, 3)
        order += [int(number) for number in re.findall(r"^neuron (\d+)", shown.at("cursor-text").inner_text())]
    assert sorted(order) == list(range(len(values)))
    changes = [row for row in range(1, len(order)) if groups[order[row]] != groups[order[row - 1]]]
    assert len(changes) == groups.max() - 1
    shown.page.mouse.move(0, 0)
    picture = shown.picture()
    ink = np.array(shown.variable("--ink"))
    lines = [
        row
        for row in range(1, picture.rows)
        if (np.abs(picture.pixels[picture.corner(row, 0)[1] - 1, 2:8] - ink) < 40).all()
    ]
    assert lines == changes
    shown.page.reload()
    expect(shown.at("sort")).to_have_value("alike")
