"""Weights as pictures, values of all neurons, one step of every sequence, and the card of a neuron, as in Python."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Position, expect

from gatescope import Run
from gatescope.explorer.study_text import StudyText
from gatescope.studies.passages import passages
from gatescope.studies.snapshots import snapshot
from tests.web.hosts import HOSTS, address_of
from tests.web.looking import eventually, recorded
from tests.web.test_space import TEXT, LookView, check_query
from tests.web.watching import watched_page

WORDS = "".join("a" * n + "X" + "b" * n + "\n" for n in (3, 1, 2, 4, 2))


@pytest.fixture(params=HOSTS)
def shown(
    request: pytest.FixtureRequest, page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> LookView:
    """Open the counter on the local server, and in a live file."""
    return LookView(page, address_of(request.param, start_server, runs, tmp_path), runs)


def is_live(view: LookView) -> bool:
    """Return whether the page is a live file."""
    return view.address.endswith(".html")


def cell(view: LookView, name: str, row: int, column: int) -> Position:
    """Return the middle of a cell of a picture, in pixels of its canvas."""
    names = ("left", "top", "cellWidth", "cellHeight")
    left, top, width, height = view.at(name).evaluate(
        f"(canvas) => {list(names)}.map((name) => Number(canvas.dataset[name]))"
    )
    return {"x": left + (column + 0.5) * width, "y": top + (row + 0.5) * height}


def number_in(text: str) -> float:
    """Return the first number of a text."""
    match = re.search(r"[−-]?\d+\.\d+", text)
    assert match is not None, text
    return float(match.group().replace("−", "-"))


def tip(view: LookView) -> Locator:
    """Return the box beside the pointer."""
    return view.page.locator(".tip")


def test_weights_of_health_are_those_of_the_network(shown: LookView) -> None:
    weights = Run(shown.runs / "counter").network()[0].parameters_of(0)
    shown.look("health", sort="number", matrix="u.f")
    canvas = shown.at("weights-u.f")
    for to, source in ((2, 7), (9, 0)):
        canvas.hover(position=cell(shown, "weights-u.f", to, source))
        expect(tip(shown)).to_contain_text(f"from neuron {source} to neuron {to}")
        expected = float(weights.recurrent_weights[1, to, source].detach())
        assert number_in(tip(shown).inner_text()) == pytest.approx(expected, abs=0.00051)
    shown.at("matrix").select_option("x")
    shown.at("weights-x.g").hover(position=cell(shown, "weights-x.g", 4, 1))
    expect(tip(shown)).to_contain_text("to neuron 4")
    assert number_in(tip(shown).inner_text()) == pytest.approx(
        float(weights.input_weights[2, 4, 1].detach()), abs=0.00051
    )
    eventually(lambda: check_query(shown, "matrix=x"))
    shown.page.go_back()
    expect(canvas).to_be_visible()
    canvas.click(position=cell(shown, "weights-u.f", 6, 3))
    eventually(lambda: check_query(shown, "view=neuron"))
    eventually(lambda: check_query(shown, "neuron=6"))


def test_keys_go_from_weight_to_weight(shown: LookView) -> None:
    weights = Run(shown.runs / "counter").network()[0].parameters_of(0)
    shown.look("health", sort="number", matrix="u.o")
    keys = shown.at("weights-u.o-keys")
    keys.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowRight"):
        shown.page.keyboard.press(key)
    line = shown.at("weights-u.o-text")
    expect(line).to_contain_text("from neuron 1 to neuron 2")
    expected = float(weights.recurrent_weights[3, 2, 1].detach())
    assert number_in(line.inner_text()) == pytest.approx(expected, abs=0.00051)
    shown.page.keyboard.press("Enter")
    eventually(lambda: check_query(shown, "neuron=2"))


def test_weights_of_a_neuron_are_its_rows_and_columns(shown: LookView) -> None:
    network = Run(shown.runs / "counter").network()[0]
    weights = network.parameters_of(0)
    shown.look("neuron", neuron=4, sort="number")
    shown.at("weights-in.recurrent").hover(position=cell(shown, "weights-in.recurrent", 1, 7))
    expect(tip(shown)).to_contain_text("from neuron 7 to u.f of neuron 4")
    assert number_in(tip(shown).inner_text()) == pytest.approx(
        float(weights.recurrent_weights[1, 4, 7].detach()), abs=0.00051
    )
    shown.at("weights-out.recurrent").hover(position=cell(shown, "weights-out.recurrent", 2, 5))
    expect(tip(shown)).to_contain_text("from neuron 4 to u.g of neuron 5")
    assert number_in(tip(shown).inner_text()) == pytest.approx(
        float(weights.recurrent_weights[2, 5, 4].detach()), abs=0.00051
    )
    shown.at("weights-out.readout").hover(position=cell(shown, "weights-out.readout", 0, 0))
    assert number_in(tip(shown).inner_text()) == pytest.approx(
        float(network.readout_weights[0, 4].detach()), abs=0.00051
    )


def test_drive_opens_its_parts_in_the_diagram(shown: LookView) -> None:
    shown.look("neuron", neuron=4, step=3)
    shown.at("parts-u.f").click()
    eventually(lambda: check_query(shown, "sum=u.f"))
    eventually(lambda: check_query(shown, "panel=diagram"))
    expect(shown.at("contributions")).to_be_visible()


def test_finger_reads_a_weight_and_then_opens_its_neuron(
    browser: Browser, origins: set[str], start_server: Callable[[Path], str], runs: Path
) -> None:
    with watched_page(browser, origins, phone=True) as page:
        view = LookView(page, start_server(runs), runs)
        view.look("health", sort="number", matrix="u.f")
        view.at("weights-u.f").tap(position=cell(view, "weights-u.f", 3, 2))
        expect(view.at("weights-u.f-text")).to_contain_text("from neuron 2 to neuron 3")
        assert "view=health" in view.query
        view.at("weights-u.f-open").tap()
        eventually(lambda: check_query(view, "neuron=3"))


def test_distributions_of_the_text_are_those_of_numpy(shown: LookView) -> None:
    values = recorded(shown.runs / "counter", TEXT).layers["layer0"]
    shown.look("health", over="text")
    expect(shown.at("distributions-steps")).to_have_text(f"{len(TEXT)} steps")
    for name, low, high in (("f", 0.0, 1.0), ("h", -1.0, 1.0), ("c", values["c"].min(), values["c"].max())):
        counts, _ = np.histogram(values[name].astype(np.float64), 40, (low, high))
        bars = shown.at(f"distribution-{name}").locator("rect")
        assert [int(each.get_attribute("data-count") or "") for each in bars.all()] == counts.tolist()
    shown.at("distribution-f").focus()
    shown.page.keyboard.press("End")
    shown.page.keyboard.press("Enter")
    edges = np.linspace(0, 1, 41)
    expected = [n for n, row in enumerate(values["f"]) if (row >= edges[-2]).any()]
    listed = shown.at("bin-neurons").locator("a")
    expect(listed).to_have_count(len(expected))
    assert sorted(int(each.inner_text().split()[0]) for each in listed.all()) == expected
    eventually(lambda: check_query(shown, "bin=f.39"))
    shown.page.reload()
    expect(listed).to_have_count(len(expected))


def test_distributions_of_held_out_text_equal_the_study(shown: LookView) -> None:
    shown.look("health")
    if is_live(shown):
        expect(shown.at("distributions").get_by_test_id("not-computed")).to_contain_text("gatescope explore")
        expect(shown.at("distributions-steps")).to_have_text(f"{len(TEXT)} steps")
        return
    text = StudyText(Run(shown.runs / "counter"))
    values = np.concatenate([np.asarray(text.trace["layer0"]["i"])[s, :n] for s, n in enumerate(text.trace.lengths)])
    bars = shown.at("distribution-i").locator("rect")
    expect(bars).to_have_count(40)
    counts, _ = np.histogram(values.astype(np.float64), 40, (0, 1))
    assert [int(each.get_attribute("data-count") or "") for each in bars.all()] == counts.tolist()


def test_one_step_of_every_sequence_is_the_snapshot(shown: LookView) -> None:
    words = sorted(set(WORDS.splitlines(keepends=True)), key=len)
    values = recorded(shown.runs / "counter", WORDS).layers["layer0"]["c"]
    starts = {word: WORDS.index("\n" + word) + 1 if not WORDS.startswith(word) else 0 for word in words}
    shown.look("health", text=WORDS, over="text", signal="c", sort="number")
    expect(shown.at("snapshot-count")).to_have_text("4 different sequences")
    for column, word in enumerate(words):
        shown.at("snapshot-map").hover(position=cell(shown, "snapshot-map", 4, column))
        step = word.index("X")
        expect(tip(shown)).to_contain_text(f"{word.strip()}⏎, step {step}")
        expected = float(values[4, starts[word] + step])
        assert number_in(tip(shown).inner_text()) == pytest.approx(expected, abs=0.00051)
    shown.at("snapshot-at").select_option("#-1")
    eventually(lambda: check_query(shown, "at=#-1"))
    shown.page.reload()
    expect(shown.at("snapshot-count")).to_have_text("4 different sequences")
    shown.at("snapshot-map").hover(position=cell(shown, "snapshot-map", 4, 0))
    assert number_in(tip(shown).inner_text()) == pytest.approx(float(values[4, starts[words[0]] + 3]), abs=0.00051)


def test_neuron_stands_at_every_word(view: LookView) -> None:
    text = StudyText(Run(view.runs / "counter"))
    table = snapshot(text.trace, "X", signals=["c"]).where(neuron=4)
    shown = LookView(view.page, view.address, view.runs)
    shown.look("neuron", neuron=4, signal="c")
    dots = shown.at("snapshot-plot").locator("circle")
    expect(dots).to_have_count(len(table))
    found = sorted(float(dot.get_attribute("data-value") or "") for dot in dots.all())
    assert found == pytest.approx(sorted(float(row["c"]) for row in table), rel=1e-6)
    shown.at("snapshot-plot").focus()
    shown.page.keyboard.press("ArrowRight")
    expect(shown.at("snapshot-text")).to_contain_text("step 1")
    shown.page.keyboard.press("Enter")
    eventually(lambda: check_query(shown, "step=1"))


def test_one_long_text_has_no_step_of_every_sequence(view: LookView) -> None:
    shown = LookView(view.page, view.address, view.runs)
    shown.look("health", run="poem", text="")
    expect(shown.at("snapshot-none")).to_contain_text("This network reads one long text.")


def test_card_of_a_neuron_has_its_best_passages(shown: LookView) -> None:
    shown.look(signal="c", sort="number")
    layout = shown.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    row: Position = {"x": 10, "y": int(layout["header"]) + 4.5 * int(layout["pitch"])}
    shown.at("strips-canvas").hover(position=row)
    card = shown.at("neuron-card")
    expect(card.get_by_test_id("passage")).to_have_count(3)
    text = StudyText(Run(shown.runs / "counter"))
    table = passages(text.trace, "layer0", "c", 4, count=3, context=28, apart=112)
    found = [number_in(each.inner_text()) for each in card.get_by_test_id("passage").all()]
    assert found == pytest.approx([float(value) for value in table["value"]], abs=0.0051)
    shown.page.mouse.move(600, 700)
    expect(card).to_have_count(0)


def test_key_opens_the_card_and_escape_closes_it(shown: LookView) -> None:
    shown.look(signal="c", sort="number")
    shown.point(2, 3)
    shown.page.keyboard.press("i")
    card = shown.at("neuron-card")
    expect(card.get_by_test_id("passage").first).to_be_visible()
    expect(card).to_contain_text("Neuron 2")
    shown.page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    shown.page.keyboard.press("i")
    card.get_by_test_id("passage").first.click()
    expect(card).to_have_count(0)
    eventually(lambda: check_query(shown, "step="))


def test_long_press_opens_the_card(
    browser: Browser, origins: set[str], start_server: Callable[[Path], str], runs: Path
) -> None:
    with watched_page(browser, origins, phone=True) as page:
        view = LookView(page, start_server(runs), runs)
        view.look(signal="c", sort="number")
        layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
        box = view.at("strips-canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + 10, box["y"] + int(layout["header"]) + 1.5 * int(layout["pitch"])
        session = page.context.new_cdp_session(page)
        session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        expect(view.at("neuron-card")).to_contain_text("Neuron 1")
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert "view=network" in view.query
