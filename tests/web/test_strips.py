"""The strips of a network and of a neuron: all of them are there, and each cell has the colour of its value."""

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Route, expect
from safetensors.numpy import load, save

from gatescope import Run
from tests.web.examples import POEM, WIDE
from tests.web.looking import Picture, View, eventually

COUNTING = "aaaaXbbbb\naXb\n"


def chinese_font() -> bool:
    """Return whether there is a font for Chinese; true if fc-list is missing."""
    if shutil.which("fc-list") is None:
        return True
    return bool(subprocess.run(["fc-list", ":lang=zh"], capture_output=True, check=False).stdout.strip())


def check_colours(view: View, values: NDArray[np.float32]) -> int:
    """Every cell in sight, but those that the cursor crosses, has the colour that the legend has for its value.

    `values`: (rows, T), in the order of the rows. Returns how many cells there were.
    """
    picture, legend = view.picture(), view.legend()
    cursor = int(re.findall(r"step (\d+)", view.at("cursor-text").inner_text())[0])
    count = 0
    for row, step in picture.cells():
        if abs(step - cursor) * picture.cell > picture.cell + 4:
            shown, expected = picture.colour(row, step), legend.colour(float(values[row, step]))
            assert np.abs(shown - expected).max() < 2.5, f"row {row}, step {step}: {values[row, step]} is {shown}"
            count += 1
    return count


def test_strip_cells_match_the_legend(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING)
    values = view.recorded("counter", COUNTING).layers["layer0"]
    # The cell state has no bound: its scale is the power of two that covers 95 % of the values.
    most = 2.0 ** math.ceil(math.log2(np.quantile(np.abs(values["c"]), 0.95, method="inverted_cdf")))
    view.unfold("legend-meaning")
    for signal, low, high in (("c", -most, most), ("i", 0, 1), ("f", 0, 1), ("o", 0, 1), ("g", -1, 1), ("h", -1, 1)):
        view.at(f"signal-{signal}").click()
        legend = view.legend()
        assert (legend.low, legend.high) == (low, high)
        expect(view.at("legend").get_by_text("hatched: beyond the scale")).to_have_count(int(signal == "c"))
        assert check_colours(view, values[signal]) == 10 * (14 - 3)


def test_own_scales_cover_the_values_of_their_neurons(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING, signal="c")
    values = view.recorded("counter", COUNTING).layers["layer0"]["c"]
    view.unfold("legend-meaning")
    view.at("scale-neuron").check()
    view.page.keyboard.press("Escape")
    expect(view.page).to_have_url(re.compile("scale=neuron"))
    for neuron in range(10):
        view.point(neuron, 3)
        expect(view.at("legend-owner")).to_have_text(f"neuron {neuron}")
        most = 2.0 ** math.ceil(math.log2(np.abs(values[neuron]).max()))
        picture, legend = view.picture(), view.legend()
        assert (legend.low, legend.high) == (-most, most)
        for step in (0, 6, 8, 11, 13):
            shown, expected = picture.colour(neuron, step), legend.colour(float(values[neuron, step]))
            assert np.abs(shown - expected).max() < 2.5, f"neuron {neuron}, step {step}"


def test_scales_are_chosen_by_key_command_and_undone(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING, signal="c")
    owner = view.at("legend-owner")
    expect(owner).to_have_count(0)
    view.page.keyboard.press("s")
    expect(owner).to_be_visible()
    view.page.keyboard.press("Control+z")
    expect(owner).to_have_count(0)
    view.page.keyboard.press("Control+k")
    view.page.keyboard.type("a scale for each neuron")
    view.page.keyboard.press("Enter")
    expect(owner).to_be_visible()
    view.open(view="network", run="counter", text=COUNTING, signal="c", scale="own")
    expect(view.at("link-note")).to_contain_text("All neurons have one scale.")
    expect(owner).to_have_count(0)


