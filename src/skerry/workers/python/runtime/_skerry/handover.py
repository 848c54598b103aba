"""Connections on their way from a process that ends to the one that follows it.

Both hold both ends of one socket pair: the one puts descriptors in, the other takes them out. What
nobody has taken yet waits in the kernel, so that a client notices nothing of a reload: neither a
closed connection nor an answer of the old code.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

MESSAGE = 128 << 10
"""Bytes of one message: what was read of a request before its head was whole."""


class Handover:
    """inlet: readable where connections wait."""

    def __init__(self, inlet: int, outlet: int) -> None:
        self.inlet = socket.socket(fileno=inlet)
        self._outlet = socket.socket(fileno=outlet)
        self.inlet.setblocking(False)

    def send(self, descriptor: int, read: bytes) -> None:
        """Give a connection away. Blocks while the next process has many to take."""
        # An empty message would look like the end.
        socket.send_fds(self._outlet, [b"+" + read], [descriptor])

    def receive(self) -> Iterator[tuple[socket.socket, bytes]]:
        """The connections that wait, each with the bytes that were read of it."""
        with contextlib.suppress(BlockingIOError):
            while True:
                read, descriptors, _, _ = socket.recv_fds(self.inlet, MESSAGE, 1)
                for descriptor in descriptors:
                    yield socket.socket(fileno=descriptor), read[1:]
                if not read:
                    return
