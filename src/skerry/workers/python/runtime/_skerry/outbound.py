"""fetch(): every request of a worker to the outside goes through the node's own egress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from _skerry.client import Client, inflated
from _skerry.headers import Headers
from _skerry.messages import REDIRECTS, Request, Response
from _skerry.state import RUNTIME
from _skerry.streams import ReadableStream

OUTBOUND = ":outbound"
PROTO_HEADER = "x-skerry-proto"
"""http or https. With Host and the target it is the URL, as workerd sends it, too."""
MOST_REDIRECTS = 20
DROPPED = frozenset(("host", "connection", "transfer-encoding", "content-length", "keep-alive"))


async def fetch(resource: Any, init: Any = None, **kwargs: Any) -> Response:
    """Ask a URL or send a Request. Follows redirects unless redirect="manual" or "error".

    Raises TypeError for what is no http or https URL, OSError where there was no answer.
    """
    kwargs.pop("fetcher", None)
    return await send(RUNTIME.get().client, OUTBOUND, Request(resource, init, **kwargs))


async def send(client: Client, binding: str, request: Request) -> Response:
    """Send a request through a binding of the node, redirects followed as it wants."""
    for _ in range(MOST_REDIRECTS):
        response = await _once(client, binding, request)
        where = response.headers.get("location")
        if response.status not in REDIRECTS or where is None or request.redirect == "manual":
            return response
        if request.redirect == "error":
            raise TypeError(f"{request.url} redirects to {where}")
        if response.body is not None:
            await response.body.cancel()
        request = _next(request, urljoin(request.url, where), response.status)
    raise TypeError(f"Too many redirects: {request.url}")


def _next(request: Request, url: str, status: int) -> Request:
    method = request.method
    headers = Headers(request.headers)
    keeps = status in (307, 308) or method in ("GET", "HEAD")
    if not keeps:
        method = "GET"
        for name in ("content-type", "content-length", "content-encoding"):
            headers.delete(name)
    if urlsplit(url)[:2] != urlsplit(request.url)[:2]:
        headers.delete("authorization")
        headers.delete("cookie")
    if keeps and request.body_used and request.body is not None:
        if isinstance(request._source, ReadableStream):
            raise TypeError("a redirect asks for the body again, and it was a stream")
        return Request(url, method=method, headers=headers, body=request._source)
    return Request(url, method=method, headers=headers)


async def pass_on(client: Client, request: Request) -> Response:
    """Send a request to the node's own API as it came; redirects are not followed."""
    return await _once(client, "", request)


async def _once(client: Client, binding: str, request: Request) -> Response:
    parts = urlsplit(request.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TypeError(f"Fetch API cannot load: {request.url[:200]}: it is no http or https URL")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    target = f"{path}?{query}" if query else path
    headers = [(PROTO_HEADER, parts.scheme)]
    headers += [pair for pair in request._headers.raw() if pair[0].lower() not in DROPPED]
    method = str(request.js_object.method)
    reply = await client.request(
        binding, method, target, headers, request.take(), host=parts.netloc.rpartition("@")[2]
    )
    kept = Headers(reply.headers)
    body: AsyncIterator[bytes] = reply.body
    coding = (kept.get("content-encoding") or "").lower()
    if coding in ("gzip", "x-gzip", "deflate"):
        body = inflated(body, coding)
        kept.delete("content-encoding")
        kept.delete("content-length")
    kept.delete("transfer-encoding")
    kept.delete("connection")
    empty = reply.status in (204, 304) or method == "HEAD"
    response = Response(
        None if empty else ReadableStream(body), status=reply.status, status_text=reply.reason,
        headers=kept,
    )  # fmt: skip
    response.url = request.url
    return response
