"""The browser of the tests works, and `watched_page` reports every fault of a page."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.web.watching import watched_page


class Echo(BaseHTTPRequestHandler):
    """Answers with a page whose content is the requested path."""

    def do_GET(self) -> None:
        content = f"<!doctype html><link rel=icon href=data:,><title>echo</title>{unquote(self.path[1:])}".encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


@pytest.fixture
def echo(origins: set[str]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        origins.add(address)
        yield address
        origins.discard(address)
        server.shutdown()
        thread.join()


def test_watched_page_accepts_a_clean_page(page: Page, echo: str) -> None:
    page.goto(f"{echo}/<p>σ 忘记门</p><script>document.querySelector('p').append('!')</script>")
    expect(page.locator("p")).to_have_text("σ 忘记门!")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("<script>console.log('hello')</script>", "console.log: hello"),
        ("<script>throw Error('broken')</script>", "error: broken"),
        ("<img src=http://gatescope.invalid/pixel.png>", "requested http://gatescope.invalid/pixel.png"),
        ("<script>fetch('/missing')</script>", "got 404 for"),
        ("<script>new WebSocket('ws://127.0.0.1:9/')</script>", "opened the WebSocket ws://127.0.0.1:9/"),
    ],
)
def test_watched_page_reports_every_fault(
    browser: Browser, origins: set[str], echo: str, content: str, complaint: str
) -> None:
    with pytest.raises(AssertionError, match=re.escape(complaint)), watched_page(browser, origins) as page:
        page.goto(f"{echo}/{content}", wait_until="networkidle")
