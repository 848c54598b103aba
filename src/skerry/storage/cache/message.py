"""A response as the body of `cache.put`: an HTTP message, its body neither chunked nor cut.

RFC 9112 (4, 5); read strictly, since what is read here is sent again as headers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator

from skerry.storage.cache.base import HEAD_BYTES, Head, Headers, Uncacheable

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: ([^\r\n\0]*))?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")


def parse_head(data: bytes) -> Head:
    """Status line and headers, without the empty line. Raises Uncacheable."""
    first, *lines = data.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Uncacheable("the response has no status line")
    headers: Headers = []
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise Uncacheable(f"{line[:60]!r} is not a header")
        headers.append((match[1].decode("ascii"), _text(match[2].rstrip(b" \t"))))
    return Head(int(status[1]), _text(status[2] or b""), headers)


async def split(body: AsyncIterable[bytes]) -> tuple[Head, AsyncIterator[bytes]]:
    """The head of a message, and the bytes of its body as they come. Raises Uncacheable."""
    pieces = aiter(body)
    data = bytearray()
    at = -1
    async for piece in pieces:
        seen = max(0, len(data) - 3)
        data += piece
        at = data.find(b"\r\n\r\n", seen)
        if at >= 0 or len(data) > HEAD_BYTES:
            break
    if at < 0 or at > HEAD_BYTES:
        raise Uncacheable(f"the response's headers do not end within {HEAD_BYTES} bytes")
    head = parse_head(bytes(data[:at]))
    return head, _rest(bytes(data[at + 4 :]), pieces)


async def _rest(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
