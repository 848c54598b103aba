"""Which web pages may call the node.

A page of any site can make its visitor's browser post to 127.0.0.1, and text/plain needs no
preflight. So a request with an Origin is answered only for pages of this machine, of the node
itself, or of an origin that the settings name. Programs send no Origin and are not concerned.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from aiohttp import web

from skerry.api.answers import reply
from skerry.api.routing import dialect_error

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EXPOSED = (
    "cf-ai-req-id, x-skerry-model, x-skerry-standin, x-skerry-usage, server-timing, retry-after"
)


class OriginGuard:
    """Refuses foreign pages with 403 and gives the others their CORS headers."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """allowed: origins like https://app.example, shell patterns; "*" for all."""
        self._allowed = tuple(allowed)

    def install(self, app: web.Application) -> None:
        """A signal costs less than a middleware; refusals are made where the request is seen
        first, in `refusal`."""
        app.on_response_prepare.append(self._mark)
        app[GUARD] = self

    def allows(self, origin: str, host: str) -> bool:
        """May a page of `origin` call the node that is reached as `host`?"""
        try:
            parts = urlsplit(origin)
            name = parts.hostname
        except ValueError:
            return False
        if name is None:
            return "*" in self._allowed
        if name in _LOOPBACK or parts.netloc.lower() == host.lower():
            return True
        return any(fnmatchcase(origin.lower(), pattern.lower()) for pattern in self._allowed)

    def refusal(self, request: web.Request) -> web.Response | None:
        """The answer for a foreign page; None for all others."""
        origin = request.headers.get("Origin")
        if origin is None or self.allows(origin, request.host):
            return None
        return reply(
            dialect_error(
                request,
                403,
                10000,
                "origin_not_allowed",
                f"Pages of {origin[:100]} may not call this node; its setting `origins` says which",
            ),
            {},
            403,
        )

    async def _mark(self, request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and self.allows(origin, request.host):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            response.headers["Vary"] = "Origin"


GUARD = web.AppKey("origin_guard", OriginGuard)
