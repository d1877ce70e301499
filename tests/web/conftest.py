"""What the tests of the page share: a real Chromium, pages that notice what they should not do, the real server.

A test takes `page` and `start_server`:

    def test_a_page(page, start_server, tmp_path):
        page.goto(start_server(tmp_path))

At its end `page` fails the test if the page wrote to the console, raised an error, got an answer that says so, or
asked for anything that is not on one of the servers started here.
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

from tests.web.examples import train_examples
from tests.waiting import PATIENCE
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of one file.

    It ends with them: the event loop that drives it would be in the way of other tests that run one of their own.
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
    """Where pages may get things from, such as http://127.0.0.1:8791: the servers started by the tests."""
    return set()


@pytest.fixture
def page(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """An empty page, that fails the test over whatever a user should never meet (see tests/web/watching.py)."""
    with watched_page(browser, origins) as page:
        yield page


@pytest.fixture
def refused_page(browser: Browser, origins: set[str]) -> Iterator[Page]:
    """The same, but it may ask for what it does not get."""
    with watched_page(browser, origins, refusals=True) as page:
        yield page


@pytest.fixture(scope="session")
def start_server(origins: set[str]) -> Iterator[Callable[[Path], str]]:
    """Start the explorer on a directory of runs: `start_server(directory)` -> its address, such as http://127.0.0.1:8791.

    A directory that is served already keeps its server; all of them end behind the last test.
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
    """A directory of runs to look at, and never to change (see tests/web/examples.py)."""
    return train_examples(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def view(page: Page, start_server: Callable[[Path], str], runs: Path) -> View:
    """The page of those runs, and what can be read off it."""
    return View(page, start_server(runs), runs)


@contextmanager
def serving(directory: Path, port: int = 0) -> Iterator[str]:
    """The explorer in a process of its own, started as a user starts it. Yields its address.

    Raises:
        AssertionError: the program ended, or said no address, before it served anything.
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
    """What the program prints as its address. The rest is let run past, so that it never waits for a reader."""
    assert process.stdout is not None
    said: list[str] = []
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return found.group()
    finally:
        alarm.cancel()
    raise AssertionError("the explorer did not start; it said:\n" + "".join(said))
