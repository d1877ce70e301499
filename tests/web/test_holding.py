"""Signals that are held by a slider: the strips, the sentence about the consequence, and sets of holds."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from gatescope import TASKS, Choice, Network, Settings, clamp, configure, create_run, define, record, sample
from gatescope.equations import sigmoid, tanh
from tests.web.looking import Picture, View, eventually
from tests.web.test_holds import HeldView, shown  # noqa: F401 # pyright: ignore[reportUnusedImport] (a fixture)

TEXT = "aaaaaaXbbb"
REST_MS = 200  # of a finger before it is lifted; the browser takes a faster end for a flick, and swallows the next tap
NEURON, STEP = 4, 5
CELLS = ("lstm", "gru", "peephole", "slstm", "own")


@define(paper="", title="Leaky")
def own(x, u, p, s):
    """Return a leaky sum with a gate: a cell of one's own."""
    k = sigmoid(x.k + u.k)
    m = k * s.m + (1 - k) * tanh(x.m + p.m)
    return dict(k=k, m=m, h=tanh(m) * k)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run with random weights for each cell."""
    folder = tmp_path_factory.mktemp("cells")
    task = TASKS["counter"]()
    for name in CELLS:
        configuration = configure(task.vocabulary, own if name == "own" else name, [6])
        run = create_run(folder / name, task, configuration, Settings(1))
        run.save_weights(Network(configuration, 3).state_dict(), 0)
    return folder


@pytest.mark.parametrize("name", CELLS)
def test_held_cells_equal_both_engines_of_python(
    page: Page, start_server: Callable[[Path], str], cells: Path, name: str
) -> None:
    """Two holds, of the first and the last signal; every signal and the predictions to display precision."""
    view = HeldView(page, start_server(cells), cells)
    network = view.network(name)
    first, *_, last = network.configuration.layers[0].cell.signals
    parts = [f"0.1.{first}.0.25.3-", f"0.4.{last}.-0.5.5"]
    view.held(TEXT, name, hold=parts, sort="number", signal=last)
    expect(view.at("hold-chip")).to_have_count(2)
    changes = [
        clamp("layer0", first, 1, 0.25, steps=slice(3, None)),
        clamp("layer0", last, 4, -0.5, steps=slice(5, 6)),
    ]
    ids = torch.from_numpy(np.asarray(network.configuration.vocabulary.encode(TEXT)))[:, None]
    signals = tuple(network.configuration.layers[0].cell.signals)
    for engine in ("plain", "auto"):
        with torch.no_grad():
            output = network(ids, keep=[signals], interventions=changes, engine=engine)
        for neuron, step in ((1, 3), (4, 5), (0, 6), (2, len(TEXT) - 1)):
            view.point(neuron, step)
            expected = {signal: float(output.signals[0][signal][step, 0, neuron]) for signal in signals}

            def check(expected: dict[str, float] = expected) -> None:
                assert view.panel() == pytest.approx(expected, rel=1e-5, abs=1e-6)

            eventually(check)


def holds_of(view: View) -> list[str]:
    """Return the holds in the address, once it is written."""
    return parse_qs(view.page.evaluate("location.search.slice(1)")).get("hold", [])


def check_holds(view: View, expected: list[str]) -> None:
    """Wait for the holds in the address."""

    def check() -> None:
        assert holds_of(view) == expected

    eventually(check)


def drag(view: View, signal: str, shares: list[float]) -> None:
    """Drag the slider of a signal over some shares of its width."""
    view.at(f"slider-{signal}").scroll_into_view_if_needed()
    box = view.at(f"slider-{signal}").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    places = [box["x"] + 7 + share * (box["width"] - 14) for share in shares]
    view.page.mouse.move(places[0], middle)
    view.page.mouse.down()
    for place in places[1:]:
        view.page.mouse.move(place, middle)
    view.page.mouse.up()


def part(view: View, picture: Picture, name: str, row: int, step: int) -> np.ndarray:
    """Return the commonest colour of a part of a split cell: "values" or "lower"."""
    place = view.at("strips-canvas").get_attribute(f"data-{name}") or ""
    top, height = map(int, place.split("+"))
    x, y = picture.corner(row, step)
    pixels = picture.pixels[y + top : y + top + height, x : x + picture.cell - 1].reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    return colours[counts.argmax()]


def test_drag_holds_at_this_step_and_is_one_change(shown: HeldView) -> None:  # noqa: F811
    """The panel, the sentence and the address follow; Ctrl-Z and Back undo the whole drag; a reload restores it."""
    shown.held(neuron=NEURON, step=STEP, signal="c")
    drag(shown, "f", [0.8, 0.6, 0.5, 0.4, 0.3])
    expect(shown.at("hold-chip")).to_contain_text(f"f of neuron {NEURON} held at 0.2")
    value = shown.at("slider-f").get_attribute("aria-valuenow")
    check_holds(shown, [f"0.{NEURON}.f.{value}.{STEP}"])
    change = clamp("layer0", "f", NEURON, float(value or "nan"), steps=slice(STEP, STEP + 1))
    trace = record(shown.network(), TEXT, interventions=[change])

    def check() -> None:
        expected = {name: float(values[0, STEP, NEURON]) for name, values in trace["layer0"].items() if "." not in name}
        assert shown.panel() == pytest.approx(expected, rel=1e-5, abs=1e-6)

    eventually(check)
    shown.page.reload()
    expect(shown.at("slider-f")).to_have_attribute("aria-valuenow", value or "")
    expect(shown.at("lock-f")).to_have_attribute("aria-pressed", "true")
    shown.at("strips").focus()
    drag(shown, "o", [0.7, 0.6, 0.5])
    expect(shown.at("hold-chip")).to_have_count(2)
    shown.page.keyboard.press("Control+z")
    expect(shown.at("hold-chip")).to_have_count(1)
    shown.page.keyboard.press("Control+Shift+z")
    expect(shown.at("hold-chip")).to_have_count(2)
    shown.page.go_back()
    expect(shown.at("hold-chip")).to_have_count(1)


def test_slider_works_by_keyboard(shown: HeldView) -> None:  # noqa: F811
    shown.held(neuron=NEURON, step=STEP, signal="c")
    keyboard = shown.page.keyboard
    slider = shown.at("slider-f")
    slider.focus()
    keyboard.press("Home")
    check_holds(shown, [f"0.{NEURON}.f.0.{STEP}"])
    keyboard.press("ArrowRight")
    keyboard.press("PageUp")
    expect(slider).to_have_attribute("aria-valuenow", "0.11")
    keyboard.press("ArrowLeft")
    keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "held at 1.000")
    keyboard.press("m")

    def expect_value(expected: float) -> None:
        def check() -> None:
            assert float(slider.get_attribute("aria-valuenow") or "nan") == pytest.approx(expected, rel=1e-6)

        eventually(check)

    forget = record(shown.network(), TEXT)["layer0"]["f"][0, :, NEURON]
    expect_value(float(np.mean(forget)))
    keyboard.press("Backspace")
    expect(shown.at("hold-chip")).to_have_count(0)
    expect_value(float(forget[STEP]))
    keyboard.press("Enter")
    expect(shown.at("hold-chip")).to_have_count(1)
    expect_value(float(forget[STEP]))
    keyboard.press("Enter")
    expect(shown.at("hold-chip")).to_have_count(0)
    expect(slider).to_be_focused()
    keyboard.press("Control+z")
    expect(shown.at("hold-chip")).to_have_count(1)


def test_strips_show_values_original_and_difference(shown: HeldView) -> None:  # noqa: F811
    """The colours of each part are those of Python's values on the printed scales."""
    shown.held(signal="c", sort="number", hold=f"0.{NEURON}.c.0.{STEP}")
    expect(shown.at("hold-sentence")).not_to_be_empty()
    change = clamp("layer0", "c", NEURON, 0.0, steps=slice(STEP, STEP + 1))
    network = shown.network()
    after, before = (record(network, TEXT, interventions=list(holds))["layer0"]["c"][0] for holds in ([change], []))
    legend = shown.legend()
    # A frame surrounds the held cell.
    steps = (0, STEP - 1, STEP, STEP + 1, len(TEXT) - 1)
    cells = [(row, step) for row in range(6) for step in steps if (row, step) != (NEURON, STEP)]
    picture = shown.picture()
    for row, step in cells:
        assert np.abs(part(shown, picture, "values", row, step) - legend.colour(after[step, row])).max() < 3
        assert np.abs(part(shown, picture, "lower", row, step) - legend.colour(before[step, row])).max() < 3
    shown.at("below-difference").click()
    expect(shown.at("strips-canvas")).to_have_attribute("data-below", "difference")
    assert "below=difference" in shown.page.url
    high = float(shown.at("scale-bar").get_attribute("data-high") or "nan")
    scale = type(legend)(-high, high, legend.stops)
    picture = shown.picture()
    for row, step in cells:
        difference = after[step, row] - before[step, row]
        assert np.abs(part(shown, picture, "lower", row, step) - scale.colour(difference)).max() < 3
    shown.page.reload()
    expect(shown.at("strips-canvas")).to_have_attribute("data-below", "difference")


