"""What Python workers on one listening socket share: the way of connections to the next process."""

from __future__ import annotations

import socket


class Handover:
    """A socket pair, and who is the newest process. One for each worker."""

    def __init__(self) -> None:
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self.newest: object = None
        """The host that connections go to."""

    def descriptors(self) -> tuple[int, int]:
        """Both ends: out of the one, into the other."""
        if self._ends is None:
            self._ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return self._ends[0].fileno(), self._ends[1].fileno()

    def close(self) -> None:
        """Nobody follows any more."""
        ends, self._ends = self._ends, None
        for end in ends or ():
            end.close()
