"""What workerd writes, line by line, as log events with the stack traces of the sources."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from skerry.workers.logs import LogEvent
from skerry.workers.sourcemap import SourceMap

MARK = "\x01skerry:"
"""Before what the entry module reports: an exception, as JSON."""
LEVELS = {"debug": "debug", "info": "info", "log": "log", "warn": "warn", "error": "error"}


class _Line(msgspec.Struct):
    message: str
    level: str = "log"
    timestamp: Any = None


class _Report(msgspec.Struct):
    where: str
    name: str = ""
    message: str = ""
    stack: str = ""
    method: str = ""
    url: str = ""


class LineReader:
    """Reads the lines of one worker's process."""

    def __init__(self, worker: str, sources: SourceMap | None) -> None:
        self._worker = worker
        self._sources = sources

    def read(self, line: bytes, *, error: bool) -> LogEvent:
        """The event of a line. error: it came on stderr."""
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            text = line.decode(errors="replace")
            return self._event("error" if error else "info", text, kind="host")
        when = _seconds(found.timestamp)
        if found.message.startswith(MARK):
            return self._exception(found.message.removeprefix(MARK), when)
        level = LEVELS.get(found.level.lower(), "info")
        return self._event(level, self._trace(found.message), when, kind="host" if error else "log")

    def _exception(self, text: str, when: float) -> LogEvent:
        try:
            report = msgspec.json.decode(text, type=_Report)
        except msgspec.DecodeError:  # a worker that plays at being the entry module
            return self._event("error", text, when)
        said = self._trace(report.stack) or f"{report.name}: {report.message}".removeprefix(": ")
        kind = "waitUntil" if report.where == "waitUntil" else "exception"
        head = "" if report.where == "fetch" else f"{report.where}: "
        asked = f"\n    in {report.method} {report.url}" if report.url else ""
        return self._event("error", f"{head}{said}{asked}", when, kind=kind)

    def _trace(self, text: str) -> str:
        return text if self._sources is None else self._sources.trace(text)

    def _event(
        self, level: str, text: str, when: float | None = None, kind: str = "log"
    ) -> LogEvent:
        return LogEvent(
            timestamp=time.time() if when is None else when,
            worker=self._worker,
            level=level,
            message=[text],
            kind=kind,
        )


def _seconds(stamp: Any) -> float:
    try:
        return float(stamp) / 1000
    except (TypeError, ValueError):
        return time.time()
