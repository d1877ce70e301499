"""The slider of checkpoints: strips, predictions and the panel have the weights of the chosen training step."""

import numpy as np
import pytest
from playwright.sync_api import expect

from gatescope import Run, record
from tests.web.looking import View, eventually

TEXT = "aaXbb\n"


def _check_panel(view: View, step: int | None) -> None:
    trace = record(Run(view.runs / "counter").network(step)[0], TEXT)
    expected = {name: float(trace["layer0"][name][0, 4, 3]) for name in "ifgoch"}
    shown = view.panel()
    assert shown == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_slider_shows_the_weights_of_each_checkpoint(view: View) -> None:
    run = Run(view.runs / "counter")
    steps = run.checkpoints()
    assert len(steps) > 1
    view.open(view="network", run="counter", text=TEXT)
    view.point(3, 4)
    expect(view.at("checkpoint-note")).to_have_count(0)
    view.unfold("checkpoint-menu")
    for position in (0, 1, 0, len(steps)):
        step = dict(enumerate(steps)).get(position)
        view.at("checkpoint").fill(str(position))
        eventually(lambda step=step: _check_panel(view, step))
        expect(view.at("checkpoint-note")).to_have_count(0 if step is None else 1)
        expect(view.page.get_by_test_id("facts")).to_contain_text(f"trained {run.network(step)[1]} step")


def test_link_to_a_checkpoint_opens_its_weights(view: View) -> None:
    first, *_ = Run(view.runs / "counter").checkpoints()
    view.open(view="neuron", run="counter", text=TEXT, neuron=3, checkpoint=first)
    trace = record(Run(view.runs / "counter").network(first)[0], TEXT)
    best = record(Run(view.runs / "counter").network()[0], TEXT)
    assert np.abs(trace["layer0"]["c"] - best["layer0"]["c"]).max() > 0.1
    view.point(0, 4)
    eventually(lambda: _check_panel(view, first))
