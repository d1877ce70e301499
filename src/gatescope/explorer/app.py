"""The HTTP side: what the page can ask for, and who may ask."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatescope.errors import GatescopeError
from gatescope.explorer.findings import Question, Studies
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.gradients import Gradients
from gatescope.explorer.lesson import lesson
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.recorder import Recorder, Request
from gatescope.explorer.requests import RequestError, quoted
from gatescope.explorer.tracks import Tracks
from gatescope.runs import Run
from gatescope.version import __version__

STATIC = Path(__file__).parent / "static"
LARGEST_REQUEST = 1 << 20  # bytes
AT_ONCE = 8  # requests that compute or wait for memory; others are answered meanwhile
POLL = 0.5  # seconds between two looks at the run directories
HEARTBEAT = 15.0

HEADERS = {
    b"content-security-policy": b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-cache",
}


class Answer(JSONResponse):
    """JSON in ASCII: a name or a text may hold what UTF-8 cannot write (a lone surrogate)."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return json.dumps(content, allow_nan=False).encode("ascii")


class Arrays(Response):
    """Raw bytes, whose memory is given back when they are sent."""

    def __init__(self, body: bytes, reserved: Reservation) -> None:
        super().__init__(body, media_type="application/octet-stream")
        self._reserved = reserved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reserved.release()


class Guard:
    """Lets only this machine's own page in.

    A foreign web page can make the browser send requests here (to a name that it points at 127.0.0.1, or across
    origins); both show in the Host and Origin headers.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._hosts |= {"127.0.0.1", "localhost"} if port == 80 else set()
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
        if host not in self._hosts or (origin is not None and origin.decode("latin-1") not in self._origins):
            refusal = Answer({"error": "This address answers only its own page on this machine."}, 403)
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        await self._app(scope, receive, send_with_headers)


# Windows takes media types from its registry, where any program may have changed them.
for suffix, kind in {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm"}.items():
    mimetypes.add_type(kind, suffix)


Ask = Callable[[Run, Any], bytes | tuple[bytes, Reservation] | dict[str, Any]]
"""What answers a request about a run: raw bytes, raw bytes whose memory is reserved until they are sent, or JSON."""


def make_app(gallery: Gallery, port: int, memory: Memory | None = None) -> ASGIApp:
    """The application that serves the page and answers it."""
    memory = memory or Memory()
    recorder = Recorder(memory)
    studies, tracks, gradients = Studies(recorder, memory), Tracks(recorder, memory), Gradients(memory)

    def everything() -> dict[str, Any]:
        return {"version": __version__, "runs": gallery.summaries()}

    async def runs(_: HttpRequest) -> Response:
        return Answer(await to_thread.run_sync(everything))

    async def run(request: HttpRequest) -> Response:
        details = await to_thread.run_sync(gallery.details, request.path_params["name"])
        return _no_run(request) if details is None else Answer(details)

    async def events(request: HttpRequest) -> Response:
        return StreamingResponse(_changes(request, everything), media_type="text/event-stream")

    limiter = CapacityLimiter(AT_ONCE)

    def asking(ask: Ask, media_type: str = "application/octet-stream") -> Callable[[HttpRequest], Awaitable[Response]]:
        return _asking(gallery, limiter, ask, media_type)

    def trace(run: Run, data: Any) -> tuple[bytes, Reservation]:
        return recorder.answer(run, Request.from_json(data))

    def study(run: Run, data: Any) -> bytes:
        return studies.answer(run, Question.from_json(data))

    def ways(run: Run, data: Any) -> dict[str, Any]:
        return lesson(memory, run, data)

    routes = [
        Route("/api/runs", runs),
        Route("/api/runs/{name}", run),
        Route("/api/runs/{name}/trace", asking(trace), methods=["POST"]),
        Route("/api/runs/{name}/features", asking(tracks.answer), methods=["POST"]),
        Route("/api/runs/{name}/study", asking(study, "application/json"), methods=["POST"]),
        Route("/api/runs/{name}/gradients", asking(gradients.gradients), methods=["POST"]),
        Route("/api/runs/{name}/connections", asking(gradients.connections), methods=["POST"]),
        Route("/api/runs/{name}/chain", asking(gradients.chain), methods=["POST"]),
        Route("/api/runs/{name}/ways", asking(ways), methods=["POST"]),
        Route("/api/events", events),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    handlers: dict[Any, Any] = {GatescopeError: _refused, HTTPException: _http_error, Exception: _failed}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port)


def _asking(
    gallery: Gallery, limiter: CapacityLimiter, ask: Ask, media_type: str
) -> Callable[[HttpRequest], Awaitable[Response]]:
    """Return an endpoint that answers with what `ask` makes of a run and the JSON of the request."""

    async def answer(request: HttpRequest) -> Response:
        found = (await to_thread.run_sync(gallery.runs)).get(request.path_params["name"])
        if found is None:
            return _no_run(request)
        answer = await to_thread.run_sync(ask, found, await _json(request), limiter=limiter)
        if isinstance(answer, tuple):
            return Arrays(*answer)
        return Answer(answer) if isinstance(answer, dict) else Response(answer, media_type=media_type)

    return answer


async def _changes(request: HttpRequest, everything: Any) -> AsyncIterator[str]:
    """Server-sent events: all summaries at once, and again whenever one of them has changed."""
    sent, quiet = "", 0.0
    while not await request.is_disconnected():
        now = json.dumps(await to_thread.run_sync(everything))
        if now != sent:
            yield f"event: runs\ndata: {now}\n\n"
            sent, quiet = now, 0.0
        elif quiet >= HEARTBEAT:
            yield ": still here\n\n"
            quiet = 0.0
        await asyncio.sleep(POLL)
        quiet += POLL


async def _json(request: HttpRequest) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RequestError("APP_REQUEST_SENT_APPLICATION_JSON", status=415)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_REQUEST:
            raise RequestError("APP_REQUEST_MAY_MOST_BYTES", status=413, largest_request=LARGEST_REQUEST)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("APP_REQUEST_JSON", error=error) from error


def _no_run(request: HttpRequest) -> Response:
    return Answer({"error": f"There is no run named {quoted(request.path_params['name'])} here any more."}, 404)


async def _refused(_: HttpRequest, error: Exception) -> Response:
    return Answer({"error": str(error)}, error.status if isinstance(error, RequestError) else 409)


async def _http_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Answer({"error": f"{error.detail}."}, error.status_code)


async def _failed(_: HttpRequest, error: Exception) -> Response:
    return Answer({"error": f"The explorer met an error of its own ({error!r}); please report it."}, 500)
