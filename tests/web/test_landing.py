"""The landing page: the finding that leads, live; views kept with a star; runs renamed, tagged and deleted."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from gatescope import Run, record
from gatescope.studies.common.steps import Steps
from tests.web.looking import View


def test_counter_leads_and_follows_every_key(view: View) -> None:
    """The sentence is there without a click in fewer than 40 words, and its neuron is measured on the run itself."""
    view.open()
    live = view.at("live-finding")
    expect(live).to_have_attribute("data-run", "counter")
    sentence = view.at("finding-sentence")
    expect(sentence).to_have_text(
        re.compile(r"^Neuron \d of this LSTM counts: (up|down) with every a, (up|down) with every b\.$")
    )
    text = sentence.inner_text()
    neuron, up, down = re.findall(r"\d|up|down", text)
    assert up != down
    assert len((text + view.page.locator(".lead").inner_text()).split()) < 40
    network, _ = Run(view.runs / "counter").network()
    values = Steps(record(network, "aaaaXbbbb")).values("layer0", "c", [int(neuron)])[:, 0]
    changes = values[1:] - values[:-1]
    sign = 1 if up == "up" else -1
    assert (sign * changes[:3] > 0).all()
    assert (sign * changes[4:] < 0).all()

    strips, box = view.at("live-strips"), view.at("live-text")
    expect(box).to_have_value("aaaaaaaXbbbbbbb")
    expect(strips).to_have_attribute("data-steps", "15")
    view.at("add-symbol").click()
    expect(box).to_have_value("aaaaaaaaXbbbbbbb")
    expect(strips).to_have_attribute("data-steps", "16")
    expect(strips).to_have_attribute("data-current", "true")
    box.fill("aaaaXbbbb")
    expect(strips).to_have_attribute("data-steps", "9")
    spoken = strips.get_by_role("img").first.get_attribute("aria-label") or ""
    shown = [float(number.replace("−", "-")) for number in re.findall(r"[−\d.]+(?=,|$)", spoken)]
    assert [round(float(value), 1) for value in values] == shown
    expect(view.page).to_have_url(re.compile("text=aaaaXbbbb"))
    view.page.reload()
    expect(box).to_have_value("aaaaXbbbb")
    expect(strips).to_have_attribute("data-steps", "9")
    view.at("live-open").click()
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "9")
    expect(view.page).to_have_url(re.compile(f"neuron={neuron}"))


def test_long_and_strange_texts_stay_readable(view: View) -> None:
    """More letters than the finding was measured on widen the scale; letters without a meaning are named."""
    view.open()
    strips, box = view.at("live-strips"), view.at("live-text")
    for _ in range(13):
        view.at("add-symbol").click()
    expect(strips).to_have_attribute("data-steps", "28")
    expect(strips).to_have_attribute("data-current", "true")
    grounds = (
        strips.get_by_role("img")
        .first.locator(".cells > span")
        .evaluate_all("(cells) => cells.map((cell) => cell.style.background)")
    )
    network, _ = Run(view.runs / "counter").network()
    neuron = int(re.findall(r"\d", view.at("finding-sentence").inner_text())[0])
    values = Steps(record(network, box.input_value())).values("layer0", "c", [neuron])[:, 0]
    end = max(grounds, key=grounds.count)
    at_end = [abs(float(value)) for value, ground in zip(values, grounds, strict=True) if ground == end]
    assert max(at_end) - min(at_end) < 0.1 * abs(values).max()  # one colour for nearly equal values only
    box.fill("hello")
    expect(view.at("live-unknown")).to_have_text("It has never seen “e”, “h”, “l”, “o”.")
    box.fill("")
    expect(view.at("live-finding")).to_contain_text("Type something for the network to read.")


def test_long_insertion_into_the_finding_is_refused(view: View) -> None:
    view.open()
    box = view.at("live-text")
    before = box.input_value()
    box.focus()
    view.page.keyboard.insert_text("a" * 1_000_000)
    expect(view.at("link-note")).to_contain_text("expected at most 2,000 characters, got 1,000,000 characters")
    expect(box).to_have_value(before)


def test_page_of_a_finding_repeats_it(view: View) -> None:
    view.open()
    cards = view.page.locator("[data-testid=finding-card][href*='neuron=']")
    # The finding that leads and the places of the cards change while findings arrive.
    all_found = view.page.locator("[data-testid=finding-list][aria-busy=false]")
    expect(all_found).to_be_visible()
    sentences = [view.at("finding-sentence").inner_text(), cards.first.locator("h3").inner_text()]
    for k, sentence in enumerate(sentences):
        view.open()
        expect(all_found).to_be_visible()
        (cards.filter(has_text=sentence) if k else view.at("live-open")).click()
        expect(view.at("finding-line")).to_contain_text(sentence)
        view.page.reload()
        expect(view.at("finding-line")).to_contain_text(sentence)


def test_run_is_starred_renamed_tagged_and_deleted(
    refused_page: Page, start_server: Callable[[Path], str], runs: Path, tmp_path: Path
) -> None:
    """Each act is written in the run directory, the order of stars is kept, and a deleted run comes back.

    The picture of a run may still be on its way when the run is deleted; the server then answers 404.
    """
    page = refused_page
    shutil.copytree(runs / "counter", tmp_path / "counter")
    view = View(page, start_server(tmp_path), tmp_path)
    view.open(view="network", run="counter", neuron="0", step="3", text="aaaXbbb")
    for sentence in ("It counts.", "It stops."):
        view.at("star").click()
        view.at("star-sentence").fill(sentence)
        view.at("star-save").click()
        expect(view.at("star-list").get_by_role("link")).to_contain_text(
            [sentence] if sentence == "It counts." else ["It counts.", sentence]
        )
        page.keyboard.press("Escape")
    assert [finding.sentence for finding in Run(tmp_path / "counter").findings()] == ["It counts.", "It stops."]
    view.at("all-runs").click()
    starred = view.at("starred")
    starred.get_by_role("button", name="Move down").first.click()
    expect(starred.get_by_role("link", name="★")).to_contain_text(["It stops.", "It counts."])
    with page.expect_download() as download:
        starred.get_by_role("link", name="Markdown").click()
    assert "It stops" in download.value.path().read_text(encoding="utf-8")
    starred.get_by_role("link", name="It counts.").click()
    expect(view.at("strips-canvas")).to_have_attribute("data-steps", "7")
    expect(page).to_have_url(re.compile("neuron=0.*step=3|step=3.*neuron=0"))
    view.at("all-runs").click()

    page.get_by_role("button", name="Change counter").click()
    editor = view.at("run-editor")
    editor.get_by_label("Tags").fill("good")
    editor.get_by_role("button", name="Add tag").click()
    expect(editor.get_by_role("button", name="Remove tag good")).to_be_visible()
    editor.get_by_label("Name").fill("first")
    editor.get_by_role("button", name="Rename").click()
    expect(page.locator("[data-testid=run-card][data-run=first]")).to_contain_text("good")
    assert Run(tmp_path / "first").exists
    page.get_by_role("button", name="Change first").click()
    editor.get_by_role("button", name="trash").click()
    expect(page.locator("[data-testid=run-card][data-run=first]")).to_have_count(0)
    assert not (tmp_path / "first").exists()
    view.at("act-news").get_by_role("button", name="Undo").click()
    expect(page.locator("[data-testid=run-card][data-run=first]")).to_contain_text("good")
    assert Run(tmp_path / "first").exists
