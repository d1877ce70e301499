"""The page in Chinese: by the browser's language, by its switch, and by its address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.watching import watched_page


@pytest.fixture
def chinese_page(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """Open a page in a browser whose language is Chinese."""
    with watched_page(browser, origins, locale="zh-CN") as page:
        yield page


def test_page_speaks_the_language_of_the_browser_and_switches(
    chinese_page: Page, start_server: Callable[[Path], str], runs: Path
) -> None:
    page, address = chinese_page, start_server(runs)
    page.goto(f"{address}/?view=network&run=counter")
    expect(page.get_by_test_id("tab-neuron")).to_contain_text("神经元")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    # Titles of signals, the task's question and the score come from data.
    for words in ("细胞状态", "哪些神经元", "第一个出错的 N"):
        expect(page.locator("body")).to_contain_text(words)
    assert page.locator("main").inner_text().count("hidden state") == 0
    text = page.get_by_test_id("text-box").input_value()
    page.get_by_test_id("language").press("Enter")
    expect(page.get_by_test_id("tab-neuron")).to_contain_text("Neuron")
    # The switch keeps the focus: the next Enter leads back.
    expect(page.get_by_test_id("language")).to_be_focused()
    expect(page.locator("body")).to_contain_text("cell state")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_test_id("text-box").input_value() == text
    # The choice is remembered, and the address of this page names no language.
    page.reload()
    expect(page.get_by_test_id("tab-neuron")).to_contain_text("Neuron")
    assert "lang=" not in page.url


def test_address_names_the_language_and_errors_come_in_it(
    page: Page, start_server: Callable[[Path], str], runs: Path
) -> None:
    address = start_server(runs)
    page.goto(f"{address}/?view=health&run=counter&lang=zh")
    expect(page).to_have_title("健康 · counter · gatescope")
    page.get_by_test_id("tab-neuron").click()
    assert "lang=zh" in page.url
    answer = page.request.post(
        f"{address}/api/runs/counter/trace", data={"text": 1}, headers={"Accept-Language": "zh-CN,zh;q=0.9"}
    )
    assert answer.json()["error"].startswith("请求 trace")
