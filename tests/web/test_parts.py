"""Parts of the page that are loaded after its first picture: the other pages, dialogs and drawers."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.web.looking import View, eventually

PARTS = ("neuron.js", "learning.js", "health.js", "gradients.js", "keys.js", "command-palette.js")


FILES = "() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname.slice(1))"


def files_of(page: Page) -> list[str]:
    """Return the files that the page loaded, in the order of their requests."""
    return page.evaluate(FILES)


def _has(page: Page, *names: str) -> None:
    assert set(names) <= set(files_of(page))


def test_parts_are_loaded_once_after_the_first_picture(view: View) -> None:
    view.open(view="network", run="counter")
    eventually(lambda: _has(view.page, *PARTS))
    files = files_of(view.page)
    assert min(map(files.index, PARTS)) > files.index("api/runs/counter")
    view.at("tab-health").click()
    expect(view.at("health")).to_be_visible()
    view.page.keyboard.press("?")
    expect(view.at("keys")).to_be_visible()
    assert [files_of(view.page).count(part) for part in PARTS] == [1] * len(PARTS)


def test_page_of_a_link_is_loaded_at_once(view: View) -> None:
    view.open(view="neuron", run="counter", neuron=1)
    expect(view.at("strips")).to_be_visible()
    expect(view.at("part-loading")).to_have_count(0)


def test_failed_part_says_so_and_is_tried_again(
    refused_page: Page, start_server: Callable[[Path], str], runs: Path
) -> None:
    view = View(refused_page, start_server(runs), runs)
    missing = True

    def answer(route: Route) -> None:
        if missing:
            route.abort()
        else:
            route.continue_()

    view.page.route("**/health.js", answer)
    view.page.goto(f"{view.address}?view=health&run=counter")
    expect(view.at("part-failed")).to_contain_text("could not be loaded")
    missing = False
    view.at("part-failed").get_by_role("button", name="try again").press("Enter")
    expect(view.at("health")).to_be_visible()
    expect(view.at("part-failed")).to_have_count(0)
