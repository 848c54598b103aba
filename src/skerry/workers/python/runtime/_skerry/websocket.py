"""WebSockets (RFC 6455): a pair of ends, one of which a response hands to the client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import Callable
from typing import Any

from _skerry.headers import Headers
from _skerry.messages import Response
from _skerry.server import Connection, Incoming
from _skerry.values import Array, Result, Uint8Array

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MESSAGE_LIMIT = 32 << 20
"""Bytes of one message, as on Cloudflare."""
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """One end: accept(), send(), close(), addEventListener("message" | "close" | "error")."""

    def __init__(self) -> None:
        self._peer: WebSocket
        self._calls: dict[str, list[Callable[[Any], Any]]] = {}
        self._early: list[tuple[str, Any]] = []
        self._accepted = False
        self._tasks: set[asyncio.Future[Any]] = set()
        self.readyState = 1
        self.onmessage: Callable[[Any], Any] | None = None
        self.onclose: Callable[[Any], Any] | None = None
        self.onerror: Callable[[Any], Any] | None = None
        self.onopen: Callable[[Any], Any] | None = None

    def accept(self, *_: Any) -> None:
        """Take messages from now on; what came before is delivered first."""
        self._accepted = True
        early, self._early = self._early, []
        for kind, event in early:
            self._deliver(kind, event)

    def addEventListener(self, kind: str, call: Callable[[Any], Any], *_: Any) -> None:
        self._calls.setdefault(kind, []).append(call)

    add_event_listener = addEventListener

    def removeEventListener(self, kind: str, call: Callable[[Any], Any]) -> None:
        if call in self._calls.get(kind, []):
            self._calls[kind].remove(call)

    def send(self, message: Any) -> None:
        """Text, or bytes. Raises TypeError after close()."""
        if self.readyState != 1:
            raise TypeError("Can't call WebSocket send() after close().")
        data = message if isinstance(message, str) else Uint8Array(bytes(message))
        self._peer.hear("message", Result(type="message", data=data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.readyState == 1:
            self.readyState = 3
            event = Result(type="close", code=int(code), reason=str(reason), wasClean=True)
            self._peer.hear("close", event)

    def hear(self, kind: str, event: Any) -> None:
        """What the other end did."""
        if kind == "close":
            self.readyState = 3
        if self._accepted:
            self._deliver(kind, event)
        else:
            self._early.append((kind, event))

    def _deliver(self, kind: str, event: Any) -> None:
        own = getattr(self, f"on{kind}", None)
        for call in [*([own] if own is not None else []), *self._calls.get(kind, [])]:
            made = call(event)
            if hasattr(made, "__await__"):
                task = asyncio.ensure_future(made)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def serve(self, connection: Connection, incoming: Incoming, response: Response) -> None:
        """Be the client's end of a connection until either side closes it."""
        asked = Headers(incoming.headers)
        key = asked["sec-websocket-key"]
        if (asked["upgrade"] or "").lower() != "websocket" or not key:
            headers = [("content-type", "text/plain"), ("upgrade", "websocket")]
            text = b"Expected Upgrade: websocket"
            await connection.send(426, "Upgrade Required", headers, text)
            return
        digest = hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()
        head = [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", base64.b64encode(digest).decode()),
            *response.headers.raw(),
        ]  # fmt: skip
        line = _Line(connection, self)
        connection.upgrade(head, line.received)
        self.onmessage = line.out
        self.onclose = line.closed
        self.accept()
        await line.ended.wait()


class WebSocketPair(Array):
    """Two ends that hear each other: `client, server = WebSocketPair.new().object_values()`."""

    def __init__(self) -> None:
        ends = WebSocket(), WebSocket()
        ends[0]._peer, ends[1]._peer = ends[1], ends[0]
        super().__init__(ends)

    @classmethod
    def new(cls) -> WebSocketPair:
        return cls()

    def object_values(self) -> list[Any]:
        return list(self)


