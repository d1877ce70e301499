"""The HTTP side: what the page can ask for, and who may ask."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatescope.errors import GatescopeError
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.gradients import Gradients
from gatescope.explorer.lesson import lesson
from gatescope.explorer.studying import Question, Studies
from gatescope.explorer.traces import Recorder, Request, RequestError
from gatescope.explorer.tracks import Tracks
from gatescope.runs import Run
from gatescope.version import __version__

STATIC = Path(__file__).parent / "static"
LARGEST_REQUEST = 1 << 20  # bytes
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


def make_app(gallery: Gallery, port: int) -> ASGIApp:
    """The application that serves the page and answers it."""
    recorder = Recorder()
    studies, tracks, gradients = Studies(recorder), Tracks(recorder), Gradients()

    def everything() -> dict[str, Any]:
        return {"version": __version__, "runs": gallery.summaries()}

    async def runs(_: HttpRequest) -> Response:
        return Answer(await to_thread.run_sync(everything))

    async def run(request: HttpRequest) -> Response:
        details = await to_thread.run_sync(gallery.details, request.path_params["name"])
        return _no_run(request) if details is None else Answer(details)

    async def trace(request: HttpRequest) -> Response:
        found = (await to_thread.run_sync(gallery.runs)).get(request.path_params["name"])
        if found is None:
            return _no_run(request)
        asked = Request.from_json(await _json(request))
        body = await to_thread.run_sync(recorder.answer, found, asked)
        return Response(body, media_type="application/octet-stream")

    async def study(request: HttpRequest) -> Response:
        found = (await to_thread.run_sync(gallery.runs)).get(request.path_params["name"])
        if found is None:
            return _no_run(request)
        body = await to_thread.run_sync(studies.answer, found, Question.from_json(await _json(request)))
        return Response(body, media_type="application/json")

    async def events(request: HttpRequest) -> Response:
        return StreamingResponse(_changes(request, everything), media_type="text/event-stream")

    routes = [
        Route("/api/runs", runs),
        Route("/api/runs/{name}", run),
        Route("/api/runs/{name}/trace", trace, methods=["POST"]),
        Route("/api/runs/{name}/features", _asking(gallery, tracks.answer), methods=["POST"]),
        Route("/api/runs/{name}/study", study, methods=["POST"]),
        Route("/api/runs/{name}/gradients", _asking(gallery, gradients.gradients), methods=["POST"]),
        Route("/api/runs/{name}/connections", _asking(gallery, gradients.connections), methods=["POST"]),
        Route("/api/runs/{name}/chain", _asking(gallery, gradients.chain), methods=["POST"]),
        Route("/api/runs/{name}/ways", _asking(gallery, lesson), methods=["POST"]),
        Route("/api/events", events),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    handlers: dict[Any, Any] = {GatescopeError: _refused, HTTPException: _http_error, Exception: _failed}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port)


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
        raise RequestError("A request is sent as application/json.", 415)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_REQUEST:
            raise RequestError(f"A request may have at most {LARGEST_REQUEST:,} bytes. Use a shorter text.", 413)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The request is not JSON: {error}.") from error


def _asking(
    gallery: Gallery, ask: Callable[[Run, Any], bytes | dict[str, Any]]
) -> Callable[[HttpRequest], Awaitable[Response]]:
    """Answers with what `ask` says of a run and the request: raw bytes, or JSON."""

    async def answer(request: HttpRequest) -> Response:
        found = (await to_thread.run_sync(gallery.runs)).get(request.path_params["name"])
        if found is None:
            return _no_run(request)
        said = await to_thread.run_sync(ask, found, await _json(request))
        return Answer(said) if isinstance(said, dict) else Response(said, media_type="application/octet-stream")

    return answer


def _no_run(request: HttpRequest) -> Response:
    return Answer({"error": f"There is no run named {request.path_params['name']!r} here any more."}, 404)


async def _refused(_: HttpRequest, error: Exception) -> Response:
    return Answer({"error": str(error)}, error.status if isinstance(error, RequestError) else 409)


async def _http_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Answer({"error": f"{error.detail}."}, error.status_code)


async def _failed(_: HttpRequest, error: Exception) -> Response:
    return Answer({"error": f"The explorer met an error of its own ({error!r}); please report it."}, 500)
