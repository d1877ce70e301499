"""A real Firefox, driven over WebDriver BiDi by puppeteer-core: Playwright's own Firefox is not in Debian."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.web.watching import MILLISECONDS

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("firefox.mjs")
PROGRAMS = ("firefox-esr", "firefox")


class Firefox:
    """One page of a Firefox; every call waits for its answer.

    Args:
        process: the driver, with pipes to its input and output.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _call(self, name: str, *values: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *values]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver of Firefox ended in {name}{values}"
        answer = json.loads(line)
        assert "error" not in answer, f"{name}{values}: {answer['error']}"
        return answer["value"]

    def open(self, url: str) -> None:
        """Open an address and wait until it is loaded."""
        self._call("open", url)

    def click(self, selector: str) -> None:
        """Click the element of a CSS selector."""
        self._call("click", selector)

    def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        self._call("fill", selector, text)

    def press(self, key: str) -> None:
        """Press a key, such as "Tab" or "ArrowRight"."""
        self._call("press", key)

    def wait(self, expression: str) -> None:
        """Wait until an expression of JavaScript is true."""
        self._call("wait", expression)

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of an expression of JavaScript."""
        return self._call("evaluate", expression)

    def text(self, name: str) -> str:
        """Return the text of the element with a `data-testid`, once it exists."""
        element = f"document.querySelector('[data-testid=\"{name}\"]')"
        self.wait(element)
        return str(self.evaluate(f"{element}.innerText"))

    def screenshot(self, path: Path) -> None:
        """Save a picture of the page as PNG."""
        self._call("screenshot", str(path))

    def report(self) -> dict[str, list[str]]:
        """Return the problems and the requested addresses so far."""
        return self._call("report")


@contextmanager
def firefox(origins: set[str]) -> Iterator[Firefox]:
    """Start a Firefox with an empty page.

    Args:
        origins: the servers that the page may use.

    Raises:
        AssertionError: at the end, if the page wrote to the console, raised an error, or requested anything else.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    node = shutil.which("node")
    if program is None or node is None or not (ROOT / "web/node_modules/puppeteer-core").exists():
        pytest.skip(
            "FIREFOX TESTS SKIPPED: Firefox, Node.js or web/node_modules is missing; see scripts/install-browser"
        )
    environment = {**os.environ, "MOZ_DISABLE_CONTENT_SANDBOX": "1"} if os.geteuid() == 0 else {**os.environ}
    command = [node, str(DRIVER), program, str(MILLISECONDS)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        page = Firefox(process)
        try:
            yield page
            report = page.report()
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
    problems = [*report["problems"], *(f"requested {url}" for url in report["requests"] if not _allowed(url, origins))]
    assert not problems, "the page did in Firefox what it must not:\n  " + "\n  ".join(problems)


def _allowed(url: str, origins: set[str]) -> bool:
    address = urlsplit(url)
    local = address.scheme in {"about", "blob", "data", "file"}
    return local or f"{address.scheme}://{address.netloc}" in origins
