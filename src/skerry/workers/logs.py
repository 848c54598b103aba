"""What workers say, as it goes to the terminal and to `skerry tail`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec


class LogEvent(msgspec.Struct, kw_only=True, frozen=True):
    """One line of `console.log` or print, one exception, one failed waitUntil."""

    timestamp: float
    """Unix seconds."""
    worker: str
    level: str = "log"
    """debug, info, log, warn or error."""
    message: list[Any] = []
    """Its parts: text, numbers, JSON values."""
    kind: str = "log"
    """log, exception, waitUntil (an exception after the answer), or host (Skerry's own words)."""
    request: str = ""
    """Id of the request that said it; empty outside of one."""


LogSink = Callable[[LogEvent], None]
