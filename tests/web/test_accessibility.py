"""What a page is for people who do not see it, or use no mouse: axe-core in every state, focus, and cells as text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.source_files import ROOT
from tests.web.looking import View

AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
SERIOUS = ("serious", "critical")
STATES = {
    "landing": "",
    "strips": "view=network&run=counter&text=aaXbb%0A",
    "held": "view=network&run=counter&text=aaXbb%0A&hold=0.4.f.0.2-",
    "compared": "view=network&run=counter&text=aaXbb%0A&with=run:slstm",
    "empty": "view=network&run=counter&text=",
    "space": "view=network&run=counter&text=aaXbb%0A&space=4,9",
    "neuron": "view=neuron&run=counter&neuron=4",
    "learning": "view=learning&run=counter",
    "gradients": "view=gradient&run=counter",
    "paths": "view=lesson&run=counter",
    "health": "view=health&run=counter",
    "bin": "view=health&run=counter&text=aaXbb%0AaXb%0A&over=text&bin=f.39&matrix=u.f&sort=alike",
    "classes": "view=network&run=deep&layer=layer1",
    "missing": "view=network&run=conter",
    "unreadable": "view=network&run=broken",
}


def check(view: View, state: str, **options: Any) -> None:
    """Check that axe-core finds nothing serious; the fault names the rules and their first elements."""
    found = view.page.evaluate(f"axe.run({json.dumps({'resultTypes': ['violations'], **options})})")["violations"]
    faults = {
        each["id"]: [node["html"][:200] for node in each["nodes"][:3]] for each in found if each["impact"] in SERIOUS
    }
    assert not faults, f"{state}: {json.dumps(faults, indent=1)}"


def test_axe_finds_nothing_serious(view: View) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; scripts/test-web installs it")
    source = AXE.read_text(encoding="utf-8")
    for state, query in STATES.items():
        view.page.emulate_media(color_scheme="light")
        view.page.goto(f"{view.address}/?{query}")
        expect(view.page.locator("h1, [data-testid=error-note]").first).to_be_visible()
        view.page.wait_for_load_state("networkidle")
        view.page.evaluate(source)
        check(view, state)
        if state == "strips":
            for key, box in (("Control+k", "commands"), ("?", "keys"), ("e", "share")):
                view.page.keyboard.press(key)
                expect(view.at(box)).to_be_visible()
                check(view, box)
                view.page.keyboard.press("Escape")
                expect(view.at(box)).to_be_hidden()
        view.page.emulate_media(color_scheme="dark")
        check(view, f"{state}, dark", runOnly=["color-contrast"])


def test_new_page_is_announced_and_focused(view: View) -> None:
    view.open(view="network", run="counter", text="aaXbb\n")
    assert view.page.evaluate("() => document.activeElement === document.body")
    view.at("tab-health").click()
    expect(view.at("announced")).to_have_text("health · counter · gatescope")
    expect(view.page.locator("main")).to_be_focused()
    view.page.go_back()
    expect(view.at("announced")).to_have_text("counter · gatescope")
    view.page.reload()
    view.page.keyboard.press("Tab")
    expect(view.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    view.page.keyboard.press("Enter")
    expect(view.page.locator("main")).to_be_focused()


def test_visible_cells_can_be_read_as_a_table(view: View) -> None:
    text = "aaXbb\n"
    view.open(view="network", run="counter", text=text, signal="h")
    values = view.recorded("counter", text).layers["layer0"]["h"]
    table = view.at("cell-table")
    table.locator("summary").click()
    expect(table.locator("thead th")).to_have_count(1 + len(text))
    rows = table.locator("tbody tr").all()
    assert rows
    for row in rows:
        neuron = int(row.locator("th").inner_text())
        printed = [float(cell.replace("−", "-")) for cell in row.locator("td").all_inner_texts()]
        assert printed == pytest.approx(values[neuron, : len(text)].tolist(), abs=6e-4)


def test_forced_colours_keep_scales_and_bars(view: View) -> None:
    """The system's colours replace grounds, but a scale, a probability and the bar of a slider are nothing else."""
    view.page.emulate_media(forced_colors="active")
    view.page.goto(f"{view.address}/?view=network&run=counter&text=aaXbb%0A&neuron=4&step=3")
    panel = view.at("neuron-panel")
    expect(panel.locator(".part.first")).to_be_visible()
    expect(view.page.locator(".legend .colours")).to_have_css("background-image", re.compile("^linear-gradient"))
    ground = "(bar) => getComputedStyle(bar).backgroundColor"
    grounds = [panel.locator(bar).first.evaluate(ground) for bar in (".part.first", ".slider .track", ".slider s")]
    assert len({*grounds, panel.evaluate(ground)}) >= 3
    assert panel.evaluate(ground) not in grounds