def test_scale_runs_from_red_over_paper_to_blue(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING, signal="h")
    paper = np.array(view.variable("--bg"))
    stops = view.legend().stops
    assert tuple(stops[0]) == view.variable("--negative")
    assert np.abs(stops[10] - paper).max() < 8
    assert tuple(stops[20]) == view.variable("--positive")
    view.at("signal-i").click()
    stops = view.legend().stops
    assert np.abs(stops[0] - paper).max() < 8
    assert tuple(stops[20]) == view.variable("--positive")


def test_negative_and_positive_values_have_their_colours(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING)
    values = view.recorded("counter", COUNTING).layers["layer0"]["c"] / view.legend().high
    picture, paper = view.picture(), np.array(view.variable("--bg"))
    seen = set()
    for row, step in picture.cells():
        red, _, blue = colour = picture.colour(row, step)
        if values[row, step] < -0.3:
            assert red > blue + 30
            seen.add("negative is red")
        elif values[row, step] > 0.3:
            assert blue > red + 30
            seen.add("positive is blue")
        elif abs(values[row, step]) < 0.01:
            assert np.abs(colour - paper).max() < 12
            seen.add("zero is paper")
    assert len(seen) == 3


def test_strip_cells_match_the_legend_at_every_zoom(view: View) -> None:
    view.open(view="network", run="poem", text=POEM * 2, signal="h", zoom=4)
    values = view.recorded("poem", POEM * 2).layers["layer0"]["h"]
    cells = []
    for zoom in range(5):
        if zoom:
            view.at("zoom-out").click()
        assert check_colours(view, values) > 300
        cells.append(view.picture().cell)
    assert cells == sorted(set(cells), reverse=True), "each size is smaller than the one before"
    expect(view.at("zoom-out")).to_be_disabled()


def test_legend_prints_the_scale(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING, signal="h")
    assert re.findall(r"[−+]?[\d.]+", view.at("legend").inner_text())[:5] == ["−1", "−0.5", "0", "+0.5", "+1"]
    view.unfold("legend-meaning")
    expect(view.at("legend")).to_contain_text("one scale for all neurons")
    view.at("signal-i").click()
    eventually(lambda: expect(view.at("legend")).to_have_attribute("data-low", "0"))
    assert re.findall(r"[−+]?[\d.]+", view.at("legend").inner_text())[:3] == ["0", "0.5", "1"]


def test_wide_layer_has_a_strip_for_every_neuron(view: View) -> None:
    text = "abcXabc\n" * 8
    view.page.set_viewport_size({"width": 1280, "height": 1600})
    view.open(view="network", run="wide", text=text, zoom=1, sort="number")
    values = view.recorded("wide", text).layers["layer0"]["c"]
    assert values.shape == (WIDE, len(text))
    picture = view.picture()
    assert (picture.rows, picture.steps) == (WIDE, len(text))
    seen: set[int] = set()
    while WIDE - 1 not in seen:
        check_colours(view, values)
        now = {row for row, _ in view.picture().cells()}
        assert now - seen, "scrolling brings other neurons into sight"
        seen |= now
        view.at("strips").evaluate("(scroller) => { scroller.scrollTop += 1000 }")
    assert seen == set(range(WIDE))
    assert not view.page.locator(".wrong").count()


def test_sorted_strips_keep_their_values(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING, signal="h", neuron=7, step=6)
    values = view.recorded("counter", COUNTING).layers["layer0"]["h"]
    expected = {
        "number": list(range(10)),
        "activity": np.argsort(-values.var(axis=1), kind="stable").tolist(),
        "similar": np.argsort(-np.asarray(np.corrcoef(values))[7], kind="stable").tolist(),
    }
    for order, neurons in expected.items():
        view.at("sort").select_option(order)
        eventually(lambda neurons=neurons: check_colours(view, values[neurons]))
    assert expected["similar"][0] == 7


