"""Reading a server's event stream, and being able to stop reading it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from types import TracebackType
from typing import Any

import msgspec

from skerry.engines.base import Sink

LOOK = 0.05
"""Seconds between looks at whether the caller has gone."""
MAX_LINE = 1 << 20


def events(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """The JSON objects of a server-sent event stream, up to [DONE] or its end.

    Raises ValueError for what is no such stream, OSError where the connection breaks.
    """
    while line := response.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise ValueError(f"a line of more than {MAX_LINE} bytes")
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        value = msgspec.json.decode(data)
        if not isinstance(value, dict):
            raise ValueError(f"an event that is no object: {data[:80]!r}")  # noqa: TRY004
        yield value


class Cutter:
    """Shuts a socket down when the sink is cancelled, so that a blocked read returns at once."""

    def __init__(self, sink: Sink, sock: socket.socket) -> None:
        self._sink = sink
        self._socket = sock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cutter", daemon=True)
        self.cut = False

    def __enter__(self) -> Cutter:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            if self._sink.cancelled:
                self.cut = True
                with contextlib.suppress(OSError):  # the other side closed it first
                    self._socket.shutdown(socket.SHUT_RDWR)
                return
