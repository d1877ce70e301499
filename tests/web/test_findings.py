"""Findings about neurons on the page: labels, feature tracks, passages, health, and similar places."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from gatescope import Run, Settings, create_run, record
from gatescope.runs import HISTORY
from gatescope.studies import save, subject
from gatescope.studies.common.subjects import features_of
from gatescope.studies.common.table import Table
from gatescope.studies.labels import Search, labels
from gatescope.studies.patterns import near_misses, neurons_on
from gatescope.tasks import Text
from tests.studies import handmade
from tests.web.looking import View, eventually

LINES = "aaaXbbb\naaXbb"
LATCHED = "aab.Axxxxxxxxx.Baa"  # the latch is on from step 4 to 14
ACCENT = (0x1F, 0x5F, 0xA8)


@pytest.fixture(scope="module")
def studied(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return runs: `counter` with saved labels, `fresh` without studies, `planted` with handmade neurons."""
    folder = tmp_path_factory.mktemp("studied")
    for name in ("counter", "fresh"):
        shutil.copytree(runs / "counter", folder / name)
    held_out = subject(Run(folder / "counter"))
    with held_out.trace() as trace:
        table = labels(trace, features_of(held_out, trace), search=Search(chances=200))
    save(Run(folder / "counter"), "labels", table)
    corpus = tmp_path_factory.mktemp("corpus") / "planted.txt"
    corpus.write_text(handmade.text(60_000, 1), encoding="utf-8")
    network = handmade.network()
    run = create_run(folder / "planted", Text([corpus]), network.configuration, Settings(1))
    run.save_weights(network.state_dict(), 1)
    run.append(HISTORY, {"step": 1, "loss": 1.0})
    return folder


@pytest.fixture
def view(page: Page, start_server: Callable[[Path], str], studied: Path) -> View:
    return View(page, start_server(studied), studied)


def saved_labels(view: View) -> Table:
    return Table.from_json(Run(view.runs / "counter").study("labels")["table"])


def best_labels(view: View, signal: str) -> dict[int, dict[str, object]]:
    """Return the best label of each neuron."""
    return {int(row["neuron"]): row for row in saved_labels(view).where(signal=signal, place=0)}


def strength(row: dict[str, object]) -> float:
    score = float(str(row["score"]))
    return max(0.0, 2 * score - 1 if row["measure"] == "AUROC" else score)


def chip(view: View, row: int) -> tuple[float, float]:
    """Return a point on the chip of a row, in pixels of the canvas."""
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    return int(layout["chip"]) + 20, int(layout["header"]) + (row + 0.5) * int(layout["pitch"])


def click_chip(view: View, row: int) -> None:
    x, y = chip(view, row)
    view.at("strips-canvas").click(position={"x": x, "y": y})


