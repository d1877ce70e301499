"""The addresses of the acts, and of what the page reads before it acts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from gatescope.explorer.act_token import ActToken
from gatescope.explorer.acts import Acts
from gatescope.explorer.adoptions import MAX_ANSWER_BYTES, MAX_NETWORK_BYTES, Adoptions, announced_bytes
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.requests import RequestError
from gatescope.files import unwritable

Read = Callable[[HttpRequest], Awaitable[Any]]
"""Returns the JSON of a request, within the bounds of the server."""


def act_routes(gallery: Gallery, token: ActToken, read_json: Read) -> list[Route]:
    """Return the routes of the acts.

    Args:
        gallery: the runs.
        token: the token of this start.
        read_json: reads the body of a request.
    """
    acts = Acts(gallery)

    async def reveal(request: HttpRequest) -> Response:
        return _answer({"token": token.reveal(request.headers)})

    async def stars(request: HttpRequest) -> Response:
        return _answer(await to_thread.run_sync(acts.stars, request.path_params["name"]))

    async def exported(request: HttpRequest) -> Response:
        name = request.path_params["name"]
        text = await to_thread.run_sync(acts.markdown, name, f"http://{request.headers['host']}/")
        return Response(text.encode(), media_type="text/markdown", headers={"cache-control": "no-store"})

    async def trash(_: HttpRequest) -> Response:
        return _answer(await to_thread.run_sync(acts.trash))

    async def restore(request: HttpRequest) -> Response:
        token.check(request.headers)  # before the body is read
        return _answer(await to_thread.run_sync(acts.restore, await read_json(request)))

    def act_of(act: str) -> Callable[[HttpRequest], Awaitable[Response]]:
        async def answer(request: HttpRequest) -> Response:
            token.check(request.headers)
            data = await read_json(request)
            return _answer(await to_thread.run_sync(acts.act, request.path_params["name"], act, data))

        return answer

    return [
        *adoption_routes(Adoptions(gallery), token, read_json),
        Route("/api/token", reveal),
        Route("/api/trash", trash),
        Route("/api/trash/restore", restore, methods=["POST"]),
        Route("/api/runs/{name}/stars", stars),
        Route("/api/runs/{name}/stars.md", exported),
        *(
            Route(f"/api/runs/{{name}}/{act}", act_of(act), methods=["POST"])
            for act in ("stars", "rename", "tags", "delete")
        ),
    ]


def adoption_routes(adoptions: Adoptions, token: ActToken, read_json: Read) -> list[Route]:
    """Return the routes of the adoption of dropped files.

    Args:
        adoptions: the adoptions.
        token: the token of this start.
        read_json: reads the body of a request.
    """

    async def begin(request: HttpRequest) -> Response:
        part = await _receive(request, adoptions, token, MAX_NETWORK_BYTES)
        return await _with_part(part, adoptions.begin, part, request.query_params.get("file", ""))

    async def answer_by_file(request: HttpRequest) -> Response:
        part = await _receive(request, adoptions, token, MAX_ANSWER_BYTES)
        query = request.query_params
        adoption, answer, name = request.path_params["id"], query.get("answer", ""), query.get("file", "")
        return await _with_part(part, adoptions.answer_by_file, adoption, answer, part, name)

    async def answer(request: HttpRequest) -> Response:
        token.check(request.headers)
        data = await read_json(request)
        return _answer(await to_thread.run_sync(adoptions.answer, request.path_params["id"], data))

    async def cancel(request: HttpRequest) -> Response:
        token.check(request.headers)
        return _answer(await to_thread.run_sync(adoptions.cancel, request.path_params["id"]))

    return [
        Route("/api/adopt", begin, methods=["POST"]),
        Route("/api/adopt/{id}", answer, methods=["POST"]),
        Route("/api/adopt/{id}/file", answer_by_file, methods=["POST"]),
        Route("/api/adopt/{id}/cancel", cancel, methods=["POST"]),
    ]


async def _receive(request: HttpRequest, adoptions: Adoptions, token: ActToken, limit: int) -> Path:
    """Write the body of a request to a temporary file, once its token and its announced size are checked.

    Raises:
        RequestError: the request is refused, or its body has another size than it announced.
    """
    token.check(request.headers)
    announced = announced_bytes(request.headers)
    part = await to_thread.run_sync(adoptions.place_for, announced, limit)
    received = 0
    try:
        with part.open("xb") as file:
            async for piece in request.stream():
                received += len(piece)
                if received > announced:
                    break
                await to_thread.run_sync(file.write, piece)
        if received != announced:
            raise RequestError("ACT_ADOPT_CUT_SHORT", announced=announced, received=received)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise RequestError(unwritable(part, error).message, status=409) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


async def _with_part(part: Path, act: Callable[..., dict[str, Any]], *arguments: Any) -> Response:
    """Carry out an act on a temporary file, which does not outlive it."""
    try:
        return _answer(await to_thread.run_sync(act, *arguments))
    finally:
        part.unlink(missing_ok=True)


def _answer(content: dict[str, Any]) -> Response:
    """Return JSON in ASCII that no cache keeps."""
    body = json.dumps(content, allow_nan=False).encode("ascii")
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})
