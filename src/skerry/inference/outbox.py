"""The runner's way out: any thread sends, what is ready together leaves in one frame."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Sequence

from skerry.inference.messages import frame

WAITING = 1024
"""Messages that may wait while the node does not read; past it, senders block."""
LARGEST = 8 << 20
"""Bytes after which a frame is closed, unless a single message is longer."""


class Outbox:
    """Writes messages to the socket without a thread of its own.

    Whoever finds the socket free writes all that waits, its own and others'; whoever finds it
    taken leaves the message to the writer and goes on. So a batch of answers, or the pieces of
    many streams, cost one system call.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[bytes] = deque()
        self._writing = threading.Lock()
        self._gone = False

    def send(self, messages: Sequence[bytes]) -> None:
        """Send encoded messages in order. Blocks only where the node has stopped reading."""
        self._waiting.extend(messages)
        # The loop looks again after giving the socket up: a message left in between is seen here.
        while self._waiting:
            if not self._writing.acquire(blocking=len(self._waiting) > WAITING):
                return
            try:
                self._write()
            finally:
                self._writing.release()

    def _write(self) -> None:
        size, ready = 0, []
        while self._waiting and size < LARGEST:
            message = self._waiting.popleft()
            size += len(message)
            ready.append(message)
        if not ready or self._gone:
            return
        try:
            self._sock.sendall(frame(ready))
        except OSError:
            # The node has gone; the reader sees the end of the socket and ends the process.
            self._gone = True