def brush(view: View, first: int, last: int) -> None:
    """Select a range of steps by dragging over the text."""
    canvas = view.at("strips-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    layout = canvas.evaluate("(canvas) => ({ ...canvas.dataset })")
    x = [box["x"] + int(layout["label"]) + (step + 0.5) * int(layout["cell"]) for step in (first, last)]
    view.page.mouse.move(x[0], box["y"] + 26)
    view.page.mouse.down()
    view.page.mouse.move((x[0] + x[1]) / 2, box["y"] + 26)
    view.page.mouse.move(x[1], box["y"] + 26)
    view.page.mouse.up()


def expect_in_address(view: View, *parts: str) -> None:
    for part in parts:
        expect(view.page).to_have_url(re.compile(re.escape(part)))


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_button_computes_and_saves_labels(view: View) -> None:
    view.open(view="network", run="fresh", text=LINES)
    assert not view.at("strips-canvas").get_attribute("data-chip")
    view.at("find-labels").click()
    expect(view.at("study-progress")).to_be_visible()
    expect(view.at("listed")).to_contain_text("neurons have a label for c", timeout=600_000)
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    assert (view.runs / "fresh" / "studies" / "labels.json").is_file()
    view.page.reload()
    expect(view.at("listed")).to_contain_text("neurons have a label for c")


def test_chip_tip_shows_the_saved_label(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c", sort="number")
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    labels_of_signal = best_labels(view, "c")
    for neuron in (0, 3, 9):
        if neuron not in labels_of_signal:
            continue
        x, y = chip(view, neuron)
        view.at("strips-canvas").hover(position={"x": x, "y": y})
        tip = view.at("neuron-card")
        expect(tip).to_contain_text(str(labels_of_signal[neuron]["title"]))
        expect(tip).to_contain_text(f"{float(str(labels_of_signal[neuron]['score'])):.3f}")


def neurons_in_order(view: View, count: int) -> list[int]:
    """Return the neurons from top to bottom, read from their tips."""
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    numbers = []
    for row in range(count):
        y = int(layout["header"]) + (row + 0.5) * int(layout["pitch"])
        view.page.mouse.move(2, 2)
        expect(view.at("neuron-card")).to_be_hidden()
        view.at("strips-canvas").hover(position={"x": 10, "y": y})
        tip = view.at("neuron-card").locator(".first")
        expect(tip).to_contain_text("Neuron")
        numbers.append(int(re.findall(r"\d+", tip.inner_text())[0]))
    return numbers


def test_sort_by_score_orders_neurons_by_label_score(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c", sort="score")
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    labels_of_signal = best_labels(view, "c")
    expected = sorted(range(10), key=lambda n: (-strength(labels_of_signal[n]) if n in labels_of_signal else 1.0, n))
    assert neurons_in_order(view, 10) == expected
    expect_in_address(view, "sort=score")


def test_panel_keeps_its_label_when_the_filter_matches_nothing(view: View) -> None:
    neuron = next(iter(best_labels(view, "c")))
    title = str(best_labels(view, "c")[neuron]["title"])
    view.open(view="network", run="counter", text="aaXbb", signal="c", neuron=neuron, step=2)
    label = view.at("panel-label").get_by_role("button")
    expect(label).to_have_attribute("title", re.compile(re.escape(title)))
    view.at("filter").fill("no such words")
    expect(view.at("listed")).to_have_text("0 of 10 neurons")
    expect(label).to_have_attribute("title", re.compile(re.escape(title)))


def test_filter_shows_neurons_with_matching_labels(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c", sort="number")
    view.at("filter").fill("STILL TO BE")
    rows = [row for row in saved_labels(view).where(signal="c") if "still to be" in str(row["title"])]
    expected = sorted({int(row["neuron"]) for row in rows})
    assert 0 < len(expected) < 10
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", str(len(expected)))
    expect(view.at("listed")).to_have_text(f"{len(expected)} of 10 neurons")
    expect(view.at("strips-canvas")).to_have_attribute("data-track", re.compile(r"\d"))  # what was searched is shown
    assert neurons_in_order(view, len(expected)) == expected
    expect_in_address(view, "filter=STILL")
    view.page.reload()
    expect(view.at("filter")).to_have_value("STILL TO BE")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", str(len(expected)))
    view.at("filter").fill("no such words")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "0")
    view.at("filter").fill("")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")


def test_effects_button_enables_sort_by_effect(view: View) -> None:
    view.open(view="network", run="fresh", text=LINES)
    expect(view.at("sort").locator('option[value="effect"]')).to_be_disabled()
    view.unfold("feature-menu")
    view.at("find-effects").click()
    expect(view.at("sort").locator('option[value="effect"]')).to_be_enabled()
    columns = Run(view.runs / "fresh").study("ablation")["table"]["columns"]
    expected = sorted(range(10), key=lambda n: -columns["on"][n])
    assert neurons_in_order(view, 10) == expected


# --- a feature over the text -----------------------------------------------------------------------------------------


def track_heights(view: View, *colours: tuple[int, int, int]) -> list[int]:
    """Return the number of pixels of some colours in the track, for each step."""
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    picture = view.picture()
    rows = slice(int(layout["track"]), picture.header - 4)
    counts = []
    for step in range(picture.steps):
        column = picture.columns(rows.start, rows.stop, step)[:, 1]
        counts.append(int(sum((column == colour).all(axis=1).sum() for colour in colours)))
    return counts


def test_track_of_binary_feature_aligns_with_characters(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, feature="character.is=b", neuron=0, step=0)

    def check_heights() -> None:
        heights = track_heights(view, ACCENT)
        assert [height > 8 for height in heights] == [symbol == "b" for symbol in LINES]

    eventually(check_heights)
    view.unfold("feature-menu")
    expect(view.at("feature")).to_have_value(re.compile("character: b"))


def test_track_height_is_proportional_to_a_count(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, feature="task.so_far", neuron=0, step=0, zoom=2)
    expected = [1, 2, 3, 3, 3, 3, 3, 3, 1, 2, 2, 2, 2]

    def check_heights() -> None:
        heights = np.array(track_heights(view, ACCENT, (0xB9, 0xCD, 0xE4)))
        assert heights[3] > 12
        np.testing.assert_allclose(heights / heights[3], np.array(expected) / 3, atol=0.12)

    eventually(check_heights)


def test_chip_click_toggles_the_feature_track(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c", sort="score")
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    assert view.at("strips-canvas").get_attribute("data-track") is None
    click_chip(view, 0)
    expect(view.at("strips-canvas")).to_have_attribute("data-track", re.compile(r"\d+"))
    expect_in_address(view, "feature=")
    view.page.reload()
    expect(view.at("strips-canvas")).to_have_attribute("data-track", re.compile(r"\d+"))
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    click_chip(view, 0)
    expect(view.at("strips-canvas")).not_to_have_attribute("data-track", re.compile(r"\d+"))


def test_feature_menu_takes_letters_at_once(view: View) -> None:
    """Features are listed before anything is typed; letters narrow the list, and a click chooses."""
    view.open(view="network", run="counter", text="aXb")
    view.unfold("feature-menu")
    expect(view.at("feature")).to_be_focused()
    expect(view.at("feature-choice")).to_have_count(12)
    view.page.keyboard.type("character: b")
    expect(view.at("feature-choice").first).to_contain_text("character: b")
    choice = view.at("feature-choice").get_by_text("the character: b", exact=True)
    choice.click()
    expect(choice).to_have_attribute("aria-pressed", "true")
    expect_in_address(view, "feature=character.is")


def test_feature_list_choice_follows_the_edited_text(view: View) -> None:
    view.open(view="neuron", run="counter", text="aXb", neuron=3)
    view.unfold("feature-menu")
    view.at("feature").fill("the character: b")
    expect_in_address(view, "feature=character.is")
    view.at("text-box").fill("bbaX")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "4")
    eventually(lambda: _same([height > 8 for height in track_heights(view, ACCENT)][:4], [True, True, False, False]))
    view.at("feature").fill("")
    expect(view.at("strips-canvas")).not_to_have_attribute("data-track", re.compile(r"\d+"))


def _same(first: object, other: object) -> None:
    assert first == other


# --- one neuron ------------------------------------------------------------------------------------------------------


def test_neuron_page_shows_labels_effect_values_and_health(view: View) -> None:
    view.open(view="neuron", run="counter", neuron=3, signal="c", text=LINES, step=2)
    about = view.at("about-neuron")
    expect(view.at("effect")).to_contain_text("everywhere")
    expect(view.at("effect")).to_contain_text(re.compile(r"\+\d\.\d+ \("))
    expect(view.at("neuron-health")).to_contain_text("Time constant")
    for signal in "ifgoch":
        expect(about.get_by_role("rowheader", name=signal, exact=True)).to_be_visible()
    first = saved_labels(view).where(signal="c", neuron=3, place=0)
    if len(first):
        expect(about).to_contain_text(str(first["short"][0]))
    # The line marks the present value between the two ends.
    value = view.recorded("counter", LINES).layers["layer0"]["c"][3, 2]
    low, high = (float(end) for end in _ends(view))
    now = float(str(view.at("histogram-now").get_attribute("x1"))) / 420
    assert now == pytest.approx((value - low) / (high - low), abs=0.02)
    view.page.keyboard.press("ArrowRight")
    eventually(lambda: _check_moved(view, now))


def _ends(view: View) -> list[str]:
    text = str(view.at("histogram").get_attribute("aria-label"))
    return [number.replace("−", "-") for number in re.findall(r"[−-]?\d+\.\d+", text)]


def _check_moved(view: View, previous: float) -> None:
    assert float(str(view.at("histogram-now").get_attribute("x1"))) / 420 != pytest.approx(previous, abs=1e-4)


def test_passage_click_opens_its_text_and_back_returns(view: View) -> None:
    view.open(view="neuron", run="planted", neuron=handmade.COUNTER, signal="c", text="aab")
    passage = view.at("passage").first
    value = str(passage.get_attribute("aria-label")).partition(":")[0]
    passage.click()
    expect(view.at("text-box")).not_to_have_value("aab")
    text = view.at("text-box").input_value()
    step = int(re.findall(r"step=(\d+)", view.page.url)[0])
    held_out = Run(view.runs / "planted").task().held_out(20_000)
    assert text in held_out
    values = record(Run(view.runs / "planted").network()[0], held_out)["layer0"]["c"][0, :, handmade.COUNTER]
    assert values[held_out.index(text) + step] == pytest.approx(values.max())
    assert float(value.replace("−", "-")) == pytest.approx(float(values.max()), abs=1e-3)
    expect(view.at("cursor-text")).to_contain_text(f"step {step} ·")
    view.page.go_back()
    expect(view.at("text-box")).to_have_value("aab")


def test_missing_corpus_is_explained_on_every_page(
    page: Page, start_server: Callable[[Path], str], studied: Path, tmp_path: Path
) -> None:
    shutil.copytree(studied / "planted", tmp_path / "planted", ignore=shutil.ignore_patterns("studies"))
    task = tmp_path / "planted" / "task.json"
    corpus = Run(tmp_path / "planted").task().to_json()["paths"][0]
    task.write_text(task.read_text().replace(corpus, corpus + ".gone"))
    view = View(page, start_server(tmp_path), tmp_path)
    view.open(view="neuron", run="planted", neuron=1, text="aab")
    expect(view.at("study-problem")).to_contain_text("planted.txt.gone")
    view.page.goto(f"{view.address}/?view=health&run=planted")
    expect(view.at("study-problem")).to_contain_text("planted.txt.gone")
    view.open(view="network", run="planted", text="aab")
    view.at("find-labels").click()
    expect(view.at("study-problem")).to_contain_text("planted.txt.gone")
    expect(view.at("strips-canvas")).to_be_visible()


# --- health ----------------------------------------------------------------------------------------------------------


def test_saturation_points_lie_at_their_shares(view: View) -> None:
    view.open(view="network", run="counter", text=LINES)
    view.at("tab-health").click()
    view.at("gate-f").click()
    expect(view.at("saturation").locator("circle[data-neuron]")).to_have_count(10)
    trace = record(Run(view.runs / "counter").network()[0], Run(view.runs / "counter").task().held_out(4000))
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    values = trace["layer0"]["f"][inside]
    points = view.at("saturation").locator("circle[data-neuron]")
    positions = points.evaluate_all("(all) => all.map((one) => [one.cx.baseVal.value, one.cy.baseVal.value])")
    right, left = (values > 0.9).mean(0), (values < 0.1).mean(0)
    x, y = np.array(positions).T
    np.testing.assert_allclose(x, 54 + right * (440 - 54 - 12), atol=0.01)
    np.testing.assert_allclose(y, 12 + (1 - left) * (440 - 40 - 12), atol=0.01)
    expect_in_address(view, "view=health", "signal=f")
    # The arrow keys move from neuron to neuron, and Enter opens a neuron.
    view.page.keyboard.press("ArrowRight")
    view.page.keyboard.press("ArrowRight")
    expect(view.at("health-spoken")).to_contain_text("Neuron 1")
    view.page.keyboard.press("Enter")
    expect(view.page.get_by_role("heading", name="Neuron 1", exact=True)).to_be_visible()
    view.page.go_back()
    point = view.at("saturation").locator("circle[data-neuron]").nth(4)
    box = point.bounding_box()
    assert box is not None
    view.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(view.page.locator(".tip")).to_contain_text("nearly open")
    view.page.keyboard.press("Escape")
    expect_in_address(view, "view=network")


def test_health_page_lists_verdicts(view: View) -> None:
    view.page.goto(f"{view.address}/?view=health&run=planted")
    verdicts = view.at("verdicts")
    expect(verdicts).to_contain_text("input gate always open")
    expect(view.at("longest")).to_contain_text("∞")
    verdicts.get_by_role("link", name="1", exact=True).click()
    expect(view.page.get_by_role("heading", name="Neuron 1", exact=True)).to_be_visible()


# --- similar places --------------------------------------------------------------------------------------------------


def test_brushed_range_lists_neurons_and_similar_places(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, threshold=0.3)
    brush(view, 4, 14)
    expect_in_address(view, "range=4-14")
    expect(view.at("chosen-neurons")).to_contain_text("1 neuron")
    expect(view.at("chosen-neurons").get_by_role("button", name="1", exact=True)).to_be_visible()
    # Only the latch neuron has a mark.
    picture = view.picture()
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    for row in range(8):
        y = int(layout["header"]) + row * picture.pitch + 4
        assert (picture.pixels[y, 1] == ACCENT).all() == (row == handmade.LATCH)
    places = view.at("place")
    expect(places.first).to_be_visible()
    for place in places.all()[:10]:
        at = place.locator("mark").inner_text()
        assert at.startswith("A")
        assert "B" not in at
        assert place.locator(".after").inner_text().startswith("B")


def test_place_click_opens_its_text_and_selects_its_range(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, range="4-14", threshold=0.3)
    place = view.at("place").first
    place.scroll_into_view_if_needed()
    view.page.mouse.wheel(0, 400)
    at = place.locator("mark").inner_text()
    place.click()
    expect(view.at("text-box")).not_to_have_value(LATCHED)
    expect(view.page).not_to_have_url(re.compile("range=4-14&"))
    text = view.at("text-box").input_value()
    first, last = (int(step) for step in re.findall(r"range=(\d+)-(\d+)", view.page.url)[0])
    assert text[first : last + 1] == at
    # The page scrolls to the chosen range.
    eventually(lambda: _in_sight(view, first))
    expect(view.at("strips")).to_be_in_viewport(ratio=0.95)
    view.page.go_back()
    expect(view.at("text-box")).to_have_value(LATCHED)
    expect_in_address(view, "range=4-14")


def _in_sight(view: View, step: int) -> None:
    picture = view.picture()
    assert picture.label <= picture.corner(0, step)[0] < picture.pixels.shape[1]


def test_threshold_filters_neurons_and_is_in_the_address(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, range="4-14", threshold=0.3)
    expect(view.at("chosen-neurons")).to_be_visible()
    view.at("threshold").focus()
    view.page.keyboard.press("End")
    expect(view.at("no-neurons")).to_be_visible()
    expect(view.page).not_to_have_url(re.compile(r"threshold=0\.3"))
    expect_in_address(view, "threshold=")
    view.page.reload()
    expect(view.at("no-neurons")).to_be_visible()


def _patterns(view: View, run: str, text: str, signal: str, first: int, last: int) -> tuple[Table, Table]:
    """Return the neurons of a range and the near misses, as Python computes them."""
    trace = record(Run(view.runs / run).network()[0], text)
    found = neurons_on(trace, "layer0", 0, first, last, signal=signal, sign="both" if signal in "cgh" else "positive")
    return found, near_misses(trace, found)


def _expect_neurons(view: View, found: Table, misses: Table) -> None:
    """Wait until the page lists these neurons and near misses, with the threshold."""
    assert float(view.at("threshold-value").inner_text()) == pytest.approx(found.about["threshold"], rel=1e-3)
    chips = view.at("chosen-neurons").get_by_role("button").all_inner_texts() if len(found) else []
    assert sorted(map(int, chips)) == sorted(found["neuron"].tolist())
    shown = view.at("miss").all_inner_texts()
    assert [int(line.split()[0]) for line in shown] == misses["neuron"].tolist()
    for line, row in zip(shown, misses, strict=True):
        steps = misses.about["steps"]
        assert (f"all {steps} steps" if row["on"] == steps else f"at {row['on']} of {steps} steps") in line
        assert ("also before" in line, line.endswith("after")) == (row["before"] == 1, row["after"] == 1)


@pytest.mark.parametrize(("signal", "first", "last"), [("c", 1, 5), ("h", 0, 6), ("i", 2, 3), ("f", 8, 12)])
def test_chosen_threshold_and_misses_equal_the_library(view: View, signal: str, first: int, last: int) -> None:
    text = "aaaaaaaXbbbbbbb"
    view.open(view="network", run="counter", signal=signal, text=text, range=f"{first}-{last}")
    found, misses = _patterns(view, "counter", text, signal, first, last)
    expect(view.at("threshold-value")).to_be_visible()
    eventually(lambda: _expect_neurons(view, found, misses))
    # The mark and its neurons come back with the address, which names no threshold.
    assert "threshold=" not in view.page.url
    view.page.reload()
    expect(view.at("threshold-value")).to_be_visible()
    eventually(lambda: _expect_neurons(view, found, misses))


def test_threshold_can_be_chosen_again(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, range="4-14", threshold=50)
    expect(view.at("no-neurons")).to_contain_text("Lower the threshold")
    view.at("choose-threshold").click()
    expect(view.at("chosen-neurons").get_by_role("button", name=str(handmade.LATCH), exact=True)).to_be_visible()
    expect(view.at("threshold-chosen")).to_be_visible()
    expect(view.at("place").first).to_be_visible()
    expect(view.page).not_to_have_url(re.compile("threshold"))


def test_range_of_several_sequences_says_so(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, range="5-9")
    expect(view.at("no-neurons")).to_contain_text("several sequences")


def test_range_is_selected_with_keys_and_cleared_with_escape(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, neuron=1, step=4)
    view.page.locator("body").click(position={"x": 3, "y": 3})
    for _ in range(3):
        view.page.keyboard.press("Shift+ArrowRight")
    expect_in_address(view, "range=4-6")
    view.page.keyboard.press("Shift+ArrowLeft")
    expect_in_address(view, "range=4-5")
    expect(view.at("places")).to_contain_text("steps 4 to 5")
    view.page.keyboard.press("Escape")
    expect(view.at("places")).to_be_hidden()
    expect(view.page).not_to_have_url(re.compile("range"))
    # The pin stays until Escape is pressed once more.
    expect_in_address(view, "step=")


def test_strips_stay_in_place_when_the_labels_come(view: View) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    view.page.route("**/counter/study", hold)
    with view.page.expect_request("**/counter/study"):
        view.open(view="network", run="counter", text=LINES)

    def layout() -> tuple[str | None, ...]:
        canvas = view.at("strips-canvas")
        return tuple(canvas.get_attribute(f"data-{name}") for name in ("label", "header", "cell", "pitch"))

    before = layout()
    expect(view.at("panel-label")).to_have_count(0)
    assert held
    for route in held:
        route.continue_()
    expect(view.at("panel-label").first).to_be_visible()
    assert layout() == before


def test_click_on_step_numbers_pins_and_selects_no_range(view: View) -> None:
    view.open(view="network", run="counter", text=LINES)
    expect(view.at("cursor-text")).not_to_be_empty()
    layout = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    x = int(layout["label"]) + 2.5 * int(layout["cell"])
    view.at("strips-canvas").click(position={"x": x, "y": 8})
    expect_in_address(view, "step=2")
    expect(view.page).not_to_have_url(re.compile("range"))


# --- everywhere ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screen_fits_every_page(view: View, scheme: str) -> None:
    view.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    view.page.set_viewport_size({"width": 400, "height": 800})
    for where, inside in (("network", "places"), ("neuron", "about-neuron"), ("health", "health")):
        query = {"view": where, "run": "counter", "neuron": 3, "text": LINES, "feature": "task.owed", "range": "2-4"}
        view.page.goto(f"{view.address}/?" + "&".join(f"{key}={value}" for key, value in query.items()))
        expect(view.at(inside)).to_be_visible()
        width = view.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 400, f"the {where} page is {width} wide"