class _Line:
    """The frames of one connection."""

    def __init__(self, connection: Connection, end: WebSocket) -> None:
        self._connection = connection
        self._end = end
        self._buffer = bytearray()
        self._message = bytearray()
        self._kind = 0
        self._sent_close = False
        self.ended = asyncio.Event()

    def out(self, event: Any) -> None:
        data = event.data
        if isinstance(data, str):
            self._write(TEXT, data.encode())
        else:
            self._write(BINARY, bytes(data))

    def closed(self, event: Any) -> None:
        self._close(event.code, event.reason)

    def received(self, data: bytes | None) -> None:
        if data is None:
            self._gone(1006, "")
            return
        self._buffer += data
        try:
            while self._frame():
                pass
        except ValueError as error:
            self._close(int(error.args[1]) if len(error.args) > 1 else 1002, str(error.args[0]))
            self._gone(1002, str(error.args[0]))

    def _frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        final, kind, size, at = buffer[0] & 128, buffer[0] & 15, buffer[1] & 127, 2
        if buffer[0] & 112 or not buffer[1] & 128:
            raise ValueError("a frame of a client is masked and has no extension")
        if size >= 126:
            wide = 2 if size == 126 else 8
            if len(buffer) < at + wide:
                return False
            size = int.from_bytes(buffer[at : at + wide], "big")
            at += wide
        if size > MESSAGE_LIMIT or len(self._message) + size > MESSAGE_LIMIT:
            raise ValueError("the message is too large", 1009)
        if kind >= CLOSE and (size > 125 or not final):
            raise ValueError("a control frame is short and whole")
        if len(buffer) < at + 4 + size:
            return False
        mask = buffer[at : at + 4]
        data = _unmasked(bytes(buffer[at + 4 : at + 4 + size]), bytes(mask))
        del buffer[: at + 4 + size]
        self._take(kind, data, bool(final))
        return not self.ended.is_set()

    def _take(self, kind: int, data: bytes, final: bool) -> None:
        if kind == PING:
            self._write(PONG, data)
        elif kind == CLOSE:
            code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
            reason = data[2:].decode(errors="replace")
            self._close(1000 if code == 1005 else code, "")
            self._gone(code, reason)
        elif kind in (TEXT, BINARY, 0):
            if bool(self._kind) == bool(kind):
                raise ValueError("frames of two messages are mixed")
            self._kind = self._kind or kind
            self._message += data
            if final:
                whole, text = bytes(self._message), self._kind == TEXT
                self._message.clear()
                self._kind = 0
                self._hear(whole, text)
        elif kind != PONG:
            raise ValueError(f"there is no frame of kind {kind}")

    def _hear(self, data: bytes, text: bool) -> None:
        value: Any = Uint8Array(data)
        if text:
            try:
                value = data.decode()
            except UnicodeDecodeError:
                raise ValueError("a text is no UTF-8", 1007) from None
        self._end._peer.hear("message", Result(type="message", data=value))

    def _gone(self, code: int, reason: str) -> None:
        if self.ended.is_set():
            return
        self.ended.set()
        event = Result(type="close", code=code, reason=reason, wasClean=code != 1006)
        self._end._peer.hear("close", event)

    def _close(self, code: int, reason: str) -> None:
        if not self._sent_close:
            self._sent_close = True
            self._write(CLOSE, struct.pack("!H", code) + reason.encode()[:123])
            self._connection.transport.close()

    def _write(self, kind: int, data: bytes) -> None:
        if self._connection.transport.is_closing():
            return
        size = len(data)
        if size < 126:
            head = bytes((128 | kind, size))
        elif size < 1 << 16:
            head = struct.pack("!BBH", 128 | kind, 126, size)
        else:
            head = struct.pack("!BBQ", 128 | kind, 127, size)
        self._connection.transport.write(head + data)


def _unmasked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return mixed.to_bytes(size, "big")
