"""What each neuron does, on the page: labels, a feature over the text, passages, health, and places alike."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from gatescope import Run, Settings, create_run, record
from gatescope.runs import HISTORY
from gatescope.studies import save, subject
from gatescope.studies.common.subjects import features_of
from gatescope.studies.common.table import Table
from gatescope.studies.labels import Search, labels
from gatescope.tasks import Text
from tests.studies import handmade
from tests.web.looking import View, eventually

LINES = "aaaXbbb\naaXbb"
LATCHED = "aab.Axxxxxxxxx.Baa"  # the latch is on from step 4 to 14
ACCENT = (0x1F, 0x5F, 0xA8)


@pytest.fixture(scope="module")
def studied(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """counter: labels are kept; fresh: the same, not studied yet; planted: neurons that are known."""
    place = tmp_path_factory.mktemp("studied")
    for name in ("counter", "fresh"):
        shutil.copytree(runs / "counter", place / name)
    about = subject(Run(place / "counter"))
    with about.trace() as trace:
        table = labels(trace, features_of(about, trace), search=Search(chances=200))
    save(Run(place / "counter"), "labels", table)
    corpus = tmp_path_factory.mktemp("corpus") / "planted.txt"
    corpus.write_text(handmade.text(60_000, 1), encoding="utf-8")
    network = handmade.network()
    run = create_run(place / "planted", Text([corpus]), network.configuration, Settings(1))
    run.save_weights(network.state_dict(), 1)
    run.append(HISTORY, {"step": 1, "loss": 1.0})
    return place


@pytest.fixture
def view(page: Page, start_server: Callable[[Path], str], studied: Path) -> View:
    return View(page, start_server(studied), studied)


def kept_labels(view: View) -> Table:
    return Table.from_json(Run(view.runs / "counter").study("labels")["table"])


def best(view: View, signal: str) -> dict[int, dict[str, object]]:
    """The best label of each neuron."""
    return {int(row["neuron"]): row for row in kept_labels(view).where(signal=signal, place=0)}


def strength(row: dict[str, object]) -> float:
    score = float(str(row["score"]))
    return max(0.0, 2 * score - 1 if row["measure"] == "AUROC" else score)


def chip(view: View, row: int) -> tuple[float, float]:
    """A point on the chip of a row, in pixels of the canvas."""
    lies = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    return int(lies["chip"]) + 20, int(lies["header"]) + (row + 0.5) * int(lies["pitch"])


def click_chip(view: View, row: int) -> None:
    x, y = chip(view, row)
    view.at("strips-canvas").click(position={"x": x, "y": y})


def brush(view: View, first: int, last: int) -> None:
    """Drag over the text."""
    canvas = view.at("strips-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    lies = canvas.evaluate("(canvas) => ({ ...canvas.dataset })")
    x = [box["x"] + int(lies["label"]) + (step + 0.5) * int(lies["cell"]) for step in (first, last)]
    view.page.mouse.move(x[0], box["y"] + 26)
    view.page.mouse.down()
    view.page.mouse.move((x[0] + x[1]) / 2, box["y"] + 26)
    view.page.mouse.move(x[1], box["y"] + 26)
    view.page.mouse.up()


def address(view: View, *parts: str) -> None:
    for part in parts:
        expect(view.page).to_have_url(re.compile(re.escape(part)))


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_found_at_a_click_and_kept(view: View) -> None:
    view.open(view="network", run="fresh", text=LINES)
    assert not view.at("strips-canvas").get_attribute("data-chip")
    view.at("find-labels").click()
    expect(view.at("study-progress")).to_be_visible()
    expect(view.at("listed")).to_contain_text("neurons have a label for c", timeout=600_000)
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    assert (view.runs / "fresh" / "studies" / "labels.json").is_file()
    view.page.reload()
    expect(view.at("listed")).to_contain_text("neurons have a label for c")


def test_a_chip_says_what_is_kept(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c")
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    labels_of_signal = best(view, "c")
    for neuron in (0, 3, 9):
        if neuron not in labels_of_signal:
            continue
        x, y = chip(view, neuron)
        view.at("strips-canvas").hover(position={"x": x, "y": y})
        tip = view.page.locator(".tip")
        expect(tip).to_contain_text(str(labels_of_signal[neuron]["title"]))
        expect(tip).to_contain_text(f"{float(str(labels_of_signal[neuron]['score'])):.3f}")


def listed(view: View, count: int) -> list[int]:
    """The numbers of the neurons from top to bottom, read off the tips of their numbers."""
    lies = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    numbers = []
    for row in range(count):
        y = int(lies["header"]) + (row + 0.5) * int(lies["pitch"])
        view.at("strips-canvas").hover(position={"x": 10, "y": y})
        tip = view.page.locator(".tip .first")
        expect(tip).to_contain_text("Neuron")
        numbers.append(int(re.findall(r"\d+", tip.inner_text())[0]))
    return numbers


def test_the_order_by_score_is_that_of_the_scores(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c", sort="score")
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    labels_of_signal = best(view, "c")
    right = sorted(range(10), key=lambda n: (-strength(labels_of_signal[n]) if n in labels_of_signal else 1.0, n))
    assert listed(view, 10) == right
    address(view, "sort=score")


def test_the_filter_leaves_neurons_with_such_a_label(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c")
    view.at("filter").fill("STILL TO BE")
    rows = [row for row in kept_labels(view).where(signal="c") if "still to be" in str(row["title"])]
    right = sorted({int(row["neuron"]) for row in rows})
    assert 0 < len(right) < 10
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", str(len(right)))
    expect(view.at("listed")).to_have_text(f"{len(right)} of 10 neurons")
    assert listed(view, len(right)) == right
    address(view, "filter=STILL")
    view.page.reload()
    expect(view.at("filter")).to_have_value("STILL TO BE")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", str(len(right)))
    view.at("filter").fill("no such words")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "0")
    view.at("filter").fill("")
    expect(view.at("strips-canvas")).to_have_attribute("data-rows", "10")


def test_the_effect_is_measured_when_it_is_wanted(view: View) -> None:
    view.open(view="network", run="fresh", text=LINES)
    expect(view.at("sort").locator('option[value="effect"]')).to_be_disabled()
    view.at("find-effects").click()
    expect(view.at("sort").locator('option[value="effect"]')).to_be_enabled()
    columns = Run(view.runs / "fresh").study("ablation")["table"]["columns"]
    right = sorted(range(10), key=lambda n: -columns["on"][n])
    assert listed(view, 10) == right


# --- a feature over the text -----------------------------------------------------------------------------------------


def track_heights(view: View, *colours: tuple[int, int, int]) -> list[int]:
    """How many pixels of some colours each step has in the track."""
    lies = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    picture = view.picture()
    rows = slice(int(lies["track"]), picture.header - 4)
    counts = []
    for step in range(picture.steps):
        column = picture.columns(rows.start, rows.stop, step)[:, 1]
        counts.append(int(sum((column == colour).all(axis=1).sum() for colour in colours)))
    return counts


def test_a_binary_feature_lines_up_with_the_characters(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, feature="character.is=b", neuron=0, step=0)

    def lined_up() -> None:
        heights = track_heights(view, ACCENT)
        assert [height > 8 for height in heights] == [symbol == "b" for symbol in LINES]

    eventually(lined_up)
    expect(view.at("feature")).to_have_value(re.compile("character: b"))


def test_a_count_is_as_high_as_it_is(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, feature="task.so_far", neuron=0, step=0, zoom=2)
    right = [1, 2, 3, 3, 3, 3, 3, 3, 1, 2, 2, 2, 2]

    def as_high() -> None:
        heights = np.array(track_heights(view, ACCENT, (0xB9, 0xCD, 0xE4)))
        assert heights[3] > 12
        np.testing.assert_allclose(heights / heights[3], np.array(right) / 3, atol=0.12)

    eventually(as_high)


def test_a_chip_shows_its_feature_and_hides_it_again(view: View) -> None:
    view.open(view="network", run="counter", text=LINES, signal="c", sort="score")
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    assert view.at("strips-canvas").get_attribute("data-track") is None
    click_chip(view, 0)
    expect(view.at("strips-canvas")).to_have_attribute("data-track", re.compile(r"\d+"))
    address(view, "feature=")
    view.page.reload()
    expect(view.at("strips-canvas")).to_have_attribute("data-track", re.compile(r"\d+"))
    expect(view.at("strips-canvas")).to_have_attribute("data-chip", re.compile(r"\d+"))
    click_chip(view, 0)
    expect(view.at("strips-canvas")).not_to_have_attribute("data-track", re.compile(r"\d+"))


def test_a_feature_is_chosen_from_the_list_and_follows_the_text(view: View) -> None:
    view.open(view="neuron", run="counter", text="aXb", neuron=3)
    view.at("feature").fill("the character: b")
    address(view, "feature=character.is")
    view.at("text-box").fill("bbaX")
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "4")
    eventually(lambda: _same([height > 8 for height in track_heights(view, ACCENT)][:4], [True, True, False, False]))
    view.at("feature").fill("")
    expect(view.at("strips-canvas")).not_to_have_attribute("data-track", re.compile(r"\d+"))


def _same(first: object, other: object) -> None:
    assert first == other


# --- one neuron ------------------------------------------------------------------------------------------------------


def test_a_neuron_has_labels_effect_values_and_passages(view: View) -> None:
    view.open(view="neuron", run="counter", neuron=3, signal="c", text=LINES, step=2)
    about = view.at("about-neuron")
    expect(view.at("effect")).to_contain_text("everywhere")
    expect(view.at("effect")).to_contain_text(re.compile(r"\+\d\.\d+ \("))
    expect(view.at("neuron-health")).to_contain_text("Time constant")
    for signal in "ifgoch":
        expect(about.get_by_role("rowheader", name=signal, exact=True)).to_be_visible()
    first = kept_labels(view).where(signal="c", neuron=3, place=0)
    if len(first):
        expect(about).to_contain_text(str(first["title"][0]))
    # The line stands where the present value lies between the ends.
    value = view.recorded("counter", LINES).layers["layer0"]["c"][3, 2]
    low, high = (float(end) for end in _ends(view))
    now = float(str(view.at("histogram-now").get_attribute("x1"))) / 420
    assert now == pytest.approx((value - low) / (high - low), abs=0.02)
    view.page.keyboard.press("ArrowRight")
    eventually(lambda: _other(view, now))


def _ends(view: View) -> list[str]:
    text = str(view.at("histogram").get_attribute("aria-label"))
    return [number.replace("−", "-") for number in re.findall(r"[−-]?\d+\.\d+", text)]


def _other(view: View, now: float) -> None:
    assert float(str(view.at("histogram-now").get_attribute("x1"))) / 420 != pytest.approx(now, abs=1e-4)


def test_a_passage_is_looked_at_with_a_click_and_left_with_back(view: View) -> None:
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


def test_a_neuron_without_a_text_to_study_says_why(
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


def test_gates_are_points_where_their_shares_are(view: View) -> None:
    view.open(view="network", run="counter", text=LINES)
    view.at("open-health").click()
    view.at("gate-f").click()
    expect(view.at("saturation").locator("circle[data-neuron]")).to_have_count(10)
    trace = record(Run(view.runs / "counter").network()[0], Run(view.runs / "counter").task().held_out(4000))
    inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
    values = trace["layer0"]["f"][inside]
    points = view.at("saturation").locator("circle[data-neuron]")
    positions = points.evaluate_all("(all) => all.map((one) => [one.cx.baseVal.value, one.cy.baseVal.value])")
    right, left = (values > 0.9).mean(0), (values < 0.1).mean(0)
    x, y = np.array(positions).T
    np.testing.assert_allclose(x, 44 + right * (440 - 44 - 12), atol=0.01)
    np.testing.assert_allclose(y, 12 + (1 - left) * (440 - 40 - 12), atol=0.01)
    address(view, "view=health", "signal=f")
    # From neuron to neuron with the keys, and into one.
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
    address(view, "view=network")


def test_what_is_wrong_with_neurons_is_listed(view: View) -> None:
    view.page.goto(f"{view.address}/?view=health&run=planted")
    verdicts = view.at("verdicts")
    expect(verdicts).to_contain_text("input gate always open")
    expect(view.at("longest")).to_contain_text("∞")
    verdicts.get_by_role("link", name="1", exact=True).click()
    expect(view.page.get_by_role("heading", name="Neuron 1", exact=True)).to_be_visible()


# --- places alike ----------------------------------------------------------------------------------------------------


def test_a_brushed_range_is_found_again(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, threshold=0.3)
    brush(view, 4, 14)
    address(view, "range=4-14")
    expect(view.at("chosen-neurons")).to_contain_text("1 neuron")
    expect(view.at("chosen-neurons").get_by_role("button", name="1", exact=True)).to_be_visible()
    # The mark stands beside the latch, and beside no other.
    picture = view.picture()
    lies = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    for row in range(8):
        y = int(lies["header"]) + row * picture.pitch + 4
        assert (picture.pixels[y, 1] == ACCENT).all() == (row == handmade.LATCH)
    places = view.at("place")
    expect(places.first).to_be_visible()
    for place in places.all()[:10]:
        at = place.locator("mark").inner_text()
        assert at.startswith("A")
        assert "B" not in at
        assert place.locator(".after").inner_text().startswith("B")


def test_a_place_is_shown_with_a_click_and_its_range_is_chosen(view: View) -> None:
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
    # The chosen range is in sight, wherever the list of places was scrolled to.
    eventually(lambda: _in_sight(view, first))
    expect(view.at("strips")).to_be_in_viewport(ratio=0.95)
    view.page.go_back()
    expect(view.at("text-box")).to_have_value(LATCHED)
    address(view, "range=4-14")


def _in_sight(view: View, step: int) -> None:
    picture = view.picture()
    assert picture.label <= picture.corner(0, step)[0] < picture.pixels.shape[1]


def test_the_threshold_decides_and_is_in_the_address(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, range="4-14", threshold=0.3)
    expect(view.at("chosen-neurons")).to_be_visible()
    view.at("threshold").focus()
    view.page.keyboard.press("End")
    expect(view.at("no-neurons")).to_be_visible()
    expect(view.page).not_to_have_url(re.compile(r"threshold=0\.3"))
    address(view, "threshold=")
    view.page.reload()
    expect(view.at("no-neurons")).to_be_visible()


def test_range_is_selected_with_keys_and_cleared_with_escape(view: View) -> None:
    view.open(view="network", run="planted", signal="c", text=LATCHED, neuron=1, step=4)
    view.page.locator("body").click(position={"x": 3, "y": 3})
    for _ in range(3):
        view.page.keyboard.press("Shift+ArrowRight")
    address(view, "range=4-6")
    view.page.keyboard.press("Shift+ArrowLeft")
    address(view, "range=4-5")
    expect(view.at("places")).to_contain_text("steps 4 to 5")
    view.page.keyboard.press("Escape")
    expect(view.at("places")).to_be_hidden()
    expect(view.page).not_to_have_url(re.compile("range"))
    # The pin stays until Escape is pressed once more.
    address(view, "step=")


def test_a_click_on_the_text_chooses_nothing(view: View) -> None:
    view.open(view="network", run="counter", text=LINES)
    lies = view.at("strips-canvas").evaluate("(canvas) => ({ ...canvas.dataset })")
    x = int(lies["label"]) + 2.5 * int(lies["cell"])
    view.at("strips-canvas").click(position={"x": x, "y": 26})
    address(view, "step=2")
    expect(view.page).not_to_have_url(re.compile("range"))


# --- everywhere ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens_have_everything(view: View, scheme: str) -> None:
    view.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    view.page.set_viewport_size({"width": 400, "height": 800})
    for where, inside in (("network", "places"), ("neuron", "about-neuron"), ("health", "health")):
        query = {"view": where, "run": "counter", "neuron": 3, "text": LINES, "feature": "task.owed", "range": "2-4"}
        view.page.goto(f"{view.address}/?" + "&".join(f"{key}={value}" for key, value in query.items()))
        expect(view.at(inside)).to_be_visible()
        wide = view.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, f"the {where} page is {wide} wide"
