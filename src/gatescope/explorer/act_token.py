"""The token of this start of the server: without it, no request writes anything.

The page reads it from `/api/token`. Another web page cannot: it may send requests to this server, but the browser does
not let it read an answer, and the guard refuses its Host or Origin. A form or an image of another page sends no header
of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from gatescope.explorer.requests import RequestError

HEADER = "x-gatescope-token"
TOKEN_BYTES = 32


class ActToken:
    """A random token, and the check of the requests that must have it."""

    def __init__(self) -> None:
        self.value = secrets.token_urlsafe(TOKEN_BYTES)

    def check(self, headers: Mapping[str, str]) -> None:
        """Check that a request comes from the page of this start.

        Args:
            headers: the headers of the request. The guard has compared an Origin already, if there is one.

        Raises:
            RequestError: the Origin or the token is missing, or the token is another one.
        """
        if headers.get("origin") is None:
            raise RequestError("ACT_ORIGIN_MISSING", status=403)
        token = headers.get(HEADER)
        if token is None:
            raise RequestError("ACT_TOKEN_MISSING", status=403, header=HEADER)
        # Compared as bytes, because compare_digest takes no other characters than ASCII in texts.
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.value.encode()):
            raise RequestError("ACT_TOKEN_WRONG", status=403)

    def reveal(self, headers: Mapping[str, str]) -> str:
        """Return the token to the page.

        Args:
            headers: the headers of the request. Browsers say in one of them which page it comes from.

        Raises:
            RequestError: it comes from a page of another origin.
        """
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise RequestError("EXPLORER_FOREIGN_PAGE", status=403)
        return self.value
