"""A page that notices what no user should ever meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, Route

MILLISECONDS = 90_000
"""How long a page has for what it should show: far more than a browser on a busy machine needs."""


@contextmanager
def watched_page(browser: Browser, origins: set[str], *, refusals: bool = False) -> Iterator[Page]:
    """An empty page with a memory of its own.

    Args:
        browser: where it is opened.
        origins: where it may get things from.
        refusals: whether it may ask for what it does not get: the server is away, or answers with an error. The browser
            itself then writes "Failed to load resource" to the console, which no page can keep it from.

    Raises:
        AssertionError: at the end, when the page wrote to the console, raised an error, got an answer that says so, or
            asked for anything from elsewhere.
    """
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-US", reduced_motion="reduce", service_workers="block"
    )
    context.set_default_timeout(MILLISECONDS)
    wrong: list[str] = []

    def guard(route: Route) -> None:
        address = urlsplit(route.request.url)
        if f"{address.scheme}://{address.netloc}" in origins:
            route.continue_()
        else:
            wrong.append(f"asked for {route.request.url}")
            route.abort()

    def spoken(message: ConsoleMessage) -> None:
        if not (refusals and message.text.startswith("Failed to load resource: ")):
            wrong.append(f"console.{message.type}: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 400 and not refusals:
            wrong.append(f"got {response.status} for {response.url}")

    def unanswered(request: Request) -> None:
        # Leaving a page, or a newer question, ends what is still on its way.
        if request.failure != "net::ERR_ABORTED" and not refusals:
            wrong.append(f"got nothing for {request.url}: {request.failure}")

    context.route(lambda url: urlsplit(url).scheme in {"http", "https"}, guard)
    context.on("console", spoken)
    context.on("weberror", lambda error: wrong.append(f"error: {error.error}"))
    context.on("response", answered)
    context.on("requestfailed", unanswered)
    page = context.new_page()
    page.on("websocket", lambda socket: wrong.append(f"opened the WebSocket {socket.url}"))
    try:
        yield page
    finally:
        context.close()
    assert not wrong, "the page did what it should not:\n  " + "\n  ".join(wrong)
