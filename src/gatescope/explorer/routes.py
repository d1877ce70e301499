"""The HTTP application: its addresses, and the guard that only lets the page of this computer in."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatescope.errors import GatescopeError
from gatescope.explorer.act_routes import act_routes
from gatescope.explorer.act_token import ActToken
from gatescope.explorer.findings import Findings
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.gradients import Gradients
from gatescope.explorer.layer_matrices import layer_matrices
from gatescope.explorer.lesson import lesson
from gatescope.explorer.live_files import live_file
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.networks import network_json, weights_of_run
from gatescope.explorer.playground import FILES as PLAYGROUND_FILES
from gatescope.explorer.playground import FOLDER, playground_file
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.requests import RequestError, quoted
from gatescope.explorer.sentences import error_json
from gatescope.explorer.studies import Studies
from gatescope.explorer.study_request import StudyRequest
from gatescope.explorer.tracks import Tracks
from gatescope.explorer.training_routes import training_routes
from gatescope.explorer.trainings import Trainings
from gatescope.explorer.wire import TraceRequest
from gatescope.messages import Message as Sentence
from gatescope.messages.languages import in_language, language_of_header
from gatescope.runs import Run
from gatescope.version import __version__

STATIC = Path(__file__).parent / "static"
MAX_REQUEST_BYTES = 1 << 20
MAX_COMPUTING_REQUESTS = 8  # that compute or wait for memory; other requests are answered meanwhile
POLL_SECONDS = 0.5  # between two looks at the run directories
HEARTBEAT_SECONDS = 15.0

HEADERS = {
    # The engine of the page is WebAssembly in a worker; no text is ever evaluated as JavaScript.
    b"content-security-policy": b"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    b"style-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    b"form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    # Alone in its process, the page may share memory with its worker (web/engine/mailbox.ts).
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-embedder-policy": b"require-corp",
    b"cache-control": b"no-cache",
}


class Answer(JSONResponse):
    """JSON in ASCII, because a name or a text may hold a lone surrogate, which UTF-8 cannot encode."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False).encode("ascii")


class Arrays(Response):
    """Raw bytes whose memory is released once they are sent."""

    def __init__(self, body: bytes, reserved: Reservation, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body, headers=headers, media_type="application/octet-stream")
        self._reserved = reserved

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the bytes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reserved.release()