def test_impossible_value_is_hatched(shown: HeldView) -> None:  # noqa: F811
    shown.held(signal="f", sort="number", hold=f"0.{NEURON}.f.1.1.{STEP}", neuron=NEURON, step=STEP)
    expect(shown.at("hold-chip")).to_contain_text("outside of what f can be: 0 to 1")
    expect(shown.at("slider-f")).to_have_attribute("aria-valuetext", "held at 1.100, outside of what it can be")

    def check() -> None:
        picture = shown.picture()
        assert len(np.unique(picture.patch(NEURON, STEP), axis=0)) > len(np.unique(picture.patch(NEURON, 1), axis=0))

    eventually(check)


def test_landing_page_forgets_in_one_action(shown: HeldView) -> None:  # noqa: F811
    """One click, at most three are allowed; what the sentence counts is what Python writes."""
    page = shown.page
    page.goto(shown.address)
    if not shown.at("live-hold").count():
        page.goto(f"{shown.address}?run=")
    shown.at("live-hold").click()
    sentence = shown.at("hold-sentence")
    expect(sentence).to_contain_text("b's")
    layer, neuron, signal, value, step = holds_of(shown)[0].split(".")
    assert (layer, float(value)) == ("0", 0)
    text = shown.at("text-box").input_value()
    prompt = text[: text.index("X") + 1]
    change = clamp("layer0", signal, int(neuron), 0.0, steps=slice(int(step), int(step) + 1))
    settings = {"length": 40, "choice": Choice(greedy=True), "stop": "\n"}
    network = shown.network()
    after, before = (
        "".join(sample(network, prompt, **settings, interventions=list(holds))).count("b") for holds in ([change], [])
    )
    expected = (
        f"It still writes {after} b's after “{prompt}”."
        if after == before
        else f"Now it writes {after} b's instead of {before} after “{prompt}”."
    )
    expect(sentence).to_have_text(expected)


