"""What every binding's face is, and how a request finds it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping

from aiohttp import web

BINDING_HEADER = "x-skerry-binding"
"""Names the binding that a request belongs to; the worker's host sets it, the worker cannot."""

_OURS = ("Server", "Date", "Content-Type")
_BARE: web.ResponseKey[list[str]] = web.ResponseKey("skerry-bare", list[str])

log = logging.getLogger("skerry.bindings")


class BindingFace(ABC):
    """Answers what a worker sends to one of its bindings."""

    @abstractmethod
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer; raises nothing but cancellation: errors are answers in the binding's own form."""


def bare(response: web.StreamResponse) -> web.StreamResponse:
    """The response with the headers that it has now, and none that the server would add."""
    response[_BARE] = [name for name in _OURS if name not in response.headers]
    return response


async def _strip(request: web.Request, response: web.StreamResponse) -> None:
    """The last word on a response's headers, before they are written."""
    for name in response.get(_BARE, []):
        response.headers.popall(name, None)


def bindings_app(faces: Mapping[str, BindingFace], max_body: int) -> web.Application:
    """The application behind one worker's socket: binding name -> face.

    Served on a unix socket of the worker's own, so that who asks is known by where it asks.
    """

    async def dispatch(request: web.Request) -> web.StreamResponse:
        name = request.headers.get(BINDING_HEADER, "")
        face = faces.get(name)
        if face is None:
            return web.Response(status=404, text=f"this worker has no binding {name[:100]!r}")
        try:
            return await face.handle(request)
        except (ConnectionError, web.HTTPException):
            raise
        except Exception:  # the boundary: a worker sees a status, the log the traceback
            log.exception("binding %s: %s %s failed", name, request.method, request.path)
            return web.Response(status=500, reason="Internal Error", text="Internal Error")

    app = web.Application(client_max_size=max_body)
    app.router.add_route("*", "/{path:(?s:.*)}", dispatch)  # a KV key may hold a newline
    app.on_response_prepare.append(_strip)
    return app