def test_each_layer_has_its_own_neurons(view: View) -> None:
    text = "abcXabc\ncabXcab\n"
    view.open(view="network", run="deep", text=text)
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "8")
    layers = view.recorded("deep", text).layers
    check_colours(view, layers["layer0"]["h"])
    view.at("layer-1").click()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "6")
    check_colours(view, layers["layer1"]["h"])
    expect(view.at("layer-1")).to_have_attribute("aria-pressed", "true")


def test_one_layer_offers_no_choice_of_layers(view: View) -> None:
    view.open(view="network", run="counter", text=COUNTING)
    expect(view.at("layer-0")).to_have_count(0)


def change_traces(view: View, change: Callable[[dict[str, NDArray[np.generic]]], None]) -> None:
    """Apply `change` to the arrays of every trace that the page requests from now on."""

    def handle(route: Route) -> None:
        answer = route.fetch()
        body = answer.body()
        size = int.from_bytes(body[:8], "little")
        metadata = json.loads(body[8 : 8 + size])["__metadata__"]
        arrays = {name: array.copy() for name, array in load(body).items()}
        change(arrays)
        route.fulfill(response=answer, body=save(arrays, metadata))

    view.page.route("**/trace", handle)


def test_missing_and_clipped_values_look_different_from_data(view: View) -> None:
    def change(arrays: dict[str, NDArray[np.generic]]) -> None:
        arrays["layer0.c"][2] = 0.0
        arrays["layer0.c"][2, 9:12] = np.nan
        arrays["layer0.c"][3, 9:12] = 1e6

    change_traces(view, change)
    view.open(view="network", run="counter", text=COUNTING)
    picture = view.picture()
    assert np.abs(np.array(picture.colour(2, 5)) - view.variable("--bg")).max() < 8

    def second_share(row: int, step: int) -> float:
        """Return the share of the second most common colour."""
        _, counts = np.unique(picture.patch(row, step), axis=0, return_counts=True)
        return float(np.sort(counts)[-2] / counts.sum())

    assert second_share(3, 10) > 0.1  # one pixel in five is hatched
    assert picture.colour(3, 10) == view.variable("--positive")
    assert 0.02 < second_share(2, 10) < 0.06  # one pixel in twenty-five is a dot
    view.point(2, 10)
    expect(view.at("panel-value-c")).to_have_text("no data")
    expect(view.at("cursor-text")).to_contain_text("no data")


def test_value_that_violates_its_formula_is_marked(view: View) -> None:
    def change(arrays: dict[str, NDArray[np.generic]]) -> None:
        arrays["layer0.c"][4, 6] += 0.01

    change_traces(view, change)
    view.open(view="network", run="counter", text=COUNTING)
    view.point(4, 5)
    expect(view.page.locator(".wrong")).to_have_count(0)
    view.point(4, 6)
    expect(view.at("worked-c").locator(".wrong")).to_contain_text("but recorded was")
    expect(view.at("equation-h").locator(".wrong")).to_have_count(1)  # it reads c
    expect(view.page.locator(".wrong")).to_have_count(2)


def inked(picture: Picture, paper: NDArray[np.int64], step: int) -> NDArray[np.intp]:
    """Return the columns of a step's character in the ruler, counted from the left edge of its cell."""
    ruler = picture.columns(18, 40, step)
    return np.flatnonzero((np.abs(ruler - paper).max(axis=2) > 40).any(axis=0))


