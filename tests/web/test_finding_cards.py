"""Findings of trained networks, each reached from the landing page in at most two actions."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from gatescope import TASKS, Run, Settings, create_run, train
from gatescope.studies.common.subjects import features_of, save, subject
from gatescope.studies.labels import Search, labels
from gatescope.tasks.text import Text
from gatescope.training import recommended_network
from tests.web.looking import View

TASK_NAMES = ("counter", "state_memoriser", "selective_counter", "copy")
CODE = "def count(a):\n    if a:\n        x = 'yes it is'\n        return x\n    return 'no'\n\n"
CODE_STEPS = 250
CODE_CHARACTERS = 3_000
WALKS = (
    ("fails", "is right for 1 to"),
    ("remembers", "remembers how the string began"),
    ("marks", "marks the “Y”"),
    ("left_out", "leaves the “X” out"),
    ("forgets", "forgets when the string is over"),
    ("writes", "“[abc]” is to be written next"),
)
"""Kind of a finding of a task of strings, and a part of its sentence."""


@pytest.fixture(scope="module")
def demo_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the networks of the demo, and a small one on a few lines of code with labels of its states."""
    folder = tmp_path_factory.mktemp("demo")
    for name in TASK_NAMES:
        task = TASKS[name]()
        train(create_run(folder / name, task, recommended_network(task), Settings.recommended(task)))
    path = folder / "code.py"
    path.write_text(CODE * 150, encoding="utf-8")
    task = Text([path])
    run = create_run(folder / "code", task, recommended_network(task), Settings(steps=CODE_STEPS, validate_every=125))
    train(run)
    about = subject(run, characters=CODE_CHARACTERS)
    with about.trace() as trace:
        save(run, "labels", labels(trace, features_of(about, trace), signals=["h"], search=Search(chances=500)))
    path.unlink()
    return folder


@pytest.fixture
def landing(page: Page, start_server: Callable[[Path], str], demo_runs: Path) -> View:
    """Open the landing page with the findings of every run."""
    view = View(page, start_server(demo_runs), demo_runs)
    view.open()
    return view


def settled(view: View) -> None:
    expect(view.at("measuring")).to_have_count(0)
    expect(view.at("findings-waiting")).to_have_count(0)


def card(view: View, kind: str, words: str) -> tuple[Locator, int]:
    """Return the card of a finding, and the number of actions until it is on the screen."""
    settled(view)
    found = view.page.locator(f"[data-testid=finding-card][data-kind={kind}]").filter(has_text=re.compile(words))
    if found.count():
        return found.first, 0
    view.at("all-findings").click()
    return found.first, 1


def test_palette_finds_a_finding_by_its_words(landing: View) -> None:
    expect(landing.page.locator("[data-testid=finding-card][data-kind=remembers]")).to_be_visible()
    settled(landing)
    landing.page.keyboard.press("Control+k")
    landing.page.keyboard.type("remembers began")
    landing.page.keyboard.press("Enter")
    shows(landing, "state_memoriser")


def test_palette_answers_one_word_that_nothing_has(landing: View) -> None:
    settled(landing)
    landing.page.keyboard.press("Control+k")
    landing.page.keyboard.type("zzz")
    expect(landing.at("commands")).to_contain_text("Nothing has “zzz”.")


def shows(view: View, run: str, *, signal: str | None = None) -> None:
    """Check that the strips of a run are on the screen, with a neuron and a step that the address names."""
    expect(view.at("strips-canvas")).to_be_visible()
    expect(view.page).to_have_url(re.compile(rf"run={run}\b"))
    expect(view.page).to_have_url(re.compile(r"neuron=\d+"))
    expect(view.page).to_have_url(re.compile(r"step=\d+"))
    if signal is not None:
        expect(view.page).to_have_url(re.compile(rf"signal={signal}\b"))


def test_findings_of_strings_are_reached_in_two_actions(landing: View) -> None:
    """Each card opens the strips at the place that the server measured."""
    for kind, words in WALKS:
        finding, actions = card(landing, kind, words)
        run = finding.get_attribute("data-run") or ""
        finding.click()
        assert actions + 1 <= 2
        shows(landing, run)
        landing.at("all-runs").click()


def test_counter_in_c_and_h_takes_two_actions(landing: View) -> None:
    settled(landing)
    landing.at("live-open").click()
    shows(landing, "counter", signal="c")
    expect(landing.at("neuron-panel").locator("[data-testid^=panel-value-]")).to_have_count(6)
    for gate in "ifgo":
        expect(landing.at(f"panel-value-{gate}")).to_be_visible()
    landing.at("signal-h").click()
    shows(landing, "counter", signal="h")


def test_sample_of_code_is_on_the_landing_page(landing: View) -> None:
    finding, actions = card(landing, "wrote", "wrote this")
    assert actions <= 1
    expect(finding.locator("pre")).not_to_be_empty()
    samples = [record["text"] for record in Run(landing.runs / "code").read("samples.jsonl")]
    first = finding.locator("pre").inner_text().split("\n")[0]
    assert any(first in sample for sample in samples)
    finding.click()
    expect(landing.page).to_have_url(re.compile("view=learning.*run=code|run=code.*view=learning"))
    expect(landing.at("sample")).to_contain_text(first)
