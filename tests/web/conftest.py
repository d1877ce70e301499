"""Fixtures of the tests of the page: a real Chromium, pages that report what they must not do, and the real server.

A test takes `page` and `start_server`:

    def test_a_page(page, start_server, tmp_path):
        page.goto(start_server(tmp_path))

At its end `page` fails the test if the page wrote to the console, raised an error, received an error status, or
requested anything from a server that was not started here.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.waiting import PATIENCE
from tests.web.examples import train_examples, train_kinds
from tests.web.looking import View
from tests.web.watching import MILLISECONDS, watched_page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=MILLISECONDS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start one Chromium for all files of this folder.

    It ends with the folder, because the event loop that drives it blocks tests with an event loop of their own.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(
            f"BROWSER TESTS SKIPPED: none of {', '.join(PROGRAMS)} is installed; scripts/install-browser says why"
        )
    # Chromium's sandbox refuses to work for root, as whom containers usually run.
    arguments = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else list(QUIET)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def origins() -> set[str]:
    """Return the addresses that pages may request, such as http://127.0.0.1:8791: the servers started by the tests."""
    return set()


@pytest.fixture
def page(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """Open an empty page that fails the test if it does what a user must never see (see tests/web/watching.py)."""
    with watched_page(browser, origins) as page:
        yield page


@pytest.fixture
def refused_page(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """Open such a page that may send requests in vain."""
    with watched_page(browser, origins, refusals=True) as page:
        yield page


@pytest.fixture(scope="session")
def start_server(origins: set[str]) -> Iterator[Callable[[Path], str]]:
    """Start the explorer on a directory of runs: `start_server(directory)` -> its address, such as http://127.0.0.1:8791.

    A directory that is already served keeps its server; all servers end after the last test.
    """
    with ExitStack() as running:
        addresses: dict[Path, str] = {}

        def start(directory: Path) -> str:
            if directory not in addresses:
                addresses[directory] = running.enter_context(serving(directory))
                origins.add(addresses[directory])
            return addresses[directory]

        yield start


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the runs that tests may read but not change (see tests/web/examples.py)."""
    return train_examples(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the runs with every kind of input and readout (see tests/web/examples.py)."""
    return train_kinds(tmp_path_factory.mktemp("kinds"))


@pytest.fixture
def view(page: Page, start_server: Callable[[Path], str], runs: Path) -> View:
    """Open the page of those runs, with helpers that read it."""
    return View(page, start_server(runs), runs)


@contextmanager
def serving(directory: Path, port: int = 0) -> Iterator[str]:
    """Start the explorer in a process of its own, as a user starts it. Yields its address.

    Raises:
        AssertionError: the program ended or printed no address.
    """
    command = [sys.executable, "-m", "gatescope", "explore", str(directory), "--port", str(port), "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield _address_in(process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _address_in(process: "subprocess.Popen[str]") -> str:
    """Return the address that the program prints. Its further output is read and dropped, so that it never blocks."""
    assert process.stdout is not None
    lines: list[str] = []
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    try:
        for line in process.stdout:
            lines.append(line)
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return match.group()
    finally:
        alarm.cancel()
    raise AssertionError("the explorer did not start; it printed:\n" + "".join(lines))
