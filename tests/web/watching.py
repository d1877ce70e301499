"""A page that reports what no user should ever see."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Response, Route

MILLISECONDS = 90_000
"""Patience with a page: far more than a browser on a busy machine needs."""
MAX_REASON = 300
"""Characters of the body of a refused request that are printed."""


@contextmanager
def watched_page(
    browser: Browser, origins: set[str], *, refusals: bool = False, phone: bool = False, locale: str = "en-US"
) -> Iterator[Page]:
    """Open an empty page in a browser context of its own.

    Args:
        browser: the browser.
        origins: the servers that it may use.
        refusals: whether requests may fail. The browser itself then writes "Failed to load resource" to the console,
            which no page can prevent.
        phone: whether the screen is small, and touched instead of pointed at.
        locale: the language of the browser.

    Raises:
        AssertionError: at the end, if the page wrote to the console, raised an error, received an error status, or
            requested anything from elsewhere.
    """
    context = browser.new_context(
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
        has_touch=phone,
        locale=locale,
        reduced_motion="reduce",
        service_workers="block",
    )
    context.set_default_timeout(MILLISECONDS)
    problems: list[str] = []
    refused: list[Response] = []
    complete: set[Request] = set()

    def guard(route: Route) -> None:
        address = urlsplit(route.request.url)
        if f"{address.scheme}://{address.netloc}" in origins:
            route.continue_()
        else:
            problems.append(f"requested {route.request.url}")
            route.abort()

    def on_console(message: ConsoleMessage) -> None:
        if not (refusals and message.text.startswith("Failed to load resource: ")):
            problems.append(f"console.{message.type}: {message.text}")

    def on_response(response: Response) -> None:
        if response.status >= 400 and not refusals:
            refused.append(response)

    def on_request_failed(request: Request) -> None:
        # Leaving a page, or a newer request, aborts requests that are still open.
        if request.failure != "net::ERR_ABORTED" and not refusals:
            problems.append(f"got nothing for {request.url}: {request.failure}")

    def on_request_finished(request: Request) -> None:
        complete.add(request)

    context.route(lambda url: urlsplit(url).scheme in {"http", "https"}, guard)
    context.on("console", on_console)
    context.on("weberror", lambda error: problems.append(f"error: {error.error}"))
    context.on("response", on_response)
    context.on("requestfailed", on_request_failed)
    context.on("requestfinished", on_request_finished)
    page = context.new_page()
    page.on("websocket", lambda socket: problems.append(f"opened the WebSocket {socket.url}"))
    try:
        yield page
    finally:
        for response in refused:
            # Playwright would wait without end for the body of a response that is not complete.
            reason = _reason(response) if response.request in complete else "its body did not arrive"
            problems.append(f"got {response.status} for {response.url}: {reason}")
        context.close()
    assert not problems, "the page did what it must not:\n  " + "\n  ".join(problems)


def _reason(response: Response) -> str:
    """Return the beginning of the body of a response, which says why it is refused."""
    try:
        return response.text()[:MAX_REASON]
    except Error as error:  # the page was left, and its responses with it
        return error.message
