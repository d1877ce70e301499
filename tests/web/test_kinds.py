"""Networks that read words, frames and numbers, and say classes and numbers: what was read, said and right is seen."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from gatescope import Run, record
from gatescope.trace import Trace
from tests.web.examples import FRAME, HORIZON
from tests.web.looking import Picture, View, eventually, expect_formula, formula

SENTENCES = "the cat sees\na dog runs\n"


@pytest.fixture
def view(page: Page, start_server: Callable[[Path], str], kinds: Path) -> View:
    return View(page, start_server(kinds), kinds)


def trace_of(view: View, name: str, text: str) -> Trace:
    """Record a text with the weights and the answers of a run."""
    run = Run(view.runs / name)
    return record(run.network()[0], text, answers=run.task().answers)


def example(view: View, name: str) -> str:
    return Run(view.runs / name).task().examples()[0]


def band(view: View, name: str, index: int = 0) -> tuple[int, int]:
    """Return top and bottom of a part of the header, from the data attributes of the canvas."""
    spans = (view.at("strips-canvas").get_attribute(f"data-{name}") or "").split()
    top, height = map(float, spans[index].split("+"))
    return round(top), round(top + height)


def share_of(pixels: NDArray[np.int64], colour: tuple[int, int, int]) -> float:
    """Return the share of the pixels that have a colour."""
    return float((np.abs(pixels - np.array(colour)).max(axis=-1) < 3).mean())


RIGHT, WRONG = (0xD5, 0xEA, 0xDB), (0xF6, 0xD3, 0xCF)  # grounds, in the light theme


def test_words_have_columns_of_their_own(view: View) -> None:
    view.open(view="network", run="labels", text=SENTENCES)
    picture = view.picture()
    assert picture.steps == 8
    assert view.at("strips-canvas").get_attribute("data-slanted") is None
    paper = np.array(view.variable("--bg"))
    for step, word in enumerate(("the", "cat", "sees", "⏎", "a", "dog", "runs", "⏎")):
        view.point(0, step)
        expect(view.at("cursor-text")).to_contain_text(f"step {step} · “{word}” ·")
    picture = view.picture()
    for step in range(1, 6):  # the cursor is at the last one; a line at the right edge parts the sequences
        inked = np.flatnonzero((np.abs(picture.columns(20, 38, step)[:, :-4] - paper).max(axis=2) > 60).any(axis=0))
        assert inked.size, f"word {step} is printed"
        assert abs((inked[0] + inked[-1]) / 2 - picture.cell / 2) < 4, "in the middle of its column"


def test_words_that_do_not_fit_are_slanted(view: View) -> None:
    view.open(view="network", run="labels", text="the cat sees birds and the dog runs again " * 4)
    assert view.at("strips-canvas").get_attribute("data-slanted") == ""
    assert view.picture().cell <= 50
    view.at("zoom-in").click()
    expect(view.at("strips-canvas")).not_to_have_attribute("data-slanted", "")


def test_predicted_classes_are_coloured_by_correctness(view: View) -> None:
    text = example(view, "labels")
    view.open(view="network", run="labels", text=text, step=0)
    trace = trace_of(view, "labels", text)
    predicted, target = trace.steps["top_token"][0, :, 0], trace.steps["target"][0]
    picture, (top, bottom) = view.picture(), band(view, "predicted")
    for step in range(1, len(target)):
        ground = picture.columns(top + 1, bottom - 1, step)[:, 1:-2]
        if target[step] >= 0:
            assert share_of(ground, RIGHT if predicted[step] == target[step] else WRONG) > 0.4
            assert share_of(ground, WRONG if predicted[step] == target[step] else RIGHT) == 0
    mask = target >= 0
    correct = int((predicted[mask] == target[mask]).sum())
    expect(view.at("verdict")).to_have_text(f"predicted correctly: {correct} of {mask.sum()} tokens")
    names = trace.attributes["readout"]["names"]
    expect(view.at("predictions").get_by_role("listitem").first).to_contain_text(names[predicted[0]])
    expect(view.at("predictions")).to_contain_text(f"target: {names[target[0]]}")


def test_class_and_verdict_of_each_text_are_shown(view: View) -> None:
    text = example(view, "opinion")
    assert text.count("\n") > 1
    trace, names = trace_of(view, "opinion", text), ("bad", "good")
    view.open(view="network", run="opinion", text=text)
    step = 0
    picture, (top, bottom) = view.picture(), band(view, "predicted")
    for k, length in enumerate(trace.lengths[:2]):
        last = length - 1
        predicted, target = int(trace.steps["top_token"][k, last, 0]), int(trace.steps["target"][k, last])
        view.point(0, step)
        expect(view.at("verdict")).to_contain_text(f"predicted “{names[predicted]}”")
        expect(view.at("verdict")).to_contain_text(f"target: “{names[target]}”")
        ground = picture.columns(top + 1, bottom - 1, step + last)[:, 1:-2]
        assert share_of(ground, RIGHT if predicted == target else WRONG) > 0.4
        step += int(length)


def curve_height(picture: Picture, top: int, bottom: int, step: int) -> float:
    """Return the height of the middle of the dark pixels over a step."""
    ink = picture.columns(top - 2, bottom + 2, step).max(axis=2) < 110
    rows = np.flatnonzero(ink[:, ink.shape[1] // 2])
    assert rows.size, f"no curve at step {step}"
    return float(rows.mean()) + top - 2


def test_curve_heights_equal_the_numbers(view: View) -> None:
    values = [0.1, 0.9, 0.4, 0.7, 0.2, 0.8]
    text = "".join(f"{value},{int(k in (1, 4))}\n" for k, value in enumerate(values))
    view.open(view="network", run="sum", text=text, step=0)
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "6")
    picture, (top, bottom) = view.picture(), band(view, "charts")
    heights = [curve_height(picture, top, bottom, step) for step in range(1, 6)]
    slope, start = np.polyfit(values[1:], heights, 1)
    assert slope < -0.5 * (bottom - top)
    assert np.abs(np.polyval([slope, start], values[1:]) - heights).max() < 2.5
    top, bottom = band(view, "charts", 1)
    accent = view.variable("--accent")
    for step in range(1, 6):
        marked = share_of(picture.columns(top + 3, bottom - 3, step)[:, 2:-3], accent)
        assert (marked > 0.9) == (step in (1, 4))


def test_estimate_and_target_of_a_sum_are_shown(view: View) -> None:
    text = "0.25,1\n0.5,0\n0.5,1\n\n0.1,1\n0.2,1\n"
    trace = trace_of(view, "sum", text)
    view.open(view="network", run="sum", text=text)
    assert view.picture().steps == 5, "two sequences, and nothing between them"
    for step, sequence, target in ((1, 0, "0.75"), (4, 1, "0.3")):
        view.point(0, step)
        expect(view.at("verdict")).to_contain_text(f"target: {target} ·")
        estimate = float(re.findall(r"sum (−?[\d.]+)", view.at("verdict").inner_text())[0].replace("−", "-"))
        assert estimate == pytest.approx(
            float(trace.steps["estimate"][sequence, trace.lengths[sequence] - 1, 0]), abs=6e-4
        )


def test_frames_of_many_numbers_are_a_heat_strip(view: View) -> None:
    view.page.set_viewport_size({"width": 1280, "height": 1000})
    text = example(view, "frames")
    values = np.array([[float(value) for value in line.split(",")] for line in text.split("\n") if line])
    view.open(view="network", run="frames", text=text, zoom=4, step=0)
    picture, (top, bottom) = view.picture(), band(view, "heat")
    height = (bottom - top) / FRAME
    checked = 0
    for step in range(2, 12):
        for k in range(FRAME):
            red, _, blue = picture.columns(top, bottom, step)[int((k + 0.5) * height), picture.cell // 2]
            if abs(values[step, k]) > 0.3:
                assert (blue > red) == (values[step, k] > 0)
                checked += 1
    assert checked > 40
    band(view, "predicted")


def test_forecast_is_shown_at_the_cursor(view: View) -> None:
    text = example(view, "forecast")
    trace = trace_of(view, "forecast", text)
    step, steps = 30, int(trace.lengths[0])
    view.open(view="network", run="forecast", text=text, neuron=0, step=step)
    estimates = np.sort(trace.steps["estimate"][0].reshape(steps, HORIZON, 3), axis=2)
    values = trace.steps["value"][0, step]
    inside = int(((estimates[step, :, 0] <= values) & (values <= estimates[step, :, 2])).sum())
    expect(view.at("verdict")).to_contain_text(
        f"after step {step}, the next {HORIZON}: {inside} of the {HORIZON} known values"
    )
    rows = view.at("predictions").get_by_role("row")
    expect(rows).to_have_count(HORIZON + 1)
    for k in range(HORIZON):
        cells = rows.nth(k + 1).locator("td").all_inner_texts()
        assert cells[0] == f"{k + 1} ahead"
        numbers = [float(number.replace("−", "-")) for number in re.findall(r"−?[\d.]+", " ".join(cells[1:]))]
        low, middle, high = estimates[step, k]
        assert numbers == pytest.approx([middle, low, high, values[k]], abs=6e-4)

    # The fan is drawn over the steps ahead, and goes with the cursor.
    top, bottom = band(view, "charts")
    accent = view.variable("--accent")

    def accent_pixels(at: int) -> int:
        columns = view.picture().columns(top, bottom, at)
        return int((np.abs(columns - np.array(accent)).max(axis=2) < 40).sum())

    pixels_at_cursor = accent_pixels(step + 3)
    assert pixels_at_cursor > 3
    view.open(view="network", run="forecast", text=text, neuron=0, step=10)
    assert accent_pixels(step + 3) < pixels_at_cursor
    view.open(view="network", run="forecast", text=text, neuron=0, step=steps - 1)
    assert view.picture().steps == steps
    expect(view.at("verdict")).to_contain_text("beyond the end")
    assert accent_pixels(steps + 1) > 3, "the forecast has room after the last step"


@pytest.mark.parametrize("page_of", ["network", "neuron"])
def test_reverse_layer_is_evaluated_from_the_end(view: View, page_of: str) -> None:
    trace = trace_of(view, "labels", SENTENCES)
    layer = trace["layer0_reverse"]
    view.open(view=page_of, run="labels", layer="layer0_reverse", text=SENTENCES, neuron=2, step=1)
    expect(view.at("layer-0_reverse")).to_have_attribute("aria-pressed", "true")
    expect(view.at("layer-0_reverse")).to_contain_text("←")
    for step in (0, 1, 3, 4, 7):
        sequence, inside = divmod(step, 4)
        view.open(view=page_of, run="labels", layer="layer0_reverse", text=SENTENCES, neuron=2, step=step)
        expect(view.at("neuron-panel")).to_contain_text(f"Neuron 2 · step {step} · after ")
        values = {name: float(layer[name][sequence, inside, 2]) for name in "ifgoch"}
        eventually(lambda expected=values: check_panel(view.panel(), expected))
        before = float(layer["c"][sequence, inside + 1, 2]) if inside < 3 else 0.0
        expect_formula(view.at("worked-c"), "c = f · c₊₁ + i · g")
        numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", formula(view.at("panel-filled-c")))]
        expected = [values["f"], before, values["i"], values["g"]]
        assert numbers == pytest.approx(np.abs(expected), abs=0.00051)
    expect(view.page.locator(".wrong")).to_have_count(0)


def check_panel(panel: dict[str, float], expected: dict[str, float]) -> None:
    assert panel == pytest.approx(expected, abs=1e-6)


def test_text_without_numbers_is_refused(refused_page: Page, start_server: Callable[[Path], str], kinds: Path) -> None:
    view = View(refused_page, start_server(kinds), kinds)
    view.open(view="network", run="sum", text="0.5,1\n0.25,0\n")
    view.at("text-box").fill("0.5,1\nmany,0\n")
    expect(view.at("error-note")).to_contain_text("many")
    view.at("text-box").fill("0.5,1\n0.75,0\n")
    expect(view.at("error-note")).to_have_count(0)
    view.point(0, 1)
    expect(view.at("cursor-text")).to_contain_text("value 0.75, marker 0")


@pytest.mark.parametrize("run", ["opinion", "labels", "frames", "sum", "forecast"])
def test_empty_text_and_cards_of_every_kind_are_shown(view: View, run: str) -> None:
    view.open(view="network", run=run, text="")
    expect(view.page.get_by_text("There is no text to read yet")).to_be_visible()
    view.open()
    expect(view.page.locator(f"[data-testid=run-card][data-run={run}] canvas")).to_be_visible()
