"""What the first view needs is requested once, before the program of the page has arrived."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web.looking import View
from tests.web.test_parts import files_of


@pytest.mark.parametrize(
    "query",
    [
        {"view": "network", "run": "counter"},
        {"view": "network", "run": "counter", "text": "aaXbb", "signal": "h", "step": 2},
        {"view": "network", "run": "wide", "text": "ab" * 200, "neuron": 5},
        {"view": "network", "run": "deep", "layer": "layer1", "lang": "zh"},
        {"view": "neuron", "run": "counter", "neuron": 1},
    ],
)
def test_first_view_requests_each_answer_once(view: View, query: dict[str, Any]) -> None:
    """The early script and the program send the same requests; otherwise each answer would be computed twice."""
    sent: list[str] = []
    view.page.on("request", lambda request: sent.append(request.url.removeprefix(view.address)))
    view.open(**query)
    expect(view.at("strips-canvas")).to_be_visible()
    path = f"/api/runs/{query['run']}"
    assert [sent.count(each) for each in ("/api/runs", path, f"{path}/trace")] == [1, 1, 1]
    files = files_of(view.page)
    assert files.index("api/runs") < files.index(f"{path[1:]}/trace")


def test_held_view_is_requested_by_the_program(view: View) -> None:
    """The engine in the page computes what is held; the early script requests no trace that nobody shows."""
    view.open(view="network", run="counter", text="aaXbb", hold="0.1.c.0.2")
    expect(view.at("strips-canvas")).to_have_attribute("data-holds", "0.1.c.0.2")
    assert "api/runs/counter/trace" not in files_of(view.page)


def test_missing_run_is_not_requested(view: View) -> None:
    view.page.goto(f"{view.address}/?view=network&run=nothing")
    expect(view.at("error-note")).to_contain_text("nothing")
    assert "api/runs/nothing" not in files_of(view.page)
