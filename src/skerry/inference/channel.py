"""The node's end of the socket to a runner: requests out, answers to whoever waits for them."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import msgspec

from skerry.errors import Aborted, AiError, InvalidInput, RequestTooLarge, RunnerDied, ai_error
from skerry.inference.messages import (
    MAX_FRAME,
    Cancel,
    Done,
    Fail,
    Frames,
    Load,
    Piece,
    Progress,
    Ready,
    Refused,
    Run,
    ToNode,
    encode,
    frame,
    unpack_for_node,
)

PIECES = 16384
"""Pieces of one stream that may wait for a slow reader; past it the stream is aborted."""
LARGEST = 32 << 20
"""Bytes after which a frame to the runner is closed, unless a single message is longer."""

Event = Progress | Ready | Refused


class Pending:
    """A request that a runner has. The answer, or the next piece, wakes whoever waits.

    After `finished`: `done` or `error` is set. A stream's pieces are in `pieces` until taken.
    """

    __slots__ = ("_waiter", "done", "error", "id", "pieces", "started", "stream")

    def __init__(self, request_id: int, stream: bool) -> None:
        self.id = request_id
        self.stream = stream
        self.pieces: deque[dict[str, Any]] = deque()
        self.done: Done | None = None
        self.error: Exception | None = None
        self.started = False
        """A piece has come: the caller may have seen some of the answer."""
        self._waiter: asyncio.Future[None] | None = None

    @property
    def finished(self) -> bool:
        return self.done is not None or self.error is not None

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def news(self) -> None:
        """Wait until there is a piece, or the end."""
        while not self.pieces and not self.finished:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def fail(self, error: Exception) -> None:
        """End it with an error, unless it has ended."""
        if not self.finished:
            self.error = error
            self.wake()


class Channel(asyncio.Protocol):
    """A connection to one runner.

    event: called with Progress, Ready and Refused.  lost: called once when the connection ends,
    after every pending request was failed with RunnerDied.  ended: called when a request ends.
    """

    def __init__(
        self,
        event: Callable[[Event], None],
        lost: Callable[[str], None],
        ended: Callable[[Pending], None],
    ) -> None:
        self._event = event
        self._lost = lost
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._pending: dict[int, Pending] = {}
        self._out: list[bytes] = []
        self._ids = 0
        self._transport: asyncio.Transport | None = None
        self._fault = ""

    @classmethod
    async def open(
        cls,
        sock: socket.socket,
        event: Callable[[Event], None],
        lost: Callable[[str], None],
        ended: Callable[[Pending], None],
    ) -> Channel:
        """The channel over one end of a socket pair."""
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_unix_connection(lambda: cls(event, lost, ended), sock=sock)
        return channel

    def __len__(self) -> int:
        """Requests that the runner has."""
        return len(self._pending)

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def load(self, load: Load) -> None:
        """Tell the runner what to load."""
        self._send(encode(load))

    def submit(self, inputs: dict[str, Any], stream: bool, timeout: float) -> Pending:
        """Send a request.

        Raises InvalidInput for what msgpack cannot carry, RequestTooLarge, RunnerDied.
        """
        if self._transport is None:
            raise RunnerDied(self._fault or "the runner has gone")
        self._ids += 1
        pending = Pending(self._ids, stream)
        try:
            message = encode(Run(pending.id, inputs, stream, timeout))
        except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
            raise InvalidInput(f"The input cannot be passed on: {error}") from error
        if len(message) > MAX_FRAME // 2:
            raise RequestTooLarge(
                f"The input is {len(message) >> 20} MB; at most 128 MB can be sent"
            )
        self._pending[pending.id] = pending
        self._send(message)
        return pending

    def cancel(self, pending: Pending) -> None:
        """Nobody waits for this request any more: tell the runner, and forget it."""
        if self._pending.pop(pending.id, None) is None:
            return
        if self._transport is not None:
            self._send(encode(Cancel(pending.id)))
        self._ended(pending)

    def fail_all(self, error: Callable[[], Exception]) -> None:
        """End every request, and let the runner know."""
        for pending in list(self._pending.values()):
            self.cancel(pending)
            pending.fail(error())

    def close(self) -> None:
        """Close the socket once what was sent has left; the runner ends when it reads the end."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _send(self, message: bytes) -> None:
        if not self._out:
            # Everything that is sent in this turn of the loop leaves in one frame.
            self._loop.call_soon(self._flush)
        self._out.append(message)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if not out or self._transport is None:
            return
        part: list[bytes] = []
        size = 0
        for message in out:
            if part and size + len(message) > LARGEST:
                self._transport.write(frame(part))
                part, size = [], 0
            part.append(message)
            size += len(message)
        self._transport.write(frame(part))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has a class of its own

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        reason = self._fault or (f"its socket failed: {exc}" if exc else "its socket closed")
        for pending in list(self._pending.values()):
            del self._pending[pending.id]
            pending.fail(RunnerDied(reason))
            self._ended(pending)
        self._lost(reason)

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                for message in unpack_for_node(body):
                    self._take(message)
        except (ValueError, msgspec.DecodeError, NotImplementedError) as error:
            self._fault = f"it sent what is no message: {error}"
            if self._transport is not None:
                self._transport.abort()

    def _take(self, message: ToNode) -> None:
        if isinstance(message, Done):
            pending = self._pending.pop(message.id, None)
            if pending is not None and not pending.finished:
                pending.done = message
                pending.wake()
                self._ended(pending)
        elif isinstance(message, Piece):
            pending = self._pending.get(message.id)
            if pending is not None:
                self._piece(pending, message.value)
        elif isinstance(message, Fail):
            pending = self._pending.pop(message.id, None)
            if pending is not None:
                pending.fail(_error(message))
                self._ended(pending)
        else:
            self._event(message)

    def _piece(self, pending: Pending, value: dict[str, Any]) -> None:
        if len(pending.pieces) >= PIECES:
            self.cancel(pending)
            pending.fail(Aborted(f"{PIECES} pieces wait to be read; the stream is given up"))
            return
        pending.started = True
        pending.pieces.append(value)
        pending.wake()


def _error(message: Fail) -> AiError:
    return ai_error(message.kind, message.message, message.retry_after)
