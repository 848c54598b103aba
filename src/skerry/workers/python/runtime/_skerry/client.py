"""The client side: requests to the node over the worker's own unix socket."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from _skerry.streams import ReadableStream, as_bytes
from _skerry.values import Uint8Array
from _skerry.wire import (
    HEAD_LIMIT,
    Decoder,
    Pairs,
    WireError,
    body_length,
    chunk,
    format_head,
    parse_head,
    tokens,
)

BINDING_HEADER = "x-skerry-binding"
IDLE = 30.0
"""Seconds after which an unused connection is not used again; the node keeps it longer."""
POOL = 64
"""Unused connections that are kept."""
READ = 64 << 10

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Reply:
    """An answer of the node: status, reason, headers, and a body to be read or streamed."""

    def __init__(self, status: int, reason: str, headers: Pairs, body: AsyncIterator[bytes]):
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    async def read(self) -> Uint8Array:
        return Uint8Array(b"".join([data async for data in self.body]))


class Client:
    """Keeps connections to one unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[tuple[float, Stream]] = []
        self.active = 0
        """Requests whose answers have not been read to their end."""

    async def request(
        self, binding: str, method: str, target: str, headers: Pairs | None = None,
        body: bytes | ReadableStream | None = None, host: str = "skerry",
    ) -> Reply:  # fmt: skip
        """Ask the face of a binding. Raises OSError where the node cannot be reached."""
        head = [("host", host), (BINDING_HEADER, binding), *(headers or [])]
        if isinstance(body, ReadableStream):
            if body_length(head) is None:
                head.append(("transfer-encoding", "chunked"))
        elif body is not None or method in ("POST", "PUT", "PATCH"):
            head.append(("content-length", str(len(body or b""))))
        first = format_head(f"{method} {target} HTTP/1.1", head)
        reader, writer = stream = await self._connect()
        self.active += 1
        try:
            if isinstance(body, ReadableStream):
                answer = await _exchange(stream, _send(writer, first, body, head))
            else:
                writer.write(first + (body or b""))
                await writer.drain()
                answer = await _head(reader)
            return self._reply(stream, method, *answer)
        except WireError as error:
            self._release(stream, keep=False)
            raise ConnectionError(f"the node answered {binding} with no HTTP: {error}") from error
        except BaseException:
            self._release(stream, keep=False)
            raise

    def _reply(self, stream: Stream, method: str, first: str, headers: Pairs) -> Reply:
        _, _, rest = first.partition(" ")
        code, _, reason = rest.partition(" ")
        status = int(code) if code.isdigit() else 0
        if not 200 <= status <= 599:
            raise WireError(f"status {code[:20]!r}")
        length = body_length(headers)
        if method == "HEAD" or status in (204, 304):
            length = 0
        decoder = Decoder(length, to_end=True)
        keep = "close" not in tokens(headers, "connection") and (length is not None)
        body = _body(stream[0], decoder)
        if decoder.done:
            self._release(stream, keep)
            return Reply(status, reason, headers, body)
        return Reply(status, reason, headers, self._streamed(stream, body, keep))

    async def _streamed(
        self, stream: Stream, body: AsyncIterator[bytes], keep: bool
    ) -> AsyncIterator[bytes]:
        whole = False
        try:
            async for data in body:
                yield data
            whole = True
        finally:
            self._release(stream, keep and whole)

    async def _connect(self) -> Stream:
        now = asyncio.get_running_loop().time()
        while self._idle:
            since, stream = self._idle.pop()
            if now - since < IDLE and not stream[0].at_eof() and not stream[1].is_closing():
                return stream
            stream[1].close()
        return await asyncio.open_unix_connection(self._path, limit=2 * HEAD_LIMIT)

    def _release(self, stream: Stream, keep: bool) -> None:
        self.active -= 1
        if keep and len(self._idle) < POOL:
            self._idle.append((asyncio.get_running_loop().time(), stream))
        else:
            stream[1].close()


async def _exchange(stream: Stream, send: Coroutine[Any, Any, None]) -> tuple[str, Pairs]:
    """The head of the answer while the body is being sent; a failing body ends both."""
    sending, answer = asyncio.ensure_future(send), asyncio.ensure_future(_head(stream[0]))
    try:
        await asyncio.wait((sending, answer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and sending.exception() is not None:
            await sending
        return await answer
    finally:
        for task in (sending, answer):
            task.cancel()
        await asyncio.gather(sending, answer, return_exceptions=True)


async def _send(
    writer: asyncio.StreamWriter, first: bytes, body: ReadableStream, head: Pairs
) -> None:
    chunked = body_length(head) == -1
    writer.write(first)
    async for data in body:
        data = as_bytes(data)
        if data:
            writer.write(chunk(data) if chunked else data)
            await writer.drain()
    if chunked:
        writer.write(chunk(b""))
        await writer.drain()


async def _head(reader: asyncio.StreamReader) -> tuple[str, Pairs]:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the node closed the connection") from error
        except asyncio.LimitOverrunError as error:
            raise WireError("the head of the answer is too large") from error
        first, headers = parse_head(head[:-4])
        if not first.startswith("HTTP/1.1 1"):
            return first, headers


async def _body(reader: asyncio.StreamReader, decoder: Decoder) -> AsyncIterator[bytes]:
    buffer = bytearray()
    while not decoder.done:
        data = await reader.read(READ)
        if not data:
            try:
                decoder.end()
            except WireError as error:
                raise ConnectionResetError(str(error)) from error
            return
        buffer += data
        if taken := decoder.feed(buffer):
            yield taken


async def inflated(body: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """A gzip or deflate body as what it holds."""
    unzip = zlib.decompressobj(47 if coding != "deflate" else 15)
    async for data in body:
        yield unzip.decompress(data)
    yield unzip.flush()
