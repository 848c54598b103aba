"""The line between a worker and the node: one JSON object a line, both ways."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

LINE = 64 << 20
"""Bytes of one message: a batch of queue messages is the largest."""


class Control:
    """Reads the plan first; then messages, until the node closes its end."""

    def __init__(self, descriptor: int) -> None:
        self._sock = socket.socket(fileno=descriptor)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=LINE)

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None when the node has closed the line."""
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            return None
        message: dict[str, Any] = json.loads(line)
        return message

    def send(self, **message: Any) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def flush(self) -> None:
        await self._writer.drain()