class Guard:
    """Refuses every page but the explorer's own.

    Another web page can make the browser send requests to this server, across origins or through a host name that
    resolves to 127.0.0.1. The Host and Origin headers show both. Sentences of an answer are in the language of the
    request: of "lang" in its address, because an EventSource sends no header of its own, or of Accept-Language.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._hosts |= {"127.0.0.1", "localhost"} if port == 80 else set()
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        host, origin = headers.get(b"host", b"").decode("latin-1"), headers.get(b"origin")
        if host not in self._hosts or (origin is not None and origin.decode("latin-1") not in self._origins):
            with in_language(_language_of(scope, headers)):
                refusal = _error("EXPLORER_FOREIGN_PAGE", 403)
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items()]
            await send(message)

        with in_language(_language_of(scope, headers)):
            await self._app(scope, receive, send_with_headers)


def _language_of(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """Return the language of a request."""
    chosen = QueryParams(scope["query_string"]).get("lang") or headers.get(b"accept-language", b"").decode("latin-1")
    return language_of_header(chosen)


# Windows reads media types from its registry, where other programs may have changed them.
for suffix, kind in {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm"}.items():
    mimetypes.add_type(kind, suffix)


Endpoint = Callable[[HttpRequest], Awaitable[Response]]
"""Answers an HTTP request."""

Handler = Callable[[Run, Any], bytes | tuple[bytes, Reservation] | dict[str, Any]]
"""Answers a request about a run: with bytes, with bytes and the memory that they hold until they are sent, or JSON."""

WatchedHandler = Callable[[Run, Any, threading.Event], bytes | tuple[bytes, Reservation] | dict[str, Any]]
"""A handler with an event, which is set when nobody waits for its answer any more."""


def make_app(gallery: Gallery, port: int, memory: Memory | None = None, token: ActToken | None = None) -> ASGIApp:
    """Return the application that serves the page and answers its requests.

    Args:
        gallery: the runs.
        port: the port that the server listens on.
        memory: the memory of the server; None: a new one of the usual size.
        token: the token of this start, without which nothing is written; None: a new one.
    """
    memory, token = memory or Memory(), token or ActToken()
    recorder = Recorder(memory)
    studies, tracks, gradients = Studies(recorder, memory), Tracks(recorder, memory), Gradients(memory)
    trainings = Trainings(gallery)

    def list_runs() -> dict[str, Any]:
        return {"version": __version__, "runs": [*map(trainings.with_problem, gallery.summaries())]}

    async def runs(_: HttpRequest) -> Response:
        return Answer(await to_thread.run_sync(list_runs))

    async def run(request: HttpRequest) -> Response:
        details = await to_thread.run_sync(gallery.details, request.path_params["name"])
        return _no_run(request) if details is None else Answer(trainings.with_problem(details))

    async def events(request: HttpRequest) -> Response:
        return StreamingResponse(_changes(request, list_runs), media_type="text/event-stream")

    limiter = CapacityLimiter(MAX_COMPUTING_REQUESTS)

    def endpoint(handler: Handler, media_type: str = "application/octet-stream") -> Endpoint:
        return _endpoint(gallery, limiter, handler, media_type, token)

    def trace(run: Run, data: Any, gone: threading.Event) -> tuple[bytes, Reservation]:
        return recorder.answer(run, TraceRequest.from_json(data), gone)

    def check(run: Run, data: Any, gone: threading.Event) -> dict[str, Any]:
        return recorder.check(run, TraceRequest.from_json(data), gone)

    async def progress(request: HttpRequest) -> Response:
        return Answer(recorder.arrivals.progress(request.query_params.get("page", "")))

    def study(run: Run, data: Any) -> bytes:
        return studies.answer(run, StudyRequest.from_json(data))

    def ways(run: Run, data: Any) -> dict[str, Any]:
        return lesson(memory, run, data)

    def matrices(run: Run, data: Any) -> tuple[bytes, Reservation]:
        return layer_matrices(memory, run, data)

    routes = [
        Route(f"/{FOLDER}/{{name}}.json", _playground),
        Route("/api/runs", runs),
        Route("/api/runs/{name}", run),
        Route("/api/runs/{name}/network", _details_endpoint(gallery, limiter, network_json)),
        Route("/api/runs/{name}/findings", _details_endpoint(gallery, limiter, Findings(recorder, tracks).answer)),
        Route("/api/runs/{name}/weights", _weights_endpoint(gallery, limiter, memory)),
        Route("/api/runs/{name}/trace", _watched_endpoint(gallery, limiter, trace), methods=["POST"]),
        Route("/api/runs/{name}/check", _watched_endpoint(gallery, limiter, check), methods=["POST"]),
        Route("/api/progress", progress),
        Route("/api/runs/{name}/features", endpoint(tracks.answer), methods=["POST"]),
        Route("/api/runs/{name}/study", endpoint(study, "application/json"), methods=["POST"]),
        Route("/api/runs/{name}/gradients", endpoint(gradients.gradients), methods=["POST"]),
        Route("/api/runs/{name}/connections", endpoint(gradients.connections), methods=["POST"]),
        Route("/api/runs/{name}/chain", endpoint(gradients.chain), methods=["POST"]),
        Route("/api/runs/{name}/ways", endpoint(ways), methods=["POST"]),
        Route("/api/runs/{name}/matrices", endpoint(matrices), methods=["POST"]),
        Route("/api/runs/{name}/live", endpoint(live_file, "text/html"), methods=["POST"]),
        Route("/api/events", events),
        *act_routes(gallery, token, _read_json),
        *training_routes(trainings, token, _read_json),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    handlers: dict[Any, Any] = {GatescopeError: _refused, HTTPException: _http_error, Exception: _failed}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), port)


def _endpoint(
    gallery: Gallery, limiter: CapacityLimiter, handler: Handler, media_type: str, token: ActToken
) -> Endpoint:
    """Return an endpoint that calls a handler with a run and the JSON of the request."""

    async def answer(request: HttpRequest) -> Response:
        run = await _run_of(gallery, request)
        if run is None:
            return _no_run(request)
        data = await _read_json(request)
        if isinstance(data, dict) and data.get("keep", False) is not False:  # the tables of a study, in the run
            token.check(request.headers)
            gallery.check_writable(run)
        return _response(await to_thread.run_sync(handler, run, data, limiter=limiter), media_type)

    return answer


def _response(answer: bytes | tuple[bytes, Reservation] | dict[str, Any], media_type: str) -> Response:
    if isinstance(answer, tuple):
        return Arrays(*answer)
    return Answer(answer) if isinstance(answer, dict) else Response(answer, media_type=media_type)


def _watched_endpoint(gallery: Gallery, limiter: CapacityLimiter, handler: WatchedHandler) -> Endpoint:
    """Return an endpoint whose handler learns that the page has closed the connection."""

    async def answer(request: HttpRequest) -> Response:
        run = await _run_of(gallery, request)
        if run is None:
            return _no_run(request)
        data, gone = await _read_json(request), threading.Event()

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                await asyncio.sleep(POLL_SECONDS)
            gone.set()

        watching = asyncio.create_task(watch())
        try:
            answer = await to_thread.run_sync(handler, run, data, gone, limiter=limiter)
        finally:
            watching.cancel()
        return _response(answer, "application/octet-stream")

    return answer


def _details_endpoint(gallery: Gallery, limiter: CapacityLimiter, details: Callable[[Run], dict[str, Any]]) -> Endpoint:
    """Return an endpoint that answers with JSON about a run."""

    async def answer(request: HttpRequest) -> Response:
        run = await _run_of(gallery, request)
        return _no_run(request) if run is None else Answer(await to_thread.run_sync(details, run, limiter=limiter))

    return answer


def _weights_endpoint(gallery: Gallery, limiter: CapacityLimiter, memory: Memory) -> Endpoint:
    """Return the endpoint of weights.safetensors."""

    async def answer(request: HttpRequest) -> Response:
        run = await _run_of(gallery, request)
        if run is None:
            return _no_run(request)
        query, known = dict(request.query_params), request.headers.get("if-none-match")
        weights = await to_thread.run_sync(weights_of_run, memory, run, query, known, limiter=limiter)
        headers = {"etag": weights.tag}
        return Response(status_code=304, headers=headers) if weights.body is None else Arrays(*weights.body, headers)

    return answer


async def _playground(request: HttpRequest) -> Response:
    """Answer with a file of the playground."""
    name = request.path_params["name"]
    if name not in PLAYGROUND_FILES:
        return _error("EXPLORER_BUNDLE_UNKNOWN", 404, names=", ".join(PLAYGROUND_FILES), name=quoted(name))
    return Response(await to_thread.run_sync(playground_file, name), media_type="application/json")


async def _run_of(gallery: Gallery, request: HttpRequest) -> Run | None:
    """Return the run that a request names; None if there is no such run."""
    return (await to_thread.run_sync(gallery.runs)).get(request.path_params["name"])


async def _changes(request: HttpRequest, list_runs: Any) -> AsyncIterator[str]:
    """Yield server-sent events: all summaries at once, and again whenever one of them changes."""
    sent, quiet_seconds = "", 0.0
    while not await request.is_disconnected():
        now = json.dumps(await to_thread.run_sync(list_runs))
        if now != sent:
            yield f"event: runs\ndata: {now}\n\n"
            sent, quiet_seconds = now, 0.0
        elif quiet_seconds >= HEARTBEAT_SECONDS:
            yield ": still here\n\n"
            quiet_seconds = 0.0
        await asyncio.sleep(POLL_SECONDS)
        quiet_seconds += POLL_SECONDS


async def _read_json(request: HttpRequest, max_bytes: int = MAX_REQUEST_BYTES) -> Any:
    """Return the JSON value of a request of at most so many bytes.

    Raises:
        RequestError: the body is not JSON (400, 415) or too large (413).
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RequestError("REQUEST_NOT_JSON_TYPE", status=415)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > max_bytes:
                raise RequestError("REQUEST_TOO_LARGE", status=413, max_bytes=max_bytes)
    except ClientDisconnect as error:  # a newer text replaced the request while it arrived; nobody reads the answer
        raise RequestError("EXPLORER_REPLACED", status=409) from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("REQUEST_NOT_JSON", reason=error) from error


def _no_run(request: HttpRequest) -> Response:
    return _error("EXPLORER_RUN_UNKNOWN", 404, run=quoted(request.path_params["name"]))


async def _refused(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, GatescopeError)
    return _refusal(error.message, error.status if isinstance(error, RequestError) else 409)


async def _http_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error("EXPLORER_HTTP_ERROR", error.status_code, reason=error.detail)


async def _failed(_: HttpRequest, error: Exception) -> Response:
    return _error("EXPLORER_UNEXPECTED_ERROR", 500, error=repr(error))


def _error(code: str, status: int, **values: Any) -> Response:
    return _refusal(Sentence(code, **values), status)


def _refusal(sentence: Sentence, status: int) -> Response:
    """Return a sentence with its code and its values, by which the page writes it in another language."""
    return Answer(error_json(sentence), status)
