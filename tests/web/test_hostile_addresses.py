"""Addresses with nonsense in every field: the page names what it cannot use, leaves it out and shows the rest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from gatescope import record
from tests.web.hosts import live_address
from tests.web.looking import eventually
from tests.web.test_holds import HeldView

TEXT = "aaaaaaXbbb"
PLACE: dict[str, Any] = {"view": "network", "run": "counter", "text": TEXT}
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
LONG = "9" * 2000
# Fields with values of their own kind; view, run and text say what is shown.
LISTED = ("sort", "zoom", "as", "neurons", "panel", "space", "over", "below", "with", "pairs", "rows", "by", "order")
COUNTS = ("neuron", "step", "operation", "checkpoint", "source", "write", "seed")
RANGES = ("range", "pair")
OTHERS = ("threshold", "temperature", "branch", "hold", "sets", "against", "layer", "signal", "drive")
FIELDS = (*LISTED, *COUNTS, *RANGES, *OTHERS)
NONSENSE: dict[str, dict[str, Any]] = {
    "words": dict.fromkeys(FIELDS, "nonsense"),
    "script": dict.fromkeys(FIELDS, SCRIPT),
    "negative": dict.fromkeys(FIELDS, "-1"),
    "nan": dict.fromkeys(FIELDS, "NaN"),
    "long": dict.fromkeys(("neuron", "step", "write", "hold", "branch", "with", "space", "range"), LONG),
    "huge": {
        **dict.fromkeys(("neuron", "neurons", "checkpoint", "source", "zoom", "write"), "999999999"),
        **dict.fromkeys(("temperature", "seed"), "1e308"),
        "step": "999999999",
        "range": "999999998-999999999",
        "space": "999999998,999999999",
        "branch": "999999999:X",
        "hold": "0.4.c.1e308.0-",
        "sets": "A:0.4.c.-1e300.0-",
        "with": "checkpoint:999999999",
    },
}
SECTIONS = [
    ({"view": "health", "matrix": SCRIPT, "at": SCRIPT, "bin": "c.999"}, ("matrix", "at", "bin")),
    ({"panel": "diagram", "neuron": 4, "step": 5, "sum": "nonsense", "operation": 99}, ("sum", "operation")),
    ({"view": "learning", "checkpoint": 7}, ("checkpoint",)),
    ({"view": "neuron", "neuron": 99}, ("neuron",)),
    ({"view": "lesson", "drive": SCRIPT, "source": 99, "pair": "2-1"}, ("drive", "source", "pair")),
    ({"view": "gradient", "pair": "0-99", "by": "magic"}, ("by", "pair")),
]


def go(view: HeldView, fields: list[tuple[str, Any]]) -> None:
    """Follow a link."""
    separator = "" if view.address.endswith(".html") else "/"
    view.page.goto(f"{view.address}{separator}?{urlencode(fields)}")


def expect_notes(view: HeldView, wrong: dict[str, Any]) -> None:
    """Wait until each field has a sentence, and none of their values is left in the address."""

    def check() -> None:
        notes = view.at("link-note").locator("li").all_inner_texts()
        named = {note.partition(" of the link:")[0].lower() for note in notes}
        assert wrong.keys() - named == set()
        left = set(parse_qsl(urlsplit(view.page.url).query))
        assert {(name, str(value)) for name, value in wrong.items()} & left == set()

    eventually(check)


def check_picture(view: HeldView) -> None:
    """Compare a cell with Python's free network: nothing of the nonsense changed the numbers."""
    values = record(view.network(), TEXT)["layer0"]["c"][0, :, 3]
    view.point(3, 6)
    eventually(
        lambda: expect(view.at("cursor-text")).to_contain_text(f"{values[6]:.3f}".replace("-", "−"), timeout=500)
    )


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_named_and_left_out(page: Page, start_server: Callable[[Path], str], runs: Path, kind: str) -> None:
    view = HeldView(page, start_server(runs), runs)
    fields = NONSENSE[kind]
    go(view, [*PLACE.items(), *fields.items()])
    expect(view.at("strips-canvas")).to_be_visible()
    expect_notes(view, fields)
    assert page.locator("main img, main script").count() == 0
    view.at("link-note").get_by_role("button").click()
    check_picture(view)


@pytest.mark.parametrize(
    ("query", "names"), SECTIONS, ids=["health", "diagram", "learning", "neuron", "lesson", "gradient"]
)
def test_fields_of_a_section_are_checked_there(
    page: Page, start_server: Callable[[Path], str], runs: Path, query: dict[str, Any], names: tuple[str, ...]
) -> None:
    view = HeldView(page, start_server(runs), runs)
    go(view, [*{**PLACE, **query}.items()])
    expect_notes(view, {name: query[name] for name in names})
    expect(page.locator("main")).not_to_be_empty()


def test_empty_fields_are_as_absent_ones(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = HeldView(page, start_server(runs), runs)
    go(view, [*PLACE.items(), *((name, "") for name in FIELDS if name not in ("hold", "branch", "sets"))])
    expect(view.at("strips-canvas")).to_be_visible()
    check_picture(view)
    expect(view.at("link-note")).to_have_count(0)


def test_first_of_repeated_fields_is_used(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = HeldView(page, start_server(runs), runs)
    go(view, [*PLACE.items(), ("neuron", 4), ("neuron", 5), ("step", 2), ("step", 3), ("text", "aaX")])
    expect(view.at("cursor-text")).to_contain_text("neuron 4 · step 2")
    for name in ("neuron", "step", "text"):
        expect(view.at("link-note")).to_contain_text(f"The link has “{name}” more than once. The first one is used.")


def test_a_live_file_survives_nonsense(page: Page, runs: Path, tmp_path: Path) -> None:
    view = HeldView(page, live_address(runs / "counter", tmp_path), runs)
    fields = NONSENSE["script"]
    go(view, [*PLACE.items(), *fields.items()])
    expect_notes(view, fields)
    assert ("text", TEXT) in parse_qsl(urlsplit(page.url).query)


@pytest.mark.parametrize("name", ["nobody", SCRIPT, "x" * 3000, "__proto__", "broken"])
def test_unknown_run_beside_has_a_short_sentence(
    page: Page, start_server: Callable[[Path], str], runs: Path, name: str
) -> None:
    view = HeldView(page, start_server(runs), runs)
    go(view, [*PLACE.items(), ("with", f"run:{name}")])
    expect(view.at("compare-problem")).not_to_be_empty()
    assert len(view.at("compare-problem").inner_text()) < 300
    expect(view.at("strips-canvas")).to_be_visible()


def test_unknown_run_is_named_in_short(page: Page, start_server: Callable[[Path], str], runs: Path) -> None:
    view = HeldView(page, start_server(runs), runs)
    go(view, [("view", "network"), ("run", "x" * 3000)])
    expect(view.at("error-note")).to_contain_text("Run: expected one of this folder, got “xxx")
    assert len(view.at("error-note").inner_text()) < 400
