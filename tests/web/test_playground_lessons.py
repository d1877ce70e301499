"""The lessons of the playground: train, answer wrong and right, look at it; links, the keyboard, Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.looking import View
from tests.web.test_accessibility import AXE, check
from tests.web.watching import MILLISECONDS

NAMES = ["gate", "forgetting", "counting", "state", "copying", "long-copying"]


class Lesson:
    """A lesson of the playground, opened by its name."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address

    def open(self, name: str, **fields: str) -> None:
        query = "&".join(
            f"{field}={value}" for field, value in {"view": "playground", "lesson": name, **fields}.items()
        )
        self.page.goto(f"{self.address}/?{query}")

    def at(self, name: str) -> Locator:
        return self.page.get_by_test_id(f"lesson-{name}")

    def train(self) -> None:
        """Train until the lesson pauses the training."""
        self.at("train").click()
        expect(self.page.locator("h2:focus")).to_have_count(1)
        expect(self.page.get_by_test_id("lesson")).to_have_attribute("data-phase", "ready", timeout=4 * MILLISECONDS)
        expect(self.at("answer").or_(self.page.get_by_role("radio").first)).to_be_enabled()

    def expect_verdict(self, tone: str, words: str) -> None:
        expect(self.at("verdict")).to_have_attribute("data-tone", tone)
        expect(self.at("verdict")).to_contain_text(re.compile(words))


@pytest.fixture
def lesson(page: Page, start_server: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    return Lesson(page, start_server(tmp_path_factory.getbasetemp()))


def test_lesson_of_a_gate_from_training_to_its_hold(lesson: Lesson) -> None:
    """The page that is looked at says itself how many b's are written with the hold."""
    lesson.open("gate")
    page = lesson.page
    expect(page.get_by_test_id("lesson")).to_have_attribute("data-phase", "untrained")
    expect(page).to_have_url(re.compile(r"experiment=lstm\+10\+1\+counter"))
    expect(lesson.at("answer")).to_be_disabled()
    lesson.train()
    lesson.at("check").click()
    lesson.expect_verdict("wrong", "expected a whole number from 0 to 30")
    lesson.at("answer").fill("30")
    lesson.at("answer").press("Enter")
    lesson.expect_verdict("wrong", r"^✗ Not yet: fewer than 30\. Neuron \d forgets")
    guess = -1
    for guess in range(11):
        lesson.at("answer").fill(str(guess))
        lesson.at("check").click()
        expect(lesson.at("verdict")).to_contain_text(re.compile(rf"than {guess}\.|Right: {guess} b"))
        if lesson.at("verdict").get_attribute("data-tone") == "right":
            break
    lesson.expect_verdict("right", rf"Right: {guess} b's? instead of 5\. At the X the gate erased")
    expect(page.get_by_test_id("lessons")).to_contain_text("Lessons: 1 of 6 answered")
    lesson.at("look").click()
    expect(page.get_by_test_id("hold-sentence")).to_contain_text(f"Now it writes {guess} b's instead of 5")
    page.go_back()
    lesson.expect_verdict("right", f"Right: {guess} b")


def test_next_lesson_keeps_the_network_and_names_the_neuron(lesson: Lesson) -> None:
    """The sentence that names the neuron is hidden until the reader has found it."""
    lesson.open("counting", experiment="lstm+10+1+counter+seed+2")
    page = lesson.page
    lesson.train()
    expect(page.get_by_test_id("playground-follows")).to_have_count(0)
    for neuron in range(10):
        lesson.at("answer").select_option(str(neuron))
        lesson.at("check").click()
        expect(lesson.at("verdict")).to_contain_text(f"euron {neuron} follows the b's still to be written")
        if lesson.at("verdict").get_attribute("data-tone") == "right":
            break
    lesson.expect_verdict(
        "right", r"score (0\.9\d|1\.00); shuffled strings reach 0\.\d\d\)\. With its forget gate held"
    )
    page.get_by_role("link", name="Remembering a state").last.click()
    expect(page.locator("h2:focus")).to_contain_text("Remembering a state")
    expect(page).to_have_url(re.compile(r"experiment=lstm\+10\+1\+state_memoriser&lesson=state"))
    page.go_back()
    # Another lesson about the same experiment asks about the same network.
    page.get_by_test_id("lessons").locator("summary").click()
    page.get_by_role("link", name="What a gate does").click()
    expect(page).to_have_url(re.compile(r"counter\+seed\+2&lesson=gate"))


def test_unknown_lesson_and_another_experiment_say_so(lesson: Lesson) -> None:
    lesson.open("juggling")
    expect(lesson.at("unknown")).to_contain_text(f"expected one of {', '.join(NAMES)}, got “juggling”")
    expect(lesson.page.get_by_test_id("lessons").get_by_role("link")).to_have_count(len(NAMES))
    lesson.open("copying", experiment="gru+10+1+copy")
    expect(lesson.at("verdict")).to_contain_text("another network")
    lesson.at("take").click()
    expect(lesson.page).to_have_url(re.compile(r"experiment=lstm\+10\+1\+copy&lesson=copying"))
    expect(lesson.page.get_by_test_id("lesson")).to_have_attribute("data-phase", "untrained")


def test_lesson_in_chinese_is_accessible(view: View) -> None:
    """Choices by keyboard; axe-core finds nothing serious before and after the answer."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed; scripts/test-web installs it")
    lesson = Lesson(view.page, view.address)
    lesson.open("long-copying", lang="zh")
    expect(lesson.page.get_by_test_id("lesson")).to_contain_text("为什么抄不了长词")
    view.page.evaluate(AXE.read_text(encoding="utf-8"))
    check(view, "lesson, untrained")
    lesson.train()
    first = view.page.get_by_role("radio").first
    first.focus()
    first.press("Space")
    first.press("Enter")
    lesson.expect_verdict("wrong", "还不对：更少。")
    view.page.keyboard.press("ArrowUp")  # to the last choice
    lesson.at("check").click()
    lesson.expect_verdict("right", r"四个字母的词 81 个中的 \d+ 个，五个字母的词 243 个中的 \d+ 个")
    for scheme in ("light", "dark"):
        view.page.emulate_media(color_scheme=scheme)
        check(view, f"lesson, {scheme}")
