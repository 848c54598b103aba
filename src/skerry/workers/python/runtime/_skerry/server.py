"""The server side of HTTP/1.1 on the socket that the node listens on for this worker."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from _skerry.handover import Handover
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

READ_AHEAD = 256 << 10
"""Bytes of a request's body that are read before the worker takes them."""
BACKLOG = 1024


class Incoming:
    """One request as it came."""

    def __init__(self, method: str, target: str, headers: Pairs) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.has_body = False
        self.held = 0
        """Bytes that were read and not taken."""
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._taken: Callable[[], None] = lambda: None
        self._whole = False

    async def body(self) -> AsyncIterator[bytes]:
        """The body's pieces. Raises OSError where the client left before its end."""
        while (data := await self._chunks.get()) is not None:
            self.held -= len(data)
            self._taken()
            yield data
        if not self._whole:
            raise ConnectionResetError("the client went away within its request")

    def put(self, data: bytes) -> None:
        if data:
            self.held += len(data)
            self._chunks.put_nowait(data)

    def end(self, *, whole: bool) -> None:
        """No more is to come; not whole: the connection was cut."""
        self._whole = whole
        self._chunks.put_nowait(None)

    def when_taken(self, call: Callable[[], None]) -> None:
        self._taken = call


Answer = Callable[["Connection", Incoming], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One connection: requests in, one after the other, answers out."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._decoder: Decoder | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None
        self._keep = True
        self._ended = False
        self._finishing = False
        self._leaving = False
        self._upgraded: Callable[[bytes | None], None] | None = None
        self.request: Incoming | None = None
        self.transport: asyncio.Transport
        self.started = False
        """The head of the answer is written."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._upgraded is not None:
            self._upgraded(data)
            return
        self._buffer += data
        try:
            self._advance()
        except WireError as error:
            self._refuse(error)

    def eof_received(self) -> bool:
        """The client left, unless we shut the reading side ourselves: then what it had sent before
        is still answered."""
        self._ended = True
        if self._upgraded is not None:
            self._upgraded(None)
            return False
        self._cut()
        return self._finishing and self.request is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
        self._ended = True
        self._writable.set()
        if self._upgraded is not None:
            self._upgraded(None)
        self._cut()
        if self._task is not None and self._upgraded is None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    @property
    def peer(self) -> str:
        """The client's address; empty on a unix socket."""
        found = self.transport.get_extra_info("peername")
        return str(found[0]) if isinstance(found, tuple) else ""

    @property
    def idle(self) -> bool:
        return self.request is None and not self._buffer

    def hand_over(self) -> None:
        """Give this connection to the next process: at once, or when its request is answered."""
        self._leaving = True
        if self.request is None and self._upgraded is None:
            self._leave()

    def _leave(self) -> None:
        transport = self.transport
        if transport.is_closing() or self._ended:
            transport.close()
            return
        transport.pause_reading()
        self._server.pass_on(transport.get_extra_info("socket").fileno(), bytes(self._buffer))
        self._buffer.clear()
        transport.abort()  # closes our descriptor only: the connection itself lives on

    async def _flushed(self) -> None:
        """Returns when all that was written has left this process."""
        if self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(high=0)
            await self._writable.wait()

    def finish(self) -> None:
        """Take no further request than what the client has sent already.

        Shutting the reading side makes a later write of the client fail at once, so that it
        knows that nothing of it was taken; what came before is still read and answered.
        """
        self._keep = False
        if self.idle:
            self._finishing = True
            with contextlib.suppress(OSError):
                self.transport.get_extra_info("socket").shutdown(socket.SHUT_RD)

    def _advance(self) -> None:
        if self.request is not None:
            self._body()
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise WireError("the head is too large", 431)
            return
        if end > HEAD_LIMIT:
            raise WireError("the head is too large", 431)
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        first, headers = parse_head(head)
        method, _, rest = first.partition(" ")
        target, _, version = rest.rpartition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not method.isalpha() or not target:
            raise WireError("the first line is no request")
        length = body_length(headers)
        request = Incoming(method, target, headers)
        request.has_body = length not in (None, 0)
        request.when_taken(self._resume)
        hops = tokens(headers, "connection")
        self._keep = self._keep and "close" not in hops and version == "HTTP/1.1"
        self._decoder = Decoder(length)
        if self._decoder.done:
            request.end(whole=True)
        self.request, self.started = request, False
        if "100-continue" in tokens(headers, "expect"):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._task = asyncio.ensure_future(self._run(request))
        self._body()

    def _body(self) -> None:
        request, decoder = self.request, self._decoder
        assert request is not None
        assert decoder is not None
        if not decoder.done:
            request.put(decoder.feed(self._buffer))
            if decoder.ended():
                request.end(whole=True)
        if request.held > READ_AHEAD or (decoder.done and len(self._buffer) > HEAD_LIMIT):
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self.request is not None and self.request.held <= READ_AHEAD:
            self.transport.resume_reading()

    def _cut(self) -> None:
        if self.request is not None and self._decoder is not None and not self._decoder.done:
            self._decoder.done = True
            self.request.end(whole=False)

    def _refuse(self, error: WireError) -> None:
        self._keep = False
        if self.request is None:
            text = str(error).encode()
            head = [("content-type", "text/plain"), ("content-length", str(len(text)))]
            first = f"HTTP/1.1 {error.status} Bad Request"
            self.transport.write(format_head(first, [*head, ("connection", "close")]) + text)
            self.transport.close()
        else:
            self._cut()

    async def _run(self, request: Incoming) -> None:
        try:
            await self._server.answer(self, request)
            if self._leaving:
                await self._flushed()
        finally:
            self.request = None
            decoder, self._decoder, self._task = self._decoder, None, None
            unread = decoder is not None and not decoder.done
            if self._upgraded is None:
                if not self._keep or unread or self._ended:
                    self.transport.close()
                elif self._leaving:
                    self._leave()
                else:
                    self.transport.resume_reading()
                    if self._buffer:
                        asyncio.get_running_loop().call_soon(self.data_received, b"")

    async def send(
        self, status: int, reason: str, headers: Pairs, body: bytes | AsyncIterator[bytes]
    ) -> None:
        """Answer the request. An error of the iterator ends the connection in the middle."""
        request = self.request
        head = [pair for pair in headers if pair[0].lower() not in HOPS]
        empty = status in (204, 304) or status < 200
        if not self._keep:
            head.append(("connection", "close"))
        first = f"HTTP/1.1 {status} {reason}"
        no_body = empty or (request is not None and request.method == "HEAD")
        if isinstance(body, bytes):
            if not empty and not (no_body and not body and _has_length(head)):
                head = [pair for pair in head if pair[0].lower() != "content-length"]
                head.append(("content-length", str(len(body))))
            self.started = True
            self.transport.write(format_head(first, head) + (b"" if no_body else body))
            await self._writable.wait()
            return
        if no_body:
            self.started = True
            self.transport.write(format_head(first, head))
            return
        await self._stream(first, head, body)

    async def _stream(self, first: str, head: Pairs, body: AsyncIterator[bytes]) -> None:
        length = body_length(head)
        if length is None:
            head.append(("transfer-encoding", "chunked"))
        self.started = True
        self.transport.write(format_head(first, head))
        sent = 0
        try:
            async for data in body:
                if data:
                    sent += len(data)
                    if length is not None and sent > length:
                        raise ValueError("the body is longer than its content-length")
                    self.transport.write(chunk(data) if length is None else data)
                    await self._writable.wait()
                if self.transport.is_closing():
                    raise ConnectionResetError("the client went away")
            if length is not None and sent < length:
                raise ValueError("the body is shorter than its content-length")
        except BaseException:
            self._keep = False
            self.transport.abort()
            raise
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()
        if length is None:
            self.transport.write(chunk(b""))

    def upgrade(self, headers: Pairs, received: Callable[[bytes | None], None]) -> None:
        """Answer 101; from now on `received` gets the bytes as they come, None at the end."""
        self.started, self._keep = True, False
        self.transport.write(format_head("HTTP/1.1 101 Switching Protocols", headers))
        self._upgraded = received
        if self._buffer:
            rest = bytes(self._buffer)
            self._buffer.clear()
            received(rest)

    async def drained(self) -> None:
        await self._writable.wait()


HOPS = frozenset(("connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection"))


def _has_length(head: Pairs) -> bool:
    return any(name.lower() == "content-length" for name, _ in head)


class Server:
    """Accepts on a socket that another process listens on, until it is told to finish."""

    def __init__(self, sock: socket.socket, answer: Answer, handover: Handover | None) -> None:
        self._sock = sock
        self._handover = handover
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._adopting: set[asyncio.Future[None]] = set()
        self.answer = answer
        self.connections: set[Connection] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        unix = self._sock.family == socket.AF_UNIX
        create = loop.create_unix_server if unix else loop.create_server
        self._server = await create(
            lambda: Connection(self),
            sock=self._sock, backlog=BACKLOG,
        )  # fmt: skip

        if self._handover is not None:
            loop.add_reader(self._handover.inlet, self._take_over)

    def _take_over(self) -> None:
        """Go on with connections of the process before."""
        assert self._handover is not None
        for sock, read in self._handover.receive():
            task = asyncio.ensure_future(self._adopt(sock, read))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    async def _adopt(self, sock: socket.socket, read: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(lambda: Connection(self), sock)
        if read:
            connection.data_received(read)

    def pass_on(self, descriptor: int, read: bytes) -> None:
        """Give a connection away, with what was read of its next request."""
        assert self._handover is not None
        self._handover.send(descriptor, read)

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def finish(self, grace: float, *, hand_over: bool = False) -> None:
        """Accept nothing more; returns when what was taken is answered, at most after `grace`.

        hand_over: there is a next process, which the connections go to.
        """
        loop = asyncio.get_running_loop()
        if self._server is not None:
            # Not Server.close(): from 3.12 on it waits for the connections.
            loop.remove_reader(self._sock.fileno())
        if self._handover is not None:
            loop.remove_reader(self._handover.inlet)
        if self._adopting:
            await asyncio.wait(self._adopting)
        for connection in list(self.connections):
            if hand_over and self._handover is not None:
                connection.hand_over()
            else:
                connection.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self.connections:
                    self._empty.clear()
                    await self._empty.wait()
        for connection in list(self.connections):
            connection.transport.abort()


def flatten(value: Any) -> str:
    """A reason phrase: one line, ASCII."""
    return str(value).encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")
