"""The control line to a Python worker, and the pipe of its logs."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from skerry.errors import WorkerError
from skerry.workers.logs import LogEvent

LINE = 1 << 20
"""Bytes of a line from a worker."""


class ControlLine:
    """One JSON object a line, both ways. Questions have numbers; answers come in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self._task: asyncio.Task[None] | None = None
        self.ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        """What it says first: {ready: handlers} or {failed: traceback}."""

    @classmethod
    async def open(cls, sock: socket.socket) -> ControlLine:
        reader, writer = await asyncio.open_connection(sock=sock, limit=LINE)
        line = cls(reader, writer)
        line._task = asyncio.create_task(line._read())
        return line

    def send(self, **message: Any) -> None:
        """Say something that has no answer."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def ask(self, timeout: float, **message: Any) -> dict[str, Any]:
        """The answer to a question. Raises WorkerError where there is none in time."""
        self._asked += 1
        number = self._asked
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        if self._task is None or self._task.done():
            self._waiting.pop(number)
            raise WorkerError("the worker's process has ended")
        self.send(id=number, **message)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError as error:
            raise WorkerError(f"the worker did not answer within {timeout:g} s") from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                message: dict[str, Any] = msgspec.json.decode(line)
                if "id" in message:
                    future = self._waiting.get(message["id"])
                    if future is not None and not future.done():
                        future.set_result(message["result"])
                elif not self.ready.done():
                    self.ready.set_result(message)
        except (OSError, ValueError, msgspec.DecodeError):
            pass  # what is not the protocol ends the line, as a closed one does
        finally:
            self._end()

    def _end(self) -> None:
        gone = WorkerError("the worker's process has ended")
        if not self.ready.done():
            self.ready.set_result({})
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(gone)

    async def close(self) -> None:
        self._writer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class _Event(msgspec.Struct):
    timestamp: float
    level: str = "log"
    message: list[Any] = []
    kind: str = "log"
    request: str = ""


class LogPipe(asyncio.Protocol):
    """Reads a worker's events; a line that is none is told as it is."""

    def __init__(self, worker: str, sink: Callable[[LogEvent], None]) -> None:
        self._worker = worker
        self._sink = sink
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest if len(rest) < LINE else b""
        for line in lines:
            try:
                event = msgspec.json.decode(line, type=_Event)
            except msgspec.DecodeError:
                continue  # a worker that writes to the pipe by itself is not heard
            self._sink(
                LogEvent(
                    timestamp=event.timestamp,
                    worker=self._worker,
                    level=event.level,
                    message=event.message,
                    kind=event.kind,
                    request=event.request,
                )
            )


async def read_logs(
    worker: str, sink: Callable[[LogEvent], None]
) -> tuple[int, asyncio.ReadTransport]:
    """A pipe whose lines become events: the end to give away, and the reading transport."""
    ours, theirs = os.pipe()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: LogPipe(worker, sink), os.fdopen(ours, "rb", buffering=0)
    )
    return theirs, transport
