"""Send requests to the explorer without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp

from gatescope.explorer.act_token import ActToken
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.memory import Memory
from gatescope.explorer.routes import make_app

PORT = 8791


class Page:
    """Sends the requests of the explorer's page."""

    def __init__(self, *folders: Path, memory: Memory | None = None) -> None:
        self.token = ActToken()
        self.app: ASGIApp = make_app(Gallery(list(folders)), PORT, memory, self.token)

    def send(self, method: str, path: str, host: str = f"127.0.0.1:{PORT}", **arguments: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **arguments)

        return anyio.run(send)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.send("GET", path, **arguments)

    def act(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send an act with the token of this start, as the page does."""
        own = {"Origin": f"http://127.0.0.1:{PORT}", "X-Gatescope-Token": self.token.value}
        sent = own | {"Content-Type": "application/json"} | headers
        # In ASCII, because a text may hold half of a surrogate pair.
        return self.send("POST", path, headers=sent, content=json.dumps({} if body is None else body))

    def trace(self, name: str = "lstm", **body: Any) -> httpx.Response:
        return self.send("POST", f"/api/runs/{name}/trace", json={"text": "aaXbb\naXb", **body})
