"""The addresses of the trainings that begin, pause and end on the page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatescope.explorer.act_token import ActToken
from gatescope.explorer.training_words import MAX_TEXT_BYTES
from gatescope.explorer.trainings import Trainings
from gatescope.runs.training_request import PAUSE, STOP

MAX_BODY_BYTES = 2 * MAX_TEXT_BYTES  # a character of a text takes up to twice its bytes in JSON, except few
MAX_WAITING_REQUESTS = 8  # each waits in a thread for a process

ReadWithin = Callable[[HttpRequest, int], Awaitable[Any]]
"""Returns the JSON of a request of at most so many bytes."""


def training_routes(trainings: Trainings, token: ActToken, read_json: ReadWithin) -> list[Route]:
    """Return the routes of trainings.

    Args:
        trainings: the trainings.
        token: the token of this start.
        read_json: reads the body of a request.
    """
    limiter = CapacityLimiter(MAX_WAITING_REQUESTS)

    def act(work: Callable[..., dict[str, Any]], max_bytes: int, *, of_run: bool) -> Callable[..., Awaitable[Response]]:
        async def answer(request: HttpRequest) -> Response:
            token.check(request.headers)  # before the body is read
            data = await read_json(request, max_bytes)
            arguments = [request.path_params["name"], data] if of_run else [data]
            content = await to_thread.run_sync(work, *arguments, limiter=limiter)
            return JSONResponse(content, headers={"cache-control": "no-store"})

        return answer

    def end(kind: str, name: str, data: Any) -> dict[str, Any]:
        return trainings.end(name, "pause" if kind == PAUSE else "stop", data)

    of_runs = {"resume": trainings.resume, **{kind: partial(end, kind) for kind in (PAUSE, STOP)}}
    return [
        Route("/api/train", act(trainings.begin, MAX_BODY_BYTES, of_run=False), methods=["POST"]),
        *(
            Route(f"/api/runs/{{name}}/{name}", act(work, 1 << 10, of_run=True), methods=["POST"])
            for name, work in of_runs.items()
        ),
    ]