def test_sets_are_saved_renamed_switched_and_compared(shown: HeldView) -> None:  # noqa: F811
    shown.held(hold=f"0.{NEURON}.c.0.{STEP}", signal="c")
    shown.at("set-save").click()
    expect(shown.at("hold-set")).to_have_count(1)
    shown.at("set-rename").click()
    shown.at("set-new-name").fill("forget")
    shown.page.keyboard.press("Enter")
    expect(shown.at("set-use")).to_have_text("forget")
    expect(shown.at("set-use")).to_be_focused()
    assert parse_qs(shown.page.url.split("?")[1])["sets"] == [f"forget:0.{NEURON}.c.0.{STEP}"]
    shown.at("hold-remove").click()
    expect(shown.at("hold-chip")).to_have_count(0)
    shown.at("set-use").click()
    expect(shown.at("hold-chip")).to_have_count(1)
    shown.at("slider-c").focus()
    shown.at("set-compare").click()
    expect(shown.at("holds")).to_contain_text("No prediction changes its first choice.")
    expect(shown.at("set-compare")).to_have_attribute("aria-pressed", "true")
    shown.page.reload()
    expect(shown.at("set-compare")).to_have_attribute("aria-pressed", "true")
    shown.held(signal="c")
    expect(shown.at("set-use")).to_have_text("forget")
    shown.at("set-remove").click()
    expect(shown.at("hold-set")).to_have_count(0)
    shown.page.keyboard.press("Control+z")


def test_slider_works_by_touch(
    browser: Browser, origins: set[str], start_server: Callable[[Path], str], runs: Path
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    try:
        page = context.new_page()
        view = HeldView(page, start_server(runs), runs)
        view.held(neuron=NEURON, step=STEP, signal="c")
        view.at("sheet-more").click()
        slider = view.at("slider-f")
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box is not None
        session = context.new_cdp_session(page)
        y = box["y"] + box["height"] / 2

        def touch(kind: str, share: float | None) -> None:
            points = [] if share is None else [{"x": box["x"] + share * box["width"], "y": y}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", 0.8)
        for share in (0.7, 0.6, 0.5, 0.4):
            touch("touchMove", share)
        page.wait_for_timeout(REST_MS)
        touch("touchMove", 0.4)
        touch("touchEnd", None)
        expect(view.at("lock-f")).to_have_attribute("aria-pressed", "true")
        value = float(slider.get_attribute("aria-valuenow") or "nan")
        assert 0.2 < value < 0.5
        check_holds(view, [f"0.{NEURON}.f.{value:g}.{STEP}"])
        view.at("lock-f").tap()
        check_holds(view, [])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        context.close()
