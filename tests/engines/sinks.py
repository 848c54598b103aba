"""A sink that remembers, and can be cancelled after some pieces."""

from __future__ import annotations

import threading

from skerry.engines.base import Sink


class Heard(Sink):
    streaming = True

    def __init__(self, cancel_after: int | None = None) -> None:
        self.pieces: list[str] = []
        self.first = threading.Event()
        self._cancel_after = cancel_after
        self.gone = False

    @property
    def cancelled(self) -> bool:
        enough = self._cancel_after is not None and len(self.pieces) >= self._cancel_after
        return self.gone or enough

    def emit(self, text: str) -> None:
        self.pieces.append(text)
        self.first.set()

    @property
    def text(self) -> str:
        return "".join(self.pieces)