@pytest.mark.skipif(not chinese_font(), reason="TESTS OF CHINESE TEXT SKIPPED: there is no font for it")
def test_characters_of_every_width_stand_over_their_cells(view: View) -> None:
    text = POEM + "光 iW\t"
    view.open(view="network", run="poem", text=text, zoom=4, neuron=0, step=0, signal="h")
    picture, paper = view.picture(), np.array(view.variable("--bg"))
    assert picture.steps == len(text)
    widths = {}
    for step in range(2, len(text)):  # the cursor's line is at step 0
        columns = inked(picture, paper, step)
        assert columns.size, f"nothing is printed for {text[step]!r}"
        first, last = int(columns[0]), int(columns[-1])
        assert first >= 1, f"{text[step]!r} runs out of its cell"
        assert last <= picture.cell - 2, f"{text[step]!r} runs out of its cell"
        if text[step] not in "，。":  # they stand in a corner of their square
            assert abs((first + last) / 2 - (picture.cell - 2) / 2) <= 2.5, f"{text[step]!r} is not in the middle"
        widths[text[step]] = last - first + 1
    assert widths["霜"] > 1.4 * widths["i"]
    assert widths["霜"] >= 13, "a wide character is not squeezed"

    # The cells below lie in the same columns: each ends where a line of paper parts it from the next.
    values = view.recorded("poem", text).layers["layer0"]["h"]
    strong = int(np.abs(values[:, 2:]).max(axis=1).argmax())
    view.at("strips").evaluate("(scroller, to) => { scroller.scrollTop = to }", strong * picture.pitch)
    picture = view.picture()
    for step in range(2, len(text)):
        x, y = picture.corner(strong, step)
        between = picture.pixels[y + 2 : y + 12, x - 1]
        assert (between == paper).all()
    check_colours(view, values)


def test_line_ends_tabs_and_spaces_are_signs(view: View) -> None:
    view.open(view="network", run="poem", text="光\n\t 光", neuron=0)
    for step, name in ((0, "“光”"), (1, "“⏎”"), (2, "“⇥”"), (3, "a space"), (4, "“光”")):
        view.point(0, step)
        expect(view.at("cursor-text")).to_contain_text(f"step {step} · {name} ·")


def test_neuron_page_shows_every_signal(view: View) -> None:
    view.page.set_viewport_size({"width": 1280, "height": 1300})
    for run, layer, text in (
        ("counter", "layer0", COUNTING),
        ("slstm", "layer0", COUNTING),
        ("deep", "layer1", "abcX"),
    ):
        view.open(view="neuron", run=run, layer=layer, neuron=3, text=text, step=0)
        signals = Run(view.runs / run).configuration().layers[int(layer[-1])].cell.signals
        values = view.recorded(run, text).layers[layer]
        picture = view.picture()
        assert (picture.rows, picture.steps) == (len(signals), len(text))
        assert {row for row, _ in picture.cells()} == set(range(len(signals)))
        for row, signal in enumerate(signals):
            for step in range(2, picture.steps):
                value = float(values[signal][3, step])
                red, _, blue = picture.colour(row, step)
                if abs(value) > 0.02:
                    assert (blue > red) == (value > 0), f"{run}: {signal} at step {step} is {value}"


def test_neuron_buttons_move_to_the_neighbours(view: View) -> None:
    view.open(view="neuron", run="deep", neuron=0, text="abcX", step=2)
    values = view.recorded("deep", "abcX").layers["layer0"]
    expect(view.at("previous-neuron")).to_be_disabled()
    for neuron in range(1, 8):
        view.at("next-neuron").click()
        expect(view.page.get_by_role("heading", name=f"Neuron {neuron}", exact=True)).to_be_visible()
        eventually(
            lambda n=neuron: _check_panel(view.panel(), {name: values[name][n, 2] for name in ("r", "z", "n", "h")})
        )
    expect(view.at("next-neuron")).to_be_disabled()


def _check_panel(panel: dict[str, float], expected: dict[str, np.float32]) -> None:
    assert panel == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-6)


def test_neuron_page_of_a_wide_layer_and_long_text_is_shown(view: View, tmp_path: Path) -> None:
    text = "abcXabc\n" * 12  # more values than are fetched at once
    view.open(view="network", run="wide", text=text, sort="number")
    values = view.recorded("wide", text).layers["layer0"]
    for row, step in ((5, 3), (2, 11)):
        view.point(row, step)
        eventually(lambda r=row, t=step: _check_panel(view.panel(), {s: values[s][r, t] for s in "ifgoch"}))
    view.at("open-neuron").click()
    expect(view.at("neuron-page")).to_be_visible()
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "6")
