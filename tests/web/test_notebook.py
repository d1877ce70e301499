"""The notebook widget in a real JupyterLab: selections come back, Python changes it, and it lives without a kernel.

JupyterLab writes to the console and asks for files that it does not have, so these tests do not watch the page.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.waiting import PATIENCE
from tests.web.watching import MILLISECONDS

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("anywidget", "jupyterlab", "ipykernel")),
    reason="NOTEBOOK TESTS SKIPPED: anywidget (the extra 'notebook'), jupyterlab or ipykernel is not installed",
)

NOTEBOOK = "looking.ipynb"
TOKEN = "a-token-of-the-test"
SETTINGS = {
    "@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings": {"saveState": True},
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"},
}
CANVAS, TEXT_BOX = "strips-canvas", "text-box"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Start JupyterLab with settings and kernels of its own, and return its address."""
    folders = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    kernel = tmp_path / "DATA" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": arguments, "display_name": "Python 3", "language": "python"}))
    for name, values in SETTINGS.items():
        file = tmp_path / "settings" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    environment = {
        **os.environ,
        **folders,
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
    }
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={notebooks}",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield _address_in(process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _address_in(process: subprocess.Popen[str]) -> str:
    """Return the address that JupyterLab prints. Its further output is read and dropped, so that it never blocks."""
    assert process.stdout is not None
    lines: list[str] = []
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if match := re.search(r"(http://127\.0\.0\.1:\d+)/lab", line):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return match[1]
    finally:
        alarm.cancel()
    raise AssertionError("JupyterLab did not start; it printed:\n" + "".join(lines))


def write_notebook(path: Path, cells: list[str]) -> None:
    """Write a notebook with cells of code that did not run."""
    content: dict[str, Any] = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
    }
    path.write_text(json.dumps(content))


def requested(address: str, method: str = "GET") -> Any:
    """Return the answer of JupyterLab."""
    with urlopen(
        Request(address, headers={"Authorization": f"token {TOKEN}"}, method=method), timeout=PATIENCE
    ) as answer:
        content = answer.read()
    return json.loads(content) if content else None


class Lab:
    """A notebook in a window of JupyterLab."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        self.context.set_default_timeout(MILLISECONDS)
        self.page: Page = self.context.new_page()
        self.page.goto(f"{address}/lab/tree/{NOTEBOOK}?token={TOKEN}")
        expect(self.cells.first).to_be_visible()
        # A cell that runs before its kernel is ready does not run at all.
        expect(self.page.get_by_text(re.compile(r"\| Idle$"))).to_be_visible()

    @property
    def cells(self) -> Any:
        return self.page.locator(".jp-CodeCell")

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator(".jp-OutputArea iframe")

    def run(self, cell: int) -> None:
        """Run a cell, and wait until it is done."""
        self.cells.nth(cell).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Shift+Enter")
        expect(self.cells.nth(cell).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))

    def printed(self, cell: int) -> str:
        """Return what a cell prints when it runs now."""
        self.run(cell)
        return self.cells.nth(cell).locator(".jp-OutputArea-output pre").inner_text().strip()

    def steps(self, count: int) -> None:
        """Wait until the strips show a text of some steps."""
        expect(self.frame.get_by_test_id(CANVAS)).to_have_attribute("data-steps", str(count))


def test_widget_answers_python_and_lives_without_its_kernel(
    browser: Browser, lab: str, runs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "notebooks" / NOTEBOOK
    write_notebook(
        file,
        [
            f"import gatescope\nwidget = gatescope.explore({str(runs / 'counter')!r}, 'aaaXbbb')\nwidget",
            "print(widget.text, widget.neuron, widget.steps, widget.holds)",
            "widget.text = 'aaXbb'; widget.neuron = 7; widget.hold(0, 'f', 2, 0.5, (1, 3)); print('set')",
            "widget.release(); widget.steps = (1, 4); print('released')",
        ],
    )
    window = Lab(browser, lab)
    window.run(0)
    window.steps(7)
    assert window.printed(1) == "aaaXbbb None None []"

    # What is chosen on the page comes back.
    find = window.frame.get_by_test_id("filter")
    find.fill("4")
    expect(window.frame.get_by_test_id("cursor-text")).to_contain_text("neuron 4")
    window.frame.get_by_test_id(TEXT_BOX).press("End")
    window.page.keyboard.type("b")
    window.steps(8)
    assert window.printed(1) == "aaaXbbbb 4 None []"

    # What Python changes is shown.
    assert window.printed(2) == "set"
    window.steps(5)
    expect(window.frame.get_by_test_id("cursor-text")).to_contain_text("neuron 7")
    expect(window.frame.get_by_text("f of neuron 2 held at 0.5 from step 1 to 2")).to_be_visible()
    assert window.printed(3) == "released"
    expect(window.frame.get_by_text("f of neuron 2 held at 0.5")).to_have_count(0)
    assert window.printed(1) == "aaXbb 7 (1, 4) []"

    # Ctrl-Z goes back on the page, which has no address of its own.
    window.frame.get_by_test_id("strips").press("Control+z")
    expect(window.frame.get_by_text("f of neuron 2 held at 0.5 from step 1 to 2")).to_be_visible()

    window.cells.nth(1).locator(".jp-InputArea-editor").click()
    window.page.keyboard.press("Control+s")
    expect(window.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)
    state = json.loads(file.read_text())["metadata"]["widgets"]
    assert "application/vnd.jupyter.widget-state+json" in state
    window.context.close()

    kernels = [kernel["id"] for kernel in requested(f"{lab}/api/kernels")]
    for session in requested(f"{lab}/api/sessions"):
        requested(f"{lab}/api/sessions/{session['id']}", "DELETE")
    again = Lab(browser, lab)
    again.steps(5)
    assert not set(kernels) & {kernel["id"] for kernel in requested(f"{lab}/api/kernels")}
    expect(again.frame.get_by_test_id("cursor-text")).to_contain_text("neuron 7")
    again.frame.get_by_test_id(TEXT_BOX).press("End")
    again.page.keyboard.type("b")
    again.steps(6)
    again.context.close()
