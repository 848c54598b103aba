"""Reading bodies for the stores: bounded, and never decoded on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from skerry.errors import StorageError

UPLOAD_TIMEOUT = 60.0
"""Seconds that the next piece of a body may take to arrive."""


async def read_body(request: web.Request, limit: int, check: Callable[[int], None]) -> bytes:
    """The body, at most `limit` bytes.

    `check(size)` must raise for a size over the limit: by the Content-Length before a byte is
    read, else as soon as the limit is passed. Raises StorageError for a body that breaks off.
    """
    length = request.content_length
    if length is not None and length > limit:
        check(length)
    content = request.content
    parts: list[bytes] = []
    size = 0
    try:
        while not content.at_eof():
            async with asyncio.timeout(UPLOAD_TIMEOUT):
                part = await content.readany()
            parts.append(part)
            size += len(part)
            if size > limit:
                check(size)
    except TimeoutError as error:
        raise StorageError("the body did not arrive in time", status=408) from error
    except web.RequestPayloadError as error:
        raise StorageError(f"the body cannot be read: {error}") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
