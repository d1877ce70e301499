"""The model of the notebook widget: what it holds, what its view accepts, and what a saved notebook keeps of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gatescope
from gatescope import Network, Run, Vocabulary, clamp
from gatescope.errors import GatescopeError
from tests.explorer.live.examples import read_apart

traitlets = pytest.importorskip("traitlets", reason="WIDGET TESTS SKIPPED: the extra 'notebook' is not installed")

TEXT = "abba"
VIEW: dict[str, Any] = {
    "text": "ab",
    "layer": "layer1",
    "signal": "h",
    "neuron": 1,
    "step": 0,
    "steps": [0, 2],
    "holds": [{"layer": "layer0", "signal": "f", "neuron": 2, "value": 0.5, "steps": [1, None]}],
}
"""A view as the page reports it: lists, as in JSON."""


@pytest.fixture
def network() -> Network:
    return Network(Vocabulary(("\n", "a", "b"), end="\n"), cell="lstm", neurons=[3, 2], seed=5)


@pytest.fixture
def widget(network: Network) -> Any:
    return gatescope.explore(network, TEXT)


def test_document_holds_the_weights_of_the_network(network: Network, widget: Any) -> None:
    data, parts = read_apart(widget.document.encode())
    (live,) = data["runs"]
    assert live["network"] == network.configuration.to_json()
    weights = parts[live["weights"]]
    for name, weight in network.state_dict().items():
        assert weight.numpy().tobytes() in weights, name
    assert '<meta name="gatescope-host" content="notebook">' in widget.document


def test_run_path_and_trace_give_the_same_document(network: Network, copy_of: Callable[[str], Run]) -> None:
    run = copy_of("counter")
    of_run, of_path = gatescope.explore(run, "aXb"), gatescope.explore(str(run.path), "aXb")
    assert of_run.document == of_path.document
    assert (of_run.text, of_run.title) == ("aXb", f"{run.name} · gatescope")
    assert gatescope.explore(run).text == run.task().examples()[0]
    trace = network.record([TEXT, "b"])
    assert trace.explore(network, 1).text == trace.text(1)


def test_exploring_a_run_changes_no_file_of_it(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("counter")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    gatescope.explore(run, "aXb")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_state_has_no_folder_of_this_machine(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("text")
    widget = gatescope.explore(run)
    data, _ = read_apart(widget.document.encode())
    assert str(run.path.parent) not in f"{data} {widget.title} {widget.text}"


def test_view_of_the_page_becomes_that_of_the_widget(widget: Any) -> None:
    widget.set_state(VIEW)
    assert (widget.text, widget.layer, widget.signal, widget.neuron, widget.step) == ("ab", "layer1", "h", 1, 0)
    assert widget.steps == (0, 2)
    assert widget.holds == VIEW["holds"]
    widget.set_state(dict.fromkeys(("neuron", "step", "steps")))
    assert (widget.neuron, widget.step, widget.steps) == (None, None, None)


def test_saved_state_restores_the_view(widget: Any) -> None:
    """A notebook keeps the state of the widget, which must hold all that the page needs without a kernel."""
    widget.set_state(VIEW)
    state = widget.get_state()
    assert {name: list(state[name]) if name == "steps" else state[name] for name in VIEW} == VIEW
    assert state["document"].startswith("<!doctype html>")
    assert state["_esm"] == (Path(gatescope.explorer.__file__).parent / "static" / "widget.js").read_text("utf-8")


def test_hold_takes_steps_as_clamp_and_as_the_selection(widget: Any) -> None:
    widget.steps = (1, 3)
    widget.hold(0, "f", 2, 0.5, widget.steps)
    widget.hold("layer1", "h", 1, -1, slice(2, None))
    widget.hold("layer1", "h", 0, 0)
    change = clamp("layer0", "f", 2, 0.5, slice(1, 3))
    assert widget.holds == [
        {"layer": change.layer, "signal": "f", "neuron": 2, "value": 0.5, "steps": [1, 3]},
        {"layer": "layer1", "signal": "h", "neuron": 1, "value": -1.0, "steps": [2, None]},
        {"layer": "layer1", "signal": "h", "neuron": 0, "value": 0.0, "steps": [0, None]},
    ]
    widget.hold(0, "f", 2, 0.25, (1, 3))
    assert [hold["value"] for hold in widget.holds] == [-1.0, 0.0, 0.25]
    widget.release()
    assert widget.holds == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda widget: setattr(widget, "neuron", 3), "expected 0 to 2, got 3"),
        (lambda widget: setattr(widget, "neuron", -1), "expected 0 to 2, got -1"),
        (lambda widget: setattr(widget, "layer", "layer2"), "expected one of layer0, layer1, got 'layer2'"),
        (lambda widget: setattr(widget, "signal", "z"), "expected one of i, f, g, o, c, h, got 'z'"),
        (lambda widget: setattr(widget, "step", -1), "expected 0 or more, got -1"),
        (lambda widget: setattr(widget, "steps", (2, 2)), r"such as \(2, 5\), got \(2, 2\)"),
        (lambda widget: widget.hold(2, "f", 0, 0.0), "expected one of layer0, layer1, got 2"),
        (lambda widget: widget.hold(0, "z", 0, 0.0), "got 'z'"),
        (lambda widget: widget.hold(1, "f", 2, 0.0), "expected 0 to 1, got 2"),
        (lambda widget: widget.hold(0, "f", 0, 1e39), "expected a number of float32, got 1e"),
        (lambda widget: widget.hold(0, "f", 0, 0.0, slice(0, 4, 2)), "the step after the last one"),
        (lambda widget: widget.hold(0, "f", 0, 0.0, (3, 1)), r"got \(3, 1\)"),
        (lambda widget: setattr(widget, "holds", [{"layer": "layer0"}]), "expected the fields layer, signal"),
        (lambda widget: setattr(widget, "holds", VIEW["holds"] * 101), "expected at most 100, got 101"),
    ],
)
def test_wrong_values_name_what_fits(widget: Any, change: Callable[[Any], None], sentence: str) -> None:
    before = widget.get_state()
    with pytest.raises(GatescopeError, match=sentence):
        change(widget)
    assert widget.get_state() == before


def test_document_is_read_only(widget: Any) -> None:
    with pytest.raises(traitlets.TraitError, match="read-only"):
        widget.document = ""


def test_wrong_sources_are_refused(network: Network, tmp_path: Path) -> None:
    with pytest.raises(GatescopeError, match="expected a run, got a place without"):
        gatescope.explore(tmp_path)
    with pytest.raises(GatescopeError, match="expected characters of the vocabulary, got none"):
        gatescope.explore(network, "???")


def test_without_anywidget_the_error_names_the_extra(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"pip install 'gatescope\[notebook\]'"):
        gatescope.explore(network, TEXT)
