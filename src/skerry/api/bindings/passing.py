"""Passing a request on to another server, and its answer back, both as they come in."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from skerry.api.bindings.base import BINDING_HEADER
from skerry.workers.workerd.config import PROTO_HEADER

CONNECT = 30.0
"""Seconds that a connection may take."""

HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers of one connection, which nobody passes on (RFC 9110, 7.6.1)."""
_NOT_PASSED = HOP | {BINDING_HEADER, PROTO_HEADER, "content-length"}


def open_client(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """A client that adds nothing of its own: no cookies, no headers, no decoding."""
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
    )


async def pass_on(
    client: aiohttp.ClientSession, request: web.Request, url: URL
) -> web.StreamResponse:
    """Ask `url` what `request` asks, and answer what it answers; redirects are not followed.

    Raises aiohttp.ClientError and OSError where it cannot be reached; one that breaks off in the
    middle of its answer has its connection to the worker cut as well.
    """
    headers = passed(request.headers)
    body: Any = request.content if request.body_exists else None
    if body is not None and hdrs.CONTENT_LENGTH in request.headers:
        headers[hdrs.CONTENT_LENGTH] = request.headers[hdrs.CONTENT_LENGTH]
    async with client.request(
        request.method, url, headers=headers, data=body, allow_redirects=False
    ) as answer:
        response = web.StreamResponse(
            status=answer.status, reason=answer.reason, headers=passed(answer.headers)
        )
        length = answer.headers.get(hdrs.CONTENT_LENGTH)
        if length is not None:
            response.headers[hdrs.CONTENT_LENGTH] = length
        await response.prepare(request)
        try:
            async for part in answer.content.iter_any():
                await response.write(part)
        except aiohttp.ClientError as error:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(f"{url.host} broke off: {error}") from error
        await response.write_eof()
        return response


def passed(headers: Any) -> CIMultiDict[str]:
    """The headers that go on."""
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _NOT_PASSED
    )
