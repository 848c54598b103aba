"""The Cache API as workerd speaks it to `cacheApiOutbound`.

match is a GET with `Cache-Control: only-if-cached`, and the answer must carry `CF-Cache-Status`;
put is a PUT whose body is the response as an HTTP message; delete is a PURGE. `CF-Cache-Namespace`
names the cache. A put that is not kept is told with 413, of which the worker learns nothing.
Measured against workerd 1.20261117.1.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict

from skerry.api.bindings.base import BindingFace, bare
from skerry.errors import StorageError
from skerry.storage.cache.base import Cache, Caches, Hit, Uncacheable
from skerry.storage.cache.message import split

NAMESPACE = "CF-Cache-Namespace"
STATUS = "CF-Cache-Status"
PROTOCOL = "x-skerry-proto"
"""The URL's scheme, as the host of the worker tells it."""
SMALL = 1 << 18
"""Bodies up to here are sent in one write."""

log = logging.getLogger("skerry.bindings")


class CacheFace(BindingFace):
    """The caches of one worker."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    async def handle(self, request: web.Request) -> web.StreamResponse:
        cache = self._caches.open(unquote(request.headers.get(NAMESPACE, "")))
        try:
            if request.method == "GET":
                return await _match(cache, request)
            if request.method == "PUT":
                head, body = await split(_body(request))
                await cache.put(_url(request), request.headers, head, body)
                return web.Response(status=204)
            if request.method == "PURGE":
                return web.Response(status=200 if await cache.delete(_url(request)) else 404)
            return web.Response(status=405)
        except Uncacheable as error:
            log.debug("%s is not cached: %s", request.path, error)
            return web.Response(status=413, text=error.message)
        except StorageError as error:
            log.exception("the cache fails")
            return web.Response(status=error.status, text=error.message)


async def _match(cache: Cache, request: web.Request) -> web.StreamResponse:
    async with cache.match(_url(request), request.headers) as hit:
        if hit is None:
            return web.Response(status=504, headers={STATUS: "MISS"})
        return await _send(request, hit)


async def _send(request: web.Request, hit: Hit) -> web.StreamResponse:
    """The response as it was put: no Server, Date or Content-Type of ours."""
    headers = CIMultiDict([*hit.head.headers, (STATUS, "HIT")])
    if hit.length <= SMALL:
        body = b"".join([piece async for piece in hit.pieces])
        return bare(
            web.Response(status=hit.head.status, reason=hit.head.reason, headers=headers, body=body)
        )
    response = bare(
        web.StreamResponse(status=hit.head.status, reason=hit.head.reason, headers=headers)
    )
    response.content_length = hit.length
    await response.prepare(request)
    async for piece in hit.pieces:
        await response.write(piece)
    await response.write_eof()
    return response


def _url(request: web.Request) -> str:
    """The URL that the worker named: it is the key."""
    protocol = request.headers.get(PROTOCOL, "http")
    return f"{protocol}://{request.headers.get('Host', '')}{request.raw_path}"


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.content.iter_any():
            yield piece
    except web.RequestPayloadError as error:
        raise Uncacheable("the response was cut off") from error
