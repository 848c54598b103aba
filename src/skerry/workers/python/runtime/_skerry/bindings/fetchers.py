"""Bindings that take requests: other workers, static assets; and the Cache API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from _skerry.client import Client, Reply
from _skerry.headers import Headers
from _skerry.messages import Request, Response
from _skerry.outbound import PROTO_HEADER, send
from _skerry.server import flatten
from _skerry.streams import ReadableStream, as_bytes
from _skerry.wire import format_head

CACHE, ASSETS = ":cache", ":assets"
TO_WORKER = "x-skerry-to-worker"
"""Header of the node's answer that means: no file, ask the worker."""
NOT_PASSED = frozenset(("host", "content-length", "transfer-encoding", "connection", "upgrade"))


class Fetcher:
    """`fetch(request or url, …)`; the URL's host is what the other side sees."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def fetch(self, resource: Any, init: Any = None, **kwargs: Any) -> Response:
        kwargs.pop("fetcher", None)
        return await send(self._client, self._name, Request(resource, init, **kwargs))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{self._name}.{name}: a binding to another worker has fetch(); its methods cannot be"
            " called from Python"
        )


class Files:
    """The project's static files, asked before the worker is."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def answer(self, request: Request) -> Response | None:
        """The file; None where the worker is to answer."""
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = [(PROTO_HEADER, parts.scheme)]
        sent += [pair for pair in request.headers.raw() if pair[0].lower() not in NOT_PASSED]
        method = str(request.js_object.method)
        reply = await self._client.request(ASSETS, method, target, sent, host=parts.netloc)
        if reply.header(TO_WORKER):
            await reply.read()
            return None
        empty = reply.status in (204, 304) or method == "HEAD"
        return Response(
            None if empty else ReadableStream(reply.body), status=reply.status,
            status_text=reply.reason, headers=reply.headers,
        )  # fmt: skip


class Caches:
    """`caches.default` and `await caches.open(name)`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.default = Cache(client, None)

    async def open(self, name: str) -> Cache:
        return Cache(self._client, name)


class Cache:
    """match, put, delete, of one cache."""

    def __init__(self, client: Client, name: str | None) -> None:
        self._client = client
        self._name = name

    async def match(self, request: Any, *_: Any, **__: Any) -> Response | None:
        """The response that was kept; None where there is none."""
        asked = Request(request)
        if asked.method not in ("GET", "HEAD"):
            return None
        headers = Headers(asked.headers)
        headers.set("cache-control", "only-if-cached")
        reply = await self._ask("GET", asked, headers, None)
        if reply.header("cf-cache-status") != "HIT":
            await reply.read()
            return None
        empty = reply.status in (204, 304)
        return Response(
            None if empty else ReadableStream(reply.body), status=reply.status,
            status_text=reply.reason, headers=reply.headers,
        )  # fmt: skip

    async def put(self, request: Any, response: Response) -> None:
        """Keep a response, whose body is read by this. Raises TypeError for what cannot be kept."""
        asked = Request(request)
        if asked.method != "GET":
            raise TypeError("Cannot cache response to non-GET request.")
        if response.status == 206:
            raise TypeError("Cannot cache response to a range request (206 Partial Content).")
        if (response.headers["vary"] or "").strip() == "*":
            raise TypeError("Cannot cache response with 'Vary: *' header.")
        reply = await self._ask("PUT", asked, asked.headers, _message(response))
        await reply.read()

    async def delete(self, request: Any, *_: Any, **__: Any) -> bool:
        """Whether there was something to delete."""
        asked = Request(request)
        reply = await self._ask("PURGE", asked, asked.headers, None)
        await reply.read()
        return reply.status == 200

    async def _ask(
        self, method: str, asked: Request, headers: Headers, body: ReadableStream | None
    ) -> Reply:
        parts = urlsplit(asked.url)
        sent = [(PROTO_HEADER, parts.scheme)]
        if self._name is not None:
            sent.append(("cf-cache-namespace", self._name))
        sent += [pair for pair in headers.raw() if pair[0].lower() not in NOT_PASSED]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return await self._client.request(CACHE, method, target, sent, body, host=parts.netloc)


def _message(response: Response) -> ReadableStream:
    """The response as an HTTP message, its end being that of the body."""
    head = [pair for pair in response.headers.raw() if pair[0].lower() != "transfer-encoding"]
    first = f"HTTP/1.1 {response.status} {flatten(response.status_text) or 'OK'}"
    body = response.take()

    async def pieces() -> AsyncIterator[bytes]:
        yield format_head(first, head)
        if isinstance(body, ReadableStream):
            async for piece in body:
                yield as_bytes(piece)
        elif body:
            yield body

    return ReadableStream(pieces())
